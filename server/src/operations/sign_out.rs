//! `POST /2fa/sign-out/`: the user signs out everywhere.

use serde_json::json;

use crate::{
    caller::{Acting, Demand, User, user},
    context::Context,
    http::{Call, Problem, Reply},
    openapi::{Operation, Tag, schemas},
};

pub(crate) fn described() -> Operation {
    Operation::new("signOut", Tag::Tokens, "Sign out everywhere")
        .telling(
            "Ends every login of the user, the one that asks included, and the trust in every browser. A body may be left out.",
        )
        .answers::<schemas::Message>("It is done.", json!({ "message": "You are signed out everywhere." }))
}

/// Ends every login of the user, this one included, and the trust in every browser. It asks for no fresh second factor: who sees
/// something strange must be able to stop it at once, and a thief gains nothing by it.
///
/// # Errors
/// No valid access token, one without a second factor where there is a device, or a malformed body.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let user = user(context, &call).await?;
    call.optional_fields().await?;
    everywhere(context, &user).await?;
    Ok(Reply::ok(&schemas::Message { message: "You are signed out everywhere." }))
}

/// The same for the account page.
///
/// # Errors
/// A second factor is missing, or the store is not available.
pub async fn everywhere(context: &Context, user: &User) -> Result<(), Problem> {
    let now = context.clock.now();
    user.transact(context, user.subject(), Demand::SecondFactor, now, |Acting { account, events, .. }| {
        account.sign_out_everywhere(events);
        Ok(())
    })
    .await
}
