//! What an operator sees of the outbox, and does about dead letters.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sidekey_core::time::UnixTime;

use super::record::{Name, Parked, cursor, cursor_key, named, parked, parked_bytes, place};
use crate::notify::Notice;
use crate::store::engine::MAX_SCAN;
use crate::store::{Batch, CommitError, Engine, Key, Kind, StoreError};

/// Most letters that are listed.
const MAX_LISTED: usize = 1_000;

/// How a destination stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Entries of the audit trail that it has not come to yet.
    pub behind: u64,
    /// Events that it has refused and that are tried again, and those that wait behind them.
    pub waiting: u64,
    /// Dead letters.
    pub dead: u64,
}

/// An event that was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Whom it is for.
    pub destination: Name,
    /// Its number in the audit trail.
    pub sequence: u64,
    /// What happened; unknown where the trail has it no more.
    pub event: Option<String>,
    /// The app that it is about.
    pub app: Option<String>,
    /// The user that it is about.
    pub user: Option<String>,
    /// How often it was tried.
    pub attempts: u8,
    /// When it is tried again; `None`: it is a dead letter.
    pub next_at: Option<UnixTime>,
    /// What went wrong last.
    pub reason: String,
}

/// How all destinations stand that the store knows, whether they are in the settings or not.
///
/// # Errors
/// The store cannot be read.
pub async fn standing(engine: &dyn Engine) -> Result<BTreeMap<Name, Standing>, StoreError> {
    let mut all: BTreeMap<Name, Standing> = BTreeMap::new();
    let end = *engine.audit_log().end();
    each(engine, &Key::of(Kind::Outbox), |name, key, value| {
        let standing = all.entry(name.clone()).or_default();
        match place(name, key) {
            None => standing.behind = end.saturating_sub(cursor(key, value)?),
            Some(_) if parked(key, value)?.is_dead => standing.dead += 1,
            Some(_) => standing.waiting += 1,
        }
        Ok(())
    })
    .await?;
    Ok(all)
}

/// The letters of a destination, or of all, in the order of the trail within each user; at most [`MAX_LISTED`].
///
/// # Errors
/// The store cannot be read.
pub async fn letters(engine: &dyn Engine, of: Option<&Name>) -> Result<Vec<Letter>, StoreError> {
    let mut found = Vec::new();
    let prefix = of.map_or_else(|| Key::of(Kind::Outbox), cursor_key);
    each(engine, &prefix, |name, key, value| {
        if let Some((_, sequence)) = place(name, key)
            && found.len() < MAX_LISTED
        {
            found.push((name.clone(), sequence, parked(key, value)?));
        }
        Ok(())
    })
    .await?;
    let mut letters = Vec::with_capacity(found.len());
    for (destination, sequence, Parked { attempts, next_at, is_dead, reason }) in found {
        let record = engine.get(&Key::audit(sequence)).await?;
        let notice = record.and_then(|record| Notice::read(&engine.id(), sequence, &record.value));
        let (event, app, user) = notice.map_or((None, None, None), |n| (Some(n.event), n.app, n.user));
        let next_at = (!is_dead).then_some(next_at);
        letters.push(Letter { destination, sequence, event, app, user, attempts, next_at, reason });
    }
    Ok(letters)
}

/// Which letters an order is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// Of this destination.
    pub destination: Name,
    /// The one of this number; `None`: all dead ones.
    pub sequence: Option<u64>,
}

/// Has letters tried again from the beginning, at once; how many.
///
/// # Errors
/// The store fails.
pub async fn revive(engine: &dyn Engine, chosen: &Chosen, now: UnixTime) -> Result<u64, StoreError> {
    change(engine, chosen, |_| Some(Parked::behind(now))).await
}

/// Gives letters up for good; how many.
///
/// # Errors
/// The store fails.
pub async fn give_up(engine: &dyn Engine, chosen: &Chosen) -> Result<u64, StoreError> {
    change(engine, chosen, |_| None).await
}

/// Forgets a destination that is in the settings no more, with all its letters; how many records.
///
/// # Errors
/// The store fails.
pub async fn forget(engine: &dyn Engine, name: &Name) -> Result<u64, StoreError> {
    let mut count = 0;
    loop {
        let page = engine.scan(&cursor_key(name), None, MAX_SCAN).await?;
        let mut batch = Batch::new();
        // The prefix may begin a longer name's key only if its length byte were the same.
        for (key, _) in page {
            batch.delete(key);
            count += 1;
        }
        if batch.is_empty() {
            return Ok(count);
        }
        commit(engine, batch).await?;
    }
}

async fn change(
    engine: &dyn Engine,
    chosen: &Chosen,
    to: impl Fn(Parked) -> Option<Parked>,
) -> Result<u64, StoreError> {
    let Chosen { destination, sequence } = chosen;
    let (mut after, mut count) = (None, 0);
    loop {
        let page = engine.scan(&cursor_key(destination), after.as_ref(), MAX_SCAN).await?;
        let mut batch = Batch::new();
        for (key, record) in &page {
            let Some((_, number)) = place(destination, key) else { continue };
            let parked = parked(key, &record.value)?;
            if sequence.map_or(parked.is_dead, |wanted| wanted == number) {
                batch.expect(key.clone(), Some(record.version));
                match to(parked) {
                    Some(parked) => batch.put(key.clone(), parked_bytes(&parked)),
                    None => batch.delete(key.clone()),
                };
                count += 1;
            }
        }
        commit(engine, batch).await?;
        match page.last() {
            Some((key, _)) if page.len() == MAX_SCAN => after = Some(key.clone()),
            _ => return Ok(count),
        }
    }
}

async fn commit(engine: &dyn Engine, batch: Batch) -> Result<(), StoreError> {
    if batch.is_empty() {
        return Ok(());
    }
    engine.commit(batch).await.map_err(|error| match error {
        CommitError::Conflict(_) => {
            StoreError::Unavailable("the server was about to deliver one of them: try again".to_owned())
        }
        error => error.into(),
    })
}

async fn each(
    engine: &dyn Engine,
    prefix: &Key,
    mut look: impl FnMut(&Name, &Key, &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let page = engine.scan(prefix, after.as_ref(), MAX_SCAN).await?;
        for (key, record) in &page {
            if let Some((name, _)) = named(key) {
                look(&name, key, &record.value)?;
            }
        }
        match page.last() {
            Some((key, _)) if page.len() == MAX_SCAN => after = Some(key.clone()),
            _ => return Ok(()),
        }
    }
}
