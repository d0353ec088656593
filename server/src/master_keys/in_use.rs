//! Which master keys something may be sealed with: the record `meta/master-keys`.
//!
//! A key is noted here before it seals anything, and is taken from here when a rotation has shown that nothing is sealed with
//! it any more. Only where one process has the store may a key also go that this process knows to have sealed nothing: another one
//! may be about to seal with it. So a start with an incomplete key file is refused, and not the first user whose secret does not open.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::rotation;
use super::sealed_records::{Tally, count_all};
use crate::audit::{Entry, Origin, ServerEvent};
use crate::keyring::{KeyId, Keyring, UnlockError, fence, unlock};
use crate::store::{Batch, CommitError, Engine, Key, Record, StoreError};

/// Attempts against another process on the same store.
const ATTEMPTS: usize = 8;

/// What is stored, postcard-encoded. Variants are only ever added, at the end.
#[derive(Serialize, Deserialize)]
enum Stored {
    V1 { sealing: [u8; 4], keys: Vec<[u8; 4]> },
}

/// The keys that something may be sealed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InUse {
    /// The one that seals.
    pub(super) sealing: KeyId,
    /// All of them.
    pub(super) keys: BTreeSet<KeyId>,
}

pub(super) fn place() -> Key {
    Key::meta("master-keys")
}

