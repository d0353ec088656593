//! Why a key URI is refused.

use core::fmt;

use super::{MAX_ACCOUNT_BYTES, MAX_BYTES, MAX_ISSUER_BYTES};
use crate::{
    secret::SecretError,
    totp::{Digits, Period},
};

/// Why a text is no key URI, or why none can be built. It holds nothing of the text, which holds a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUriError {
    /// Longer than [`MAX_BYTES`].
    TooLong,
    /// It begins with neither `otpauth://` nor `apple-otpauth://`.
    Scheme,
    /// The type is neither `totp` nor `hotp`.
    Type,
    /// The type is `hotp`: counter-based codes (RFC 4226) are not supported.
    Hotp,
    /// A character that a URI cannot have unencoded, a broken percent-encoding, or one that is not UTF-8.
    Encoding,
    /// A parameter without name or `=`.
    Parameter,
    /// A parameter stands twice.
    Duplicate,
    /// There is no `secret`.
    NoSecret,
    /// The secret is not base32 or has a length outside its limits.
    Secret(SecretError),
    /// The algorithm is none of `SHA1`, `SHA256` and `SHA512`.
    Algorithm,
    /// The number of digits is not 6 to 8.
    Digits,
    /// The period is not 15 to 120 seconds.
    Period,
    /// The label's prefix names another issuer than the parameter.
    IssuerMismatch,
    /// The issuer is empty, too long, or has a colon or a control character.
    Issuer,
    /// The account is empty, too long, or has a control character, or a colon that no issuer stands before.
    Account,
}

impl KeyUriError {
    /// What programs branch on; it stays when the sentence changes.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLong => "URI_TOO_LONG",
            Self::Scheme => "URI_SCHEME",
            Self::Type => "URI_TYPE",
            Self::Hotp => "HOTP_UNSUPPORTED",
            Self::Encoding => "URI_ENCODING",
            Self::Parameter => "URI_PARAMETER",
            Self::Duplicate => "URI_DUPLICATE_PARAMETER",
            Self::NoSecret => "SECRET_MISSING",
            Self::Secret(SecretError::TooShort) => "SECRET_TOO_SHORT",
            Self::Secret(SecretError::TooLong) => "SECRET_TOO_LONG",
            Self::Secret(SecretError::NotBase32) => "SECRET_NOT_BASE32",
            Self::Algorithm => "ALGORITHM_UNKNOWN",
            Self::Digits => "DIGITS_OUT_OF_RANGE",
            Self::Period => "PERIOD_OUT_OF_RANGE",
            Self::IssuerMismatch => "ISSUER_MISMATCH",
            Self::Issuer => "ISSUER_INVALID",
            Self::Account => "ACCOUNT_INVALID",
        }
    }
}

impl KeyUriError {
    /// The part that is wrong, by its name in a [`crate::config::Config`]; `None` where it is the URI as a whole.
    pub const fn field(self) -> Option<&'static str> {
        match self {
            Self::NoSecret | Self::Secret(_) => Some("secret"),
            Self::Algorithm => Some("algorithm"),
            Self::Digits => Some("digits"),
            Self::Period => Some("period"),
            Self::Issuer | Self::IssuerMismatch => Some("issuer"),
            Self::Account => Some("account"),
            Self::TooLong
            | Self::Scheme
            | Self::Type
            | Self::Hotp
            | Self::Encoding
            | Self::Parameter
            | Self::Duplicate => None,
        }
    }
}

impl fmt::Display for KeyUriError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(formatter, "the key URI is longer than {MAX_BYTES} bytes"),
            Self::Scheme => formatter.write_str("a key URI begins with `otpauth://` or `apple-otpauth://`"),
            Self::Type => formatter.write_str("the type of a key URI is `totp`"),
            Self::Hotp => formatter.write_str("counter-based codes (`hotp`) are not supported"),
            Self::Encoding => {
                formatter.write_str("the key URI has a character that is not properly percent-encoded")
            }
            Self::Parameter => formatter.write_str("a parameter of the key URI has no name or no value"),
            Self::Duplicate => formatter.write_str("a parameter of the key URI stands twice"),
            Self::NoSecret => formatter.write_str("the key URI has no `secret`"),
            Self::Secret(error) => error.fmt(formatter),
            Self::Algorithm => formatter.write_str("the algorithm is none of `SHA1`, `SHA256` and `SHA512`"),
            Self::Digits => write!(formatter, "a code has {} to {} digits", Digits::MIN, Digits::MAX),
            Self::Period => write!(formatter, "a period lasts {} to {} seconds", Period::MIN, Period::MAX),
            Self::IssuerMismatch => {
                formatter.write_str("the issuer before the account is not the one of the parameter `issuer`")
            }
            Self::Issuer => write!(
                formatter,
                "an issuer has 1 to {MAX_ISSUER_BYTES} bytes, no colon and no control character"
            ),
            Self::Account => write!(
                formatter,
                "an account has 1 to {MAX_ACCOUNT_BYTES} bytes, no control character, and no colon unless there is an issuer"
            ),
        }
    }
}

impl core::error::Error for KeyUriError {}

impl From<SecretError> for KeyUriError {
    fn from(error: SecretError) -> Self {
        Self::Secret(error)
    }
}
