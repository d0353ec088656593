//! A store that no server has open, to be looked at without being changed: for `sidekey verify` and `sidekey migrate`.
//!
//! Opening the database is sled's doing, which may write to its own files.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::about::{self, About};
use super::engine::{StoreError, StoreId};
use super::folder::Folder;
use super::head::{Base, Head};
use super::head_file;
use super::integrity::{Finding, compare_with_file};
use super::keys::Key;
use super::open_error::OpenError;
use super::opening::{self, Opened, open_or_recover};
use super::record;
use super::walk::{self, Visitor};

/// Memory for pages: everything is read once.
const CACHE_BYTES: u64 = 64 << 20;

/// The store in a locked data folder.
pub struct Inspection {
    // In this order: sled closes before the lock on the folder is given up.
    pub(super) db: ::sled::Db,
    pub(super) about: About,
    pub(super) folder: Folder,
}

impl Inspection {
    /// Opens the store in the data folder `path`, of whatever format up to this program's.
    ///
    /// # Errors
    /// The folder is in use or not to be used, there is no store in it, or it cannot even be looked at.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_with(path, open_or_recover)
    }

    /// As [`open`](Self::open), for whoever moves the store: marks do not keep it out.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_moving(path: &Path) -> Result<Self, OpenError> {
        Self::open_with(path, opening::open_moving)
    }

    fn open_with(
        path: &Path,
        open: impl FnOnce(&Folder, u64) -> Result<Opened, OpenError>,
    ) -> Result<Self, OpenError> {
        if !path.join("sled").is_dir() && !head_file::path(path).exists() && !path.join("store.id").exists() {
            return Err(OpenError::NoStore { folder: path.to_owned() });
        }
        let folder = Folder::open(path)?;
        let Opened { db, .. } = open(&folder, CACHE_BYTES)?;
        let about = About::read(&db, &folder)?;
        let about = about.ok_or_else(|| OpenError::NoStore { folder: path.to_owned() })?;
        Ok(Self { db, about, folder })
    }

    /// The store's id.
    pub fn store(&self) -> StoreId {
        self.about.id
    }

    /// The database's file.
    pub fn file(&self) -> PathBuf {
        self.folder.database().join("db")
    }

    /// The store's format.
    pub fn format(&self) -> u16 {
        self.about.format
    }

    /// The head, if the format has one and it can be read, and what is wrong with it and the file `head`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn head(&self) -> Result<(Option<Head>, Vec<Finding>), OpenError> {
        if self.about.format < about::FORMAT_OF_HEAD {
            return Ok((None, Vec::new()));
        }
        let path = self.folder.path();
        let file = head_file::read(path).map_err(|error| OpenError::io(&head_file::path(path), error))?;
        let head = match read_head(&self.db) {
            Ok(head) => head,
            Err(finding) => return Ok((None, vec![finding])),
        };
        let findings = compare_with_file(path, &self.db, self.about.id, &head, file.as_ref());
        let findings = findings.map_err(|error| OpenError::damaged(path, error))?;
        Ok((Some(head), findings))
    }

    /// The value of a record about the store.
    ///
    /// # Errors
    /// It is damaged.
    pub fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, OpenError> {
        let key = Key::meta(name);
        let damaged = |error: &dyn std::fmt::Display| OpenError::damaged(self.folder.path(), error);
        let bytes = self.db.get(key.as_bytes()).map_err(|error| damaged(&error))?;
        let record = bytes.map(|bytes| record::decode(&key, &bytes)).transpose();
        Ok(record.map_err(|error| damaged(&error))?.map(|record| record.value))
    }

    /// Shows everything to the visitor, damaged records too.
    ///
    /// # Errors
    /// The database cannot be read to its end, or the visitor refused.
    pub fn visit(&self, visitor: &mut dyn Visitor) -> Result<(), StoreError> {
        let visit = || -> Result<(), StoreError> {
            let head = read_head(&self.db).ok();
            let total = head.as_ref().map_or(0, |head| head.records() + head.audit_entries());
            visitor.total(total);
            for entry in walk::records(&self.db) {
                let (key, bytes) = entry.map_err(super::sled::unreadable)?;
                visitor.record(&key, &bytes).map_err(StoreError::Unavailable)?;
            }
            visitor.log(self.base(head.as_ref())?).map_err(StoreError::Unavailable)?;
            for entry in walk::audit(&self.db, 0, u64::MAX) {
                let (key, bytes) = entry.map_err(super::sled::unreadable)?;
                visitor.record(&key, &bytes).map_err(StoreError::Unavailable)?;
            }
            if self.about.format < about::FORMAT {
                return Ok(());
            }
            walk::show_notes(&self.db, visitor, u64::MAX)
        };
        // sled panics on some kinds of damage.
        let outcome = catch_unwind(AssertUnwindSafe(visit));
        let unreadable = || StoreError::Unavailable("sled could not read it to its end".to_owned());
        outcome.unwrap_or_else(|_| Err(unreadable()))
    }

    /// Where the audit log begins: as the head says, and without a head where it happens to.
    fn base(&self, head: Option<&Head>) -> Result<Base, StoreError> {
        if let Some(head) = head {
            return Ok(head.base());
        }
        let oldest = walk::oldest(&self.db).map_err(super::sled::unreadable)?;
        Ok(Base { sequence: oldest.unwrap_or(1).saturating_sub(1), ..Base::default() })
    }
}

/// The head as the database has it, or what is wrong with it.
pub(super) fn read_head(db: &::sled::Db) -> Result<Head, Finding> {
    let key = Head::key();
    let finding = |damage: &dyn std::fmt::Display| Finding::of_record(&key, damage);
    let bytes = db.get(key.as_bytes()).map_err(|error| finding(&error))?;
    let bytes = bytes.ok_or_else(|| finding(&"it is gone"))?;
    let (_, value) = record::check(&key, &bytes).map_err(|_| finding(&"wrong checksum"))?;
    Head::decode(value).ok_or_else(|| finding(&"it cannot be read"))
}
