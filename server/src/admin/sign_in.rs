//! `/admin/sign-in/`: name and password, and the way out.

use askama::Template;
use http::StatusCode;

use super::{Frame, ROOT, second_factor};
use crate::audit::Origin;
use crate::caller::SessionInHand;
use crate::context::Context;
use crate::http::{Call, Code, Problem};
use crate::operators::{OperatorName, SignInRefusal};
use crate::pages::{Cookie, Form, Shown, page, redirect, refused_with};

/// Where it is, below `/admin/`.
pub(super) const PATH: &str = "sign-in/";
/// The parameter and field with the page to go on to.
pub(super) const TO: &str = "to";
/// A longer target is not carried along, in bytes.
const MAX_TARGET: usize = 1_024;

#[derive(Template)]
#[template(path = "admin/sign_in.html")]
struct SignInPage {
    frame: Frame,
    /// Where to go on to, below `/admin/`.
    to: String,
    /// The name as it was typed.
    name: String,
    /// Whether it was refused.
    is_refused: bool,
    /// Whether there is nobody yet who could sign in.
    is_empty: bool,
}

/// The form.
///
/// # Errors
/// The store is not available.
pub(super) async fn show(context: &Context, call: &Call) -> Result<Shown, Problem> {
    let to = target(&call.parameter(TO).unwrap_or_default());
    let is_empty = !context.operators.is_any().await?;
    let frame = Frame::plain(context);
    Ok(page(StatusCode::OK, &SignInPage { frame, to, name: String::new(), is_refused: false, is_empty }))
}

/// Judges name and password.
///
/// # Errors
/// Too many tries from this address, too many wait, or the store is not available.
pub(super) async fn post(context: &Context, call: &Call, form: &Form) -> Result<Shown, Problem> {
    context.count_password(call.origin().ip_address)?;
    let to = target(form.text(TO));
    let (name, password) = (form.text("name"), form.exact("password"));
    match context.operators.sign_in(&context.hasher, name, password, call.origin()).await {
        Ok((_, session)) => {
            let onward = redirect(&address(context, second_factor::PATH, &to));
            Ok(onward.with_cookie(&Cookie::Admin.set(context, &session.cookie)))
        }
        Err(SignInRefusal::Refused) => {
            let frame = Frame::plain(context);
            let name = name.chars().take(64).collect();
            let shown = SignInPage { frame, to, name, is_refused: true, is_empty: false };
            Ok(refused_with(&Problem::new(Code::Forbidden), &shown))
        }
        Err(SignInRefusal::Failed(problem)) => Err(problem),
    }
}

/// Ends the session of a browser.
///
/// # Errors
/// The store is not available.
pub(super) async fn out(
    context: &Context,
    session: &SessionInHand,
    operator: &OperatorName,
    origin: &Origin,
) -> Result<Shown, Problem> {
    context.operators.end_session(&session.hash, operator, origin).await?;
    Ok(redirect(&address(context, PATH, "")).with_cookie(&Cookie::Admin.clear(context)))
}

/// To a page that somebody has to pass, and from there to the one that was asked for, if one was to be looked at.
pub(super) fn elsewhere(context: &Context, call: &Call, path: &str) -> Shown {
    let asked = call.target();
    let below = asked.strip_prefix(&format!("{}{ROOT}", context.settings.base_path)).unwrap_or_default();
    let is_look = call.method.is_safe();
    redirect(&address(context, path, &if is_look { target(below) } else { String::new() }))
}

/// The address of a page that leads on to another one.
fn address(context: &Context, path: &str, to: &str) -> String {
    let url = format!("{}{path}", context.url(ROOT));
    if to.is_empty() {
        return url;
    }
    let to: String = form_urlencoded::byte_serialize(to.as_bytes()).collect();
    format!("{url}?{TO}={to}")
}

/// A target below `/admin/`; nothing for what is none.
pub(super) fn target(text: &str) -> String {
    let is_plain = text.len() <= MAX_TARGET && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain { text.to_owned() } else { String::new() }
}
