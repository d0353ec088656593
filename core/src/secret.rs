//! The shared secret of a device (RFC 4226 §4, R6): one type that never shows itself.

use core::fmt;

use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::base32;

/// The fewest bytes that a secret may have: 128 bits (RFC 4226 R6).
pub const MIN_BYTES: usize = 16;
/// The most bytes that a secret may have: no HMAC here takes more than its block of 128.
pub const MAX_BYTES: usize = 128;
/// The length of secrets made here: 160 bits, as RFC 4226 R6 recommends.
pub const DEFAULT_BYTES: usize = 20;

/// A shared secret: wiped when dropped, compared in constant time, redacted in `Debug`, never serialised.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

/// Why bytes or text are no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretError {
    /// Fewer than [`MIN_BYTES`] bytes.
    TooShort,
    /// More than [`MAX_BYTES`] bytes.
    TooLong,
    /// Not base32 (RFC 4648 §6).
    NotBase32,
}

impl Secret {
    /// A fresh secret of [`DEFAULT_BYTES`] bytes.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = vec![0; DEFAULT_BYTES].into_boxed_slice();
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The secret with these bytes.
    ///
    /// # Errors
    /// Fewer than [`MIN_BYTES`] or more than [`MAX_BYTES`] bytes.
    pub fn from_bytes(bytes: impl Into<Zeroizing<Vec<u8>>>) -> Result<Self, SecretError> {
        let bytes: Zeroizing<Vec<u8>> = bytes.into();
        match bytes.len() {
            0..MIN_BYTES => Err(SecretError::TooShort),
            MIN_BYTES..=MAX_BYTES => Ok(Self(bytes.as_slice().into())),
            _ => Err(SecretError::TooLong),
        }
    }

    /// The secret that base32 text stands for (RFC 4648 §6): any case, with or without padding, blanks and hyphens between groups.
    ///
    /// # Errors
    /// Text that is not base32, or a length outside [`MIN_BYTES`] to [`MAX_BYTES`].
    pub fn from_base32(text: &str) -> Result<Self, SecretError> {
        let folded: Zeroizing<String> = Zeroizing::new(
            text.trim_end_matches('=')
                .chars()
                .filter(|c| !matches!(c, ' ' | '-'))
                .map(|c| c.to_ascii_uppercase())
                .collect(),
        );
        let bytes = base32::decode(&folded).ok_or(SecretError::NotBase32)?;
        Self::from_bytes(bytes)
    }

    /// Base32 without padding, as key URIs and people use it.
    pub fn to_base32(&self) -> Zeroizing<String> {
        base32::encode(&self.0)
    }

    /// The bytes themselves, for sealing and for HMAC. Whoever calls this keeps them out of logs and errors.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(redacted)")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Display for SecretError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => write!(formatter, "the secret is shorter than {MIN_BYTES} bytes"),
            Self::TooLong => write!(formatter, "the secret is longer than {MAX_BYTES} bytes"),
            Self::NotBase32 => formatter.write_str("the secret is not base32"),
        }
    }
}

impl core::error::Error for SecretError {}

/// A secret in groups of four, as people read and type it.
pub fn grouped(base32: &str) -> String {
    let mut out = String::with_capacity(base32.len() + base32.len() / 4);
    for (index, character) in base32.chars().filter(|c| !c.is_whitespace()).enumerate() {
        if index > 0 && index % 4 == 0 {
            out.push(' ');
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_is_read_as_people_type_it() {
        let typed = Secret::from_base32("gezd gnbv-GY3T QOJQ GEZD GNBV GY3T QOJQ").unwrap();
        assert_eq!(typed.expose(), b"12345678901234567890");
        assert_eq!(typed.to_base32().as_str(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(grouped(&typed.to_base32()), "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
    }

    #[test]
    fn text_that_is_not_base32_is_refused_and_never_taken_for_raw_bytes() {
        assert_eq!(Secret::from_base32("12345678901234567890"), Err(SecretError::NotBase32));
        assert_eq!(Secret::from_base32("GEZDGNBV"), Err(SecretError::TooShort));
        assert_eq!(Secret::from_bytes(vec![7; 129]), Err(SecretError::TooLong));
    }

    #[test]
    fn debug_shows_nothing_of_it() {
        let secret = Secret::from_bytes(vec![7; 20]).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(redacted)");
    }
}
