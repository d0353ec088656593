//! `/2fa/account/`, for somebody who is signed in to the pages.
//!
//! - this file: the page: devices, backup codes, trusted browsers, recent activity;
//! - `actions`: what its forms ask for, up to signing out everywhere and turning 2FA off;
//! - `confirm`: the second factor again, before something that needs a fresh one;
//! - `link`: the link by which somebody comes from the application;
//! - `history`: what the page tells of trusted browsers and recent activity.

mod actions;
pub(super) mod confirm;
mod history;
mod link;

use askama::Template;
use http::StatusCode;
use sidekey_core::{
    account::{Account, MAX_DEVICES},
    backup_code::LOW,
    device::ActiveDevice,
};

use super::{
    Frame, Moment, Visit,
    cookie::Cookie,
    refusal::Failed,
    view::{self, Message, Shown},
    visit::SignedIn,
};
use crate::{
    context::Context,
    http::{Call, Problem},
    keyring::Sealed,
};

pub(super) use actions::{done, post};
use confirm::Next;
use history::{ActivityRow, BrowserRow};

struct DeviceRow {
    id: String,
    name: String,
    is_primary: bool,
    is_disabled: bool,
    /// Whether it is not removed here: it would turn 2FA off.
    is_last: bool,
    added: Moment,
    used: Option<Moment>,
}

#[derive(Template)]
#[template(path = "account.html")]
#[expect(clippy::struct_excessive_bools, reason = "its template asks each by itself")]
struct AccountPage {
    frame: Frame,
    account: String,
    done: Option<String>,
    failed: Failed,
    is_fresh: bool,
    needs_next_code: bool,
    has_own_codes: bool,
    devices: Vec<DeviceRow>,
    codes_left: String,
    is_low: bool,
    browsers: Vec<BrowserRow>,
    activity: Vec<ActivityRow>,
}

impl AccountPage {
    /// Whether there are as many devices as there may be.
    fn is_full(&self) -> bool {
        self.devices.len() >= MAX_DEVICES
    }
}

/// The page, or what stands before it: a link that is taken over, somebody who is not signed in, a second factor that is missing.
///
/// # Errors
/// A link that leads nowhere, or the store is not available.
pub(super) async fn show(context: &Context, visit: &Visit, call: &Call) -> Result<Shown, Problem> {
    if let Some(shown) = link::followed(context, visit, call).await? {
        return Ok(shown);
    }
    let Some(person) = visit.signed_in(context, call).await? else { return Ok(signed_out(context, visit)) };
    if person.is_half_way(context.clock.now()) {
        return confirm::page(context, visit, person, Next::Account, Failed::default()).await;
    }
    visit.note_language(context, &person.user.account).await;
    let shown = page(context, visit, person, visit.done.as_deref(), Failed::default()).await?;
    let is_told = visit.done.is_some() && visit.uses_up;
    Ok(if is_told { shown.with_cookie(&Cookie::Done.clear(context)) } else { shown })
}

/// The page itself.
async fn page(
    context: &Context,
    visit: &Visit,
    person: SignedIn,
    done: Option<&str>,
    failed: Failed,
) -> Result<Shown, Problem> {
    let now = context.clock.now();
    let frame = Frame::of(context, visit, Some(&person.account.id.app)).await?.with_csrf(&person.csrf);
    let account = &person.account;
    let codes = account.backup_codes();
    let (left, total) = codes.map_or((0, 0), |codes| (codes.remaining(), codes.total()));
    let page = AccountPage {
        account: person.name().to_owned(),
        done: done.map(|what| format!("done.{what}")).filter(|name| frame.text.locale.has(name)),
        is_fresh: person.is_fresh(now),
        needs_next_code: account.needs_next_code(now),
        has_own_codes: account.has_own_codes(),
        devices: devices(account),
        codes_left: frame
            .text
            .fill("backup-codes.left", &[("count", &left.to_string()), ("total", &total.to_string())]),
        is_low: left <= LOW,
        browsers: history::browsers(context, account, &frame.text, now).await?,
        activity: history::recent(context, account, &frame.text).await?,
        failed,
        frame,
    };
    Ok(page.failed.page(&page))
}

fn devices(account: &Account<Sealed>) -> Vec<DeviceRow> {
    let row = |device: &ActiveDevice<Sealed>, is_disabled: bool, is_last: bool| DeviceRow {
        id: device.id.to_string(),
        name: device.name.to_string(),
        is_primary: account.is_primary(device.id),
        is_disabled,
        is_last,
        added: Moment::of(device.confirmed_at),
        used: device.last_used_at.map(Moment::of),
    };
    let active = account.active_devices();
    let rows = active.iter().map(|device| row(device, false, active.len() == 1));
    let disabled = account.disabled_devices().iter();
    rows.chain(disabled.map(|device| row(device.about(), true, account.devices() == 1))).collect()
}

/// Nobody is signed in here.
pub(super) fn signed_out(context: &Context, visit: &Visit) -> Shown {
    let frame = Frame::plain(context, visit);
    let (title, lead) = (frame.t("account.signed-out"), frame.t("account.signed-out-lead"));
    view::page(StatusCode::OK, &Message { title, lead, onward: None, other: None, frame })
}
