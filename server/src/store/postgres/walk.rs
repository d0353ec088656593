//! Everything as it is at one moment: one read-only transaction, whose snapshot no commit changes (`PostgreSQL`'s manual, 13.2.2).
//!
//! Entries that have no number yet are shown with those that a round would give them now, and the head is continued over them: a
//! change is never in a backup without its entry. Records are shown with version 1, whatever theirs is, because a store that is
//! made of a backup gives versions of its own, which must not meet these.

use std::sync::Arc;

use deadpool_postgres::Object;
use tokio::runtime::Handle;
use tokio_postgres::{IsolationLevel, Transaction};

use super::error::unavailable;
use super::ledger::{Ledger, numbered};
use crate::store::activity;
use crate::store::engine::{StoreError, Version};
use crate::store::head::Head;
use crate::store::integrity::Survey;
use crate::store::keys::Key;
use crate::store::record;
use crate::store::walk::Visitor;

/// Records that are read at once.
const PAGE: i64 = 500;

/// How long the database waits for the one who walks to ask for more; until then what is read cannot be renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// As for every transaction: who is thought dead has to be gone soon.
    Short,
    /// An hour: who takes a backup may be slow.
    Long,
}

/// Walks. Blocks: a visitor may.
pub(super) fn walk(
    runtime: &Handle,
    client: &mut Object,
    ledger: &Arc<Ledger>,
    visitor: &mut dyn Visitor,
    patience: Patience,
) -> Result<Head, StoreError> {
    let begun =
        client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true).start();
    let transaction = runtime.block_on(begun).map_err(|error| unavailable(&error))?;
    if patience == Patience::Long {
        let patient = transaction.batch_execute("SET LOCAL idle_in_transaction_session_timeout = '1h'");
        runtime.block_on(patient).map_err(|error| unavailable(&error))?;
    }
    let refused = StoreError::Unavailable;
    let mut head = runtime.block_on(ledger.read(&*transaction))?;
    let base = head.base();
    let count = runtime.block_on(transaction.query_one("SELECT count(*) FROM record", &[]));
    let records = count.map_err(|error| unavailable(&error))?.get::<_, i64>(0);
    visitor.total(u64::try_from(records).unwrap_or_default() + head.audit_entries());

    let mut survey = Survey::default();
    pages(runtime, &transaction, "record", |key, bytes| {
        let shown = shown(&Key::from_bytes(key), bytes);
        // What is wrong with it, the visitor finds.
        let _ = survey.look(key, &shown);
        visitor.record(key, &shown).map_err(refused)
    })?;
    visitor.log(base).map_err(refused)?;
    pages(runtime, &transaction, "audit", |key, bytes| {
        visitor.record(key, &shown(&Key::from_bytes(key), bytes)).map_err(refused)
    })?;
    let waiting = runtime.block_on(numbered(&transaction, &mut head))?;
    for (key, entry) in &waiting {
        visitor.record(key.as_bytes(), &record::encode(key, Version(1), entry)).map_err(refused)?;
    }
    if visitor.compares_notes() {
        pages(runtime, &transaction, "activity", |key, _| {
            visitor.note(key);
            Ok(())
        })?;
        for note in waiting.iter().filter_map(|(key, entry)| activity::note(key.audit_sequence()?, entry)) {
            visitor.note(note.as_bytes());
        }
    }
    survey.enter(&mut head);
    ledger.seal_shown(&mut head);
    Ok(head)
}

/// A record with version 1; a damaged one as it is.
fn shown(key: &Key, bytes: &[u8]) -> Vec<u8> {
    match record::check(key, bytes) {
        Ok((_, value)) => record::encode(key, Version(1), value),
        Err(_) => bytes.to_vec(),
    }
}

pub(super) fn pages(
    runtime: &Handle,
    transaction: &Transaction<'_>,
    table: &str,
    mut look: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let sql = format!("SELECT key, value FROM {table} WHERE key > $1 ORDER BY key LIMIT $2");
    let statement = runtime.block_on(transaction.prepare(&sql)).map_err(|error| unavailable(&error))?;
    let mut after: Vec<u8> = Vec::new();
    loop {
        let page = runtime.block_on(transaction.query(&statement, &[&after, &PAGE]));
        let page = page.map_err(|error| unavailable(&error))?;
        for row in &page {
            look(row.get(0), row.get(1))?;
        }
        match page.last() {
            Some(row) => after = row.get(0),
            None => return Ok(()),
        }
    }
}
