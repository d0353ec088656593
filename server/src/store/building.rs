//! A new store that is filled from a backup before anybody opens it.
//!
//! Its record about itself comes last. So a folder in which that was interrupted is no store: no server starts on it.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use sidekey_core::time::UnixTime;

use super::about::About;
use super::activity;
use super::engine::{StoreId, Version};
use super::folder::{Folder, LOCK};
use super::head::{Head, HeadKey};
use super::head_file;
use super::integrity::Survey;
use super::keys::Key;
use super::moving::Lock;
use super::open_error::OpenError;
use super::opening::{Opened, open_moving};
use super::record::{self, HEADER};
use super::sled::RUN_BITS;

/// Memory for pages.
const CACHE_BYTES: u64 = 64 << 20;
/// Records of one write.
const AT_ONCE: usize = 500;

/// A store that is being filled.
pub struct Building {
    db: ::sled::Db,
    folder: Folder,
    about: About,
    head: Head,
    writes: ::sled::Batch,
    waiting: usize,
}

/// Locks a folder that is empty or missing.
fn empty(path: &Path) -> Result<Folder, OpenError> {
    // Nothing is written to a folder that is another's, not even a lock; and what came before the lock was got is seen after it.
    is_empty(path)?;
    let folder = Folder::open(path)?;
    is_empty(path)?;
    Ok(folder)
}

fn is_empty(path: &Path) -> Result<(), OpenError> {
    match fs::read_dir(path) {
        Ok(mut entries) => {
            // The lock of an attempt that is over is nothing.
            if entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != LOCK)) {
                return Err(OpenError::NotEmpty { folder: path.to_owned() });
            }
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(OpenError::io(path, error)),
    }
}

impl Building {
    /// Begins a store with this id in a folder that is empty or missing, to go on where `head`, that of another store, ends.
    ///
    /// # Errors
    /// The folder is not empty or cannot be used.
    pub fn begin(path: &Path, id: StoreId, head: &Head) -> Result<Self, OpenError> {
        Self::in_folder(empty(path)?, id, head)
    }

    /// As [`begin`](Self::begin), for a store that moves here from a database, in a folder that was marked, so that nobody opens it yet.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn begin_arriving(lock: Lock, id: StoreId) -> Result<Self, OpenError> {
        Self::in_folder(lock.into_folder(), id, &Head::default())
    }

    fn in_folder(folder: Folder, id: StoreId, head: &Head) -> Result<Self, OpenError> {
        let Opened { db, .. } = open_moving(&folder, CACHE_BYTES)?;
        // Later than every version in the backup, so that no version is ever given twice.
        let about = About { runs: (head.version >> RUN_BITS) + 1, ..About::new(id) };
        let version = about.runs << RUN_BITS;
        let mut building = Self {
            db,
            folder,
            about,
            head: Head { version, ..Head::default() },
            writes: ::sled::Batch::default(),
            waiting: 0,
        };
        building.goes_on_from(head);
        Ok(building)
    }

    /// Has the audit log go on where that of `head` ends.
    pub fn goes_on_from(&mut self, head: &Head) {
        self.head = Head {
            version: self.head.version,
            sequence: head.sequence,
            chain: head.chain,
            base: head.base,
            latest: head.latest,
            ..Head::default()
        };
    }

    /// Puts a record as it was stored; an audit entry also into the log by account.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put_stored(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), OpenError> {
        self.writes.insert(key, bytes);
        let name = Key::from_bytes(key);
        let note = name.audit_sequence().zip(bytes.get(HEADER..));
        if let Some(note) = note.and_then(|(sequence, entry)| activity::note(sequence, entry)) {
            self.writes.insert(note.as_bytes(), record::encode(&note, Version(self.head.version), &[]));
        }
        self.count()
    }

    /// Puts a new value.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put(&mut self, key: &Key, value: &[u8]) -> Result<(), OpenError> {
        let bytes = record::encode(key, Version(self.head.version), value);
        self.put_stored(key.as_bytes(), &bytes)
    }

    /// Removes a record.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn remove(&mut self, key: &[u8]) -> Result<(), OpenError> {
        self.writes.remove(key);
        self.count()
    }

    /// Appends an audit entry after those of the head that the store began with.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn append(&mut self, entry: &[u8]) -> Result<(), OpenError> {
        self.head.append(entry);
        self.put(&Key::audit(self.head.sequence), entry)
    }

    fn count(&mut self) -> Result<(), OpenError> {
        self.waiting += 1;
        if self.waiting < AT_ONCE {
            return Ok(());
        }
        self.write()
    }

    fn write(&mut self) -> Result<(), OpenError> {
        self.waiting = 0;
        let writes = std::mem::take(&mut self.writes);
        self.db.apply_batch(writes).map_err(|error| self.failed(error))
    }

    /// Makes it a store: counted as it is on the disk, sealed, durable. `latest` is the time of the decision.
    ///
    /// # Errors
    /// It cannot be written, or is not read as it was written.
    pub fn finish(mut self, latest: UnixTime, key: Option<&HeadKey>) -> Result<(), OpenError> {
        self.write()?;
        self.db.flush().map_err(|error| self.failed(error))?;
        let (survey, findings) = Survey::of(&self.db).map_err(|error| self.failed(error))?;
        let path = self.folder.path();
        if let Some(finding) = findings.first() {
            return Err(OpenError::damaged(path, finding));
        }
        survey.enter(&mut self.head);
        self.head.latest = self.head.latest.max(latest);
        if let Some(key) = key {
            self.head.seal(&self.about.id, key);
        }
        let head = self.head.encode();
        head_file::create(path, &self.about.id, &head)
            .map_err(|error| OpenError::io(&head_file::path(path), error))?;
        let mut own = ::sled::Batch::default();
        for (key, value) in [(About::key(), &self.about.encode()[..]), (Head::key(), &head)] {
            own.insert(key.as_bytes(), record::encode(&key, Version(self.head.version), value));
        }
        self.db.apply_batch(own).map_err(|error| self.failed(error))?;
        self.db.flush().map_err(|error| self.failed(error))?;
        self.folder.settle_database()?;
        self.folder.remember_store(self.about.id)
    }

    fn failed(&self, error: ::sled::Error) -> OpenError {
        OpenError::io(&self.folder.database(), io::Error::other(error))
    }
}
