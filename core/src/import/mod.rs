//! Users who come from another product, with the devices and recovery codes that they had there.
//!
//! - this file: [`ImportedUser`], whatever it was read from, and what is left out of it and why;
//! - [`code_form`]: what is done to a recovery code of another product before it is hashed here.
//!
//! What an account makes of it is a rule of [`crate::account`]: [`Account::import`](crate::account::Account::import).

pub mod code_form;

use core::fmt;

use crate::{
    id::{AccountName, DeviceName, UserId},
    key_uri::{KeyUri, KeyUriError},
    migration,
    secret::{Secret, SecretError},
    time::{Step, UnixTime},
    totp::TotpParams,
};

pub use code_form::{CodeForm, CodesRefusal, Fold, MAX_CODES, RecoveryCodes, ReducedCode, Typing};

/// The most bytes that the secret of an imported device may have: the length of RFC 6238's longest (Appendix B, SHA-512). An
/// account of so many devices and codes as there can be fits into one record with it.
pub const MAX_SECRET_BYTES: usize = 64;

/// A user of another product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedUser {
    /// The host application's name for the user.
    pub user: UserId,
    /// What people see of the account.
    pub account_name: Option<AccountName>,
    /// The devices that can be taken over, the oldest first.
    pub devices: Vec<ImportedDevice>,
    /// Why each of the others cannot.
    pub left_out: Vec<DeviceRefusal>,
    /// The recovery codes that can be taken over.
    pub recovery: Option<RecoveryCodes>,
    /// Why those that there are cannot.
    pub recovery_left_out: Option<CodesRefusal>,
}

/// A device of another product, whose secret its owner has in an authenticator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedDevice {
    /// What its owner called it.
    pub name: Option<DeviceName>,
    /// The shared secret.
    pub secret: Secret,
    /// Its parameters.
    pub params: TotpParams,
    /// When it was made.
    pub created_at: Option<UnixTime>,
    /// When it last logged its owner in.
    pub last_used_at: Option<UnixTime>,
    /// The last step that was accepted from it.
    pub last_step: Option<Step>,
    /// Whether it is the primary one; without any, the first is.
    pub is_primary: bool,
}

/// Why a device cannot be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceRefusal {
    /// Fewer bytes than RFC 4226 R6 demands.
    SecretTooShort,
    /// More than [`MAX_SECRET_BYTES`] bytes.
    SecretTooLong,
    /// The secret cannot be read: wrong text, or not decrypted.
    SecretUnreadable,
    /// Counter-based (RFC 4226): such codes are not judged here.
    Hotp,
    /// Something else than one-time passwords by time.
    OtherKind,
    /// A hash function that is not known here.
    Algorithm,
    /// A number of digits that codes do not have here.
    Digits,
    /// A period that steps do not have here.
    Period,
    /// Its owner never confirmed it there.
    Unconfirmed,
    /// It was turned off there.
    Disabled,
    /// Its steps are counted from another moment than 1970.
    Start,
    /// It is no key URI, for a reason that none of the others names.
    KeyUri(KeyUriError),
    /// It is the same as another one of the user.
    Twice,
    /// The user has too many.
    TooMany,
}

impl ImportedUser {
    /// A user with nothing yet.
    pub fn new(user: UserId) -> Self {
        Self {
            user,
            account_name: None,
            devices: Vec::new(),
            left_out: Vec::new(),
            recovery: None,
            recovery_left_out: None,
        }
    }

    /// Adds a device, or why it is left out.
    pub fn add(&mut self, device: Result<ImportedDevice, DeviceRefusal>) {
        match device {
            Ok(device) => self.devices.push(device),
            Err(refusal) => self.left_out.push(refusal),
        }
    }

    /// Takes recovery codes, or why they are left out.
    pub fn recover_with(&mut self, codes: Result<RecoveryCodes, CodesRefusal>) {
        match codes {
            Ok(codes) => self.recovery = Some(codes),
            Err(refusal) => self.recovery_left_out = Some(refusal),
        }
    }
}

impl ImportedDevice {
    /// A device of which nothing else is known.
    ///
    /// # Errors
    /// The secret is too long.
    pub fn new(secret: Secret, params: TotpParams) -> Result<Self, DeviceRefusal> {
        if secret.expose().len() > MAX_SECRET_BYTES {
            return Err(DeviceRefusal::SecretTooLong);
        }
        Ok(Self {
            name: None,
            secret,
            params,
            created_at: None,
            last_used_at: None,
            last_step: None,
            is_primary: false,
        })
    }

