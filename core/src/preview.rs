//! The code that an authenticator shows right now, for pages that let people compare. Nothing is judged by it.

use crate::{
    secret::Secret,
    text::grouped_code,
    time::{Step, UnixTime},
    totp::{TotpParams, code_at},
};

/// The last millisecond that a clock may show: the end of ECMAScript's time values (ECMA-262 §21.4.1.1).
const LAST_MILLISECOND: u64 = 8_640_000_000_000_000;

/// A code and the time in which it is valid, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, PartialEq, Eq)]
pub struct Preview {
    /// The digits.
    pub code: String,
    /// The digits in two groups, as people read them.
    pub display: String,
    /// The time step (RFC 6238 §4.2).
    pub step: Step,
    /// When the code begins to be valid.
    pub valid_from: u64,
    /// When the next code takes over: the first millisecond at which this one is not valid.
    pub valid_until: u64,
    /// Milliseconds from now to `valid_until`: at least 1, and the whole period in the first millisecond.
    pub remaining: u64,
}

impl Preview {
    /// The code at `now`, in milliseconds since 1970-01-01T00:00:00Z; times after the year 275,760 count as its end.
    pub fn at(secret: &Secret, params: TotpParams, now: u64) -> Self {
        let now = now.min(LAST_MILLISECOND);
        let step = Step::at(UnixTime::from_secs(now / 1_000), params.period);
        let code = code_at(secret, params, step);
        let valid_until = step.next().starts_at(params.period).as_secs() * 1_000;
        Self {
            display: grouped_code(&code),
            code,
            step,
            valid_from: step.starts_at(params.period).as_secs() * 1_000,
            valid_until,
            remaining: valid_until - now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::totp::Period;

    fn at(now: u64) -> Preview {
        let secret = Secret::from_bytes(b"12345678901234567890".to_vec()).unwrap();
        Preview::at(&secret, TotpParams::default(), now)
    }

    #[test]
    fn a_code_lasts_from_its_first_millisecond_to_the_one_before_the_next() {
        let first = at(30_000);
        assert_eq!((first.step, first.valid_from, first.valid_until), (Step::new(1), 30_000, 60_000));
        assert_eq!((first.code.as_str(), first.display.as_str()), ("287082", "287 082"));
        assert_eq!(first.remaining, 30_000);

        let last = at(59_999);
        assert_eq!((last.step, last.remaining), (Step::new(1), 1));
        assert!(last.code == first.code);

        let next = at(60_000);
        assert_eq!((next.step, next.remaining), (Step::new(2), 30_000));
        assert!(next.code != first.code);
    }

    #[test]
    fn another_period_moves_the_borders() {
        let secret = Secret::from_bytes(vec![1; 20]).unwrap();
        let params = TotpParams { period: Period::new(45).unwrap(), ..TotpParams::default() };
        let preview = Preview::at(&secret, params, 89_001);
        assert_eq!((preview.valid_from, preview.valid_until, preview.remaining), (45_000, 90_000, 999));
    }

    #[test]
    fn the_end_of_time_is_no_overflow() {
        assert!(at(u64::MAX).remaining > 0);
        assert!(at(u64::MAX).code == at(LAST_MILLISECOND).code);
    }
}
