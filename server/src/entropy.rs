//! The only source of randomness: the operating system's generator.

use std::convert::Infallible;

use getrandom::SysRng;
use rand_core::{Rng as _, TryCryptoRng, TryRng, UnwrapErr};

/// The system's generator as an infallible `CryptoRng` of `rand_core` 0.10.
///
/// It panics when the system has no randomness to give. That happens on a broken machine only (RFC 4086 §2), and no
/// answer without randomness is a safe one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entropy;

impl TryRng for Entropy {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        UnwrapErr(SysRng).try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        UnwrapErr(SysRng).try_next_u64()
    }

    fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), Infallible> {
        UnwrapErr(SysRng).try_fill_bytes(destination)
    }
}

impl TryCryptoRng for Entropy {}

/// `N` random bytes from the system's generator; panics where [`Entropy`] does.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    Entropy.fill_bytes(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(random::<32>(), random::<32>());
    }

    #[test]
    fn it_is_a_crypto_rng() {
        fn draw(rng: &mut impl rand_core::CryptoRng) -> u64 {
            rng.next_u64()
        }
        assert_ne!(draw(&mut Entropy), draw(&mut Entropy));
    }
}
