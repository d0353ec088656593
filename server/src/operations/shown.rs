//! Parts of answers that several operations share.

use serde::Serialize;
use serde_json::{Value, json};
use sidekey_core::{
    account::Account,
    action::{Approval, LIFETIME},
    backup_code::{BackupCode, LOW},
    device::{ActiveDevice, PendingDevice},
    id::{AccountName, DeviceId, UserId},
    refresh::Family,
    session::Session,
    time::UnixTime,
};

use crate::{
    context::Context,
    http::{Problem, rfc3339},
    token::{approval as approval_token, pair::Tokens},
};

/// A device, as its owner sees it.
#[derive(Serialize)]
pub(crate) struct Device {
    id: String,
    name: String,
    is_primary: bool,
    status: &'static str,
    created_at: String,
    confirmed_at: Option<String>,
    last_used_at: Option<String>,
}

impl Device {
    fn active(account: &Account, device: &ActiveDevice) -> Self {
        Self {
            id: device.id.to_string(),
            name: device.name.to_string(),
            is_primary: account.is_primary(device.id),
            status: "active",
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
            status: "pending",
            created_at: rfc3339(device.created_at),
            confirmed_at: None,
            last_used_at: None,
        }
    }

    /// The devices of an account, active ones first.
    pub(super) fn all(account: &Account, now: UnixTime) -> Vec<Self> {
        let active = account.active_devices().iter().map(|device| Self::active(account, device));
        active.chain(account.pending_devices(now).map(Self::pending)).collect()
    }

    /// One device of an account.
    pub(super) fn one(account: &Account, id: DeviceId, now: UnixTime) -> Option<Self> {
        let active = account.active_device(id).map(|device| Self::active(account, device));
        active.or_else(|| account.pending_devices(now).find(|device| device.id == id).map(Self::pending))
    }
}

/// What a session that was answered gives its browser.
#[derive(Serialize)]
pub(super) struct Verified {
    message: &'static str,
    #[serde(flatten)]
    tokens: Tokens,
    user: Value,
    persistent_session: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    return_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trusted_browser_token: Option<String>,
}

impl Verified {
    /// The answer to a right code.
    pub(super) fn new(session: &Session, tokens: Tokens) -> Self {
        Self {
            message: "Verified.",
            tokens,
            user: person(&session.account.user, session.account_name.as_ref()),
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
    pub(super) fn of_login(family: &Family, user: Value, tokens: Tokens) -> Self {
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

/// The answer to a right code for an action: the token of its approval.
///
/// # Errors
/// Signing failed.
pub(super) fn approved(
    context: &Context,
    approval: &Approval,
    return_url: Option<&str>,
) -> Result<Value, Problem> {
    let mut answer = json!({
        "message": "Approved.",
        "action_token": approval_token::issue(context, approval, context.clock.now())?,
        "expires_in": LIFETIME,
        "action": approval.action.name,
        "resource": approval.action.resource,
        "user": { "id": approval.account.user },
    });
    if let (Some(answer), Some(url)) = (answer.as_object_mut(), return_url) {
        answer.insert("return_url".to_owned(), url.into());
    }
    Ok(answer)
}

/// As a JSON value, to go with others.
pub(super) fn json(part: &impl Serialize) -> Value {
    serde_json::to_value(part).unwrap_or_default()
}

/// A user by the host's name for them and the one that people see.
pub(super) fn person(id: &UserId, name: Option<&AccountName>) -> Value {
    json!({ "id": id.as_str(), "account_name": name.map(AccountName::as_str) })
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
