//! `POST /2fa/sessions/`: a host opens a session after its own login. That of a user who steps up is opened in [`step_up`].

use std::net::IpAddr;

use http::StatusCode;
use serde_json::json;
use sidekey_core::{
    account::{self, Account, Asked, Before, Opened},
    action::Action,
    id::{AccountId, AccountName, ActionName, AppId, BrowserId, LoginId, Resource, UserId},
    policy::Enforcement,
    time::UnixTime,
    trusted_browser::{self, TrustedBrowser},
};
use utoipa::ToSchema;

use super::{
    ask_approval,
    opened::{self, AnswerMethod, Challenge, EnrollmentDemanded, LetIn},
    step_up,
};
use crate::{
    apps::{App, ReturnUrl},
    audit::{Origin, USER_AGENT_MAX},
    caller::{Host, Opener, hash, opener},
    context::Context,
    entropy::Entropy,
    http::{Call, Code, Fields, IdempotencyKey, Problem, Reply, rfc3339},
    openapi::{Operation, Tag, schemas},
    pages::address,
    store::{State, Subject},
    token::{
        browser,
        pair::{self, issue},
        session_link::{Names, PARAMETER, Period, SessionLink},
    },
};

/// What a host says of the login that it has let through.
#[derive(Debug)]
pub struct Login {
    /// The user.
    pub user: UserId,
    /// What people see of the account.
    pub account_name: Option<AccountName>,
    /// The address that the host saw.
    pub ip_address: Option<IpAddr>,
    /// The user agent that the host saw.
    pub user_agent: Option<String>,
    /// Whether the user asked to be remembered.
    pub remember_me: bool,
    /// Whether the user is an administrator.
    pub is_admin: bool,
    /// Where the browser goes afterwards.
    pub return_url: Option<ReturnUrl>,
    /// By what the browser says that it is trusted.
    pub trusted_browser: Option<browser::Presented>,
    /// The one action that the user is to approve; there is no login then.
    pub action: Option<Action>,
}

/// What the host application says of a login that it has let through.
#[derive(Debug, ToSchema)]
pub struct OpenSession {
    /// Who has signed in.
    pub user_id: schemas::UserId,
    /// What people and authenticators see of the account. Left out, the one told last stays.
    #[schema(min_length = 1, max_length = 255)]
    pub account_name: Option<String>,
    /// The address that the application saw, for the audit trail.
    pub ip_address: Option<String>,
    /// What the application saw, for the audit trail; cut to 256 characters.
    pub user_agent: Option<String>,
    /// Refresh tokens live 30 days instead of 7.
    #[schema(default = false)]
    pub remember_me: Option<bool>,
    /// Whether the user is an administrator, for the enforcement `admins`.
    #[schema(default = false)]
    pub is_admin: Option<bool>,
    /// From an earlier verify with `trust_device`, or from the login after it: spares the browser the challenge. One that does not
    /// count is as good as none.
    pub trusted_browser_token: Option<String>,
    /// The one action that the user is to approve. A right answer yields an `action_token` for exactly that, and no login.
    #[schema(pattern = "^[A-Za-z0-9._:-]{1,64}$")]
    pub action: Option<String>,
    /// What the action is done to, as its user reads it; only with `action`.
    #[schema(min_length = 1, max_length = 255)]
    pub resource: Option<String>,
    /// Where the hosted pages lead afterwards: one of the application's `return_urls`, exactly as it stands there.
    #[schema(format = "uri", max_length = 2000)]
    pub return_url: Option<String>,
}

