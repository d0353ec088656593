//! The engine for one machine: sled 0.34.7, one tree, one writing thread.
//!
//! Everything lies in sled's default tree, because only a batch on one tree is atomic and cheap. sled's own timed flush
//! is off; the committer makes things durable. Reads run on the caller's thread: one costs about 15 µs.

use std::fmt;
use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, ErrorKind};
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::Mutex;

use super::committer::{Committer, Disk, SyncStep};
use super::engine::{Batch, CommitError, Engine, Guard, MAX_SCAN, Pending, Record, StoreError, StoreId};
use super::folder::{Folder, hex};
use super::keys::{Key, Kind};
use super::record;

/// The version of the store's layout that this program writes; it opens no newer one.
const FORMAT: u16 = 1;
/// Locks that accounts share. A power of two.
const STRIPES: usize = 4_096;
/// Bits of a [`Version`] that count the groups of one run; those above count the runs.
const RUN_BITS: u32 = 40;

/// How to open a store.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of memory that sled caches pages in.
    pub cache_bytes: u64,
    /// The id that the store gets if it is new: random.
    pub new_id: StoreId,
}

impl Options {
    /// 256 MiB of cache, and `new_id` for a new store.
    pub fn new(new_id: StoreId) -> Self {
        Self { cache_bytes: 256 << 20, new_id }
    }
}

/// A store in a folder of this machine.
pub struct SledEngine {
    // In this order: the thread ends, then sled closes, then the lock on the folder is given up.
    committer: Committer,
    db: ::sled::Db,
    id: StoreId,
    stripes: Box<[Arc<Mutex<()>>]>,
    hasher: RandomState,
    _folder: Folder,
}

impl SledEngine {
    /// Opens the store in the data folder `path`, or makes a new one. Blocks: for before the server's first request.
    ///
    /// A damaged snapshot is removed, after a copy of the whole database was put beside it, and read again from the log.
    pub fn open(path: &Path, options: &Options) -> Result<Self, OpenError> {
        Self::open_with(path, options, |sync| sync)
    }

    /// As [`open`](Self::open), with a test's hand on the sync step.
    fn open_with(
        path: &Path,
        options: &Options,
        sync: impl FnOnce(SyncStep) -> SyncStep,
    ) -> Result<Self, OpenError> {
        let folder = Folder::open(path)?;
        let db = open_or_recover(&folder, options)?;
        folder.settle_database()?;
        let file = folder.database().join("db");
        let own = File::options().write(true).open(&file).map_err(|error| OpenError::io(&file, error))?;
        // `fdatasync` is enough: it writes the size along, which is the only metadata that reading needs (fdatasync(2)).
        let sync = sync(Box::new(move || own.sync_data()));

        let about = About::read(&db, &folder)?.map_or(About::new(options.new_id), About::next_run);
        let sequence = last_sequence(&db).map_err(|error| OpenError::damaged(&folder, error))?;
        let mut disk = Disk { db: db.clone(), sync, version: about.runs << RUN_BITS, sequence };
        // Written at each start, it also shows early that the disk takes writes.
        disk.put_now(&About::key(), &about.encode())
            .map_err(|error| OpenError::io(&file, io::Error::other(error)))?;
        folder.remember_store(about.id)?;
        let committer = Committer::start(disk).map_err(|error| OpenError::io(path, error))?;
        let stripes = (0..STRIPES).map(|_| Arc::default()).collect();
        Ok(Self { committer, db, id: about.id, stripes, hasher: RandomState::new(), _folder: folder })
    }
}

impl fmt::Debug for SledEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SledEngine({})", hex(self.id))
    }
}

impl Engine for SledEngine {
    fn id(&self) -> StoreId {
        self.id
    }

    fn get<'a>(&'a self, key: &'a Key) -> Pending<'a, Result<Option<Record>, StoreError>> {
        Box::pin(async move {
            self.committer.check()?;
            let Some(bytes) = self.db.get(key.as_bytes()).map_err(unreadable)? else {
                self.committer.deletions_durable().await?;
                return Ok(None);
            };
            let record = record::decode(key, &bytes)?;
            self.committer.durable(record.version).await?;
            Ok(Some(record))
        })
    }

