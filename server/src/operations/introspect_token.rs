//! `POST /2fa/token/introspect/`: whether a token counts right now (RFC 7662).

use serde::Serialize;
use serde_json::json;
use sidekey_core::{
    account::Account,
    id::{AppId, UserId},
    login::SecondFactor,
    time::UnixTime,
};
use utoipa::{ToSchema, openapi::Object};

use crate::{
    caller::{host, read_claims},
    context::Context,
    http::{Call, Problem, Reply},
    keyring::Sealed,
    openapi::{Operation, Tag, schemas},
    token::AccessClaims,
    token::pair::read_refresh_token,
};

/// A token that is asked about.
#[derive(Debug, ToSchema)]
pub struct Introspect {
    /// An access token; with the hint, a refresh token.
    pub token: String,
    /// `refresh_token` for a refresh token; anything else changes nothing.
    pub token_type_hint: Option<String>,
}

/// What is known of a token.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Introspection {
    Inactive(Inactive),
    Access(ActiveAccessToken),
    Refresh(ActiveRefreshToken),
}

/// Not a token that counts now, or that of another application.
#[derive(Serialize, ToSchema)]
struct Inactive {
    #[schema(schema_with = schemas::never)]
    active: bool,
}

/// An access token.
#[derive(Serialize, ToSchema)]
struct ActiveAccessToken {
    #[schema(schema_with = schemas::always)]
    active: bool,
    /// The application.
    #[schema(value_type = String)]
    client_id: AppId,
    #[schema(schema_with = schemas::bearer)]
    token_type: &'static str,
    #[serde(flatten)]
    claims: AccessClaims,
}

/// A refresh token.
#[derive(Serialize, ToSchema)]
struct ActiveRefreshToken {
    /// As in an access token.
    acr: &'static str,
    #[schema(schema_with = schemas::always)]
    active: bool,
    /// As in an access token.
    amr: &'static [&'static str],
    /// Unix time.
    #[schema(required)]
    auth_time: Option<u64>,
    /// The application.
    #[schema(value_type = String)]
    client_id: AppId,
    /// Unix time.
    exp: u64,
    /// The login.
    sid: String,
    #[schema(value_type = schemas::UserId)]
    sub: UserId,
    #[schema(schema_with = refresh_token)]
    token_type: &'static str,
}

const REFRESH_TOKEN: &str = "refresh_token";

fn refresh_token() -> Object {
    schemas::only_text(REFRESH_TOKEN)
}

pub(crate) fn described() -> Operation {
    let access_token = json!({
        "acr": "urn:sidekey:acr:2fa",
        "active": true,
        "amr": ["otp", "mfa"],
        "aud": "demo",
        "auth_time": 1_795_373_940,
        "client_id": "demo",
        "exp": 1_795_374_840,
        "iat": 1_795_373_940,
        "iss": "http://127.0.0.1:8080",
        "jti": "LzmH3EopxbiTy1XZR--Atg",
        "sid": "27e9b5406ae5260fadff99dc54b95538",
        "sub": "42",
        "token_type": "Bearer",
    });
    let refresh_token = json!({
        "acr": "urn:sidekey:acr:2fa",
        "active": true,
        "amr": ["otp", "mfa"],
        "auth_time": 1_795_373_940,
        "client_id": "demo",
        "exp": 1_795_978_740,
        "sid": "27e9b5406ae5260fadff99dc54b95538",
        "sub": "42",
        "token_type": REFRESH_TOKEN,
    });
    Operation::new("introspectToken", Tag::Tokens, "Whether a token counts right now (RFC 7662)")
        .telling(
            "Tells of access tokens of the caller's own application and, with `token_type_hint` `refresh_token`, of its refresh \
             tokens, without spending them. Anything else is `active: false`, as are tokens without a second factor once the \
             user has an active device.",
        )
        .takes_also_as_form::<Introspect>(json!({ "token": "eyJhbGciOiJF…" }))
        .answers::<Introspection>(
            "What is known of it.",
            [
                ("access_token", access_token),
                ("refresh_token", refresh_token),
                ("inactive", json!({ "active": false })),
            ],
        )
}

/// Tells about an access token of the caller's own app, with `token_type_hint=refresh_token` about a refresh token of it; about
/// any other only that it is not active.
///
/// # Errors
/// No valid API key, or a malformed body.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let host = host(context, &call).await?;
    let fields = call.fields_or_form().await?;
    let text = fields.text("token")?;
    let now = context.clock.now();
    let told = match context.verify_access_token(text) {
        Ok(claims) => about_access_token(context, &host.app.id, claims, now).await?,
        // Only for who asks for it: a refresh token opens nothing, and whoever looks at `active` alone must not take it for an access token.
        Err(_) if fields.optional_text("token_type_hint")? == Some(REFRESH_TOKEN) => {
            about_refresh_token(context, &host.app.id, text, now).await?
        }
        Err(_) => None,
    };
    Ok(Reply::ok(&told.unwrap_or(Introspection::Inactive(Inactive { active: false }))))
}

async fn about_access_token(
    context: &Context,
    app: &AppId,
    claims: AccessClaims,
    now: UnixTime,
) -> Result<Option<Introspection>, Problem> {
    let Some((account_id, login, factor)) = read_claims(&claims).filter(|(account, ..)| account.app == *app)
    else {
        return Ok(None);
    };
    let Some((family, account)) = context.store.login(&account_id, login).await? else { return Ok(None) };
    if !family.is_alive(Some(&account), now) || !opens_something(&account, factor, now) {
        return Ok(None);
    }
    let told = ActiveAccessToken { active: true, client_id: app.clone(), token_type: "Bearer", claims };
    Ok(Some(Introspection::Access(told)))
}

async fn about_refresh_token(
    context: &Context,
    app: &AppId,
    text: &str,
    now: UnixTime,
) -> Result<Option<Introspection>, Problem> {
    let Some(token) = read_refresh_token(&context.pepper, text).filter(|token| token.app == *app) else {
        return Ok(None);
    };
    let Some(family) = context.store.family(app, token.login).await? else { return Ok(None) };
    let Some(account) = context.store.sealed_account(&family.account).await? else { return Ok(None) };
    let is_alive = family.number() == token.number && family.is_alive(Some(&account), now);
    if !is_alive || !opens_something(&account, family.second_factor, now) {
        return Ok(None);
    }
    let told = ActiveRefreshToken {
        active: true,
        token_type: REFRESH_TOKEN,
        client_id: app.clone(),
        exp: family.expires_at.as_secs(),
        sid: family.login.to_string(),
        auth_time: family.second_factor.map(|factor| factor.at.as_secs()),
        amr: SecondFactor::amr(family.second_factor),
        acr: SecondFactor::acr(family.second_factor),
        sub: family.account.user,
    };
    Ok(Some(Introspection::Refresh(told)))
}

/// Once there is a device, a login without a second factor opens nothing.
fn opens_something(account: &Account<Sealed>, factor: Option<SecondFactor>, now: UnixTime) -> bool {
    account.require_second_factor(factor, None, now).is_ok()
}
