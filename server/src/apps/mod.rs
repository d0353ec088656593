//! Host applications, the tenants, and the API keys that they prove themselves with.
//!
//! - this file: [`Apps`], all that is done with them;
//! - [`settings`]: what can be changed of an app at run time;
//! - `return_url`, `logo`: two of the settings;
//! - `record`: how they are stored;
//! - `key`: the text form of an API key;
//! - `cache`: the answers of the last look-ups.

mod cache;
mod key;
mod logo;
mod record;
mod return_url;
pub mod settings;
pub mod shown;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use sidekey_core::id::AppId;
use sidekey_core::policy::Enforcement;
use sidekey_core::time::UnixTime;

pub use key::{ApiKey, KEY_PREFIX};
pub use logo::Logo;
pub use record::{App, check as check_record};
pub use return_url::{ReturnUrl, ReturnUrls};
pub use settings::Edit;

use crate::audit::{Entry, Origin, ServerEvent};
use crate::store::engine::MAX_SCAN;
use crate::store::{Batch, CommitError, Engine, StoreError};
use cache::Cache;
use record::StoredKey;

/// Most API keys of one app, revoked ones included; rotation needs two at a time.
const MAX_KEYS: usize = 500;

/// Longest name of an app, in characters.
const MAX_NAME_CHARS: usize = 100;

/// Attempts to find a free id for an app that was created without one.
const ID_ATTEMPTS: usize = 8;

/// What an app is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewApp {
    /// The id that it shall have; without one, it is derived from the name.
    pub id: Option<AppId>,
    /// What people read.
    pub name: String,
    /// What it demands of its users.
    pub enforcement: Enforcement,
    /// Where it lets its users be sent back to.
    #[serde(default)]
    pub return_urls: ReturnUrls,
}

/// An API key at the only time that its text is known.
#[derive(Debug)]
pub struct NewKey {
    /// Its public name.
    pub key_id: String,
    /// Its text.
    pub api_key: ApiKey,
}

/// An API key as operators see it: nothing of its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyShown {
    /// Its public name.
    pub key_id: String,
    /// When it was made.
    pub created_at: UnixTime,
    /// Since when it is worthless.
    pub revoked_at: Option<UnixTime>,
}

/// Why a change of apps and keys is refused. The texts are for the operator.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// There is no such app.
    #[error("there is no app `{0}`; `sidekey app list` shows all of them")]
    UnknownApp(AppId),
    /// The app has no such key.
    #[error("app `{app}` has no key `{key_id}`")]
    UnknownKey {
        /// The app.
        app: AppId,
        /// The key's name.
        key_id: String,
    },
    /// The id is taken.
    #[error("there is an app `{0}` already; choose another id")]
    Exists(AppId),
    /// The name is empty, too long or not printable.
    #[error("the name of an app has 1 to {MAX_NAME_CHARS} characters and no control characters")]
    InvalidName,
    /// The app has as many keys as an app can have.
    #[error("app `{0}` has {MAX_KEYS} API keys already")]
    TooManyKeys(AppId),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store cannot be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// The apps of a store.
///
/// Look-ups are remembered; every change that goes through this value is seen by the look-ups that begin after it has
/// returned. So there is one value for a running server, and its control socket uses the same one. Changes of other processes are
/// seen some seconds later.
#[derive(Clone)]
pub struct Apps {
    engine: Arc<dyn Engine>,
    cache: Arc<Cache>,
}

