//! A store that moves into a database or out of one.
//!
//! One row decides who serves the store, `about.tables`, and the token beside it which attempt may change that:
//!
//! ```text
//!             begin            enter
//! (nothing) ────────▶ FILLING ────────▶ TABLES      into the database
//!                        │ give up
//!                        ▼
//!                    GIVEN_UP
//!
//!             leave            let go
//! TABLES    ────────▶ LEAVING ────────▶ GONE        out of the database
//!     ▲───────────────────┘ stay
//! ```
//!
//! **At most one of the two stores is served.** A server starts on `TABLES` only ([`schema`]). Into the database: the folder was marked
//! ([`moving`](crate::store::moving)) before `enter`, so no server opens it, and the mark is removed after `GIVEN_UP` only; `enter` and
//! `give up` each lock the row, look for their state and token, and so exclude each other for ever, also where an answer was lost and a
//! statement arrives late. Out of the database: what arrives is marked from its first byte on, and the mark is removed after `GONE` only;
//! `let go` and `stay` exclude each other in the same way.
//!
//! **Servers that run on the database decide nothing after `leave`.** It renames the two tables that each commit needs, in the
//! transaction that changes the row. That takes an exclusive lock (`PostgreSQL`'s manual, 13.3.1), so every commit is either over before it, and
//! is copied, or finds no table, and fails. No process has to be asked, and none that hangs can come back later.
//!
//! **What cannot be taken back rests on a confirmed commit.** A row may be seen of whose commit a standby that is promoted knows nothing
//! ([`pulse`](super::pulse)). So what is removed or served because of the row follows a commit of one's own that has found its state
//! under its lock ([`Place::confirm`], [`Place::leave`]), and which is confirmed only after everything before it.
//!
//! **No late write spoils what was entered.** Each page of records ([`filling`](super::filling)) is written in a transaction that holds the row's lock and has found
//! its own token there. So a copier that was thought dead writes nothing after another one has begun or the store was entered.

use std::sync::Arc;

use deadpool_postgres::Object;
use tokio::runtime::Handle;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Error, GenericClient, Transaction};

use super::connect::{CONNECT, Options};
use super::error::{unavailable, unconnected};
use super::filling::Filling;
use super::ledger::Ledger;
use super::schema::{self, FILLING, GIVEN_UP, GONE, LEAVING, TABLES};
use super::walk::{self, Patience};
use crate::store::engine::{StoreError, StoreId};
use crate::store::head::{Head, HeadKey};
use crate::store::keys::Key;
use crate::store::moving::Token;
use crate::store::record;
use crate::store::walk::Visitor;

const LOOK: &str = "SELECT tables, format, id FROM about WHERE single = 1";
const LOCK: &str = "SELECT tables FROM about WHERE single = 1 FOR UPDATE";
const READ_TOKEN: &str = "SELECT token FROM move WHERE single = 1";
const TAKE_TOKEN: &str = "
    INSERT INTO move (single, token) VALUES (1, $1) ON CONFLICT (single) DO UPDATE SET token = excluded.token";
const CREATE: &str =
    "CREATE TABLE IF NOT EXISTS move (single smallint PRIMARY KEY CHECK (single = 1), token text NOT NULL);";
/// The tables that every commit needs, and the one whose pulse says that a process is ready, under names that no server knows; and back.
const HIDE: &str = "
    ALTER TABLE record RENAME TO record_left; ALTER TABLE audit_pending RENAME TO audit_pending_left;
    ALTER TABLE pulse RENAME TO pulse_left;";
const SHOW: &str = "
    ALTER TABLE record_left RENAME TO record; ALTER TABLE audit_pending_left RENAME TO audit_pending;
    ALTER TABLE pulse_left RENAME TO pulse;";
/// Under their own names for one connection, whose temporary schema is searched first.
const SEE: &str = "
    CREATE OR REPLACE TEMP VIEW record AS SELECT key, version, value FROM record_left;
    CREATE OR REPLACE TEMP VIEW audit_pending AS SELECT subject, place, at, entry FROM audit_pending_left;";

