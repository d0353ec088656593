//! Locks of this process, which many keys share.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use tokio::sync::Mutex;

use super::engine::Guard;
use super::keys::Key;

/// Locks that accounts share. A power of two.
const STRIPES: usize = 4_096;

/// The locks.
pub(super) struct Stripes {
    stripes: Box<[Arc<Mutex<()>>]>,
    hasher: RandomState,
}

impl Stripes {
    pub(super) fn new() -> Self {
        Self { stripes: (0..STRIPES).map(|_| Arc::default()).collect(), hasher: RandomState::new() }
    }

    /// Waits for the lock on a key.
    pub(super) async fn lock(&self, key: &Key) -> Guard {
        // A hash with a random key: nobody can choose user ids that share a stripe with their victim.
        let hash = self.hasher.hash_one(key);
        #[expect(clippy::cast_possible_truncation, reason = "the low bits are all that is used")]
        let stripe = self.stripes.get(hash as usize & (STRIPES - 1));
        match stripe {
            Some(stripe) => Guard::holding(Arc::clone(stripe).lock_owned().await),
            None => Guard::none(),
        }
    }
}
