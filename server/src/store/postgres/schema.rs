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

use tokio_postgres::{Client, Error, Transaction};

use super::error::unavailable;
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

/// From the tables of version 1. Processes of both versions may work on these, but not during a rotation of master keys: those of the
/// first know no fence. A task may then be led twice.
const FROM_1: &str = "
    ALTER TABLE lead ADD COLUMN IF NOT EXISTS holder bigint;
    ALTER TABLE lead ADD COLUMN IF NOT EXISTS until timestamptz;
    CREATE TABLE IF NOT EXISTS pulse (slot smallint PRIMARY KEY, at timestamptz NOT NULL);
    UPDATE about SET tables = 2 WHERE tables = 1;";

/// Makes what is not there, and gives the id of the store.
///
/// # Errors
/// The tables are those of another version, or the database cannot be used.
pub(super) async fn settle(client: &mut Client, new_id: StoreId) -> Result<StoreId, StoreError> {
    for _ in 1..ATTEMPTS {
        match try_settle(client, new_id).await {
            // Another process was making them: whatever it was that collided, now it is there.
            Err(error) if error.as_db_error().is_some() => {
                tracing::debug!(
                    reason = super::error::sentence(&error),
                    "the tables are being made by another process"
                );
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            settled => return settled.map_err(|error| unavailable(&error))?,
        }
    }
    try_settle(client, new_id).await.map_err(|error| unavailable(&error))?
}

async fn try_settle(client: &mut Client, new_id: StoreId) -> Result<Result<StoreId, StoreError>, Error> {
    let is_there = client.query_one("SELECT to_regclass('about') IS NOT NULL", &[]).await?;
    if is_there.get(0)
        && let Some(found) = read(client).await?
    {
        if !is_of_version_1(client).await? {
            return Ok(found);
        }
        let transaction = client.build_transaction().read_only(false).start().await?;
        transaction.batch_execute(FROM_1).await?;
        transaction.commit().await?;
        return Ok(read(client).await?.unwrap_or_else(|| Err(damaged("it is gone"))));
    }
    let transaction = client.build_transaction().read_only(false).start().await?;
    create(&transaction, new_id, TABLES).await?;
    transaction.commit().await?;
    Ok(read(client).await?.unwrap_or_else(|| Err(damaged("it is gone"))))
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

async fn is_of_version_1(client: &Client) -> Result<bool, Error> {
    Ok(client.query_one("SELECT EXISTS (SELECT FROM about WHERE tables = 1)", &[]).await?.get(0))
}

async fn read(client: &Client) -> Result<Option<Result<StoreId, StoreError>>, Error> {
    let Some(row) = client.query_opt("SELECT tables, format, id FROM about WHERE single = 1", &[]).await?
    else {
        return Ok(None);
    };
    let (tables, format, id): (i32, i32, &[u8]) = (row.get(0), row.get(1), row.get(2));
    Ok(Some(check(tables, format, id)))
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
    if tables < TABLES || format < i32::from(FORMAT) {
        return refused("it cannot migrate a store in a database yet");
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
        let older = check(TABLES, format - 1, &[7; 16]).unwrap_err();
        assert!(older.to_string().contains("cannot migrate"), "{older}");
        for tables in [FILLING, GIVEN_UP, LEAVING, GONE] {
            assert!(check(tables, format, &[7; 16]).is_err(), "{tables}");
        }
        assert!(matches!(check(TABLES, format, &[7; 15]), Err(StoreError::Damaged { .. })));
    }
}
