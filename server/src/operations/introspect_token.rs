//! `POST /2fa/token/introspect/`: whether a token counts right now (RFC 7662).

use serde_json::{Value, json};
use sidekey_core::{account::Account, id::AppId, login::SecondFactor, time::UnixTime};

use crate::{
    caller::{host, read_claims},
    context::Context,
    http::{Call, Problem, Reply},
    token::AccessClaims,
    token::pair::read_refresh_token,
};

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
        Ok(claims) => about_access_token(context, &host.app.id, &claims, now).await?,
        // Only for who asks for it: a refresh token opens nothing, and whoever looks at `active` alone must not take it for an access token.
        Err(_) if fields.optional_text("token_type_hint")? == Some("refresh_token") => {
            about_refresh_token(context, &host.app.id, text, now).await?
        }
        Err(_) => None,
    };
    Ok(Reply::ok(&told.unwrap_or_else(|| json!({ "active": false }))))
}

async fn about_access_token(
    context: &Context,
    app: &AppId,
    claims: &AccessClaims,
    now: UnixTime,
) -> Result<Option<Value>, Problem> {
    let Some((account_id, login, factor)) = read_claims(claims).filter(|(account, ..)| account.app == *app)
    else {
        return Ok(None);
    };
    let family = context.store.family(app, login).await?;
    let account = context.store.account(&account_id).await?;
    let is_alive = family.is_some_and(|family| family.is_alive(account.as_ref(), now));
    if !is_alive || !opens_something(account, factor, now) {
        return Ok(None);
    }
    let mut told = json!({ "active": true, "token_type": "Bearer", "client_id": app });
    if let (Value::Object(told), Ok(Value::Object(claims))) = (&mut told, serde_json::to_value(claims)) {
        told.extend(claims);
    }
    Ok(Some(told))
}

async fn about_refresh_token(
    context: &Context,
    app: &AppId,
    text: &str,
    now: UnixTime,
) -> Result<Option<Value>, Problem> {
    let Some(token) = read_refresh_token(&context.pepper, text).filter(|token| token.app == *app) else {
        return Ok(None);
    };
    let Some(family) = context.store.family(app, token.login).await? else { return Ok(None) };
    let account = context.store.account(&family.account).await?;
    let is_alive = family.number() == token.number && family.is_alive(account.as_ref(), now);
    if !is_alive || !opens_something(account, family.second_factor, now) {
        return Ok(None);
    }
    Ok(Some(json!({
        "active": true,
        "token_type": "refresh_token",
        "client_id": app,
        "sub": family.account.user,
        "exp": family.expires_at.as_secs(),
        "sid": family.login.to_string(),
        "auth_time": family.second_factor.map(|factor| factor.at.as_secs()),
        "amr": SecondFactor::amr(family.second_factor),
        "acr": SecondFactor::acr(family.second_factor),
    })))
}

/// Once there is a device, a login without a second factor opens nothing.
fn opens_something(account: Option<Account>, factor: Option<SecondFactor>, now: UnixTime) -> bool {
    account.is_some_and(|account| account.require_second_factor(factor, None, now).is_ok())
}
