//! `POST /2fa/disable/`: turns 2FA off, with a code or a backup code.

use super::answering::hashed;
use crate::{
    caller::{Acting, Demand, User, user},
    context::Context,
    entropy::Entropy,
    http::{Call, Code, Fields, Problem, Reply},
};
use serde_json::json;
use sidekey_core::{account::Account, event::Event};

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
    let now = context.clock.now();
    let account = context.user_account(user, now).await?;
    if !account.is_some_and(|account| account.has_active_device()) {
        return Err(Problem::new(Code::NotEnabled));
    }
    match fields.optional_backup_code()? {
        Some(code) if fields.optional_text("code")?.is_none() => {
            let attempt = hashed(context, &user.account, code).await?;
            let now = context.clock.now();
            turn_off(context, user, |account, events| {
                account.answer_with_backup_code(attempt, now, events)?;
                Ok(())
            })
            .await
        }
        _ => disable_with_code(context, user, fields).await,
    }
}

async fn disable_with_code(context: &Context, user: &User, fields: &Fields) -> Result<(), Problem> {
    let answer = fields.answer_or_code_required()?;
    let now = context.clock.now();
    turn_off(context, user, |account, events| {
        account.answer(&answer, now, events)?;
        Ok(())
    })
    .await
}

async fn turn_off(
    context: &Context,
    user: &User,
    mut prove: impl FnMut(&mut Account, &mut Vec<Event>) -> Result<(), Problem> + Send,
) -> Result<(), Problem> {
    let now = context.clock.now();
    user.transact(context, user.subject(), Demand::SecondFactor, now, |acting| {
        let Acting { account, family, events, .. } = acting;
        prove(account, events)?;
        account.turn_off(&mut Entropy, events);
        family.turned_off(account);
        Ok(())
    })
    .await
}
