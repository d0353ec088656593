//! What the lists of the page show.

use serde_json::{Map, Value};
use sidekey_core::account::Account;
use sidekey_core::device::{ActiveDevice, DisabledDevice};
use sidekey_core::time::UnixTime;

use crate::audit::{self, Outcome, Shown, method_name};
use crate::context::Context;
use crate::http::{Problem, user_agent::in_words};
use crate::operations::list_trusted_browsers;
use crate::pages::Moment;

/// A device.
pub(super) struct DeviceRow {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) state: DeviceState,
    pub(super) is_primary: bool,
    /// Whether an operator may remove it: not the one that alone keeps 2FA on.
    pub(super) is_removable: bool,
    pub(super) added: Moment,
    pub(super) used: Option<Moment>,
}

/// What a device counts for.
pub(super) enum DeviceState {
    Active,
    Disabled(Moment),
    Pending,
}

/// A login that is alive.
pub(super) struct LoginRow {
    pub(super) started: Moment,
    pub(super) ends: Moment,
    /// The second factor that it was given.
    pub(super) factor: &'static str,
}

/// A browser that is trusted.
pub(super) struct BrowserRow {
    pub(super) name: String,
    pub(super) added: Moment,
    pub(super) used: Option<Moment>,
    pub(super) ends: Moment,
}

/// An entry of the trail.
pub(super) struct TrailRow {
    pub(super) at: Moment,
    /// What happened, in words.
    pub(super) what: String,
    /// What the event says besides, as the API writes it.
    pub(super) details: String,
    /// Who did it.
    pub(super) by: String,
    /// Where it came from.
    pub(super) origin: Vec<String>,
    pub(super) reason: Option<String>,
    pub(super) request_id: String,
    pub(super) is_refused: bool,
}

/// The devices of an account: active ones, disabled ones, pending ones.
pub(super) fn devices(account: &Account, now: UnixTime) -> Vec<DeviceRow> {
    let is_removable = account.devices() > 1;
    let row = |device: &ActiveDevice, state| DeviceRow {
        id: device.id.to_string(),
        name: device.name.to_string(),
        state,
        is_primary: account.is_primary(device.id),
        is_removable,
        added: Moment::of(device.confirmed_at),
        used: device.last_used_at.map(Moment::of),
    };
    let active = account.active_devices().iter().map(|device| row(device, DeviceState::Active));
    let disabled = account.disabled_devices().iter();
    let disabled =
        disabled.map(|device| row(device.about(), DeviceState::Disabled(Moment::of(device.disabled_at))));
    let pending = account.pending_devices(now).map(|device| DeviceRow {
        id: device.id.to_string(),
        name: device.name.to_string(),
        state: DeviceState::Pending,
        is_primary: false,
        is_removable: true,
        added: Moment::of(device.created_at),
        used: None,
    });
    active.chain(disabled).chain(pending).collect()
}

/// The logins that are alive, newest first.
///
/// # Errors
/// The store is not available.
pub(super) async fn logins(
    context: &Context,
    account: &Account,
    now: UnixTime,
) -> Result<Vec<LoginRow>, Problem> {
    let all = context.store.latest_logins(&account.id).await?;
    let alive = all.into_iter().filter(|family| family.is_alive(Some(account), now));
    let rows = alive.map(|family| LoginRow {
        started: Moment::of(family.started_at),
        ends: Moment::of(family.expires_at),
        factor: family.second_factor.map_or("no second factor", |factor| match method_name(factor.method) {
            "totp" => "code",
            _ => "backup code",
        }),
    });
    Ok(rows.collect())
}

/// The browsers that the account trusts.
///
/// # Errors
/// The store is not available.
pub(super) async fn browsers(
    context: &Context,
    account: &Account,
    now: UnixTime,
) -> Result<Vec<BrowserRow>, Problem> {
    let alive = list_trusted_browsers::alive(context, account, now).await?;
    let rows = alive.into_iter().map(|browser| BrowserRow {
        name: browser.user_agent.as_deref().map_or_else(|| "A browser".to_owned(), in_words),
        added: Moment::of(browser.second_factor.at),
        used: browser.last_used_at.map(Moment::of),
        ends: Moment::of(browser.expires_at()),
    });
    Ok(rows.collect())
}

impl TrailRow {
    /// An entry about the account.
    pub(super) fn new(entry: Shown, account: &Account) -> Self {
        let by = entry
            .operator()
            .map_or_else(|| entry.actor().to_owned(), |operator| format!("{} {operator}", entry.actor()));
        let address = entry.ip_address.map(|address| address.to_string());
        Self {
            at: Moment::of(entry.at),
            what: in_sentence(entry.name()),
            details: details(&entry, account),
            by,
            origin: address.into_iter().chain(entry.user_agent.as_deref().map(in_words)).collect(),
            is_refused: entry.outcome() == Outcome::Refused,
            reason: entry.reason,
            request_id: entry.request_id,
        }
    }
}

/// `Two factor reset` of `two_factor_reset`.
fn in_sentence(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).map(|letter| if letter == '_' { ' ' } else { letter }).collect()
}

/// `method=totp, device=Phone`: a device that there still is by its name.
fn details(entry: &Shown, account: &Account) -> String {
    let event = serde_json::to_value(&entry.event).unwrap_or_default();
    let told = audit::told(0, &Map::from_iter([("event".to_owned(), event)]));
    let members = told.get("event").and_then(Value::as_object).into_iter().flatten();
    let said = members.filter(|(name, value)| *name != "type" && !value.is_null());
    let all: Vec<_> = said.map(|(name, value)| format!("{name}={}", written(value, account))).collect();
    all.join(", ")
}

fn written(value: &Value, account: &Account) -> String {
    let Some(text) = value.as_str() else { return value.to_string() };
    let active = account.active_devices().iter();
    let mut devices = active.chain(account.disabled_devices().iter().map(DisabledDevice::about));
    let device = devices.find(|device| device.id.to_string() == text);
    device.map_or_else(|| text.to_owned(), |device| device.name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_event_reads_like_a_sentence() {
        assert_eq!(in_sentence("two_factor_reset"), "Two factor reset");
        assert_eq!(in_sentence(""), "");
    }
}
