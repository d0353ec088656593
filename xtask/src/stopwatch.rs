//! Time taken by a step, for people.

#![expect(clippy::disallowed_methods, reason = "the task runner's only reader of the clock")]

use std::fmt;
use std::time::{Duration, Instant};

/// Runs from its making.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start, printed as `0.4 s`, `12 s` or `3 min 05 s`.
    pub(crate) fn elapsed(&self) -> Elapsed {
        Elapsed(self.0.elapsed())
    }
}

pub(crate) struct Elapsed(Duration);

impl fmt::Display for Elapsed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            0..10 => write!(formatter, "{:.1} s", self.0.as_secs_f64()),
            seconds @ 10..60 => write!(formatter, "{seconds} s"),
            seconds => write!(formatter, "{} min {:02} s", seconds / 60, seconds % 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_told_in_the_unit_that_fits() {
        let told = |milliseconds| Elapsed(Duration::from_millis(milliseconds)).to_string();
        assert_eq!(told(440), "0.4 s");
        assert_eq!(told(59_900), "59 s");
        assert_eq!(told(185_000), "3 min 05 s");
    }
}
