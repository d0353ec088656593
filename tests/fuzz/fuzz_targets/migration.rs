//! [`sidekey_fuzz::migration`] under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sidekey_fuzz::migration::run(input));
