//! [`sidekey_fuzz::path`] under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sidekey_fuzz::path::run(input));
