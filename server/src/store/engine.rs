//! The trait that storage engines implement, and what a transaction hands them.
//!
//! Written for two engines: sled on one machine, and a database that speaks the wire protocol of `PostgreSQL` for clusters.
//! So nothing here is a sled type, a lock is never what correctness rests on, and no number is drawn on a hot path
//! that servers would have to agree on: audit entries get theirs a moment after the commit, see [`Batch::append`].

use std::fmt;
use std::future::Future;
use std::ops::RangeInclusive;
use std::pin::Pin;

use sidekey_core::time::UnixTime;
use tokio::sync::OwnedMutexGuard;

use super::head::{Head, HeadKey};
use super::keys::{Key, MAX_KEY};
use super::walk::Visitor;

/// Most bytes of one stored value.
///
/// sled moves a tree leaf that grows past 128 KiB into a file of its own under `blobs/`, which it never syncs. A leaf
/// holds at most 20 records for a moment (17 before it splits, 3 more when a neighbour is merged in), so that
/// 20 × (value + header + key) has to stay below that. Seen in practice: blobs from 7,500 bytes on.
pub const MAX_VALUE: usize = 6_000;
/// Most writes, audit entries and expectations of one batch together.
pub const MAX_WRITES: usize = 2_048;
/// Most audit entries that one batch removes.
pub const MAX_TRIM: u64 = 500;
/// Most records that one scan returns.
pub const MAX_SCAN: usize = 1_000;

/// A boxed future, so that [`Engine`] can be a trait object.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The random id of a store, made when it was created.
pub type StoreId = [u8; 16];

/// What a record is known by in a compare-and-set: two reads of one key that give the same version gave the same
/// record. Engines assign it at commit and never assign it twice for one key, not even after a deletion: on one machine
/// because it counts up, in a cluster because it has 64 random bits and so comes again with a probability of 2⁻⁶⁴. It has
/// no other meaning: above all, callers may not rely on its counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version(pub(super) u64);

#[cfg(test)]
impl Version {
    /// A version of a test's own.
    pub(crate) fn of_test(number: u64) -> Self {
        Self(number)
    }

    /// How many commits there were, of an engine that counts them.
    pub(crate) fn counted(self) -> u64 {
        self.0
    }
}

/// A stored value and the version that it has.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// For [`Batch::expect`].
    pub version: Version,
    /// The bytes that were put. What is secret in them has been sealed by the caller.
    pub value: Vec<u8>,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({:?}, {} bytes)", self.version, self.value.len())
    }
}

/// A storage engine.
///
/// Invariants that every engine keeps:
/// - What `get` and `scan` return is durable: a state that a power cut could still take back is never seen.
/// - `commit` applies a batch entirely or not at all, and it is durable when `Ok` returns.
/// - Of batches that expect, or write, a record of the same key, the commits are in one order, and each sees what those
///   before it left: of two decisions that rest on the same state of a record, at most one is committed.
/// - After `Unavailable` the batch may or may not have been applied, and nobody may be told that it was or that it was not.
///   An engine that does not know then what is on its disk says so for ever after and ends the process
///   ([`failed`](Self::failed)); one that can be asked again, a cluster, goes on as soon as it answers. Whoever wants the
///   same once more reads first and decides anew.
/// - A dropped `commit` future does not take the batch back.
pub trait Engine: Send + Sync {
    /// The id of this store.
    fn id(&self) -> StoreId;

    /// The latest time of a decision ([`Batch::decided_at`]) that was stored when this engine opened the store. A clock
    /// that shows an earlier time was set back.
    fn high_water(&self) -> UnixTime;

    /// Hands over the key that what the store says about itself is authenticated with ([`HeadKey`]), and checks what it
    /// says by it. A new store is sealed by the first commit after that, and takes none without the key from then on.
    fn seal(&self, key: HeadKey) -> Pending<'_, Result<(), StoreError>>;

    /// The record under `key`, if there is one.
    fn get<'a>(&'a self, key: &'a Key) -> Pending<'a, Result<Option<Record>, StoreError>>;

