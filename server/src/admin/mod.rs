//! The admin area: pages for the operators of the server, in English, that need no script.
//!
//! | module | what it is |
//! |---|---|
//! | `sign_in` | name and password |
//! | `overview` | the first page |
//! | `users` | the search for a user |
//! | `user` | one user, and what is done for them |
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

mod form;
mod frame;
mod overview;
mod refusal;
mod sign_in;
mod user;
mod users;

use http::{Method, header};

use crate::caller::{Arrived, Operator, arrived};
use crate::context::Context;
use crate::http::{Call, Code, Problem, Reply};
use crate::pages::{Form, Shown, csrf, redirect, require_own_origin};

pub(crate) use form::reason;
pub(crate) use frame::{Frame, Section, done};

/// Where the admin area is, below the base path.
const ROOT: &str = "/admin/";

/// What is shown, and what forms are posted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    /// Name and password; the way out.
    SignIn,
    SignOut,
    Overview,
    Users,
    User,
}

/// Method, path below `/admin/` without its final slash, page.
const TABLE: &[(Method, &str, Page)] = &[
    (Method::GET, "", Page::Overview),
    (Method::GET, "users", Page::Users),
    (Method::GET, "user", Page::User),
    (Method::POST, "user", Page::User),
    (Method::GET, "sign-in", Page::SignIn),
    (Method::POST, "sign-in", Page::SignIn),
    (Method::POST, "sign-out", Page::SignOut),
];

/// Shows a page to somebody who is signed in.
async fn show(context: &Context, page: Page, operator: &Operator, call: &Call) -> Result<Shown, Problem> {
    match page {
        Page::Overview => overview::show(context, operator, call),
        Page::Users => users::show(context, operator, call).await,
        Page::User => user::show(context, operator, call).await,
        Page::SignIn | Page::SignOut => Ok(redirect(&context.url(ROOT))),
    }
}

/// Does what a form asks for that somebody who is signed in has posted.
async fn post(
    context: &Context,
    page: Page,
    operator: &Operator,
    _call: &Call,
    form: &Form,
) -> Result<Shown, Problem> {
    match page {
        Page::SignOut => sign_in::out(context, operator).await,
        Page::SignIn => Ok(redirect(&context.url(ROOT))),
        Page::User => user::post(context, operator, form).await,
        Page::Overview | Page::Users => Err(Problem::new(Code::NotFound)),
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
        (Arrived::SignedIn(operator), None) => show(context, page, &operator, call).await,
        (Arrived::SignedIn(operator), Some(form)) => {
            csrf::require_value(&operator.session.csrf, &form)?;
            post(context, page, &operator, call, &form).await
        }
        (Arrived::Stranger | Arrived::HalfWay(_), form) => match (page, form) {
            (Page::SignIn, None) => sign_in::show(context, call).await,
            (Page::SignIn, Some(form)) => sign_in::post(context, call, &form).await,
            (_, form) => Ok(sign_in::elsewhere(context, call, form.is_none())),
        },
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
    let allowed: Vec<_> = rows().map(|(method, ..)| method.as_str()).collect();
    if allowed.is_empty() {
        return Err(Problem::new(Code::NotFound));
    }
    Err(Problem::new(Code::MethodNotAllowed).with_header(header::ALLOW, allowed.join(", ")))
}
