//! Tables of an older version become those of this one.
//!
//! One transaction that holds the lock of the row `about`: of several processes that begin it at once, one does all of it, and the others
//! find it done. Whatever fails leaves the tables as they were.

use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error, Transaction};

use super::connect::Options;
use super::connections::Connections;
use super::error::{sentence, unavailable};
use super::schema::{self, TABLES};
use crate::store::engine::{StoreError, StoreId};
use crate::store::open_error::OpenError;

/// How often it is tried where others are at the tables; each attempt waits for them as long as `lock_timeout` says (`connect`).
const ATTEMPTS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(50);

/// From the tables of version 1. Processes of both versions may work on these, but not during a rotation of master keys: those of the
/// first know no fence. A task may then be led twice.
const FROM_1: &str = "
    ALTER TABLE lead ADD COLUMN IF NOT EXISTS holder bigint;
    ALTER TABLE lead ADD COLUMN IF NOT EXISTS until timestamptz;
    CREATE TABLE IF NOT EXISTS pulse (slot smallint PRIMARY KEY, at timestamptz NOT NULL);";
/// The table that is new, and one that was there before.
const NEW_AND_OLD: [&str; 2] = ["pulse", "lead"];

/// Gives a table to the owner of another one, if that is somebody else.
const OWNER: &str = "
    SELECT format('ALTER TABLE %s OWNER TO %s', new.oid::regclass, old.relowner::regrole)
    FROM pg_catalog.pg_class new, pg_catalog.pg_class old
    WHERE new.oid = to_regclass($1::text) AND old.oid = to_regclass($2::text) AND new.relowner <> old.relowner";
/// Gives everybody the same rights to a table as to another one; grantee 0 is PUBLIC (`PostgreSQL`'s manual, 9.26.2).
const RIGHTS: &str = "
    SELECT format('GRANT %s ON %s TO %s', privilege_type, new.oid::regclass,
                  CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE grantee::regrole::text END)
    FROM pg_catalog.pg_class new, pg_catalog.pg_class old, LATERAL aclexplode(old.relacl)
    WHERE new.oid = to_regclass($1::text) AND old.oid = to_regclass($2::text)";

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgraded {
    /// The tables have this program's version.
    NothingToDo,
    /// They had an older one.
    From(i32),
}

/// Why tables are as they were.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// The database cannot be reached or used, or its store is a newer version's, or moves.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The data folder is another store's.
    #[error(transparent)]
    Folder(#[from] OpenError),
    /// There is no store in the database.
    #[error("there is no store in the database: the first server that starts makes it")]
    NoStore,
    /// The tables are others'.
    #[error(
        "the store in the database has tables of version {from}, and this version of sidekey needs {TABLES}; the user of this address \
         may not change them ({reason}): run `sidekey migrate` with the address of a user that may, such as their owner"
    )]
    NotAllowed {
        /// The version.
        from: i32,
        /// What the database says.
        reason: String,
    },
    /// Others use the tables.
    #[error(
        "the tables are in use for so long that nothing can be changed (is a backup being made?): nothing was, try again"
    )]
    InUse,
}

/// The version of the tables that this program makes and needs.
pub const VERSION: i32 = TABLES;

/// Brings the tables up to this program's version, if `is_right` has nothing against the store that is there.
///
/// # Errors
/// See [`UpgradeError`]; the tables are as they were then.
pub async fn migrate(
    options: &Options,
    is_right: impl FnOnce(StoreId) -> Result<(), OpenError>,
) -> Result<Upgraded, UpgradeError> {
    let making = Connections::new(options.pool(1)?);
    let mut client = making.lend().await?;
    let found = schema::find(&client).await.map_err(|error| unavailable(&error))?;
    let found = found.ok_or(UpgradeError::NoStore)?;
    if let Some(id) = found.id() {
        is_right(id)?;
    }
    let upgraded = upgrade(&mut client).await;
    drop(client);
    making.close();
    upgraded
}

/// The same on a connection.
pub(super) async fn upgrade(client: &mut Client) -> Result<Upgraded, UpgradeError> {
    for _ in 1..ATTEMPTS {
        match try_upgrade(client).await {
            Err(error) if error.as_db_error().is_some() && !is_refusal(&error) => {
                tracing::debug!(reason = sentence(&error), "the tables are in use by another process");
                tokio::time::sleep(PAUSE).await;
            }
            outcome => return ended(client, outcome).await,
        }
    }
    let last = try_upgrade(client).await;
    ended(client, last).await
}

async fn ended(
    client: &Client,
    outcome: Result<Result<Upgraded, UpgradeError>, Error>,
) -> Result<Upgraded, UpgradeError> {
    match outcome {
        Ok(outcome) => outcome,
        Err(error) if is_refusal(&error) => {
            let found = schema::find(client).await.map_err(|error| unavailable(&error))?;
            let from = found.map_or(0, |found| found.tables);
            Err(UpgradeError::NotAllowed { from, reason: sentence(&error) })
        }
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => Err(UpgradeError::InUse),
        Err(error) => Err(unavailable(&error).into()),
    }
}

pub(super) fn is_refusal(error: &Error) -> bool {
    error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE)
}

