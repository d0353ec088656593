//! The one source of randomness here: the host's `wasi:random`.

/// That many random bytes.
#[expect(clippy::disallowed_methods, reason = "this is the one place that asks for randomness")]
#[expect(clippy::expect_used, reason = "`wasi:random` has no error to give")]
pub(crate) fn bytes(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).expect("the host has random bytes");
    bytes
}
