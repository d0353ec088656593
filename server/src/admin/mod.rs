//! The admin area: pages for the operators of the server, in English, that need no script.
//!
//! | module | what it is |
//! |---|---|
//! | `sign_in` | name and password, and the way out |
//! | `second_factor` | the code after the password |
//! | `enrol` | the first device of an operator, and the backup codes |
//! | `confirm` | a code again, before something is changed |
//! | `code` | the fields of a code, and what becomes of it |
//! | `overview` | what happened, in charts, and how the server stands |
//! | `trail`, `download` | the audit trail, and it as a file |
//! | `events` | what happens, as it happens |
//! | `apps`, `app` | host applications, their settings and keys |
//! | `server` | settings, destinations of events, a sweep at once |
//! | `entries` | entries of the trail as pages show them |
//! | `chart` | charts that need no script |
//! | `users` | the search for a user |
//! | `user` | one user, and what is done for them |
//! | `operators` | who may sign in |
//! | `frame` | what all templates have in common |
//! | `form` | what a posted form has to bring, and what it says |
//! | `refusal` | a refusal as a page |
//!
//! How a page is added:
//!
//! 1. a variant of [`Page`], a row in [`TABLE`] for each method, and an arm in `show` and, if it has forms, in `post`, below. Paths are
//!    exact; what a page is about stands in the query (`?app=…&user=…`), because names may hold any character;
//! 2. a file here with `show(context, operator, call) -> Result<Shown, Problem>` and `post(context, operator, call, form)`. When they run,
//!    the operator is signed in with both factors and a posted form has proved that it is ours (origin and token of the session);
//! 3. a template in `web/pages/admin/` that extends `admin/layout.html`, has the blocks `title` and `main`, and a field
//!    `frame: Frame`, made by [`Frame::of`]. A form has `{% call parts::hidden(frame, "action") %}{% endcall %}` and, where it changes
//!    something, `{% call parts::reason("id") %}{% endcall %}` of `admin/parts.html`. What the navigation shows is a [`Section`];
//! 4. what changes something asks for its caller first: `operator.support(reason(form)?)?` or `operator.admin(reason(form)?)?`. Too
//!    little a role is refused; a second factor that is too old leads to a page that asks for a code and then sends the same form again, so
//!    that nobody has to care;
//! 5. what was done is said by [`done`]: a redirect to a page that shows the sentence once.

mod app;
mod apps;
mod chart;
mod code;
mod confirm;
mod download;
mod enrol;
mod entries;
mod events;
mod form;
mod frame;
mod operators;
mod overview;
mod refusal;
mod second_factor;
mod server;
mod sign_in;
mod trail;
mod user;
mod users;

use http::{Method, header};

use crate::apps::AppError;
use crate::caller::{Arrived, HalfWay, Operator, arrived};
use crate::context::Context;
use crate::http::{Call, Code, Problem, Reply};
use crate::pages::{Form, Shown, csrf, redirect, require_own_origin};
use crate::store::StoreError;

pub(crate) use form::reason;
pub(crate) use frame::{Frame, Section, done};

/// Where the admin area is, below the base path.
const ROOT: &str = "/admin/";

/// What is shown, and what forms are posted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    SignIn,
    SecondFactor,
    Enrol,
    SignOut,
    Overview,
    Users,
    User,
    Operators,
    Trail,
    Events,
    /// The stream of the events page.
    EventStream,
    Apps,
    App,
    Server,
}

impl Page {
    /// Whether it leads into the area.
    const fn is_on_the_way_in(self) -> bool {
        matches!(self, Self::SignIn | Self::SecondFactor | Self::Enrol)
    }
}

/// Method, path below `/admin/` without its final slash, page.
const TABLE: &[(Method, &str, Page)] = &[
    (Method::GET, "", Page::Overview),
    (Method::GET, "users", Page::Users),
    (Method::GET, "user", Page::User),
    (Method::POST, "user", Page::User),
    (Method::GET, "sign-in", Page::SignIn),
    (Method::POST, "sign-in", Page::SignIn),
    (Method::GET, "second-factor", Page::SecondFactor),
    (Method::POST, "second-factor", Page::SecondFactor),
    (Method::GET, "enrol", Page::Enrol),
    (Method::POST, "enrol", Page::Enrol),
    (Method::POST, "sign-out", Page::SignOut),
    (Method::GET, "operators", Page::Operators),
    (Method::POST, "operators", Page::Operators),
    (Method::GET, "trail", Page::Trail),
    (Method::POST, "trail", Page::Trail),
    (Method::GET, "events", Page::Events),
    (Method::GET, "events/stream", Page::EventStream),
    (Method::GET, "apps", Page::Apps),
    (Method::POST, "apps", Page::Apps),
    (Method::GET, "app", Page::App),
    (Method::POST, "app", Page::App),
    (Method::GET, "server", Page::Server),
    (Method::POST, "server", Page::Server),
];

/// Shows a page to somebody who is signed in.
async fn show(context: &Context, page: Page, operator: &Operator, call: &Call) -> Result<Shown, Problem> {
    match page {
        Page::Overview => overview::show(context, operator, call).await,
        Page::Trail => trail::show(context, operator, call).await,
        Page::Events => events::show(context, operator, call).await,
        Page::EventStream => events::stream(context, operator, call),
        Page::Apps => apps::show(context, operator, call).await,
        Page::App => app::show(context, operator, call).await,
        Page::Server => server::show(context, operator, call).await,
        Page::Users => users::show(context, operator, call).await,
        Page::User => user::show(context, operator, call).await,
        Page::Operators => operators::show(context, operator, call).await,
        Page::SignIn | Page::SecondFactor | Page::Enrol | Page::SignOut => Ok(redirect(&context.url(ROOT))),
    }
}

