//! What a host's request opens: a session for a challenge or an enrolment, or a login at once.
//!
//! A request with an idempotency key looks first whether its key was used, and by that learns the names of what it opened. The transaction
//! reads the same again and expects it to be still so when it commits: of requests that come at once, one uses the key.

use sidekey_core::{
    account::{self, Account, Asked, Before, Opened},
    action::Action,
    id::{AccountId, AccountName, AppId, BrowserId, LoginId},
    login::SecondFactor,
    policy::Enforcement,
    retry::KeyUse,
    time::UnixTime,
    trusted_browser::{self, TrustedBrowser},
};

use super::{
    ask_approval,
    open_session::Login,
    opened::{self, AnswerMethod, Challenge, EnrollmentDemanded, LetIn},
};
use crate::{
    apps::App,
    audit::Origin,
    caller::hash,
    context::Context,
    entropy::Entropy,
    http::{IdempotencyKey, Problem, rfc3339},
    pages::address,
    store::{State, StoreError, Subject},
    token::{
        browser,
        pair::{self, issue},
        session_link::{Names, PARAMETER, SessionLink, mac_of_key},
    },
};

/// How often a key is looked up. Once another request has used it, it stays used for long: the second time finds it.
const LOOKS: usize = 4;

/// Opens a session for a login that a host application has let through; with the idempotency key of a request that has opened one, that
/// one again.
///
/// # Errors
/// The app has not named the `return_url`, the key is that of another request, or the store is not available.
pub async fn for_host(
    context: &Context,
    app: &App,
    login: Login,
    key: Option<&IdempotencyKey>,
    origin: &Origin,
) -> Result<opened::Opened, Problem> {
    if login.return_url.as_ref().is_some_and(|url| !app.return_urls.contains(url)) {
        let id = &app.id;
        let remedy = format!(
            "is not one of the application's return URLs, to which it must be equal: add it with \
             `sidekey app set --app {id} --return-url URL` or `PATCH /2fa/app/`"
        );
        return Err(Problem::field("return_url", &remedy));
    }
    // The trail tells where the user is, which the host knows, and not where the host is.
    let origin = &Origin {
        ip_address: login.ip_address.or(origin.ip_address),
        user_agent: login.user_agent.clone().or_else(|| origin.user_agent.clone()),
        ..origin.clone()
    };
    let wanted = Wanted::new(context, app, login);
    for _ in 0..LOOKS {
        let now = context.clock.now();
        let named = Named::find(context, &app.id, key, now).await?;
        if let Some(opened) = wanted.open(context, named, origin, now).await? {
            return Ok(opened);
        }
    }
    Err(StoreError::Unavailable("too many requests with one idempotency key at once".to_owned()).into())
}

/// How what a request opens is named.
struct Named {
    names: Names,
    key: Option<Keyed>,
}

/// A request's key.
struct Keyed {
    /// Where its use is stored.
    mac: [u8; 32],
    /// The use of it that counted when it was looked up.
    found: Option<KeyUse>,
    /// The one that the names are made with: that which was found, or a new one.
    used: KeyUse,
}

impl Named {
    /// # Errors
    /// The store is not available.
    async fn find(
        context: &Context,
        app: &AppId,
        key: Option<&IdempotencyKey>,
        now: UnixTime,
    ) -> Result<Self, Problem> {
        let pepper = &context.pepper;
        let Some(key) = key else { return Ok(Self { names: Names::generate(pepper), key: None }) };
        let mac = mac_of_key(pepper, app, key);
        let found = context.store.key_use(app, &mac).await?.filter(|used| used.counts(now));
        let used = found.unwrap_or_else(|| KeyUse::start(now, &mut Entropy));
        let names = Names::of_request(pepper, app, key, &used);
        Ok(Self { names, key: Some(Keyed { mac, found, used }) })
    }
}

/// What a host wants to be opened.
struct Wanted {
    account: AccountId,
    enforcement: Enforcement,
    account_name: Option<AccountName>,
    is_admin: bool,
    remember_me: bool,
    return_url: Option<String>,
    action: Option<Action>,
    trusted: Option<(BrowserId, u64)>,
}

/// What was opened, and the trusted browser that was spared the challenge.
type Outcome = (Opened, Option<TrustedBrowser>);

impl Wanted {
    fn new(context: &Context, app: &App, login: Login) -> Self {
        // An approval is no login: nothing of one counts for it.
        let is_login = login.action.is_none();
        let token = login.trusted_browser.filter(|_| is_login);
        Self {
            account: AccountId { app: app.id.clone(), user: login.user },
            enforcement: app.enforcement,
            account_name: login.account_name.filter(|_| is_login),
            is_admin: login.is_admin,
            remember_me: login.remember_me && is_login,
            return_url: login.return_url.map(String::from),
            action: login.action,
            trusted: token.and_then(|token| browser::read(&context.pepper, &app.id, &token)),
        }
    }

