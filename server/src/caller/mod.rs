//! Who makes a request, and what proves it. Each kind of caller is a type: an operation that changes a user's devices takes
//! the caller that may, so that no check can be forgotten. What a caller changes goes through a transaction of theirs, which asks on the
//! state that the decision rests on whether they may: [`transact`](self::User::transact).

mod acting;
mod operator;

use std::sync::Arc;

use sha2::{Digest, Sha256};
use sidekey_core::{
    id::{AccountId, AppId, LoginId, UserId},
    login::SecondFactor,
    time::UnixTime,
};

use crate::{
    apps::{App, KEY_PREFIX},
    audit::{Actor, Origin},
    context::Context,
    http::{Call, Code, Problem},
    telemetry::SPANS,
    token::AccessClaims,
};

pub use acting::{Acting, Demand, Enrolling};
pub use operator::{Admin, OPERATOR_FRESH, Operator, Support};
pub(crate) use operator::{Arrived, HalfWay, SessionInHand, arrived};

/// How enrolment tokens begin.
pub const ENROLLMENT_TOKEN_PREFIX: &str = "enroll_";

/// A host application, proved by one of its API keys.
#[derive(Debug)]
pub struct Host {
    /// The app.
    pub app: Arc<App>,
    /// For the audit trail.
    pub origin: Origin,
}

/// A user, proved by an access token of ours.
#[derive(Debug)]
pub struct User {
    /// The user.
    pub account: AccountId,
    /// The login that the token belongs to.
    pub login: LoginId,
    /// The second factor that the token tells of.
    pub second_factor: Option<SecondFactor>,
    /// For the audit trail.
    pub origin: Origin,
}

/// A user who has no device yet and was sent to enrol one.
#[derive(Debug)]
pub struct Newcomer {
    /// The user.
    pub account: AccountId,
    /// The hash of the id of the enrolment session.
    pub session: [u8; 32],
    /// The login that the session leads to.
    pub login: LoginId,
    /// For the audit trail.
    pub origin: Origin,
}

/// Whoever may set up a device.
#[derive(Debug)]
pub enum Enroller {
    /// A user who is logged in.
    User(User),
    /// A user on the way in.
    Newcomer(Newcomer),
}

impl Host {
    /// The user that the path names, of this app.
    ///
    /// # Errors
    /// No user can have this name.
    pub fn named_user(&self, call: &Call) -> Result<AccountId, Problem> {
        let user = call.name.as_deref().and_then(|name| UserId::parse(name).ok());
        let user = user.ok_or_else(|| Problem::new(Code::NotFound))?;
        Ok(AccountId { app: self.app.id.clone(), user })
    }
}

