//! The client's only reader of time.

#![expect(
    clippy::disallowed_methods,
    reason = "a load client measures time; nothing else of it reads a clock"
)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Length of a time step (RFC 6238's X), in seconds.
pub const STEP: u64 = 30;

/// How far the server's clock is ahead, in seconds: in development mode it can be moved.
static AHEAD: AtomicU64 = AtomicU64::new(0);

/// A moment, to measure from.
pub fn now() -> Instant {
    Instant::now()
}

/// The current time step of the server.
pub fn step() -> u64 {
    (unix().as_secs() + AHEAD.load(Ordering::Relaxed)) / STEP
}

/// From now on the server's clock shows this, in Unix seconds.
pub fn follow(server: u64) {
    AHEAD.store(server.saturating_sub(unix().as_secs()), Ordering::Relaxed);
}

/// Waits until the next time step has begun.
pub async fn next_step() {
    // A little later than its start: the server's reading must not be of the step before.
    const SLACK: Duration = Duration::from_millis(20);
    let since = unix();
    let left = Duration::from_secs(STEP * (since.as_secs() / STEP + 1)).saturating_sub(since);
    tokio::time::sleep(left + SLACK).await;
}

fn unix() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
