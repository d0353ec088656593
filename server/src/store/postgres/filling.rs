//! A database that is being filled with a store, page by page; see [`moving`](super::moving) for who may.

use std::collections::{BTreeMap, HashMap};

use deadpool_postgres::Object;
use sidekey_core::time::UnixTime;
use tokio::runtime::Handle;
use tokio_postgres::{Error, IsolationLevel, Transaction};

use super::error::unavailable;
use super::moving::{MoveError, guarded, turn};
use super::schema::{FILLING, TABLES};
use super::walk;
use crate::store::activity;
use crate::store::engine::{StoreError, StoreId, Version};
use crate::store::head::{Head, HeadKey};
use crate::store::integrity::Survey;
use crate::store::keys::{Key, Kind};
use crate::store::moving::Token;
use crate::store::record::{self, HEADER, Header};
use crate::store::walk::Visitor;

/// A database that is being filled.
pub struct Filling {
    client: Object,
    token: Token,
}

/// Where in the order of keys a page of records stands: all between `after` and `to` are in it. `to`: `None` is the end.
#[derive(Clone, Copy, Debug)]
pub struct Range<'a> {
    /// The key before it.
    pub after: &'a [u8],
    /// Its last key.
    pub to: Option<&'a [u8]>,
}

impl Filling {
    pub(super) fn of(client: Object, token: Token) -> Self {
        Self { client, token }
    }

    /// Puts records of one table as they were stored, and audit entries into the log by account too. With a range, what else is in it is
    /// removed. What is there already is not written again.
    ///
    /// # Errors
    /// Another attempt has taken over, or the database fails.
    pub async fn put(
        &mut self,
        of_log: bool,
        records: &[(Vec<u8>, Vec<u8>)],
        range: Option<Range<'_>>,
    ) -> Result<(), MoveError> {
        let table = if of_log { "audit" } else { "record" };
        guarded(&mut self.client, &self.token, FILLING, async |transaction| {
            put(transaction, table, records, range).await
        })
        .await
    }

    /// Removes a record.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub async fn remove(&mut self, key: &[u8]) -> Result<(), MoveError> {
        guarded(&mut self.client, &self.token, FILLING, async |transaction| {
            remove(transaction, "record", &[key]).await
        })
        .await
    }

    /// Says where the log ends and begins, sealed.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub async fn end_of_log(
        &mut self,
        store: StoreId,
        head: &Head,
        key: Option<&HeadKey>,
    ) -> Result<(), MoveError> {
        let mut own = head.of_log_only();
        if let Some(key) = key {
            own.seal(&store, key);
        }
        let bytes = own.to_bytes();
        guarded(&mut self.client, &self.token, FILLING, async |transaction| {
            transaction.execute("UPDATE ledger SET head = $1 WHERE single = 1", &[&bytes]).await.map(drop)
        })
        .await
    }

    /// Shows everything that is there as it is stored: records, then audit entries, then the notes of the log by account. Blocks.
    ///
    /// # Errors
    /// The database fails, or the visitor refuses.
    pub fn read_back(
        &mut self,
        runtime: &Handle,
        head: &Head,
        visitor: &mut dyn Visitor,
    ) -> Result<(), StoreError> {
        let begun = self.client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
        let transaction =
            runtime.block_on(begun.read_only(true).start()).map_err(|error| unavailable(&error))?;
        visitor.total(head.records() + head.audit_entries());
        let refused = StoreError::Unavailable;
        walk::pages(runtime, &transaction, "record", |key, bytes| {
            visitor.record(key, bytes).map_err(refused)
        })?;
        visitor.log(head.base()).map_err(refused)?;
        walk::pages(runtime, &transaction, "audit", |key, bytes| {
            visitor.record(key, bytes).map_err(refused)
        })?;
        walk::pages(runtime, &transaction, "activity", |key, _| {
            visitor.note(key);
            Ok(())
        })
    }

    /// Counts everything that is there into a head. Blocks.
    ///
    /// # Errors
    /// The database fails, or a record is damaged.
    pub fn survey(&mut self, runtime: &Handle, head: &mut Head) -> Result<(), StoreError> {
        let mut survey = Survey::default();
        let transaction = runtime.block_on(self.client.transaction()).map_err(|error| unavailable(&error))?;
        walk::pages(runtime, &transaction, "record", |key, bytes| {
            record::check(&Key::from_bytes(key), bytes)?;
            let _ = survey.look(key, bytes);
            Ok(())
        })?;
        survey.enter(head);
        Ok(())
    }

    /// Has the database serve the store from now on.
    ///
    /// # Errors
    /// Another attempt has taken over, or it was given up. After any other error it may or may not have been entered.
    pub async fn enter(&mut self) -> Result<(), MoveError> {
        // So that the first requests are planned well; without it they are only slower.
        let _ = self.client.batch_execute("ANALYZE record; ANALYZE audit; ANALYZE activity").await;
        turn(&mut self.client, &self.token, FILLING, TABLES, "").await
    }
}

