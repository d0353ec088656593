//! The audit log: entries get their numbers, and the head says where the log ends.
//!
//! A commit leaves its entries in `audit_pending`, in the same transaction as its change, so they are as durable as that. To number
//! them there would make every commit of the cluster wait for every other one. So a *round* does it afterwards, in a transaction
//! of its own: it locks the one row of `ledger`, numbers what waits, continues the chain of hashes, moves the entries to `audit` and
//! writes the head. Any process may do it. Each does once a second and after its own commits, and whoever reads the log first.
//!
//! **Each entry gets one number, without gaps.** Rounds go one after the other, because each holds the lock on `ledger` to its end, and
//! a round either does all of its work or none. It reads the head and what waits after it has the lock, and so sees what all rounds
//! before it left.
//!
//! **Entries about one subject keep their order.** An entry waits under (subject, place), and its place is one more than the last one
//! of the subject that waits, or 1. Two commits of an account hold its lock one after the other (`commit`), and the second one
//! looks for the last place after it has the lock: so it sees the first one's entries, unless a round has numbered them, and then
//! they come before anyway. Where two commits about one subject hold no common lock (an import's, an app's), the primary key lets one of
//! them in and has the other sent again. A round takes the first of each subject that it takes any of, and a round that can see an
//! entry can see all with smaller places, which were committed, and visible, before that place was chosen. So what a round leaves of
//! a subject comes after what it takes.
//!
//! **What the head authenticates.** The end of the log and its chain, the base that retention has moved, and the latest time of a
//! decision, sealed with the key that only the master key leads to, exactly as in [`head`](crate::store::head). Number and digest of the
//! records are not in it: one row that each commit changes would make all of them wait for each other. Against pages that are
//! lost or old a cluster has checksums, its write-ahead log and its replicas; each record has its own checksum besides.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sidekey_core::time::UnixTime;
use tokio_postgres::{Error, GenericClient, Row, Transaction};

use super::commit::append;
use super::connections::Lent;
use super::error::{Trouble, unavailable};
use crate::entropy;
use crate::store::activity;
use crate::store::engine::{Batch, CommitError, StoreError, StoreId, Version};
use crate::store::head::{Head, HeadKey};
use crate::store::keys::{Key, Kind};
use crate::store::record;
use crate::store::trimmed::Trimmed;

/// How often a round, or a trim, is made that collides with another process.
const ATTEMPTS: u32 = 6;
/// Entries that one round numbers.
const AT_ONCE: i64 = 500;
/// The latest time of a decision is written when it is this many seconds past the one in the head, if no entry brings it along. After
/// a restart, the clock may be behind the last decision by as much.
const COARSE: u64 = 5;

/// What this process knows of the log.
pub(super) struct Ledger {
    id: StoreId,
    key: Mutex<Option<Arc<HeadKey>>>,
    seen: Mutex<Head>,
    /// The latest time of a decision that this process has committed.
    latest: AtomicU64,
}

/// How a round ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Round {
    /// Another process is at it.
    Busy,
    /// The head is sealed, and this process has not the key.
    Locked,
    /// All that waited from the given subject on has a number.
    Done,
    /// Entries about this subject and those after it may still wait.
    More(Vec<u8>),
}

/// An entry that waits.
struct Waiting {
    subject: Vec<u8>,
    place: i64,
    at: i64,
    entry: Vec<u8>,
}

impl Ledger {
    pub(super) fn new(id: StoreId, head: Head) -> Self {
        Self {
            id,
            key: Mutex::default(),
            latest: AtomicU64::new(head.latest.as_secs()),
            seen: Mutex::new(head),
        }
    }

    pub(super) fn key(&self) -> Option<Arc<HeadKey>> {
        self.key.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The head as it was last seen.
    pub(super) fn seen(&self) -> Head {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn audit_log(&self) -> RangeInclusive<u64> {
        self.seen().audit_log()
    }

    /// Keeps a head that was read; one that another reading has overtaken changes nothing.
    pub(super) fn note(&self, head: Head) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if (head.sequence, head.base.sequence, head.is_sealed())
            >= (seen.sequence, seen.base.sequence, seen.is_sealed())
        {
            *seen = head;
        }
    }

    /// Takes over the key, if the head that is stored is sealed with it or not at all.
    pub(super) fn unlock(&self, key: HeadKey, stored: Head) -> Result<(), StoreError> {
        self.check(&stored, Some(&key))?;
        self.note(stored);
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(key));
        Ok(())
    }