impl InUse {
    pub(super) fn only(key: KeyId) -> Self {
        Self { sealing: key, keys: BTreeSet::from([key]) }
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, StoreError> {
        let keys = self.keys.iter().map(|id| id.to_bytes()).collect();
        let stored = Stored::V1 { sealing: self.sealing.to_bytes(), keys };
        postcard::to_stdvec(&stored).map_err(|_| damaged("cannot be encoded"))
    }

    fn decode(record: &Record) -> Result<Self, StoreError> {
        let Stored::V1 { sealing, keys } =
            postcard::from_bytes(&record.value).map_err(|_| damaged("its fields cannot be read"))?;
        let keys = keys.into_iter().map(KeyId::from_bytes).collect();
        Ok(Self { sealing: KeyId::from_bytes(sealing), keys })
    }
}

fn damaged(damage: &'static str) -> StoreError {
    StoreError::Damaged { key: place().to_string(), damage }
}

/// What is noted, and the record.
///
/// # Errors
/// The store cannot be read.
pub(super) async fn read(engine: &dyn Engine) -> Result<Option<(InUse, Record)>, StoreError> {
    let Some(record) = engine.get(&place()).await? else { return Ok(None) };
    Ok(Some((InUse::decode(&record)?, record)))
}

/// Makes sure that a keyring has every key that is in use, and notes the one that seals from now on. A fence before it is taken down.
///
/// # Errors
/// A key is missing, or the store fails.
pub(super) async fn take(engine: &dyn Engine, keyring: &Keyring, origin: &Origin) -> Result<(), UnlockError> {
    for _ in 1..ATTEMPTS {
        match try_take(engine, keyring, origin).await {
            Err(UnlockError::Commit(CommitError::Conflict(_))) => {}
            outcome => return outcome,
        }
    }
    try_take(engine, keyring, origin).await
}

/// The same for a process that starts, and what it seals and opens with.
///
/// Where processes share the store, a start takes down no fence: it may be that of a server which was left behind and has an older file,
/// and the others may have dropped its first key. It seals with the key of the fence.
///
/// # Errors
/// A key is missing, or the store fails.
pub(super) async fn start(
    engine: &dyn Engine,
    given: &Keyring,
    origin: &Origin,
) -> Result<Keyring, UnlockError> {
    for _ in 1..ATTEMPTS {
        match try_start(engine, given, origin).await {
            Err(UnlockError::Commit(CommitError::Conflict(_))) => {}
            outcome => return outcome,
        }
    }
    try_start(engine, given, origin).await
}

async fn try_start(engine: &dyn Engine, given: &Keyring, origin: &Origin) -> Result<Keyring, UnlockError> {
    let fence = if engine.is_shared() { fence::read(engine).await? } else { None };
    let first = fence.as_ref().map_or(given.sealing(), |(only, _)| *only);
    let missing = || UnlockError::NotedKey { needed: first, given: unlock::list(given) };
    let keyring = given.led_by(first).ok_or_else(missing)?;
    if let Some(mut batch) = taking(engine, &keyring, origin).await? {
        if engine.is_shared() {
            // That it has been the same fence all along.
            batch.expect(fence::place(), fence.map(|(_, record)| record.version));
        }
        engine.commit(batch).await?;
    }
    Ok(keyring)
}

/// Whether a keyring has every key that is in use. Nothing is noted.
///
/// # Errors
/// A key is missing, or the store fails.
pub(super) async fn check(engine: &dyn Engine, keyring: &Keyring) -> Result<(), UnlockError> {
    let noted = read(engine).await?;
    keys(engine, noted.as_ref().map(|(noted, _)| noted), keyring).await.map(drop)
}

/// The keys in use, all of which the keyring has.
async fn keys(
    engine: &dyn Engine,
    noted: Option<&InUse>,
    keyring: &Keyring,
) -> Result<BTreeSet<KeyId>, UnlockError> {
    let keys: BTreeSet<_> = match noted {
        Some(noted) => noted.keys.clone(),
        // Of a store that is new, or older than this record.
        None => count_all(engine).await?.into_keys().collect(),
    };
    if keys.iter().all(|id| keyring.has(*id)) {
        return Ok(keys);
    }
    // Noted keys may be in use; these are.
    let tally = count_all(engine).await?;
    check_complete(&tally, keyring)?;
    if let Some(needed) = keys.into_iter().find(|id| engine.is_shared() && !keyring.has(*id)) {
        return Err(UnlockError::NotedKey { needed, given: unlock::list(keyring) });
    }
    Ok(tally.into_keys().collect())
}

async fn try_take(engine: &dyn Engine, keyring: &Keyring, origin: &Origin) -> Result<(), UnlockError> {
    match taking(engine, keyring, origin).await? {
        Some(batch) => Ok(engine.commit(batch).await?),
        None => Ok(()),
    }
}

/// What notes that a keyring seals from now on, if nothing changes meanwhile; `None`: it is noted.
pub(super) async fn taking(
    engine: &dyn Engine,
    keyring: &Keyring,
    origin: &Origin,
) -> Result<Option<Batch>, UnlockError> {
    let noted = read(engine).await?;
    let version = noted.as_ref().map(|(_, record)| record.version);
    let mut keys = keys(engine, noted.as_ref().map(|(noted, _)| noted), keyring).await?;
    keys.insert(keyring.sealing());
    let wanted = InUse { sealing: keyring.sealing(), keys };
    let fence = fence::read(engine).await?;
    let is_fenced = fence.as_ref().is_some_and(|(only, _)| *only != wanted.sealing);
    if !is_fenced && noted.as_ref().is_some_and(|(noted, _)| *noted == wanted) {
        return Ok(None);
    }
    let mut batch = Batch::new();
    batch.decided_at(origin.at).expect(place(), version).put(place(), wanted.encode()?);
    // Also that there is none: a rotation that has begun meanwhile would go on, with a fence before the key that is noted here.
    batch.expect(fence::place(), fence.map(|(_, record)| record.version));
    if is_fenced {
        batch.delete(fence::place());
    }
    if is_fenced || noted.is_none_or(|(noted, _)| noted.sealing != wanted.sealing) {
        // What a rotation has found to be sealed anew may not stay so.
        batch.delete(rotation::place());
        let event = ServerEvent::MasterKeyTakenIntoUse { key_id: wanted.sealing.to_string() };
        batch.append(Entry::of_server(None, origin, &event).to_bytes());
    }
    Ok(Some(batch))
}

fn check_complete(tally: &Tally, keyring: &Keyring) -> Result<(), UnlockError> {
    match tally.iter().find(|(id, _)| !keyring.has(**id)) {
        None => Ok(()),
        Some((needed, values)) => {
            Err(UnlockError::MissingKey { needed: *needed, values: *values, given: unlock::list(keyring) })
        }
    }
}
