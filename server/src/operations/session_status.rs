//! `GET /2fa/sessions/{session_id}/`: what has become of a session, for the host that opened it.

use serde_json::json;
use sidekey_core::session::{Closed, Status};

use crate::{
    caller::{hash, host},
    context::Context,
    http::{Call, Code, Problem, Reply, rfc3339},
};

/// Tells the status of a session of the caller's app.
///
/// # Errors
/// No valid API key; no such session, or another app's.
pub async fn run(context: &Context, call: Call) -> Result<Reply, Problem> {
    let host = host(context, &call).await?;
    let id = call.name.as_deref().unwrap_or_default();
    let session = context.store.session(&hash(id)).await?;
    let session = session
        .filter(|session| session.account.app == host.app.id)
        .ok_or_else(|| Problem::new(Code::SessionNotFound))?;
    let account = context.store.account(&session.account).await?;
    let now = context.clock.now();
    let verified_at = match session.status(now) {
        Status::Verified { at } => Some(rfc3339(at)),
        _ => None,
    };
    let status = match session.require_open(account.as_ref(), now) {
        Ok(()) => "pending",
        Err(Closed::Verified) => "verified",
        Err(Closed::Expired) => "expired",
        Err(Closed::Failed) => "failed",
    };
    Ok(Reply::ok(&json!({
        "status": status,
        "user_id": session.account.user,
        "created_at": rfc3339(session.opened_at),
        "expires_at": rfc3339(session.expires_at()),
        "verified_at": verified_at,
    })))
}
