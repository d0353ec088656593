//! The engine for one machine: sled 0.34.7, one tree, one writing thread.
//!
//! Everything lies in sled's default tree, because only a batch on one tree is atomic and cheap. sled's own timed flush
//! is off; the committer makes things durable. Reads run on the caller's thread: one costs about 15 µs.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::{Bound, RangeInclusive};
use std::path::Path;

use sidekey_core::time::UnixTime;

use super::about::{self, About};
use super::committer::{Committer, Disk, Steps};
use super::engine::{
    Batch, CommitError, Engine, Guard, Lead, MAX_SCAN, Pending, Record, StoreError, StoreId, one_by_one,
};
use super::folder::{Folder, hex};
use super::head::{Head, HeadKey};
use super::head_file::{self, HeadFile, Remembered};
use super::inspection::read_head;
use super::integrity::{Survey, compare_with_file};
use super::keys::Key;
use super::open_error::OpenError;
use super::opening::{Opened, open_or_recover};
use super::record;
use super::stripes::Stripes;
use super::walk::Visitor;

/// Bits of a [`Version`] that count the groups of one run; those above count the runs.
pub(super) const RUN_BITS: u32 = 40;

#[cfg(test)]
mod tests;

/// How to open a store.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of memory that sled caches pages in.
    pub cache_bytes: u64,
    /// The id that the store gets if it is new: random.
    pub new_id: StoreId,
    /// When all records are compared with the head.
    pub survey: SurveyAt,
}

/// When all records of a store are compared with its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SurveyAt {
    /// Before anything else.
    Start,
    /// Before anything else; or afterwards, while commits go on, where the store was complete when it was closed in good order
    /// and has at least so many records.
    StartUnlessClosed {
        /// So many.
        records: u64,
    },
}

impl Options {
    /// 64 MiB of cache, `new_id` for a new store, and all records compared before anything else.
    pub fn new(new_id: StoreId) -> Self {
        Self { cache_bytes: 64 << 20, new_id, survey: SurveyAt::Start }
    }
}

/// From so many bytes on, what the first writes after an opening cost is paid before the first request.
const LARGE_FILE: u64 = 1 << 30;

/// A store in a folder of this machine.
pub struct SledEngine {
    // In this order: the thread ends, then sled closes, then the lock on the folder is given up.
    committer: Committer,
    db: ::sled::Db,
    id: StoreId,
    high_water: UnixTime,
    stripes: Stripes,
    _folder: Folder,
}

impl SledEngine {
    /// Opens the store in the data folder `path`, or makes a new one. Blocks: for before the server's first request.
    ///
    /// A damaged snapshot is removed, after a copy of the whole database was put beside it, and read again from the log.
    ///
    /// What the store says about itself is compared with what is there, but for the audit log before the last second, which
    /// `sidekey verify` reads; of a large store maybe afterwards, see [`SurveyAt`]: one that then is not complete fails.
    ///
    /// # Errors
    /// The folder is in use, not to be used, damaged, or of another format than this program's; each error tells the remedy.
    pub fn open(path: &Path, options: &Options) -> Result<Self, OpenError> {
        Self::open_with(path, options, |steps| steps)
    }

    /// As [`open`](Self::open), with a test's hand on the steps of a commit.
    fn open_with(
        path: &Path,
        options: &Options,
        steps: impl FnOnce(Steps) -> Steps,
    ) -> Result<Self, OpenError> {
        let folder = Folder::open(path)?;
        let Opened { db, was_closed } = open_or_recover(&folder, options.cache_bytes)?;
        folder.settle_database()?;
        let file = folder.database().join("db");
        let steps = steps(Steps::of_database(&file)?);

        let found = Found::in_folder(&folder, &db, options, was_closed)?;
        let Found { about, head, remembered, is_new, is_surveyed } = found;
        let version = about.runs << RUN_BITS;
        let mut disk = Disk { db: db.clone(), steps, store: about.id, version, head, key: None };
        let (about_bytes, head_bytes) = (about.encode(), disk.head.encode());
        let (about_key, head_key) = (About::key(), Head::key());
        let mut own = vec![(about_key, &about_bytes[..])];
        if is_new {
            own.push((head_key, &head_bytes[..]));
        }
        // Written at each start, it also shows early that the disk takes writes.
        let of_disk = |error| OpenError::io(&file, io::Error::other(error));
        disk.put_now(&own).map_err(of_disk)?;
        if file.metadata().is_ok_and(|file| file.len() >= LARGE_FILE) {
            disk.warm_up(&own).map_err(of_disk)?;
        }
        folder.remember_store(about.id)?;
        let high_water = disk.head.latest();
        let head_file = HeadFile::open(path, &remembered)
            .map_err(|error| OpenError::io(&head_file::path(path), error))?;
        let mut committer =
            Committer::start(disk, head_file, is_surveyed).map_err(|error| OpenError::io(path, error))?;
        if !is_surveyed {
            let folder = path.to_owned();
            let advice = move |reason| OpenError::damaged(&folder, reason).to_string();
            committer.look_through(db.clone(), advice).map_err(|error| OpenError::io(path, error))?;
        }
        Ok(Self { committer, db, id: about.id, high_water, stripes: Stripes::new(), _folder: folder })
    }

