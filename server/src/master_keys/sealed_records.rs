//! Where sealed values are.

use std::collections::BTreeMap;

use rand_core::CryptoRng;

use crate::keyring::{KeyId, Keyring, Sealed, unlock};
use crate::store::codec::{account_seals, resealed_account};
use crate::store::{Engine, Key, Kind, Record, StoreError};
use crate::token::{self, SignerError};

/// The kinds of records that hold sealed values, by their numbers, so that a walk goes on from the last key that it saw.
fn kinds() -> impl Iterator<Item = Kind> {
    Kind::ALL.iter().copied().filter(|kind| kind.nature().holds_sealed)
}

/// How many values are sealed with which key.
pub type Tally = BTreeMap<KeyId, u64>;

/// A part of a walk over all records that may hold sealed values.
pub(super) struct Page {
    pub(super) records: Vec<(Key, Record)>,
    /// Whether nothing comes after these.
    pub(super) is_last: bool,
}

/// The records after `after`, at most `limit`.
///
/// # Errors
/// The store cannot be read.
pub(super) async fn page(engine: &dyn Engine, after: Option<&Key>, limit: usize) -> Result<Page, StoreError> {
    let mut records = Vec::new();
    for kind in kinds() {
        let room = limit - records.len();
        let found = engine.scan(&Key::of(kind), after, room).await?;
        let is_full = found.len() == room;
        records.extend(found);
        if is_full {
            return Ok(Page { records, is_last: false });
        }
    }
    Ok(Page { records, is_last: true })
}

/// The keys that the values of a record are sealed with.
///
/// # Errors
/// The record is damaged.
pub(super) fn seals(place: &Key, record: &Record) -> Result<Vec<KeyId>, StoreError> {
    let seals = if is_unlock_record(place) {
        vec![Sealed::from_bytes(record.value.clone()).key_id()]
    } else if place.is(Kind::Account) {
        account_seals(place, &record.value)?
    } else if place.is(Kind::SigningKey) {
        vec![token::sealed_in(place, record).map_err(as_store_error)?.key_id()]
    } else {
        Vec::new()
    };
    let damaged = || StoreError::Damaged { key: place.to_string(), damage: "a sealed value names no key" };
    seals.into_iter().map(|id| id.ok_or_else(damaged)).collect()
}

/// The record's value with everything in it sealed with the keyring's first key; `None` if it is so already.
///
/// # Errors
/// The record is damaged, or a value in it does not open.
pub(super) fn resealed(
    engine: &dyn Engine,
    keyring: &Keyring,
    place: &Key,
    record: &Record,
    rng: &mut impl CryptoRng,
) -> Result<Option<Vec<u8>>, StoreError> {
    if seals(place, record)?.iter().all(|id| *id == keyring.sealing()) {
        return Ok(None);
    }
    let value = if place.is(Kind::Account) {
        resealed_account(keyring, place, &record.value)?
    } else if place.is(Kind::SigningKey) {
        token::resealed(engine.id(), keyring, place, record, rng).map_err(as_store_error)?
    } else {
        let name = place.name(Kind::Meta).unwrap_or_default();
        let associated = unlock::associated(name, engine.id());
        let opened = keyring.open(&associated, &Sealed::from_bytes(record.value.clone()));
        let opened = opened.map_err(|_| StoreError::Damaged {
            key: place.to_string(),
            damage: "it does not open with the master keys",
        })?;
        keyring.seal(&associated, &opened, rng).as_bytes().to_vec()
    };
    Ok(Some(value))
}

/// Counts the values of some records by the keys that they are sealed with.
///
/// # Errors
/// A record is damaged.
pub(super) fn count(records: &[(Key, Record)], tally: &mut Tally) -> Result<(), StoreError> {
    for (place, record) in records {
        for id in seals(place, record)? {
            *tally.entry(id).or_default() += 1;
        }
    }
    Ok(())
}

/// Counts all values.
///
/// # Errors
/// The store cannot be read, or a record is damaged.
pub(super) async fn count_all(engine: &dyn Engine) -> Result<Tally, StoreError> {
    let (mut tally, mut after) = (Tally::new(), None);
    loop {
        let page = page(engine, after.as_ref(), crate::store::engine::MAX_SCAN).await?;
        count(&page.records, &mut tally)?;
        if page.is_last {
            return Ok(tally);
        }
        after = page.records.into_iter().next_back().map(|(place, _)| place);
    }
}

fn is_unlock_record(place: &Key) -> bool {
    place.name(Kind::Meta).is_some_and(|name| unlock::RECORDS.contains(&name))
}

fn as_store_error(error: SignerError) -> StoreError {
    match error {
        SignerError::Store(error) => error,
        SignerError::Sealed { record, .. } => {
            StoreError::Damaged { key: record, damage: "it does not open with the master keys" }
        }
        SignerError::Damaged { record } => {
            StoreError::Damaged { key: record, damage: "its fields cannot be read" }
        }
        error => StoreError::Unavailable(error.to_string()),
    }
}
