//! `/2fa/account/device/`: one more device, or one in place of another, for somebody who is signed in.

use sidekey_core::id::DeviceId;

use super::{
    Form, Frame, Visit, account, backup_codes, csrf, hand_over,
    refusal::Failed,
    setup::{self, Posted, Way},
    view::{self, Shown},
    visit::SignedIn,
};
use crate::{
    caller::{Enroller, User},
    context::Context,
    http::{Call, Problem},
    operations::remove_device,
};

const PATH: &str = "/2fa/account/device/";
/// The parameter and field that names the device that the new one replaces.
const REPLACES: &str = "replaces";

/// The page; first the question for a code, where the last one was too long ago.
///
/// # Errors
/// There are as many devices as there may be, or the store is not available.
pub(super) async fn show(context: &Context, visit: &Visit, call: &Call) -> Result<Shown, Problem> {
    let Some(person) = visit.signed_in(context, call).await? else {
        return Ok(account::signed_out(context, visit));
    };
    let replaces = call.parameter(REPLACES).and_then(|id| DeviceId::parse(&id));
    if !person.is_fresh(context.clock.now()) {
        return account::confirm_page(
            context,
            visit,
            person,
            account::Next::AddDevice(replaces),
            Failed::default(),
        )
        .await;
    }
    let frame = Frame::of(context, visit, Some(&person.account.id.app)).await?.with_csrf(&person.csrf);
    let enroller = Enroller::User(person.user);
    let replaces = replaces.map(|id| id.to_string()).unwrap_or_default();
    setup::show(context, Way { frame, action: PATH, enroller: &enroller, replaces }).await
}

/// Judges the code; a right one may also remove the device that was replaced.
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
        return Ok(account::signed_out(context, visit));
    };
    let replaces = DeviceId::parse(form.text(REPLACES));
    if !person.is_fresh(context.clock.now()) {
        return account::confirm_page(
            context,
            visit,
            person,
            account::Next::AddDevice(replaces),
            Failed::default(),
        )
        .await;
    }
    let SignedIn { user, account, csrf, .. } = person;
    let frame = Frame::of(context, visit, Some(&account.id.app)).await?.with_csrf(&csrf);
    let enroller = Enroller::User(user);
    let text = replaces.map(|id| id.to_string()).unwrap_or_default();
    let way = Way { frame, action: PATH, enroller: &enroller, replaces: text };
    let confirmed = match setup::post(context, way, form).await? {
        Posted::Shown(shown) => return Ok(shown),
        Posted::Confirmed(confirmed) => confirmed,
    };
    let (family, Enroller::User(user)) = (&confirmed.family, enroller) else {
        return Ok(account::signed_out(context, visit));
    };
    // The old device goes last: until the new one is proved, the old one works.
    if let Some(old) = replaces {
        let user = User { login: family.login, second_factor: family.second_factor, ..user };
        remove_device::remove(context, &user, Some(old), None).await?;
    }
    let login = hand_over::login_value(context, family);
    let shown = match confirmed.backup_codes {
        Some(codes) => {
            let csrf = csrf::token(&context.pepper, &login);
            let frame = Frame::of(context, visit, Some(&account.id.app)).await?.with_csrf(&csrf);
            backup_codes::show(http::StatusCode::OK, frame, codes, account::PATH, csrf, false)
        }
        None => {
            view::redirect(&account::done(context, if replaces.is_some() { "replaced" } else { "added" }))
        }
    };
    Ok(shown.with_cookie(&hand_over::login_cookie(context, family)))
}
