//! [`sidekey_fuzz::request_body`] under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sidekey_fuzz::request_body::run(input));