async fn put(
    transaction: &Transaction<'_>,
    table: &str,
    records: &[(Vec<u8>, Vec<u8>)],
    range: Option<Range<'_>>,
) -> Result<(), Error> {
    let keys: Vec<&[u8]> = records.iter().map(|(key, _)| &key[..]).collect();
    let header = "SELECT key, substring(value FROM 1 FOR 17)";
    let rows = match range {
        None => {
            let asked = format!("{header} FROM {table} WHERE key = ANY ($1::bytea[])");
            transaction.query(&transaction.prepare(&asked).await?, &[&keys]).await?
        }
        Some(Range { after, to }) => {
            let asked = format!("{header} FROM {table} WHERE key > $1 AND ($2::bytea IS NULL OR key <= $2)");
            transaction.query(&transaction.prepare(&asked).await?, &[&after, &to]).await?
        }
    };
    let mut there: HashMap<&[u8], &[u8]> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let is_new = |(key, bytes): &&(Vec<u8>, Vec<u8>)| there.remove(&key[..]) != bytes.get(..HEADER);
    let new: Vec<_> = records.iter().filter(is_new).collect::<Vec<_>>();
    if range.is_some() && !there.is_empty() {
        let gone: Vec<&[u8]> = there.into_keys().collect();
        remove(transaction, table, &gone).await?;
    }
    store(transaction, table, new.iter().map(|(key, bytes)| (&key[..], &bytes[..]))).await?;
    if table == "audit" {
        let notes = new.iter().filter_map(|(key, bytes)| note(key, bytes));
        let notes: Vec<_> =
            notes.map(|note| (note.as_bytes().to_vec(), record::encode(&note, Version(1), &[]))).collect();
        store(transaction, "activity", notes.iter().map(|(key, bytes)| (&key[..], &bytes[..]))).await?;
    }
    Ok(())
}

/// The note in the log by account that leads to an audit entry.
fn note(key: &[u8], bytes: &[u8]) -> Option<Key> {
    activity::note(Key::from_bytes(key).audit_sequence()?, bytes.get(HEADER..)?)
}

async fn remove(transaction: &Transaction<'_>, table: &str, keys: &[&[u8]]) -> Result<(), Error> {
    let delete = format!("DELETE FROM {table} WHERE key = ANY ($1::bytea[]) RETURNING key, value");
    let gone = transaction.query(&delete, &[&keys]).await?;
    if table == "audit" {
        let notes: Vec<Vec<u8>> = gone
            .iter()
            .filter_map(|row| note(row.get(0), row.get(1)))
            .map(|note| note.as_bytes().to_vec())
            .collect();
        transaction.execute("DELETE FROM activity WHERE key = ANY ($1::bytea[])", &[&notes]).await?;
    }
    Ok(())
}

