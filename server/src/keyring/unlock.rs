//! Whether the master keys are the ones of this store, and the pepper that they open.
//!
//! Two records are made with a store: `meta/sentinel`, a sealed constant, and `meta/pepper`. Both are bound to the
//! store's id. A wrong master key is noticed by the sentinel at start, not by the first user who cannot log in.

use std::fmt::Write as _;

use rand_core::CryptoRng;

use super::pepper::Pepper;
use super::sealed::{OpenError, Sealed, associated_data};
use super::{KeyId, Keyring, Origin};
use crate::store::{Batch, CommitError, Engine, HeadKey, Key, StoreError, StoreId};

/// The name of the record that tells a wrong key.
pub const SENTINEL_RECORD: &str = "sentinel";
/// The name of the pepper's record.
pub const PEPPER_RECORD: &str = "pepper";
const SENTINEL: &[u8] = b"sidekey sentinel";

/// The names of the two records, whose values are sealed as a whole.
pub const RECORDS: [&str; 2] = [SENTINEL_RECORD, PEPPER_RECORD];

/// What the value of one of the two records is sealed for.
pub fn associated(record: &str, store: StoreId) -> Vec<u8> {
    associated_data(record, &[&store])
}

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
        store.seal(head_key(&pepper, store.id())).await?;
        return Ok(pepper);
    }
    match create(store, keyring, rng).await {
        // Another server of the same new cluster was faster: its pepper is the store's.
        Ok(()) | Err(CommitError::Conflict(_)) => {
            let pepper = open(store, keyring).await?.ok_or(UnlockError::Damaged { record: "pepper" })?;
            store.seal(head_key(&pepper, store.id())).await?;
            Ok(pepper)
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether a keyring opens the store's sentinel and pepper.
///
/// # Errors
/// It does not, or the store has neither.
pub async fn check(store: &dyn Engine, keyring: &Keyring) -> Result<(), UnlockError> {
    open(store, keyring).await?.map(drop).ok_or(UnlockError::Damaged { record: SENTINEL_RECORD })
}

async fn open(store: &dyn Engine, keyring: &Keyring) -> Result<Option<Pepper>, UnlockError> {
    let sentinel = store.get(&Key::meta(SENTINEL_RECORD)).await?.map(|record| record.value);
    let pepper = store.get(&Key::meta(PEPPER_RECORD)).await?.map(|record| record.value);
    open_records(store.id(), keyring, sentinel, pepper)
}

/// Opens the pepper of a store from the values of its two records; `None` if it has neither of them.
///
/// # Errors
/// The keyring lacks the store's key, or the records are damaged.
pub fn open_records(
    store: StoreId,
    keyring: &Keyring,
    sentinel: Option<Vec<u8>>,
    pepper: Option<Vec<u8>>,
) -> Result<Option<Pepper>, UnlockError> {
    let (sentinel, pepper) = match (sentinel, pepper) {
        (Some(sentinel), Some(pepper)) => (sentinel, pepper),
        (None, None) => return Ok(None),
        (None, _) => return Err(UnlockError::Damaged { record: SENTINEL_RECORD }),
        (_, None) => return Err(UnlockError::Damaged { record: PEPPER_RECORD }),
    };
    let unseal = |record: &'static str, value| {
        let associated = associated(record, store);
        keyring.open(&associated, &Sealed::from_bytes(value)).map_err(|error| match error {
            OpenError::UnknownKey(needed) => UnlockError::WrongKey { needed, given: list(keyring) },
            OpenError::UnknownAlgorithm(_) | OpenError::Damaged => UnlockError::Damaged { record },
        })
    };
    if *unseal(SENTINEL_RECORD, sentinel)? != SENTINEL {
        return Err(UnlockError::Damaged { record: SENTINEL_RECORD });
    }
    let pepper = Pepper::from_bytes(&unseal(PEPPER_RECORD, pepper)?);
    pepper.map(Some).ok_or(UnlockError::Damaged { record: PEPPER_RECORD })
}

async fn create(
    store: &dyn Engine,
    keyring: &Keyring,
    rng: &mut (impl CryptoRng + Send),
) -> Result<(), CommitError> {
    let pepper = Pepper::generate(rng);
    // Before the first commit of a store that has a pepper, so that none of them is without a seal.
    store.seal(head_key(&pepper, store.id())).await?;
    let mut batch = Batch::new();
    for (key, value) in sealed_records(store.id(), keyring, &pepper, rng) {
        batch.expect(key.clone(), None).put(key, value);
    }
    store.commit(batch).await
}

/// The two records that a store with this pepper has.
pub fn sealed_records(
    store: StoreId,
    keyring: &Keyring,
    pepper: &Pepper,
    rng: &mut impl CryptoRng,
) -> [(Key, Vec<u8>); 2] {
    [(SENTINEL_RECORD, SENTINEL), (PEPPER_RECORD, pepper.as_bytes())].map(|(record, secret)| {
        let sealed = keyring.seal(&associated(record, store), secret, rng);
        (Key::meta(record), sealed.as_bytes().to_vec())
    })
}

/// The key of what a store with this pepper says about itself.
pub fn head_key(pepper: &Pepper, store: StoreId) -> HeadKey {
    HeadKey::new(pepper.mac("store head", &[&store]))
}

/// The keys of a keyring for a sentence.
pub fn list(keyring: &Keyring) -> String {
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
    /// The keyring has not all keys that something is sealed with.
    #[error(
        "a master key is missing: {values} values of this store are sealed with key `{needed}`, and given is only {given}; put `{needed}` back into the key file, below the others"
    )]
    MissingKey {
        /// The key that is missing.
        needed: KeyId,
        /// How many values are sealed with it.
        values: u64,
        /// The ids of the given keys.
        given: String,
    },
    /// Another server of the same store may be sealing with a key that the keyring has not.
    #[error(
        "a master key is missing: another server of this store may be sealing with key `{needed}`, and given is only {given}; put `{needed}` into the key file, below the others, until a rotation has ended"
    )]
    NotedKey {
        /// The key that is missing.
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

impl UnlockError {
    /// The same, saying where the given keys come from.
    #[must_use]
    pub fn given_by(mut self, origin: &Origin) -> Self {
        if let Self::WrongKey { given, .. } | Self::MissingKey { given, .. } | Self::NotedKey { given, .. } =
            &mut self
        {
            // Writing to a string cannot fail.
            let _ = write!(given, " of {origin}");
        }
        self
    }
}
