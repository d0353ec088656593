//! [`sidekey_fuzz::key_uri`] under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sidekey_fuzz::key_uri::run(input));