async fn store<'a>(
    transaction: &Transaction<'_>,
    table: &str,
    records: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<(), Error> {
    let (mut keys, mut versions, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for (key, bytes) in records {
        let header: Option<&Header> = bytes.first_chunk();
        keys.push(key);
        versions.push(header.map_or(0, |header| record::version(header).0.cast_signed()));
        values.push(bytes);
    }
    if keys.is_empty() {
        return Ok(());
    }
    let insert = format!(
        "INSERT INTO {table} (key, version, value) \
         SELECT n.key, n.version, n.value FROM unnest($1::bytea[], $2::bigint[], $3::bytea[]) AS n (key, version, value) \
         ON CONFLICT (key) DO UPDATE SET version = excluded.version, value = excluded.value"
    );
    transaction.execute(&transaction.prepare(&insert).await?, &[&keys, &versions, &values]).await.map(drop)
}

/// A new store that is poured into a database in the order in which its records come, to go on where the log of another store ends.
pub struct Pouring<'a> {
    filling: &'a mut Filling,
    runtime: &'a Handle,
    head: Head,
    /// By key: one that is put again, as a backup's corrections are, may come once into a statement.
    page: BTreeMap<Vec<u8>, Vec<u8>>,
    of_log: bool,
}

impl<'a> Pouring<'a> {
    /// Begins; `head` is that of the other store. Blocks, as all of it does.
    pub fn begin(filling: &'a mut Filling, runtime: &'a Handle, head: &Head) -> Self {
        Self { filling, runtime, head: head.of_log_only(), page: BTreeMap::new(), of_log: false }
    }

    /// Puts a record as it was stored.
    ///
    /// # Errors
    /// As [`Filling::put`].
    pub fn put_stored(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), MoveError> {
        if self.page.len() >= AT_ONCE || is_of_log(key) != self.of_log {
            self.flush()?;
            self.of_log = is_of_log(key);
        }
        self.page.insert(key.to_vec(), bytes.to_vec());
        Ok(())
    }

    /// Puts a new value.
    ///
    /// # Errors
    /// As [`Filling::put`].
    pub fn put(&mut self, key: &Key, value: &[u8]) -> Result<(), MoveError> {
        self.put_stored(key.as_bytes(), &record::encode(key, Version(1), value))
    }

    /// Removes a record.
    ///
    /// # Errors
    /// As [`Filling::put`].
    pub fn remove(&mut self, key: &[u8]) -> Result<(), MoveError> {
        self.flush()?;
        self.runtime.block_on(self.filling.remove(key))
    }

    /// Appends an audit entry after those of the other store.
    ///
    /// # Errors
    /// As [`Filling::put`].
    pub fn append(&mut self, entry: &[u8]) -> Result<(), MoveError> {
        self.head.append(entry);
        self.put(&Key::audit(self.head.sequence()), entry)
    }

    fn flush(&mut self) -> Result<(), MoveError> {
        let page: Vec<_> = std::mem::take(&mut self.page).into_iter().collect();
        self.runtime.block_on(self.filling.put(self.of_log, &page, None))
    }

    /// Ends it: counts what is there, and says where the log ends. `latest` is the time of the decision. The head with all of it.
    ///
    /// # Errors
    /// As [`Filling::put`].
    pub fn finish(
        mut self,
        store: StoreId,
        latest: UnixTime,
        key: Option<&HeadKey>,
    ) -> Result<Head, MoveError> {
        self.flush()?;
        let Self { filling, runtime, mut head, .. } = self;
        head.latest = head.latest.max(latest);
        runtime.block_on(filling.end_of_log(store, &head, key))?;
        filling.survey(runtime, &mut head)?;
        if let Some(key) = key {
            head.seal(&store, key);
        }
        Ok(head)
    }
}

/// Records that are written at once.
const AT_ONCE: usize = 500;

/// Whether a key is one of the audit log.
pub fn is_of_log(key: &[u8]) -> bool {
    Kind::of_record(key) == Some(Kind::Audit)
}
