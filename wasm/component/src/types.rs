//! What several interfaces share, from and to core's.

use sidekey_core::{
    config,
    key_uri::{self, KeyUri},
    secret, totp,
};

use crate::bindings::exports::sidekey::core::types::{
    Algorithm, Config, KeyUriError, Parts, Scheme, SecretError,
};

impl Config {
    /// The same in core's words; core judges it.
    pub(crate) fn as_core(&self) -> config::Config<'_> {
        config::Config {
            secret: &self.secret,
            issuer: self.issuer.as_deref(),
            account: self.account.as_deref(),
            algorithm: self.algorithm.map(|algorithm| totp::Algorithm::from(algorithm).name()),
            digits: self.digits,
            period: self.period,
        }
    }
}

impl From<KeyUri> for Parts {
    fn from(uri: KeyUri) -> Self {
        let params = uri.params();
        Self {
            secret: uri.secret().to_base32().to_string(),
            issuer: uri.issuer().map(str::to_owned),
            account: uri.account().to_owned(),
            algorithm: params.algorithm.into(),
            digits: u8::from(params.digits).into(),
            period: u8::from(params.period).into(),
        }
    }
}

impl From<Algorithm> for totp::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha1 => Self::Sha1,
            Algorithm::Sha256 => Self::Sha256,
            Algorithm::Sha512 => Self::Sha512,
        }
    }
}

impl From<totp::Algorithm> for Algorithm {
    fn from(algorithm: totp::Algorithm) -> Self {
        match algorithm {
            totp::Algorithm::Sha1 => Self::Sha1,
            totp::Algorithm::Sha256 => Self::Sha256,
            totp::Algorithm::Sha512 => Self::Sha512,
        }
    }
}

impl From<Scheme> for key_uri::Scheme {
    fn from(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Otpauth => Self::Otpauth,
            Scheme::AppleOtpauth => Self::AppleOtpauth,
        }
    }
}

impl From<secret::SecretError> for SecretError {
    fn from(error: secret::SecretError) -> Self {
        match error {
            secret::SecretError::TooShort => Self::TooShort,
            secret::SecretError::TooLong => Self::TooLong,
            secret::SecretError::NotBase32 => Self::NotBase32,
        }
    }
}

impl From<key_uri::KeyUriError> for KeyUriError {
    fn from(error: key_uri::KeyUriError) -> Self {
        use key_uri::KeyUriError as Core;
        match error {
            Core::TooLong => Self::TooLong,
            Core::Scheme => Self::Scheme,
            Core::Type => Self::Kind,
            Core::Hotp => Self::Hotp,
            Core::Encoding => Self::Encoding,
            Core::Parameter => Self::Parameter,
            Core::Duplicate => Self::Duplicate,
            Core::NoSecret => Self::NoSecret,
            Core::Secret(error) => Self::Secret(error.into()),
            Core::Algorithm => Self::Algorithm,
            Core::Digits => Self::Digits,
            Core::Period => Self::Period,
            Core::IssuerMismatch => Self::IssuerMismatch,
            Core::Issuer => Self::Issuer,
            Core::Account => Self::Account,
        }
    }
}
