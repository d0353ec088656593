//! `POST /2fa/token/spend/`: the application goes ahead with an action that its user has approved.

use serde_json::json;
use sidekey_core::{
    action::{Action, Approval},
    event::Event,
};

use super::open_session::read_action;
use crate::{
    caller::{Host, host},
    context::Context,
    http::{Call, Code, Problem, Reply, rfc3339},
    store::Subject,
    token::approval::{self, Presented},
};

/// Spends the token of an action, once: the application names the action that it is about to do, and it must be the approved one.
///
/// # Errors
/// No valid API key, a malformed body, or a token that is not of this app, is over, was spent, or is for another action.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let host = host(context, &call).await?;
    let fields = call.fields().await?;
    let token = fields.text("action_token")?;
    let wanted = read_action(&fields)?.ok_or_else(|| Problem::field("action", "is required"))?;
    let Approval { account, id, action, second_factor } = spend(context, &host, token, &wanted).await?;
    Ok(Reply::ok(&json!({
        "message": "Approved.",
        "user_id": account.user,
        "action": action.name,
        "resource": action.resource,
        "jti": id.to_string(),
        "verified_at": rfc3339(second_factor.at),
    })))
}

async fn spend(context: &Context, host: &Host, token: &str, wanted: &Action) -> Result<Approval, Problem> {
    let refused = || Problem::new(Code::InvalidCode);
    let now = context.clock.now();
    let presented = approval::read(context, &host.app.id, token, now).ok_or_else(refused)?;
    let Presented { approval, expires_at } = presented;
    let subject = Subject::account(approval.account.clone()).with_spent_token(approval.id, expires_at);
    context
        .store
        .transact(subject, &host.origin, now, |state| {
            // 2FA as it is now: what was approved before it was turned off, or by a user who was erased, does not count.
            let counts = state.account.as_ref().is_some_and(|account| {
                account.has_active_device()
                    && account.require_second_factor(Some(approval.second_factor), None, now).is_ok()
            });
            if counts && !state.is_spent && approval.action == *wanted {
                state.is_spent = true;
                state.events.push(Event::ActionSpent { action: approval.action.name.clone() });
                return Ok(());
            }
            state.events.push(Event::ActionRefused { action: approval.action.name.clone() });
            Err(refused())
        })
        .await??;
    Ok(approval)
}
