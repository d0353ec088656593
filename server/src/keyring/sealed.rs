//! The layout of a sealed value.
//!
//! ```text
//! offset  bytes  field
//! 0       1      algorithm: 1 is XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03)
//! 1       4      id of the master key
//! 5       24     nonce, random: 192 bits never repeat by chance
//! 29      …      ciphertext, as long as the plaintext
//! …       16     tag
//! ```
//!
//! Algorithm and key id are authenticated: they stand before the caller's associated data.

use std::fmt;

use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use rand_core::CryptoRng;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

use super::master_key::{KeyId, MasterKey};

const XCHACHA20_POLY1305: u8 = 1;
const HEADER: usize = 1 + 4;
const NONCE: usize = 24;
const TAG: usize = 16;

/// A value that only the keyring can read.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// The id of the key that it was sealed with; none if it is too short to name one.
    pub fn key_id(&self) -> Option<KeyId> {
        self.0.get(1..).and_then(<[u8]>::first_chunk).copied().map(KeyId)
    }

    /// The bytes, for storing.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Bytes that came from storage; [`Keyring::open`](super::Keyring::open) judges them.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Sealed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the bytes of a sealed value")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Sealed, E> {
                Ok(Sealed(bytes.to_vec()))
            }

            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Sealed, E> {
                Ok(Sealed(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

/// Says what a sealed value is (`field`) and whose (`parts`, such as app, user and device), so that one moved to another
/// place does not open there. Lengths stand before the parts, hence different parts never give the same bytes.
pub fn associated_data(field: &str, parts: &[&[u8]]) -> Vec<u8> {
    const FORMAT: u8 = 1;
    let mut data =
        Vec::with_capacity(1 + 8 + field.len() + parts.iter().map(|part| 8 + part.len()).sum::<usize>());
    data.push(FORMAT);
    for part in std::iter::once(&field.as_bytes()).chain(parts) {
        data.extend_from_slice(&(part.len() as u64).to_be_bytes());
        data.extend_from_slice(part);
    }
    data
}

pub(super) fn seal(key: &MasterKey, associated: &[u8], plaintext: &[u8], rng: &mut impl CryptoRng) -> Sealed {
    let [a, b, c, d] = key.id().0;
    let header = [XCHACHA20_POLY1305, a, b, c, d];
    let mut nonce = [0; NONCE];
    rng.fill_bytes(&mut nonce);
    // With room for the tag: a buffer that grows would leave a copy of the plaintext behind.
    let mut buffer = Vec::with_capacity(plaintext.len() + TAG);
    buffer.extend_from_slice(plaintext);
    let associated = [&header, associated].concat();
    #[expect(clippy::expect_used, reason = "fails from 256 GiB of plaintext on only (RFC 8439 §2.8)")]
    cipher(key)
        .encrypt_in_place(&XNonce::from(nonce), &associated, &mut buffer)
        .expect("a plaintext below 256 GiB");
    Sealed([&header[..], &nonce, &buffer].concat())
}

pub(super) fn open<'a>(
    find: impl FnOnce(KeyId) -> Option<&'a MasterKey>,
    associated: &[u8],
    sealed: &Sealed,
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let (header, rest) = sealed.0.split_first_chunk::<HEADER>().ok_or(OpenError::Damaged)?;
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE>().ok_or(OpenError::Damaged)?;
    let [algorithm, id @ ..] = *header;
    if algorithm != XCHACHA20_POLY1305 {
        return Err(OpenError::UnknownAlgorithm(algorithm));
    }
    let key = find(KeyId(id)).ok_or(OpenError::UnknownKey(KeyId(id)))?;
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let associated = [header, associated].concat();
    cipher(key)
        .decrypt_in_place(&XNonce::from(*nonce), &associated, &mut *buffer)
        .map_err(|_| OpenError::Damaged)?;
    Ok(buffer)
}

fn cipher(key: &MasterKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.secret().into())
}

/// Why a sealed value does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It was sealed with a key that is not in the keyring.
    #[error("sealed with master key `{0}`, which is not among the given ones")]
    UnknownKey(KeyId),
    /// It was sealed by a later version of the program.
    #[error("sealed with algorithm {0}, which this version does not know")]
    UnknownAlgorithm(u8),
    /// It was changed, cut short, or sealed for another place.
    #[error("the sealed value is damaged or belongs elsewhere")]
    Damaged,
}
