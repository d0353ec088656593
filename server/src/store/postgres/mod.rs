//! The engine for clusters: a database that speaks the wire protocol of `PostgreSQL`.
//!
//! | module | what it is |
//! |---|---|
//! | this file | [`PostgresEngine`] |
//! | [`connect`] | connections, and what the server must be set to |
//! | `connections` | what becomes of a connection whose answer nobody waits for any more |
//! | `pulse` | a commit each second, and why what is read is safe |
//! | [`health`] | what a look tells of it |
//! | `hosts` | several hosts in one address |
//! | `schema` | the tables |
//! | [`upgrade`] | tables of an older version |
//! | `commit` | a batch as one transaction in one round trip, and why at most one of two rival decisions is committed |
//! | `ledger` | the audit log: numbers, chain and head, and why entries about one account keep their order |
//! | `lead` | tasks that processes share |
//! | [`filling`] | a database that is being filled |
//! | [`moving`] | a store that moves into a database or out of one |
//! | `walk` | everything as it is at one moment |
//! | `error` | what the server's errors mean |
//!
//! **Nothing is acknowledged before it is durable.** COMMIT is confirmed when the change is on the disk of the primary and of every
//! standby that the server is set to wait for; each connection demands that of the server (`connect`). A row becomes visible to
//! others only after that; `pulse` sees to the cases in which it does not. A batch that changes nothing is no commit.
//!
//! **A failure is not for good.** Where the server cannot be reached, answers nothing, or a connection is lost while a commit is
//! under way, that one call is `Unavailable`, its outcome unknown, and the next call tries anew. The process goes on.

pub mod connect;

mod commit;
mod connections;
mod error;
pub mod filling;
pub mod health;
mod hosts;
mod lead;
mod ledger;
pub mod moving;
mod pulse;
mod schema;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod upgrade;
mod walk;

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sidekey_core::time::UnixTime;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use self::connect::Options;
use self::connections::{Connections, Lent};
use self::error::unavailable;
use self::hosts::Turns;
use self::ledger::{Ledger, Round, table};
use self::pulse::Confirmed;
use super::engine::{
    Batch, CommitError, Engine, Guard, Lead, MAX_SCAN, Pending, Record, StoreError, StoreId, Version,
    one_by_one,
};
use super::folder::hex;
use super::head::{Head, HeadKey};
use super::keys::{Key, Kind};
use super::record;
use super::stripes::Stripes;
use super::walk::Visitor;
use crate::clock::Clock;
use crate::entropy;

/// Between two looks at the log when nothing is committed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Rounds in one go; with more to do, others get their turn in between.
const ROUNDS: usize = 1_000;
/// A read that takes longer is given up, and so is a look at the log.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks whether the transactions before have ended, and how many there are: a minute in all.
const SETTLE_LOOK: Duration = Duration::from_millis(100);
const SETTLE_LOOKS: u32 = 600;
/// Connections for leases, besides those of the requests and the one of the pulse.
const TASKS: usize = 2;

/// A store in a database.
pub struct PostgresEngine {
    shared: Arc<Shared>,
    /// What its leases are known by, a number of 31 bits.
    process: u32,
    high_water: UnixTime,
    stripes: Stripes,
    keepers: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    id: StoreId,
    requests: Connections,
    tasks: Arc<Connections>,
    ledger: Arc<Ledger>,
    /// Whether the last look at the log went well.
    numbers: AtomicBool,
    /// How the pulses went.
    confirmed: Confirmed,
    /// Entries wait for their numbers.
    appended: Notify,
}

impl PostgresEngine {
    /// Opens the store in a database, or makes a new one with this id in an empty database.
    ///
    /// # Errors
    /// The database cannot be reached, would lose what it acknowledges, or holds the store of another version of this program.
    pub async fn open(options: &Options, new_id: StoreId) -> Result<Self, StoreError> {
        let making = Connections::new(options.pool(1)?);
        let mut client = making.lend().await?;
        let id = schema::settle(&mut client, new_id).await?;
        drop(client);
        making.close();
        Self::begin(options, id).await
    }

    /// Opens the store that is in a database, and changes no table: for commands.
    ///
    /// # Errors
    /// There is none, or as [`open`](Self::open); tables of an older version are refused too.
    pub async fn open_existing(options: &Options) -> Result<Self, StoreError> {
        let making = Connections::new(options.pool(1)?);
        let client = making.lend().await?;
        let found = schema::find(&client).await.map_err(|error| unavailable(&error))?;
        drop(client);
        making.close();
        let none = || StoreError::Unavailable(upgrade::UpgradeError::NoStore.to_string());
        Self::begin(options, found.ok_or_else(none)?.check()?).await
    }

