//! `POST /2fa/verify/backup/`: a browser answers a session with a backup code.

use serde::Serialize;
use serde_json::Value;
use sidekey_core::{account::Account, backup_code::BackupCodes, session::Session};

use super::{
    answering::{Granted, Via, answered, hashed, known_session, leading_back},
    shown::{Verified, approved, few_left, json},
};
use crate::{
    audit::Origin,
    caller::hash,
    context::Context,
    http::{Call, Fields, Problem, Reply},
    store::Subject,
    token::pair::issue,
};

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    verified: Value,
    remaining_backup_codes: usize,
    warning: Option<String>,
}

/// Judges a backup code; a right one is used up, spends the session and gives tokens.
///
/// # Errors
/// A malformed body, an unknown or closed session, or a backup code that does not count.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let fields = call.fields().await?;
    let id = hash(fields.text("session_id")?);
    fields.text("backup_code")?;
    let (session, granted, remaining) = judge(context, call.origin(), id, &fields, Via::Api).await?;
    let verified = match granted {
        Granted::Login(family) => {
            json(&Verified::new(&session, issue(context, &family, context.clock.now())?))
        }
        Granted::Approval(approval) => approved(context, &approval, session.return_url.as_deref())?,
    };
    Ok(Reply::ok(&Answer { verified, remaining_backup_codes: remaining, warning: few_left(remaining) }))
}

/// Judges `backup_code` of the fields for the session with this hash of its id: the session, spent, what it yields, and how many
/// backup codes are left.
///
/// # Errors
/// An unknown or closed session, or a backup code that is malformed or does not count.
pub async fn judge(
    context: &Context,
    origin: &Origin,
    id: [u8; 32],
    fields: &Fields,
    via: Via,
) -> Result<(Session, Granted, usize), Problem> {
    let session = known_session(context, id).await?;
    // Looked at before anything slow is done for it, and judged for good in the transaction.
    let account = context.store.account(&session.account).await?;
    let open = session.require_challenge(account.as_ref(), context.clock.now());
    open.map_err(|closed| leading_back(closed.into(), &session))?;
    let attempt = hashed(context, &session.account, fields.text("backup_code")?).await?;
    let now = context.clock.now();
    let subject = Subject::account(session.account.clone()).with_session(id);
    let answered = context
        .store
        .transact(subject, origin, now, |state| {
            let answered = answered(state, via, now, |session, account, events| {
                Ok(session.answer_with_backup_code(account, attempt, now, events)?)
            });
            let codes = state.account.as_ref().and_then(Account::backup_codes);
            let remaining = codes.map_or(0, BackupCodes::remaining);
            answered.map(|(session, granted)| (session, granted, remaining))
        })
        .await?;
    answered.map_err(|problem| leading_back(problem, &session))
}
