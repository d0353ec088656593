//! `GET /2fa/backup-codes/`: how many backup codes are left.

use serde::Serialize;
use sidekey_core::backup_code::BackupCodes;

use super::shown::few_left;
use crate::{
    caller::user,
    context::Context,
    http::{Call, Problem, Reply},
};

#[derive(Serialize)]
struct Answer {
    remaining_count: usize,
    total_generated: usize,
    warning: Option<String>,
}

/// Tells how many are left; zero of zero, without a warning, while 2FA is off.
///
/// # Errors
/// No valid access token, or one without a second factor where there is a device.
pub async fn run(context: &Context, call: Call) -> Result<Reply, Problem> {
    let user = user(context, &call).await?;
    let account = user.account(context, context.clock.now()).await?;
    let codes = account.backup_codes();
    Ok(Reply::ok(&Answer {
        remaining_count: codes.map_or(0, BackupCodes::remaining),
        total_generated: codes.map_or(0, BackupCodes::total),
        warning: codes.and_then(|codes| few_left(codes.remaining())),
    }))
}
