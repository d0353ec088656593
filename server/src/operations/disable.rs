//! `POST /2fa/disable/`: turns 2FA off, with a code or a backup code.

use serde_json::json;

use super::answering::Proof;
use crate::{
    caller::{Acting, Demand, User, user},
    context::Context,
    entropy::Entropy,
    http::{Call, Code, Fields, Problem, Reply},
};

/// Turns 2FA off: every device, backup code and refresh token of the user is dead afterwards.
///
/// # Errors
/// No valid access token, neither code nor backup code, 2FA is off already, or the code does not count.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let user = user(context, &call).await?;
    disable(context, &user, &call.fields().await?).await?;
    Ok(Reply::ok(&json!({ "message": "Two-factor authentication is off." })))
}

/// Turns 2FA off for a user who answers with `code` or `backup_code` of the fields.
///
/// # Errors
/// The user may not, neither code nor backup code, 2FA is off already, or the code does not count.
pub async fn disable(context: &Context, user: &User, fields: &Fields) -> Result<(), Problem> {
    if !user.account(context, context.clock.now()).await?.has_active_device() {
        return Err(Problem::new(Code::NotEnabled));
    }
    let proof = Proof::read(context, &user.account, fields).await?;
    let now = context.clock.now();
    user.transact(context, user.subject(), Demand::SecondFactor, now, |acting| {
        let Acting { account, family, events, .. } = acting;
        proof.judge(account, now, events)?;
        account.turn_off(&mut Entropy, events);
        family.turned_off(account);
        Ok(())
    })
    .await
}
