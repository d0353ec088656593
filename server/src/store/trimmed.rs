//! What goes with the oldest audit entries, and where the log begins without them: one rule for all engines.

use std::ops::RangeInclusive;

use super::engine::{CommitError, StoreError};
use super::head::{Base, Head};
use super::keys::Key;
use super::{activity, record};

/// Audit entries that go.
pub(super) struct Trimmed {
    /// Where the kept log begins without them.
    pub(super) base: Base,
    /// Their keys.
    pub(super) entries: Vec<Key>,
    /// The keys of their notes in the log by account.
    pub(super) notes: Vec<Key>,
}

impl Trimmed {
    /// The entries with these numbers of the log that the head tells of. `stored` gives the bytes under a key, and is asked in the order
    /// of the log.
    ///
    /// # Errors
    /// A conflict if they are not the oldest that there are. One of them cannot be read: none goes that cannot be accounted for.
    pub(super) fn of<B: AsRef<[u8]>>(
        head: &Head,
        entries: &RangeInclusive<u64>,
        mut stored: impl FnMut(&Key) -> Result<Option<B>, StoreError>,
    ) -> Result<Self, CommitError> {
        if !head.log_begins_with(entries) {
            return Err(Self::conflict());
        }
        let mut trimmed = Self { base: head.base, entries: Vec::new(), notes: Vec::new() };
        for number in entries.clone() {
            let key = Key::audit(number);
            let gone = || StoreError::Damaged { key: key.to_string(), damage: "it is gone" };
            let bytes = stored(&key)?.ok_or_else(gone)?;
            let (_, entry) = record::check(&key, bytes.as_ref())?;
            trimmed.base = trimmed.base.after(entry);
            trimmed.notes.extend(activity::note(number, entry));
            trimmed.entries.push(key);
        }
        Ok(trimmed)
    }

    /// The refusal of what is not the oldest, or not to go now.
    pub(super) fn conflict() -> CommitError {
        CommitError::Conflict("audit log".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::store::engine::Version;

    const ENTRY: &[u8] = br#"{"app":"shop","user":"ann"}"#;

    /// A log whose first two of five entries have gone.
    fn log() -> (Head, BTreeMap<Key, Vec<u8>>) {
        let (mut head, mut stored) = (Head::default(), BTreeMap::new());
        for number in 1..=5 {
            head.append(ENTRY);
            stored.insert(Key::audit(number), record::encode(&Key::audit(number), Version(1), ENTRY));
            if number == 2 {
                head.base = head.end();
            }
        }
        (head, stored)
    }

    fn trim(
        head: &Head,
        stored: &BTreeMap<Key, Vec<u8>>,
        entries: RangeInclusive<u64>,
    ) -> Result<Trimmed, CommitError> {
        Trimmed::of(head, &entries, |key| Ok(stored.get(key)))
    }

    #[test]
    fn the_base_moves_past_what_goes_with_its_notes() {
        let (head, stored) = log();
        let trimmed = trim(&head, &stored, 3..=4).unwrap();
        assert_eq!(trimmed.base, head.base.after(ENTRY).after(ENTRY));
        assert_eq!(trimmed.entries, [3, 4].map(Key::audit));
        assert_eq!(trimmed.notes, [3, 4].map(|number| activity::note(number, ENTRY).unwrap()));
        assert_eq!(trim(&head, &stored, 3..=5).unwrap().base, head.end());
    }

    #[test]
    fn whatever_is_not_the_oldest_is_a_conflict() {
        let (head, stored) = log();
        let none = RangeInclusive::new(3, 2);
        for wrong in [2..=3, 4..=5, 3..=6, 6..=6, none] {
            assert_eq!(trim(&head, &stored, wrong.clone()).err(), Some(Trimmed::conflict()), "{wrong:?}");
        }
    }

    #[test]
    fn an_entry_that_is_gone_or_damaged_stops_it() {
        let (head, mut stored) = log();
        *stored.get_mut(&Key::audit(4)).unwrap().last_mut().unwrap() ^= 1;
        let damaged =
            |damage| CommitError::Store(StoreError::Damaged { key: Key::audit(4).to_string(), damage });
        assert_eq!(trim(&head, &stored, 3..=4).err(), Some(damaged("wrong checksum")));
        stored.remove(&Key::audit(4));
        assert_eq!(trim(&head, &stored, 3..=4).err(), Some(damaged("it is gone")));
        assert!(trim(&head, &stored, 3..=3).is_ok());
    }
}
