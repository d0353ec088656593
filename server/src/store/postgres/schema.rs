//! The tables, and what the store says about itself.
//!
//! ```text
//! about         format of the tables, format of the records, id            one row
//! ledger        the head: end, base and seal of the audit log              one row
//! record        key, version, the record as `store::record` lays it out
//! audit         the same, of the audit entries that have a number
//! activity      the same, of the notes that lead to them by account
//! audit_pending entries that have no number yet: whom they are about, the how manyth about them, when, the entry
//! lead          a row for each task that processes share: who is at it, until when
//! pulse         rows that each process writes to, one of them each second
//! ```
//!
//! Keys are bytes in all of them and sort as such. Those of an app's objects begin with the app, and the log's entries wait under
//! whom they are about, so that each table but `audit` can be sharded by a prefix of its key. No number is drawn from a sequence.

use tokio_postgres::{Client, Error, Row, Transaction};

use super::error::{sentence, unavailable};
use super::upgrade::{UpgradeError, Upgraded, is_refusal, upgrade};
use crate::store::FORMAT;
use crate::store::engine::{StoreError, StoreId};
use crate::store::head::Head;

/// The version of the tables.
pub(super) const TABLES: i32 = 2;
/// In place of a version where nobody serves the store from the database, see [`moving`](super::moving): it is being filled.
pub(super) const FILLING: i32 = 0;
/// What was filled was given up.
pub(super) const GIVEN_UP: i32 = -1;
/// The store is being copied to a folder.
pub(super) const LEAVING: i32 = -2;
/// The store has moved to a folder.
pub(super) const GONE: i32 = -3;

/// Attempts at making them, against other processes that do the same: the losers find them made.
const ATTEMPTS: usize = 10;

const READ: &str = "SELECT tables, format, id FROM about WHERE single = 1";

const CREATE: &str = "
    CREATE TABLE IF NOT EXISTS about (
        single smallint PRIMARY KEY CHECK (single = 1), tables integer NOT NULL, format integer NOT NULL, id bytea NOT NULL);
    CREATE TABLE IF NOT EXISTS ledger (single smallint PRIMARY KEY CHECK (single = 1), head bytea NOT NULL);
    CREATE TABLE IF NOT EXISTS record (key bytea PRIMARY KEY, version bigint NOT NULL, value bytea NOT NULL);
    CREATE TABLE IF NOT EXISTS audit (key bytea PRIMARY KEY, version bigint NOT NULL, value bytea NOT NULL);
    CREATE TABLE IF NOT EXISTS activity (key bytea PRIMARY KEY, version bigint NOT NULL, value bytea NOT NULL);
    CREATE TABLE IF NOT EXISTS audit_pending (
        subject bytea NOT NULL, place bigint NOT NULL, at bigint NOT NULL, entry bytea NOT NULL, PRIMARY KEY (subject, place));
    CREATE TABLE IF NOT EXISTS lead (task text PRIMARY KEY, holder bigint, until timestamptz);
    CREATE TABLE IF NOT EXISTS pulse (slot smallint PRIMARY KEY, at timestamptz NOT NULL);";

/// What the store says about itself.
pub(super) struct About {
    /// The version of the tables, or what is in its place.
    pub(super) tables: i32,
    format: i32,
    id: Vec<u8>,
}

impl About {
    fn of(row: &Row) -> Self {
        Self { tables: row.get(0), format: row.get(1), id: row.get(2) }
    }

    /// The id of the store; `None`: it is none.
    pub(super) fn id(&self) -> Option<StoreId> {
        self.id.as_slice().try_into().ok()
    }

    /// Whether the tables are of an older version, which [`upgrade`](super::upgrade) brings up.
    pub(super) fn is_older(&self) -> bool {
        (1..TABLES).contains(&self.tables) && self.format == i32::from(FORMAT)
    }

    /// The id, if this program can work on the store.
    pub(super) fn check(&self) -> Result<StoreId, StoreError> {
        check(self.tables, self.format, &self.id)
    }
}