/// Why a store does not move.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoveError {
    /// The database cannot be reached or used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is something in the database.
    #[error(
        "the database is not empty ({0}), and nothing in it is replaced: make an empty one and name that"
    )]
    NotEmpty(String),
    /// There is no store in the database.
    #[error("there is no store in the database")]
    NoStore,
    /// Its store has moved away.
    #[error("the store of this database has moved to a data folder, and is never served from here again")]
    Gone,
    /// Another attempt has taken over, or has ended.
    #[error(
        "another attempt at moving this store has taken over or has ended, and this one changed nothing more: look at both, and run the command again"
    )]
    Overtaken,
    /// The tables, or the row, are in use.
    #[error(
        "the tables are in use for so long that nothing can be changed (is a backup being made, or does another attempt at moving \
         the store still wait for the database?): nothing was, try again"
    )]
    InUse,
}

/// Who serves a store, as its database tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is nothing in the database.
    Nothing,
    /// It is being filled.
    Filling,
    /// What was filled was given up.
    GivenUp,
    /// The database.
    Here,
    /// Nobody; it is being copied to a folder.
    Leaving,
    /// A folder.
    Gone,
}

/// Where a move has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// In the database.
    Here,
    /// In a folder.
    Away,
}

/// What a database says about a move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Who serves the store.
    pub standing: Standing,
    /// Which store it is.
    pub store: Option<StoreId>,
    /// The latest attempt at moving it.
    pub token: Option<Token>,
}

/// A database, looked at by whoever moves a store.
pub struct Place {
    client: Object,
}

impl Place {
    /// Connects.
    ///
    /// # Errors
    /// The database cannot be reached, or would lose what it acknowledges.
    pub async fn connect(options: &Options) -> Result<Self, StoreError> {
        let client = options.pool(1)?.get().await.map_err(|error| unconnected(&error))?;
        // What writes here waits for the answer of each BEGIN, see `connect`.
        let writes = client.batch_execute("SET default_transaction_read_only = off").await;
        writes.map_err(|error| unavailable(&error))?;
        Ok(Self { client })
    }

    /// What the database says.
    ///
    /// # Errors
    /// It is not empty and holds no store, or one of another version.
    pub async fn told(&self) -> Result<Told, MoveError> {
        if !self.has("about").await? {
            let others = "SELECT schemaname || '.' || tablename FROM pg_catalog.pg_tables \
                          WHERE schemaname NOT IN ('pg_catalog', 'information_schema') LIMIT 1";
            let other = self.client.query_opt(others, &[]).await.map_err(|error| unavailable(&error))?;
            return match other {
                Some(row) => {
                    Err(MoveError::NotEmpty(format!("there is a table `{}`", row.get::<_, &str>(0))))
                }
                None => Ok(Told { standing: Standing::Nothing, store: None, token: None }),
            };
        }
        let row = self.client.query_opt(LOOK, &[]).await.map_err(|error| unavailable(&error))?;
        let row = row.ok_or_else(|| MoveError::NotEmpty("there are tables without a store".to_owned()))?;
        let (tables, id): (i32, &[u8]) = (row.get(0), row.get(2));
        let standing = match tables {
            FILLING => Standing::Filling,
            GIVEN_UP => Standing::GivenUp,
            LEAVING => Standing::Leaving,
            GONE => Standing::Gone,
            _ => Standing::Here,
        };
        // Also that the format is this program's.
        schema::check(if standing == Standing::Here { tables } else { TABLES }, row.get(1), id)?;
        let token = if self.has("move").await? {
            read_token(&**self.client).await.map_err(|error| unavailable(&error))?
        } else {
            None
        };
        Ok(Told { standing, store: id.try_into().ok(), token })
    }

    /// The value of a record about the store.
    ///
    /// # Errors
    /// It is damaged, or the database fails.
    pub async fn meta(&self, name: &str, standing: Standing) -> Result<Option<Vec<u8>>, StoreError> {
        let key = Key::meta(name);
        let table = if standing == Standing::Leaving { "record_left" } else { "record" };
        let asked = format!("SELECT value FROM {table} WHERE key = $1");
        let row = self.client.query_opt(&asked, &[&key.as_bytes()]).await;
        let row = row.map_err(|error| unavailable(&error))?;
        row.map(|row| record::decode(&key, row.get(0)).map(|record| record.value)).transpose()
    }

    /// How many records and audit entries there are.
    ///
    /// # Errors
    /// The database fails.
    pub async fn counts(&self, standing: Standing) -> Result<(u64, u64), StoreError> {
        let left = if standing == Standing::Leaving { "_left" } else { "" };
        let asked = format!(
            "SELECT (SELECT count(*) FROM record{left}), (SELECT count(*) FROM audit) + (SELECT count(*) FROM audit_pending{left})"
        );
        let row = self.client.query_one(&asked, &[]).await.map_err(|error| unavailable(&error))?;
        let count = |column| u64::try_from(row.get::<_, i64>(column)).unwrap_or_default();
        Ok((count(0), count(1)))
    }

