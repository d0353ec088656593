//! `POST /2fa/disable/`: turns 2FA off, with a code or a backup code.

use serde_json::json;
use utoipa::ToSchema;

use super::{answering::Proof, renew_backup_codes::CodeAnswer};
use crate::{
    caller::{Acting, Demand, User, user},
    context::Context,
    entropy::Entropy,
    http::{Call, Code, Fields, Problem, Reply},
    openapi::{Operation, Tag, schemas},
};

/// A backup code. Where there is a code too, that is judged.
#[derive(Debug, ToSchema)]
pub struct BackupCodeAnswer {
    /// One that has not been used.
    pub backup_code: schemas::BackupCode,
}

pub(crate) fn described() -> Operation {
    Operation::new("disable", Tag::Devices, "Turn 2FA off")
        .telling(
            "Removes every device, backup code and refresh token of the user. Access tokens live on for at most 15 minutes, but \
             only those of the login that turned it off can set up a device. The failure budget and the grace period stay as \
             they are.",
        )
        .takes_either::<CodeAnswer, BackupCodeAnswer>([
            ("code", json!({ "code": "536285" })),
            ("backup_code", json!({ "backup_code": "ABCD-EFGH-JKMN-PQRS" })),
        ])
        .answers::<schemas::Message>("2FA is off.", json!({ "message": "Two-factor authentication is off." }))
        .refuses(&[
            Code::InvalidCode,
            Code::CodeRequired,
            Code::NextCodeRequired,
            Code::NotEnabled,
            Code::AccountLocked,
            Code::AccountThrottled,
        ])
}

/// Turns 2FA off: every device, backup code and refresh token of the user is dead afterwards.
///
/// # Errors
/// No valid access token, neither code nor backup code, 2FA is off already, or the code does not count.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let user = user(context, &call).await?;
    disable(context, &user, &call.fields().await?).await?;
    Ok(Reply::ok(&schemas::Message { message: "Two-factor authentication is off." }))
}

/// Turns 2FA off for a user who answers with `code` or `backup_code` of the fields.
///
/// # Errors
/// The user may not, neither code nor backup code, 2FA is off already, or the code does not count.
pub async fn disable(context: &Context, user: &User, fields: &Fields) -> Result<(), Problem> {
    if !user.account(context, context.clock.now()).await?.is_protected() {
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
