//! A group of batches as it is put together: what each expects, and what all of them leave.

use std::collections::HashMap;

use sidekey_core::time::UnixTime;

use super::activity;
use super::engine::{Batch, CommitError, StoreError, Version, Write};
use super::head::{self, Head};
use super::keys::Key;
use super::record::{self, Header};
use super::trimmed::Trimmed;

/// What a group changes, as far as it has been put together.
pub(super) struct Group {
    version: Version,
    /// Every key that was looked at so far.
    known: HashMap<Key, Known>,
    /// Audit entries, in order.
    appended: Vec<Vec<u8>>,
    trimmed: Option<Trimmed>,
    latest: UnixTime,
    changes: bool,
    deletes: bool,
}

/// A record before and within the group.
struct Known {
    before: Option<Header>,
    now: Option<Header>,
    write: Outcome,
}

/// What a group does to a record.
enum Outcome {
    Untouched,
    Removed,
    /// The bytes to store.
    Written(Vec<u8>),
}

impl Group {
    /// An empty group whose records will have this version.
    pub(super) fn new(version: Version) -> Self {
        Self {
            version,
            known: HashMap::new(),
            appended: Vec::new(),
            trimmed: None,
            latest: UnixTime::default(),
            changes: false,
            deletes: false,
        }
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    pub(super) fn changes_something(&self) -> bool {
        self.changes
    }

    pub(super) fn deletes(&self) -> bool {
        self.deletes
    }

    /// Whether the state, with the earlier batches of the group, is what the batch expects. `read` gives a record of the
    /// state before the group.
    pub(super) fn check(
        &mut self,
        batch: &Batch,
        mut read: impl FnMut(&Key) -> Result<Option<Header>, StoreError>,
    ) -> Result<(), CommitError> {
        let written = batch.writes.iter().map(|(Write::Put(key, _) | Write::Delete(key))| key);
        for key in batch.expected.iter().map(|(key, _)| key).chain(written) {
            if !self.known.contains_key(key) {
                let before = read(key)?;
                self.known.insert(key.clone(), Known { before, now: before, write: Outcome::Untouched });
            }
        }
        for (key, expected) in &batch.expected {
            let current = self.known.get(key).and_then(|known| known.now.as_ref()).map(record::version);
            if current != *expected {
                return Err(CommitError::Conflict(key.to_string()));
            }
        }
        Ok(())
    }

    /// Adds a batch that was checked.
    pub(super) fn add(&mut self, batch: Batch) {
        self.changes |= !batch.is_empty();
        self.latest = self.latest.max(batch.decided_at);
        for write in batch.writes {
            let (key, now, write) = match write {
                Write::Put(key, value) => {
                    let bytes = record::encode(&key, self.version, &value);
                    (key, record::header(&bytes), Outcome::Written(bytes))
                }
                Write::Delete(key) => {
                    self.deletes = true;
                    (key, None, Outcome::Removed)
                }
            };
            debug_assert!(head::counts(key.as_bytes()), "{key} is the engine's to write");
            // The check has looked at it.
            if let Some(known) = self.known.get_mut(&key) {
                (known.now, known.write) = (now, write);
            }
        }
        self.appended.extend(batch.appended);
    }

    /// Whether audit entries go already.
    pub(super) fn trims(&self) -> bool {
        self.trimmed.is_some()
    }

    /// Lets audit entries go.
    pub(super) fn trim(&mut self, trimmed: Trimmed) {
        self.deletes = true;
        self.trimmed = Some(trimmed);
    }

    /// Every record that the group changes: its key, its header before and its bytes afterwards.
    pub(super) fn changes(&self) -> impl Iterator<Item = (&Key, Option<&Header>, Option<&[u8]>)> {
        self.known.iter().filter_map(|(key, known)| {
            let after = match &known.write {
                Outcome::Untouched => return None,
                Outcome::Removed => None,
                Outcome::Written(bytes) => Some(bytes.as_slice()),
            };
            Some((key, known.before.as_ref(), after))
        })
    }

    /// The writes of the whole group, and the head after it.
    pub(super) fn finish(self, head: &Head) -> (::sled::Batch, Head) {
        let mut head = Head { version: self.version.0, latest: head.latest.max(self.latest), ..head.clone() };
        let mut writes = ::sled::Batch::default();
        for (key, known) in self.known {
            match known.write {
                Outcome::Untouched => continue,
                Outcome::Removed => writes.remove(key.as_bytes()),
                Outcome::Written(bytes) => writes.insert(key.as_bytes(), bytes),
            }
            head.replace(key.as_bytes(), known.before.as_ref(), known.now.as_ref());
        }
        for entry in self.appended {
            head.append(&entry);
            let key = Key::audit(head.sequence());
            writes.insert(key.as_bytes(), record::encode(&key, self.version, &entry));
            if let Some(note) = activity::note(head.sequence(), &entry) {
                writes.insert(note.as_bytes(), record::encode(&note, self.version, &[]));
            }
        }
        if let Some(Trimmed { base, entries, notes }) = self.trimmed {
            entries.iter().chain(&notes).for_each(|key| writes.remove(key.as_bytes()));
            head.base = base;
        }
        (writes, head)
    }
}
