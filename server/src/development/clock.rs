//! The clock that tests move.

use serde_json::json;

use crate::{
    context::Context,
    http::{Call, Problem, Reply, rfc3339},
    store::{retention, sweep},
};

/// `GET /development/clock/`: the server's time.
pub fn read(context: &Context) -> Reply {
    Reply::ok(&json!({ "now": rfc3339(context.clock.now()) }))
}

/// `POST /development/clock/`: moves the server's clock forward by `advance_seconds`, at most ten years at once. What is over
/// by then has made room when the answer comes.
///
/// # Errors
/// A malformed body, or the store is not available.
pub async fn advance(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    const TEN_YEARS: u64 = 10 * 366 * 86_400;
    let seconds = call.fields().await?.number("advance_seconds")?;
    if seconds > TEN_YEARS {
        return Err(Problem::field("advance_seconds", "must be at most ten years"));
    }
    context.clock.advance(seconds);
    let now = context.clock.now();
    sweep::sweep(&context.store, now).await?;
    retention::trim(&context.store, context.live.get().audit_retention, now).await?;
    Ok(read(context))
}