    /// Whether a batch may be committed: not by a process that has not the key of a sealed store.
    pub(super) fn admits(&self) -> bool {
        self.key().is_some() || !self.seen().is_sealed()
    }

    /// Remembers the time of a decision that was committed.
    pub(super) fn decided(&self, at: UnixTime) {
        self.latest.fetch_max(at.as_secs(), Ordering::Relaxed);
    }

    /// Whether the head has fallen behind the decisions of this process.
    pub(super) fn is_late(&self) -> bool {
        self.latest.load(Ordering::Relaxed) >= self.seen().latest.as_secs().saturating_add(COARSE)
    }

    /// Seals a head that is only shown.
    pub(super) fn seal_shown(&self, head: &mut Head) {
        if let Some(key) = self.key() {
            head.seal(&self.id, &key);
        }
    }

    fn check(&self, head: &Head, key: Option<&HeadKey>) -> Result<(), StoreError> {
        match key {
            Some(key) if head.is_sealed() && !head.is_sealed_by(&self.id, key) => {
                Err(damaged("its seal is not of this store and its master key"))
            }
            _ => Ok(()),
        }
    }

    /// A head as the `ledger` has it, its seal checked as far as the key is here.
    pub(super) fn decode(&self, bytes: &[u8]) -> Result<Head, StoreError> {
        let head = Head::from_bytes(bytes).ok_or_else(|| damaged("it cannot be read"))?;
        self.check(&head, self.key().as_deref())?;
        Ok(head)
    }

    /// Reads the head.
    pub(super) async fn read(&self, client: &impl GenericClient) -> Result<Head, StoreError> {
        let row = client.query_opt("SELECT head FROM ledger WHERE single = 1", &[]).await;
        let row = row.map_err(|error| unavailable(&error))?.ok_or_else(|| damaged("it is gone"))?;
        self.decode(row.get(0))
    }

    /// Numbers what waits about `from` and the subjects after it. `patient`: waits for another process that is at it.
    pub(super) async fn round(
        &self,
        client: &mut Lent,
        from: &[u8],
        patient: bool,
    ) -> Result<Round, StoreError> {
        for _ in 1..ATTEMPTS {
            match self.try_round(client, from, patient).await {
                Err(Trouble::Again(reason)) => tracing::debug!(reason, "a round is made again"),
                outcome => return Ok(outcome?),
            }
        }
        Ok(self.try_round(client, from, patient).await?)
    }

    async fn try_round(&self, client: &mut Lent, from: &[u8], patient: bool) -> Result<Round, Trouble> {
        let transaction = client.build_transaction().read_only(false).start().await?;
        let Some(mut head) = self.lock(&transaction, patient).await? else { return Ok(Round::Busy) };
        let key = self.key();
        if head.is_sealed() && key.is_none() {
            self.note(head);
            return Ok(Round::Locked);
        }
        let asked = "SELECT subject, place, at, entry FROM audit_pending WHERE subject >= $1 \
                     ORDER BY subject, place LIMIT $2";
        let rows = transaction.query(asked, &[&from, &AT_ONCE]).await?;
        let waiting: Vec<_> = rows
            .iter()
            .map(|row| Waiting { subject: row.get(0), place: row.get(1), at: row.get(2), entry: row.get(3) })
            .collect();
        let more = (rows.len() >= usize::try_from(AT_ONCE).unwrap_or(usize::MAX))
            .then(|| waiting.last().map(|last| last.subject.clone()))
            .flatten();
        if waiting.is_empty() && !self.is_late() && head.is_sealed() == key.is_some() {
            self.note(head);
            return Ok(Round::Done);
        }
        let ordered = in_order(waiting);
        head.latest =
            ordered.iter().map(|entry| seconds(entry.at)).max().max(Some(head.latest)).unwrap_or_default();
        head.latest = head.latest.max(UnixTime::from_secs(self.latest.load(Ordering::Relaxed)));
        move_to_log(&transaction, &mut head, &ordered).await?;
        self.write(&transaction, &mut head).await?;
        transaction.commit().await?;
        self.note(head);
        Ok(more.map_or(Round::Done, Round::More))
    }

