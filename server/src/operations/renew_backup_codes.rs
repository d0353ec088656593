//! `POST /2fa/backup-codes/regenerate/`: a new set of backup codes for a code.

use serde::Serialize;
use serde_json::json;
use sidekey_core::{
    account::Account, backup_code::BackupCodes, device::Answer, event::Event, time::UnixTime,
};
use utoipa::ToSchema;

use super::{answering::with_fresh_set, shown};
use crate::{
    caller::{Acting, Demand, User, user},
    context::Context,
    http::{Call, Code, Problem, Reply},
    openapi::{Operation, Tag, schemas},
};

/// A code of the user.
#[derive(Debug, ToSchema)]
pub struct CodeAnswer {
    /// What the authenticator shows.
    pub code: schemas::Code,
    /// The code of the step after that of `code`; where `NEXT_CODE_REQUIRED` asks for it.
    pub next_code: Option<schemas::Code>,
}

/// A new set of backup codes.
#[derive(Serialize, ToSchema)]
#[schema(as = BackupCodes)]
struct Renewed {
    #[schema(value_type = Vec<schemas::BackupCode>, min_items = 10, max_items = 10)]
    backup_codes: Vec<String>,
    /// For people.
    warning: &'static str,
}

pub(crate) fn described() -> Operation {
    Operation::new("renewBackupCodes", Tag::BackupCodes, "Replace the backup codes")
        .telling("Needs a TOTP code, however fresh the second factor is. The old codes are dead.")
        .takes::<CodeAnswer>(json!({ "code": "020723" }))
        .answers::<Renewed>(
            "The new codes, shown once.",
            json!({
                "backup_codes": [
                    "7Y5S-XN4M-3351-Y74Q",
                    "8F9N-9HTP-1C3K-DTV1",
                    "JA17-W4B3-CNBX-ACK5",
                    "QHG5-7QK4-HEME-9Z7F",
                    "RHSG-PHZ0-189T-EMG6",
                    "JDXX-5QZB-T9T2-0JAP",
                    "0N5F-E851-SR96-WGBZ",
                    "FC64-90N5-61D4-66JX",
                    "ZAQ9-0VVX-D98F-6C9A",
                    "S071-NN21-P0P7-1BGN",
                ],
                "warning": shown::KEEP_BACKUP_CODES,
            }),
        )
        .refuses(&[
            Code::InvalidCode,
            Code::CodeRequired,
            Code::NextCodeRequired,
            Code::NotEnabled,
            Code::AccountLocked,
            Code::AccountThrottled,
        ])
}

/// Replaces the backup codes and shows the new ones, once.
///
/// # Errors
/// No valid access token, no code, 2FA is off, or the code does not count.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let user = user(context, &call).await?;
    let fields = call.fields().await?;
    let now = context.clock.now();
    if !user.account(context, now).await?.is_protected() {
        return Err(Problem::new(Code::NotEnabled));
    }
    let answer = fields.answer_or_code_required()?;
    let backup_codes = renewed(context, &user, &answer).await?;
    Ok(Reply::ok(&Renewed { backup_codes, warning: shown::KEEP_BACKUP_CODES }))
}

/// Replaces the backup codes of a user who answers with a code: the new ones as they are shown.
///
/// # Errors
/// The user may not, or the code does not count.
pub async fn renewed(context: &Context, user: &User, answer: &Answer) -> Result<Vec<String>, Problem> {
    let still_right =
        async |now| user.account(context, now).await.map(|account| is_right(&account, answer, now));
    let renewed = async |set: Option<BackupCodes>, now| {
        let decide =
            |Acting { account, events, .. }: Acting<'_>| renew(account, answer, set.as_ref(), now, events);
        user.transact(context, user.subject(), Demand::SecondFactor, now, decide).await
    };
    let ((), set) = with_fresh_set(context, &user.account, still_right, renewed).await?;
    Ok(set.map(|set| shown::backup_codes(&set.codes)).unwrap_or_default())
}

/// Judges the answer and renews the codes with it; `None`, and nothing is used up or counted, if it is right and the new set,
/// which is slow to make, is still missing. A wrong answer is counted here and now: judging and counting are one transaction,
/// however many answers come at once.
fn renew(
    account: &mut Account,
    answer: &Answer,
    set: Option<&BackupCodes>,
    now: UnixTime,
    events: &mut Vec<Event>,
) -> Result<Option<()>, Problem> {
    if set.is_none() && is_right(account, answer, now) {
        return Ok(None);
    }
    account.answer(answer, now, events)?;
    if let Some(set) = set {
        account.renew_backup_codes(set.clone(), events);
    }
    Ok(Some(()))
}

/// Judged on a copy: nothing is counted or used up by it.
fn is_right(account: &Account, answer: &Answer, now: UnixTime) -> bool {
    account.clone().answer(answer, now, &mut Vec::new()).is_ok()
}
