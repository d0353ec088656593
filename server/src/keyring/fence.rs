//! Which master key alone may seal: the record `meta/sealing-key`, which a rotation puts up before it begins to count.
//!
//! Several servers read their key files at different times. Until a rotation begins, each of them seals with the first key of its
//! own; all of those are noted as in use. From its beginning on, a commit that seals with another key than the rotation's is refused by
//! the database itself, so that a server that was left behind can seal nothing any more, however long it takes to notice
//! ([`Batch::fence`]). The record stays after the rotation, and goes when somebody has a server take
//! another key into use. A start does not: where servers share a store, one that starts seals with the key that stands here.

use super::{KeyId, Keyring};
use crate::store::{Batch, Engine, Key, Record, StoreError};

/// Where the id of the key stands.
pub(crate) fn place() -> Key {
    Key::meta("sealing-key")
}

/// Has a batch that holds values sealed with this keyring refused where another key alone may seal.
pub(crate) fn pass(batch: &mut Batch, keyring: &Keyring) {
    batch.fence(place(), keyring.sealing().to_bytes().to_vec());
}

/// What stands there, and the key that alone may seal.
///
/// # Errors
/// The store cannot be read.
pub(crate) async fn read(engine: &dyn Engine) -> Result<Option<(KeyId, Record)>, StoreError> {
    let Some(record) = engine.get(&place()).await? else { return Ok(None) };
    let damaged = |_| StoreError::Damaged { key: place().to_string(), damage: "it is not the id of a key" };
    let id = <[u8; 4]>::try_from(&record.value[..]).map_err(damaged)?;
    Ok(Some((KeyId::from_bytes(id), record)))
}
