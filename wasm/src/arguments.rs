//! What JavaScript gives: every number is a `f64` there, and may be anything.

use sidekey_core::{
    config::Config,
    key_uri::Scheme,
    qr::{DEFAULT_SCALE, Level, MAX_SCALE},
};

use crate::failure::Failure;

/// The parts of a configuration besides its secret.
pub(crate) struct Parts {
    pub(crate) issuer: Option<String>,
    pub(crate) account: Option<String>,
    pub(crate) algorithm: Option<String>,
    pub(crate) digits: Option<f64>,
    pub(crate) period: Option<f64>,
}

impl Parts {
    /// The configuration with this secret, for core to judge.
    pub(crate) fn config<'a>(&'a self, secret: &'a str) -> Config<'a> {
        // What is no whole number is out of every range, as the largest one is.
        let count = |value: f64| whole(value).and_then(|value| u32::try_from(value).ok()).unwrap_or(u32::MAX);
        Config {
            secret,
            issuer: self.issuer.as_deref(),
            account: self.account.as_deref(),
            algorithm: self.algorithm.as_deref(),
            digits: self.digits.map(count),
            period: self.period.map(count),
        }
    }
}

pub(crate) fn scheme(name: &str) -> Result<Scheme, Failure> {
    Scheme::named(name).map_err(|_| Failure::argument("scheme", "the scheme is `otpauth` or `apple-otpauth`"))
}

pub(crate) fn level(name: &str) -> Result<Level, Failure> {
    Level::named(name).map_err(|error| Failure::argument("level", &error.to_string()))
}

/// The side of a module in pixels.
pub(crate) fn scale(value: Option<f64>) -> Result<u8, Failure> {
    let Some(value) = value else { return Ok(DEFAULT_SCALE) };
    let scale = whole(value).and_then(|value| u8::try_from(value).ok());
    scale
        .filter(|scale| (1..=MAX_SCALE).contains(scale))
        .ok_or_else(|| Failure::argument("scale", "the scale is a whole number from 1 to 32"))
}

/// A point in time, of whose fractions of a millisecond nothing is left.
pub(crate) fn milliseconds(value: f64) -> Result<u64, Failure> {
    whole(value.floor())
        .ok_or_else(|| Failure::argument("atMs", "a time is a number of milliseconds since 1970"))
}

/// The integer that a JavaScript number is, up to the largest that it can tell from its neighbours (`MAX_SAFE_INTEGER`).
fn whole(value: f64) -> Option<u64> {
    const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;
    let safe = (0.0..=MAX_SAFE_INTEGER).contains(&value) && value.fract() == 0.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number within 53 bits"
    )]
    safe.then_some(value as u64)
}
