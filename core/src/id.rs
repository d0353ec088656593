//! Names of things: parsed once at the edge, opaque afterwards.

use core::fmt;

use data_encoding::HEXLOWER;
use rand_core::CryptoRng;

/// A name that does not keep to its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidName(&'static str);

impl fmt::Display for InvalidName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl core::error::Error for InvalidName {}

/// Declares a text type that is parsed once and read-only afterwards.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $rule:expr, $sentence:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(try_from = "String", into = "String"))]
        pub struct $name(String);

        parsed! { $name, $rule, $sentence }
    };
}

/// What such a type can do.
macro_rules! parsed {
    ($name:ident, $rule:expr, $sentence:literal) => {
        impl $name {
            /// Takes a text that keeps to the form above.
            ///
            /// # Errors
            /// Any other text.
            pub fn parse(text: &str) -> Result<Self, InvalidName> {
                let rule: fn(&str) -> bool = $rule;
                if rule(text) { Ok(Self(text.to_owned())) } else { Err(InvalidName($sentence)) }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

/// The tenant of the operators of the server itself. [`AppId::parse`] never gives it, so that no application, key, call, import or
/// rule can reach their accounts.
const OPERATORS: &str = "_operators";

/// A host application, the tenant: 1 to 64 characters of `a-z`, `0-9`, `-` and `_`, but not the reserved `_operators`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(into = "String"))]
pub struct AppId(String);

parsed! {
    AppId,
    |text| (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
        && text != OPERATORS,
    "an app id has 1 to 64 characters of a-z, 0-9, - and _, and is not the reserved _operators"
}

impl AppId {
    /// The reserved id under which the second factors of the server's own operators are kept.
    pub fn operators() -> Self {
        Self(OPERATORS.to_owned())
    }
}

/// The reserved id is read where records are, which are binary, and never in what people and programs write.
#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for AppId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let is_written = deserializer.is_human_readable();
        let text = <String as serde::Deserialize>::deserialize(deserializer)?;
        if !is_written && text == OPERATORS {
            return Ok(Self::operators());
        }
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

name! {
    /// A user as the host application names it: 1 to 255 bytes, opaque, without control characters.
    UserId,
    |text| (1..=255).contains(&text.len()) && !text.chars().any(char::is_control),
    "must have 1 to 255 bytes and no control characters"
}

name! {
    /// What people and authenticators see of an account, often an address: 1 to 255 bytes without control characters.
    AccountName,
    |text| (1..=255).contains(&text.len()) && !text.chars().any(char::is_control),
    "must have 1 to 255 bytes and no control characters"
}

name! {
    /// What a user calls a device: 1 to 100 characters, not only blanks, without control characters.
    DeviceName,
    |text| (1..=100).contains(&text.chars().count()) && !text.trim().is_empty() && !text.chars().any(char::is_control),
    "must have 1 to 100 characters and no control characters"
}

name! {
    /// What an application calls an action that its users approve: 1 to 64 characters of `A-Z`, `a-z`, `0-9`, `.`, `_`, `:` and `-`.
    ActionName,
    |text| (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-')),
    "must have 1 to 64 characters of A-Z, a-z, 0-9, ., _, : and -"
}

name! {
    /// What an action is done to, as its user reads it: 1 to 255 bytes without control characters.
    Resource,
    |text| (1..=255).contains(&text.len()) && !text.chars().any(char::is_control),
    "must have 1 to 255 bytes and no control characters"
}

impl DeviceName {
    /// The name of a device that nobody named: `Authenticator`, and with its number from the second on.
    pub(crate) fn numbered(number: usize) -> Self {
        Self(if number == 1 { "Authenticator".to_owned() } else { format!("Authenticator {number}") })
    }
}

/// Declares a random identifier of 128 bits, written as 32 lower-case hex digits.
macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub struct $name([u8; 16]);

        impl $name {
            /// A fresh one.
            pub fn generate(rng: &mut impl CryptoRng) -> Self {
                let mut bytes = [0; 16];
                rng.fill_bytes(&mut bytes);
                Self(bytes)
            }

            /// Reads the written form; anything else is nobody's name.
            pub fn parse(text: &str) -> Option<Self> {
                HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
            }

            /// The identifier with these bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Its bytes, for storage keys and additional data.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}({self})", stringify!($name))
            }
        }
    };
}

random_id! {
    /// A device.
    DeviceId
}

random_id! {
    /// A login: the family of refresh tokens, the `sid` of its access tokens, or the session that an enrolment token came from.
    LoginId
}

random_id! {
    /// A browser that is trusted.
    BrowserId
}

random_id! {
    /// One life of an account. A new one is drawn whenever everything that was given out before must be dead: when 2FA is
    /// turned off, when a user is erased, after a restore.
    Incarnation
}

impl Incarnation {
    /// Another value for each number, the same one for 0.
    pub(crate) fn numbered(self, number: u64) -> Self {
        Self((u128::from_be_bytes(self.0) ^ u128::from(number)).to_be_bytes())
    }
}

/// One user of one app. Two apps with the same user id share nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AccountId {
    /// The tenant.
    pub app: AppId,
    /// Its user.
    pub user: UserId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_to_their_form() {
        assert!(AppId::parse("shop-2_eu").is_ok());
        for bad in ["", "Shop", "shop/eu", "a b", &"a".repeat(65), "_operators"] {
            assert!(AppId::parse(bad).is_err(), "{bad}");
        }
        assert!(UserId::parse("ü/../%00 whatever").is_ok());
        for bad in ["", "a\nb", "a\u{7f}", &"é".repeat(128)] {
            assert!(UserId::parse(bad).is_err(), "{bad:?}");
        }
        assert!(DeviceName::parse(&"é".repeat(100)).is_ok());
        assert!(DeviceName::parse(&"é".repeat(101)).is_err());
        assert!(DeviceName::parse("   ").is_err());
    }

    #[test]
    fn random_ids_are_read_in_their_written_form_only() {
        let id = DeviceId::from_bytes([0xab; 16]);
        assert_eq!(DeviceId::parse(&id.to_string()), Some(id));
        for bad in ["", "ab", &id.to_string().to_uppercase(), &format!("{id}00")] {
            assert_eq!(DeviceId::parse(bad), None);
        }
    }
}
