//! [`sidekey_fuzz::codes`] under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sidekey_fuzz::codes::run(input));
