//! The engine for clusters: a database that speaks the wire protocol of `PostgreSQL`.
//!
//! | module | what it is |
//! |---|---|
//! | this file | [`PostgresEngine`] |
//! | [`connect`] | connections, and what the server must be set to |
//! | `schema` | the tables |
//! | `commit` | a batch as one transaction in one round trip, and why at most one of two rival decisions is committed |
//! | `ledger` | the audit log: numbers, chain and head, and why entries about one account keep their order |
//! | `lead` | tasks that processes share |
//! | [`moving`] | a store that moves into a database or out of one |
//! | `walk` | everything as it is at one moment |
//! | `error` | what the server's errors mean |
//!
//! **Nothing is acknowledged before it is durable.** COMMIT is confirmed when the change is on the disk of the primary and of every
//! standby that the server is set to wait for; each connection demands that of the server (`connect`). A row becomes visible to
//! others only after that, so nothing is ever read that a power cut could take back.
//!
//! **A failure is not for good.** Where the server cannot be reached, answers nothing, or a connection is lost while a commit is
//! under way, that one call is `Unavailable`, its outcome unknown, and the next call tries anew. The process goes on.

pub mod connect;

mod commit;
mod error;
mod lead;
mod ledger;
pub mod moving;
mod schema;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod walk;

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::{Object, Pool};
use sidekey_core::time::UnixTime;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use self::connect::{Options, has_synchronous_standby};
use self::error::{unavailable, unconnected};
use self::ledger::{Ledger, Round, table};
use super::engine::{
    Batch, CommitError, Engine, Guard, Lead, MAX_SCAN, Pending, Record, StoreError, StoreId, Version,
};
use super::folder::hex;
use super::head::{Head, HeadKey};
use super::keys::{Key, Kind};
use super::record;
use super::stripes::Stripes;
use super::walk::Visitor;

/// Between two looks at the log when nothing is committed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Rounds in one go; with more to do, others get their turn in between.
const ROUNDS: usize = 1_000;
/// A read that takes longer is given up, and so is a look at the log.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks whether the transactions before have ended, and how many there are: a minute in all.
const SETTLE_LOOK: Duration = Duration::from_millis(100);
const SETTLE_LOOKS: u32 = 600;
/// Connections for tasks that processes share, besides those of the requests.
const LEADS: usize = 8;

/// A store in a database.
pub struct PostgresEngine {
    shared: Arc<Shared>,
    leads: Pool,
    high_water: UnixTime,
    stripes: Stripes,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    id: StoreId,
    pool: Pool,
    ledger: Arc<Ledger>,
    healthy: AtomicBool,
    /// Entries wait for their numbers.
    appended: Notify,
}

impl PostgresEngine {
    /// Opens the store in a database, or makes a new one with this id in an empty database.
    ///
    /// # Errors
    /// The database cannot be reached, would lose what it acknowledges, or holds the store of another version of this program.
    pub async fn open(options: &Options, new_id: StoreId) -> Result<Self, StoreError> {
        let (pool, leads) = (options.pool(options.pool_size)?, options.pool(LEADS)?);
        let mut client = pool.get().await.map_err(|error| unconnected(&error))?;
        let id = schema::settle(&mut client, new_id).await?;
        if has_synchronous_standby(&client).await == Some(false) && !options.volatile {
            tracing::warn!(
                "the database has no synchronous standby (`synchronous_standby_names` is empty): with its disk, what was acknowledged is lost"
            );
        }
        let ledger = Arc::new(Ledger::new(id, Head::default()));
        let head = ledger.read(&**client).await?;
        let waits = client.query_one("SELECT coalesce(max(at), 0) FROM audit_pending", &[]).await;
        let latest: i64 = waits.map_err(|error| unavailable(&error))?.get(0);
        let high_water = head.latest().max(UnixTime::from_secs(u64::try_from(latest).unwrap_or_default()));
        ledger.note(head);
        ledger.decided(high_water);
        drop(client);
        let (healthy, appended) = (AtomicBool::new(true), Notify::new());
        let shared = Arc::new(Shared { id, pool, ledger, healthy, appended });
        let keeper = tokio::spawn(Arc::clone(&shared).keep());
        Ok(Self { shared, leads, high_water, stripes: Stripes::new(), keeper: Mutex::new(Some(keeper)) })
    }
}

