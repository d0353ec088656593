//! `/2fa/enroll/`: the first device of a newcomer, for the session that this browser was handed.

use http::StatusCode;
use sidekey_core::session::{Closed, Purpose};

use super::{
    Form, Frame, Visit, address, backup_codes, csrf,
    ending::{self, Verified, no_session},
    hand_over,
    setup::{self, Posted, Way},
    view::{self, Shown},
    visit::Handed,
};
use crate::{
    audit::Actor,
    caller::{Enroller, Newcomer},
    context::Context,
    http::{Call, Code, Problem},
};

/// The page.
///
/// # Errors
/// The store is not available.
pub(super) async fn show(context: &Context, visit: &Visit, call: &Call) -> Result<Shown, Problem> {
    if let Some(shown) = hand_over::of_session(context, visit, call, address::ENROLL).await? {
        return Ok(shown);
    }
    let Some(handed) = visit.handed(context).await? else { return Ok(no_session(context, visit)) };
    if handed.session.purpose != Purpose::Enrollment {
        return Ok(view::redirect(&context.url(address::CHALLENGE)));
    }
    if let Some(closed) = closed(context, visit, call, &handed).await? {
        return Ok(closed);
    }
    let enroller = enroller(&handed, call);
    let frame = Frame::of(context, visit, Some(&handed.session.account.app)).await?.with_csrf(&handed.csrf);
    let way = Way { frame, action: address::ENROLL, enroller: &enroller, replaces: None };
    let shown = setup::show(context, way).await?;
    Ok(shown.leading_to(handed.session.return_url.as_deref()))
}

/// What the form asks for: a code judged, a new secret, or to go on with the codes kept.
///
/// # Errors
/// The form is not this browser's, or the store is not available.
pub(super) async fn post(
    context: &Context,
    visit: &Visit,
    call: &Call,
    form: &Form,
) -> Result<Shown, Problem> {
    let Some(handed) = visit.posted_for_session(context, form).await? else {
        return Ok(no_session(context, visit));
    };
    let session = &handed.session;
    match form.text("action") {
        "continue" => return hand_over::onward_again(context, visit, call, session, address::ENROLL).await,
        "saved" => {
            let frame = Frame::of(context, visit, Some(&session.account.app)).await?.with_csrf(&handed.csrf);
            let file_csrf = form.text("file_csrf").to_owned();
            if let Some(again) = backup_codes::ask_again(frame, form, address::ENROLL, file_csrf) {
                return Ok(again.leading_to(session.return_url.as_deref()));
            }
            return hand_over::onward_again(context, visit, call, session, address::ENROLL).await;
        }
        _ => {}
    }
    if session.purpose != Purpose::Enrollment {
        return Ok(view::redirect(&context.url(address::CHALLENGE)));
    }
    if let Some(closed) = closed(context, visit, call, &handed).await? {
        return Ok(closed);
    }
    let enroller = enroller(&handed, call);
    let frame = Frame::of(context, visit, Some(&session.account.app)).await?.with_csrf(&handed.csrf);
    let way = Way { frame, action: address::ENROLL, enroller: &enroller, replaces: None };
    let confirmed = match setup::post(context, way, form).await {
        Ok(Posted::Confirmed(confirmed)) => confirmed,
        Ok(Posted::Shown(shown)) => return Ok(shown.leading_to(session.return_url.as_deref())),
        // The session has ended in between, or somebody else has connected a device.
        Err(problem) if matches!(problem.code(), Code::AuthRequired | Code::SecondFactorRequired) => {
            return match visit.handed(context).await? {
                Some(handed) => closed(context, visit, call, &handed).await?.ok_or(problem),
                None => Ok(no_session(context, visit)),
            };
        }
        Err(problem) => return Err(problem),
    };
    visit.note_language(context, &session.account).await;
    let login = hand_over::login_value(context, &confirmed.family);
    let shown = match &confirmed.backup_codes {
        Some(codes) => {
            let frame = Frame::of(context, visit, Some(&session.account.app)).await?.with_csrf(&handed.csrf);
            let file_csrf = csrf::token(&context.pepper, &login);
            backup_codes::show(StatusCode::OK, frame, codes.clone(), address::ENROLL, file_csrf, false)
        }
        None => hand_over::onward(context, session, &confirmed.family),
    };
    let shown = shown.leading_to(session.return_url.as_deref());
    Ok(shown.with_cookie(&hand_over::login_cookie(context, &confirmed.family)))
}

fn enroller(handed: &Handed, call: &Call) -> Enroller {
    Enroller::Newcomer(Newcomer {
        account: handed.session.account.clone(),
        session: handed.id,
        login: handed.session.login,
        origin: call.origin_as(Actor::Enrollment),
    })
}

/// The page of an enrolment that is over, if it is.
async fn closed(
    context: &Context,
    visit: &Visit,
    call: &Call,
    handed: &Handed,
) -> Result<Option<Shown>, Problem> {
    let session = &handed.session;
    let account = context.store.account(&session.account).await?;
    let Err(closed) = session.require_open(account.as_ref(), context.clock.now()) else { return Ok(None) };
    let frame = Frame::of(context, visit, Some(&session.account.app)).await?.with_csrf(&handed.csrf);
    let is_here = visit.is_login_of(context, call, session).await?;
    let shown = if closed == Closed::Verified {
        let lead = if is_here { "enroll.already-lead" } else { "enroll.already-lead-out" };
        let (title, lead) = (frame.t("enroll.already"), frame.t(lead));
        ending::verified(&Verified { title, lead, back: session.return_url.clone(), is_here, frame })
    } else {
        ending::over(frame, session, closed)
    };
    Ok(Some(shown.leading_to(session.return_url.as_deref())))
}
