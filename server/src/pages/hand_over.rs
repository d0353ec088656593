//! Where a browser comes in and where it goes: a link becomes a cookie, once, and a login becomes a one-time code.

use http::StatusCode;
use sidekey_core::{
    id::BrowserId,
    refresh::{FIRST_PAGE_LOGIN, Family},
    session::Session,
    time::UnixTime,
    trusted_browser::TrustedBrowser,
};

use super::{
    Frame, Visit, address,
    cookie::Cookie,
    view::{self, Message, Shown},
};
use crate::{
    caller::hash,
    context::Context,
    http::{Call, Problem},
    operations::{Via, start_login},
    store::{State, Subject},
    token::{
        approval, browser,
        numbered::{Numbered, Purpose},
        session_link::{self, PARAMETER, session_id},
    },
};

/// Takes a session over, if the address carries a link to one. The second browser that comes with a link is refused: an address stays in
/// histories and logs. A browser that the user trusts goes straight on to the application, without a challenge.
///
/// # Errors
/// The store is not available.
pub(super) async fn of_session(
    context: &Context,
    visit: &Visit,
    call: &Call,
    path: &'static str,
) -> Result<Option<Shown>, Problem> {
    let Some(link) = call.parameter(PARAMETER).filter(|_| visit.uses_up) else { return Ok(None) };
    let clean = context.url(path);
    let id = session_id(&context.pepper, &link);
    if visit.holds(&id) {
        return Ok(Some(view::redirect(&clean)));
    }
    let Some(session) = context.store.session(&hash(&id)).await? else {
        return unknown_link(context, visit, None).await.map(Some);
    };
    let token = visit.trusted_browser(context, &session.account);
    let subject = Subject::account(session.account.clone()).with_session(hash(&id));
    let subject = if token.is_some() { subject.with_browsers() } else { subject };
    let now = context.clock.now();
    let outcome = context
        .store
        .transact(subject, call.origin(), now, |state| {
            let is_taken = state.session.as_mut().is_some_and(Session::hand_over);
            is_taken.then(|| token.and_then(|token| spared(state, token, now)))
        })
        .await?;
    let shown = match outcome {
        None => return unknown_link(context, visit, Some(&session)).await.map(Some),
        Some(None) => view::redirect(&clean),
        Some(Some((family, browser))) => {
            let shown = onward(context, &session, &family).with_cookie(&login_cookie(context, &family));
            trusting(context, visit, shown, &browser)
        }
    };
    Ok(Some(shown.with_cookie(&Cookie::Session.set(context, &session_link::held(&context.pepper, &id)))))
}

/// Starts the login of the loaded session by the trust in the browser, if that counts: the browser holds the successor of its token.
fn spared(state: &mut State, token: (BrowserId, u64), now: UnixTime) -> Option<(Family, TrustedBrowser)> {
    let State { account: Some(account), session: Some(session), browsers, started, events, .. } = state
    else {
        return None;
    };
    let grant = session.spare(account, browsers, token, now, events)?;
    let family = start_login(account, session.return_url.as_deref(), grant, Via::Page, now, started);
    let browser = browsers.iter().find(|browser| browser.id == token.0)?;
    Some((family, browser.clone()))
}

/// With the cookie that spares the browser the next challenge of this account, once.
pub(super) fn trusting(context: &Context, visit: &Visit, shown: Shown, browser: &TrustedBrowser) -> Shown {
    let cookie = Cookie::browser_of(context, &browser.account);
    let gone = visit.too_many_besides(cookie);
    let shown = gone.fold(shown, |shown, cookie| shown.with_cookie(&cookie.clear(context)));
    shown.with_cookie(&cookie.set(context, &browser::write(&context.pepper, browser)))
}

async fn unknown_link(context: &Context, visit: &Visit, session: Option<&Session>) -> Result<Shown, Problem> {
    let app = session.map(|session| &session.account.app);
    let frame = Frame::of(context, visit, app).await?;
    let onward = session.and_then(|session| back(&frame, session));
    let (title, lead) = (frame.t("link.title"), frame.t("link.lead"));
    Ok(view::page(StatusCode::BAD_REQUEST, &Message { title, lead, onward, other: None, frame }))
}

