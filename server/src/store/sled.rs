//! The engine for one machine: sled 0.34.7, one tree, one writing thread.
//!
//! Everything lies in sled's default tree, because only a batch on one tree is atomic and cheap. sled's own timed flush
//! is off; the committer makes things durable. Reads run on the caller's thread: one costs about 15 µs.

use std::fmt;
use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::about::About;
use super::committer::{Committer, Disk, SyncStep};
use super::engine::{Batch, CommitError, Engine, Guard, MAX_SCAN, Pending, Record, StoreError, StoreId};
use super::folder::{Folder, hex};
use super::keys::{Key, Kind};
use super::open_error::OpenError;
use super::opening::open_or_recover;
use super::record;

/// Locks that accounts share. A power of two.
const STRIPES: usize = 4_096;
/// Bits of a [`Version`] that count the groups of one run; those above count the runs.
const RUN_BITS: u32 = 40;

#[cfg(test)]
mod tests;

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
    ///
    /// # Errors
    /// The folder is in use, not to be used, damaged or newer than this program; each error tells the remedy.
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
        let db = open_or_recover(&folder, options.cache_bytes)?;
        folder.settle_database()?;
        let file = folder.database().join("db");
        let own = File::options().write(true).open(&file).map_err(|error| OpenError::io(&file, error))?;
        // `fdatasync` is enough: it writes the size along, which is the only metadata that reading needs (fdatasync(2)).
        let sync = sync(Box::new(move || own.sync_data()));

        let about = About::read(&db, &folder)?.map_or(About::new(options.new_id), About::of_next_run);
        let sequence = last_sequence(&db).map_err(|error| OpenError::damaged(path, error))?;
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

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` takes")]
pub(super) fn unreadable(error: ::sled::Error) -> StoreError {
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
