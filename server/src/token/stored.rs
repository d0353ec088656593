//! Signing keys in the store, one record each, so that a rotation adds one and retires another without a moment in which
//! tokens of either are unknown.

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use sidekey_core::time::UnixTime;

use super::{Signer, SigningFailed, SigningKey, Term};
use crate::audit::{Actor, Entry, Origin, ServerEvent};
use crate::keyring::sealed::{OpenError, Sealed, associated_data};
use crate::keyring::{Keyring, fence};
use crate::store::{Batch, CommitError, Engine, Key, Kind, Record, StoreError, StoreId};

/// A record under [`Kind::SigningKey`] and the key's id, postcard-encoded. Variants are only ever added, at the end.
#[derive(Serialize, Deserialize)]
pub(super) enum StoredKey {
    Es256 {
        created_at: UnixTime,
        /// From then on it signs nothing more; it may lie in the future.
        retired_at: Option<UnixTime>,
        /// The key pair in PKCS #8.
        pkcs8: Sealed,
    },
}

/// Most keys that are looked at: one that signs, the next one, and those whose last tokens are not over yet.
const MAX_KEYS: usize = 100;

/// Attempts against other servers at their start.
const ATTEMPTS: usize = 8;

/// Names the key that was made last because there was none to sign, so that of several servers one makes it.
fn made_place() -> Key {
    Key::meta("signing-key-made")
}

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
    /// The signer with the store's keys. A store that has none that signs gets one, durably, before it signs anything.
    ///
    /// # Errors
    /// When the store or the keyring fails.
    pub async fn load_or_create(
        engine: &dyn Engine,
        keyring: &Keyring,
        now: UnixTime,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Self, SignerError> {
        for _ in 0..ATTEMPTS {
            // Read before the keys, so that whoever makes one meanwhile has changed it.
            let made = engine.get(&made_place()).await?.map(|record| record.version);
            let keys = load(engine, keyring).await?;
            if keys.iter().any(|key| key.signs(now.as_secs())) {
                return Ok(Self::new(keys));
            }
            let mut batch = Batch::new();
            let kid = put_new(&mut batch, engine.id(), keyring, now, rng)?;
            batch.expect(made_place(), made).put(made_place(), kid.clone().into_bytes());
            let event = ServerEvent::SigningKeyCreated { kid, signs_from: now };
            batch.append(Entry::of_server(None, &Origin::local(Actor::Server, now), &event).to_bytes());
            match engine.commit(batch).await {
                // Another server at its start was quicker: its key is the store's.
                Ok(()) | Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Unavailable("other servers make signing keys again and again".to_owned()).into())
    }

    /// Reads the store's keys again: those of a rotation are taken up, and those that were removed are forgotten.
    ///
    /// # Errors
    /// When the store or the keyring fails; the signer stays as it is.
    pub async fn reload(&self, engine: &dyn Engine, keyring: &Keyring) -> Result<(), SignerError> {
        // One at a time: what was read before another one's reading must not take its place.
        let _turn = self.reloading.lock().await;
        self.replace(load(engine, keyring).await?);
        Ok(())
    }
}

async fn load(engine: &dyn Engine, keyring: &Keyring) -> Result<Vec<SigningKey>, SignerError> {
    let mut keys = Vec::new();
    for (place, record) in scan(engine).await? {
        let StoredKey::Es256 { created_at, retired_at, pkcs8 } = decode(&place, &record)?;
        let pkcs8 = keyring
            .open(&associated(engine.id(), &place), &pkcs8)
            .map_err(|error| SignerError::Sealed { record: place.to_string(), error })?;
        let term = Term { created_at: created_at.as_secs(), retired_at: retired_at.map(UnixTime::as_secs) };
        let key = SigningKey::from_pkcs8(&pkcs8, term).filter(|key| place == self::place(key.kid()));
        keys.push(key.ok_or_else(|| damaged(&place))?);
    }
    Ok(keys)
}

/// The records of all keys.
pub(super) async fn scan(engine: &dyn Engine) -> Result<Vec<(Key, Record)>, StoreError> {
    engine.scan(&Key::of(Kind::SigningKey), None, MAX_KEYS).await
}

/// Adds a new key to a batch, and gives its id.
pub(super) fn put_new(
    batch: &mut Batch,
    store: StoreId,
    keyring: &Keyring,
    now: UnixTime,
    rng: &mut impl CryptoRng,
) -> Result<String, SignerError> {
    let pkcs8 = SigningKey::generate()?;
    let term = Term { created_at: now.as_secs(), retired_at: None };
    let key = SigningKey::from_pkcs8(&pkcs8, term).ok_or(SigningFailed)?;
    let place = place(key.kid());
    let pkcs8 = keyring.seal(&associated(store, &place), &pkcs8, rng);
    let value = encode(&place, &StoredKey::Es256 { created_at: now, retired_at: None, pkcs8 })?;
    batch.decided_at(now).expect(place.clone(), None).put(place, value);
    fence::pass(batch, keyring);
    Ok(key.kid().to_owned())
}

/// What the record of a signing key holds sealed.
///
/// # Errors
/// The record is damaged.
pub fn sealed_in(place: &Key, record: &Record) -> Result<Sealed, SignerError> {
    let StoredKey::Es256 { pkcs8, .. } = decode(place, record)?;
    Ok(pkcs8)
}

/// Whether the record is that of a signing key. With the master keys, it is opened too.
///
/// # Errors
/// It is damaged, or does not open.
pub fn check(
    store: StoreId,
    keyring: Option<&Keyring>,
    place: &Key,
    record: &Record,
) -> Result<(), SignerError> {
    let sealed = sealed_in(place, record)?;
    let opened = keyring.map(|keyring| keyring.open(&associated(store, place), &sealed));
    opened.transpose().map(drop).map_err(|error| SignerError::Sealed { record: place.to_string(), error })
}

/// The value of the record with its key sealed anew.
///
/// # Errors
/// The record is damaged, or its key does not open.
pub fn resealed(
    store: StoreId,
    keyring: &Keyring,
    place: &Key,
    record: &Record,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, SignerError> {
    let StoredKey::Es256 { created_at, retired_at, pkcs8 } = decode(place, record)?;
    let associated = associated(store, place);
    let opened = keyring
        .open(&associated, &pkcs8)
        .map_err(|error| SignerError::Sealed { record: place.to_string(), error })?;
    let pkcs8 = keyring.seal(&associated, &opened, rng);
    encode(place, &StoredKey::Es256 { created_at, retired_at, pkcs8 })
}

fn associated(store: StoreId, place: &Key) -> Vec<u8> {
    associated_data("signing key", &[&store, place.as_bytes()])
}

pub(super) fn encode(place: &Key, stored: &StoredKey) -> Result<Vec<u8>, SignerError> {
    postcard::to_stdvec(stored).map_err(|_| damaged(place))
}

pub(super) fn decode(place: &Key, record: &Record) -> Result<StoredKey, SignerError> {
    postcard::from_bytes(&record.value).map_err(|_| damaged(place))
}

fn damaged(place: &Key) -> SignerError {
    SignerError::Damaged { record: place.to_string() }
}

fn place(kid: &str) -> Key {
    Key::of(Kind::SigningKey).part(kid)
}

/// The id of the key in the record under `place`.
pub(super) fn kid_of(place: &Key) -> Result<String, SignerError> {
    place.name(Kind::SigningKey).map(str::to_owned).ok_or_else(|| damaged(place))
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
        assert_eq!(first.jwks(NOW.as_secs()), second.jwks(NOW.as_secs()));
        assert_eq!(first.jwks(NOW.as_secs()).keys.len(), 1);
        let entries = crate::audit::testing::entries(&*store).await;
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0]["event"]["type"], "signing_key_created");
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
    async fn a_key_sealed_anew_opens_with_the_new_master_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let (old, new) = (MasterKey::generate(&mut Entropy), MasterKey::generate(&mut Entropy));
        let both = Keyring::parse(&format!("{}\n{}", *new.to_line(), *old.to_line())).unwrap();
        let (old, new) = (Keyring::new(old), Keyring::new(new));
        let before = Signer::load_or_create(&*store, &old, NOW, &mut Entropy).await.unwrap();
        let (place, record) = scan(&*store).await.unwrap().remove(0);
        assert!(both.is_outdated(&sealed_in(&place, &record).unwrap()));
        let value = resealed(store.id(), &both, &place, &record, &mut Entropy).unwrap();
        let mut batch = Batch::new();
        batch.put(place, value);
        store.commit(batch).await.unwrap();
        let after = Signer::load_or_create(&*store, &new, NOW, &mut Entropy).await.unwrap();
        assert_eq!(before.jwks(NOW.as_secs()), after.jwks(NOW.as_secs()));
        assert!(before.reload(&*store, &old).await.is_err());
        assert_eq!(before.jwks(NOW.as_secs()), after.jwks(NOW.as_secs()), "it stays as it was");
    }

    #[tokio::test]
    async fn a_key_opens_only_in_the_store_and_record_that_it_was_sealed_for() {
        let folder = tempfile::tempdir().unwrap();
        let (store, keyring) = (store(folder.path()), keyring());
        Signer::load_or_create(&*store, &keyring, NOW, &mut Entropy).await.unwrap();
        let (here, record) = scan(&*store).await.unwrap().remove(0);
        check(store.id(), Some(&keyring), &here, &record).unwrap();
        for (store, place) in [([9; 16], here.clone()), (store.id(), place("another"))] {
            let refused = check(store, Some(&keyring), &place, &record).unwrap_err();
            assert!(matches!(refused, SignerError::Sealed { .. }), "{refused}");
        }
        let damaged = Record { value: Vec::new(), ..record };
        let refused = check(store.id(), None, &here, &damaged).unwrap_err();
        assert!(matches!(refused, SignerError::Damaged { .. }), "{refused}");
    }
}
