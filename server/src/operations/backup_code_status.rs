//! `GET /2fa/backup-codes/`: how many backup codes are left.

use serde::Serialize;
use serde_json::json;
use sidekey_core::backup_code::BackupCodes;
use utoipa::ToSchema;

use super::shown::few_left;
use crate::{
    caller::user,
    context::Context,
    http::{Call, Problem, Reply},
    openapi::{Operation, Tag},
};

/// How many backup codes are left.
#[derive(Serialize, ToSchema)]
struct BackupCodeStatus {
    /// Codes left.
    remaining_count: usize,
    /// Codes of the set: 10, or 0 while 2FA is off.
    total_generated: usize,
    /// At 3 or fewer left.
    #[schema(required)]
    warning: Option<String>,
}

pub(crate) fn described() -> Operation {
    Operation::new("backupCodeStatus", Tag::BackupCodes, "How many backup codes are left")
        .answers::<BackupCodeStatus>(
            "The numbers; zero of zero while 2FA is off.",
            json!({ "remaining_count": 9, "total_generated": 10, "warning": null }),
        )
}

/// Tells how many are left; zero of zero, without a warning, while 2FA is off.
///
/// # Errors
/// No valid access token, or one without a second factor where there is a device.
pub async fn run(context: &Context, call: Call) -> Result<Reply, Problem> {
    let user = user(context, &call).await?;
    let account = user.account(context, context.clock.now()).await?;
    let codes = account.backup_codes();
    Ok(Reply::ok(&BackupCodeStatus {
        remaining_count: codes.map_or(0, BackupCodes::remaining),
        total_generated: codes.map_or(0, BackupCodes::total),
        warning: codes.and_then(|codes| few_left(codes.remaining())),
    }))
}
