//! How long answers took, minute by minute, since this process was started.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sidekey_core::time::UnixTime;
use sketches_ddsketch::{Config, DDSketch};

/// Minutes that are remembered.
pub const MINUTES: usize = 60;

/// Answers of the last [`MINUTES`] minutes. Only the minute that is under way has a sketch, of some kilobytes; of the others the
/// quantiles are kept.
#[derive(Default)]
pub struct Latency(Mutex<Ring>);

struct Ring {
    minute: u64,
    sketch: DDSketch,
    past: VecDeque<Minute>,
}

/// A minute in which something was answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Minute {
    /// When it began.
    pub begins: UnixTime,
    /// How many answers there were.
    pub answers: usize,
    /// Half of them took no longer; correct to one in a hundred, as the others.
    pub p50: Duration,
    /// 95 of a hundred took no longer.
    pub p95: Duration,
    /// 99 of a hundred took no longer.
    pub p99: Duration,
}

impl Default for Ring {
    fn default() -> Self {
        Self { minute: 0, sketch: DDSketch::new(Config::defaults()), past: VecDeque::new() }
    }
}

impl Latency {
    /// Something was answered at `now`, and it took so long.
    pub fn note(&self, now: UnixTime, took: Duration) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.begin(minute_of(now));
        ring.sketch.add(took.as_secs_f64());
    }

    /// The minutes before `now` in which something was answered, oldest first, the one that is under way last.
    pub fn recent(&self, now: UnixTime) -> Vec<Minute> {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.begin(minute_of(now));
        let under_way = ring.summary();
        ring.past.iter().copied().chain(under_way).collect()
    }
}

impl Ring {
    /// Ends the minute before, if there was one. Time does not go back: [`Clock`](crate::clock::Clock) sees to that.
    fn begin(&mut self, minute: u64) {
        if minute == self.minute {
            return;
        }
        self.past.extend(self.summary());
        self.sketch = DDSketch::new(Config::defaults());
        self.minute = minute;
        let first = minute.saturating_sub(MINUTES as u64 - 1);
        self.past.retain(|past| minute_of(past.begins) >= first);
    }

    fn summary(&self) -> Option<Minute> {
        let quantile = |q| self.sketch.quantile(q).ok().flatten().map(Duration::from_secs_f64);
        Some(Minute {
            begins: UnixTime::from_secs(self.minute.saturating_mul(60)),
            answers: self.sketch.count(),
            p50: quantile(0.5)?,
            p95: quantile(0.95)?,
            p99: quantile(0.99)?,
        })
    }
}

fn minute_of(at: UnixTime) -> u64 {
    at.as_secs() / 60
}

impl fmt::Debug for Latency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Latency(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_790_000_040);

    #[test]
    fn a_minute_tells_its_quantiles_to_one_in_a_hundred() {
        let latency = Latency::default();
        (1..=1_000).for_each(|number| latency.note(NOW, Duration::from_micros(number)));
        let recent = latency.recent(NOW);
        let Minute { answers, p50, p95, p99, begins } = recent[0];
        assert_eq!((recent.len(), answers, begins.as_secs() % 60), (1, 1_000, 0));
        for (quantile, exact) in [(p50, 500_f64), (p95, 950_f64), (p99, 990_f64)] {
            let found = quantile.as_secs_f64() * 1e6;
            assert!((found / exact - 1.0).abs() < 0.012, "{found} of {exact}");
        }
    }

    #[test]
    fn an_hour_of_minutes_is_remembered_and_no_more() {
        let latency = Latency::default();
        for minute in 0..200 {
            latency.note(NOW.plus(minute * 60), Duration::from_millis(minute + 1));
        }
        let now = NOW.plus(199 * 60);
        let recent = latency.recent(now);
        assert_eq!(
            (recent.len(), recent[59].begins),
            (MINUTES, UnixTime::from_secs(now.as_secs() / 60 * 60))
        );
        assert!(recent.is_sorted_by_key(|minute| minute.begins));
        assert_eq!(latency.recent(now.plus(30 * 60)).len(), 30, "minutes without answers are not there");
        assert!(latency.recent(now.plus(7 * 3_600)).is_empty());
    }
}
