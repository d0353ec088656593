//! `DELETE /2fa/users/{user_id}/`: the host application erases a user.

use serde_json::json;
use sidekey_core::{event::Event, id::AccountId};

use crate::{
    audit::Origin,
    caller::host,
    context::Context,
    http::{Call, Code, Problem, Reply},
    openapi::{Operation, Tag, schemas},
    store::Subject,
};

pub(crate) fn described() -> Operation {
    Operation::new("eraseUser", Tag::Users, "Erase a user")
        .telling(
            "Devices, codes and failures go; sessions and refresh tokens are dead. A user never seen is erased already. A body \
             may be left out.",
        )
        .of("user_id", "The user, percent-encoded.")
        .answers::<schemas::Message>("It is done.", json!({ "message": "The user is erased." }))
        .refuses(&[Code::NotFound])
}

/// Erases a user's devices, codes, failures and trusted browsers; sessions and refresh tokens are dead with them. A user never seen is
/// erased already.
///
/// # Errors
/// No valid API key, no user can have this name, or a malformed body.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let host = host(context, &call).await?;
    let id = host.named_user(&call)?;
    call.optional_fields().await?;
    erase(context, id, &host.origin).await?;
    Ok(Reply::ok(&schemas::Message { message: "The user is erased." }))
}

/// Erases one.
///
/// # Errors
/// The store is not available.
pub async fn erase(context: &Context, id: AccountId, origin: &Origin) -> Result<(), Problem> {
    let now = context.clock.now();
    context
        .store
        .transact(Subject::account(id).with_browsers(), origin, now, |state| {
            state.browsers.clear();
            if state.account.take().is_some() {
                state.events.push(Event::UserErased);
            }
        })
        .await?;
    Ok(())
}
