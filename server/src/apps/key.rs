//! The text form of an API key: `sidekey_` and 32 random bytes as base64url.

use std::fmt;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// What every API key begins with, so that secret scanners and people recognise it.
pub const KEY_PREFIX: &str = "sidekey_";

/// Characters after the prefix.
const SECRET_CHARS: usize = 43;

/// An API key: wiped on drop, shown by [`ApiKey::expose`] only.
pub struct ApiKey(Zeroizing<String>);

impl ApiKey {
    /// A fresh one.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *bytes);
        let mut text = Zeroizing::new(String::with_capacity(KEY_PREFIX.len() + SECRET_CHARS));
        text.push_str(KEY_PREFIX);
        BASE64URL_NOPAD.encode_append(&*bytes, &mut text);
        Self(text)
    }

    /// A key as it was written down; whether it is one, [`Apps::authenticate`](super::Apps::authenticate) tells.
    pub fn from_text(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The key's text, to be shown once.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        digest(&self.0)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiKey(…)")
    }
}

/// What a key is stored under; `None` for what has not the form of a key. A plain hash is enough: the key has 256 random
/// bits, so there is nothing to guess, and looking a hash up tells nothing about another key's text by its duration.
pub(super) fn hash(text: &str) -> Option<[u8; 32]> {
    let secret = text.strip_prefix(KEY_PREFIX)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (secret.len() == SECRET_CHARS && secret.bytes().all(plain)).then(|| digest(text))
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// A key's public name, 12 hex digits: enough to tell the keys of one app apart.
pub(super) fn new_id(rng: &mut impl CryptoRng) -> String {
    let mut bytes = [0; 6];
    rng.fill_bytes(&mut bytes);
    HEXLOWER.encode(&bytes)
}
