//! The records that were written or checked last, so that a login which follows its session costs no search in sled.
//!
//! It is exact, because the committer alone writes, and the committer alone puts in: what a group left, when it is durable and before
//! anybody is told so. So what is found here is durable, and no older than anything that was acknowledged when the look began.
//! A record that is not here is to be read from sled; that one is removed or was never there is not remembered.

use std::collections::HashMap;
use std::mem;
use std::sync::{Mutex, PoisonError};

use ::sled::IVec;

use super::keys::{Key, Kind};

/// Parts with a lock each, so that readers seldom meet. A power of two.
const SHARDS: usize = 16;

/// What a record takes besides its bytes, about: the two allocations, the place in the map, the counts of the shared bytes.
const OVERHEAD: usize = 160;

/// The records, as they are stored: with their header.
pub(super) struct Recent {
    shards: [Mutex<Generations>; SHARDS],
    /// Bytes of one generation of a shard.
    most: usize,
}

/// The younger generation takes what comes; when it is full, it becomes the older one, which is forgotten.
#[derive(Default)]
struct Generations {
    young: HashMap<Key, IVec>,
    young_bytes: usize,
    old: HashMap<Key, IVec>,
}

/// Whether records of this kind are read again soon after they were written.
pub(super) fn keeps(key: &Key) -> bool {
    [Kind::Account, Kind::Session, Kind::RefreshFamily, Kind::Logins].into_iter().any(|kind| key.is(kind))
}

impl Recent {
    /// Of at most so many bytes.
    pub(super) fn of(bytes: u64) -> Self {
        let most = usize::try_from(bytes).unwrap_or(usize::MAX) / (2 * SHARDS);
        Self { shards: Default::default(), most }
    }

    /// The record under this key, if it is known.
    pub(super) fn get(&self, key: &Key) -> Option<IVec> {
        if !keeps(key) {
            return None;
        }
        let generations = self.shard(key)?.lock().unwrap_or_else(PoisonError::into_inner);
        generations.young.get(key).or_else(|| generations.old.get(key)).cloned()
    }

    /// Notes what the record under a key is from now on; `None`: there is none. For the committer.
    pub(super) fn note(&self, key: Key, record: Option<IVec>) {
        if !keeps(&key) {
            return;
        }
        let Some(shard) = self.shard(&key) else { return };
        let mut generations = shard.lock().unwrap_or_else(PoisonError::into_inner);
        generations.old.remove(&key);
        let bytes = |record: &IVec, key: usize| OVERHEAD + key + record.len();
        let length = key.as_bytes().len();
        if let Some(before) = generations.young.remove(&key) {
            generations.young_bytes = generations.young_bytes.saturating_sub(bytes(&before, length));
        }
        let Some(record) = record else { return };
        let added = bytes(&record, length);
        if generations.young_bytes + added > self.most {
            generations.old = mem::take(&mut generations.young);
            generations.young_bytes = 0;
        }
        generations.young_bytes += added;
        generations.young.insert(key, record);
    }

    /// The last byte of every key that is kept is one of a hash or of a random id.
    fn shard(&self, key: &Key) -> Option<&Mutex<Generations>> {
        self.shards.get(usize::from(*key.as_bytes().last()?) % SHARDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(number: u64) -> Key {
        Key::account("shop", &number.to_string())
    }

    #[test]
    fn what_was_noted_last_is_found_and_what_is_gone_is_not() {
        let recent = Recent::of(1 << 20);
        assert_eq!(recent.get(&account(1)), None);
        for record in [&b"one"[..], b"another"] {
            recent.note(account(1), Some(record.into()));
            assert_eq!(recent.get(&account(1)).as_deref(), Some(record));
        }
        assert_eq!(recent.get(&account(2)), None);
        recent.note(account(1), None);
        assert_eq!(recent.get(&account(1)), None);
    }

    #[test]
    fn nothing_is_kept_of_other_kinds() {
        let recent = Recent::of(1 << 20);
        recent.note(Key::audit(7), Some(b"entry"[..].into()));
        assert_eq!(recent.get(&Key::audit(7)), None);
    }

    #[test]
    fn the_oldest_make_room_and_an_older_state_never_comes_back() {
        let recent = Recent::of(1 << 20);
        let size = 400;
        let most = (1 << 20) / size;
        for turn in 0_u8..4 {
            for number in 0..most {
                recent.note(account(number), Some(vec![turn; 400].into()));
            }
            // Some are removed in each turn, from either generation.
            for number in (0..most).step_by(7) {
                recent.note(account(number), None);
            }
            let found: Vec<_> =
                (0..most).filter_map(|number| Some((number, recent.get(&account(number))?))).collect();
            assert!(!found.is_empty() && found.len() < usize::try_from(most).unwrap());
            for (number, record) in found {
                assert!(
                    number % 7 != 0 && record.iter().all(|byte| *byte == turn),
                    "{number} in turn {turn}"
                );
            }
            let held: usize = recent
                .shards
                .iter()
                .map(|shard| {
                    let shard = shard.lock().unwrap();
                    shard.young.values().chain(shard.old.values()).map(|record| record.len()).sum::<usize>()
                })
                .sum();
            assert!(held <= 1 << 20, "{held} bytes");
        }
    }
}
