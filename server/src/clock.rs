//! The only place that reads ambient time; everything else takes it as an argument.
#![allow(clippy::disallowed_methods, reason = "this is the one reader of time that clippy.toml names")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use sidekey_core::time::UnixTime;

/// The server's clock: the system's time plus an offset that only grows. It never shows an earlier time than it has shown,
/// nor one before the store's latest decision ([`Clock::not_before`]): a clock that goes back would make expired things
/// valid again. It stands instead until the system's time has caught up. Clones share all of that.
///
/// The offset is zero except in development mode, where the clock control endpoint moves it.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    base: Base,
    /// Seconds added to the base, see [`Clock::advance`].
    offset: AtomicU64,
    /// The latest time that was shown, in seconds since 1970.
    shown: AtomicU64,
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
        Self(Arc::new(Inner { base, offset: AtomicU64::new(0), shown: AtomicU64::new(0) }))
    }

    /// The time now in whole seconds, offset included. A system clock before 1970 reads as 1970.
    pub fn now(&self) -> UnixTime {
        let read = self.read().as_secs();
        UnixTime::from_secs(self.0.shown.fetch_max(read, Ordering::Relaxed).max(read))
    }

    /// From now on no time before `floor` is shown; how many seconds the clock is behind it, and so will stand.
    pub fn not_before(&self, floor: UnixTime) -> u64 {
        self.0.shown.fetch_max(floor.as_secs(), Ordering::Relaxed);
        floor.since(self.read())
    }

    /// Moves the clock on to `floor` if it is behind, so that it runs on from there: for development mode, where tests
    /// advance the clock and start the server again. How many seconds that were.
    pub fn catch_up(&self, floor: UnixTime) -> u64 {
        let seconds = self.not_before(floor);
        self.advance(seconds);
        seconds
    }

    /// How many seconds the system's time is behind the time that is shown: 0, unless it was set back.
    pub fn behind(&self) -> u64 {
        self.now().since(self.read())
    }

    fn read(&self) -> UnixTime {
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
    fn a_clock_behind_the_store_stands_until_it_has_caught_up() {
        let clock = Clock::standing(UnixTime::from_secs(1_000));
        assert_eq!(clock.not_before(UnixTime::from_secs(1_060)), 60);
        assert_eq!((clock.now(), clock.behind()), (UnixTime::from_secs(1_060), 60));
        assert_eq!(clock.advance(59), UnixTime::from_secs(1_060));
        assert_eq!(clock.advance(2), UnixTime::from_secs(1_061));
        assert_eq!((clock.not_before(UnixTime::from_secs(1_000)), clock.behind()), (0, 0));
    }

    #[test]
    fn in_development_a_clock_behind_the_store_runs_on_from_there() {
        let clock = Clock::standing(UnixTime::from_secs(1_000));
        assert_eq!(clock.catch_up(UnixTime::from_secs(1_060)), 60);
        assert_eq!(clock.advance(1), UnixTime::from_secs(1_061));
        assert_eq!(clock.catch_up(UnixTime::from_secs(900)), 0);
        assert_eq!(clock.now(), UnixTime::from_secs(1_061));
    }

    #[test]
    fn a_time_that_was_shown_is_not_taken_back() {
        let clock = Clock::standing(UnixTime::from_secs(1_000));
        clock.0.shown.store(2_000, Ordering::Relaxed);
        assert_eq!(clock.clone().now(), UnixTime::from_secs(2_000));
    }

    #[test]
    fn the_system_clock_is_past_the_year_this_was_written() {
        assert!(Clock::system().now() > UnixTime::from_secs(1_760_000_000));
    }
}