impl Shared {
    /// Numbers what waits, each second and when something was appended, and so also finds out whether the database answers.
    async fn keep(self: Arc<Self>) {
        loop {
            let looked = tokio::time::timeout(PATIENCE, self.number_all(false)).await;
            let failure = match looked {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("the database does not answer".to_owned()),
            };
            let was_healthy = self.healthy.swap(failure.is_none(), Ordering::Relaxed);
            match failure {
                Some(reason) if was_healthy => tracing::error!(reason, "the store is not available"),
                None if !was_healthy => tracing::info!("the store is available again"),
                _ => {}
            }
            // Woken by each commit with entries, and at rest as long as nothing happens.
            let _ = tokio::time::timeout(LOOK_EVERY, self.appended.notified()).await;
        }
    }

    async fn client(&self) -> Result<Object, StoreError> {
        self.pool.get().await.map_err(|error| unconnected(&error))
    }

    /// Numbers all that waits now. `patient`: waits for another process that is at it.
    async fn number_all(&self, patient: bool) -> Result<(), StoreError> {
        let mut client = self.client().await?;
        let mut from = Vec::new();
        for _ in 0..ROUNDS {
            match self.ledger.round(&mut client, &from, patient).await? {
                Round::More(next) => from = next,
                Round::Done | Round::Locked => return Ok(()),
                Round::Busy => {
                    // That one numbers ours as well, or we do next time.
                    self.ledger.note(self.ledger.read(&**client).await?);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Sees to it that whoever reads the log finds what was committed before.
    async fn settle(&self, prefix: &Key) -> Result<(), StoreError> {
        let subject = prefix.is(Kind::Activity).then_some(prefix).filter(|key| key.as_bytes().len() > 1);
        if !ledger::waits(&self.client().await?, subject).await? {
            return Ok(());
        }
        let Some(subject) = subject else { return self.number_all(true).await };
        let mut client = self.client().await?;
        for _ in 0..ROUNDS {
            let round = self.ledger.round(&mut client, subject.as_bytes(), true).await?;
            // More about this one subject than a round takes.
            if !matches!(&round, Round::More(next) if *next == subject.as_bytes()) {
                break;
            }
        }
        Ok(())
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        let client = self.client().await?;
        if *key == Head::key() {
            let value = self.ledger.read(&**client).await?.to_bytes();
            return Ok(Some(Record { version: Version(0), value }));
        }
        let sql = match table(key) {
            "audit" => "SELECT value FROM audit WHERE key = $1",
            "activity" => "SELECT value FROM activity WHERE key = $1",
            _ => "SELECT value FROM record WHERE key = $1",
        };
        let row = async {
            let statement = client.prepare_cached(sql).await?;
            client.query_opt(&statement, &[&key.as_bytes()]).await
        };
        let row = row.await.map_err(|error| unavailable(&error))?;
        row.map(|row| record::decode(key, row.get(0))).transpose()
    }

    async fn scan(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Record)>, StoreError> {
        if prefix.is(Kind::Audit) || prefix.is(Kind::Activity) {
            self.settle(prefix).await?;
        }
        let client = self.client().await?;
        let sql = format!(
            "SELECT key, value FROM {} WHERE key >= $1 AND key > $2 AND ($3::bytea IS NULL OR key < $3) \
             ORDER BY key LIMIT $4",
            table(prefix)
        );
        let (after, end) = (after.map_or(&[][..], Key::as_bytes), end_of(prefix.as_bytes()));
        let limit = i64::try_from(limit.min(MAX_SCAN)).unwrap_or(i64::MAX);
        let page = async {
            let statement = client.prepare_cached(&sql).await?;
            client.query(&statement, &[&prefix.as_bytes(), &after, &end, &limit]).await
        };
        let page = page.await.map_err(|error| unavailable(&error))?;
        let read = |row: &tokio_postgres::Row| {
            let key = Key::from_bytes(row.get(0));
            let record = record::decode(&key, row.get(1))?;
            Ok((key, record))
        };
        page.iter().map(read).collect()
    }

    /// See `commit` for the argument. Transactions of other databases on the same server count as well.
    async fn settled(&self) -> Result<(), StoreError> {
        let client = self.client().await?;
        let number = async |sql| Ok(client.query_one(sql, &[]).await?.get::<_, i64>(0));
        let failed = |error: tokio_postgres::Error| unavailable(&error);
        let drawn = number("SELECT txid_current()").await.map_err(failed)?;
        for _ in 0..SETTLE_LOOKS {
            if number("SELECT txid_snapshot_xmin(txid_current_snapshot())").await.map_err(failed)? >= drawn {
                return Ok(());
            }
            tokio::time::sleep(SETTLE_LOOK).await;
        }
        Err(StoreError::Unavailable(
            "a transaction of this database that had begun before does not end: try again when it has"
                .to_owned(),
        ))
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        batch.check_limits()?;
        if !self.ledger.admits() {
            return Err(CommitError::Sealed);
        }
        let (at, appends) = (batch.decided_at, !batch.appended.is_empty());
        if batch.trimmed.is_some() {
            let mut client = self.client().await?;
            self.ledger.trim(&mut client, batch).await?;
        } else {
            commit::commit(&self.pool, batch).await?;
        }
        self.ledger.decided(at);
        if appends {
            self.appended.notify_one();
        }
        Ok(())
    }
}

/// The first key after all that begin with a prefix; `None`: there is none.
fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

async fn in_time<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let late = || StoreError::Unavailable("the database did not answer in time".to_owned());
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(late()))
}

impl fmt::Debug for PostgresEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresEngine({})", hex(self.shared.id))
    }
}