    /// Opens it under these names, or finds what the same request has opened; `None`: another request has used the key since it was
    /// looked up, so that the names are others.
    async fn open(
        &self,
        context: &Context,
        named: Named,
        origin: &Origin,
        now: UnixTime,
    ) -> Result<Option<opened::Opened>, Problem> {
        let Named { names: Names { session: link, login }, key } = named;
        let mut subject = Subject::account(self.account.clone()).with_session(hash(&link.id));
        if let Some(key) = &key {
            subject = subject.with_login(login).with_request_key(key.mac);
        }
        if self.trusted.is_some() {
            subject = subject.with_browsers();
        }
        let enrollment_token = pair::enrollment_token(&context.pepper, &link.id);
        let token_hash = hash(&enrollment_token);
        let decide = |state: &mut State| match &key {
            Some(key) if state.key_use.filter(|used| used.counts(now)) != key.found => Ok(None),
            _ => {
                let used = key.as_ref().map(|key| key.used);
                self.decide(state, login, used, token_hash, now).map(Some)
            }
        };
        let outcome = context.store.transact(subject, origin, now, decide).await??;
        let Some((opened, spared)) = outcome else { return Ok(None) };
        Ok(Some(match opened {
            Opened::LetIn { family, invited, enroll_by } => opened::Opened::LetIn(LetIn {
                tokens: issue(context, &family, now)?,
                requires_2fa: false,
                should_enroll: invited,
                enroll_by: enroll_by.map(rfc3339),
                trusted_browser_token: spared.map(|browser| browser::write(&context.pepper, &browser)),
            }),
            Opened::Enrollment(session) => opened::Opened::Enrollment(EnrollmentDemanded {
                requires_2fa: true,
                requires_enrollment: true,
                session_id: link.id,
                expires_in: session.seconds_left(now),
                enroll_url: format!("{}?{PARAMETER}={}", context.url(address::ENROLL), link.link),
                enrollment_token,
            }),
            Opened::Challenge(session) => {
                opened::Opened::Challenge(challenge(context, link, session.seconds_left(now)))
            }
        }))
    }

    /// `used` is the use of the request's key, if it has one; `enrollment_token` the hash of the one that an enrolment gets.
    fn decide(
        &self,
        state: &mut State,
        login: LoginId,
        used: Option<KeyUse>,
        enrollment_token: [u8; 32],
        now: UnixTime,
    ) -> Result<Outcome, Problem> {
        let opened = match (self.opened_before(state, now)?, &self.action) {
            (Some(opened), _) => opened,
            (None, Some(action)) => {
                let login = self.login(login, None);
                let opened =
                    ask_approval::open(state.account.as_ref(), &login, action, now, &mut state.events)?;
                state.session = Some(opened.clone());
                state.key_use = used;
                Opened::Challenge(opened)
            }
            (None, None) => {
                let opened = self.log_in(state, login, now);
                match &opened {
                    Opened::Challenge(session) => state.session = Some(session.clone()),
                    Opened::Enrollment(session) => {
                        state.session = Some(session.clone());
                        state.enrollment_token = Some(enrollment_token);
                    }
                    Opened::LetIn { family, .. } => state.started = Some(family.clone()),
                }
                state.key_use = used;
                opened
            }
        };
        let is_spared = matches!(&opened, Opened::LetIn { family, .. } if family.second_factor.is_some());
        let token = self.trusted.filter(|_| is_spared);
        let spared = token.and_then(|(id, _)| state.browsers.iter().find(|browser| browser.id == id));
        Ok((opened, spared.cloned()))
    }

    fn opened_before(&self, state: &mut State, now: UnixTime) -> Result<Option<Opened>, Problem> {
        let asked = Asked {
            account: &self.account,
            account_name: self.account_name.as_ref(),
            remember_me: self.remember_me,
            return_url: self.return_url.as_deref(),
            action: self.action.as_ref(),
            trusted: self.trusted,
        };
        let State { account, session, family, browsers, key_use, events, .. } = state;
        let (session, family, account) = (session.as_ref(), family.as_ref(), account.as_mut());
        let before = Before { used: *key_use, session, family, account, browsers };
        Ok(asked.opened_before(before, self.enforcement, now, events)?)
    }

    fn log_in(&self, state: &mut State, login: LoginId, now: UnixTime) -> Opened {
        let State { account, browsers, events, .. } = state;
        let account = account.get_or_insert_with(|| Account::new(self.account.clone(), now, &mut Entropy));
        let trusted =
            self.trusted.and_then(|token| trusted_browser::spend(browsers, account, token, now, events));
        account.open(self.login(login, trusted), self.enforcement, now, events)
    }

    fn login(&self, id: LoginId, trusted: Option<SecondFactor>) -> account::Login {
        account::Login {
            id,
            account_name: self.account_name.clone(),
            is_admin: self.is_admin,
            remember_me: self.remember_me,
            return_url: self.return_url.clone(),
            trusted,
        }
    }
}

/// The answer that sends the browser to the challenge, which lives so many seconds more.
pub(super) fn challenge(context: &Context, link: SessionLink, expires_in: u64) -> Challenge {
    Challenge {
        requires_2fa: true,
        session_id: link.id,
        expires_in,
        methods: vec![AnswerMethod::Totp, AnswerMethod::BackupCode],
        verify_url: format!("{}?{PARAMETER}={}", context.url(address::CHALLENGE), link.link),
    }
}