pub(crate) fn described() -> Operation {
    let host = json!({
        "user_id": "42",
        "account_name": "ann@example.com",
        "ip_address": "203.0.113.7",
        "user_agent": "Mozilla/5.0",
        "remember_me": false,
        "is_admin": false,
        "return_url": "https://app.example/after",
    });
    let step_up = json!({ "return_url": "http://127.0.0.1:8080/2fa/account/" });
    Operation::new("openSession", Tag::Sessions, "Open a session")
        .telling(
            "With an API key, after the application's own first factor has succeeded. The answer tells whether the user is to \
             answer a challenge, is to enrol a device first, or is let in. With a user's access token, opens a step-up session \
             for that same user (the body is then `StepUp` and may be left out), which is how a login gets a fresh second \
             factor; the tokens it yields are those of a new login.",
        )
        .takes_idempotency_key()
        .may_take_either::<OpenSession, step_up::StepUp>([("host", host), ("step_up", step_up)])
        .answers_with::<opened::Opened>(
            StatusCode::CREATED,
            "The session, or the tokens of a user who was let in.",
            opened::examples(),
        )
        .refuses(&[Code::NotEnabled, Code::RateLimited])
}

/// Opens a session.
///
/// # Errors
/// No valid credential, a malformed body, or a step-up or approval of a user without 2FA.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let opener = opener(context, &call).await?;
    let key = call.idempotency_key()?;
    match opener {
        Opener::Host(Host { app, origin }) => {
            let login = Login::read(&call.fields().await?)?;
            let answer = for_host(context, &app, login, key.as_ref(), &origin).await?;
            Ok(Reply::json(StatusCode::CREATED, &answer))
        }
        // A second step-up spends nothing: without need for a key, none is looked up.
        Opener::User(user) => step_up::open(context, &user, &call.optional_fields().await?).await,
    }
}

impl Login {
    /// What the host application says of a login.
    ///
    /// # Errors
    /// A member is missing or malformed.
    pub fn read(fields: &Fields) -> Result<Self, Problem> {
        Ok(Self {
            user: fields.required("user_id", UserId::parse)?,
            account_name: fields.optional("account_name", AccountName::parse)?,
            ip_address: fields
                .optional("ip_address", |text| text.parse().map_err(|_| "must be an IP address"))?,
            user_agent: fields.optional_text("user_agent")?.map(shortened),
            remember_me: fields.optional_flag("remember_me")?.unwrap_or(false),
            is_admin: fields.optional_flag("is_admin")?.unwrap_or(false),
            return_url: read_return_url(fields)?,
            trusted_browser: fields.optional_text("trusted_browser_token")?.map(browser::Presented::new),
            action: read_action(fields)?,
        })
    }
}

/// Where the browser is to be sent back to.
///
/// # Errors
/// It cannot be a return URL of anybody.
pub(super) fn read_return_url(fields: &Fields) -> Result<Option<ReturnUrl>, Problem> {
    fields.optional("return_url", ReturnUrl::parse)
}

/// The one action that a session is to be for.
///
/// # Errors
/// It is malformed, or there is only what it is done to.
pub(super) fn read_action(fields: &Fields) -> Result<Option<Action>, Problem> {
    let resource = fields.optional("resource", Resource::parse)?;
    match fields.optional("action", ActionName::parse)? {
        Some(name) => Ok(Some(Action { name, resource })),
        None if resource.is_some() => Err(Problem::field("resource", "belongs to an `action`")),
        None => Ok(None),
    }
}

fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(USER_AGENT_MAX).collect()
}

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
    let now = context.clock.now();
    // The trail tells where the user is, which the host knows, and not where the host is.
    let origin = &Origin {
        ip_address: login.ip_address.or(origin.ip_address),
        user_agent: login.user_agent.clone().or_else(|| origin.user_agent.clone()),
        ..origin.clone()
    };
    let Names { session: link, login: id } = names(context, &app.id, key, now).await?;
    let wanted = Wanted::new(context, app, id, login);
    let mut subject = Subject::account(wanted.account.clone()).with_session(hash(&link.id));
    if key.is_some() {
        subject = subject.with_login(id);
    }
    if wanted.trusted.is_some() {
        subject = subject.with_browsers();
    }
    let enrollment_token = pair::enrollment_token(&context.pepper, &link.id);
    let token_hash = hash(&enrollment_token);
    let (opened, spared) =
        context.store.transact(subject, origin, now, |state| wanted.open(state, token_hash, now)).await??;
    Ok(match opened {
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
    })
}

