//! [`sidekey_fuzz::import_source`] under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sidekey_fuzz::import_source::run(input));
