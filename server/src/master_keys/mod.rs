//! The master keys of a running server: which of them are in use, and how one follows another.
//!
//! - this file: [`MasterKeys`], the keyring that can be read anew;
//! - `in_use`: which keys something may be sealed with;
//! - [`sealed_records`]: where sealed values are;
//! - [`rotation`]: sealing everything anew.

mod in_use;
pub mod rotation;
pub mod sealed_records;
#[cfg(test)]
mod shared_tests;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Weak};
use std::time::Duration;

use rand_core::CryptoRng;
use sidekey_core::time::UnixTime;

use crate::audit::{Actor, Origin};
use crate::keyring::{self, Keyring, Pepper, SourceError, UnlockError, unlock};
use crate::store::engine::MAX_SCAN;
use crate::store::{Engine, Key, StoreError};
use crate::swap::Swap;
use rotation::{Progress, RotationError};
use sealed_records::Tally;

/// How often, and how many times, it is looked whether the keyring before is still being worked with. An operation takes
/// milliseconds.
const LOOK_EVERY: Duration = Duration::from_millis(5);
const LOOKS: u32 = 2_000;

/// The keyring of a store, which can be read anew while it is worked with.
pub struct MasterKeys {
    engine: Arc<dyn Engine>,
    current: Arc<Swap<Keyring>>,
    source: keyring::Origin,
    /// Of keys that cannot be read again, as they were given, where the store had another one of them go on sealing.
    given: Option<Keyring>,
    /// Keyrings before this one that somebody may still be sealing with. Held from reading the file to putting the keyring in
    /// place, so that an older one never replaces a newer one; nothing but reading anew waits for it.
    before: tokio::sync::Mutex<Vec<Weak<Keyring>>>,
}

/// Why the keys could not be read anew. The texts are for the operator.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// There is no usable keyring. The one before goes on.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The new keyring does not open everything in the store. The one before goes on; where a key that sealed was to go, it does so below
    /// the new ones.
    #[error(transparent)]
    Unlock(#[from] UnlockError),
    /// The new keyring is in place, and something holds on to the one before.
    #[error(
        "the new master keys are in use from now on, but operations that had begun still seal with the ones before: keep all of them in the file, \
         and have them read again in a moment"
    )]
    Busy,
}

/// How much is sealed with which key, counted over a part of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// Records that were looked at in this part.
    pub records: u64,
    /// Values by key id, of this part only.
    pub values: Vec<(String, u64)>,
    /// The keys that something may be sealed with.
    pub noted: Vec<String>,
    /// Where the next part begins; `None`: this was the last.
    pub next: Option<Vec<u8>>,
}

