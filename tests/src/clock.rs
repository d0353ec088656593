//! RFC 3339 times as Unix seconds.

/// Length of a time step (RFC 6238's X), in seconds, of every device that Sidekey enrols.
pub const STEP: u64 = 30;

/// Unix seconds of an RFC 3339 time in UTC; a fraction of a second is cut off.
pub fn unix(text: &str) -> u64 {
    let bad = || -> ! { panic!("`{text}` is not an RFC 3339 time in UTC") };
    let Some(body) = text.strip_suffix('Z') else { bad() };
    let body = body.split('.').next().unwrap_or_default();
    let fields: Vec<u64> = body.split(['-', 'T', ':']).map(|n| n.parse().unwrap_or_else(|_| bad())).collect();
    let [year, month, day, hour, minute, second] = fields[..] else { bad() };
    days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second
}

/// Days since 1970-01-01 of a date of the Gregorian calendar.
fn days(year: u64, month: u64, day: u64) -> u64 {
    // The year is counted from March, so that the leap day is its last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::unix;

    #[test]
    fn known_times_are_read() {
        assert_eq!(unix("1970-01-01T00:00:00Z"), 0);
        assert_eq!(unix("2009-02-13T23:31:30Z"), 1_234_567_890);
        assert_eq!(unix("2000-02-29T00:00:00.25Z"), 951_782_400);
    }
}
