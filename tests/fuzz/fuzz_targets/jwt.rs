//! [`sidekey_fuzz::jwt`] under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sidekey_fuzz::jwt::run(input));
