//! The one reader of time in this crate.

use std::{
    sync::LazyLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use sidekey_core::time::UnixTime;

/// Now, as tokens count it.
#[expect(clippy::disallowed_methods, reason = "this is the one reader of the system's clock")]
pub(crate) fn now() -> UnixTime {
    // A clock from before 1970 finds no token valid.
    UnixTime::from_secs(
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |since| since.as_secs()),
    )
}

/// How long this process has been running: never goes back.
#[expect(clippy::disallowed_methods, reason = "this is the one reader of the monotonic clock")]
pub(crate) fn running() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}
