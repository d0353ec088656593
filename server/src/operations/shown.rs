//! Parts of answers that several operations share.

use serde::Serialize;
use sidekey_core::{
    account::Account,
    action::{Approval, LIFETIME},
    backup_code::{BackupCode, LOW},
    device::{ActiveDevice, DisabledDevice, PendingDevice},
    id::{AccountName, ActionName, DeviceId, Resource, UserId},
    refresh::Family,
    session::Session,
    time::UnixTime,
};
use utoipa::ToSchema;

use crate::{
    context::Context,
    http::{Problem, rfc3339},
    openapi::schemas,
    token::{approval as approval_token, pair::Tokens},
};

/// A device, as its owner sees it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Device {
    #[schema(value_type = schemas::DeviceId)]
    id: String,
    #[schema(value_type = schemas::DeviceName)]
    name: String,
    /// The device that pages name first.
    is_primary: bool,
    #[schema(inline)]
    status: DeviceStatus,
    /// When its setup began. RFC 3339, UTC, whole seconds.
    #[schema(format = DateTime)]
    created_at: String,
    /// When its first code came. RFC 3339, UTC, whole seconds.
    #[schema(format = DateTime, required)]
    confirmed_at: Option<String>,
    /// When a code of it was last accepted. RFC 3339, UTC, whole seconds.
    #[schema(format = DateTime, required)]
    last_used_at: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum DeviceStatus {
    Active,
    /// An operator has disabled it: no code of it counts.
    Disabled,
    Pending,
}

impl Device {
    fn active(account: &Account, device: &ActiveDevice) -> Self {
        Self {
            id: device.id.to_string(),
            name: device.name.to_string(),
            is_primary: account.is_primary(device.id),
            status: DeviceStatus::Active,
            created_at: rfc3339(device.created_at),
            confirmed_at: Some(rfc3339(device.confirmed_at)),
            last_used_at: device.last_used_at.map(rfc3339),
        }
    }

    fn disabled(device: &DisabledDevice) -> Self {
        let device = device.about();
        Self {
            id: device.id.to_string(),
            name: device.name.to_string(),
            is_primary: false,
            status: DeviceStatus::Disabled,
            created_at: rfc3339(device.created_at),
            confirmed_at: Some(rfc3339(device.confirmed_at)),
            last_used_at: device.last_used_at.map(rfc3339),
        }
    }

    fn pending(device: &PendingDevice) -> Self {
        Self {
            id: device.id.to_string(),
            name: device.name.to_string(),
            is_primary: false,
            status: DeviceStatus::Pending,
            created_at: rfc3339(device.created_at),
            confirmed_at: None,
            last_used_at: None,
        }
    }

    /// The devices of an account: active ones, then disabled ones, then pending ones.
    pub(super) fn all(account: &Account, now: UnixTime) -> Vec<Self> {
        let active = account.active_devices().iter().map(|device| Self::active(account, device));
        let disabled = account.disabled_devices().iter().map(Self::disabled);
        active.chain(disabled).chain(account.pending_devices(now).map(Self::pending)).collect()
    }

    /// One device of an account.
    pub(super) fn one(account: &Account, id: DeviceId, now: UnixTime) -> Option<Self> {
        let active = account.active_device(id).map(|device| Self::active(account, device));
        let confirmed = active.or_else(|| account.disabled_device(id).map(Self::disabled));
        confirmed.or_else(|| account.pending_devices(now).find(|device| device.id == id).map(Self::pending))
    }
}

/// What a right answer yields: the tokens of a login, or that of an action.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Answered {
    Login(Verified),
    Approval(Approved),
}

/// The tokens of a login whose second factor was given.
#[derive(Serialize, ToSchema)]
pub(super) struct Verified {
    /// For people.
    message: &'static str,
    #[serde(flatten)]
    tokens: Tokens,
    user: Person,
    /// Whether the session was opened with `remember_me`.
    persistent_session: bool,
    /// Where the browser goes now; absent if the session has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri", nullable = false)]
    return_url: Option<String>,
    /// Where `trust_device` asked for it, and a TOTP code was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    trusted_browser_token: Option<String>,
}

/// A user by the host's name for them and the one that people see.
#[derive(Serialize, ToSchema)]
pub(super) struct Person {
    /// As the application told it.
    #[schema(value_type = Option<String>, required)]
    account_name: Option<AccountName>,
    #[schema(value_type = schemas::UserId)]
    id: UserId,
}

impl Person {
    pub(super) fn new(id: &UserId, name: Option<&AccountName>) -> Self {
        Self { account_name: name.cloned(), id: id.clone() }
    }
}

impl Verified {
    /// The answer to a right code.
    pub(super) fn new(session: &Session, tokens: Tokens) -> Self {
        Self {
            message: "Verified.",
            tokens,
            user: Person::new(&session.account.user, session.account_name.as_ref()),
            persistent_session: session.remember_me,
            return_url: session.return_url.clone(),
            trusted_browser_token: None,
        }
    }

    /// With the token of the browser that is trusted from now on, where it is.
    pub(super) fn with_trusted_browser(self, token: Option<String>) -> Self {
        Self { trusted_browser_token: token, ..self }
    }

    /// The answer to a one-time code of a login.
    pub(super) fn of_login(family: &Family, user: Person, tokens: Tokens) -> Self {
        Self {
            message: "Verified.",
            tokens,
            user,
            persistent_session: family.remember_me,
            return_url: None,
            trusted_browser_token: None,
        }
    }
}

/// An action was approved.
#[derive(Serialize, ToSchema)]
pub(super) struct Approved {
    #[schema(value_type = String)]
    action: ActionName,
    /// A JWT of the type `sidekey-action+jwt`, with the audience `<app>:action` and the claims `action` and `resource`.
    action_token: String,
    /// Seconds.
    #[schema(minimum = 60, maximum = 60)]
    expires_in: u64,
    /// For people.
    message: &'static str,
    #[schema(value_type = Option<String>, required)]
    resource: Option<Resource>,
    /// Where the browser goes now; absent if the session has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri", nullable = false)]
    return_url: Option<String>,
    user: Approver,
}

/// Who approved it.
#[derive(Serialize, ToSchema)]
pub(super) struct Approver {
    #[schema(value_type = schemas::UserId)]
    id: UserId,
}

/// The answer to a right code for an action: the token of its approval.
///
/// # Errors
/// Signing failed.
pub(super) fn approved(
    context: &Context,
    approval: &Approval,
    return_url: Option<&str>,
) -> Result<Approved, Problem> {
    Ok(Approved {
        action: approval.action.name.clone(),
        action_token: approval_token::issue(context, approval, context.clock.now())?,
        expires_in: LIFETIME,
        message: "Approved.",
        resource: approval.action.resource.clone(),
        return_url: return_url.map(str::to_owned),
        user: Approver { id: approval.account.user.clone() },
    })
}

/// Backup codes as they are shown, once.
pub(super) fn backup_codes(codes: &[BackupCode]) -> Vec<String> {
    codes.iter().map(|code| code.shown().to_string()).collect()
}

/// What goes with fresh backup codes.
pub(super) const KEEP_BACKUP_CODES: &str =
    "Keep these codes in a safe place. Each works once, and they are not shown again.";

/// The warning of an account that runs out of backup codes.
pub(super) fn few_left(remaining: usize) -> Option<String> {
    match remaining {
        0 => Some("No backup codes are left. Make new ones now.".to_owned()),
        1 => Some("Only 1 backup code is left. Make new ones soon.".to_owned()),
        few if few <= LOW => Some(format!("Only {few} backup codes are left. Make new ones soon.")),
        _ => None,
    }
}
