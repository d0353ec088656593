//! What the forms of the page ask for.

use http::StatusCode;
use sidekey_core::id::{BrowserId, DeviceId, DeviceName};

use super::{
    super::{
        Form, Frame, Visit, address, backup_codes,
        cookie::Cookie,
        refusal::{Asked, Failed, Failure},
        view::{self, Shown},
        visit::SignedIn,
    },
    confirm::{self, Next},
    link, page, signed_out,
};
use crate::{
    context::Context,
    http::{Call, Code, Problem},
    operations::{
        change_device, confirm_login, disable, forget_browser, remove_device, renew_backup_codes,
        revoke_token, sign_out,
    },
};

/// Back to the account page, which says once that something is done.
pub(in super::super) fn done(context: &Context, what: &str) -> Shown {
    view::redirect(&context.url(address::ACCOUNT)).with_cookie(&Cookie::Done.set(context, what))
}

/// Does what a form asks for.
///
/// # Errors
/// The form is not this browser's, or the store is not available.
pub(in super::super) async fn post(
    context: &Context,
    visit: &Visit,
    call: &Call,
    form: &Form,
) -> Result<Shown, Problem> {
    let Some(person) = visit.posted_for_login(context, call, form).await? else {
        return Ok(signed_out(context, visit));
    };
    match form.text("action") {
        "confirm" => confirm::post(context, visit, person, form).await,
        "switch" => link::switch(context, call, form).await,
        "sign-out" => sign_out_here(context, &person).await,
        "sign-out-everywhere" => sign_out_everywhere(context, visit, call, &person).await,
        "renew" => renew(context, visit, call, person, form).await,
        "saved" => {
            let frame = Frame::of(context, visit, Some(&person.account.id.app)).await?;
            let frame = frame.with_csrf(&person.csrf);
            let again = backup_codes::ask_again(frame, form, address::ACCOUNT, person.csrf);
            Ok(again.unwrap_or_else(|| done(context, "renewed")))
        }
        action => change(context, visit, call, &person, form, action).await,
    }
}

async fn sign_out_here(context: &Context, person: &SignedIn) -> Result<Shown, Problem> {
    revoke_token::end_login(context, person.user.subject(), &person.user.origin).await?;
    Ok(view::redirect(&context.url(address::ACCOUNT)).with_cookie(&Cookie::Login.clear(context)))
}

async fn sign_out_everywhere(
    context: &Context,
    visit: &Visit,
    call: &Call,
    person: &SignedIn,
) -> Result<Shown, Problem> {
    match sign_out::everywhere(context, &person.user).await {
        Ok(()) => Ok(view::redirect(&context.url(address::ACCOUNT))
            .with_cookie(&Cookie::Login.clear(context))
            .with_cookie(&Cookie::browser_of(context, &person.user.account).clear(context))),
        Err(problem) => refused(context, visit, call, "sign-out-everywhere", Asked::Other, problem).await,
    }
}

async fn renew(
    context: &Context,
    visit: &Visit,
    call: &Call,
    person: SignedIn,
    form: &Form,
) -> Result<Shown, Problem> {
    let renewed = match form.answer().answer_or_code_required() {
        Ok(answer) => renew_backup_codes::renewed(context, &person.user, &answer).await,
        Err(problem) => Err(problem),
    };
    let frame = Frame::of(context, visit, Some(&person.account.id.app)).await?.with_csrf(&person.csrf);
    match renewed {
        Ok(codes) => {
            Ok(backup_codes::show(StatusCode::OK, frame, codes, address::ACCOUNT, person.csrf, false))
        }
        Err(problem) => refused(context, visit, call, "renew", Asked::Code, problem).await,
    }
}

/// What ends with a word on the page that it is done.
async fn change(
    context: &Context,
    visit: &Visit,
    call: &Call,
    person: &SignedIn,
    form: &Form,
    action: &str,
) -> Result<Shown, Problem> {
    let id = DeviceId::parse(form.text("device"));
    let at = |form: &str| id.map_or_else(String::new, |id| format!("{form} {id}"));
    let (what, place, asked, outcome) = match action {
        "rename" => ("renamed", at("rename"), Asked::Name, rename(context, person, id, form).await),
        "primary" => {
            let changed = change_device::change(context, &person.user, id, None, true).await.map(drop);
            ("primary", String::new(), Asked::Other, changed)
        }
        "remove" => {
            ("removed", at("remove"), Asked::Code, remove(context, visit, call, person, id, form).await)
        }
        "forget" => ("forgotten", String::new(), Asked::Other, forget(context, person, form).await),
        "disable" => {
            let outcome = disable::disable(context, &person.user, &form.answer()).await;
            ("disabled", "disable".to_owned(), Asked::code_or_backup_code(form), outcome)
        }
        _ => return Err(Problem::new(Code::Validation)),
    };
    match outcome {
        Ok(()) => Ok(done(context, what)),
        Err(problem) => refused(context, visit, call, &place, asked, problem).await,
    }
}

/// Ends the trust in a browser. Where it has ended already, there is nothing left to say.
async fn forget(context: &Context, person: &SignedIn, form: &Form) -> Result<(), Problem> {
    let id = BrowserId::parse(form.text("browser"));
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
    let is_confirmed = id.is_some_and(|id| person.account.has_device(id));
    if !is_confirmed || person.is_fresh(context.clock.now()) {
        return remove_device::remove(context, &person.user, id, None).await.map(drop);
    }
    confirm_login::confirm(context, &person.user, person.page_login, &form.answer()).await?;
    let person = visit.signed_in(context, call).await?.ok_or_else(Problem::credentials_invalid)?;
    remove_device::remove(context, &person.user, id, None).await.map(drop)
}

/// The page again, with what was refused where it was typed; another page, where the login is what is missing.
async fn refused(
    context: &Context,
    visit: &Visit,
    call: &Call,
    place: &str,
    asked: Asked,
    problem: Problem,
) -> Result<Shown, Problem> {
    let Some(person) = visit.signed_in(context, call).await? else { return Ok(signed_out(context, visit)) };
    let place = match problem.code() {
        Code::SecondFactorRequired => {
            return confirm::page(context, visit, person, Next::Account, Failed::default()).await;
        }
        Code::Internal | Code::Unavailable | Code::Forbidden | Code::AuthRequired => return Err(problem),
        // The form is gone from the page, with the device or with all of them: said above everything else.
        Code::DeviceNotFound | Code::NotEnabled => "",
        _ => place,
    };
    let frame = Frame::of(context, visit, Some(&person.account.id.app)).await?;
    let failure = Failure::of(&frame.text, place, asked, &problem);
    page(context, visit, person, None, Failed(Some(failure))).await
}
