//! The answers of the last look-ups, so that a call with an API key reads nothing from the store.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use sidekey_core::id::AppId;

use super::App;
use crate::clock::Clock;

/// Entries of each kind; a full cache starts again.
const MAX_ENTRIES: usize = 4_096;

/// What is remembered is valid for one generation, and every change begins a new one.
///
/// A look-up notes the generation before it reads the store, and what it read is remembered only if that still is the
/// generation: otherwise a change might have come between, and a revoked key would live on.
///
/// Where other processes change apps and keys too, a generation also ends by its age: so long may a revoked key live on in
/// another process.
pub(super) struct Cache {
    state: RwLock<State>,
    lasts: Option<Duration>,
}

/// The age at which a generation ends in a cluster.
pub(super) const STALE: Duration = Duration::from_secs(5);

struct State {
    generation: u64,
    begun: Instant,
    keys: HashMap<[u8; 32], Arc<App>>,
    apps: HashMap<AppId, Arc<App>>,
}

impl Cache {
    /// An empty one, whose generations last this long; `None`: until the next change.
    pub(super) fn lasting(lasts: Option<Duration>) -> Self {
        let (keys, apps) = (HashMap::new(), HashMap::new());
        Self { state: RwLock::new(State { generation: 0, begun: Clock::instant(), keys, apps }), lasts }
    }

    /// The present generation; one that is past its time ends here, and so does all that was read in it.
    pub(super) fn generation(&self) -> u64 {
        let state = self.read();
        if !self.is_over(&state) {
            return state.generation;
        }
        drop(state);
        let mut state = self.write();
        if self.is_over(&state) {
            state.begin();
        }
        state.generation
    }

    pub(super) fn app_of_key(&self, hash: &[u8; 32]) -> Option<Arc<App>> {
        let state = self.read();
        state.keys.get(hash).filter(|_| !self.is_over(&state)).cloned()
    }

    pub(super) fn app(&self, id: &AppId) -> Option<Arc<App>> {
        let state = self.read();
        state.apps.get(id).filter(|_| !self.is_over(&state)).cloned()
    }

    fn is_over(&self, state: &State) -> bool {
        self.lasts.is_some_and(|lasts| state.begun.elapsed() >= lasts)
    }

    pub(super) fn remember_key(&self, read_in: u64, hash: [u8; 32], app: Arc<App>) {
        let mut state = self.write();
        if state.generation == read_in {
            insert(&mut state.keys, hash, app);
        }
    }

    pub(super) fn remember_app(&self, read_in: u64, app: Arc<App>) {
        let mut state = self.write();
        if state.generation == read_in {
            insert(&mut state.apps, app.id.clone(), app);
        }
    }

    pub(super) fn forget_on_drop(&self) -> Forget<'_> {
        Forget(self)
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn begin(&mut self) {
        self.generation += 1;
        self.begun = Clock::instant();
        self.keys.clear();
        self.apps.clear();
    }
}

fn insert<K: std::hash::Hash + Eq>(map: &mut HashMap<K, Arc<App>>, key: K, app: Arc<App>) {
    if map.len() >= MAX_ENTRIES {
        map.clear();
    }
    map.insert(key, app);
}

/// Begins a new generation when it is dropped.
#[must_use = "dropped at once, it comes before the change"]
pub(super) struct Forget<'a>(&'a Cache);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        let mut state = self.0.write();
        state.begin();
    }
}

#[cfg(test)]
mod tests {
    use sidekey_core::policy::Enforcement;
    use sidekey_core::time::UnixTime;

    use super::*;

    #[test]
    fn what_was_read_before_a_change_is_not_remembered_after_it() {
        let cache = Cache::lasting(None);
        let id = AppId::parse("shop").unwrap();
        let made = UnixTime::from_secs(0);
        let app = Arc::new(App::new(id, "Shop".to_owned(), Enforcement::Optional, made));
        let before = cache.generation();
        cache.remember_key(before, [1; 32], Arc::clone(&app));
        assert!(cache.app_of_key(&[1; 32]).is_some());
        drop(cache.forget_on_drop());
        assert!(cache.app_of_key(&[1; 32]).is_none());
        cache.remember_key(before, [1; 32], Arc::clone(&app));
        cache.remember_app(before, Arc::clone(&app));
        assert!(cache.app_of_key(&[1; 32]).is_none() && cache.app(&app.id).is_none());
    }

    #[test]
    fn in_a_cluster_nothing_is_remembered_past_its_time() {
        let id = AppId::parse("shop").unwrap();
        let app = Arc::new(App::new(id, "Shop".to_owned(), Enforcement::Optional, UnixTime::from_secs(0)));
        let remembers = |lasts: Duration| {
            let cache = Cache::lasting(Some(lasts));
            let before = cache.generation();
            cache.remember_key(before, [1; 32], Arc::clone(&app));
            cache.remember_app(before, Arc::clone(&app));
            assert_eq!(cache.generation() == before, cache.app(&app.id).is_some());
            cache.app_of_key(&[1; 32]).is_some()
        };
        assert!(remembers(Duration::MAX) && !remembers(Duration::ZERO));
    }
}
