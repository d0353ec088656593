//! What a browser brings along.

use http::{HeaderMap, Method};
use sidekey_core::{
    account::Account,
    id::{AccountId, BrowserId},
    refresh::Family,
    session::{Session, Status},
    time::UnixTime,
};

use super::{
    cookie::{Cookie, MAX_BROWSERS},
    csrf,
    form::Form,
    locale::{self, Locale},
};
use crate::{
    audit::Actor,
    caller::{User, hash},
    context::Context,
    http::{Call, Problem},
    keyring::Sealed,
    token::{
        browser::{self, Presented},
        numbered::{Numbered, Purpose},
        session_link,
    },
};

/// One request of a browser.
pub(crate) struct Visit {
    /// The language that it reads.
    pub(super) locale: &'static Locale,
    /// The language that the application asked for just now, to be remembered.
    pub(super) asked_for: Option<&'static Locale>,
    /// Whether it may use up what counts once, such as a link: a look at the head of an answer does not.
    pub(super) uses_up: bool,
    /// What the account page is to say is done.
    pub(super) done: Option<String>,
    session: Option<HeldSession>,
    login: Option<String>,
    /// The tokens of trusted browsers, with the cookies that they stand in.
    browsers: Vec<(Cookie, Option<Presented>)>,
}

/// The session that the cookie of a browser names, and that it was handed.
struct HeldSession {
    id: String,
    cookie: String,
}

/// The session that a browser was handed.
pub(super) struct Handed {
    /// The session.
    pub(super) session: Session,
    /// The hash of its id.
    pub(super) id: [u8; 32],
    /// What its forms carry.
    pub(super) csrf: String,
}

/// Somebody who is signed in to the pages.
pub(super) struct SignedIn {
    /// As the operations know them.
    pub(super) user: User,
    /// Which of the page logins of their login this browser has.
    pub(super) page_login: u64,
    /// The account.
    pub(super) account: Account<Sealed>,
    /// What their forms carry.
    pub(super) csrf: String,
}

impl Handed {
    /// Whether it was answered rightly.
    pub(super) fn is_verified(&self, context: &Context) -> bool {
        matches!(self.session.status(context.clock.now()), Status::Verified { .. })
    }
}

impl Visit {
    /// Looks at cookies and languages.
    pub(crate) fn of(context: &Context, call: &Call) -> Self {
        let asked_for =
            call.parameter("ui_locales").and_then(|tags| locale::first_of(tags.split_whitespace()));
        let remembered = Cookie::Language.read(context, &call.headers);
        let remembered = remembered.and_then(|tag| locale::first_of([tag.as_str()].into_iter()));
        let locale = asked_for.or(remembered).unwrap_or_else(|| locale::accepted(&call.headers));
        let session = Cookie::Session.read(context, &call.headers);
        let session = session.and_then(|cookie| {
            let id = session_link::id_of_held(&context.pepper, &cookie)?;
            Some(HeldSession { id, cookie })
        });
        let browsers = Cookie::browsers(context, &call.headers);
        let token = |cookie: Cookie| cookie.read(context, &call.headers).map(|token| Presented::new(&token));
        Self {
            locale,
            asked_for,
            uses_up: call.method == Method::GET,
            done: Cookie::Done.read(context, &call.headers),
            session,
            login: Cookie::Login.read(context, &call.headers),
            browsers: browsers.into_iter().map(|cookie| (cookie, token(cookie))).collect(),
        }
    }

    /// Somebody of whom nothing is looked at but the language.
    pub(super) fn unknown(headers: &HeaderMap) -> Self {
        let locale = locale::accepted(headers);
        Self {
            locale,
            asked_for: None,
            uses_up: false,
            done: None,
            session: None,
            login: None,
            browsers: Vec::new(),
        }
    }

    /// The session that this browser holds, closed or not.
    ///
    /// # Errors
    /// The store is not available.
    pub(super) async fn handed(&self, context: &Context) -> Result<Option<Handed>, Problem> {
        let Some(HeldSession { id, cookie }) = &self.session else { return Ok(None) };
        let id = hash(id);
        let session = context.store.session(&id).await?;
        Ok(session.map(|session| Handed { session, id, csrf: csrf::token(&context.pepper, cookie) }))
    }

    /// Whether this browser holds the session with this id.
    pub(super) fn holds(&self, session_id: &str) -> bool {
        self.session.as_ref().is_some_and(|held| held.id == session_id)
    }

    /// Notes that somebody who has proved who they are reads this language, so that mail to them is written in it. Without that proof anybody
    /// who knows a password could have an owner warned in a language that they do not read.
    pub(super) async fn note_language(&self, context: &Context, account: &AccountId) {
        if let Err(error) = context.store.note_language(account, &self.locale.tag).await {
            tracing::warn!(%error, "the language of an account cannot be noted");
        }
    }