    async fn has(&self, table: &str) -> Result<bool, StoreError> {
        let row = self.client.query_one("SELECT to_regclass($1::text) IS NOT NULL", &[&table]).await;
        Ok(row.map_err(|error| unavailable(&error))?.get(0))
    }

    /// Begins to fill the database with a store, or goes on with what an earlier attempt at the same store has left.
    ///
    /// # Errors
    /// The database holds something else.
    pub async fn begin(mut self, store: StoreId, token: Token) -> Result<Filling, MoveError> {
        let told = self.told().await?;
        match told.standing {
            Standing::Nothing => {}
            Standing::Filling | Standing::GivenUp if told.store == Some(store) => {}
            Standing::Filling | Standing::GivenUp => {
                return Err(MoveError::NotEmpty(
                    "there is the beginning of a copy of another store".to_owned(),
                ));
            }
            Standing::Here => return Err(MoveError::NotEmpty("there is a store".to_owned())),
            Standing::Leaving | Standing::Gone => return Err(MoveError::Gone),
        }
        let is_new = told.standing == Standing::Nothing;
        let begun: Result<bool, Error> = async {
            let transaction = self.client.transaction().await?;
            if is_new {
                schema::create(&transaction, store, FILLING).await?;
            }
            transaction.batch_execute(CREATE).await?;
            let found: i32 = transaction.query_one(LOCK, &[]).await?.get(0);
            if ![FILLING, GIVEN_UP].contains(&found) {
                return Ok(false);
            }
            transaction.execute(TAKE_TOKEN, &[&token.as_str()]).await?;
            transaction.execute("UPDATE about SET tables = $1", &[&FILLING]).await?;
            transaction.commit().await?;
            Ok(true)
        }
        .await;
        ended(begun)?;
        Ok(Filling::of(self.client, token))
    }

    /// Gives up what was filled by this attempt: it is never entered then.
    ///
    /// # Errors
    /// It was entered, or is another attempt's.
    pub async fn give_up(&mut self, token: &Token) -> Result<(), MoveError> {
        match turn(&mut self.client, token, FILLING, GIVEN_UP, "").await {
            // It was given up before, and the mark outlived that.
            Err(MoveError::Overtaken) => turn(&mut self.client, token, GIVEN_UP, GIVEN_UP, "").await,
            given_up => given_up,
        }
    }

    /// Makes sure that the store is served from where this attempt has moved it, by a commit of which every standby knows that must.
    ///
    /// # Errors
    /// It is not, or not by this attempt.
    pub async fn confirm(&mut self, moved: Moved, token: &Token) -> Result<(), MoveError> {
        let state = match moved {
            Moved::Here => TABLES,
            Moved::Away => GONE,
        };
        turn(&mut self.client, token, state, state, "").await
    }

    /// As [`Left::forget`].
    pub async fn forget(&mut self, token: &Token) {
        forget(&mut self.client, token).await;
    }

    /// Closes the store in the database for all servers, so that it can be copied to a folder, or takes over from an earlier attempt:
    /// where `is_next` refuses the token of the latest one, nothing is changed.
    ///
    /// # Errors
    /// There is no store, its tables are in use for long, or another attempt came before.
    pub async fn leave(
        mut self,
        token: Token,
        is_next: impl FnOnce(Option<&Token>) -> bool,
    ) -> Result<Left, MoveError> {
        let told = self.told().await?;
        let (Standing::Here | Standing::Leaving, Some(store)) = (told.standing, told.store) else {
            return Err(if told.standing == Standing::Gone { MoveError::Gone } else { MoveError::NoStore });
        };
        let left: Result<bool, Error> = async {
            let transaction = self.client.transaction().await?;
            transaction.batch_execute(CREATE).await?;
            let found: i32 = transaction.query_one(LOCK, &[]).await?.get(0);
            if !is_next(read_token(&*transaction).await?.as_ref()) {
                return Ok(false);
            }
            match found {
                TABLES => transaction.batch_execute(HIDE).await?,
                LEAVING => {}
                _ => return Ok(false),
            }
            transaction.execute("UPDATE about SET tables = $1", &[&LEAVING]).await?;
            transaction.execute(TAKE_TOKEN, &[&token.as_str()]).await?;
            // Whoever may not read it closes nothing.
            transaction.batch_execute(SEE).await?;
            transaction.commit().await?;
            Ok(true)
        }
        .await;
        ended(left)?;
        Ok(Left { client: self.client, store, token })
    }

