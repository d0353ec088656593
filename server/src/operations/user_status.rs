//! `GET /2fa/users/{user_id}/`: the 2FA state of a user, for the host application.

use serde::Serialize;
use serde_json::json;
use sidekey_core::{account::Account, backup_code::BackupCodes, id::UserId};
use utoipa::ToSchema;

use crate::{
    caller::host,
    context::Context,
    http::{Call, Code, Problem, Reply, rfc3339},
    openapi::{Operation, Tag, schemas},
};

/// The 2FA state of a user.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
struct State {
    /// Backup codes left.
    backup_codes_remaining: usize,
    /// Active devices.
    devices: usize,
    /// Whether there is a device, active or disabled.
    has_2fa_enabled: bool,
    /// When a second factor was last accepted. RFC 3339, UTC, whole seconds.
    #[schema(format = DateTime, required)]
    last_verified_at: Option<String>,
    /// Whether TOTP is locked.
    locked: bool,
    /// Whether the user has an active device, or the policy of the application demands one of this user.
    requires_2fa: bool,
    /// Until when codes wait. RFC 3339, UTC, whole seconds.
    #[schema(format = DateTime, required)]
    throttled_until: Option<String>,
    #[schema(value_type = schemas::UserId)]
    user_id: UserId,
}

pub(crate) fn described() -> Operation {
    Operation::new("userStatus", Tag::Users, "The 2FA state of a user")
        .telling("The same shape, all false, zero or null, for a user never seen.")
        .of("user_id", "The user, percent-encoded.")
        .answers::<State>(
            "The state.",
            [
                (
                    "enrolled",
                    json!({
                        "backup_codes_remaining": 10,
                        "devices": 1,
                        "has_2fa_enabled": true,
                        "last_verified_at": "2026-11-22T18:59:30Z",
                        "locked": false,
                        "requires_2fa": true,
                        "throttled_until": null,
                        "user_id": "42",
                    }),
                ),
                (
                    "never_seen",
                    json!({
                        "backup_codes_remaining": 0,
                        "devices": 0,
                        "has_2fa_enabled": false,
                        "last_verified_at": null,
                        "locked": false,
                        "requires_2fa": false,
                        "throttled_until": null,
                        "user_id": "nobody",
                    }),
                ),
            ],
        )
        .refuses(&[Code::NotFound])
}

/// Tells the state of a user; the same shape, all false, zero or null, for a user never seen.
///
/// # Errors
/// No valid API key, or no user can have this name.
pub async fn run(context: &Context, call: Call) -> Result<Reply, Problem> {
    let host = host(context, &call).await?;
    let id = host.named_user(&call)?;
    let now = context.clock.now();
    let account = context.store.sealed_account(&id).await?;
    let account = account.as_ref();
    let enabled = account.is_some_and(Account::is_protected);
    let demanded = account.is_some_and(|account| host.app.enforcement.requires(account.is_admin));
    Ok(Reply::ok(&State {
        user_id: id.user,
        has_2fa_enabled: enabled,
        requires_2fa: enabled || demanded,
        devices: account.map_or(0, |account| account.active_devices().len()),
        backup_codes_remaining: account.and_then(Account::backup_codes).map_or(0, BackupCodes::remaining),
        throttled_until: account.and_then(|account| account.throttled_until(now)).map(rfc3339),
        locked: account.is_some_and(Account::is_locked),
        last_verified_at: account.and_then(|account| account.last_verified_at).map(rfc3339),
    }))
}
