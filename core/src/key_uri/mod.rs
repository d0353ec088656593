//! Key URIs, `otpauth://totp/…`: what a QR code tells an authenticator.
//!
//! The format has no standard; its description is
//! <https://github.com/google/google-authenticator/wiki/Key-Uri-Format>. Where it leaves a choice, the URIs built here are
//! what most authenticators read:
//!
//! - The issuer stands both before the account (`Issuer:account`) and as a parameter: `FreeOTP` shows only the former, Google
//!   Authenticator wants the latter and both equal (<https://github.com/Spomky-Labs/otphp/pull/47>).
//! - `algorithm`, `digits` and `period` are written even where they are the defaults. Some readers demand them
//!   (<https://github.com/apptension/onetimepass/issues/77>) and some have other defaults
//!   (<https://github.com/mdp/rotp/pull/146>); a reader that does not know them ignores them. They cost one QR version.
//! - The algorithm is in upper case, which Google Authenticator on iOS insists on.
//! - A blank is `%20`. `+` means itself, in both directions: authenticators are no readers of web forms.
//! - `@` stays as it is, like in the description's examples; everything else outside RFC 3986's unreserved characters is
//!   percent-encoded.
//! - An issuer has no colon. One in an account is written `%3A` after the `:` that ends the issuer; the description forbids
//!   it, `FreeOTP` refuses it (<https://github.com/jazzband/django-two-factor-auth/issues/768>), and an account without an
//!   issuer cannot have one.
//!
//! Reading is strict: a parameter misread shows up as codes that are never right, so what is doubtful is refused.

mod error;
pub(crate) mod parse;
pub(crate) mod percent;

#[cfg(test)]
mod tests;

use zeroize::Zeroizing;

pub use self::error::KeyUriError;
use self::percent::encode_into;
use crate::{
    base32,
    secret::Secret,
    totp::{Algorithm, TotpParams},
};

/// The most bytes of a key URI that is read. Those built here are shorter: 1,700 bytes at most.
pub const MAX_BYTES: usize = 2048;
/// The most bytes of an issuer, in UTF-8.
pub const MAX_ISSUER_BYTES: usize = 100;
/// The most bytes of an account name, in UTF-8.
pub const MAX_ACCOUNT_BYTES: usize = 255;

/// Who opens a key URI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// `otpauth`: every authenticator.
    #[default]
    Otpauth,
    /// `apple-otpauth`: Apple's own password manager, whatever else is installed. It wants a domain as issuer, which
    /// [`crate::compat`] warns of
    /// (<https://developer.apple.com/documentation/authenticationservices/securing-logins-with-icloud-keychain-verification-codes>).
    AppleOtpauth,
}

impl Scheme {
    /// The scheme with this name.
    ///
    /// # Errors
    /// [`KeyUriError::Scheme`] for any other name.
    pub fn named(name: &str) -> Result<Self, KeyUriError> {
        [Self::Otpauth, Self::AppleOtpauth]
            .into_iter()
            .find(|scheme| scheme.name() == name)
            .ok_or(KeyUriError::Scheme)
    }

    /// Its name in front of `://`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Otpauth => "otpauth",
            Self::AppleOtpauth => "apple-otpauth",
        }
    }
}

/// What a key URI says. Issuer and account are trimmed, without control characters and within their limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUri {
    issuer: Option<String>,
    account: String,
    secret: Secret,
    params: TotpParams,
}

impl KeyUri {
    /// The key URI of `account` at `issuer`, both without the blanks around them.
    ///
    /// # Errors
    /// [`KeyUriError::Issuer`] for an issuer that is empty, has a colon or a control character, or is longer than
    /// [`MAX_ISSUER_BYTES`]; [`KeyUriError::Account`] for an account that is empty, has a control character, or a colon while
    /// there is no issuer, or is longer than [`MAX_ACCOUNT_BYTES`].
    pub fn new(
        issuer: Option<&str>,
        account: &str,
        secret: Secret,
        params: TotpParams,
    ) -> Result<Self, KeyUriError> {
        let issuer = issuer.map(checked_issuer).transpose()?;
        let account = checked_account(account, issuer.is_some())?;
        Ok(Self { issuer, account, secret, params })
    }

    /// Who issued the secret.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Whose secret it is.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The shared secret.
    pub const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Algorithm, digits and period.
    pub const fn params(&self) -> TotpParams {
        self.params
    }

    /// The URI as text. It holds the secret: whoever calls this keeps it out of logs and errors, which is why there is no
    /// `Display`.
    pub fn to_string(&self) -> Zeroizing<String> {
        self.to_string_under(Scheme::Otpauth)
    }

    /// The URI as text, under this scheme.
    pub fn to_string_under(&self, scheme: Scheme) -> Zeroizing<String> {
        // Never grows, since growing would leave a copy of the secret behind.
        let mut uri = Zeroizing::new(String::with_capacity(MAX_BYTES));
        uri.push_str(scheme.name());
        uri.push_str("://totp/");
        if let Some(issuer) = &self.issuer {
            encode_into(&mut uri, issuer);
            uri.push(':');
        }
        encode_into(&mut uri, &self.account);
        uri.push_str("?secret=");
        uri.push_str(&base32::encode(self.secret.expose()));
        if let Some(issuer) = &self.issuer {
            uri.push_str("&issuer=");
            encode_into(&mut uri, issuer);
        }
        uri.push_str("&algorithm=");
        uri.push_str(self.params.algorithm.name());
        uri.push_str("&digits=");
        uri.push_str(&self.params.digits.count().to_string());
        uri.push_str("&period=");
        uri.push_str(&self.params.period.seconds().to_string());
        uri
    }
}

/// The algorithm with this name in key URIs, in any case; never a guess.
///
/// # Errors
/// [`KeyUriError::Algorithm`] for any other name, MD5 and spellings such as `SHA-1` among them.
pub fn algorithm_named(name: &str) -> Result<Algorithm, KeyUriError> {
    [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512]
        .into_iter()
        .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
        .ok_or(KeyUriError::Algorithm)
}

pub(crate) fn checked_issuer(issuer: &str) -> Result<String, KeyUriError> {
    let issuer = issuer.trim();
    let fits = !issuer.is_empty()
        && issuer.len() <= MAX_ISSUER_BYTES
        && !issuer.contains(|c: char| c == ':' || c.is_control());
    if fits { Ok(issuer.to_owned()) } else { Err(KeyUriError::Issuer) }
}

pub(crate) fn checked_account(account: &str, has_issuer: bool) -> Result<String, KeyUriError> {
    let account = account.trim();
    let fits = !account.is_empty()
        && account.len() <= MAX_ACCOUNT_BYTES
        && !account.contains(char::is_control)
        && (has_issuer || !account.contains(':'));
    if fits { Ok(account.to_owned()) } else { Err(KeyUriError::Account) }
}