    /// Opens the store again that was closed to be copied: what was copied of it is worthless.
    ///
    /// # Errors
    /// It was let go, or was never closed.
    pub async fn stay(&mut self) -> Result<(), MoveError> {
        let token = self.told().await?.token.ok_or(MoveError::NoStore)?;
        turn(&mut self.client, &token, LEAVING, TABLES, SHOW).await
    }
}

async fn forget(client: &mut Object, token: &Token) {
    let forgotten =
        guarded(client, token, GONE, async |transaction| transaction.batch_execute("DELETE FROM move").await);
    // The move has ended, and whoever waits is to hear of it.
    let _ = tokio::time::timeout(CONNECT, forgotten).await;
}

/// Changes the row, if it is in this state by this attempt.
pub(super) async fn turn(
    client: &mut Object,
    token: &Token,
    from: i32,
    to: i32,
    sql: &str,
) -> Result<(), MoveError> {
    guarded(client, token, from, async |transaction| {
        transaction.batch_execute(sql).await?;
        transaction.execute("UPDATE about SET tables = $1", &[&to]).await.map(drop)
    })
    .await
}

/// Does work in a transaction that holds the row's lock, if the row is in this state by this attempt.
pub(super) async fn guarded(
    client: &mut Object,
    token: &Token,
    state: i32,
    work: impl AsyncFnOnce(&Transaction<'_>) -> Result<(), Error>,
) -> Result<(), MoveError> {
    let done: Result<bool, Error> = async {
        let transaction = client.transaction().await?;
        if !holds(&transaction, token, state).await? {
            return Ok(false);
        }
        work(&transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }
    .await;
    ended(done)
}

/// What a transaction has come to that changes nothing if the row is not as it has to be.
fn ended(done: Result<bool, Error>) -> Result<(), MoveError> {
    match done {
        Ok(true) => Ok(()),
        Ok(false) => Err(MoveError::Overtaken),
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => Err(MoveError::InUse),
        Err(error) => Err(unavailable(&error).into()),
    }
}

/// Locks the row; whether it is in this state by this attempt. The token is read after the lock was got, in a statement of its own.
async fn holds(transaction: &Transaction<'_>, token: &Token, state: i32) -> Result<bool, Error> {
    let found: i32 = transaction.query_one(LOCK, &[]).await?.get(0);
    Ok(found == state && read_token(transaction).await?.as_ref() == Some(token))
}

async fn read_token(client: &impl GenericClient) -> Result<Option<Token>, Error> {
    let row = client.query_opt(READ_TOKEN, &[]).await?;
    Ok(row.map(|row| Token::of(row.get(0))))
}

/// A store in a database that is closed for all servers.
pub struct Left {
    client: Object,
    store: StoreId,
    token: Token,
}

impl Left {
    /// Shows everything to the visitor, each record with version 1, and gives the head. Blocks.
    ///
    /// # Errors
    /// The database fails, its head is not sealed with the key, or the visitor refuses.
    pub fn walk(
        &mut self,
        runtime: &Handle,
        key: Option<HeadKey>,
        visitor: &mut dyn Visitor,
    ) -> Result<Head, StoreError> {
        let ledger = Arc::new(Ledger::new(self.store, Head::default()));
        let head = runtime.block_on(ledger.read(&**self.client))?;
        if let Some(key) = key {
            ledger.unlock(key, head)?;
        }
        walk::walk(runtime, &mut self.client, &ledger, visitor, Patience::Short)
    }

    /// Forgets the attempt by which the store has gone, if that can be done: a copy of the folder from before its mark was removed is then
    /// refused.
    pub async fn forget(&mut self) {
        forget(&mut self.client, &self.token).await;
    }

    /// Lets the store go: it is never served from the database again.
    ///
    /// # Errors
    /// Another attempt has taken over, or the store stays. After any other error it may or may not be gone.
    pub async fn let_go(&mut self) -> Result<(), MoveError> {
        turn(&mut self.client, &self.token, LEAVING, GONE, "").await
    }
}