    async fn begin(options: &Options, id: StoreId) -> Result<Self, StoreError> {
        let slot = u8::from_ne_bytes(entropy::random()) % pulse::ROWS;
        let turns = Arc::new(Turns::default());
        let pool = |size, leads| options.pool_in_turn(size, &turns, leads);
        let requests = Connections::safe(pool(options.pool_size, false)?, slot);
        let tasks = Arc::new(Connections::new(pool(TASKS, false)?));
        let of_pulse = Connections::new(pool(1, true)?);
        // Its first connection makes a commit.
        let begun = Clock::instant();
        let client = requests.lend().await?;
        let ledger = Arc::new(Ledger::new(id, Head::default()));
        let head = ledger.read(&***client).await?;
        let waits = client.query_one("SELECT coalesce(max(at), 0) FROM audit_pending", &[]).await;
        let latest: i64 = waits.map_err(|error| unavailable(&error))?.get(0);
        let high_water = head.latest().max(UnixTime::from_secs(u64::try_from(latest).unwrap_or_default()));
        ledger.note(head);
        ledger.decided(high_water);
        client.give_back();
        let (numbers, confirmed, appended) = (AtomicBool::new(true), Confirmed::at(begun), Notify::new());
        let shared = Arc::new(Shared { id, requests, tasks, ledger, numbers, confirmed, appended });
        let (beating, is_volatile) = (Arc::clone(&shared), options.volatile);
        let keepers = vec![
            tokio::spawn(Arc::clone(&shared).keep()),
            tokio::spawn(async move { pulse::run(&beating, &of_pulse, &turns, slot, is_volatile).await }),
        ];
        let process = u32::from_ne_bytes(entropy::random()) >> 1;
        Ok(Self { shared, process, high_water, stripes: Stripes::new(), keepers: Mutex::new(keepers) })
    }
}

impl Shared {
    /// Numbers what waits, each second and when something was appended.
    async fn keep(self: Arc<Self>) {
        loop {
            let looked = tokio::time::timeout(PATIENCE, self.number_all(false)).await;
            let failure = match looked {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("the database does not answer".to_owned()),
            };
            let went_well = self.numbers.swap(failure.is_none(), Ordering::Relaxed);
            match failure {
                Some(reason) if went_well => tracing::error!(reason, "audit entries get no numbers"),
                None if !went_well => tracing::info!("audit entries get their numbers again"),
                _ => {}
            }
            // Woken by each commit with entries, and at rest as long as nothing happens.
            let _ = tokio::time::timeout(LOOK_EVERY, self.appended.notified()).await;
        }
    }

    async fn client(&self) -> Result<Lent, StoreError> {
        self.requests.lend().await
    }

    /// A connection to read on, as long as what can be read is known to be safe, see `pulse`.
    async fn reader(&self) -> Result<Lent, StoreError> {
        if !self.confirmed.vouches(Clock::instant()) {
            return Err(StoreError::Unavailable("the database confirms no commits".to_owned()));
        }
        self.client().await
    }

    /// Numbers all that waits now. `patient`: waits for another process that is at it.
    async fn number_all(&self, patient: bool) -> Result<(), StoreError> {
        let mut client = self.client().await?;
        let mut from = Vec::new();
        for _ in 0..ROUNDS {
            match self.ledger.round(&mut client, &from, patient).await? {
                Round::More(next) => from = next,
                Round::Done | Round::Locked => break,
                Round::Busy => {
                    // That one numbers ours as well, or we do next time.
                    self.ledger.note(self.ledger.read(&***client).await?);
                    break;
                }
            }
        }
        client.give_back();
        Ok(())
    }

    /// Sees to it that whoever reads the log finds what was committed before.
    async fn settle(&self, prefix: &Key) -> Result<(), StoreError> {
        let subject = prefix.is(Kind::Activity).then_some(prefix).filter(|key| key.as_bytes().len() > 1);
        let mut client = self.reader().await?;
        let waits = ledger::waits(&client, subject).await?;
        if waits && let Some(subject) = subject {
            for _ in 0..ROUNDS {
                let round = self.ledger.round(&mut client, subject.as_bytes(), true).await?;
                // More about this one subject than a round takes.
                if !matches!(&round, Round::More(next) if *next == subject.as_bytes()) {
                    break;
                }
            }
        }
        client.give_back();
        if waits && subject.is_none() { self.number_all(true).await } else { Ok(()) }
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        let client = self.reader().await?;
        if *key == Head::key() {
            let value = self.ledger.read(&***client).await?.to_bytes();
            client.give_back();
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
        let row = row.await;
        client.give_back();
        let row = row.map_err(|error| unavailable(&error))?;
        row.map(|row| record::decode(key, row.get(0))).transpose()
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        let client = self.reader().await?;
        let asked: Vec<_> = keys.iter().map(Key::as_bytes).collect();
        let rows = async {
            let sql = "SELECT key, value FROM record WHERE key = ANY ($1::bytea[])";
            let statement = client.prepare_cached(sql).await?;
            client.query(&statement, &[&asked]).await
        };
        let rows = rows.await;
        client.give_back();
        let rows = rows.map_err(|error| unavailable(&error))?;
        let found: HashMap<&[u8], &[u8]> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let read = |key: &Key| found.get(key.as_bytes()).map(|value| record::decode(key, value)).transpose();
        keys.iter().map(read).collect()
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
        let client = self.reader().await?;
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
        let page = page.await;
        client.give_back();
        let page = page.map_err(|error| unavailable(&error))?;
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
                client.give_back();
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
            self.trim(&batch).await?;
        } else {
            commit::commit(&self.requests, batch).await?;
        }
        self.ledger.decided(at);
        if appends {
            self.appended.notify_one();
        }
        Ok(())
    }
}

