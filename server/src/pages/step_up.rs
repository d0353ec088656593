//! `/2fa/step-up/?to=…`: where a proxy sends a browser whose request did not pass (forward-auth). Whoever is signed in gives a code here and
//! goes on; whoever is not is led to the application's own login.
//!
//! Where it goes on to is a path of this very host that a rule protects: the address cannot lead anywhere else.

use sidekey_core::protect::{Refusal, Rule};

use super::{
    Form, Frame, Visit,
    account::confirm::ConfirmPage,
    address,
    refusal::{Asked, Failed, Failure, is_of_a_form},
    view::{self, Message, Shown},
    visit::SignedIn,
};
use crate::{
    context::Context,
    forwarded::Held,
    http::{Call, Code, Problem},
    operations::{authorize, confirm_login},
};

/// The parameter and field with the target to go on to.
const TO: &str = "to";
/// A longer target is not carried along, in bytes: addresses of 8 KiB break in servers and browsers.
const MAX_TARGET: usize = 4_096;

/// Where a browser goes on to, and the rule that speaks of it.
struct Onward {
    target: Held,
    rule: Rule,
    /// The application's own login, as the settings name it.
    sign_in: Option<String>,
}

/// The address of this page for a request that did not pass; none for a host that is not ours, where a browser would not bring the
/// cookie of our pages.
pub(crate) fn url(context: &Context, held: &Held) -> Option<String> {
    if held.as_request().host != context.public_url.host() || held.target().len() > MAX_TARGET {
        return None;
    }
    let target: String = form_urlencoded::byte_serialize(held.target().as_bytes()).collect();
    Some(format!("{}?{TO}={target}", context.url(address::STEP_UP)))
}

impl Onward {
    /// The target that a query or a form names.
    ///
    /// # Errors
    /// It names none that a rule protects.
    fn read(context: &Context, to: &str) -> Result<Self, Problem> {
        let nothing = || Problem::new(Code::NotFound);
        if to.len() > MAX_TARGET {
            return Err(nothing());
        }
        // A browser follows it by GET.
        let target = Held::read("GET", context.public_url.host(), to).map_err(|_| nothing())?;
        let live = context.live.get();
        let rule = live.protection.rules.find(target.as_request()).ok_or_else(nothing)?.clone();
        let sign_in = live.protection.sign_in.get(&rule.app).cloned();
        Ok(Self { target, rule, sign_in })
    }

    fn url(&self, context: &Context) -> String {
        format!("{}{}", context.public_url.origin(), self.target.target())
    }

    /// The application's own login, which is told where to lead afterwards.
    fn sign_in(&self, context: &Context) -> Option<String> {
        let place = self.sign_in.as_deref()?;
        let (place, next) = if place.starts_with('/') {
            (format!("{}{place}", context.public_url.origin()), self.target.target().to_owned())
        } else {
            (place.to_owned(), self.url(context))
        };
        let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
        let separator = if place.contains('?') { '&' } else { '?' };
        Some(format!("{place}{separator}next={next}"))
    }
}

/// The question for a code, or the way on.
///
/// # Errors
/// There is nothing to go on to, or the store is not available.
pub(super) async fn show(context: &Context, visit: &Visit, call: &Call) -> Result<Shown, Problem> {
    let onward = Onward::read(context, &call.parameter(TO).unwrap_or_default())?;
    let login = authorize::by_cookie(context, &call.headers).await?;
    match authorize::admit(context, &onward.rule, login.as_ref()) {
        Ok(()) => Ok(view::redirect(&onward.url(context))),
        Err(Refusal::NotSignedIn) => elsewhere(context, visit, &onward).await,
        Err(Refusal::SecondFactorRequired { .. }) => match visit.signed_in(context, call).await? {
            Some(person) => question(context, visit, person, &onward, Failed::default()).await,
            None => elsewhere(context, visit, &onward).await,
        },
    }
}

/// Judges the code, and leads on.
///
/// # Errors
/// The form is not this browser's, there is nothing to go on to, or the store is not available.
pub(super) async fn post(
    context: &Context,
    visit: &Visit,
    call: &Call,
    form: &Form,
) -> Result<Shown, Problem> {
    let onward = Onward::read(context, form.text(TO))?;
    let person = visit.posted_for_login(context, call, form).await?;
    let Some(person) = person.filter(|person| person.account.id.app == onward.rule.app) else {
        return elsewhere(context, visit, &onward).await;
    };
    let asked = Asked::code_or_backup_code(form);
    match confirm_login::confirm(context, &person.user, person.page_login, &form.answer()).await {
        Ok(()) => Ok(view::redirect(&onward.url(context))),
        Err(problem) if is_of_a_form(problem.code()) => {
            let frame = Frame::of(context, visit, Some(&person.account.id.app)).await?;
            let failure = Failure::of(&frame.text, "confirm", asked, &problem);
            question(context, visit, person, &onward, Failed(Some(failure))).await
        }
        Err(problem) => Err(problem),
    }
}

/// The form for a code; without any device to give one, the way to the account page, where one can be connected.
async fn question(
    context: &Context,
    visit: &Visit,
    person: SignedIn,
    onward: &Onward,
    failed: Failed,
) -> Result<Shown, Problem> {
    let frame = Frame::of(context, visit, Some(&person.account.id.app)).await?.with_csrf(&person.csrf);
    if !person.account.is_protected() {
        return Ok(view::redirect(&context.url(address::ACCOUNT)));
    }
    let page = ConfirmPage {
        action: address::STEP_UP,
        hidden: vec![(TO, onward.target.target().to_owned())],
        needs_next_code: person.account.needs_next_code(context.clock.now()),
        has_own_codes: person.account.has_own_codes(),
        failed,
        frame,
    };
    Ok(page.failed.page(&page))
}

/// Somebody who is not signed in: to the application's login, if it has told where that is.
async fn elsewhere(context: &Context, visit: &Visit, onward: &Onward) -> Result<Shown, Problem> {
    if let Some(url) = onward.sign_in(context) {
        return Ok(view::redirect(&url));
    }
    let frame = Frame::of(context, visit, Some(&onward.rule.app)).await?;
    let (title, lead) = (frame.t("challenge.no-session"), frame.t("challenge.no-session-lead"));
    let message = Message { title, lead, onward: None, other: None, frame };
    Ok(view::refusal(&Problem::credentials_missing(), &message))
}
