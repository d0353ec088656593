//! One host application: its settings and its API keys.

use askama::Template;
use http::StatusCode;
use sidekey_core::colour::Colour;
use sidekey_core::id::AppId;
use sidekey_core::policy::Enforcement;

use super::apps::{KeyPage, enforcement_of, query};
use super::{Frame, Section, done, reason, refused_app};
use crate::apps::settings::{DAY, GRACE_DAYS_MAX, word};
use crate::apps::{App, Edit, KeyShown, Logo, ReturnUrl, ReturnUrls};
use crate::caller::Operator;
use crate::context::Context;
use crate::entropy::Entropy;
use crate::http::{Call, Code, Problem, rfc3339};
use crate::operators::Role;
use crate::pages::{Form, Shown, page};

#[derive(Template)]
#[template(path = "admin/app.html")]
struct AppPage {
    frame: Frame,
    app: App,
    query: String,
    created_at: String,
    enforcement: &'static str,
    grace_days: u64,
    grace_days_max: u16,
    return_urls: String,
    accent_color: String,
    logo: Option<String>,
    keys: Vec<KeyLine>,
    may_change: bool,
}

/// An API key in the list.
struct KeyLine {
    key_id: String,
    created_at: String,
    revoked_at: Option<String>,
}

/// The app that the query names.
fn named(call: &Call) -> Result<AppId, Problem> {
    let name = call.parameter("app").unwrap_or_default();
    AppId::parse(&name).map_err(|_| Problem::new(Code::NotFound))
}

/// The page.
///
/// # Errors
/// There is no such app, or the store is not available.
pub(super) async fn show(context: &Context, operator: &Operator, call: &Call) -> Result<Shown, Problem> {
    let id = named(call)?;
    let app = context.apps.find(&id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    let line = |KeyShown { key_id, created_at, revoked_at }| KeyLine {
        key_id,
        created_at: rfc3339(created_at),
        revoked_at: revoked_at.map(rfc3339),
    };
    let grace_days = match app.enforcement {
        Enforcement::Required { grace_seconds } => grace_seconds / DAY,
        Enforcement::Optional | Enforcement::Encouraged | Enforcement::AdminsOnly => 0,
    };
    let shown = AppPage {
        frame: Frame::of(context, operator, call, Section::Apps),
        query: query(&id),
        created_at: rfc3339(app.created_at),
        enforcement: word(app.enforcement),
        grace_days,
        grace_days_max: GRACE_DAYS_MAX,
        return_urls: app.return_urls.iter().collect::<Vec<_>>().join("\n"),
        accent_color: app.accent_color.map(|colour| colour.to_string()).unwrap_or_default(),
        logo: app.logo.as_ref().map(|logo| logo.as_str().to_owned()),
        keys: context.apps.keys(&id).await.map_err(refused_app)?.into_iter().map(line).collect(),
        may_change: operator.is(Role::Admin),
        app: (*app).clone(),
    };
    Ok(page(StatusCode::OK, &shown))
}

/// Changes settings, makes a key, or makes one worthless.
///
/// # Errors
/// The operator may not, a field is none, there is no such app or key, or the store is not available.
pub(super) async fn post(
    context: &Context,
    operator: &Operator,
    call: &Call,
    form: &Form,
) -> Result<Shown, Problem> {
    let admin = operator.admin(reason(form)?)?;
    let (id, origin) = (named(call)?, admin.origin());
    let back = format!("app/{}", query(&id));
    match form.text("action") {
        "change" => {
            context.apps.change(&id, &edits(form)?, origin).await.map_err(refused_app)?;
            Ok(done(context, &back, "The settings count from now on."))
        }
        "create-key" => {
            let key = context.apps.create_key(&id, origin, &mut Entropy).await.map_err(refused_app)?;
            let app = context.apps.find(&id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
            let shown = KeyPage {
                frame: Frame::of(context, operator, call, Section::Apps),
                query: query(&id),
                app: (*app).clone(),
                key_id: key.key_id,
                api_key: key.api_key.expose().to_owned(),
            };
            Ok(page(StatusCode::OK, &shown))
        }
        "revoke-key" => {
            let key_id = form.text("key_id");
            context.apps.revoke_key(&id, key_id, origin).await.map_err(refused_app)?;
            Ok(done(context, &back, &format!("The key {key_id} is worthless from now on.")))
        }
        _ => Err(Problem::new(Code::NotFound)),
    }
}

/// All settings of the form: what is as it was is no change.
fn edits(form: &Form) -> Result<Vec<Edit>, Problem> {
    let urls = form.text("return_urls").lines().map(str::trim).filter(|line| !line.is_empty());
    let refused = |error| Problem::field("return_urls", error);
    let urls = urls.map(ReturnUrl::parse).collect::<Result<Vec<_>, _>>().map_err(refused)?;
    let colour = match form.text("accent_color") {
        "" => None,
        text => {
            Some(Colour::parse(text).map_err(|error| Problem::field("accent_color", &error.to_string()))?)
        }
    };
    let mut edits = vec![
        Edit::Name(form.text("name").to_owned()),
        Edit::Enforcement(enforcement_of(form)?),
        Edit::ReturnUrls(ReturnUrls::new(urls).map_err(refused)?),
        Edit::AccentColor(colour),
    ];
    match (form.text("logo"), form.is_ticked("no_logo")) {
        (_, true) => edits.push(Edit::Logo(None)),
        ("", false) => {}
        (text, false) => {
            edits.push(Edit::Logo(Some(Logo::parse(text).map_err(|error| Problem::field("logo", error))?)));
        }
    }
    Ok(edits)
}
