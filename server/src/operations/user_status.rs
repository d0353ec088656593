//! `GET /2fa/users/{user_id}/`: the 2FA state of a user, for the host application.

use serde_json::json;
use sidekey_core::{account::Account, backup_code::BackupCodes};

use crate::{
    caller::host,
    context::Context,
    http::{Call, Problem, Reply, rfc3339},
};

/// Tells the state of a user; the same shape, all false, zero or null, for a user never seen.
///
/// # Errors
/// No valid API key, or no user can have this name.
pub async fn run(context: &Context, call: Call) -> Result<Reply, Problem> {
    let host = host(context, &call).await?;
    let id = host.named_user(&call)?;
    let now = context.clock.now();
    let account = context.store.account(&id).await?;
    let account = account.as_ref();
    let enabled = account.is_some_and(Account::has_active_device);
    Ok(Reply::ok(&json!({
        "user_id": id.user,
        "has_2fa_enabled": enabled,
        "requires_2fa": enabled || account.is_some_and(|account| host.app.enforcement.requires(account.is_admin)),
        "devices": account.map_or(0, |account| account.active_devices().len()),
        "backup_codes_remaining": account.and_then(Account::backup_codes).map_or(0, BackupCodes::remaining),
        "throttled_until": account.and_then(|account| account.throttled_until(now)).map(rfc3339),
        "locked": account.is_some_and(Account::is_locked),
        "last_verified_at": account.and_then(|account| account.last_verified_at).map(rfc3339),
    })))
}