    fn scan<'a>(
        &'a self,
        prefix: &'a Key,
        after: Option<&'a Key>,
        limit: usize,
    ) -> Pending<'a, Result<Vec<(Key, Record)>, StoreError>> {
        Box::pin(async move {
            self.committer.check()?;
            let (db, prefix, after) = (self.db.clone(), prefix.clone(), after.cloned());
            // A page can take milliseconds, too long for a thread that serves others.
            let page = tokio::task::spawn_blocking(move || {
                read_page(&db, &prefix, after.as_ref(), limit.min(MAX_SCAN))
            });
            let page =
                page.await.map_err(|_| StoreError::Unavailable("a scan was cut short".to_owned()))??;
            for (_, record) in &page {
                self.committer.durable(record.version).await?;
            }
            self.committer.deletions_durable().await?;
            Ok(page)
        })
    }

    fn commit(&self, batch: Batch) -> Pending<'_, Result<(), CommitError>> {
        Box::pin(async move {
            batch.check_limits()?;
            self.committer.commit(batch).await
        })
    }

    fn lock<'a>(&'a self, key: &'a Key) -> Pending<'a, Guard> {
        Box::pin(async move {
            // A hash with a random key: nobody can choose user ids that share a stripe with their victim.
            let hash = self.hasher.hash_one(key);
            #[expect(clippy::cast_possible_truncation, reason = "the low bits are all that is used")]
            let stripe = self.stripes.get(hash as usize & (STRIPES - 1));
            match stripe {
                Some(stripe) => Guard::holding(Arc::clone(stripe).lock_owned().await),
                None => Guard::none(),
            }
        })
    }

    fn is_healthy(&self) -> bool {
        self.committer.check().is_ok()
    }

    fn failed(&self) -> Pending<'_, String> {
        Box::pin(self.committer.failed())
    }

    fn close(&self) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(self.committer.close())
    }
}

