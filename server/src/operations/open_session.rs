//! `POST /2fa/sessions/`: a host opens a session after its own login ([`opening`]). That of a user who steps up is opened in [`step_up`].

use std::net::IpAddr;

use http::StatusCode;
use serde_json::json;
use sidekey_core::{
    action::Action,
    id::{AccountName, ActionName, Resource, UserId},
};
use utoipa::ToSchema;

use super::{opened, opening, step_up};
use crate::{
    apps::ReturnUrl,
    audit::USER_AGENT_MAX,
    caller::{Host, Opener, opener},
    context::Context,
    http::{Call, Code, Fields, Problem, Reply},
    openapi::{Operation, Tag, schemas},
    token::browser,
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
            let answer = opening::for_host(context, &app, login, key.as_ref(), &origin).await?;
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