/// The kinds of credentials, told apart by how they begin.
enum Credentials<'a> {
    ApiKey(&'a str),
    EnrollmentToken(&'a str),
    AccessToken(&'a str),
}

fn credentials(call: &Call) -> Result<Credentials<'_>, Problem> {
    let token = call.bearer().ok_or_else(Problem::credentials_missing)?;
    Ok(if token.starts_with(KEY_PREFIX) {
        Credentials::ApiKey(token)
    } else if token.starts_with(ENROLLMENT_TOKEN_PREFIX) {
        Credentials::EnrollmentToken(token)
    } else {
        Credentials::AccessToken(token)
    })
}

/// The host application that makes this call.
///
/// # Errors
/// `AUTH_REQUIRED` without a valid credential, `FORBIDDEN` with a valid one of another kind.
#[tracing::instrument(target = SPANS, name = "caller", skip_all)]
pub async fn host(context: &Context, call: &Call) -> Result<Host, Problem> {
    match credentials(call)? {
        Credentials::ApiKey(key) => host_of(context, call, key).await,
        other => Err(refuse_other_kind(context, call, other).await),
    }
}

/// The user who makes this call.
///
/// # Errors
/// `AUTH_REQUIRED` without a valid credential, `FORBIDDEN` with a valid one of another kind.
#[tracing::instrument(target = SPANS, name = "caller", skip_all)]
pub async fn user(context: &Context, call: &Call) -> Result<User, Problem> {
    match credentials(call)? {
        Credentials::AccessToken(token) => user_of(context, call, token),
        other => Err(refuse_other_kind(context, call, other).await),
    }
}

/// Whoever may set up a device and makes this call.
///
/// # Errors
/// `AUTH_REQUIRED` without a valid credential, `FORBIDDEN` with a valid one of another kind.
#[tracing::instrument(target = SPANS, name = "caller", skip_all)]
pub async fn enroller(context: &Context, call: &Call) -> Result<Enroller, Problem> {
    match credentials(call)? {
        Credentials::AccessToken(token) => user_of(context, call, token).map(Enroller::User),
        Credentials::EnrollmentToken(token) => {
            newcomer_of(context, call, token).await.map(Enroller::Newcomer)
        }
        other @ Credentials::ApiKey(_) => Err(refuse_other_kind(context, call, other).await),
    }
}

/// Whoever may open a session: a host for its users, a user for themselves.
#[derive(Debug)]
pub enum Opener {
    /// A host application.
    Host(Host),
    /// A user who is logged in.
    User(User),
}

/// Whoever opens a session by this call.
///
/// # Errors
/// `AUTH_REQUIRED` without a valid credential, `FORBIDDEN` with an enrolment token.
#[tracing::instrument(target = SPANS, name = "caller", skip_all)]
pub async fn opener(context: &Context, call: &Call) -> Result<Opener, Problem> {
    match credentials(call)? {
        Credentials::ApiKey(key) => host_of(context, call, key).await.map(Opener::Host),
        Credentials::AccessToken(token) => user_of(context, call, token).map(Opener::User),
        other @ Credentials::EnrollmentToken(_) => Err(refuse_other_kind(context, call, other).await),
    }
}

/// A valid credential of the wrong kind is told so; an invalid one is just invalid.
async fn refuse_other_kind(context: &Context, call: &Call, credentials: Credentials<'_>) -> Problem {
    let valid = match credentials {
        Credentials::ApiKey(key) => host_of(context, call, key).await.map(drop),
        Credentials::EnrollmentToken(token) => newcomer_of(context, call, token).await.map(drop),
        Credentials::AccessToken(token) => user_of(context, call, token).map(drop),
    };
    valid.map_or_else(|problem| problem, |()| Problem::new(Code::Forbidden))
}

async fn host_of(context: &Context, call: &Call, key: &str) -> Result<Host, Problem> {
    let found = context.apps.authenticate(key).await?;
    let app = found.ok_or_else(Problem::credentials_invalid)?;
    Ok(Host { app, origin: call.origin_as(Actor::App) })
}

fn user_of(context: &Context, call: &Call, token: &str) -> Result<User, Problem> {
    let claims = context.verify_access_token(token).map_err(|error| {
        tracing::debug!(%error, "an access token was refused");
        Problem::credentials_invalid()
    })?;
    let (account, login, second_factor) = read_claims(&claims).ok_or_else(Problem::credentials_invalid)?;
    let origin = call.origin_as(Actor::User { login: login.to_string() });
    Ok(User { account, login, second_factor, origin })
}

/// What a token of ours says in the terms of core; a token that we signed always says it.
pub fn read_claims(claims: &AccessClaims) -> Option<(AccountId, LoginId, Option<SecondFactor>)> {
    let account = AccountId { app: AppId::parse(&claims.aud).ok()?, user: UserId::parse(&claims.sub).ok()? };
    let login = LoginId::parse(&claims.sid)?;
    Some((account, login, SecondFactor::from_claims(&claims.amr, claims.auth_time.map(UnixTime::from_secs))))
}

async fn newcomer_of(context: &Context, call: &Call, token: &str) -> Result<Newcomer, Problem> {
    let token_hash = hash(token);
    let session_hash = context.store.session_of_enrollment_token(&token_hash).await?;
    let session_hash = session_hash.ok_or_else(Problem::credentials_invalid)?;
    let session = context.store.session(&session_hash).await?.ok_or_else(Problem::credentials_invalid)?;
    let account = context.store.account(&session.account).await?;
    session
        .require_open(account.as_ref(), context.clock.now())
        .map_err(|_| Problem::credentials_invalid())?;
    Ok(Newcomer {
        account: session.account,
        session: session_hash,
        login: session.login,
        origin: call.origin_as(Actor::Enrollment),
    })
}

/// SHA-256 of an identifier that has at least 128 random bits, which is all that is stored of it.
pub fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}
