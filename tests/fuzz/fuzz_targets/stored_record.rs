//! [`sidekey_fuzz::stored_record`] under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sidekey_fuzz::stored_record::run(input));
