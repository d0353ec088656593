//! `POST /2fa/users/{user_id}/unlock/`: the host application clears a user's failures.

use serde_json::json;

use crate::{
    caller::host,
    context::Context,
    http::{Call, Code, Problem, Reply},
    openapi::{Operation, Tag, schemas},
    store::Subject,
};

pub(crate) fn described() -> Operation {
    Operation::new("unlockUser", Tag::Users, "Clear a user's failures")
        .telling("Lifts the lock, the waits and the demand for two codes.")
        .of("user_id", "The user, percent-encoded.")
        .answers::<schemas::Message>("It is done.", json!({ "message": "The user is unlocked." }))
        .refuses(&[Code::NotFound])
}

/// Lifts the lock, the waits and the demand for two codes. A user never seen has none of them.
///
/// # Errors
/// No valid API key, no user can have this name, or a malformed body.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let host = host(context, &call).await?;
    let id = host.named_user(&call)?;
    call.optional_fields().await?;
    let now = context.clock.now();
    context
        .store
        .transact(Subject::account(id), &host.origin, now, |state| {
            if let Some(account) = &mut state.account {
                account.unlock(&mut state.events);
            }
        })
        .await?;
    Ok(Reply::ok(&schemas::Message { message: "The user is unlocked." }))
}