impl MasterKeys {
    /// Opens a store with a keyring that came from `source`: nothing is sealed with a key before it is noted.
    ///
    /// Where servers share the store, the key of the latest rotation goes on sealing, whichever is the first: another one is
    /// taken into use by [`reload`](Self::reload), which somebody asked for, and not by a restart.
    ///
    /// # Errors
    /// The keyring is not the store's or lacks a key, or the store fails.
    pub async fn open(
        engine: Arc<dyn Engine>,
        keyring: Keyring,
        source: keyring::Origin,
        now: UnixTime,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<(Self, Pepper), UnlockError> {
        let named = |error: UnlockError| error.given_by(&source);
        let pepper = unlock::unlock(&*engine, &keyring, rng).await.map_err(named)?;
        let local = Origin::local(Actor::Server, now);
        let sealing = in_use::start(&*engine, &keyring, &local).await.map_err(named)?;
        let (first, goes_on) = (keyring.sealing(), sealing.sealing());
        if first != goes_on {
            tracing::warn!(
                %first, %goes_on,
                "the first of the given master keys seals nothing: the latest rotation was to another one, which goes on; \
                 `sidekey keys rotate` takes the first one into use"
            );
        }
        let given = Some(keyring).filter(|_| first != goes_on && source == keyring::Origin::Environment);
        let (current, before) = (Arc::new(Swap::new(sealing)), tokio::sync::Mutex::default());
        Ok((Self { engine, current, source, given, before }, pepper))
    }

    /// The keyring for those who seal and open, as it is at each moment.
    ///
    /// What is sealed with it has to be handed to the store before the keyring is let go: [`MasterKeys::reload`] waits for that.
    /// What is read from the store is opened with a keyring that was taken afterwards.
    pub fn shared(&self) -> Arc<Swap<Keyring>> {
        Arc::clone(&self.current)
    }

    /// The keyring as it is now.
    pub fn current(&self) -> Arc<Keyring> {
        self.current.get()
    }

    /// Where the keys come from.
    pub fn source(&self) -> &keyring::Origin {
        &self.source
    }

    /// Reads the keys anew from where they came from, and works with them from now on if they open everything that is in the
    /// store. When this returns, nothing is being sealed with the keys before any more. Gives the keyring.
    ///
    /// A key goes in two steps. First the new keys seal and the ones before still open, until nobody seals with those any more; only then is
    /// what the store holds the whole of what is sealed with a key, and a key that seals nothing can go.
    ///
    /// # Errors
    /// See [`ReloadError`], also for which keys go on.
    pub async fn reload(&self, origin: &Origin) -> Result<Arc<Keyring>, ReloadError> {
        self.reload_within(origin, LOOKS).await
    }

    async fn reload_within(&self, origin: &Origin, looks: u32) -> Result<Arc<Keyring>, ReloadError> {
        let mut before = self.before.lock().await;
        let given = || self.given.as_ref().and_then(|given| given.led_by(given.sealing()));
        let Some(fresh) = self.source.read_again()?.or_else(given) else { return Ok(self.current.get()) };
        unlock::check(&*self.engine, &fresh).await?;
        in_use::check(&*self.engine, &fresh).await?;
        // A statement of its own: nobody may hold on to the current one while it is replaced.
        let both = fresh.above(&self.current.get());
        if let Some(both) = both {
            self.put(both, &mut before, origin, looks).await?;
        }
        self.put(fresh, &mut before, origin, looks).await?;
        Ok(self.current.get())
    }

    /// Works with this keyring from now on, and waits until nobody does with one before.
    async fn put(
        &self,
        keyring: Keyring,
        before: &mut Vec<Weak<Keyring>>,
        origin: &Origin,
        looks: u32,
    ) -> Result<(), ReloadError> {
        in_use::take(&*self.engine, &keyring, origin).await?;
        before.push(Arc::downgrade(&self.current.replace(keyring)));
        for _ in 0..looks {
            before.retain(|keyring| keyring.strong_count() > 0);
            if before.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(ReloadError::Busy)
    }

    /// The key that another process has begun to seal with, if it is not the one that this process seals with: its file has to be
    /// read again.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn left_behind(&self) -> Result<Option<String>, StoreError> {
        let noted = in_use::read(&*self.engine).await?.map(|(noted, _)| noted.sealing);
        Ok(noted.filter(|noted| *noted != self.current.get().sealing()).map(|noted| noted.to_string()))
    }

    /// Does the next piece of a rotation to the first key, see [`rotation`].
    ///
    /// # Errors
    /// The store fails, or something in it cannot be opened.
    pub async fn rotate_on(
        &self,
        origin: &Origin,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Progress, RotationError> {
        rotation::step(&*self.engine, &self.current.get(), origin, rng).await
    }
}

impl std::fmt::Debug for MasterKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("MasterKeys").field("current", &self.current).finish_non_exhaustive()
    }
}

/// Counts what is sealed with which key, from `after` on. It needs no key.
///
/// # Errors
/// The store cannot be read, or a record is damaged.
pub async fn uses(engine: &dyn Engine, after: Option<&[u8]>) -> Result<Use, StoreError> {
    let after = after.map(Key::from_bytes);
    let page = sealed_records::page(engine, after.as_ref(), MAX_SCAN).await?;
    let mut tally = Tally::new();
    sealed_records::count(&page.records, &mut tally)?;
    let noted = in_use::read(engine).await?;
    let last = page.records.last().map(|(place, _)| place.as_bytes().to_vec());
    Ok(Use {
        records: page.records.len() as u64,
        values: tally.into_iter().map(|(id, count)| (id.to_string(), count)).collect(),
        noted: noted.map_or(Vec::new(), |(noted, _)| noted.keys.iter().map(ToString::to_string).collect()),
        next: last.filter(|_| !page.is_last),
    })
}
