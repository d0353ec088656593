//! Passwords of operators: read once, kept as Argon2id hashes.
//!
//! At least [`MIN_CHARS`] characters, whatever they are (NIST SP 800-63B-4 §3.1.1.2: length counts, rules of composition do not); it
//! is never the only factor.

use std::fmt;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::OperatorName;
use crate::backup_code_hash::{BackupCodeHasher, HashError};
use crate::entropy::random;

/// Shortest password, in characters.
pub const MIN_CHARS: usize = 12;
/// Longest password, in bytes.
const MAX_BYTES: usize = 1_024;

/// A password as it was typed: wiped on drop, never shown.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Password(Zeroizing<String>);

/// A text that cannot be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a password has at least {MIN_CHARS} characters, at most {MAX_BYTES} bytes, and no line breaks")]
pub struct InvalidPassword;

impl Password {
    /// Takes a text that may be a password.
    ///
    /// # Errors
    /// It is too short, too long, or has control characters.
    pub fn parse(text: &str) -> Result<Self, InvalidPassword> {
        let fits = text.chars().count() >= MIN_CHARS
            && text.len() <= MAX_BYTES
            && !text.chars().any(char::is_control);
        if fits { Ok(Self(Zeroizing::new(text.to_owned()))) } else { Err(InvalidPassword) }
    }

    /// What somebody has typed to sign in, whether it can be one or not: the answer is to take as long for everything. What is too long
    /// is cut, and so no password.
    pub fn attempt(text: &str) -> Self {
        let end = (0..=MAX_BYTES + 4).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        Self(Zeroizing::new(text.get(..end).unwrap_or_default().to_owned()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl TryFrom<String> for Password {
    type Error = InvalidPassword;

    fn try_from(text: String) -> Result<Self, InvalidPassword> {
        Self::parse(&Zeroizing::new(text))
    }
}

/// It leaves the process on the control socket, on its way to the server, and nowhere else.
impl Serialize for Password {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl Eq for Password {}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(…)")
    }
}

/// What is kept of a password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordHash {
    salt: [u8; 16],
    hash: [u8; 32],
}

impl PasswordHash {
    /// The hash of a new password.
    ///
    /// # Errors
    /// Too many hashes wait already, or the computation failed.
    pub async fn of(
        hasher: &BackupCodeHasher,
        operator: &OperatorName,
        password: &Password,
    ) -> Result<Self, HashError> {
        let salt = random();
        let hash = hasher.password().await?.password_hash(operator.as_str(), salt, password.clone()).await?;
        Ok(Self { salt, hash })
    }

    /// The hash of what somebody typed under the salt of this one; without one, under none, which takes as long.
    ///
    /// # Errors
    /// Too many hashes wait already, or the computation failed.
    pub async fn attempt(
        kept: Option<&Self>,
        hasher: &BackupCodeHasher,
        operator: &str,
        typed: Password,
    ) -> Result<Self, HashError> {
        let salt = kept.map(|kept| kept.salt).unwrap_or_default();
        let hash = hasher.password().await?.password_hash(operator, salt, typed).await?;
        Ok(Self { salt, hash })
    }

    /// Whether both are of one password, in a time that does not tell where they differ.
    pub fn is(&self, other: &Self) -> bool {
        (self.salt.ct_eq(&other.salt) & self.hash.ct_eq(&other.hash)).into()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PasswordHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_long_and_its_text_is_shown_nowhere() {
        let password = Password::parse("correct horse").unwrap();
        assert_eq!(format!("{password:?}"), "Password(…)");
        for bad in ["short", "eleven char", "with a\nline break", &"x".repeat(1_025)] {
            assert_eq!(Password::parse(bad), Err(InvalidPassword), "{bad}");
        }
        assert!(Password::parse("äöüäöüäöüäöü").is_ok());
        assert!(Password::attempt(&"é".repeat(2_000)).as_bytes().len() > MAX_BYTES);
    }
}
