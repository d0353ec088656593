//! `/2fa/account/`: devices, backup codes, trusted browsers, recent activity, signing out everywhere, turning 2FA off, for somebody who is signed in to the pages.

use askama::Template;
use http::StatusCode;
use sidekey_core::{
    account::Account,
    backup_code::LOW,
    id::{BrowserId, DeviceId, DeviceName},
    time::UnixTime,
};

use super::{
    Form, Frame, Visit, backup_codes,
    cookie::Cookie,
    hand_over,
    history::{self, ActivityRow, BrowserRow},
    refusal::{Asked, Failed, Failure},
    view::{self, Message, Shown},
    visit::SignedIn,
};
use crate::{
    context::Context,
    http::{Call, Code, Problem, rfc3339},
    operations::{
        change_device, confirm_login, disable, forget_browser, remove_device, renew_backup_codes,
        revoke_token, sign_out,
    },
};

pub(super) const PATH: &str = "/2fa/account/";

/// A moment, for programs and for people.
pub(super) struct Moment {
    pub(super) iso: String,
    pub(super) shown: String,
}

impl Moment {
    /// To the minute, in UTC; a script says it in the reader's own way.
    pub(super) fn of(time: UnixTime) -> Self {
        let iso = rfc3339(time);
        let shown =
            iso.get(..16).map_or_else(|| iso.clone(), |text| format!("{} UTC", text.replace('T', " ")));
        Self { iso, shown }
    }
}

struct DeviceRow {
    id: String,
    name: String,
    is_primary: bool,
    added: Moment,
    used: Option<Moment>,
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    account: String,
    done: Option<String>,
    failed: Failed,
    is_fresh: bool,
    needs_next_code: bool,
    devices: Vec<DeviceRow>,
    codes_left: String,
    is_low: bool,
    browsers: Vec<BrowserRow>,
    activity: Vec<ActivityRow>,
}

#[derive(Template)]
#[template(path = "confirm.html")]
pub(super) struct ConfirmPage {
    pub(super) frame: Frame,
    /// Where the form is posted to.
    pub(super) action: &'static str,
    /// What it carries besides the code.
    pub(super) hidden: Vec<(&'static str, String)>,
    pub(super) failed: Failed,
    pub(super) needs_next_code: bool,
}

/// Where a confirmation leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// To the account page.
    Account,
    /// To the page for one more device, or one in place of another.
    AddDevice(Option<DeviceId>),
}

impl Next {
    fn read(form: &Form) -> Self {
        match form.text("next") {
            "device" => Self::AddDevice(DeviceId::parse(form.text("replaces"))),
            _ => Self::Account,
        }
    }

    fn url(self, context: &Context) -> String {
        match self {
            Self::Account => context.url(PATH),
            Self::AddDevice(None) => context.url("/2fa/account/device/"),
            Self::AddDevice(Some(old)) => format!("{}?replaces={old}", context.url("/2fa/account/device/")),
        }
    }
}

/// The page, or what stands before it: a link that is taken over, somebody who is not signed in, a second factor that is missing.
///
/// # Errors
/// A link that leads nowhere, or the store is not available.
pub(super) async fn show(context: &Context, visit: &Visit, call: &Call) -> Result<Shown, Problem> {
    if let Some(shown) = hand_over::of_login(context, visit, call).await? {
        return Ok(shown);
    }
    let Some(person) = visit.signed_in(context, call).await? else { return Ok(signed_out(context, visit)) };
    if person.is_half_way(context.clock.now()) {
        return confirm_page(context, visit, person, Next::Account, Failed::default()).await;
    }
    let done = call.parameter("done");
    render(context, visit, person, done.as_deref(), Failed::default()).await
}

/// Where the account page says that something is done.
pub(super) fn done(context: &Context, what: &str) -> String {
    format!("{}?done={what}", context.url(PATH))
}

