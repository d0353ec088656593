//! Signing keys in the store, one record each, so that a rotation adds one and retires another without a moment in which
//! tokens of either are unknown.

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use sidekey_core::time::UnixTime;

use super::{Signer, SigningFailed, SigningKey};
use crate::keyring::Keyring;
use crate::keyring::sealed::{OpenError, Sealed, associated_data};
use crate::store::{Batch, CommitError, Engine, Key, Kind, StoreError};

/// A record under [`Kind::SigningKey`] and the key's id, postcard-encoded. Variants are only ever added, at the end.
#[derive(Serialize, Deserialize)]
enum StoredKey {
    Es256 {
        created_at: UnixTime,
        /// From then on it signs nothing more.
        retired_at: Option<UnixTime>,
        /// The key pair in PKCS #8.
        pkcs8: Sealed,
    },
}

/// Most keys that are looked at: one that signs and those whose last tokens are not over yet.
const MAX_KEYS: usize = 100;

/// Why there is no signer.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store cannot be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A stored key cannot be unsealed.
    #[error("the signing key `{record}` cannot be read: {error}")]
    Sealed {
        /// The record's key in the store.
        record: String,
        /// Why.
        error: OpenError,
    },
    /// A stored key is not what was stored.
    #[error("the signing key `{record}` is damaged: restore a backup")]
    Damaged {
        /// The record's key in the store.
        record: String,
    },
    /// No key could be made.
    #[error(transparent)]
    Generate(#[from] SigningFailed),
}

