//! When what was not delivered is tried again.

use std::time::Duration;

/// Seconds after each failure of one message, some three days in all (Standard Webhooks, "Deliverability and reliability"). After
/// the last it is a dead letter.
const RETRIES: [u64; 9] =
    [5, 5 * 60, 30 * 60, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
const HOUR: u64 = 3_600;

/// How long a destination may take nothing before what waits becomes dead letters, in seconds.
pub const GIVE_UP: u64 = 3 * 24 * HOUR;

/// The longest pause between two attempts at a destination that takes nothing.
const MAX_PAUSE: Duration = Duration::from_mins(5);
/// The longest pause that a destination may ask for.
const MAX_ASKED: Duration = Duration::from_hours(1);

/// Seconds from the failure number `attempts` (from 1) to the next attempt; `None`: there is none.
pub fn retry(attempts: u8) -> Option<u64> {
    RETRIES.get(usize::from(attempts).checked_sub(1)?).copied()
}

/// The pause after so many failures in a row of a destination as a whole, and after what it asked for.
pub fn pause(failures: u32, asked: Option<Duration>) -> Duration {
    let doubled = Duration::from_secs(1).saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(MAX_PAUSE).max(asked.unwrap_or_default().min(MAX_ASKED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_tried_for_some_three_days() {
        let all: u64 = (1..).map_while(retry).sum();
        assert!((GIVE_UP..GIVE_UP + 12 * HOUR).contains(&all), "{all}");
        assert_eq!((retry(0), retry(1), retry(10)), (None, Some(5), None));
    }

    #[test]
    fn a_pause_doubles_to_its_end_and_what_is_asked_for_counts_within_reason() {
        let seconds =
            |failures, asked: Option<u64>| pause(failures, asked.map(Duration::from_secs)).as_secs();
        assert_eq!([seconds(1, None), seconds(2, None), seconds(3, None)], [1, 2, 4]);
        assert_eq!((seconds(40, None), seconds(u32::MAX, None)), (300, 300));
        assert_eq!(
            (seconds(1, Some(60)), seconds(9, Some(1)), seconds(1, Some(1_000_000))),
            (60, 256, 3_600)
        );
    }
}
