//! Times as the contract writes them.

use sidekey_core::time::UnixTime;

/// A time as RFC 3339 text in UTC, in whole seconds; what no calendar has becomes the end of the year 9999.
pub fn rfc3339(time: UnixTime) -> String {
    const END: i64 = 253_402_207_200;
    let seconds = i64::try_from(time.as_secs()).unwrap_or(END).min(END);
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_in_whole_seconds() {
        assert_eq!(rfc3339(UnixTime::from_secs(1_700_000_000)), "2023-11-14T22:13:20Z");
        assert!(rfc3339(UnixTime::from_secs(u64::MAX)).starts_with("9999-12-30T"));
    }
}