    /// The device that a key URI tells of. Its label names no device, only an account.
    ///
    /// # Errors
    /// It is no key URI of a device that can be taken over.
    pub fn of_key_uri(text: &str) -> Result<Self, DeviceRefusal> {
        let uri = KeyUri::parse(text)?;
        Self::new(uri.secret().clone(), uri.params())
    }
}

impl From<SecretError> for DeviceRefusal {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::TooShort => Self::SecretTooShort,
            SecretError::TooLong => Self::SecretTooLong,
            SecretError::NotBase32 => Self::SecretUnreadable,
        }
    }
}

impl From<KeyUriError> for DeviceRefusal {
    fn from(error: KeyUriError) -> Self {
        match error {
            KeyUriError::Hotp => Self::Hotp,
            KeyUriError::Type => Self::OtherKind,
            KeyUriError::Secret(error) => error.into(),
            KeyUriError::Algorithm => Self::Algorithm,
            KeyUriError::Digits => Self::Digits,
            KeyUriError::Period => Self::Period,
            other => Self::KeyUri(other),
        }
    }
}

impl From<migration::Refusal> for DeviceRefusal {
    fn from(refusal: migration::Refusal) -> Self {
        match refusal {
            migration::Refusal::Hotp => Self::Hotp,
            migration::Refusal::Type => Self::OtherKind,
            migration::Refusal::Algorithm => Self::Algorithm,
            migration::Refusal::Digits => Self::Digits,
            migration::Refusal::Part(error) => error.into(),
        }
    }
}

impl fmt::Display for DeviceRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::SecretTooShort => "the secret is shorter than 16 bytes",
            Self::SecretTooLong => "the secret is longer than 64 bytes",
            Self::SecretUnreadable => "the secret cannot be read",
            Self::Hotp => "counter-based codes (HOTP) are not supported",
            Self::OtherKind => "it is no device for one-time passwords by time",
            Self::Algorithm => "the algorithm is none of SHA1, SHA256 and SHA512",
            Self::Digits => "a code has 6 to 8 digits",
            Self::Period => "a period has 15 to 120 seconds",
            Self::Unconfirmed => "it was never confirmed",
            Self::Disabled => "it was turned off",
            Self::Start => "its steps are not counted from 1970",
            Self::KeyUri(error) => return error.fmt(formatter),
            Self::Twice => "the user has it twice",
            Self::TooMany => "the user has too many devices",
        })
    }
}

impl core::error::Error for DeviceRefusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_uri_is_a_device_or_says_why_not() {
        let device = ImportedDevice::of_key_uri(
            "otpauth://totp/Shop:ann?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Shop&digits=8",
        )
        .unwrap();
        assert_eq!(device.secret.expose(), b"12345678901234567890");
        assert_eq!((device.params.digits.count(), device.name, device.last_step), (8, None, None));
        for (uri, refusal) in [
            ("otpauth://hotp/ann?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&counter=1", DeviceRefusal::Hotp),
            ("otpauth://totp/ann?secret=GEZDGNBV", DeviceRefusal::SecretTooShort),
            ("otpauth://totp/ann?secret=1", DeviceRefusal::SecretUnreadable),
            ("otpauth://totp/ann?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&period=5", DeviceRefusal::Period),
            ("otpauth://totp/ann?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&digits=10", DeviceRefusal::Digits),
            (
                "otpauth://totp/ann?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&algorithm=MD5",
                DeviceRefusal::Algorithm,
            ),
            ("otpauth://totp/ann", DeviceRefusal::KeyUri(KeyUriError::NoSecret)),
        ] {
            assert_eq!(ImportedDevice::of_key_uri(uri), Err(refusal), "{uri}");
        }
        let long = Secret::from_bytes(vec![7; MAX_SECRET_BYTES + 1]).unwrap();
        assert_eq!(ImportedDevice::new(long, TotpParams::default()), Err(DeviceRefusal::SecretTooLong));
    }

    #[test]
    fn a_refusal_shows_nothing_of_what_is_refused() {
        let secret = Secret::from_bytes(b"12345678901234567890".to_vec()).unwrap();
        let mut user = ImportedUser::new(UserId::parse("42").unwrap());
        user.add(ImportedDevice::new(secret, TotpParams::default()));
        user.add(Err(DeviceRefusal::Hotp));
        user.recover_with(RecoveryCodes::new(CodeForm::Text(Typing::ANY_SEPARATORS), ["abcde-fghij"]));
        let shown = format!("{user:?}");
        assert!(!shown.contains("12345") && !shown.contains("abcde"), "{shown}");
        assert_eq!((user.devices.len(), &user.left_out[..]), (1, &[DeviceRefusal::Hotp][..]));
    }
}