    async fn read(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        self.committer.check()?;
        let Some(bytes) = self.db.get(key.as_bytes()).map_err(unreadable)? else {
            self.committer.deletions_durable().await?;
            return Ok(None);
        };
        let record = record::decode(key, &bytes)?;
        self.committer.durable(record.version).await?;
        Ok(Some(record))
    }
}

#[cfg(test)]
impl SledEngine {
    /// Damages a record behind everybody's back.
    pub(crate) fn flip_a_bit(&self, key: &Key) {
        let mut bytes = self.db.get(key.as_bytes()).unwrap().unwrap().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        self.db.insert(key.as_bytes(), bytes).unwrap();
    }
}

/// What a data folder holds, found to be complete.
struct Found {
    about: About,
    head: Head,
    remembered: Remembered,
    is_new: bool,
    /// Whether all records have been compared with the head.
    is_surveyed: bool,
}

impl Found {
    fn in_folder(
        folder: &Folder,
        db: &::sled::Db,
        options: &Options,
        was_closed: bool,
    ) -> Result<Self, OpenError> {
        let path = folder.path();
        let damaged = |error: ::sled::Error| OpenError::damaged(path, error);
        let file = head_file::read(path).map_err(|error| OpenError::io(&head_file::path(path), error))?;
        let Some(about) = About::read(db, folder)? else {
            if let Some(Ok(remembered)) = &file
                && remembered.head.version > 0
            {
                let reason = format!("the records of store {} are gone", hex(remembered.store));
                return Err(OpenError::damaged(path, reason));
            }
            let (about, head) = (About::new(options.new_id), Head::default());
            // The file comes before the records: without it, they would look as if something was lost.
            let remembered = head_file::create(path, &options.new_id, &head.encode())
                .map_err(|error| OpenError::io(&head_file::path(path), error))?;
            return Ok(Self { about, head, remembered, is_new: true, is_surveyed: true });
        };
        if about.format < about::FORMAT {
            let (folder, found) = (path.to_owned(), about.format);
            return Err(OpenError::OlderFormat { folder, found, supported: about::FORMAT });
        }
        let head = read_head(db).map_err(|finding| OpenError::damaged(path, finding))?;
        let mut findings = compare_with_file(path, db, about.id, &head, file.as_ref()).map_err(damaged)?;
        let remembered = file.as_ref().and_then(|file| file.as_ref().ok());
        let is_as_left = was_closed && remembered.is_some_and(|remembered| remembered.head == head);
        let is_put_off = match options.survey {
            SurveyAt::Start => false,
            SurveyAt::StartUnlessClosed { records } => is_as_left && head.records() >= records,
        };
        if !is_put_off {
            let (survey, broken) = Survey::of(db).map_err(damaged)?;
            findings.extend(broken);
            findings.extend(survey.compare(&head));
        }
        match (findings.first(), file) {
            (None, Some(Ok(remembered))) => {
                let about = about.of_next_run();
                Ok(Self { about, head, remembered, is_new: false, is_surveyed: !is_put_off })
            }
            (Some(finding), _) => Err(OpenError::damaged(path, finding)),
            (None, _) => Err(OpenError::damaged(path, "the file `head` cannot be read")),
        }
    }
}

impl Steps {
    /// The steps of a database whose file this is.
    fn of_database(file: &Path) -> Result<Self, OpenError> {
        let own = File::options().write(true).open(file).map_err(|error| OpenError::io(file, error))?;
        Ok(Self {
            write: Box::new(|db, batch| db.apply_batch(batch).map_err(io::Error::other)),
            // `fdatasync` is enough: it writes the size along, which is the only metadata that reading needs (fdatasync(2)).
            sync: Box::new(move || own.sync_data()),
        })
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

    fn high_water(&self) -> UnixTime {
        self.high_water
    }

    fn seal(&self, key: HeadKey) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(self.committer.seal(key))
    }

    fn get<'a>(&'a self, key: &'a Key) -> Pending<'a, Result<Option<Record>, StoreError>> {
        Box::pin(self.read(key))
    }

    fn get_many<'a>(&'a self, keys: &'a [Key]) -> Pending<'a, Result<Vec<Option<Record>>, StoreError>> {
        // Without a boxed future for each key.
        Box::pin(one_by_one(keys, move |key| self.read(key)))
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

    fn audit_log(&self) -> RangeInclusive<u64> {
        self.committer.audit_log()
    }

    fn walk(&self, visitor: Box<dyn Visitor>) -> Pending<'_, Result<Head, StoreError>> {
        Box::pin(self.committer.walk(self.db.clone(), visitor))
    }

    fn authenticate(&self, hash: [u8; 32]) -> Pending<'_, Result<Option<[u8; 32]>, StoreError>> {
        Box::pin(self.committer.authenticate(hash))
    }

    fn commit(&self, batch: Batch) -> Pending<'_, Result<(), CommitError>> {
        Box::pin(async move {
            batch.check_limits()?;
            self.committer.commit(batch).await
        })
    }

    fn lock<'a>(&'a self, key: &'a Key) -> Pending<'a, Guard> {
        Box::pin(self.stripes.lock(key))
    }

    fn lead<'a>(&'a self, _task: &'a str) -> Pending<'a, Result<Option<Lead>, StoreError>> {
        // The lock on the data folder keeps every other process out.
        Box::pin(std::future::ready(Ok(Some(Lead::alone()))))
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn is_healthy(&self) -> bool {
        self.committer.check().is_ok()
    }

    fn is_looked_through(&self) -> bool {
        self.committer.looked()
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
