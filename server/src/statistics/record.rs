//! What is kept.
//!
//! ```text
//! statistics               the cursor: the number of the last audit entry that is counted (8 bytes, big endian)
//! statistics | hour (8)    how often each event happened in that hour, by its name
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sidekey_core::time::UnixTime;

use crate::store::{Key, Kind, StoreError};

/// Seconds of an hour.
const SECONDS: u64 = 3_600;

/// An hour of UTC: whole hours since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hour(u64);

impl Hour {
    /// The hour of a moment.
    pub fn of(at: UnixTime) -> Self {
        Self(at.as_secs() / SECONDS)
    }

    /// When it begins.
    pub fn begins(self) -> UnixTime {
        UnixTime::from_secs(self.0.saturating_mul(SECONDS))
    }

    /// So many hours earlier, and at least the first of all.
    #[must_use]
    pub fn before(self, hours: u64) -> Self {
        Self(self.0.saturating_sub(hours))
    }

    /// The first hour of its day of UTC.
    #[must_use]
    pub fn day(self) -> Self {
        Self(self.0 - self.0 % 24)
    }

    /// The hours from this one to `last`, both included.
    pub fn to(self, last: Self) -> impl Iterator<Item = Self> {
        (self.0..=last.0).map(Self)
    }
}

/// How often each event happened, by the name that the audit trail has for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts(BTreeMap<String, u64>);

impl Counts {
    /// It happened once more.
    pub fn add(&mut self, event: String) {
        let count = self.0.entry(event).or_default();
        *count = count.saturating_add(1);
    }

    /// Both together.
    pub fn merge(&mut self, other: &Self) {
        for (event, more) in &other.0 {
            let count = self.0.entry(event.clone()).or_default();
            *count = count.saturating_add(*more);
        }
    }

    /// How often one of these happened.
    pub fn of(&self, events: &[&str]) -> u64 {
        events.iter().filter_map(|event| self.0.get(*event)).fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// Where the cursor is.
pub(super) fn cursor_key() -> Key {
    Key::of(Kind::Statistics)
}

/// Where the counts of an hour are.
pub(super) fn key(hour: Hour) -> Key {
    Key::of(Kind::Statistics).number(hour.0)
}

/// Which hour's counts are under this key, if any are.
pub(super) fn hour(key: &Key) -> Option<Hour> {
    let number = key.as_bytes().strip_prefix(&[Kind::Statistics as u8])?;
    number.try_into().ok().map(u64::from_be_bytes).map(Hour)
}

/// Reads a cursor.
pub(super) fn cursor(key: &Key, bytes: &[u8]) -> Result<u64, StoreError> {
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| damaged(key))
}

/// Reads the counts of an hour.
pub(super) fn counts(key: &Key, bytes: &[u8]) -> Result<Counts, StoreError> {
    postcard::from_bytes(bytes).map_err(|_| damaged(key))
}

/// Bytes of counts.
pub(super) fn counts_bytes(counts: &Counts) -> Vec<u8> {
    // Names and numbers: nothing that postcard cannot write.
    postcard::to_stdvec(counts).unwrap_or_default()
}

/// Whether a record of the statistics is what its key says.
///
/// # Errors
/// It is not.
pub fn check(place: &Key, bytes: &[u8]) -> Result<(), StoreError> {
    if *place == cursor_key() {
        return cursor(place, bytes).map(drop);
    }
    hour(place).ok_or_else(|| damaged(place))?;
    counts(place, bytes).map(drop)
}

fn damaged(key: &Key) -> StoreError {
    StoreError::Damaged { key: key.to_string(), damage: "not a record of the statistics" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_and_days_begin_where_those_of_utc_do() {
        let hour = Hour::of(UnixTime::from_secs(1_790_000_000));
        assert_eq!(hour.begins().as_secs(), 1_789_999_200, "2026-09-21T14:00:00Z");
        assert_eq!(hour.day().begins().as_secs(), 1_789_948_800, "2026-09-21T00:00:00Z");
        assert_eq!(hour.before(2).to(hour).count(), 3);
        assert_eq!(Hour(1).before(5), Hour(0));
    }

    #[test]
    fn a_record_is_checked_by_its_key() {
        let place = key(Hour(7));
        assert_eq!((hour(&place), hour(&cursor_key())), (Some(Hour(7)), None));
        let mut counts = Counts::default();
        counts.add("account_locked".to_owned());
        assert_eq!(check(&place, &counts_bytes(&counts)), Ok(()));
        assert_eq!(check(&cursor_key(), &41_u64.to_be_bytes()), Ok(()));
        assert!(check(&cursor_key(), &[1]).is_err());
        assert!(check(&place, &[0xff]).is_err());
        assert!(check(&cursor_key().fixed(&[1; 3]), &[0]).is_err());
    }
}
