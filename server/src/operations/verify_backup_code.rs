//! `POST /2fa/verify/backup/`: a browser answers a session with a backup code.

use serde::Serialize;
use serde_json::json;
use sidekey_core::{account::Account, backup_code::BackupCodes, session::Session};
use utoipa::ToSchema;

use super::{
    answering::{Granted, Via, answered, hashed, known_session, leading_back},
    shown::{Answered, Verified, approved, few_left},
};
use crate::{
    audit::Origin,
    caller::hash,
    context::Context,
    http::{Call, Code, Fields, Problem, Reply},
    openapi::{Operation, Tag, schemas},
    store::Subject,
    token::pair::issue,
};

/// A backup code for a session.
#[derive(Debug, ToSchema)]
pub struct VerifyBackup {
    /// As the session was opened.
    pub session_id: String,
    /// One that has not been used.
    pub backup_code: schemas::BackupCode,
}

/// What a right backup code yields.
#[derive(Serialize, ToSchema)]
struct AnsweredByBackupCode {
    #[serde(flatten)]
    answered: Answered,
    /// Codes left.
    #[schema(minimum = 0, maximum = 9)]
    remaining_backup_codes: usize,
    /// At 3 or fewer left.
    #[schema(required)]
    warning: Option<String>,
}

pub(crate) fn described() -> Operation {
    Operation::new("verifyBackupCode", Tag::Sessions, "Answer a session with a backup code")
        .telling(
            "Backup codes have a failure budget of their own with the same waits. A right one is used up and lifts the waits and \
             the lock of TOTP codes.",
        )
        .takes::<VerifyBackup>(json!({
            "session_id": "WG6m1FTgpzFD5FYbVjOy0cERfL-zKFCh6ql9CCdBUu8",
            "backup_code": "696X-D10X-NJBW-4XPZ",
        }))
        .answers::<AnsweredByBackupCode>(
            "The session is spent; these are the tokens of the login.",
            json!({
                "message": "Verified.",
                "access_token": "eyJhbGciOiJF….eyJpc3MiOiJo….BaIimCkT…",
                "refresh_token": "lTlcAzxDD_S3…",
                "token_type": "Bearer",
                "expires_in": 900,
                "user": { "account_name": "ann@example.com", "id": "42" },
                "persistent_session": false,
                "return_url": "https://app.example/after",
                "remaining_backup_codes": 9,
                "warning": null,
            }),
        )
        .refuses(&[
            Code::InvalidCode,
            Code::SessionExpired,
            Code::NotEnabled,
            Code::MaxAttemptsExceeded,
            Code::SessionNotFound,
            Code::SessionAlreadyVerified,
            Code::AccountThrottled,
        ])
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
    let answered = match granted {
        Granted::Login(family) => {
            let tokens = issue(context, &family, context.clock.now())?;
            Answered::Login(Verified::new(&session, tokens))
        }
        Granted::Approval(approval) => {
            Answered::Approval(approved(context, &approval, session.return_url.as_deref())?)
        }
    };
    let warning = few_left(remaining);
    Ok(Reply::ok(&AnsweredByBackupCode { answered, remaining_backup_codes: remaining, warning }))
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
