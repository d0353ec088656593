//! Moments as databases and frameworks write them.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use sidekey_core::time::UnixTime;

use super::json::Json;

/// The moment of a text with a date and a time, in UTC where it names no zone, or of a number of seconds or milliseconds since 1970.
/// What is no moment, or one before 1970, is `None`: such columns only inform.
pub(crate) fn moment(value: &Json) -> Option<UnixTime> {
    if let Some(number) = value.int() {
        return of_number(number);
    }
    let text = value.text()?.trim();
    // PostgreSQL writes zones of whole hours as `+00`.
    let text = match text.len().checked_sub(3).and_then(|at| text.split_at_checked(at)) {
        Some((rest, zone)) if zone.starts_with(['+', '-']) && text.contains(':') => {
            format!("{rest}{zone}:00")
        }
        _ => text.to_owned(),
    };
    let timestamp = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        TimeZone::UTC.to_timestamp(civil).ok()
    })?;
    u64::try_from(timestamp.as_second()).ok().map(UnixTime::from_secs)
}

/// The year 5138 in seconds, 1973 in milliseconds: a larger number is one of milliseconds.
const MILLISECONDS_FROM: u64 = 100_000_000_000;

fn of_number(number: i64) -> Option<UnixTime> {
    let number = u64::try_from(number).ok().filter(|number| *number > 0)?;
    let seconds = if number >= MILLISECONDS_FROM { number / 1000 } else { number };
    // What cannot be written as a date is none.
    jiff::Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    Some(UnixTime::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    #[test]
    fn moments_are_read_as_they_are_written() {
        for text in [
            "2024-05-01T12:00:00Z",
            "2024-05-01T12:00:00.123Z",
            "2024-05-01 12:00:00",
            "2024-05-01 12:00:00.123456",
            "2024-05-01 12:00:00+00",
            "2024-05-01 14:00:00.5+02",
            "2024-05-01 14:00:00+02:00",
            "1714564800",
            "1714564800123",
        ] {
            let value = Json::Text(Zeroizing::new(text.to_owned()));
            assert_eq!(moment(&value).map(UnixTime::as_secs), Some(1_714_564_800), "{text}");
        }
        assert_eq!(moment(&Json::Int(1_714_564_800_123)).map(UnixTime::as_secs), Some(1_714_564_800));
        for text in [
            "",
            "yesterday",
            "9223372036854775807",
            "1969-12-31T23:59:59Z",
            "-5",
            "2024-13-01 00:00:00",
            "+00",
            "é:+1",
        ] {
            let value = Json::Text(Zeroizing::new(text.to_owned()));
            assert!(moment(&value).is_none(), "{text}");
        }
    }
}
