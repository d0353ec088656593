//! The only place that reads ambient time; everything else takes it as an argument.
#![allow(clippy::disallowed_methods, reason = "this is the one reader of time that clippy.toml names")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use sidekey_core::time::UnixTime;

/// The server's clock: the system's time plus an offset that only grows. Clones share the offset.
///
/// The offset is zero except in development mode, where the clock control endpoint moves it.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    base: Base,
    /// Seconds added to the base, see [`Clock::advance`].
    offset: AtomicU64,
}

#[derive(Debug)]
enum Base {
    System,
    Standing(UnixTime),
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::on(Base::System)
    }

    /// A clock that stands at `start` and moves by [`Clock::advance`] alone, for tests.
    pub fn standing(start: UnixTime) -> Self {
        Self::on(Base::Standing(start))
    }

    fn on(base: Base) -> Self {
        Self(Arc::new(Inner { base, offset: AtomicU64::new(0) }))
    }

    /// The time now in whole seconds, offset included. A system clock before 1970 reads as 1970.
    pub fn now(&self) -> UnixTime {
        let base = match self.0.base {
            Base::System => UnixTime::from_secs(
                SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            ),
            Base::Standing(start) => start,
        };
        base.plus(self.0.offset.load(Ordering::Relaxed))
    }

    /// Moves this clock and all its clones forward by `seconds` and returns the new time. There is no way back:
    /// used codes and ended sessions would come alive again.
    pub fn advance(&self, seconds: u64) -> UnixTime {
        let add = |offset: u64| Some(offset.saturating_add(seconds));
        // The closure never refuses, so neither does the update.
        let _ = self.0.offset.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        self.now()
    }

    /// A point on the monotonic clock, for measuring durations. The offset does not touch it.
    pub fn instant() -> Instant {
        Instant::now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advancing_moves_every_clone_forward() {
        let clock = Clock::standing(UnixTime::from_secs(1_000));
        let clone = clock.clone();
        assert_eq!(clock.advance(30), UnixTime::from_secs(1_030));
        assert_eq!(clone.now(), UnixTime::from_secs(1_030));
    }

    #[test]
    fn an_absurd_offset_stops_at_the_end_of_time() {
        let clock = Clock::standing(UnixTime::from_secs(1_000));
        clock.advance(u64::MAX);
        assert_eq!(clock.advance(1), UnixTime::from_secs(u64::MAX));
    }

    #[test]
    fn the_system_clock_is_past_the_year_this_was_written() {
        assert!(Clock::system().now() > UnixTime::from_secs(1_760_000_000));
    }
}
