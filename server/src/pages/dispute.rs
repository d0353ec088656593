//! `/2fa/dispute/`: where the link of a mail to an owner leads. It says what happened, and a form on it ends every login of the account.
//!
//! Programs that look for malware follow the links of mails, so opening one changes nothing: it becomes a cookie, as every link does, so
//! that the address that stays has none, and only the form that this browser posts counts.

use askama::Template;
use http::StatusCode;

use super::{
    Cookie, Form, Frame, Visit, address, csrf,
    view::{self, Message, Shown},
};
use crate::{
    context::Context,
    http::{Call, Problem},
    notify::mail::Happened,
    operations::dispute::{self, Disputable},
    token::session_link::PARAMETER,
};

#[derive(Template)]
#[template(path = "dispute.html")]
struct DisputePage {
    frame: Frame,
    happened: Happened,
    /// Whether every login has been ended by the link.
    is_done: bool,
}

/// What happened, and the form; or that it is done.
///
/// # Errors
/// The store is not available.
pub(super) async fn show(context: &Context, visit: &Visit, call: &Call) -> Result<Shown, Problem> {
    if let Some(link) = call.parameter(PARAMETER) {
        return Ok(match dispute::find(context, &link).await? {
            Some(found) => view::redirect(&context.url(address::DISPUTE))
                .with_cookie(&Cookie::Dispute.set(context, found.token().expose())),
            None => over(context, visit),
        });
    }
    match followed(context, call).await? {
        Some((found, cookie)) => page(context, visit, &found, &cookie).await,
        None => Ok(over(context, visit)),
    }
}

/// Ends every login of the account.
///
/// # Errors
/// The form is not this browser's, or the store is not available.
pub(super) async fn post(
    context: &Context,
    visit: &Visit,
    call: &Call,
    form: &Form,
) -> Result<Shown, Problem> {
    let Some((found, cookie)) = followed(context, call).await? else { return Ok(over(context, visit)) };
    csrf::require_token(context, &cookie, form)?;
    found.run(context, call.origin()).await?;
    Ok(view::redirect(&context.url(address::DISPUTE)))
}

/// What the link that this browser followed is about, and the cookie that holds it.
async fn followed(context: &Context, call: &Call) -> Result<Option<(Disputable, String)>, Problem> {
    let Some(cookie) = Cookie::Dispute.read(context, &call.headers) else { return Ok(None) };
    Ok(dispute::find(context, &cookie).await?.map(|found| (found, cookie)))
}

async fn page(context: &Context, visit: &Visit, found: &Disputable, cookie: &str) -> Result<Shown, Problem> {
    let frame = Frame::of(context, visit, Some(&found.account.app)).await?;
    let frame = frame.with_csrf(&csrf::token(&context.pepper, cookie));
    let Some(happened) = Happened::of(&frame.text, &found.notice, None) else {
        return Ok(over(context, visit));
    };
    let is_done = found.is_done(context).await?;
    Ok(view::page(StatusCode::OK, &DisputePage { frame, happened, is_done }))
}

/// There is no such link, or not any more.
fn over(context: &Context, visit: &Visit) -> Shown {
    let frame = Frame::plain(context, visit);
    let (title, lead) = (frame.t("dispute.over"), frame.t("dispute.over-lead"));
    view::page(StatusCode::BAD_REQUEST, &Message { title, lead, onward: None, other: None, frame })
}
