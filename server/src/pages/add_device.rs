//! `/2fa/account/device/`: one more device, or one in place of another, for somebody who is signed in.

use http::StatusCode;
use sidekey_core::{account::MAX_DEVICES, id::DeviceId};

use super::{
    Form, Frame, Visit,
    account::{self, confirm},
    address, backup_codes, csrf, hand_over,
    refusal::{Asked, Failed, Failure},
    setup::{self, Posted, Way},
    view::{self, Shown},
    visit::SignedIn,
};
use crate::{
    caller::Enroller,
    context::Context,
    http::{Call, Code, Problem},
};

/// The parameter and field that names the device that the new one replaces.
const REPLACES: &str = "replaces";

/// Who has come.
enum Came {
    /// Somebody who may set up a device now.
    Ready(Box<SignedIn>),
    /// Anybody else, and what they see.
    Otherwise(Shown),
}

/// The page; first the question for a code, where the last one was too long ago.
///
/// # Errors
/// The store is not available.
pub(super) async fn show(context: &Context, visit: &Visit, call: &Call) -> Result<Shown, Problem> {
    let replaces = call.parameter(REPLACES).and_then(|id| DeviceId::parse(&id));
    let person = visit.signed_in(context, call).await?;
    let person = match came(context, visit, person, replaces, None).await? {
        Came::Ready(person) => person,
        Came::Otherwise(shown) => return Ok(shown),
    };
    let frame = Frame::of(context, visit, Some(&person.account.id.app)).await?.with_csrf(&person.csrf);
    let enroller = Enroller::User(person.user);
    setup::show(context, Way { frame, action: address::DEVICE, enroller: &enroller, replaces }).await
}

/// Judges the code; a right one also removes the device that was replaced.
///
/// # Errors
/// The form is not this browser's, or the store is not available.
pub(super) async fn post(
    context: &Context,
    visit: &Visit,
    call: &Call,
    form: &Form,
) -> Result<Shown, Problem> {
    let replaces = DeviceId::parse(form.text(REPLACES));
    let person = visit.posted_for_login(context, call, form).await?;
    let device = DeviceId::parse(form.text("device"));
    let person = match came(context, visit, person, replaces, device).await? {
        Came::Ready(person) => person,
        Came::Otherwise(shown) => return Ok(shown),
    };
    let SignedIn { user, account, csrf, .. } = *person;
    let frame = Frame::of(context, visit, Some(&account.id.app)).await?.with_csrf(&csrf);
    let enroller = Enroller::User(user);
    let way = Way { frame, action: address::DEVICE, enroller: &enroller, replaces };
    let confirmed = match setup::post(context, way, form).await? {
        Posted::Shown(shown) => return Ok(shown),
        Posted::Confirmed(confirmed) => confirmed,
    };
    let shown = match confirmed.backup_codes {
        Some(codes) => {
            let csrf = csrf::token(&context.pepper, &hand_over::login_value(context, &confirmed.family));
            let frame = Frame::of(context, visit, Some(&account.id.app)).await?.with_csrf(&csrf);
            backup_codes::show(StatusCode::OK, frame, codes, address::ACCOUNT, csrf, false)
        }
        None => account::done(context, if replaces.is_some() { "replaced" } else { "added" }),
    };
    Ok(shown.with_cookie(&hand_over::login_cookie(context, &confirmed.family)))
}

/// Who may set up a device: somebody who is signed in, has given a code lately, and has room for one more. `device` is the pending one that
/// their form is about.
async fn came(
    context: &Context,
    visit: &Visit,
    person: Option<SignedIn>,
    replaces: Option<DeviceId>,
    device: Option<DeviceId>,
) -> Result<Came, Problem> {
    let Some(person) = person else { return Ok(Came::Otherwise(account::signed_out(context, visit))) };
    if person.account.devices() >= MAX_DEVICES {
        // The page there says so, and has no link to this one.
        return Ok(Came::Otherwise(view::redirect(&context.url(address::ACCOUNT))));
    }
    let now = context.clock.now();
    if person.is_fresh(now) {
        return Ok(Came::Ready(Box::new(person)));
    }
    let is_expired = device.is_some_and(|device| !person.account.is_pending(device, now));
    let failed = if is_expired { expired(context, visit, &person).await? } else { Failed::default() };
    let next = confirm::Next::AddDevice(replaces);
    Ok(Came::Otherwise(confirm::page(context, visit, person, next, failed).await?))
}

/// What a form says whose key has expired, where the second factor has to be given before there can be another one.
async fn expired(context: &Context, visit: &Visit, person: &SignedIn) -> Result<Failed, Problem> {
    let text = Frame::of(context, visit, Some(&person.account.id.app)).await?.text;
    let mut failure = Failure::of(&text, "", Asked::Other, &Problem::new(Code::SetupExpired));
    failure.sentence = text.t("enroll.expired-meanwhile");
    Ok(Failed(Some(failure)))
}