    /// The head, which nobody else changes until the transaction ends; `None`: another process has it.
    async fn lock(&self, transaction: &Transaction<'_>, patient: bool) -> Result<Option<Head>, Trouble> {
        let asked = if patient {
            "SELECT head FROM ledger WHERE single = 1 FOR UPDATE"
        } else {
            "SELECT head FROM ledger WHERE single = 1 FOR UPDATE SKIP LOCKED"
        };
        match transaction.query_opt(asked, &[]).await? {
            Some(row) => Ok(Some(self.decode(row.get(0))?)),
            None if patient => Err(damaged("it is gone").into()),
            None => Ok(None),
        }
    }

    async fn write(&self, transaction: &Transaction<'_>, head: &mut Head) -> Result<(), Trouble> {
        if let Some(key) = self.key() {
            head.seal(&self.id, &key);
        }
        let bytes = head.to_bytes();
        match transaction.execute("UPDATE ledger SET head = $1 WHERE single = 1", &[&bytes]).await? {
            1 => Ok(()),
            _ => Err(damaged("it is gone").into()),
        }
    }

    /// Removes the oldest entries for a batch that [trims](Batch::trim): moves the base of the head past them, in the same transaction.
    pub(super) async fn trim(&self, client: &mut Lent, batch: &Batch) -> Result<(), CommitError> {
        let Some(entries) = batch.trimmed.clone() else { return Ok(()) };
        for _ in 0..ATTEMPTS {
            match self.try_trim(client, batch, &entries).await {
                Ok(outcome) => return outcome,
                Err(Trouble::Again(reason)) => tracing::debug!(reason, "a trim is made again"),
                Err(Trouble::Store(error)) => return Err(error.into()),
            }
        }
        Err(Trimmed::conflict())
    }

    async fn try_trim(
        &self,
        client: &mut Lent,
        batch: &Batch,
        entries: &RangeInclusive<u64>,
    ) -> Result<Result<(), CommitError>, Trouble> {
        let transaction = client.build_transaction().read_only(false).start().await?;
        let Some(mut head) = self.lock(&transaction, true).await? else {
            return Ok(Err(Trimmed::conflict()));
        };
        if head.is_sealed() && self.key().is_none() {
            return Ok(Err(CommitError::Sealed));
        }
        let (first, last) = (Key::audit(*entries.start()), Key::audit(*entries.end()));
        let asked = "SELECT key, value FROM audit WHERE key BETWEEN $1 AND $2 ORDER BY key";
        let rows = transaction.query(asked, &[&first.as_bytes(), &last.as_bytes()]).await?;
        let Trimmed { base, entries, notes } = match trimmed(&head, entries, &rows) {
            Ok(trimmed) => trimmed,
            Err(error) => return Ok(Err(error)),
        };
        head.base = base;
        for (table, keys) in [("audit", entries), ("activity", notes)] {
            let delete = format!("DELETE FROM {table} WHERE key = ANY ($1::bytea[])");
            let keys: Vec<_> = keys.iter().map(Key::as_bytes).collect();
            transaction.execute(&delete, &[&keys]).await?;
        }
        append(&transaction, batch).await?;
        head.latest = head.latest.max(batch.decided_at);
        self.write(&transaction, &mut head).await?;
        transaction.commit().await?;
        self.note(head);
        Ok(Ok(()))
    }
}

fn damaged(damage: &'static str) -> StoreError {
    StoreError::Damaged { key: "table ledger".to_owned(), damage }
}

fn seconds(at: i64) -> UnixTime {
    UnixTime::from_secs(u64::try_from(at).unwrap_or_default())
}

/// What waits in the order of its times, as far as the order within each subject lets it.
fn in_order(waiting: Vec<Waiting>) -> Vec<Waiting> {
    let mut latest: HashMap<Vec<u8>, i64> = HashMap::new();
    let mut timed: Vec<_> = waiting
        .into_iter()
        .map(|entry| {
            let time = latest.entry(entry.subject.clone()).or_insert(entry.at);
            *time = entry.at.max(*time);
            (*time, entry)
        })
        .collect();
    // A stable sort: entries of a subject have times that do not fall.
    timed.sort_by_key(|(time, _)| *time);
    timed.into_iter().map(|(_, entry)| entry).collect()
}

