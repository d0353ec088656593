//! `POST /2fa/verify/backup/`: a browser answers a session with a backup code.

use serde::Serialize;
use sidekey_core::{
    account::{Account, BackupRefusal},
    backup_code::{Attempt, BackupCode},
    id::AccountId,
    session::AnswerRefusal,
};

use super::{
    shown::{Verified, few_left},
    verify_code::{answered, open_session},
};
use crate::{
    caller::hash,
    context::Context,
    http::{Call, Problem, Reply},
    store::Subject,
    tokens,
};

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    verified: Verified,
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
    let session = open_session(context, id, context.clock.now()).await?;
    let code = fields.required("backup_code", BackupCode::parse)?;
    let attempt = hashed(context, &session.account, code).await?;
    let now = context.clock.now();
    let subject = Subject::account(session.account).with_session(id);
    let (session, family, remaining) = context
        .store
        .transact(subject, call.origin(), now, |state| {
            let answered = answered(state, now, |session, account, events| {
                session.answer_with_backup_code(account, attempt, now, events)
            });
            let remaining = state.account.as_ref().map_or(0, remaining);
            answered.map(|(session, family)| (session, family, remaining))
        })
        .await??;
    Ok(Reply::ok(&Answer {
        verified: Verified::new(&session, tokens::issue(context, &family, now)?),
        remaining_backup_codes: remaining,
        warning: few_left(remaining),
    }))
}

fn remaining(account: &Account) -> usize {
    account.backup_codes().map_or(0, sidekey_core::backup_code::BackupCodes::remaining)
}

/// The slow hash of an attempt. It is not computed while the account's backup codes wait, and that is looked at when the turn
/// has come: many attempts at once cost no more than the budget allows.
///
/// # Errors
/// Backup codes wait, or 2FA is off.
pub async fn hashed(context: &Context, account_id: &AccountId, code: BackupCode) -> Result<Attempt, Problem> {
    let permit = context.hasher.attempt().await?;
    let account = context.store.account(account_id).await?;
    let now = context.clock.now();
    let wait = account.as_ref().and_then(|account| account.backup_codes_wait(now));
    if let Some(seconds) = wait {
        return Err(AnswerRefusal::Refused(BackupRefusal::Throttled { seconds }).into());
    }
    let salt = account.as_ref().and_then(Account::salt).ok_or(BackupRefusal::NotEnabled)?;
    let hash = permit.hash(account_id, salt, code).await?;
    Ok(Attempt { salt, hash })
}
