//! A one-time password as a caller in another language describes it. Both skins of the browser module read what they are
//! given into this, so that neither has defaults or limits of its own.

use crate::{
    key_uri::{KeyUri, KeyUriError, algorithm_named},
    secret::Secret,
    totp::{Digits, Period, TotpParams},
};

/// Texts and numbers that nobody has judged yet. There is no `Debug`: one of them is the secret.
#[derive(Clone, Copy, Default)]
pub struct Config<'a> {
    /// Base32, however a person typed it.
    pub secret: &'a str,
    /// Who issued the secret; an empty one is as good as none.
    pub issuer: Option<&'a str>,
    /// Whose secret it is. Only a key URI needs it.
    pub account: Option<&'a str>,
    /// `SHA1`, `SHA256` or `SHA512`, in any case; `SHA1` where it is left out.
    pub algorithm: Option<&'a str>,
    /// 6 to 8; 6 where it is left out.
    pub digits: Option<u32>,
    /// 15 to 120 seconds; 30 where it is left out.
    pub period: Option<u32>,
}

impl<'a> Config<'a> {
    /// The secret.
    ///
    /// # Errors
    /// [`KeyUriError::NoSecret`] where it is empty, [`KeyUriError::Secret`] where it is none.
    pub fn secret(&self) -> Result<Secret, KeyUriError> {
        if self.secret.is_empty() {
            return Err(KeyUriError::NoSecret);
        }
        Ok(Secret::from_base32(self.secret)?)
    }

    /// Algorithm, digits and period.
    ///
    /// # Errors
    /// [`KeyUriError::Algorithm`], [`KeyUriError::Digits`] or [`KeyUriError::Period`].
    pub fn params(&self) -> Result<TotpParams, KeyUriError> {
        let usual = TotpParams::default();
        let small = |value: u32| u8::try_from(value).ok();
        Ok(TotpParams {
            algorithm: self.algorithm.map_or(Ok(usual.algorithm), algorithm_named)?,
            digits: self.digits.map_or(Ok(usual.digits), |count| {
                small(count).and_then(|count| Digits::new(count).ok()).ok_or(KeyUriError::Digits)
            })?,
            period: self.period.map_or(Ok(usual.period), |seconds| {
                small(seconds).and_then(|seconds| Period::new(seconds).ok()).ok_or(KeyUriError::Period)
            })?,
        })
    }

    /// The issuer, unless there is none.
    pub fn issuer(&self) -> Option<&'a str> {
        self.issuer.filter(|issuer| !issuer.is_empty())
    }

    /// The key URI.
    ///
    /// # Errors
    /// Whatever part is missing or wrong.
    pub fn key_uri(&self) -> Result<KeyUri, KeyUriError> {
        let account = self.account.ok_or(KeyUriError::Account)?;
        KeyUri::new(self.issuer(), account, self.secret()?, self.params()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{secret::SecretError, totp::Algorithm};

    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn what_is_left_out_has_the_usual_value() {
        let config = Config { secret: SECRET, account: Some("ann"), issuer: Some(""), ..Config::default() };
        let uri = config.key_uri().unwrap();
        assert_eq!((uri.issuer(), uri.account(), uri.params()), (None, "ann", TotpParams::default()));
    }

    #[test]
    fn nothing_is_adjusted() {
        let usual = Config { secret: SECRET, account: Some("ann"), ..Config::default() };
        let error = |config: Config<'_>| config.key_uri().unwrap_err();
        assert_eq!(error(Config { secret: "", ..usual }), KeyUriError::NoSecret);
        assert_eq!(error(Config { secret: "MZXW6", ..usual }), KeyUriError::Secret(SecretError::TooShort));
        assert_eq!(error(Config { account: None, ..usual }), KeyUriError::Account);
        assert_eq!(error(Config { algorithm: Some("MD5"), ..usual }), KeyUriError::Algorithm);
        for digits in [0, 5, 9, 262] {
            assert_eq!(error(Config { digits: Some(digits), ..usual }), KeyUriError::Digits);
        }
        for period in [0, 14, 121, 286] {
            assert_eq!(error(Config { period: Some(period), ..usual }), KeyUriError::Period);
        }
        let other = Config { algorithm: Some("sha512"), digits: Some(8), period: Some(60), ..usual };
        assert_eq!(other.params().unwrap().algorithm, Algorithm::Sha512);
    }
}
