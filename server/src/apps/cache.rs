//! The answers of the last look-ups, so that a call with an API key reads nothing from the store.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use sidekey_core::id::AppId;

use super::App;

/// Entries of each kind; a full cache starts again.
const MAX_ENTRIES: usize = 4_096;

/// What is remembered is valid for one generation, and every change begins a new one.
///
/// A look-up notes the generation before it reads the store, and what it read is remembered only if that still is the
/// generation: otherwise a change might have come between, and a revoked key would live on.
#[derive(Default)]
pub(super) struct Cache(RwLock<State>);

#[derive(Default)]
struct State {
    generation: u64,
    keys: HashMap<[u8; 32], Arc<App>>,
    apps: HashMap<AppId, Arc<App>>,
}

impl Cache {
    pub(super) fn generation(&self) -> u64 {
        self.read().generation
    }

    pub(super) fn app_of_key(&self, hash: &[u8; 32]) -> Option<Arc<App>> {
        self.read().keys.get(hash).cloned()
    }

    pub(super) fn app(&self, id: &AppId) -> Option<Arc<App>> {
        self.read().apps.get(id).cloned()
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
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
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
        state.generation += 1;
        state.keys.clear();
        state.apps.clear();
    }
}

#[cfg(test)]
mod tests {
    use sidekey_core::policy::Enforcement;
    use sidekey_core::time::UnixTime;

    use super::*;

    #[test]
    fn what_was_read_before_a_change_is_not_remembered_after_it() {
        let cache = Cache::default();
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
}
