//! The host applications: all of them, and new ones.

use askama::Template;
use http::StatusCode;
use sidekey_core::id::AppId;

use super::{Frame, Section, reason, refused_app};
use crate::apps::settings::{GRACE_DAYS_MAX, enforcement, word};
use crate::apps::{App, NewApp, ReturnUrls};
use crate::caller::Operator;
use crate::context::Context;
use crate::entropy::Entropy;
use crate::http::{Call, Problem};
use crate::operators::Role;
use crate::pages::{Form, Shown, page};

#[derive(Template)]
#[template(path = "admin/apps.html")]
struct AppsPage {
    frame: Frame,
    apps: Vec<Line>,
    may_change: bool,
    grace_days_max: u16,
}

/// An app in the list.
struct Line {
    id: String,
    name: String,
    enforcement: &'static str,
    /// The query of its page.
    query: String,
}

/// A new API key, at the only time that it is shown.
#[derive(Template)]
#[template(path = "admin/key.html")]
pub(super) struct KeyPage {
    pub(super) frame: Frame,
    pub(super) app: App,
    pub(super) key_id: String,
    pub(super) api_key: String,
    pub(super) query: String,
}

/// The query of an app's page.
pub(super) fn query(app: &AppId) -> String {
    // An id has letters, digits, `-` and `_` only.
    format!("?app={app}")
}

/// The page.
///
/// # Errors
/// The store is not available.
pub(super) async fn show(context: &Context, operator: &Operator, call: &Call) -> Result<Shown, Problem> {
    let line = |app: App| Line {
        query: query(&app.id),
        id: app.id.to_string(),
        name: app.name,
        enforcement: word(app.enforcement),
    };
    let shown = AppsPage {
        frame: Frame::of(context, operator, call, Section::Apps),
        apps: context.apps.list().await?.into_iter().map(line).collect(),
        may_change: operator.is(Role::Admin),
        grace_days_max: GRACE_DAYS_MAX,
    };
    Ok(page(StatusCode::OK, &shown))
}

/// Makes an app, and shows its first key.
///
/// # Errors
/// The operator may not, a field is none, the id is taken, or the store is not available.
pub(super) async fn post(
    context: &Context,
    operator: &Operator,
    call: &Call,
    form: &Form,
) -> Result<Shown, Problem> {
    let admin = operator.admin(reason(form)?)?;
    let id = match form.text("id") {
        "" => None,
        id => Some(AppId::parse(id).map_err(|error| Problem::field("id", &error.to_string()))?),
    };
    let new = NewApp {
        id,
        name: form.text("name").to_owned(),
        enforcement: enforcement_of(form)?,
        return_urls: ReturnUrls::default(),
    };
    let created = context.apps.create(new, admin.origin(), &mut Entropy).await;
    let (app, key) = created.map_err(refused_app)?;
    let shown = KeyPage {
        frame: Frame::of(context, operator, call, Section::Apps),
        query: query(&app.id),
        app,
        key_id: key.key_id,
        api_key: key.api_key.expose().to_owned(),
    };
    Ok(page(StatusCode::OK, &shown))
}

/// What an app shall demand of its users, by two fields.
pub(super) fn enforcement_of(form: &Form) -> Result<sidekey_core::policy::Enforcement, Problem> {
    let days = match form.text("grace_days") {
        "" => None,
        days => Some(days.parse::<u16>().ok().filter(|days| *days <= GRACE_DAYS_MAX)),
    };
    let days =
        days.map(|days| days.ok_or_else(|| Problem::field("grace_days", "must be a number up to 365")));
    enforcement(form.text("enforcement"), days.transpose()?)
        .map_err(|error| Problem::field("enforcement", error))
}
