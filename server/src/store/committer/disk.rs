//! What the thread works on: the database, how a group reaches the disk, and what the store holds.

use std::io;

use crate::store::{
    engine::{Batch, CommitError, StoreError, StoreId, Version},
    group::Group,
    head::{Head, HeadKey},
    keys::Key,
    record::{self, Header},
    sled::unreadable,
    trimmed::Trimmed,
};

/// Gives a batch to the database.
pub(in crate::store) type WriteStep = Box<dyn FnMut(&::sled::Db, ::sled::Batch) -> io::Result<()> + Send>;
/// Makes everything durable that the database has written to its file so far.
pub(in crate::store) type SyncStep = Box<dyn FnMut() -> io::Result<()> + Send>;

/// How often the first records are written again, see [`Disk::warm_up`].
const WARM_UPS: u64 = 8;

/// How a group reaches the disk, in two steps so that tests can make each of them fail.
pub(in crate::store) struct Steps {
    pub(in crate::store) write: WriteStep,
    pub(in crate::store) sync: SyncStep,
}

/// What the thread works on.
pub(in crate::store) struct Disk {
    pub(in crate::store) db: ::sled::Db,
    pub(in crate::store) steps: Steps,
    pub(in crate::store) store: StoreId,
    /// The version of the last commit; each group takes the next one.
    pub(in crate::store) version: u64,
    /// What the store holds.
    pub(in crate::store) head: Head,
    /// The key of the head's seal, once it was handed over.
    pub(in crate::store) key: Option<HeadKey>,
}

impl Disk {
    /// Applies records of the engine's own durably before there is a thread.
    pub(in crate::store) fn put_now(&mut self, records: &[(Key, &[u8])]) -> Result<(), String> {
        let mut writes = ::sled::Batch::default();
        for (key, value) in records {
            writes.insert(key.as_bytes(), record::encode(key, Version(self.version), value));
        }
        self.write(writes)?;
        self.make_durable()
    }

    /// Writes the same records durably a few times more, before there is a thread.
    ///
    /// At one of its first writes sled looks through all segments of the file (512 KiB each) once for each of them: seven seconds with 20 GB,
    /// in which no commit gets on. Which write that is depends on when its own threads come round to it; in seven starts of such a store it
    /// was one of these each time.
    pub(in crate::store) fn warm_up(&mut self, records: &[(Key, &[u8])]) -> Result<(), String> {
        let version = self.version;
        // A record that does not change is not written.
        for ahead in (0..WARM_UPS).rev() {
            self.version = version + ahead;
            self.put_now(records)?;
        }
        Ok(())
    }

    /// Adds a batch to a group, or says why it is none of it.
    pub(super) fn take(&self, group: &mut Group, batch: Batch) -> Result<(), CommitError> {
        if self.head.seal.is_some() && self.key.is_none() {
            return Err(CommitError::Sealed);
        }
        group.check(&batch, |key| self.header(key))?;
        if let Some(entries) = &batch.trimmed {
            if group.trims() {
                return Err(Trimmed::conflict());
            }
            let stored = |key: &Key| self.db.get(key.as_bytes()).map_err(unreadable);
            group.trim(Trimmed::of(&self.head, entries, stored)?);
        }
        group.add(batch);
        Ok(())
    }

    pub(super) fn write(&mut self, writes: ::sled::Batch) -> Result<(), String> {
        (self.steps.write)(&self.db, writes).map_err(|error| format!("a write failed: {error}"))
    }

    /// sled's own flush does not sync the file and reports no sync error, hence the second step.
    pub(super) fn make_durable(&mut self) -> Result<(), String> {
        self.db.flush().map_err(|error| format!("a flush failed: {error}"))?;
        (self.steps.sync)().map_err(|error| format!("a sync failed: {error}"))
    }

    fn header(&self, key: &Key) -> Result<Option<Header>, StoreError> {
        let Some(bytes) = self.db.get(key.as_bytes()).map_err(unreadable)? else { return Ok(None) };
        Ok(Some(record::check(key, &bytes)?.0))
    }

    /// Checks what was read by the key, and keeps the key for what will be written.
    pub(super) fn seal(&mut self, key: HeadKey) -> Result<(), StoreError> {
        let damaged = |damage| StoreError::Damaged { key: Head::key().to_string(), damage };
        if self.head.seal.is_none() && self.header(&Key::meta("sentinel"))?.is_some() {
            return Err(damaged("its seal is gone"));
        }
        if self.head.seal.is_some() && !self.head.is_sealed_by(&self.store, &key) {
            return Err(damaged("its seal is not of this store and its master key"));
        }
        self.key = Some(key);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_write_of_a_warm_up_is_one_and_the_last_one_stays() {
        let folder = tempfile::TempDir::new().unwrap();
        let (count, counted) = std::sync::mpsc::channel();
        let steps = Steps {
            write: Box::new(move |db, batch| {
                let before = db.get(Key::meta("store").as_bytes())?;
                db.apply_batch(batch)?;
                count.send(db.get(Key::meta("store").as_bytes())? != before).map_err(io::Error::other)
            }),
            sync: Box::new(|| Ok(())),
        };
        let db = ::sled::open(folder.path()).unwrap();
        let (store, head) = ([7; 16], Head::default());
        let mut disk = Disk { db: db.clone(), steps, store, version: 5, head, key: None };
        let records = [(Key::meta("store"), &b"value"[..])];
        disk.put_now(&records).unwrap();
        disk.warm_up(&records).unwrap();
        assert_eq!(counted.try_iter().collect::<Vec<_>>(), [true; 9]);
        let stored = db.get(Key::meta("store").as_bytes()).unwrap().unwrap();
        assert_eq!(stored, record::encode(&Key::meta("store"), Version(5), b"value"));
        assert_eq!(disk.version, 5);
    }
}