impl Apps {
    /// The apps in this store.
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        let lasts = engine.is_shared().then_some(cache::STALE);
        Self { engine, cache: Arc::new(Cache::lasting(lasts)) }
    }

    /// The app that an API key belongs to; `None` for whatever is no valid key.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn authenticate(&self, text: &str) -> Result<Option<Arc<App>>, StoreError> {
        let Some(hash) = key::hash(text) else { return Ok(None) };
        if let Some(app) = self.cache.app_of_key(&hash) {
            return Ok(Some(app));
        }
        let before = self.cache.generation();
        let place = record::key_place(&hash);
        let Some(stored) = self.engine.get(&place).await? else { return Ok(None) };
        let StoredKey::V1 { app, revoked_at, .. } = record::decode(&place, &stored)?;
        if revoked_at.is_some() {
            return Ok(None);
        }
        let Some(app) = self.find(&app).await? else {
            return Err(StoreError::Damaged {
                key: place.to_string(),
                damage: "the app of this API key is gone",
            });
        };
        self.cache.remember_key(before, hash, Arc::clone(&app));
        Ok(Some(app))
    }

    /// The app with this id.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn find(&self, id: &AppId) -> Result<Option<Arc<App>>, StoreError> {
        if let Some(app) = self.cache.app(id) {
            return Ok(Some(app));
        }
        let before = self.cache.generation();
        let place = record::app_place(id);
        let Some(stored) = self.engine.get(&place).await? else { return Ok(None) };
        let app = Arc::new(record::decode_app(&place, &stored)?);
        self.cache.remember_app(before, Arc::clone(&app));
        Ok(Some(app))
    }

    /// All apps by id.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list(&self) -> Result<Vec<App>, StoreError> {
        let prefix = record::apps_place();
        let mut apps = Vec::new();
        let mut after = None;
        loop {
            let page = self.engine.scan(&prefix, after.as_ref(), PAGE).await?;
            for (place, stored) in &page {
                apps.push(record::decode_app(place, stored)?);
            }
            match page.into_iter().last() {
                Some((last, _)) => after = Some(last),
                None => return Ok(apps),
            }
        }
    }

    /// Makes an app with its first API key.
    ///
    /// # Errors
    /// When the name is none, the id is taken, or the store fails.
    pub async fn create(
        &self,
        new: NewApp,
        origin: &Origin,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<(App, NewKey), AppError> {
        let NewApp { id, name, enforcement, return_urls } = new;
        settings::check_name(&name)?;
        let is_given = id.is_some();
        let id = id.unwrap_or_else(|| record::id_of_name(&name));
        let mut app = App { return_urls, ..App::new(id, name, enforcement, origin.at) };
        if is_given {
            return self.insert(app, origin, rng).await;
        }
        for _ in 1..ID_ATTEMPTS {
            match self.insert(app.clone(), origin, rng).await {
                Err(AppError::Exists(_)) => app.id = record::varied(&app.name, rng),
                outcome => return outcome,
            }
        }
        self.insert(app, origin, rng).await
    }

    async fn insert(
        &self,
        app: App,
        origin: &Origin,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<(App, NewKey), AppError> {
        let place = record::app_place(&app.id);
        let mut batch = Batch::new();
        batch.expect(place.clone(), None).put(place.clone(), record::encode_app(&place, &app)?);
        batch.append(Entry::of_server(Some(&app.id), origin, &ServerEvent::AppCreated).to_bytes());
        let key = put_key(&mut batch, &app.id, origin, rng)?;
        match self.commit(batch).await {
            Err(CommitError::Conflict(record)) if record == place.to_string() => {
                Err(AppError::Exists(app.id))
            }
            outcome => Ok(outcome.map(|()| (app, key))?),
        }
    }

    /// Gives an app one more API key.
    ///
    /// # Errors
    /// When there is no such app, it has too many keys, or the store fails.
    pub async fn create_key(
        &self,
        app: &AppId,
        origin: &Origin,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<NewKey, AppError> {
        let place = record::app_place(app);
        let stored = self.engine.get(&place).await?.ok_or_else(|| AppError::UnknownApp(app.clone()))?;
        if self.engine.scan(&record::names_place(app), None, MAX_KEYS).await?.len() >= MAX_KEYS {
            return Err(AppError::TooManyKeys(app.clone()));
        }
        let mut batch = Batch::new();
        batch.expect(place, Some(stored.version));
        let key = put_key(&mut batch, app, origin, rng)?;
        self.commit(batch).await?;
        Ok(key)
    }

    /// Makes an API key worthless. To revoke it again changes nothing.
    ///
    /// # Errors
    /// When there is no such app or key, or the store fails.
    pub async fn revoke_key(&self, app: &AppId, key_id: &str, origin: &Origin) -> Result<(), AppError> {
        if self.engine.get(&record::app_place(app)).await?.is_none() {
            return Err(AppError::UnknownApp(app.clone()));
        }
        let name = record::name_place(app, key_id);
        let Some(stored) = self.engine.get(&name).await? else {
            return Err(AppError::UnknownKey { app: app.clone(), key_id: key_id.to_owned() });
        };
        let hash: [u8; 32] = record::decode(&name, &stored)?;
        let place = record::key_place(&hash);
        let Some(stored) = self.engine.get(&place).await? else {
            return Err(StoreError::Damaged { key: place.to_string(), damage: "the API key is gone" }.into());
        };
        let StoredKey::V1 { key_id, app, created_at, revoked_at } = record::decode(&place, &stored)?;
        if revoked_at.is_some() {
            return Ok(());
        }
        let event = ServerEvent::ApiKeyRevoked { key_id: key_id.clone() };
        let mut batch = Batch::new();
        batch.append(Entry::of_server(Some(&app), origin, &event).to_bytes());
        let revoked = StoredKey::V1 { key_id, app, created_at, revoked_at: Some(origin.at) };
        batch.expect(place.clone(), Some(stored.version));
        let value = record::encode(&place, &revoked)?;
        batch.put(place, value);
        Ok(self.commit(batch).await?)
    }

    /// The API keys of an app, the oldest first.
    ///
    /// # Errors
    /// When there is no such app, or the store fails.
    pub async fn keys(&self, app: &AppId) -> Result<Vec<KeyShown>, AppError> {
        if self.engine.get(&record::app_place(app)).await?.is_none() {
            return Err(AppError::UnknownApp(app.clone()));
        }
        // At most MAX_KEYS, fewer than one scan gives.
        let names = self.engine.scan(&record::names_place(app), None, MAX_SCAN).await?;
        let mut keys = Vec::with_capacity(names.len());
        for (name, stored) in names {
            let hash: [u8; 32] = record::decode(&name, &stored)?;
            let place = record::key_place(&hash);
            let Some(stored) = self.engine.get(&place).await? else {
                return Err(
                    StoreError::Damaged { key: place.to_string(), damage: "the API key is gone" }.into()
                );
            };
            let StoredKey::V1 { key_id, created_at, revoked_at, .. } = record::decode(&place, &stored)?;
            keys.push(KeyShown { key_id, created_at, revoked_at });
        }
        keys.sort_by(|a, b| (a.created_at, &a.key_id).cmp(&(b.created_at, &b.key_id)));
        Ok(keys)
    }

    /// Makes a change and forgets what is remembered, in this order also if the caller does not wait for it: a commit that was begun
    /// is made.
    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        let apps = self.clone();
        let made = tokio::spawn(async move {
            let _forget = apps.cache.forget_on_drop();
            apps.engine.commit(batch).await
        });
        made.await.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string()).into()))
    }
}

/// Apps read at once.
const PAGE: usize = 500;

fn put_key(
    batch: &mut Batch,
    app: &AppId,
    origin: &Origin,
    rng: &mut impl CryptoRng,
) -> Result<NewKey, StoreError> {
    let (key_id, api_key) = (key::new_id(rng), ApiKey::generate(rng));
    let hash = api_key.hash();
    let (place, name) = (record::key_place(&hash), record::name_place(app, &key_id));
    let stored =
        StoredKey::V1 { key_id: key_id.clone(), app: app.clone(), created_at: origin.at, revoked_at: None };
    let values = (record::encode(&place, &stored)?, record::encode(&name, &hash)?);
    batch.expect(place.clone(), None).put(place, values.0);
    batch.expect(name.clone(), None).put(name, values.1);
    let event = ServerEvent::ApiKeyCreated { key_id: key_id.clone() };
    batch.append(Entry::of_server(Some(app), origin, &event).to_bytes());
    Ok(NewKey { key_id, api_key })
}

impl std::fmt::Debug for Apps {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Apps").finish_non_exhaustive()
    }
}