fn unreadable(error: ::sled::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

fn read_page(
    db: &::sled::Db,
    prefix: &Key,
    after: Option<&Key>,
    limit: usize,
) -> Result<Vec<(Key, Record)>, StoreError> {
    let start = match after {
        Some(after) if after >= prefix => Bound::Excluded(after.as_bytes()),
        _ => Bound::Included(prefix.as_bytes()),
    };
    let mut page = Vec::new();
    for entry in db.range::<&[u8], _>((start, Bound::Unbounded)).take(limit) {
        let (key, bytes) = entry.map_err(unreadable)?;
        if !key.starts_with(prefix.as_bytes()) {
            break;
        }
        let key = Key::from_bytes(&key);
        let record = record::decode(&key, &bytes)?;
        page.push((key, record));
    }
    Ok(page)
}

fn last_sequence(db: &::sled::Db) -> Result<u64, StoreError> {
    let Some(last) = db.scan_prefix(Key::of(Kind::Audit).as_bytes()).next_back() else { return Ok(0) };
    let (key, bytes) = last.map_err(unreadable)?;
    let key = Key::from_bytes(&key);
    record::decode(&key, &bytes)?;
    let damage = "not the key of an audit entry";
    key.audit_sequence().ok_or_else(|| StoreError::Damaged { key: key.to_string(), damage })
}

/// The store's record about itself, under `meta/store`: format (2 bytes) | id (16) | runs (8), big endian.
struct About {
    id: StoreId,
    /// How often the store has been opened. As the upper bits of versions it keeps those of one run from another's.
    runs: u64,
}

impl About {
    fn new(id: StoreId) -> Self {
        Self { id, runs: 1 }
    }

    fn key() -> Key {
        Key::meta("store")
    }

    fn encode(&self) -> Vec<u8> {
        [&FORMAT.to_be_bytes()[..], &self.id, &self.runs.to_be_bytes()].concat()
    }

    fn next_run(self) -> Self {
        Self { runs: self.runs + 1, ..self }
    }

    fn read(db: &::sled::Db, folder: &Folder) -> Result<Option<Self>, OpenError> {
        let damaged = |reason: &dyn fmt::Display| OpenError::damaged(folder, reason);
        let known = folder.known_store()?;
        let key = Self::key();
        let Some(bytes) = db.get(key.as_bytes()).map_err(|error| damaged(&error))? else {
            return match known {
                Some(id) => Err(damaged(&format!("the records of store {id} are gone"))),
                None if !db.is_empty() => Err(damaged(&"its record about itself is gone")),
                None => Ok(None),
            };
        };
        let record = record::decode(&key, &bytes).map_err(|error| damaged(&error))?;
        let short = || damaged(&"its record about itself is cut short");
        let (format, rest) = record.value.split_first_chunk::<2>().ok_or_else(short)?;
        let found = u16::from_be_bytes(*format);
        if found > FORMAT {
            return Err(OpenError::NewerFormat {
                folder: folder.path().to_owned(),
                found,
                supported: FORMAT,
            });
        }
        let (id, rest) = rest.split_first_chunk::<16>().ok_or_else(short)?;
        let (runs, _) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        if known.is_some_and(|known| known != hex(*id)) {
            return Err(damaged(&format!("the database is that of another store, {}", hex(*id))));
        }
        Ok(Some(Self { id: *id, runs: u64::from_be_bytes(*runs) }))
    }
}

fn open_or_recover(folder: &Folder, options: &Options) -> Result<::sled::Db, OpenError> {
    let first = match open_database(folder, options) {
        Err(OpenError::Damaged { reason, .. }) => reason,
        other => return other,
    };
    let snapshots = folder.snapshots()?;
    if snapshots.is_empty() {
        return Err(OpenError::damaged(folder, first));
    }
    let copy = folder.copy_database()?;
    for snapshot in &snapshots {
        std::fs::remove_file(snapshot).map_err(|error| OpenError::io(snapshot, error))?;
    }
    tracing::warn!(
        reason = first,
        copy = %copy.display(),
        "the database's snapshot was damaged and has been rebuilt from the log; the damaged folder was kept as a copy"
    );
    open_database(folder, options)
}

fn open_database(folder: &Folder, options: &Options) -> Result<::sled::Db, OpenError> {
    let path = folder.database();
    let config = ::sled::Config::new()
        .path(&path)
        .mode(::sled::Mode::HighThroughput)
        .cache_capacity(options.cache_bytes)
        .flush_every_ms(None);
    // A database that was just closed in this process keeps its lock until sled's threads have let go of it. No other
    // server is meant by that: it would have the lock of the folder.
    for _ in 0..200 {
        // sled panics on some kinds of damage.
        let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
        match opened {
            Ok(Ok(db)) => return Ok(db),
            Ok(Err(::sled::Error::Io(error))) if error.to_string().contains("could not acquire lock") => {
                thread::sleep(Duration::from_millis(25));
            }
            Ok(Err(::sled::Error::Io(error))) => return Err(OpenError::io(&path, error)),
            Ok(Err(error)) => return Err(OpenError::damaged(folder, error)),
            Err(_) => return Err(OpenError::damaged(folder, "sled could not read it")),
        }
    }
    Err(OpenError::Locked { folder: folder.path().to_owned(), process: None })
}

/// Why a store could not be opened, with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error(
        "the data folder `{}` is in use by another server{}: stop that one, or choose another folder with --data",
        folder.display(), process.map(|id| format!(" (process {id})")).unwrap_or_default()
    )]
    Locked {
        /// The data folder.
        folder: PathBuf,
        /// The process that has it, if it left its number.
        process: Option<u32>,
    },
    /// The system refused access.
    #[error(
        "no permission to use `{}`: give it to the user that runs sidekey (`chown -R`), or choose another folder with --data",
        path.display()
    )]
    PermissionDenied {
        /// What could not be used.
        path: PathBuf,
    },
    /// Something else stands where the folder belongs.
    #[error("`{}` is not a folder: choose another one with --data", path.display())]
    NotAFolder {
        /// What is no folder.
        path: PathBuf,
    },
    /// The database has lost something that it needs.
    #[error(
        "the store in `{}` is damaged ({reason}): keep a copy of the folder and restore a backup",
        folder.display()
    )]
    Damaged {
        /// The data folder.
        folder: PathBuf,
        /// What is wrong, without any stored value.
        reason: String,
    },
    /// A later version of the program has written it.
    #[error(
        "the store in `{}` has format {found}, and this version of sidekey reads up to {supported}: install the newer version",
        folder.display()
    )]
    NewerFormat {
        /// The data folder.
        folder: PathBuf,
        /// Its format.
        found: u16,
        /// The newest format that this program reads.
        supported: u16,
    },
    /// Anything else that the system reports: a full disk, a failing one.
    #[error("could not use `{}`: {source}", path.display())]
    Io {
        /// What was being used.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl OpenError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            ErrorKind::PermissionDenied => Self::PermissionDenied { path },
            ErrorKind::NotADirectory => Self::NotAFolder { path },
            _ => Self::Io { path, source },
        }
    }

    fn damaged(folder: &Folder, reason: impl fmt::Display) -> Self {
        Self::Damaged { folder: folder.path().to_owned(), reason: reason.to_string() }
    }
}