/// Does what a form asks for that somebody who is signed in has posted.
async fn post(
    context: &Context,
    page: Page,
    operator: &Operator,
    call: &Call,
    form: &Form,
) -> Result<Shown, Problem> {
    match page {
        Page::Operators => operators::post(context, operator, form).await,
        Page::User => user::post(context, operator, form).await,
        Page::SignOut => sign_in::out(context, &operator.session, &operator.name, &operator.origin).await,
        Page::SignIn | Page::SecondFactor | Page::Enrol => Ok(redirect(&context.url(ROOT))),
        Page::Trail => download::post(context, operator, form).await,
        Page::Apps => apps::post(context, operator, call, form).await,
        Page::App => app::post(context, operator, call, form).await,
        Page::Server => server::post(context, operator, form).await,
        Page::Overview | Page::Users | Page::Events | Page::EventStream => Err(Problem::new(Code::NotFound)),
    }
}

/// Answers a request below `/admin/`.
pub async fn answer(context: &Context, mut call: Call) -> Reply {
    let outcome = answered(context, &mut call).await;
    outcome.unwrap_or_else(|problem| refusal::page(context, &problem)).secured()
}

async fn answered(context: &Context, call: &mut Call) -> Result<Shown, Problem> {
    if !context.settings.admin {
        return Err(Problem::new(Code::NotFound));
    }
    let page = find(call)?;
    let form = if call.method == Method::POST {
        require_own_origin(context, &call.headers)?;
        Some(Form::read(call).await?)
    } else {
        None
    };
    match (arrived(context, call).await?, form) {
        (Arrived::SignedIn(operator), None) => {
            let shown = show(context, page, &operator, call).await?;
            Ok(frame::said_once(context, call, shown))
        }
        // The form of a page from before the sign-in, posted twice: nothing is left to be done for it.
        (Arrived::SignedIn(_), Some(_)) if page.is_on_the_way_in() => Ok(redirect(&context.url(ROOT))),
        (Arrived::SignedIn(mut operator), Some(form)) => {
            csrf::require_value(&operator.session.csrf, &form)?;
            if let Some(asked_again) = confirm::taken(context, &mut operator, call, &form).await? {
                return Ok(asked_again);
            }
            match post(context, page, &operator, call, &form).await {
                Err(problem) if problem.code() == Code::SecondFactorRequired => {
                    confirm::show(context, &operator, call, &form).await
                }
                outcome => outcome,
            }
        }
        (Arrived::HalfWay(half), form) => half_way(context, page, &half, call, form.as_ref()).await,
        (Arrived::Stranger, None) if page == Page::SignIn => sign_in::show(context, call).await,
        (Arrived::Stranger, Some(form)) if page == Page::SignIn => sign_in::post(context, call, &form).await,
        (Arrived::Stranger, _) => Ok(sign_in::elsewhere(context, call, sign_in::PATH)),
    }
}

/// Answers somebody who has given the password only.
async fn half_way(
    context: &Context,
    page: Page,
    half: &HalfWay,
    call: &Call,
    form: Option<&Form>,
) -> Result<Shown, Problem> {
    if let (Page::SignIn, Some(form)) = (page, form) {
        // Somebody else at the same browser, or the same once more: no token is asked for, as of a stranger.
        return sign_in::post(context, call, form).await;
    }
    if let Some(form) = form {
        csrf::require_value(&half.session.csrf, form)?;
    }
    match (page, form) {
        (Page::SignIn, None) => sign_in::show(context, call).await,
        (Page::SecondFactor, None) => second_factor::show(context, half, call).await,
        (Page::SecondFactor, Some(form)) => second_factor::post(context, half, form).await,
        (Page::Enrol, None) => enrol::show(context, half).await,
        (Page::Enrol, Some(form)) => enrol::post(context, half, form).await,
        (Page::SignOut, Some(_)) => {
            sign_in::out(context, &half.session, &half.operator.name, &half.origin).await
        }
        _ => Ok(sign_in::elsewhere(context, call, second_factor::PATH)),
    }
}

/// The page that a request is for.
fn find(call: &Call) -> Result<Page, Problem> {
    let path = call.name.as_deref().unwrap_or_default();
    let is_asked =
        |method: &Method| *method == call.method || (call.method == Method::HEAD && *method == Method::GET);
    let rows = || TABLE.iter().filter(|(_, pattern, _)| *pattern == path);
    if let Some((_, _, page)) = rows().find(|(method, ..)| is_asked(method)) {
        return Ok(*page);
    }
    let mut allowed: Vec<_> = rows().map(|(method, ..)| method.as_str()).collect();
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    if allowed.is_empty() {
        return Err(Problem::new(Code::NotFound));
    }
    Err(Problem::new(Code::MethodNotAllowed).with_header(header::ALLOW, allowed.join(", ")))
}

/// Why a change of apps and keys is refused.
fn refused_app(error: AppError) -> Problem {
    match error {
        AppError::InvalidName => {
            Problem::field("name", "must have 1 to 100 characters and no control characters")
        }
        AppError::Exists(_) => Problem::field("id", "is that of another application"),
        AppError::UnknownApp(_) | AppError::UnknownKey { .. } => Problem::new(Code::NotFound),
        AppError::TooManyKeys(_) => {
            Problem::new(Code::Forbidden).saying("The application has as many API keys as it can have.")
        }
        AppError::Store(error) => error.into(),
        AppError::Commit(error) => StoreError::from(error).into(),
    }
}
