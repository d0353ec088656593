//! Randomness that a number repeats: `ChaCha20`, whose stream is the same in each version and on each machine. For secrets of development
//! mode only, which everybody may know.

use std::convert::Infallible;

use chacha20::{ChaCha20Rng, rand_core::SeedableRng as _};
use rand_core::{TryCryptoRng, TryRng};
use sha2::{Digest as _, Sha256};
use sidekey_core::id::UserId;

/// Of one user and for one use: what others draw changes nothing.
#[derive(Debug)]
pub(super) struct Random(ChaCha20Rng);

impl Random {
    pub(super) fn new(seed: u64, user: &UserId, what: &str) -> Self {
        let of = format!("sidekey development seed {seed}, {what} of {user}");
        Self(ChaCha20Rng::from_seed(Sha256::digest(of.as_bytes()).into()))
    }
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0.try_next_u64()
    }

    fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), Infallible> {
        self.0.try_fill_bytes(destination)
    }
}

impl TryCryptoRng for Random {}

#[cfg(test)]
mod tests {
    use sidekey_core::secret::Secret;

    use super::*;

    #[test]
    fn a_secret_is_the_same_for_ever_and_another_for_another_number_or_user() {
        let of = |seed, user: &str, what| {
            let mut random = Random::new(seed, &UserId::parse(user).unwrap(), what);
            Secret::generate(&mut random).to_base32().to_string()
        };
        assert_eq!(of(1, "ann", "devices"), of(1, "ann", "devices"));
        for other in [of(2, "ann", "devices"), of(1, "bob", "devices"), of(1, "ann", "codes")] {
            assert_ne!(of(1, "ann", "devices"), other);
        }
    }
}
