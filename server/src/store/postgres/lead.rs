//! Tasks that processes share: a row each, and whoever has the lock on it does the task.
//!
//! The lock lives in a transaction on a connection of its own and ends with it, however the process ends; no clock is asked.

use std::sync::{Mutex, PoisonError};

use deadpool_postgres::{Object, Pool};
use tokio::runtime::Handle;
use tokio_postgres::Error;

use super::commit::abandon;
use super::error::{unavailable, unconnected};
use crate::store::engine::{Lead, StoreError};

/// Ends a transaction that idles for long, which a delivery to a slow destination may make it.
const PATIENCE: &str = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '10min'";

/// A connection that has the lock, or is about to ask for it: whatever ends this ends the transaction.
struct Held(Mutex<Option<Object>>);

impl Drop for Held {
    fn drop(&mut self) {
        let client = self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let Some(client) = client else { return };
        // Outside of a runtime there is nothing left to do it: the connection goes, and with it the transaction.
        let Ok(runtime) = Handle::try_current() else { return abandon(client) };
        runtime.spawn(async move {
            if client.batch_execute("ROLLBACK").await.is_err() {
                abandon(client);
            }
        });
    }
}

/// The right to a task, unless another process, or another one of this process, is at it.
pub(super) async fn lead(pool: &Pool, task: &str) -> Result<Option<Lead>, StoreError> {
    let client = pool.get().await.map_err(|error| unconnected(&error))?;
    let mut held = Held(Mutex::new(Some(client)));
    let has_lock = match held.0.get_mut().unwrap_or_else(PoisonError::into_inner) {
        Some(client) => lock(client, task).await.map_err(|error| unavailable(&error))?,
        None => false,
    };
    Ok(has_lock.then(|| Lead::holding(Box::new(held))))
}

async fn lock(client: &Object, task: &str) -> Result<bool, Error> {
    client.batch_execute(PATIENCE).await?;
    let lock = client.prepare_cached("SELECT 1 FROM lead WHERE task = $1 FOR UPDATE SKIP LOCKED").await?;
    if client.query_opt(&lock, &[&task]).await?.is_some() {
        return Ok(true);
    }
    client.batch_execute("ROLLBACK").await?;
    // The task's first time, or another process has it.
    let insert = "INSERT INTO lead (task) VALUES ($1) ON CONFLICT DO NOTHING";
    if client.execute(insert, &[&task]).await? == 0 {
        return Ok(false);
    }
    client.batch_execute(PATIENCE).await?;
    Ok(client.query_opt(&lock, &[&task]).await?.is_some())
}
