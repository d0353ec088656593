//! What a login has proved, and what its tokens may say of it (RFC 8176, RFC 9470).

use crate::{id::LoginId, time::UnixTime};

/// `acr` of a login with a second factor: our own name, because TOTP alone is no AAL2 (NIST SP 800-63B-4 §2.2.2).
pub const ACR_TWO_FACTORS: &str = "urn:sidekey:acr:2fa";
/// `acr` of a login without a second factor.
pub const ACR_ONE_FACTOR: &str = "urn:sidekey:acr:1fa";
/// How old a second factor may be that adds, confirms or removes a device, in seconds.
pub const FRESH: u64 = 600;

/// How a second factor was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Method {
    /// A TOTP code.
    Otp,
    /// A backup code, which is never called `otp`.
    BackupCode,
}

/// A second factor that was given, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SecondFactor {
    /// How.
    pub method: Method,
    /// When: the `auth_time` of every token of this login. No refresh moves it.
    pub at: UnixTime,
}

impl SecondFactor {
    /// The `amr` of an access token (RFC 8176): `mfa` only where a second factor was given.
    pub const fn amr(factor: Option<Self>) -> &'static [&'static str] {
        match factor {
            None => &[],
            Some(Self { method: Method::Otp, .. }) => &["otp", "mfa"],
            Some(Self { method: Method::BackupCode, .. }) => &["backup_code", "mfa"],
        }
    }

    /// The `acr` of an access token.
    pub const fn acr(factor: Option<Self>) -> &'static str {
        if factor.is_some() { ACR_TWO_FACTORS } else { ACR_ONE_FACTOR }
    }

    /// Whether it is at most that many seconds old; without a number, any age will do.
    pub fn is_within(self, max_age: Option<u64>, now: UnixTime) -> bool {
        max_age.is_none_or(|max_age| now.since(self.at) <= max_age)
    }

    /// The second factor that the claims of an access token tell of, if they do.
    pub fn from_claims(amr: &[String], auth_time: Option<UnixTime>) -> Option<Self> {
        let says = |name: &str| amr.iter().any(|entry| entry == name);
        let method = if says("otp") { Method::Otp } else { Method::BackupCode };
        auth_time.filter(|_| says("mfa")).map(|at| Self { method, at })
    }
}

/// A login that succeeded: what its tokens are made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The login, `sid` of its tokens.
    pub login: LoginId,
    /// Its second factor, if there was one.
    pub second_factor: Option<SecondFactor>,
    /// Whether its refresh tokens live longer.
    pub remember_me: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_code_is_never_called_otp() {
        let at = UnixTime::from_secs(1);
        let of = |method| SecondFactor::amr(Some(SecondFactor { method, at }));
        assert_eq!(of(Method::Otp), ["otp", "mfa"]);
        assert_eq!(of(Method::BackupCode), ["backup_code", "mfa"]);
        assert!(SecondFactor::amr(None).is_empty());
    }

    #[test]
    fn any_second_factor_makes_the_login_one_with_two() {
        for method in [Method::Otp, Method::BackupCode] {
            let factor = SecondFactor { method, at: UnixTime::from_secs(1) };
            assert_eq!(SecondFactor::acr(Some(factor)), "urn:sidekey:acr:2fa");
        }
        assert_eq!(SecondFactor::acr(None), "urn:sidekey:acr:1fa");
    }

    #[test]
    fn claims_are_read_back_as_they_were_written() {
        for method in [Method::Otp, Method::BackupCode] {
            let factor = Some(SecondFactor { method, at: UnixTime::from_secs(9) });
            let amr: Vec<String> = SecondFactor::amr(factor).iter().map(ToString::to_string).collect();
            assert_eq!(SecondFactor::from_claims(&amr, Some(UnixTime::from_secs(9))), factor);
            assert_eq!(SecondFactor::from_claims(&amr, None), None);
        }
        assert_eq!(SecondFactor::from_claims(&["otp".into()], Some(UnixTime::from_secs(9))), None);
    }
}