/// Does what a form of the page asks for.
///
/// # Errors
/// The form is not this browser's, or the store is not available.
pub(super) async fn post(
    context: &Context,
    visit: &Visit,
    call: &Call,
    form: &Form,
) -> Result<Shown, Problem> {
    let Some(person) = visit.posted_for_login(context, call, form).await? else {
        return Ok(signed_out(context, visit));
    };
    let action = form.text("action");
    if action == "sign-out" {
        revoke_token::end_login(context, person.user.subject(), &person.user.origin).await?;
        return Ok(view::redirect(&context.url(PATH)).with_cookie(&Cookie::Login.clear(context)));
    }
    if action == "sign-out-everywhere" {
        return match sign_out::everywhere(context, &person.user).await {
            Ok(()) => Ok(view::redirect(&context.url(PATH))
                .with_cookie(&Cookie::Login.clear(context))
                .with_cookie(&Cookie::Browser.clear(context))),
            Err(problem) => refused(context, visit, call, "sign-out-everywhere", Asked::Other, problem).await,
        };
    }
    if action == "confirm" {
        return confirm(context, visit, person, form).await;
    }
    let frame = Frame::of(context, visit, Some(&person.account.id.app)).await?.with_csrf(&person.csrf);
    if action == "saved" {
        let csrf = person.csrf.clone();
        let again = backup_codes::ask_again(frame, form, PATH, csrf);
        return Ok(again.unwrap_or_else(|| view::redirect(&done(context, "renewed"))));
    }
    if action == "renew" {
        let renewed = match form.answer().answer_or_code_required() {
            Ok(answer) => renew_backup_codes::renewed(context, &person.user, &answer).await,
            Err(problem) => Err(problem),
        };
        return match renewed {
            Ok(codes) => Ok(backup_codes::show(StatusCode::OK, frame, codes, PATH, person.csrf, false)),
            Err(problem) => refused(context, visit, call, "renew", Asked::Code, problem).await,
        };
    }
    let id = DeviceId::parse(form.text("device"));
    let at = |form: &str| id.map_or_else(String::new, |id| format!("{form} {id}"));
    let (what, form, asked, outcome) = match action {
        "rename" => ("renamed", at("rename"), Asked::Name, rename(context, &person, id, form).await),
        "primary" => {
            let changed = change_device::change(context, &person.user, id, None, true).await.map(drop);
            ("primary", at("primary"), Asked::Other, changed)
        }
        "remove" => {
            ("removed", at("remove"), Asked::Code, remove(context, visit, call, &person, id, form).await)
        }
        "forget" => {
            let id = BrowserId::parse(form.text("browser"));
            ("forgotten", String::new(), Asked::Other, forget(context, &person, id).await)
        }
        "disable" => {
            let answer = form.answer();
            let is_backup_code = form.text("code").is_empty() && !form.text("backup_code").is_empty();
            let asked = if is_backup_code { Asked::BackupCode } else { Asked::Code };
            ("disabled", "disable".to_owned(), asked, disable::disable(context, &person.user, &answer).await)
        }
        _ => return Err(Problem::new(Code::Validation)),
    };
    match outcome {
        Ok(()) => Ok(view::redirect(&done(context, what))),
        Err(problem) => refused(context, visit, call, &form, asked, problem).await,
    }
}

/// Ends the trust in a browser. Where it has ended already, there is nothing left to say.
async fn forget(context: &Context, person: &SignedIn, id: Option<BrowserId>) -> Result<(), Problem> {
    match forget_browser::forget(context, &person.user, id).await {
        Err(problem) if problem.code() == Code::NotFound => Ok(()),
        outcome => outcome,
    }
}

async fn rename(
    context: &Context,
    person: &SignedIn,
    id: Option<DeviceId>,
    form: &Form,
) -> Result<(), Problem> {
    let name = DeviceName::parse(form.text("name"));
    let name = name.map_err(|error| Problem::field("name", &error.to_string()))?;
    change_device::change(context, &person.user, id, Some(name), false).await.map(drop)
}