impl Signer {
    /// The signer with the store's keys. A store that has none gets one, durably, before it signs anything.
    ///
    /// # Errors
    /// When the store or the keyring fails.
    pub async fn load_or_create(
        engine: &dyn Engine,
        keyring: &Keyring,
        now: UnixTime,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Self, SignerError> {
        let mut keys = load(engine, keyring, now).await?;
        if keys.iter().all(|(_, key)| key.is_retired()) {
            create(engine, keyring, now, rng).await?;
            keys = load(engine, keyring, now).await?;
        }
        // The newest one signs; between two servers that made one at once, the id decides.
        keys.sort_by(|(a, left), (b, right)| (b, right.kid()).cmp(&(a, left.kid())));
        let mut keys: Vec<_> = keys.into_iter().map(|(_, key)| key).collect();
        let Some(current) = keys.iter().position(|key| !key.is_retired()) else {
            return Err(SignerError::Damaged { record: Key::of(Kind::SigningKey).to_string() });
        };
        let current = keys.remove(current);
        Ok(Self::new(current, keys))
    }
}

/// The keys whose tokens may still be valid, with the times they were made.
async fn load(
    engine: &dyn Engine,
    keyring: &Keyring,
    now: UnixTime,
) -> Result<Vec<(UnixTime, SigningKey)>, SignerError> {
    let mut keys = Vec::new();
    for (record, stored) in engine.scan(&Key::of(Kind::SigningKey), None, MAX_KEYS).await? {
        let damaged = || SignerError::Damaged { record: record.to_string() };
        let StoredKey::Es256 { created_at, retired_at, pkcs8 } =
            postcard::from_bytes(&stored.value).map_err(|_| damaged())?;
        let pkcs8 = keyring
            .open(&associated_data("signing key", &[&engine.id(), record.as_bytes()]), &pkcs8)
            .map_err(|error| SignerError::Sealed { record: record.to_string(), error })?;
        let key = SigningKey::from_pkcs8(&pkcs8, retired_at.map(UnixTime::as_secs)).ok_or_else(damaged)?;
        if record != place(key.kid()) {
            return Err(damaged());
        }
        if !key.is_over(now.as_secs()) {
            keys.push((created_at, key));
        }
    }
    Ok(keys)
}

async fn create(
    engine: &dyn Engine,
    keyring: &Keyring,
    now: UnixTime,
    rng: &mut (impl CryptoRng + Send),
) -> Result<(), SignerError> {
    let pkcs8 = SigningKey::generate()?;
    let key = SigningKey::from_pkcs8(&pkcs8, None).ok_or(SigningFailed)?;
    let record = place(key.kid());
    let associated = associated_data("signing key", &[&engine.id(), record.as_bytes()]);
    let stored =
        StoredKey::Es256 { created_at: now, retired_at: None, pkcs8: keyring.seal(&associated, &pkcs8, rng) };
    let value =
        postcard::to_stdvec(&stored).map_err(|_| SignerError::Damaged { record: record.to_string() })?;
    let mut batch = Batch::new();
    batch.expect(record.clone(), None).put(record, value);
    engine.commit(batch).await?;
    Ok(())
}

fn place(kid: &str) -> Key {
    Key::of(Kind::SigningKey).part(kid)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::entropy::Entropy;
    use crate::keyring::master_key::MasterKey;
    use crate::store::SledEngine;
    use crate::store::sled::Options;

    const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

    fn keyring() -> Keyring {
        Keyring::parse(&MasterKey::generate(&mut Entropy).to_line()).unwrap()
    }

    fn store(folder: &std::path::Path) -> Arc<dyn Engine> {
        Arc::new(SledEngine::open(folder, &Options::new([7; 16])).unwrap())
    }

    #[tokio::test]
    async fn a_store_gets_one_key_and_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let (store, keyring) = (store(folder.path()), keyring());
        let first = Signer::load_or_create(&*store, &keyring, NOW, &mut Entropy).await.unwrap();
        let second = Signer::load_or_create(&*store, &keyring, NOW.plus(60), &mut Entropy).await.unwrap();
        assert_eq!(first.jwks(), second.jwks());
        assert_eq!(first.jwks()["keys"].as_array().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn the_stored_key_is_sealed() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        Signer::load_or_create(&*store, &keyring(), NOW, &mut Entropy).await.unwrap();
        let refused = Signer::load_or_create(&*store, &keyring(), NOW, &mut Entropy).await.unwrap_err();
        assert!(matches!(refused, SignerError::Sealed { error: OpenError::UnknownKey(_), .. }), "{refused}");
    }

    #[tokio::test]
    async fn the_newest_key_that_is_not_retired_signs_and_the_others_stay_known_for_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let (store, keyring) = (store(folder.path()), keyring());
        let old = Signer::load_or_create(&*store, &keyring, NOW, &mut Entropy).await.unwrap();
        retire(&*store, NOW.plus(10)).await;
        let both = Signer::load_or_create(&*store, &keyring, NOW.plus(20), &mut Entropy).await.unwrap();
        assert_eq!(both.jwks()["keys"].as_array().unwrap().len(), 2);
        assert_ne!(both.jwks()["keys"][0], old.jwks()["keys"][0]);
        assert_eq!(both.jwks()["keys"][1], old.jwks()["keys"][0]);
        let later = NOW.plus(10 + super::super::ACCESS_TOKEN_SECONDS);
        let one = Signer::load_or_create(&*store, &keyring, later, &mut Entropy).await.unwrap();
        assert_eq!(one.jwks()["keys"], serde_json::json!([both.jwks()["keys"][0]]));
    }

    /// Retires every key of the store, as a rotation does.
    async fn retire(store: &dyn Engine, at: UnixTime) {
        let mut batch = Batch::new();
        for (record, stored) in store.scan(&Key::of(Kind::SigningKey), None, MAX_KEYS).await.unwrap() {
            let StoredKey::Es256 { created_at, pkcs8, .. } = postcard::from_bytes(&stored.value).unwrap();
            let retired = StoredKey::Es256 { created_at, retired_at: Some(at), pkcs8 };
            batch.put(record, postcard::to_stdvec(&retired).unwrap());
        }
        store.commit(batch).await.unwrap();
    }
}
