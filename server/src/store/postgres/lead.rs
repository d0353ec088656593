//! Tasks that processes share: a row each, which says who is at it and until when.
//!
//! It is a lease by the database's clock, renewed for as long as the right lives, so that it takes a connection for a moment only, and
//! any number of tasks can be led at once. It is not waited for on any disk: a lease that a crash loses is taken anew. One whose
//! process has died ends by itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_postgres::Error;

use super::connections::Connections;
use super::error::unavailable;
use crate::entropy;
use crate::store::engine::{Lead, StoreError};

/// Seconds that a task stays with a process that is heard of no more.
const LEASE: i32 = 15;
/// Between two renewals.
const RENEW: Duration = Duration::from_secs(5);

const BEGIN: &str = "BEGIN READ WRITE; SET LOCAL synchronous_commit = off";
const IS_TAKEN: &str = "SELECT EXISTS (SELECT FROM lead WHERE task = $1 AND until > clock_timestamp())";
const TAKE: &str = "
    INSERT INTO lead (task, holder, until) VALUES ($1, $2, clock_timestamp() + $3 * interval '1 second')
    ON CONFLICT (task) DO UPDATE SET holder = excluded.holder, until = excluded.until
    WHERE lead.until IS NULL OR lead.until <= clock_timestamp()";
const KEEP: &str =
    "UPDATE lead SET until = clock_timestamp() + $3 * interval '1 second' WHERE task = $1 AND holder = $2";

/// A lease that is renewed until this is dropped, and then ended.
struct Held {
    connections: Arc<Connections>,
    task: String,
    holder: i64,
    renewing: JoinHandle<()>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.renewing.abort();
        // Outside of a runtime it ends by itself.
        let Ok(runtime) = Handle::try_current() else { return };
        let (connections, task, holder) = (Arc::clone(&self.connections), self.task.clone(), self.holder);
        runtime.spawn(async move { change(&connections, KEEP, &task, holder, 0).await });
    }
}

/// The right to a task, unless another process, or another one of this process, is at it.
pub(super) async fn lead(
    connections: &Arc<Connections>,
    process: u32,
    task: &str,
) -> Result<Option<Lead>, StoreError> {
    let client = connections.lend().await?;
    let asked = async {
        let statement = client.prepare_cached(IS_TAKEN).await?;
        client.query_one(&statement, &[&task]).await
    };
    let is_taken: bool = asked.await.map_err(|error| unavailable(&error))?.get(0);
    client.give_back();
    // Below the process, so that it can end all of its own; random, so that a lease that was lost is not taken for the next one.
    let holder = i64::from(process) << 32 | i64::from(u32::from_ne_bytes(entropy::random()));
    if is_taken || !change(connections, TAKE, task, holder, LEASE).await? {
        return Ok(None);
    }
    let renewing = tokio::spawn(renew(Arc::clone(connections), task.to_owned(), holder));
    let connections = Arc::clone(connections);
    Ok(Some(Lead::holding(Box::new(Held { connections, task: task.to_owned(), holder, renewing }))))
}

/// Ends the leases of a process that goes, so that the next one does not wait for it.
pub(super) async fn end_all(connections: &Connections, process: u32) -> Result<(), StoreError> {
    let client = connections.lend().await?;
    let end =
        format!("{BEGIN}; UPDATE lead SET until = clock_timestamp() WHERE holder >> 32 = {process}; COMMIT");
    client.batch_execute(&end).await.map_err(|error| unavailable(&error))?;
    client.give_back();
    Ok(())
}

async fn renew(connections: Arc<Connections>, task: String, holder: i64) {
    loop {
        tokio::time::sleep(RENEW).await;
        match tokio::time::timeout(RENEW, change(&connections, KEEP, &task, holder, LEASE)).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => {
                return tracing::warn!(task, "another server has taken over a task that this one is at");
            }
            Ok(Err(error)) => tracing::debug!(task, %error, "a lease was not renewed"),
            Err(_) => tracing::debug!(task, "a lease was not renewed in time"),
        }
    }
}

/// Whether a row was changed.
async fn change(
    connections: &Connections,
    sql: &str,
    task: &str,
    holder: i64,
    seconds: i32,
) -> Result<bool, StoreError> {
    let client = connections.lend().await?;
    let changed = async {
        client.batch_execute(BEGIN).await?;
        let statement = client.prepare_cached(sql).await?;
        let changed = client.execute(&statement, &[&task, &holder, &f64::from(seconds)]).await?;
        client.batch_execute("COMMIT").await?;
        Ok::<_, Error>(changed == 1)
    };
    let changed = changed.await;
    // After an error the transaction may still be open: the connection goes, and with it the transaction.
    if changed.is_ok() {
        client.give_back();
    }
    changed.map_err(|error| unavailable(&error))
}
