//! Reading a key URI.

use zeroize::Zeroizing;

use super::{KeyUri, KeyUriError, MAX_BYTES, algorithm_named, percent::decode};
use crate::{
    base32,
    secret::{Secret, SecretError},
    totp::{Digits, Period, TotpParams},
};

impl KeyUri {
    /// Reads a key URI, under either [`super::Scheme`]. Algorithm, digits and period have the format's defaults where they are absent: `SHA1`, 6 and 30.
    /// Parameters of other names are vendors' own and count for nothing.
    ///
    /// # Errors
    /// Whatever is not exactly a key URI for time-based codes; each reason has its own [`KeyUriError`].
    pub fn parse(text: &str) -> Result<Self, KeyUriError> {
        if text.len() > MAX_BYTES {
            return Err(KeyUriError::TooLong);
        }
        let rest = strip_prefix_of_any_case(text, "otpauth://")
            .or_else(|| strip_prefix_of_any_case(text, "apple-otpauth://"))
            .ok_or(KeyUriError::Scheme)?;
        let (hierarchy, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (kind, label) = hierarchy.split_once('/').unwrap_or((hierarchy, ""));
        if kind.eq_ignore_ascii_case("hotp") {
            return Err(KeyUriError::Hotp);
        }
        if !kind.eq_ignore_ascii_case("totp") {
            return Err(KeyUriError::Type);
        }

        let parameters = Parameters::parse(query)?;
        let secret = read_secret(parameters.secret.as_deref().ok_or(KeyUriError::NoSecret)?)?;
        let params = parameters.totp()?;
        let (prefix, account) = split_label(label)?;
        // A prefix is an issuer of its own right and has to be a valid one, also where the parameter is there to compare.
        let prefixed = match prefix {
            Some(prefix) => Some(super::checked_issuer(&prefix)?),
            None => None,
        };
        let issuer = match (&parameters.issuer, prefixed) {
            (Some(issuer), Some(prefix)) if issuer.trim() != prefix => {
                return Err(KeyUriError::IssuerMismatch);
            }
            (Some(issuer), _) => Some(issuer.trim().to_owned()),
            (None, prefix) => prefix,
        };
        Self::new(issuer.as_deref(), &account, secret, params)
    }
}

/// The parameters that mean something, decoded and not yet judged.
#[derive(Default)]
struct Parameters {
    secret: Option<Zeroizing<String>>,
    issuer: Option<Zeroizing<String>>,
    algorithm: Option<Zeroizing<String>>,
    digits: Option<Zeroizing<String>>,
    period: Option<Zeroizing<String>>,
}

impl Parameters {
    fn parse(query: &str) -> Result<Self, KeyUriError> {
        let mut parameters = Self::default();
        if query.is_empty() {
            return Ok(parameters);
        }
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').ok_or(KeyUriError::Parameter)?;
            let (name, value) = (decode(name)?, decode(value)?);
            // A name of the wrong case is not taken for a vendor's own: `Digits=8` left aside would give wrong codes.
            let slot = match name.to_ascii_lowercase().as_str() {
                "" => return Err(KeyUriError::Parameter),
                "secret" => &mut parameters.secret,
                "issuer" => &mut parameters.issuer,
                "algorithm" => &mut parameters.algorithm,
                "digits" => &mut parameters.digits,
                "period" => &mut parameters.period,
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(KeyUriError::Duplicate);
            }
        }
        Ok(parameters)
    }

    fn totp(&self) -> Result<TotpParams, KeyUriError> {
        let mut params = TotpParams::default();
        if let Some(name) = &self.algorithm {
            params.algorithm = algorithm_named(name)?;
        }
        if let Some(text) = &self.digits {
            params.digits =
                plain_number(text).and_then(|n| Digits::new(n).ok()).ok_or(KeyUriError::Digits)?;
        }
        if let Some(text) = &self.period {
            params.period =
                plain_number(text).and_then(|n| Period::new(n).ok()).ok_or(KeyUriError::Period)?;
        }
        Ok(params)
    }
}

/// `label = accountname / issuer (":" / "%3A") *"%20" accountname`: the issuer, if there is one, and the account.
///
/// A literal colon separates even where an encoded one stands before it, so that a colon within the account comes through.
fn split_label(label: &str) -> Result<(Option<String>, String), KeyUriError> {
    if let Some((prefix, account)) = label.split_once(':') {
        return Ok((Some(decode(prefix)?.to_string()), decode(account)?.to_string()));
    }
    let label = decode(label)?;
    Ok(match label.split_once(':') {
        Some((prefix, account)) => (Some(prefix.to_owned()), account.to_owned()),
        None => (None, label.to_string()),
    })
}

/// Base32 as a URI has it: none of the blanks and hyphens that people may type, padding only at the end.
fn read_secret(text: &str) -> Result<Secret, KeyUriError> {
    let bytes = base32::decode(text.trim_end_matches('=')).ok_or(SecretError::NotBase32)?;
    Ok(Secret::from_bytes(bytes)?)
}

/// A decimal number without sign, blank or leading zero.
fn plain_number(text: &str) -> Option<u8> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    if plain { text.parse().ok() } else { None }
}

pub(crate) fn strip_prefix_of_any_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}