/// The way back to the application, where it said one.
pub(super) fn back(frame: &Frame, session: &Session) -> Option<(String, String)> {
    session.return_url.as_ref().map(|url| (url.clone(), frame.t("back-to-app")))
}

/// The cookie by which the pages know a login in the browser in which it was made.
pub(super) fn login_cookie(context: &Context, family: &Family) -> String {
    page_login_cookie(context, family, FIRST_PAGE_LOGIN)
}

/// The same for the page login with this number.
pub(super) fn page_login_cookie(context: &Context, family: &Family, number: u64) -> String {
    Cookie::Login.set(context, &page_login(context, family, number))
}

/// What the cookie of the browser holds in which the login was made.
pub(super) fn login_value(context: &Context, family: &Family) -> String {
    page_login(context, family, FIRST_PAGE_LOGIN)
}

fn page_login(context: &Context, family: &Family, number: u64) -> String {
    let of = Numbered { app: family.account.app.clone(), login: family.login, number };
    of.write(&context.pepper, Purpose::PageLogin)
}

/// Leads a browser whose session was verified here to the application, with the one-time code that the login has given out; to the
/// account page, if the application named no address.
pub(super) fn onward(context: &Context, session: &Session, family: &Family) -> Shown {
    to_application(context, session, family.return_code())
}

/// The same once more, with a code in place of the one that was given out then, if that was not used: a login yields its tokens once, and
/// a session that was verified by the API has given them already. Only the browser that holds the login gets one; any other is shown at
/// `path` how the session stands.
///
/// # Errors
/// The store is not available.
pub(super) async fn onward_again(
    context: &Context,
    visit: &Visit,
    call: &Call,
    session: &Session,
    path: &'static str,
) -> Result<Shown, Problem> {
    if !visit.is_login_of(context, call, session).await? {
        return Ok(view::redirect(&context.url(path)));
    }
    let now = context.clock.now();
    let subject = Subject::account(session.account.clone()).with_login(session.login);
    let number = context
        .store
        .transact(subject, call.origin(), now, |state| {
            let account = state.account.as_ref();
            let family = state.family.as_mut().filter(|family| family.is_alive(account, now))?;
            family.return_code()?;
            family.give_return_code(now)
        })
        .await?;
    Ok(to_application(context, session, number))
}

fn to_application(context: &Context, session: &Session, return_code: Option<u64>) -> Shown {
    let Some(url) = &session.return_url else { return view::redirect(&context.url(address::ACCOUNT)) };
    let Some(number) = return_code else { return view::redirect(url) };
    let of = Numbered { app: session.account.app.clone(), login: session.login, number };
    let code = of.write(&context.pepper, Purpose::ReturnCode);
    view::redirect(&with_parameter(url, "code", &code))
}

/// Leads a browser in which the action of a session was approved to the application, with a code for the token; back to `path`, if the
/// application named no address.
pub(super) fn approved(context: &Context, session: &Session, id: &[u8; 32], path: &str) -> Shown {
    let Some(url) = &session.return_url else { return view::redirect(&context.url(path)) };
    let code = approval::write_code(&context.pepper, &session.account.app, id);
    view::redirect(&with_parameter(url, "code", &code))
}

/// An address with one more parameter, before its fragment.
fn with_parameter(url: &str, name: &str, value: &str) -> String {
    let (address, fragment) = match url.split_once('#') {
        Some((address, fragment)) => (address, format!("#{fragment}")),
        None => (url, String::new()),
    };
    let separator = match address.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    format!("{address}{separator}{name}={value}{fragment}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_comes_after_the_others_and_before_the_fragment() {
        for (url, expected) in [
            ("https://a.example/x", "https://a.example/x?code=1"),
            ("https://a.example/x?", "https://a.example/x?code=1"),
            ("https://a.example/x?y=z", "https://a.example/x?y=z&code=1"),
            ("https://a.example/x?y=z#part?q", "https://a.example/x?y=z&code=1#part?q"),
            ("https://a.example/#part", "https://a.example/?code=1#part"),
        ] {
            assert_eq!(with_parameter(url, "code", "1"), expected);
        }
    }
}
