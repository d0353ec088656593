//! One user: devices, logins, trusted browsers, backup codes, what the failures have led to, and the trail.
//!
//! - this file: the page;
//! - `rows`: what its lists show;
//! - `actions`: what its forms ask for.

mod actions;
mod rows;

use askama::Template;
use http::StatusCode;
use sidekey_core::account::Account;
use sidekey_core::id::{AccountId, AppId, UserId};
use sidekey_core::time::UnixTime;

use super::{Frame, Section};
use crate::caller::Operator;
use crate::context::Context;
use crate::http::{Call, Code, Problem};
use crate::operators::Role;
use crate::pages::{Moment, Shown, page};
use rows::{BrowserRow, DeviceRow, DeviceState, LoginRow, TrailRow};

pub(super) use actions::post;

/// Entries of the trail on a page.
const TRAIL: usize = 20;

#[derive(Template)]
#[template(path = "admin/user.html")]
#[expect(clippy::struct_excessive_bools, reason = "its template asks each by itself")]
struct UserPage {
    frame: Frame,
    /// Whether the operator may change something.
    may_act: bool,
    app: String,
    user: String,
    name: Option<String>,
    is_protected: bool,
    is_admin: bool,
    first_seen: Moment,
    verified: Option<Moment>,
    throttle: Vec<String>,
    devices: Vec<DeviceRow>,
    /// Backup codes left, of how many.
    codes: Option<(usize, usize)>,
    logins: Vec<LoginRow>,
    browsers: Vec<BrowserRow>,
    trail: Vec<TrailRow>,
    /// Whether the trail goes on after another page.
    goes_on: bool,
    /// The query of the page with older entries.
    older: Option<String>,
}

/// Where a user's page is, below `/admin/`.
pub(super) fn address(id: &AccountId) -> String {
    format!("user/?{}", query(id, &[]))
}

fn query(id: &AccountId, more: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("app", id.app.as_str()).append_pair("user", id.user.as_str());
    query.extend_pairs(more).finish()
}

/// The user that a query or a form names.
///
/// # Errors
/// No user can be called so.
fn named(app: &str, user: &str) -> Result<AccountId, Problem> {
    let nobody = || Problem::new(Code::NotFound);
    Ok(AccountId {
        app: AppId::parse(app).map_err(|_| nobody())?,
        user: UserId::parse(user).map_err(|_| nobody())?,
    })
}

/// The page.
///
/// # Errors
/// There is no such user, or the store is not available.
pub(super) async fn show(context: &Context, operator: &Operator, call: &Call) -> Result<Shown, Problem> {
    let parameter = |name: &str| call.parameter(name).unwrap_or_default();
    let id = named(&parameter("app"), &parameter("user"))?;
    let account = context.store.account(&id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    let now = context.clock.now();
    let before = parameter("before").parse().ok();
    let entries = context.store.activity(&id, before, TRAIL).await?;
    let last = entries.last().filter(|_| entries.len() == TRAIL).map(|(sequence, _)| sequence.to_string());
    let codes = account.backup_codes();
    Ok(page(
        StatusCode::OK,
        &UserPage {
            frame: Frame::of(context, operator, call, Section::Users),
            may_act: operator.is(Role::Support),
            app: id.app.to_string(),
            user: id.user.to_string(),
            name: account.name.as_ref().map(ToString::to_string),
            is_protected: account.is_protected(),
            is_admin: account.is_admin,
            first_seen: Moment::of(account.created_at),
            verified: account.last_verified_at.map(Moment::of),
            throttle: throttle(&account, now),
            devices: rows::devices(&account, now),
            codes: codes.map(|codes| (codes.remaining(), codes.total())),
            logins: rows::logins(context, &account, now).await?,
            browsers: rows::browsers(context, &account, now).await?,
            trail: entries.into_iter().map(|(_, entry)| TrailRow::new(entry, &account)).collect(),
            goes_on: before.is_some(),
            older: last.map(|last| query(&id, &[("before", &last)])),
        },
    ))
}

/// What the user's failures have led to, in sentences; none where codes are judged as usual.
fn throttle(account: &Account, now: UnixTime) -> Vec<String> {
    let mut sentences = Vec::new();
    if account.is_locked() {
        sentences.push(
            "Codes are locked: too many wrong ones in a row. A backup code lifts it, and so do you."
                .to_owned(),
        );
    }
    if let Some(until) = account.throttled_until(now) {
        sentences.push(format!("Codes wait until {}.", Moment::of(until).shown));
    }
    if account.needs_next_code(now) {
        sentences.push(
            "An answer needs two codes in a row: there were many wrong ones within 30 days.".to_owned(),
        );
    }
    if let Some(seconds) = account.backup_codes_wait(now) {
        sentences.push(format!("Backup codes wait for {seconds} more seconds."));
    }
    sentences
}