/// The names of what is opened. A key that came a moment ago, when another period was, leads to what it opened then.
///
/// # Errors
/// The store is not available.
async fn names(
    context: &Context,
    app: &AppId,
    key: Option<&IdempotencyKey>,
    now: UnixTime,
) -> Result<Names, Problem> {
    let Some(key) = key else { return Ok(Names::generate(&context.pepper)) };
    let period = Period::of(now);
    let before = Names::of_request(&context.pepper, app, key, period.before());
    let is_there = context.store.session(&hash(&before.session.id)).await?.is_some()
        || context.store.family(app, before.login).await?.is_some();
    Ok(if is_there { before } else { Names::of_request(&context.pepper, app, key, period) })
}

/// What a host wants to be opened.
struct Wanted {
    account: AccountId,
    enforcement: Enforcement,
    login: account::Login,
    action: Option<Action>,
    trusted: Option<(BrowserId, u64)>,
}

impl Wanted {
    fn new(context: &Context, app: &App, id: LoginId, login: Login) -> Self {
        // An approval is no login: nothing of one counts for it.
        let is_login = login.action.is_none();
        let token = login.trusted_browser.filter(|_| is_login);
        Self {
            account: AccountId { app: app.id.clone(), user: login.user },
            enforcement: app.enforcement,
            login: account::Login {
                id,
                account_name: login.account_name.filter(|_| is_login),
                is_admin: login.is_admin,
                remember_me: login.remember_me && is_login,
                return_url: login.return_url.map(String::from),
                trusted: None,
            },
            action: login.action,
            trusted: token.and_then(|token| browser::read(&context.pepper, &app.id, &token)),
        }
    }

    /// Opens it, or finds what the same request has opened; with the trusted browser that was spared the challenge. `enrollment_token` is
    /// the hash of the one that an enrolment gets.
    fn open(
        &self,
        state: &mut State,
        enrollment_token: [u8; 32],
        now: UnixTime,
    ) -> Result<(Opened, Option<TrustedBrowser>), Problem> {
        let opened = match (self.opened_before(state, now)?, &self.action) {
            (Some(opened), _) => opened,
            (None, Some(action)) => {
                let opened =
                    ask_approval::open(state.account.as_ref(), &self.login, action, now, &mut state.events)?;
                state.session = Some(opened.clone());
                Opened::Challenge(opened)
            }
            (None, None) => {
                let opened = self.log_in(state, now);
                match &opened {
                    Opened::Challenge(session) => state.session = Some(session.clone()),
                    Opened::Enrollment(session) => {
                        state.session = Some(session.clone());
                        state.enrollment_token = Some(enrollment_token);
                    }
                    Opened::LetIn { family, .. } => state.started = Some(family.clone()),
                }
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
            account_name: self.login.account_name.as_ref(),
            remember_me: self.login.remember_me,
            return_url: self.login.return_url.as_deref(),
            action: self.action.as_ref(),
            trusted: self.trusted,
        };
        let State { account, session, family, browsers, events, .. } = state;
        let (session, family, account) = (session.as_ref(), family.as_ref(), account.as_mut());
        let before = Before { session, family, account, browsers };
        Ok(asked.opened_before(before, self.enforcement, now, events)?)
    }

    fn log_in(&self, state: &mut State, now: UnixTime) -> Opened {
        let State { account, browsers, events, .. } = state;
        let account = account.get_or_insert_with(|| Account::new(self.account.clone(), now, &mut Entropy));
        let trusted =
            self.trusted.and_then(|token| trusted_browser::spend(browsers, account, token, now, events));
        account.open(account::Login { trusted, ..self.login.clone() }, self.enforcement, now, events)
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
