//! `/admin/second-factor/`: the code after the password. An operator without a device is led to connect one.

use askama::Template;
use http::StatusCode;
use sidekey_core::account::Account;

use super::code::{self, CodeFields, Judged};
use super::{Frame, ROOT, sign_in};
use crate::caller::HalfWay;
use crate::context::Context;
use crate::http::{Call, Code, Problem};
use crate::pages::{Cookie, Form, Shown, page, redirect, refused_with};

/// Where it is, below `/admin/`.
pub(super) const PATH: &str = "second-factor/";

#[derive(Template)]
#[template(path = "admin/second_factor.html")]
struct SecondFactorPage {
    frame: Frame,
    to: String,
    name: String,
    fields: CodeFields,
}

#[derive(Template)]
#[template(path = "admin/enrol_closed.html")]
struct ClosedPage {
    frame: Frame,
    name: String,
}

/// What an operator half way in is asked for.
pub(super) enum Asked {
    /// A code of their device.
    Code,
    /// To connect a device.
    Enrolment,
    /// Nothing: the day for that is over.
    Nothing,
}

/// What this operator is asked for.
///
/// # Errors
/// The store is not available.
pub(super) async fn asked(context: &Context, half: &HalfWay) -> Result<Asked, Problem> {
    let account = context.store.account(&half.operator.account()?).await?;
    Ok(if account.as_ref().is_some_and(Account::is_protected) {
        Asked::Code
    } else if context.clock.now() < half.operator.enrol_until {
        Asked::Enrolment
    } else {
        Asked::Nothing
    })
}

/// The form.
///
/// # Errors
/// The store is not available.
pub(super) async fn show(context: &Context, half: &HalfWay, call: &Call) -> Result<Shown, Problem> {
    let to = sign_in::target(&call.parameter(sign_in::TO).unwrap_or_default());
    match asked(context, half).await? {
        Asked::Code => {
            let fields = CodeFields::of(context, &half.operator.account()?, "").await?;
            Ok(shown(context, half, to, fields))
        }
        Asked::Enrolment => Ok(redirect(&context.url("/admin/enrol/"))),
        Asked::Nothing => Ok(closed(context, half)),
    }
}

/// Judges the code, and leads on.
///
/// # Errors
/// The session is over, or the store is not available.
pub(super) async fn post(context: &Context, half: &HalfWay, form: &Form) -> Result<Shown, Problem> {
    let to = sign_in::target(form.text(sign_in::TO));
    let account = half.operator.account()?;
    match code::judge(context, &account, &half.origin, form, "").await? {
        Judged::Right => {
            Ok(redirect(&format!("{}{to}", context.url(ROOT))).with_cookie(&complete(context, half).await?))
        }
        Judged::Wrong(fields) => Ok(shown(context, half, to, fields)),
    }
}

/// The cookie of the session that begins now, in which both factors were given.
///
/// # Errors
/// The one before is over.
pub(super) async fn complete(context: &Context, half: &HalfWay) -> Result<String, Problem> {
    let begun = context.operators.complete(&half.session.hash, &half.origin).await?;
    let begun = begun.ok_or_else(|| Problem::new(Code::SessionExpired))?;
    Ok(Cookie::Admin.set(context, &begun.cookie))
}

/// The day in which a password alone connects a device is over.
pub(super) fn closed(context: &Context, half: &HalfWay) -> Shown {
    let frame = Frame::half_way(context, half);
    let page = ClosedPage { frame, name: half.operator.name.to_string() };
    refused_with(&Problem::new(Code::Forbidden), &page)
}

fn shown(context: &Context, half: &HalfWay, to: String, fields: CodeFields) -> Shown {
    let (frame, name) = (Frame::half_way(context, half), half.operator.name.to_string());
    let problem = fields.problem.clone();
    let template = SecondFactorPage { frame, to, name, fields };
    match problem {
        Some(problem) => refused_with(&problem, &template),
        None => page(StatusCode::OK, &template),
    }
}