/// Removes a device that is not the last one. Where the second factor was too long ago, the form carries a code.
async fn remove(
    context: &Context,
    visit: &Visit,
    call: &Call,
    person: &SignedIn,
    id: Option<DeviceId>,
    form: &Form,
) -> Result<(), Problem> {
    let is_active = id.is_some_and(|id| person.account.active_device(id).is_some());
    if !is_active || person.is_fresh(context.clock.now()) {
        return remove_device::remove(context, &person.user, id, None).await.map(drop);
    }
    confirm_login::confirm(context, &person.user, person.page_login, &form.answer()).await?;
    let person = visit.signed_in(context, call).await?.ok_or_else(|| Problem::new(Code::AuthRequired))?;
    remove_device::remove(context, &person.user, id, None).await.map(drop)
}

/// The second factor again, before something that needs a fresh one.
async fn confirm(context: &Context, visit: &Visit, person: SignedIn, form: &Form) -> Result<Shown, Problem> {
    let next = Next::read(form);
    let is_backup_code = form.text("code").is_empty() && !form.text("backup_code").is_empty();
    let asked = if is_backup_code { Asked::BackupCode } else { Asked::Code };
    match confirm_login::confirm(context, &person.user, person.page_login, &form.answer()).await {
        Ok(()) => Ok(view::redirect(&next.url(context))),
        Err(problem) if super::challenge::is_of_the_form(problem.code()) => {
            let frame = Frame::of(context, visit, Some(&person.account.id.app)).await?;
            let failure = Failure::of(&frame.text, "confirm", asked, &problem);
            confirm_page(context, visit, person, next, Failed(Some(failure))).await
        }
        Err(problem) => Err(problem),
    }
}

/// The page that asks for the second factor again.
///
/// # Errors
/// The store is not available.
pub(super) async fn confirm_page(
    context: &Context,
    visit: &Visit,
    person: SignedIn,
    next: Next,
    failed: Failed,
) -> Result<Shown, Problem> {
    let frame = Frame::of(context, visit, Some(&person.account.id.app)).await?.with_csrf(&person.csrf);
    let (name, replaces) = match next {
        Next::Account => ("account", None),
        Next::AddDevice(replaces) => ("device", replaces),
    };
    let replaces = replaces.map(|id| id.to_string()).unwrap_or_default();
    let page = ConfirmPage {
        action: PATH,
        hidden: vec![("next", name.to_owned()), ("replaces", replaces)],
        needs_next_code: person.account.needs_next_code(context.clock.now()),
        failed,
        frame,
    };
    Ok(view::page(page.failed.status(), &page))
}

/// The page again, with what was refused where it was typed; another page, where the login is what is missing.
async fn refused(
    context: &Context,
    visit: &Visit,
    call: &Call,
    form: &str,
    asked: Asked,
    problem: Problem,
) -> Result<Shown, Problem> {
    let Some(person) = visit.signed_in(context, call).await? else { return Ok(signed_out(context, visit)) };
    match problem.code() {
        Code::SecondFactorRequired => {
            confirm_page(context, visit, person, Next::Account, Failed::default()).await
        }
        Code::Internal | Code::Unavailable | Code::Forbidden | Code::AuthRequired => Err(problem),
        _ => {
            let frame = Frame::of(context, visit, Some(&person.account.id.app)).await?;
            let failure = Failure::of(&frame.text, form, asked, &problem);
            render(context, visit, person, None, Failed(Some(failure))).await
        }
    }
}

async fn render(
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
    Ok(view::page(page.failed.status(), &page))
}

fn devices(account: &Account) -> Vec<DeviceRow> {
    let rows = account.active_devices().iter().map(|device| DeviceRow {
        id: device.id.to_string(),
        name: device.name.to_string(),
        is_primary: account.is_primary(device.id),
        added: Moment::of(device.confirmed_at),
        used: device.last_used_at.map(Moment::of),
    });
    rows.collect()
}

/// Nobody is signed in here.
pub(super) fn signed_out(context: &Context, visit: &Visit) -> Shown {
    let frame = Frame::plain(context, visit);
    let (title, lead) = (frame.t("account.signed-out"), frame.t("account.signed-out-lead"));
    view::page(StatusCode::OK, &Message { title, lead, onward: None, other: None, frame })
}
