//! Whether the master keys are the ones of this store, and the pepper that they open.
//!
//! Two records are made with a store: `meta/sentinel`, a sealed constant, and `meta/pepper`. Both are bound to the
//! store's id. A wrong master key is noticed by the sentinel at start, not by the first user who cannot log in.

use rand_core::CryptoRng;

use super::pepper::Pepper;
use super::sealed::{OpenError, Sealed, associated_data};
use super::{KeyId, Keyring};
use crate::store::{Batch, CommitError, Engine, HeadKey, Key, StoreError};

const SENTINEL: &[u8] = b"sidekey sentinel";

/// Opens the store's pepper, or makes one in a new store.
///
/// # Errors
/// The keyring lacks the store's key, the records are damaged, or the store cannot be read or written.
pub async fn unlock(
    store: &dyn Engine,
    keyring: &Keyring,
    rng: &mut (impl CryptoRng + Send),
) -> Result<Pepper, UnlockError> {
    if let Some(pepper) = open(store, keyring).await? {
        store.seal(head_key(&pepper, store)).await?;
        return Ok(pepper);
    }
    match create(store, keyring, rng).await {
        // Another server of the same new cluster was faster: its pepper is the store's.
        Ok(()) | Err(CommitError::Conflict(_)) => {
            let pepper = open(store, keyring).await?.ok_or(UnlockError::Damaged { record: "pepper" })?;
            store.seal(head_key(&pepper, store)).await?;
            Ok(pepper)
        }
        Err(error) => Err(error.into()),
    }
}

async fn open(store: &dyn Engine, keyring: &Keyring) -> Result<Option<Pepper>, UnlockError> {
    let sentinel = store.get(&Key::meta("sentinel")).await?;
    let pepper = store.get(&Key::meta("pepper")).await?;
    let (sentinel, pepper) = match (sentinel, pepper) {
        (Some(sentinel), Some(pepper)) => (sentinel.value, pepper.value),
        (None, None) => return Ok(None),
        (None, _) => return Err(UnlockError::Damaged { record: "sentinel" }),
        (_, None) => return Err(UnlockError::Damaged { record: "pepper" }),
    };
    let unseal = |record: &'static str, value| {
        let associated = associated_data(record, &[&store.id()]);
        keyring.open(&associated, &Sealed::from_bytes(value)).map_err(|error| match error {
            OpenError::UnknownKey(needed) => UnlockError::WrongKey { needed, given: list(keyring) },
            OpenError::UnknownAlgorithm(_) | OpenError::Damaged => UnlockError::Damaged { record },
        })
    };
    if *unseal("sentinel", sentinel)? != SENTINEL {
        return Err(UnlockError::Damaged { record: "sentinel" });
    }
    let pepper = Pepper::from_bytes(&unseal("pepper", pepper)?);
    pepper.map(Some).ok_or(UnlockError::Damaged { record: "pepper" })
}

async fn create(
    store: &dyn Engine,
    keyring: &Keyring,
    rng: &mut (impl CryptoRng + Send),
) -> Result<(), CommitError> {
    let pepper = Pepper::generate(rng);
    // Before the first commit of a store that has a pepper, so that none of them is without a seal.
    store.seal(head_key(&pepper, store)).await?;
    let mut batch = Batch::new();
    for (record, secret) in [("sentinel", SENTINEL), ("pepper", pepper.as_bytes())] {
        let sealed = keyring.seal(&associated_data(record, &[&store.id()]), secret, rng);
        batch.expect(Key::meta(record), None).put(Key::meta(record), sealed.as_bytes().to_vec());
    }
    store.commit(batch).await
}

/// The key of what the store says about itself.
fn head_key(pepper: &Pepper, store: &dyn Engine) -> HeadKey {
    HeadKey::new(pepper.mac("store head", &[&store.id()]))
}

fn list(keyring: &Keyring) -> String {
    keyring.ids().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ")
}

/// Why the store stays locked, with the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnlockError {
    /// The store was sealed with another key.
    #[error(
        "wrong master key: this store is sealed with key `{needed}`, and the given one is {given}; start with the key that the store was made with"
    )]
    WrongKey {
        /// The key that the store needs.
        needed: KeyId,
        /// The ids of the given keys.
        given: String,
    },
    /// A record that the store was made with is gone or was changed.
    #[error("the store's record `{record}` is damaged or gone: restore a backup")]
    Damaged {
        /// Which one.
        record: &'static str,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store cannot be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
}