/// Makes what is not there, brings up what is older, and gives the id of the store.
///
/// # Errors
/// The tables are those of a newer version, or the database cannot be used.
pub(super) async fn settle(client: &mut Client, new_id: StoreId) -> Result<StoreId, StoreError> {
    for _ in 1..ATTEMPTS {
        match try_settle(client, new_id).await {
            // Another process was making them: whatever it was that collided, now it is there.
            Err(error) if error.as_db_error().is_some() && !is_refusal(&error) => {
                tracing::debug!(reason = sentence(&error), "the tables are being made by another process");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            settled => return settled.map_err(|error| not_made(&error))?,
        }
    }
    try_settle(client, new_id).await.map_err(|error| not_made(&error))?
}

fn not_made(error: &Error) -> StoreError {
    if is_refusal(error) {
        return StoreError::Unavailable(format!(
            "{}: the user of this address needs the right to make the tables, or to use those that another one has made",
            sentence(error)
        ));
    }
    unavailable(error)
}

async fn try_settle(client: &mut Client, new_id: StoreId) -> Result<Result<StoreId, StoreError>, Error> {
    match find(client).await? {
        Some(found) if found.is_older() => match upgrade(client).await {
            Err(UpgradeError::Store(error)) => return Ok(Err(error)),
            Err(error) => return Ok(Err(StoreError::Unavailable(error.to_string()))),
            Ok(Upgraded::NothingToDo) => {}
            Ok(Upgraded::From(from)) => {
                tracing::info!(from, to = TABLES, "the tables of the database were brought up");
            }
        },
        Some(found) => return Ok(found.check()),
        None => {
            let transaction = client.build_transaction().read_only(false).start().await?;
            create(&transaction, new_id, TABLES).await?;
            transaction.commit().await?;
        }
    }
    Ok(find(client).await?.map_or_else(|| Err(damaged("it is gone")), |found| found.check()))
}

/// What the store says; `None`: there is none.
pub(super) async fn find(client: &Client) -> Result<Option<About>, Error> {
    let is_there = client.query_one("SELECT to_regclass('about') IS NOT NULL", &[]).await?;
    if !is_there.get::<_, bool>(0) {
        return Ok(None);
    }
    Ok(client.query_opt(READ, &[]).await?.as_ref().map(About::of))
}

/// The same, which nobody else changes until the transaction ends.
pub(super) async fn lock(transaction: &Transaction<'_>) -> Result<Option<About>, Error> {
    Ok(transaction.query_opt(&format!("{READ} FOR UPDATE"), &[]).await?.as_ref().map(About::of))
}

/// Makes the tables of a store with this id.
pub(super) async fn create(transaction: &Transaction<'_>, id: StoreId, tables: i32) -> Result<(), Error> {
    transaction.batch_execute(CREATE).await?;
    let format = i32::from(FORMAT);
    let about = "INSERT INTO about (single, tables, format, id) VALUES (1, $1, $2, $3)";
    transaction.execute(about, &[&tables, &format, &&id[..]]).await?;
    let head = Head::default().to_bytes();
    transaction.execute("INSERT INTO ledger (single, head) VALUES (1, $1)", &[&head]).await.map(drop)
}

pub(super) fn check(tables: i32, format: i32, id: &[u8]) -> Result<StoreId, StoreError> {
    let closed = |why: &str| Err(StoreError::Unavailable(why.to_owned()));
    match tables {
        FILLING => {
            return closed(
                "the database is being filled with a store, and that has not ended: run the `sidekey store copy` again that was \
                 broken off; a `sidekey restore` makes a new store each time: restore into another, empty database",
            );
        }
        GIVEN_UP => {
            return closed(
                "the copy of a store in this database was given up: make an empty database, or copy again",
            );
        }
        LEAVING => {
            return closed(
                "the store in the database is being moved to a data folder, and nothing is decided here until that has ended: \
                 run `sidekey store copy --from postgres --to sled` again, or take it back with `sidekey store undo`",
            );
        }
        GONE => {
            return closed(
                "the store of this database has moved to a data folder, and is never served from here again: start the server \
                 with that folder and `store.engine = \"sled\"`",
            );
        }
        _ => {}
    }
    let refused = |advice: &str| {
        Err(StoreError::Unavailable(format!(
            "the store in the database has tables of version {tables} with records of format {format}, and this version of \
             sidekey needs {TABLES} and {FORMAT}: {advice}"
        )))
    };
    if tables > TABLES || format > i32::from(FORMAT) {
        return refused("install the newer version");
    }
    if format < i32::from(FORMAT) {
        return refused("it cannot migrate records in a database yet");
    }
    if tables < TABLES {
        return refused("run `sidekey migrate` with the address of a user that may change tables");
    }
    id.try_into().map_err(|_| damaged("its id is none"))
}

fn damaged(damage: &'static str) -> StoreError {
    StoreError::Damaged { key: "table about".to_owned(), damage }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_records_of_another_version_are_refused_with_the_remedy() {
        let format = i32::from(FORMAT);
        assert_eq!(check(TABLES, format, &[7; 16]), Ok([7; 16]));
        for (tables, format) in [(TABLES + 1, format), (TABLES, format + 1)] {
            assert!(
                check(tables, format, &[7; 16])
                    .unwrap_err()
                    .to_string()
                    .contains("install the newer version")
            );
        }
        for (tables, format, advice) in
            [(TABLES, format - 1, "cannot migrate"), (TABLES - 1, format, "run `sidekey migrate`")]
        {
            let older = check(tables, format, &[7; 16]).unwrap_err();
            assert!(older.to_string().contains(advice), "{older}");
        }
        for tables in [FILLING, GIVEN_UP, LEAVING, GONE] {
            assert!(check(tables, format, &[7; 16]).is_err(), "{tables}");
        }
        assert!(matches!(check(TABLES, format, &[7; 15]), Err(StoreError::Damaged { .. })));
    }
}
