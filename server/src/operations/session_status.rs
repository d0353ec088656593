//! `GET /2fa/sessions/{session_id}/`: what has become of a session, for the host that opened it.

use serde::Serialize;
use serde_json::json;
use sidekey_core::{
    id::UserId,
    session::{Closed, Status},
};
use utoipa::ToSchema;

use crate::{
    caller::{hash, host},
    context::Context,
    http::{Call, Code, Problem, Reply, rfc3339},
    openapi::{Operation, Tag, schemas},
};

/// What has become of a session.
#[derive(Serialize, ToSchema)]
struct SessionStatus {
    /// When it was opened. RFC 3339, UTC, whole seconds.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it ends. RFC 3339, UTC, whole seconds.
    #[schema(format = DateTime)]
    expires_at: String,
    #[schema(inline)]
    status: Progress,
    #[schema(value_type = schemas::UserId)]
    user_id: UserId,
    /// When it was answered. RFC 3339, UTC, whole seconds.
    #[schema(format = DateTime, required)]
    verified_at: Option<String>,
}

/// `expired` also when 2FA was turned off or the user erased before an answer came.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Progress {
    Pending,
    Verified,
    Expired,
    Failed,
}

pub(crate) fn described() -> Operation {
    Operation::new("sessionStatus", Tag::Sessions, "What has become of a session")
        .telling(
            "A session is kept for an hour after it was opened; then it is not found. Sessions of other applications are not \
             found. `verified` says that somebody answered the session, not that the browser in front of the application did: \
             only an access token that this browser brings proves that, verified through the key set and with `sub` the user \
             whom the application logged in.",
        )
        .of("session_id", "The session.")
        .answers::<SessionStatus>(
            "The status.",
            json!({
                "created_at": "2026-11-22T18:58:47Z",
                "expires_at": "2026-11-22T19:03:47Z",
                "status": "verified",
                "user_id": "42",
                "verified_at": "2026-11-22T18:59:00Z",
            }),
        )
        .refuses(&[Code::SessionNotFound])
}

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
        Ok(()) => Progress::Pending,
        Err(Closed::Verified) => Progress::Verified,
        Err(Closed::Expired) => Progress::Expired,
        Err(Closed::Failed) => Progress::Failed,
    };
    Ok(Reply::ok(&SessionStatus {
        created_at: rfc3339(session.opened_at),
        expires_at: rfc3339(session.expires_at()),
        status,
        user_id: session.account.user,
        verified_at,
    }))
}
