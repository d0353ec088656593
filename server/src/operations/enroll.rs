//! `POST /2fa/enrollment/`: the page at `enroll_url` turns the session it was sent with into the enrolment token.
//!
//! The session id reaches the page in the fragment of the URL, which no server and no log ever sees, and the token in no URL at all.

use serde_json::json;
use sidekey_core::session::Purpose;

use crate::{
    caller::hash,
    context::Context,
    http::{Call, Code, Problem, Reply},
    token::pair::enrollment_token,
};

/// Gives the enrolment token of an open enrolment session.
///
/// # Errors
/// The session is unknown, not for enrolment, or closed.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let fields = call.fields().await?;
    let id = fields.text("session_id")?;
    let not_found = || Problem::new(Code::SessionNotFound);
    let session = context.store.session(&hash(id)).await?.ok_or_else(not_found)?;
    if session.purpose != Purpose::Enrollment {
        return Err(not_found());
    }
    let account = context.store.account(&session.account).await?;
    let now = context.clock.now();
    let open = session.require_open(account.as_ref(), now);
    open.map_err(|closed| Problem::from(closed).leading_back(session.return_url.as_deref()))?;
    Ok(Reply::ok(&json!({
        "enrollment_token": enrollment_token(&context.pepper, id),
        "expires_in": session.expires_at().since(now),
        "account_name": session.account_name,
        "issuer": context.settings.issuer,
        "return_url": session.return_url,
    })))
}