impl Shared {
    async fn trim(&self, batch: &Batch) -> Result<(), CommitError> {
        let mut client = self.client().await?;
        let Ok(outcome) = tokio::time::timeout(PATIENCE, self.ledger.trim(&mut client, batch)).await else {
            return Err(StoreError::Unavailable("the database did not answer in time".to_owned()).into());
        };
        client.give_back();
        outcome
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

/// A read as a task of its own, which comes to its end whoever goes away: a connection whose answer nobody waits for could not be lent
/// again, and clients that hang up would cost one each.
async fn to_its_end<T: Send + 'static>(
    answer: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let cut_short = |_| Err(StoreError::Unavailable("a read was cut short".to_owned()));
    tokio::spawn(in_time(answer)).await.unwrap_or_else(cut_short)
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
            let read = async {
                let client = self.shared.client().await?;
                let head = ledger.read(&***client).await?;
                client.give_back();
                Ok(head)
            };
            ledger.unlock(key, in_time(read).await?)
        })
    }

    fn get<'a>(&'a self, key: &'a Key) -> Pending<'a, Result<Option<Record>, StoreError>> {
        let (shared, key) = (Arc::clone(&self.shared), key.clone());
        Box::pin(to_its_end(async move { shared.get(&key).await }))
    }

    fn get_many<'a>(&'a self, keys: &'a [Key]) -> Pending<'a, Result<Vec<Option<Record>>, StoreError>> {
        Box::pin(async move {
            if keys.iter().all(|key| table(key) == "record" && *key != Head::key()) {
                let (shared, keys) = (Arc::clone(&self.shared), keys.to_vec());
                return to_its_end(async move { shared.get_many(&keys).await }).await;
            }
            one_by_one(keys, |key| self.get(key)).await
        })
    }

    fn scan<'a>(
        &'a self,
        prefix: &'a Key,
        after: Option<&'a Key>,
        limit: usize,
    ) -> Pending<'a, Result<Vec<(Key, Record)>, StoreError>> {
        let (shared, prefix, after) = (Arc::clone(&self.shared), prefix.clone(), after.cloned());
        Box::pin(to_its_end(async move { shared.scan(&prefix, after.as_ref(), limit).await }))
    }

    fn audit_log(&self) -> RangeInclusive<u64> {
        self.shared.ledger.audit_log()
    }

    fn walk(&self, mut visitor: Box<dyn Visitor>) -> Pending<'_, Result<Head, StoreError>> {
        Box::pin(async move {
            let mut client = self.shared.reader().await?;
            let (runtime, ledger) = (Handle::current(), Arc::clone(&self.shared.ledger));
            let walked = tokio::task::spawn_blocking(move || {
                let walked = walk::walk(&runtime, &mut client, &ledger, &mut *visitor, walk::Patience::Long);
                if walked.is_ok() {
                    client.give_back();
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
        Box::pin(in_time(lead::lead(&self.shared.tasks, self.process, task)))
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn is_healthy(&self) -> bool {
        let Shared { numbers, confirmed, requests, .. } = &*self.shared;
        numbers.load(Ordering::Relaxed) && confirmed.is_good(Clock::instant()) && !requests.is_closed()
    }

    fn failed(&self) -> Pending<'_, String> {
        Box::pin(std::future::pending())
    }

    fn close(&self) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let keepers = std::mem::take(&mut *self.keepers.lock().unwrap_or_else(PoisonError::into_inner));
            for keeper in keepers {
                keeper.abort();
                // It ends by that.
                let _ = keeper.await;
            }
            // What waits has been durable since it was committed; it only gets its number sooner like this.
            if let Err(error) = in_time(self.shared.number_all(false)).await {
                tracing::debug!(%error, "audit entries get their numbers from another process, or at the next start");
            }
            if let Err(error) = in_time(lead::end_all(&self.shared.tasks, self.process)).await {
                tracing::debug!(%error, "shared tasks fall to another process when their leases end");
            }
            self.shared.requests.close();
            self.shared.tasks.close();
            Ok(())
        })
    }
}

impl Drop for PostgresEngine {
    fn drop(&mut self) {
        for keeper in self.keepers.get_mut().unwrap_or_else(PoisonError::into_inner) {
            keeper.abort();
        }
    }
}