    /// By what this browser says that it is trusted by somebody: its id, and the number of its token.
    pub(super) fn trusted_browser(&self, context: &Context, account: &AccountId) -> Option<(BrowserId, u64)> {
        let cookie = Cookie::browser_of(context, account);
        let (_, token) = self.browsers.iter().find(|(held, _)| *held == cookie)?;
        browser::read(&context.pepper, &account.app, token.as_ref()?)
    }

    /// The cookies of trust that have to go before this browser keeps one more, oldest first.
    pub(super) fn too_many_besides(&self, cookie: Cookie) -> impl Iterator<Item = Cookie> {
        let others: Vec<_> =
            self.browsers.iter().map(|(held, _)| *held).filter(|held| *held != cookie).collect();
        let too_many = (others.len() + 1).saturating_sub(MAX_BROWSERS);
        others.into_iter().take(too_many)
    }

    /// Who is signed in to the pages in this browser.
    ///
    /// # Errors
    /// The store is not available.
    pub(super) async fn signed_in(
        &self,
        context: &Context,
        call: &Call,
    ) -> Result<Option<SignedIn>, Problem> {
        let Some(cookie) = &self.login else { return Ok(None) };
        let Some(PageLogin { family, account, number }) = login_of(context, cookie).await? else {
            return Ok(None);
        };
        let origin = call.origin_as(Actor::User { login: family.login.to_string() });
        let user = User {
            account: family.account.clone(),
            login: family.login,
            second_factor: family.factor_on_pages(number),
            origin,
        };
        Ok(Some(SignedIn { user, page_login: number, account, csrf: csrf::token(&context.pepper, cookie) }))
    }

    /// Whether the login of this session is signed in to the pages in this browser.
    ///
    /// # Errors
    /// The store is not available.
    pub(super) async fn is_login_of(
        &self,
        context: &Context,
        call: &Call,
        session: &Session,
    ) -> Result<bool, Problem> {
        let person = self.signed_in(context, call).await?;
        Ok(person.is_some_and(|person| {
            person.user.login == session.login && person.user.account == session.account
        }))
    }

    /// The session, if the form was posted for it.
    ///
    /// # Errors
    /// The form is not this browser's.
    pub(super) async fn posted_for_session(
        &self,
        context: &Context,
        form: &Form,
    ) -> Result<Option<Handed>, Problem> {
        if let Some(HeldSession { cookie, .. }) = &self.session {
            csrf::require_token(context, cookie, form)?;
        }
        self.handed(context).await
    }

    /// Who is signed in, if the form was posted for them.
    ///
    /// # Errors
    /// The form is not this browser's.
    pub(super) async fn posted_for_login(
        &self,
        context: &Context,
        call: &Call,
        form: &Form,
    ) -> Result<Option<SignedIn>, Problem> {
        if let Some(cookie) = &self.login {
            csrf::require_token(context, cookie, form)?;
        }
        self.signed_in(context, call).await
    }
}

/// A login that the cookie of the pages names.
pub(crate) struct PageLogin {
    /// The login.
    pub(crate) family: Family,
    /// Whose it is.
    pub(crate) account: Account<Sealed>,
    /// Which of the page logins of the login this is.
    pub(crate) number: u64,
}

/// The login that the cookie of the pages names in these headers, while it opens them.
///
/// # Errors
/// The store is not available.
pub(crate) async fn page_login(context: &Context, headers: &HeaderMap) -> Result<Option<PageLogin>, Problem> {
    match Cookie::Login.read(context, headers) {
        Some(cookie) => login_of(context, &cookie).await,
        None => Ok(None),
    }
}

async fn login_of(context: &Context, cookie: &str) -> Result<Option<PageLogin>, Problem> {
    let Some(of) = Numbered::read(&context.pepper, Purpose::PageLogin, cookie) else { return Ok(None) };
    let Some(family) = context.store.family(&of.app, of.login).await? else { return Ok(None) };
    let Some(account) = context.store.sealed_account(&family.account).await? else { return Ok(None) };
    let opens = family.opens_pages(&account, context.clock.now());
    Ok(opens.then_some(PageLogin { family, account, number: of.number }))
}

impl SignedIn {
    /// What people see of the account.
    pub(super) fn name(&self) -> &str {
        name_of(&self.account)
    }

    /// Whether a second factor was given, and lately enough to change devices.
    pub(super) fn is_fresh(&self, now: UnixTime) -> bool {
        let max_age = Some(sidekey_core::login::FRESH);
        self.account.require_second_factor(self.user.second_factor, max_age, now).is_ok()
    }

    /// Whether a second factor is missing that the account demands.
    pub(super) fn is_half_way(&self, now: UnixTime) -> bool {
        self.account.require_second_factor(self.user.second_factor, None, now).is_err()
    }
}

/// What people see of an account.
pub(super) fn name_of<S>(account: &Account<S>) -> &str {
    account.name.as_ref().map_or_else(|| account.id.user.as_str(), |name| name.as_str())
}
