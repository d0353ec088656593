//! One master key and its text form.
//!
//! `skm1:<key id, 8 hex digits>:<key, 32 bytes as base64url without padding>`
//!
//! The id is the start of a hash of the key. So a line with a typing mistake is refused, and two keys never pass for one
//! another. Of the key itself, 256 random bits, the id tells nothing of use.

use std::fmt;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const PREFIX: &str = "skm1";
const SECRET_BYTES: usize = 32;

/// What a sealed value names its key by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub(super) [u8; 4]);

impl KeyId {
    /// An id as it is stored.
    pub fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    /// For storing.
    pub fn to_bytes(self) -> [u8; 4] {
        self.0
    }

    /// Reads an id as it is printed: 8 hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// A key that seals other secrets: 32 random bytes, wiped on drop. It is deliberately not `Clone`.
pub struct MasterKey {
    id: KeyId,
    /// On the heap, so that moving the key leaves no copy behind.
    secret: Box<Zeroizing<[u8; SECRET_BYTES]>>,
}

impl MasterKey {
    /// A new key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut secret = Box::new(Zeroizing::new([0; SECRET_BYTES]));
        rng.fill_bytes(&mut secret[..]);
        Self { id: id_of(&secret), secret }
    }

    /// The key's id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The key as a line of text, without a line end.
    pub fn to_line(&self) -> Zeroizing<String> {
        let secret = Zeroizing::new(BASE64URL_NOPAD.encode(&self.secret[..]));
        Zeroizing::new(format!("{PREFIX}:{}:{}", self.id, *secret))
    }

    /// Reads a line; `number` is for the error, which never repeats anything of the line.
    pub(super) fn parse(line: &str, number: usize) -> Result<Self, ParseError> {
        let malformed = || ParseError::Malformed { line: number };
        let (id, secret) = line
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.strip_prefix(':'))
            .and_then(|rest| rest.split_once(':'))
            .ok_or_else(malformed)?;
        if BASE64URL_NOPAD.decode_len(secret.len()) != Ok(SECRET_BYTES) {
            return Err(malformed());
        }
        let mut bytes = Box::new(Zeroizing::new([0; SECRET_BYTES]));
        BASE64URL_NOPAD.decode_mut(secret.as_bytes(), &mut bytes[..]).map_err(|_| malformed())?;
        let key = Self { id: id_of(&bytes), secret: bytes };
        if HEXLOWER.decode(id.as_bytes()).as_deref() != Ok(&key.id.0) {
            return Err(ParseError::WrongId { line: number });
        }
        Ok(key)
    }

    pub(super) fn secret(&self) -> &[u8; SECRET_BYTES] {
        &self.secret
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({}, …)", self.id)
    }
}

fn id_of(secret: &[u8; SECRET_BYTES]) -> KeyId {
    let hash = Sha256::new().chain_update(b"sidekey master key id\0").chain_update(secret).finalize();
    let [a, b, c, d, ..] = <[u8; 32]>::from(hash);
    KeyId([a, b, c, d])
}

/// Why text is no keyring. Nothing of the text is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// There is no key in it.
    #[error("there is no master key in it")]
    Empty,
    /// A line has another form.
    #[error("line {line} is no master key: expected `skm1:<8 hex digits>:<43 base64url characters>`")]
    Malformed {
        /// Counted from 1.
        line: usize,
    },
    /// Key and id do not belong together.
    #[error("line {line}: key and key id do not belong together, a character may be mistyped")]
    WrongId {
        /// Counted from 1.
        line: usize,
    },
    /// The same key again.
    #[error("line {line}: key `{id}` stands there a second time")]
    Twice {
        /// Counted from 1.
        line: usize,
        /// The key.
        id: KeyId,
    },
    /// More keys than anybody rotates.
    #[error("there are more than {limit} master keys")]
    TooMany {
        /// Most keys.
        limit: usize,
    },
}