    /// The records under these keys, in the order of the keys: in one round trip where the engine is far away. Each is as it was at
    /// some moment of the call.
    fn get_many<'a>(&'a self, keys: &'a [Key]) -> Pending<'a, Result<Vec<Option<Record>>, StoreError>> {
        Box::pin(one_by_one(keys, move |key| self.get(key)))
    }

    /// Records whose keys start with `prefix`, in key order, from the first key after `after` on, at most `limit` and
    /// never more than [`MAX_SCAN`]. To page, pass the last key of the page before. A scan is no snapshot: pages show
    /// what is committed in between.
    fn scan<'a>(
        &'a self,
        prefix: &'a Key,
        after: Option<&'a Key>,
        limit: usize,
    ) -> Pending<'a, Result<Vec<(Key, Record)>, StoreError>>;

    /// The numbers of the audit entries that are kept, as this process last saw them, which in a cluster is some seconds ago
    /// at most; empty if there are none.
    fn audit_log(&self) -> RangeInclusive<u64>;

    /// Shows the visitor everything that is stored as it is at one moment, while commits go on, and gives the head of that
    /// moment, which the visitor's findings are to be compared with. One walk at a time.
    fn walk(&self, visitor: Box<dyn Visitor>) -> Pending<'_, Result<Head, StoreError>>;

    /// A MAC of a hash under the key that was handed over by [`seal`](Self::seal), for a backup; `None` without a key.
    fn authenticate(&self, hash: [u8; 32]) -> Pending<'_, Result<Option<[u8; 32]>, StoreError>>;

    /// Checks what the batch expects, applies all of it and makes it durable.
    fn commit(&self, batch: Batch) -> Pending<'_, Result<(), CommitError>>;

    /// Waits until every commit that had begun before, of whatever process, can be seen or never will be. Whoever has put up a
    /// [fence](Batch::fence) before knows then that nobody is past it any more. Nothing to wait for where one process commits, one after
    /// another.
    fn settled(&self) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Waits for this process's lock on `key` (usually the account's). It keeps operations on one account from
    /// running into each other's conflicts; it proves nothing, so pass expectations all the same and retry on
    /// [`CommitError::Conflict`]. Hold at most one guard at a time: keys share stripes, and two can deadlock.
    fn lock<'a>(&'a self, key: &'a Key) -> Pending<'a, Guard>;

    /// The right to do a task that processes share, such as a sweep, as long as the value lives; `None`: another process is
    /// at it. It saves work twice done and, like a lock, proves nothing: a process that lost its connection may go on for a
    /// moment while the next one has begun.
    fn lead<'a>(&'a self, task: &'a str) -> Pending<'a, Result<Option<Lead>, StoreError>>;

    /// Whether other processes may change the same store, so that what is remembered of it has to be read again.
    fn is_shared(&self) -> bool;

    /// Whether commits can succeed; for `/readyz`.
    fn is_healthy(&self) -> bool;

    /// Waits until the engine has failed for good and returns why. `main` waits for it and exits with a failure: the
    /// state on disk is only known again after a restart. A cluster does not fail for good.
    fn failed(&self) -> Pending<'_, String>;

    /// Whether everything was found complete since it was opened, as far as an engine looks by itself.
    fn is_looked_through(&self) -> bool {
        true
    }

    /// Finishes what waits, makes it durable and closes; later commits are `Unavailable`.
    fn close(&self) -> Pending<'_, Result<(), StoreError>>;
}

/// What `read` gives for each of the keys, one after another.
pub(super) async fn one_by_one<'a, F>(
    keys: &'a [Key],
    read: impl Fn(&'a Key) -> F,
) -> Result<Vec<Option<Record>>, StoreError>
where
    F: Future<Output = Result<Option<Record>, StoreError>>,
{
    let mut records = Vec::with_capacity(keys.len());
    for key in keys {
        records.push(read(key).await?);
    }
    Ok(records)
}

/// The proof of holding a lock; dropping it lets the next one in.
#[must_use = "the lock lasts as long as the guard"]
#[derive(Debug)]
pub struct Guard {
    _held: Option<OwnedMutexGuard<()>>,
}

