//! `POST /2fa/token/spend/`: the application goes ahead with an action that its user has approved.

use serde_json::json;
use sidekey_core::action::{Action, Approval};

use super::open_session::read_action;
use crate::{
    caller::{Host, hash, host},
    context::Context,
    http::{Call, Code, Problem, Reply, rfc3339},
    store::Subject,
    token::approval::{self, Presented},
};

/// Spends the token of an action, once: the application names the action that it is about to do, and it must be the approved one.
/// The same request again, see `Idempotency-Key` in docs/api.md, is the same spending.
///
/// # Errors
/// No valid API key, a malformed body, or a token that is not of this app, is over, was spent, or is for another action.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let host = host(context, &call).await?;
    let retry_key = call.idempotency_key()?.map(|key| hash(key.as_str()));
    let fields = call.fields().await?;
    let token = fields.text("action_token")?;
    let wanted = read_action(&fields)?.ok_or_else(|| Problem::field("action", "is required"))?;
    let approval = spend(context, &host, token, &wanted, retry_key).await?;
    let Approval { account, id, action, second_factor } = approval;
    Ok(Reply::ok(&json!({
        "message": "Approved.",
        "user_id": account.user,
        "action": action.name,
        "resource": action.resource,
        "jti": id.to_string(),
        "verified_at": rfc3339(second_factor.at),
    })))
}

async fn spend(
    context: &Context,
    host: &Host,
    token: &str,
    wanted: &Action,
    retry_key: Option<[u8; 32]>,
) -> Result<Approval, Problem> {
    let now = context.clock.now();
    let presented = approval::read(context, &host.app.id, token, now);
    let Presented { approval, expires_at } = presented.ok_or_else(|| Problem::new(Code::InvalidCode))?;
    let subject = Subject::account(approval.account.clone()).with_spent_token(approval.id, expires_at);
    context
        .store
        .transact(subject, &host.origin, now, |state| {
            let (account, events) = (state.account.as_ref(), &mut state.events);
            approval.spend(account, wanted, &mut state.spent, retry_key, now, events)
        })
        .await??;
    Ok(approval)
}
