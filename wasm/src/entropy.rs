//! The one source of randomness in the browser: `crypto.getRandomValues`.

use crate::failure::{Failure, code};

/// That many random bytes.
#[expect(clippy::disallowed_methods, reason = "this is the one place that asks for randomness")]
pub(crate) fn bytes(length: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes)
        .map_err(|_| Failure::with(code::RANDOMNESS_UNAVAILABLE, "there is no source of randomness"))?;
    Ok(bytes)
}