impl Guard {
    pub(super) fn holding(held: OwnedMutexGuard<()>) -> Self {
        Self { _held: Some(held) }
    }

    /// The guard of an engine whose compare-and-set does all the work.
    pub fn none() -> Self {
        Self { _held: None }
    }
}

/// The right to a task, given back when it is dropped.
#[must_use = "the right lasts as long as the value"]
pub struct Lead {
    _held: Option<Box<dyn Send + Sync>>,
}

impl Lead {
    /// Of the only process that there is.
    pub(super) fn alone() -> Self {
        Self { _held: None }
    }

    /// For as long as this is held.
    pub(super) fn holding(held: Box<dyn Send + Sync>) -> Self {
        Self { _held: Some(held) }
    }
}

impl fmt::Debug for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lead")
    }
}

/// One write of a batch.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Write {
    Put(Key, Vec<u8>),
    Delete(Key),
}

/// What one operation changes: it is applied entirely or not at all.
///
/// Writes take effect in order, so the last one to a key wins. Expectations look at the state before the batch.
#[derive(Clone, Default)]
pub struct Batch {
    pub(super) writes: Vec<Write>,
    pub(super) expected: Vec<(Key, Option<Version>)>,
    pub(super) appended: Vec<Vec<u8>>,
    pub(super) trimmed: Option<RangeInclusive<u64>>,
    pub(super) fence: Option<(Key, Vec<u8>)>,
    pub(super) decided_at: UnixTime,
}

impl Batch {
    /// A batch that changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores `value` under `key`, over whatever is there.
    pub fn put(&mut self, key: Key, value: Vec<u8>) -> &mut Self {
        self.writes.push(Write::Put(key, value));
        self
    }

    /// Removes the record under `key`; without one nothing happens.
    pub fn delete(&mut self, key: Key) -> &mut Self {
        self.writes.push(Write::Delete(key));
        self
    }

    /// Makes the commit a conflict unless the record under `key` still has this version, or there is none for `None`.
    /// Everything that a decision was based on belongs here.
    pub fn expect(&mut self, key: Key, version: Option<Version>) -> &mut Self {
        self.expected.push((key, version));
        self
    }

    /// Makes the commit [`CommitError::Fenced`] where other processes share the store and the record under `key` holds anything
    /// but `value`; none there lets it pass. Unlike an expectation it locks nothing, so that any number of commits pass the same fence
    /// at once: whoever puts it up waits for those who are through it with [`Engine::settled`]. For batches that write.
    pub fn fence(&mut self, key: Key, value: Vec<u8>) -> &mut Self {
        self.fence = Some((key, value));
        self
    }

    /// Appends an entry to the audit log. It is durable with the change, in the same commit, and the engine gives it a number
    /// and puts it under [`Key::audit`]:
    ///
    /// - numbers have no gaps, and no entry ever appears under a number below one that was seen: whoever has read up to a
    ///   number has missed nothing;
    /// - entries about one account (one app and user in their JSON) are numbered in the order of their commits, those of one
    ///   batch in its order. So are those about one app and no user, and those about neither;
    /// - entries about different ones may be numbered in another order than they were committed, by about a second at most
    ///   as long as everything runs: times only nearly grow along the log;
    /// - whoever begins to read the log after the commit has returned finds the entry.
    pub fn append(&mut self, entry: Vec<u8>) -> &mut Self {
        self.appended.push(entry);
        self
    }

    /// Removes the audit entries with these numbers, the oldest that there are; otherwise the commit is a conflict, and on one machine
    /// also while a [walk](Engine::walk) reads the log. At most [`MAX_TRIM`] of them. The batch may append entries, and does nothing
    /// else.
    pub fn trim(&mut self, entries: RangeInclusive<u64>) -> &mut Self {
        self.trimmed = Some(entries);
        self
    }

    /// Says at which time the change was decided. The store remembers the latest of all, [`Engine::high_water`].
    pub fn decided_at(&mut self, now: UnixTime) -> &mut Self {
        self.decided_at = self.decided_at.max(now);
        self
    }