impl Engine for PostgresEngine {
    fn id(&self) -> StoreId {
        self.shared.id
    }

    fn high_water(&self) -> UnixTime {
        self.high_water
    }

    fn seal(&self, key: HeadKey) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let Shared { ledger, .. } = &*self.shared;
            let head = in_time(async { ledger.read(&**self.shared.client().await?).await }).await?;
            ledger.unlock(key, head)
        })
    }

    fn get<'a>(&'a self, key: &'a Key) -> Pending<'a, Result<Option<Record>, StoreError>> {
        Box::pin(in_time(self.shared.get(key)))
    }

    fn scan<'a>(
        &'a self,
        prefix: &'a Key,
        after: Option<&'a Key>,
        limit: usize,
    ) -> Pending<'a, Result<Vec<(Key, Record)>, StoreError>> {
        Box::pin(in_time(self.shared.scan(prefix, after, limit)))
    }

    fn audit_log(&self) -> RangeInclusive<u64> {
        self.shared.ledger.audit_log()
    }

    fn walk(&self, mut visitor: Box<dyn Visitor>) -> Pending<'_, Result<Head, StoreError>> {
        Box::pin(async move {
            let mut client = self.shared.client().await?;
            let (runtime, ledger) = (Handle::current(), Arc::clone(&self.shared.ledger));
            let walked = tokio::task::spawn_blocking(move || {
                let walked = walk::walk(&runtime, &mut client, &ledger, &mut *visitor);
                if walked.is_err() {
                    commit::abandon(client);
                }
                walked
            });
            walked.await.map_err(|_| StoreError::Unavailable("a walk was cut short".to_owned()))?
        })
    }

    fn authenticate(&self, hash: [u8; 32]) -> Pending<'_, Result<Option<[u8; 32]>, StoreError>> {
        let mac = self.shared.ledger.key().map(|key| key.authenticate(&self.shared.id, &hash));
        Box::pin(std::future::ready(Ok(mac)))
    }

    fn commit(&self, batch: Batch) -> Pending<'_, Result<(), CommitError>> {
        Box::pin(async move {
            let shared = Arc::clone(&self.shared);
            // A task of its own: a transaction that was begun is brought to its end, whoever goes away.
            let made = tokio::spawn(async move { shared.commit(batch).await });
            made.await
                .unwrap_or_else(|_| Err(StoreError::Unavailable("a commit was cut short".to_owned()).into()))
        })
    }

    fn settled(&self) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(self.shared.settled())
    }

    fn lock<'a>(&'a self, key: &'a Key) -> Pending<'a, Guard> {
        Box::pin(self.stripes.lock(key))
    }

    fn lead<'a>(&'a self, task: &'a str) -> Pending<'a, Result<Option<Lead>, StoreError>> {
        Box::pin(in_time(lead::lead(&self.leads, task)))
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn is_healthy(&self) -> bool {
        self.shared.healthy.load(Ordering::Relaxed) && !self.shared.pool.is_closed()
    }

    fn failed(&self) -> Pending<'_, String> {
        Box::pin(std::future::pending())
    }

    fn close(&self) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(keeper) = keeper {
                keeper.abort();
                // It ends by that.
                let _ = keeper.await;
            }
            // What waits has been durable since it was committed; it only gets its number sooner like this.
            if let Err(error) = in_time(self.shared.number_all(false)).await {
                tracing::debug!(%error, "audit entries get their numbers from another process, or at the next start");
            }
            self.shared.pool.close();
            self.leads.close();
            Ok(())
        })
    }
}

impl Drop for PostgresEngine {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            keeper.abort();
        }
    }
}