async fn try_upgrade(client: &mut Client) -> Result<Result<Upgraded, UpgradeError>, Error> {
    match schema::find(client).await? {
        None => return Ok(Err(UpgradeError::NoStore)),
        // Whoever may not change tables may find that there is nothing to do.
        Some(found) if !found.is_older() => {
            return Ok(found.check().map(|_| Upgraded::NothingToDo).map_err(UpgradeError::from));
        }
        Some(_) => {}
    }
    let transaction = client.build_transaction().read_only(false).start().await?;
    let Some(found) = schema::lock(&transaction).await? else { return Ok(Err(UpgradeError::NoStore)) };
    if !found.is_older() {
        // Another process was first.
        return Ok(found.check().map(|_| Upgraded::NothingToDo).map_err(UpgradeError::from));
    }
    transaction.batch_execute(FROM_1).await?;
    let [new, old] = NEW_AND_OLD;
    share(&transaction, new, old).await?;
    transaction.execute("UPDATE about SET tables = $1 WHERE single = 1", &[&TABLES]).await?;
    transaction.commit().await?;
    Ok(Ok(Upgraded::From(found.tables)))
}

/// Gives a new table the owner and the rights of an old one: the servers' user may be another one than whoever changes tables.
async fn share(transaction: &Transaction<'_>, new: &str, old: &str) -> Result<(), Error> {
    for asked in [OWNER, RIGHTS] {
        for row in transaction.query(asked, &[&new, &old]).await? {
            transaction.batch_execute(row.get(0)).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use tokio_postgres::NoTls;

    use super::*;
    use crate::store::PostgresEngine;
    use crate::store::postgres::testing::database;

    const ID: StoreId = [7; 16];
    /// What the tables of version 2 have more.
    const DOWN: &str = "ALTER TABLE lead DROP COLUMN holder, DROP COLUMN until; DROP TABLE pulse; UPDATE about SET tables = 1";

    async fn owner(options: &Options) -> Client {
        let (client, connection) = options.config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// A store in tables of version 1.
    async fn old_store() -> (Options, Client) {
        let options = database().await;
        drop(PostgresEngine::open(&options, ID).await.unwrap());
        let client = owner(&options).await;
        client.batch_execute(DOWN).await.unwrap();
        (options, client)
    }

    async fn upgraded(options: &Options) -> Result<Upgraded, UpgradeError> {
        migrate(options, |_| Ok(())).await
    }

    #[tokio::test]
    async fn of_several_at_once_one_brings_the_tables_up_and_all_succeed() {
        let (options, _) = old_store().await;
        let refused = PostgresEngine::open_existing(&options).await.unwrap_err().to_string();
        assert!(refused.contains("run `sidekey migrate`"), "{refused}");
        let outcomes = join_all((0..8).map(|_| upgraded(&options))).await;
        let outcomes: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
        let by = outcomes.iter().filter(|outcome| **outcome == Upgraded::From(1)).count();
        assert_eq!(by, 1, "{outcomes:?}");
        assert_eq!(upgraded(&options).await.unwrap(), Upgraded::NothingToDo);
        PostgresEngine::open_existing(&options).await.unwrap();
    }

    #[tokio::test]
    async fn tables_of_a_newer_version_another_store_and_none_are_refused() {
        let (options, client) = old_store().await;
        let other = || OpenError::OtherEngine { folder: "other".into() };
        let refused = migrate(&options, |id| if id == ID { Err(other()) } else { Ok(()) }).await;
        assert!(matches!(refused, Err(UpgradeError::Folder(_))));
        client.batch_execute("UPDATE about SET tables = 3").await.unwrap();
        let refused = upgraded(&options).await.unwrap_err().to_string();
        assert!(refused.contains("install the newer version"), "{refused}");
        let empty = database().await;
        assert!(matches!(upgraded(&empty).await, Err(UpgradeError::NoStore)));
        let refused = PostgresEngine::open_existing(&empty).await.unwrap_err().to_string();
        assert!(refused.contains("the first server that starts makes it"), "{refused}");
        let tables =
            owner(&empty).await.query("SELECT FROM pg_tables WHERE schemaname = 'public'", &[]).await;
        assert!(tables.unwrap().is_empty(), "nothing was made");
    }

    #[tokio::test]
    async fn a_server_that_may_not_change_tables_says_who_may_and_has_its_rights_to_the_new_ones() {
        let (options, client) = old_store().await;
        let name = options.config.get_dbname().unwrap();
        let role = format!("server_{name}");
        let grant = format!(
            "CREATE ROLE {role} LOGIN; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
        );
        client.batch_execute(&grant).await.unwrap();
        let mut server = options.clone();
        server.config.user(&role);
        let refused = PostgresEngine::open(&server, ID).await.unwrap_err().to_string();
        assert!(refused.contains("run `sidekey migrate` with the address of a user that may"), "{refused}");
        assert!(matches!(upgraded(&server).await, Err(UpgradeError::NotAllowed { from: 1, .. })));
        assert_eq!(upgraded(&options).await.unwrap(), Upgraded::From(1));
        // Also the pulse of each second, whose table is new.
        let engine = PostgresEngine::open(&server, ID).await.unwrap();
        crate::store::Engine::close(&engine).await.unwrap();
        assert_eq!(upgraded(&server).await.unwrap(), Upgraded::NothingToDo);
        let mut empty = database().await;
        empty.config.user(&role);
        let refused = PostgresEngine::open(&empty, ID).await.unwrap_err().to_string();
        assert!(refused.contains("needs the right to make the tables"), "{refused}");
    }
}
