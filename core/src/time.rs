//! Points in time as the rules see them: whole Unix seconds and TOTP time steps.

use crate::totp::Period;

/// Seconds since 1970-01-01T00:00:00Z, always an argument of a rule and never read here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct UnixTime(u64);

impl UnixTime {
    /// A time from whole seconds since the Unix epoch.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Whole seconds since the Unix epoch.
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// The time `seconds` later; the end of time stays the end of time.
    #[must_use]
    pub const fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds that have passed since `earlier`, zero if that lies in the future.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A TOTP time step: `T = floor(time / period)` (RFC 6238 §4.2), in 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Step(u64);

impl Step {
    /// The step with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The step that `time` lies in.
    pub fn at(time: UnixTime, period: Period) -> Self {
        Self(time.as_secs() / period.seconds())
    }

    /// The step's number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The step directly after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The step directly before this one; the first step has itself before it.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The first second of this step.
    pub fn starts_at(self, period: Period) -> UnixTime {
        UnixTime(self.0.saturating_mul(period.seconds()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_lasts_from_its_first_second_to_the_one_before_the_next() {
        let period = Period::default();
        assert_eq!(Step::at(UnixTime::from_secs(59), period), Step::new(1));
        assert_eq!(Step::at(UnixTime::from_secs(60), period), Step::new(2));
        assert_eq!(Step::new(2).starts_at(period), UnixTime::from_secs(60));
    }

    #[test]
    fn time_never_wraps() {
        assert_eq!(UnixTime::from_secs(5).since(UnixTime::from_secs(9)), 0);
        assert_eq!(UnixTime::from_secs(u64::MAX).plus(1).as_secs(), u64::MAX);
        assert_eq!(Step::new(0).previous(), Step::new(0));
    }
}
