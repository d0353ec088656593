//! The store's secret for keyed hashes.
//!
//! Random, made with the store and kept in it, sealed. So it stays when master keys rotate, and a copy of the disk
//! without the master key is of no use for guessing what was hashed.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use rand_core::CryptoRng;
use sha2::Sha256;
use zeroize::Zeroizing;

const BYTES: usize = 32;

/// A 32-byte secret, wiped on drop. It is deliberately not `Clone`.
pub struct Pepper(Box<Zeroizing<[u8; BYTES]>>);

impl Pepper {
    /// A fresh one, for a new store.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Box::new(Zeroizing::new([0; BYTES]));
        rng.fill_bytes(&mut bytes[..]);
        Self(bytes)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; BYTES] = bytes.try_into().ok()?;
        Some(Self(Box::new(Zeroizing::new(*bytes))))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0[..]
    }

    /// HMAC-SHA-256 (RFC 2104) under the pepper over `domain` and `parts`, each with its length (8 bytes, big endian)
    /// before it. The domain names the use, such as `backup code`, so that no two uses ever share an output.
    pub fn mac(&self, domain: &str, parts: &[&[u8]]) -> [u8; 32] {
        // RFC 2104 §2: a key shorter than the hash's block is padded with zeros.
        let mut block = Zeroizing::new([0; 64]);
        block.split_at_mut(BYTES).0.copy_from_slice(self.as_bytes());
        let mut mac = Hmac::<Sha256>::new((&*block).into());
        for part in std::iter::once(&domain.as_bytes()).chain(parts) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(…)")
    }
}
