//! A login is taken over by the link that the application got for its account page.

use askama::Template;
use http::StatusCode;
use sidekey_core::refresh::Family;

use super::super::{
    Form, Frame, Visit, address,
    hand_over::page_login_cookie,
    view::{self, Shown},
    visit::{SignedIn, name_of},
};
use crate::{
    context::Context,
    http::{Call, Code, Problem},
    store::Subject,
    token::{
        numbered::{Numbered, Purpose},
        session_link::PARAMETER,
    },
};

#[derive(Template)]
#[template(path = "switch.html")]
struct SwitchPage {
    frame: Frame,
    lead: String,
    link: String,
}

/// Takes the login over, if the address carries a link to one. A browser that is signed in to another account is asked first: whoever
/// sends a link to the page of an account of their own must not get somebody to set it up unnoticed.
///
/// # Errors
/// The store is not available, or the link is over, used, or none.
pub(super) async fn followed(
    context: &Context,
    visit: &Visit,
    call: &Call,
) -> Result<Option<Shown>, Problem> {
    let Some(link) = call.parameter(PARAMETER).filter(|_| visit.uses_up) else { return Ok(None) };
    let (of, family) = login_of(context, &link).await?;
    let signed_in = visit.signed_in(context, call).await?;
    if let Some(person) = signed_in.as_ref().filter(|person| person.user.account != family.account) {
        let is_good = family.clone().redeem_account_link(of.number, context.clock.now()).is_ok();
        return if is_good {
            ask(context, visit, person, &family, link).await.map(Some)
        } else {
            Err(refused())
        };
    }
    match take_over(context, call, &of, family).await? {
        // A reload of the link in the browser that came by it.
        None if signed_in.is_some_and(|person| person.user.login == of.login) => {
            Ok(Some(view::redirect(&context.url(address::ACCOUNT))))
        }
        taken => taken.ok_or_else(refused).map(Some),
    }
}

/// Takes the login over in place of the one of another account, which was asked for.
///
/// # Errors
/// The store is not available, or the link is over, used, or none.
pub(super) async fn switch(context: &Context, call: &Call, form: &Form) -> Result<Shown, Problem> {
    let (of, family) = login_of(context, form.text(PARAMETER)).await?;
    take_over(context, call, &of, family).await?.ok_or_else(refused)
}

async fn ask(
    context: &Context,
    visit: &Visit,
    person: &SignedIn,
    family: &Family,
    link: String,
) -> Result<Shown, Problem> {
    let other = context.store.account(&family.account).await?.ok_or_else(refused)?;
    let frame = Frame::of(context, visit, Some(&person.account.id.app)).await?.with_csrf(&person.csrf);
    let names = [("account", person.name()), ("name", name_of(&other))];
    let lead = frame.text.fill("account.switch-lead", &names);
    Ok(view::page(StatusCode::OK, &SwitchPage { frame, lead, link }))
}

/// Uses the link up; `None` if it does not count.
async fn take_over(
    context: &Context,
    call: &Call,
    of: &Numbered,
    family: Family,
) -> Result<Option<Shown>, Problem> {
    let now = context.clock.now();
    let subject = Subject::account(family.account).with_login(of.login);
    let redeemed = context
        .store
        .transact(subject, call.origin(), now, |state| {
            let known = state.account.as_ref().zip(state.family.as_mut());
            let (_, family) = known.filter(|(account, family)| family.opens_pages(account, now))?;
            family.redeem_account_link(of.number, now).is_ok().then(|| family.clone())
        })
        .await?;
    let clean = view::redirect(&context.url(address::ACCOUNT));
    Ok(redeemed.map(|family| clean.with_cookie(&page_login_cookie(context, &family, of.number))))
}

/// What a link says, and the login that it leads to.
async fn login_of(context: &Context, link: &str) -> Result<(Numbered, Family), Problem> {
    let of = Numbered::read(&context.pepper, Purpose::AccountLink, link).ok_or_else(refused)?;
    let family = context.store.family(&of.app, of.login).await?.ok_or_else(refused)?;
    Ok((of, family))
}

fn refused() -> Problem {
    Problem::new(Code::SessionNotFound)
}