/// Numbers entries and moves them from those that wait to the log.
async fn move_to_log(
    transaction: &Transaction<'_>,
    head: &mut Head,
    waiting: &[Waiting],
) -> Result<(), Error> {
    if waiting.is_empty() {
        return Ok(());
    }
    let (mut keys, mut entries, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for Waiting { entry, .. } in waiting {
        head.append(entry);
        keys.push(Key::audit(head.sequence));
        entries.push(entry.clone());
        notes.extend(activity::note(head.sequence, entry));
    }
    store(transaction, "audit", &keys, &entries).await?;
    store(transaction, "activity", &notes, &vec![Vec::new(); notes.len()]).await?;
    let subjects: Vec<_> = waiting.iter().map(|entry| &entry.subject[..]).collect();
    let places: Vec<_> = waiting.iter().map(|entry| entry.place).collect();
    let delete = "DELETE FROM audit_pending p USING unnest($1::bytea[], $2::bigint[]) AS n (subject, place) \
                  WHERE p.subject = n.subject AND p.place = n.place";
    transaction.execute(delete, &[&subjects, &places]).await.map(drop)
}

/// Puts new records into one of the tables of the log.
async fn store(
    transaction: &Transaction<'_>,
    table: &str,
    keys: &[Key],
    values: &[Vec<u8>],
) -> Result<(), Error> {
    let version = Version(u64::from_ne_bytes(entropy::random()));
    let values: Vec<_> =
        keys.iter().zip(values).map(|(key, value)| record::encode(key, version, value)).collect();
    let keys: Vec<_> = keys.iter().map(Key::as_bytes).collect();
    let insert = format!(
        "INSERT INTO {table} (key, version, value) SELECT n.key, $2, n.value \
         FROM unnest($1::bytea[], $3::bytea[]) AS n (key, value)"
    );
    transaction.execute(&insert, &[&keys, &version.0.cast_signed(), &values]).await.map(drop)
}

/// What goes with these entries. The rows are their keys and values in the order of the log.
fn trimmed(head: &Head, entries: &RangeInclusive<u64>, rows: &[Row]) -> Result<Trimmed, CommitError> {
    let mut rows = rows.iter().peekable();
    Trimmed::of(head, entries, |key| {
        let row = rows.next_if(|row| row.get::<_, &[u8]>(0) == key.as_bytes());
        Ok(row.map(|row| row.get::<_, &[u8]>(1)))
    })
}

/// The entries that wait, in the order and with the keys that a round would give them after `head`, which is moved along: for whoever
/// looks at one moment of the store.
pub(super) async fn numbered(
    transaction: &Transaction<'_>,
    head: &mut Head,
) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
    let asked = "SELECT subject, place, at, entry FROM audit_pending ORDER BY subject, place";
    let rows = transaction.query(asked, &[]).await.map_err(|error| unavailable(&error))?;
    let waiting = rows.iter().map(|row| Waiting {
        subject: row.get(0),
        place: row.get(1),
        at: row.get(2),
        entry: row.get(3),
    });
    let numbered = in_order(waiting.collect()).into_iter().map(|Waiting { entry, at, .. }| {
        head.append(&entry);
        head.latest = head.latest.max(seconds(at));
        (Key::audit(head.sequence), entry)
    });
    Ok(numbered.collect())
}

/// Whether anything waits, about this subject or about any.
pub(super) async fn waits(client: &Lent, subject: Option<&Key>) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT FROM audit_pending WHERE $1::bytea IS NULL OR subject = $1)";
    let answer = async {
        let statement = client.prepare_cached(sql).await?;
        client.query_one(&statement, &[&subject.map(Key::as_bytes)]).await
    };
    Ok(answer.await.map_err(|error| unavailable(&error))?.get(0))
}

/// The table that a key's record is in.
pub(super) fn table(key: &Key) -> &'static str {
    match key.kind() {
        Some(Kind::Audit) => "audit",
        Some(Kind::Activity) => "activity",
        _ => "record",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_told_by_its_time_but_never_out_of_its_subjects_order() {
        let waiting = |subject: u8, place: i64, at: i64| Waiting {
            subject: vec![subject],
            place,
            at,
            entry: Vec::new(),
        };
        // The clock of the process that made the second entry about 1 was behind.
        let all = vec![
            waiting(1, 1, 50),
            waiting(1, 2, 40),
            waiting(1, 3, 60),
            waiting(2, 1, 45),
            waiting(3, 1, 55),
        ];
        let order: Vec<_> = in_order(all).iter().map(|entry| (entry.subject[0], entry.place)).collect();
        assert_eq!(order, [(2, 1), (1, 1), (1, 2), (3, 1), (1, 3)]);
    }
}