    /// Whether committing would change nothing.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.appended.is_empty() && self.trimmed.is_none()
    }

    /// Bytes of all values, about.
    pub(super) fn bytes(&self) -> usize {
        let puts = self.writes.iter().map(|write| match write {
            Write::Put(_, value) => value.len(),
            Write::Delete(_) => 0,
        });
        puts.chain(self.appended.iter().map(Vec::len)).sum()
    }

    /// Refuses what no engine takes, so that the limits are the same on all of them.
    pub(super) fn check_limits(&self) -> Result<(), CommitError> {
        let at_most = |limit: usize, size: usize, what: &dyn fmt::Display| {
            if size <= limit {
                return Ok(());
            }
            Err(CommitError::TooLarge { what: what.to_string(), size, limit })
        };
        let is_of_log = self.writes.is_empty() && self.expected.is_empty() && self.fence.is_none();
        if self.trimmed.is_some() && !is_of_log {
            return Err(CommitError::NotAlone);
        }
        at_most(MAX_WRITES, self.writes.len() + self.appended.len() + self.expected.len(), &"batch")?;
        let trimmed = self.trimmed.as_ref().map_or(0, |entries| entries.clone().count());
        at_most(usize::try_from(MAX_TRIM).unwrap_or(usize::MAX), trimmed, &"audit entries")?;
        for write in &self.writes {
            let (Write::Put(key, _) | Write::Delete(key)) = write;
            at_most(MAX_KEY, key.as_bytes().len(), key)?;
            if let Write::Put(key, value) = write {
                at_most(MAX_VALUE, value.len(), key)?;
            }
        }
        self.appended.iter().try_for_each(|entry| at_most(MAX_VALUE, entry.len(), &"audit entry"))
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (writes, expected, appended) = (self.writes.len(), self.expected.len(), self.appended.len());
        write!(f, "Batch({writes} writes, {expected} expected, {appended} appended)")
    }
}

/// Why a read failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The bytes on disk are not the ones that were written.
    #[error(
        "record `{key}` is damaged ({damage}): stop the server, see what else is damaged with `sidekey verify`, and restore a backup with `sidekey restore`"
    )]
    Damaged {
        /// The record's key, printable; keys hold hashes and ids only.
        key: String,
        /// What is wrong with it, without a byte of its value.
        damage: &'static str,
    },
    /// The store could not be read, has failed, or is closed.
    #[error("the store is not available: {0}")]
    Unavailable(String),
}

impl StoreError {
    /// What is wrong, without the place and the advice.
    pub fn damage(&self) -> &str {
        match self {
            Self::Damaged { damage, .. } => damage,
            Self::Unavailable(reason) => reason,
        }
    }
}

/// Why a commit failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A record is not what the batch expected: nothing was applied, read again and decide again.
    #[error("another operation changed the record `{0}` meanwhile")]
    Conflict(String),
    /// A key, a value or the batch is over its limit: nothing was applied.
    #[error("`{what}` is too large to store: {size}, and at most {limit} are allowed")]
    TooLarge {
        /// The key, or `batch`.
        what: String,
        /// Bytes of a key or value, or parts of a batch.
        size: usize,
        /// Most of the same.
        limit: usize,
    },
    /// The batch removes audit entries and does something else than append to the log: nothing was applied.
    #[error("a batch that removes audit entries may append to the log and do nothing else")]
    NotAlone,
    /// A rotation of master keys has begun without this process: nothing was applied.
    #[error(
        "the store takes nothing any more that is sealed with the key that this server seals with: give it the key file of the \
         server that rotates the master keys, and have it read again"
    )]
    Fenced,
    /// The store has been sealed, and this process has not its key.
    #[error("the store takes no change without its master key: give it, or start the server and try again")]
    Sealed,
    /// A record that the batch expects cannot be read, or nothing can be committed any more.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CommitError> for StoreError {
    /// For whoever cannot decide again: the store is not available.
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Store(error) => error,
            error => Self::Unavailable(error.to_string()),
        }
    }
}
