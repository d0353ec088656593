//! Drives connections and notes how long each answer took.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Barrier;

use crate::clock;
use crate::connection::Connection;
use crate::failure::{Failure, Outcome};

/// What one connection does, again and again.
pub trait Worker: Send + 'static {
    /// Does it once and checks every answer; `false`: there is nothing left to do.
    ///
    /// # Errors
    /// An answer is not what it should be, which ends the whole run.
    fn once(&mut self, connection: &mut Connection) -> impl Future<Output = Outcome<bool>> + Send;
}

/// The same, and no more than so many times by all workers together.
pub struct Times<W>(pub W, pub Arc<AtomicU64>);

impl<W: Worker> Worker for Times<W> {
    async fn once(&mut self, connection: &mut Connection) -> Outcome<bool> {
        let Self(worker, left) = self;
        let less = |left: u64| left.checked_sub(1);
        if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_err() {
            return Ok(false);
        }
        worker.once(connection).await
    }
}

/// What was measured: rate and latencies, in milliseconds. A tenth of a percent of a thousand is one: where there are fewer, the
/// last percentile is the slowest answer.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Load {
    /// How often it was done.
    pub done: u64,
    /// In how many seconds.
    pub seconds: f64,
    /// How often a second.
    pub per_second: f64,
    /// Half took no longer.
    pub p50_ms: f64,
    /// 99 of 100 took no longer.
    pub p99_ms: f64,
    /// 999 of 1,000 took no longer.
    pub p999_ms: f64,
}

/// Drives one connection a worker until the time is over or nothing is left to do, and gives the workers back.
///
/// # Errors
/// That of a worker.
pub async fn drive<W: Worker>(
    address: SocketAddr,
    workers: Vec<W>,
    limit: Duration,
) -> Outcome<(Load, Vec<W>)> {
    let start = Arc::new(Barrier::new(workers.len() + 1));
    let mut tasks = Vec::with_capacity(workers.len());
    for mut worker in workers {
        let mut connection = Connection::open(address).await?;
        let start = Arc::clone(&start);
        tasks.push(tokio::spawn(async move {
            let mut took = Vec::with_capacity(1 << 14);
            start.wait().await;
            let begun = clock::now();
            let mut before = Duration::ZERO;
            while before < limit && worker.once(&mut connection).await? {
                let after = begun.elapsed();
                took.push(after.saturating_sub(before));
                before = after;
            }
            Outcome::Ok((worker, took))
        }));
    }
    start.wait().await;
    let begun = clock::now();
    let (mut workers, mut took) = (Vec::with_capacity(tasks.len()), Vec::new());
    for task in tasks {
        let (worker, of_worker) = task.await.map_err(Failure::because("the load client broke"))??;
        workers.push(worker);
        took.extend(of_worker);
    }
    Ok((Load::of(took, begun.elapsed()), workers))
}

impl Load {
    /// Of what each took, and all together.
    #[expect(clippy::cast_precision_loss, reason = "nobody needs the last digit")]
    pub fn of(mut took: Vec<Duration>, all: Duration) -> Self {
        took.sort_unstable();
        let milliseconds = |part: usize| {
            let place = (took.len() * part).div_ceil(1_000).saturating_sub(1);
            took.get(place).map_or(0.0, |took| took.as_secs_f64() * 1_000.0)
        };
        let (done, seconds) = (took.len() as u64, all.as_secs_f64());
        Self {
            done,
            seconds,
            per_second: done as f64 / seconds,
            p50_ms: milliseconds(500),
            p99_ms: milliseconds(990),
            p999_ms: milliseconds(999),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "whole numbers")]
    fn percentiles_are_values_that_were_measured() {
        let took = (1..=1_000).rev().map(Duration::from_millis).collect();
        let load = Load::of(took, Duration::from_secs(2));
        assert_eq!((load.per_second, load.p50_ms, load.p99_ms, load.p999_ms), (500.0, 500.0, 990.0, 999.0));
        assert_eq!(Load::of(Vec::new(), Duration::from_secs(1)).p99_ms, 0.0);
    }
}
