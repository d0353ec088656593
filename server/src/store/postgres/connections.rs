//! Connections that are lent from a pool, and what becomes of one whose answer nobody waits for any more.
//!
//! Whoever is done gives a connection back. One that is dropped instead, because a caller has gone away or has waited for long
//! enough, may still have an answer to come, and the next one to use it would wait for that; so it is *abandoned*: it ends when its last
//! answer has come. Nothing on it is cancelled, see `SESSION` in [`connect`](super::connect). At most as many connections as
//! the pool has are abandoned besides those in the pool; more of them keep their place in it until they end. So a process
//! has at most twice as many connections as the pool, whatever the database does.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use deadpool_postgres::{Object, Pool};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::connect::CONNECT;
use super::error::{unavailable, unconnected};
use super::pulse;
use crate::store::engine::StoreError;

/// A pool, and how many of its connections may be abandoned at once.
pub(super) struct Connections {
    pool: Pool,
    /// Where each of them makes a commit before it is lent for the first time.
    slot: Option<u8>,
    abandoned: Arc<Semaphore>,
    /// Connections that are older are not lent any more.
    since: Mutex<Option<Instant>>,
}

impl Connections {
    pub(super) fn new(pool: Pool) -> Self {
        let abandoned = Arc::new(Semaphore::new(pool.status().max_size));
        Self { pool, slot: None, abandoned, since: Mutex::new(None) }
    }

    /// Connections that are each known to read what is safe, see [`pulse`].
    pub(super) fn safe(pool: Pool, slot: u8) -> Self {
        Self { slot: Some(slot), ..Self::new(pool) }
    }

    /// A connection, as soon as one is free.
    pub(super) async fn lend(&self) -> Result<Lent, StoreError> {
        let lent = loop {
            let client = self.pool.get().await.map_err(|error| unconnected(&error))?;
            let made = Object::metrics(&client).created;
            if self.since().is_none_or(|since| made >= since) {
                break Lent { client: Some(client), abandoned: Arc::clone(&self.abandoned) };
            }
            // Nothing is to come on it; it ends, and makes room for one to the server that is used now.
            drop(Object::take(client));
        };
        let is_new = lent.is_new();
        if let Some(slot) = self.slot.filter(|_| is_new) {
            let beat = tokio::time::timeout(CONNECT, pulse::beat(&lent, slot)).await;
            let late =
                || StoreError::Unavailable("the database does not confirm a commit in time".to_owned());
            beat.map_err(|_| late())?.map_err(|error| unavailable(&error))?;
        }
        Ok(lent)
    }

    /// Lends none of the connections any more that were made before `now`: they may lead to a server that was left.
    pub(super) fn renew(&self, now: Instant) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    fn since(&self) -> Option<Instant> {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many more may be abandoned.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.abandoned.available_permits()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }

    pub(super) fn close(&self) {
        self.pool.close();
    }
}

/// A connection that is abandoned unless it is [given back](Self::give_back).
pub(super) struct Lent {
    /// Nothing only while this is dropped.
    client: Option<Object>,
    abandoned: Arc<Semaphore>,
}

impl Lent {
    /// Whether it is lent for the first time.
    pub(super) fn is_new(&self) -> bool {
        Object::metrics(self).recycle_count == 0
    }

    /// No answer is to come on it any more, but for that of a rollback.
    pub(super) fn give_back(mut self) {
        drop(self.client.take());
    }
}

impl Deref for Lent {
    type Target = Object;

    fn deref(&self) -> &Object {
        match &self.client {
            Some(client) => client,
            None => unreachable!("it goes with the value only"),
        }
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Object {
        match &mut self.client {
            Some(client) => client,
            None => unreachable!("it goes with the value only"),
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        // Outside of a runtime nobody can wait, and the connection goes with the process.
        let Ok(runtime) = Handle::try_current() else { return drop(Object::take(client)) };
        let permit = Arc::clone(&self.abandoned).try_acquire_owned();
        runtime.spawn(async move {
            // Its answer comes after all others, or never if the connection is lost: an error, then.
            if permit.is_ok() {
                let client = Object::take(client);
                let _ = client.simple_query("").await;
            } else {
                let _ = client.simple_query("").await;
                drop(Object::take(client));
            }
            drop(permit);
        });
    }
}
