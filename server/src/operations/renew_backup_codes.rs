//! `POST /2fa/backup-codes/regenerate/`: a new set of backup codes for a code.

use serde_json::json;
use sidekey_core::account::Account;

use super::shown;
use crate::{
    caller::user,
    context::Context,
    http::{Call, Code, Problem, Reply},
};

/// Replaces the backup codes and shows the new ones, once.
///
/// # Errors
/// No valid access token, no code, 2FA is off, or the code does not count.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let user = user(context, &call).await?;
    let fields = call.fields().await?;
    let now = context.clock.now();
    let account = context.user_account(&user, now).await?;
    let Some(account) = account.filter(Account::has_active_device) else {
        return Err(Problem::new(Code::NotEnabled));
    };
    let answer = fields.answer_or_code_required()?;
    // The set is slow to make, so only a code that is right as things stand pays for it; the transaction judges for good.
    let looks_right = account.clone().answer(&answer, now, &mut Vec::new()).is_ok();
    let set = if looks_right {
        Some(context.hasher.permit().await?.fresh_set(&user.account, now).await?)
    } else {
        None
    };
    context
        .store
        .transact(user.subject(), &user.origin, |state| {
            user.admit(state.account.as_ref(), state.family.as_ref(), None, now)?;
            let account = state.account.as_mut().ok_or_else(|| Problem::new(Code::NotEnabled))?;
            let before = account.clone();
            account.answer(&answer, now, &mut state.events)?;
            let Some((_, kept)) = &set else {
                // It became right between the look and the judgement: nothing is used up, the client may try again.
                *account = before;
                state.events.clear();
                return Err(Problem::new(Code::Unavailable).retry_after(1));
            };
            account.renew_backup_codes(kept.clone(), &mut state.events);
            Ok::<_, Problem>(())
        })
        .await??;
    let codes = set.map(|(codes, _)| shown::backup_codes(&codes)).unwrap_or_default();
    Ok(Reply::ok(&json!({ "backup_codes": codes, "warning": shown::KEEP_BACKUP_CODES })))
}
