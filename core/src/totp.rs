//! Time-based one-time passwords (RFC 6238) on `totp-rs`: parameters as types, and a check that gives the matched step.

use core::fmt;

use crate::{code::Code, secret::Secret, time::Step};

/// The hash function of the HMAC (RFC 6238 §1.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Algorithm {
    /// HMAC-SHA-1, the only one that every authenticator honours.
    #[default]
    Sha1,
    /// HMAC-SHA-256.
    Sha256,
    /// HMAC-SHA-512.
    Sha512,
}

impl Algorithm {
    /// Its name in key URIs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
        }
    }

    const fn of_library(self) -> totp_rs::Algorithm {
        match self {
            Self::Sha1 => totp_rs::Algorithm::SHA1,
            Self::Sha256 => totp_rs::Algorithm::SHA256,
            Self::Sha512 => totp_rs::Algorithm::SHA512,
        }
    }
}

/// A parameter is outside its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange;

impl fmt::Display for OutOfRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "a code has {} to {} digits and a period of {} to {} seconds",
            Digits::MIN,
            Digits::MAX,
            Period::MIN,
            Period::MAX
        )
    }
}

impl core::error::Error for OutOfRange {}

/// How many digits a code has: 6 to 8 (RFC 4226 §5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "u8", into = "u8")
)]
pub struct Digits(u8);

impl Digits {
    /// The fewest digits.
    pub const MIN: u8 = 6;
    /// The most digits.
    pub const MAX: u8 = 8;

    /// # Errors
    /// A count outside 6 to 8.
    pub const fn new(count: u8) -> Result<Self, OutOfRange> {
        if count >= Self::MIN && count <= Self::MAX { Ok(Self(count)) } else { Err(OutOfRange) }
    }

    /// The number of digits.
    pub const fn count(self) -> u8 {
        self.0
    }
}

impl Default for Digits {
    fn default() -> Self {
        Self(6)
    }
}

impl TryFrom<u8> for Digits {
    type Error = OutOfRange;

    fn try_from(count: u8) -> Result<Self, OutOfRange> {
        Self::new(count)
    }
}

impl From<Digits> for u8 {
    fn from(digits: Digits) -> Self {
        digits.0
    }
}

/// How long a step lasts: 15 to 120 seconds (`X` in RFC 6238 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "u8", into = "u8")
)]
pub struct Period(u8);

impl Period {
    /// The shortest period in seconds.
    pub const MIN: u8 = 15;
    /// The longest period in seconds.
    pub const MAX: u8 = 120;

    /// # Errors
    /// A period outside 15 to 120 seconds.
    pub const fn new(seconds: u8) -> Result<Self, OutOfRange> {
        if seconds >= Self::MIN && seconds <= Self::MAX { Ok(Self(seconds)) } else { Err(OutOfRange) }
    }

    /// Its length in seconds, never zero.
    pub const fn seconds(self) -> u64 {
        self.0 as u64
    }
}

impl Default for Period {
    fn default() -> Self {
        Self(30)
    }
}

impl TryFrom<u8> for Period {
    type Error = OutOfRange;

    fn try_from(seconds: u8) -> Result<Self, OutOfRange> {
        Self::new(seconds)
    }
}

impl From<Period> for u8 {
    fn from(period: Period) -> Self {
        period.0
    }
}

/// What an authenticator and its verifier agree on besides the secret. The default, SHA-1 with 6 digits and 30 seconds,
/// is what every authenticator honours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TotpParams {
    /// The hash function.
    pub algorithm: Algorithm,
    /// The number of digits.
    pub digits: Digits,
    /// The length of a step.
    pub period: Period,
}

/// The code of one step.
pub fn code_at(secret: &Secret, params: TotpParams, step: Step) -> String {
    generator(secret, params).generate(step.starts_at(params.period).as_secs()).to_string()
}

/// The step among `candidates` whose code this is, if any; the candidates are tried in the order given.
///
/// Giving back the step and not a `bool` is what lets the caller refuse a replay: it keeps the step and passes only later
/// ones next time (RFC 6238 §5.2). Each comparison takes constant time.
pub fn matching_step(
    secret: &Secret,
    params: TotpParams,
    code: &Code,
    candidates: impl IntoIterator<Item = Step>,
) -> Option<Step> {
    if !code.has(params.digits) {
        return None;
    }
    let generator = generator(secret, params);
    candidates
        .into_iter()
        .find(|step| generator.check(code.expose(), step.starts_at(params.period).as_secs()).is_some())
}

fn generator(secret: &Secret, params: TotpParams) -> totp_rs::Totp {
    // `build` would repeat checks that the types have made: digits, period and the length of the secret.
    totp_rs::Builder::new()
        .with_algorithm(params.algorithm.of_library())
        .with_digits(params.digits.count())
        .with_step_duration(params.period.seconds())
        .with_skew(0)
        .with_secret(Box::<[u8]>::from(secret.expose()))
        .build_noncompliant()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret::from_bytes(b"12345678901234567890".to_vec()).unwrap()
    }

    #[test]
    fn only_the_candidates_are_tried() {
        let (secret, params) = (secret(), TotpParams::default());
        let code = Code::parse(&code_at(&secret, params, Step::new(100))).unwrap();
        let around = |from: u64, to: u64| (from..=to).map(Step::new);
        assert_eq!(matching_step(&secret, params, &code, around(99, 101)), Some(Step::new(100)));
        assert_eq!(matching_step(&secret, params, &code, around(101, 103)), None);
        assert_eq!(matching_step(&secret, params, &code, around(97, 99)), None);
    }

    #[test]
    fn a_code_of_another_length_is_never_right() {
        let (secret, params) = (secret(), TotpParams::default());
        let eight = TotpParams { digits: Digits::new(8).unwrap(), ..params };
        let code = Code::parse(&code_at(&secret, eight, Step::new(1))).unwrap();
        assert_eq!(matching_step(&secret, params, &code, [Step::new(1)]), None);
        assert_eq!(matching_step(&secret, eight, &code, [Step::new(1)]), Some(Step::new(1)));
    }

    #[cfg(feature = "serde")]
    #[test]
    fn parameters_are_kept_and_never_taken_for_others() {
        for digits in 0..=255_u8 {
            let read = serde_json::from_str::<Digits>(&digits.to_string()).ok();
            assert_eq!(read.map(Digits::count), (6..=8).contains(&digits).then_some(digits));
        }
        for seconds in 0..=255_u8 {
            let read = serde_json::from_str::<Period>(&seconds.to_string()).ok();
            assert_eq!(read.map(Period::seconds), (15..=120).contains(&seconds).then_some(seconds.into()));
        }
        let message = serde_json::from_str::<Digits>("9").unwrap_err().to_string();
        assert_eq!(message, "a code has 6 to 8 digits and a period of 15 to 120 seconds");
        let (digits, period) = (Digits::new(7).unwrap(), Period::new(60).unwrap());
        assert_eq!(serde_json::to_string(&(digits, period)).unwrap(), "[7,60]");
    }

    #[test]
    fn far_steps_do_not_overflow() {
        let (secret, params) = (secret(), TotpParams::default());
        assert_eq!(code_at(&secret, params, Step::new(u64::MAX)).len(), 6);
    }
}
