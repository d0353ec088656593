//! Why an export, or one account of it, is refused.

use core::fmt;

use super::MAX_BYTES;
use crate::key_uri::KeyUriError;

/// Why a text is no migration URI. It holds nothing of the text, which holds secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationError {
    /// Longer than [`MAX_BYTES`].
    TooLong,
    /// It does not begin with `otpauth-migration://offline?`.
    Scheme,
    /// There is not exactly one parameter `data`, or it is no base64.
    Data,
    /// The data is not what Google Authenticator writes.
    Payload,
}

impl MigrationError {
    /// What programs branch on; it stays when the sentence changes.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLong => "MIGRATION_TOO_LONG",
            Self::Scheme => "MIGRATION_SCHEME",
            Self::Data => "MIGRATION_DATA",
            Self::Payload => "MIGRATION_PAYLOAD",
        }
    }
}

impl fmt::Display for MigrationError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(formatter, "the migration URI is longer than {MAX_BYTES} bytes"),
            Self::Scheme => formatter.write_str("a migration URI begins with `otpauth-migration://offline?`"),
            Self::Data => formatter.write_str("a migration URI has one parameter `data`, in base64"),
            Self::Payload => formatter.write_str("the data of the migration URI is damaged"),
        }
    }
}

impl core::error::Error for MigrationError {}

/// Why an account of an export cannot be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its codes are counter-based (RFC 4226), which is not supported.
    Hotp,
    /// It does not say that its codes are time-based.
    Type,
    /// Its algorithm is MD5, another one that is not known here, or not named.
    Algorithm,
    /// It does not say whether codes have six or eight digits.
    Digits,
    /// Its secret, issuer or name is not one that a key URI can have.
    Part(KeyUriError),
}

impl Refusal {
    /// What programs branch on; it stays when the sentence changes.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Hotp => KeyUriError::Hotp.code(),
            Self::Type => "TYPE_UNKNOWN",
            Self::Algorithm => KeyUriError::Algorithm.code(),
            Self::Digits => "DIGITS_UNKNOWN",
            Self::Part(error) => error.code(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hotp => KeyUriError::Hotp.fmt(formatter),
            Self::Type => formatter.write_str("the account does not say that its codes are time-based"),
            Self::Algorithm => KeyUriError::Algorithm.fmt(formatter),
            Self::Digits => {
                formatter.write_str("the account does not say whether its codes have 6 or 8 digits")
            }
            Self::Part(error) => error.fmt(formatter),
        }
    }
}

impl core::error::Error for Refusal {}
