//! `POST /2fa/sessions/`: a host opens a session after its own login. That of a user who steps up is opened in [`step_up`].

use std::net::IpAddr;

use http::StatusCode;
use serde_json::{Value, json};
use sidekey_core::{
    account::{self, Account, Opened},
    action::Action,
    id::{AccountId, AccountName, ActionName, LoginId, Resource, UserId},
    session::LIFETIME,
    time::UnixTime,
    trusted_browser,
};

use super::{ask_approval, step_up};
use crate::{
    apps::{App, ReturnUrl},
    audit::{Origin, USER_AGENT_MAX},
    caller::{Host, Opener, hash, opener},
    context::Context,
    entropy::Entropy,
    http::{Call, Fields, Problem, Reply, rfc3339},
    pages::address,
    store::Subject,
    token::{
        browser,
        pair::{self, Tokens, issue},
        session_link::{PARAMETER, SessionLink},
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

/// Opens a session.
///
/// # Errors
/// No valid credential, a malformed body, or a step-up or approval of a user without 2FA.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    match opener(context, &call).await? {
        Opener::Host(Host { app, origin }) => {
            let login = Login::read(&call.fields().await?)?;
            let answer = for_host(context, &app, login, &origin).await?;
            Ok(Reply::json(StatusCode::CREATED, &answer))
        }
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

/// Opens a session for a login that a host application has let through.
///
/// # Errors
/// The app has not named the `return_url`, or the store is not available.
pub async fn for_host(context: &Context, app: &App, login: Login, origin: &Origin) -> Result<Value, Problem> {
    if login.return_url.as_ref().is_some_and(|url| !app.return_urls.contains(url)) {
        let id = &app.id;
        let remedy = format!(
            "is not one of the application's return URLs, to which it must be equal: add it with \
             `sidekey app set --app {id} --return-url URL` or `PATCH /2fa/app/`"
        );
        return Err(Problem::field("return_url", &remedy));
    }
    let link = SessionLink::generate(&context.pepper);
    let now = context.clock.now();
    // The trail tells where the user is, which the host knows, and not where the host is.
    let origin = &Origin {
        ip_address: login.ip_address.or(origin.ip_address),
        user_agent: login.user_agent.or_else(|| origin.user_agent.clone()),
        ..origin.clone()
    };
    let account_id = AccountId { app: app.id.clone(), user: login.user };
    let return_url = login.return_url.map(String::from);
    if let Some(action) = login.action {
        return ask_approval::open(context, account_id, action, return_url, origin).await;
    }
    let rule = account::Login {
        id: LoginId::generate(&mut Entropy),
        account_name: login.account_name,
        is_admin: login.is_admin,
        remember_me: login.remember_me,
        return_url,
        trusted: None,
    };
    let token =
        login.trusted_browser.as_ref().and_then(|token| browser::read(&context.pepper, &app.id, token));
    let subject = Subject::account(account_id.clone()).with_session(hash(&link.id));
    let subject = if token.is_some() { subject.with_browsers() } else { subject };
    let enrollment_token = pair::enrollment_token(&context.pepper, &link.id);
    let (opened, spared) = context
        .store
        .transact(subject, origin, now, |state| {
            let account =
                state.account.get_or_insert_with(|| Account::new(account_id.clone(), now, &mut Entropy));
            let trusted = token.and_then(|token| {
                trusted_browser::spend(&mut state.browsers, account, token, now, &mut state.events)
            });
            let rule = account::Login { trusted, ..rule.clone() };
            let opened = account.open(rule, app.enforcement, now, &mut state.events);
            match &opened {
                Opened::Challenge(session) => state.session = Some(session.clone()),
                Opened::Enrollment(session) => {
                    state.session = Some(session.clone());
                    state.enrollment_token = Some(hash(&enrollment_token));
                }
                Opened::LetIn { family, .. } => state.started = Some(family.clone()),
            }
            let spared = trusted.and(token).and_then(|(id, _)| state.browsers.iter().find(|b| b.id == id));
            (opened, spared.cloned())
        })
        .await?;
    Ok(match opened {
        Opened::LetIn { family, invited, enroll_by } => {
            let mut answer = let_in(&issue(context, &family, now)?, invited, enroll_by);
            if let (Some(browser), Some(answer)) = (spared, answer.as_object_mut()) {
                let token = browser::write(&context.pepper, &browser);
                answer.insert("trusted_browser_token".to_owned(), token.into());
            }
            answer
        }
        Opened::Enrollment(_) => json!({
            "requires_2fa": true,
            "requires_enrollment": true,
            "session_id": link.id,
            "expires_in": LIFETIME,
            "enroll_url": format!("{}?{PARAMETER}={}", context.url(address::ENROLL), link.link),
            "enrollment_token": enrollment_token,
        }),
        Opened::Challenge(_) => challenge(context, &link),
    })
}

fn let_in(tokens: &Tokens, invited: bool, enroll_by: Option<UnixTime>) -> Value {
    let mut answer = json!({ "requires_2fa": false, "should_enroll": invited });
    if let (Value::Object(answer), Ok(Value::Object(tokens))) = (&mut answer, serde_json::to_value(tokens)) {
        answer.extend(tokens);
        if let Some(enroll_by) = enroll_by {
            answer.insert("enroll_by".to_owned(), rfc3339(enroll_by).into());
        }
    }
    answer
}

/// The answer that sends the browser to the challenge.
pub(super) fn challenge(context: &Context, link: &SessionLink) -> Value {
    json!({
        "requires_2fa": true,
        "session_id": link.id,
        "expires_in": LIFETIME,
        "methods": ["totp", "backup_code"],
        "verify_url": format!("{}?{PARAMETER}={}", context.url(address::CHALLENGE), link.link),
    })
}
