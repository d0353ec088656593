//! The pair of tokens that a login gets: an access token that says what was proved, and a refresh token.
//!
//! A refresh token is a [`Numbered`] text. The server knows its own tokens by it, the spent ones too, keeps only the number of the
//! living one, and can tell a client that lost an answer the same one again.

use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use sidekey_core::{
    id::{AccountId, LoginId},
    login::SecondFactor,
    refresh::Family,
    time::UnixTime,
};
use utoipa::ToSchema;

use crate::{
    caller::ENROLLMENT_TOKEN_PREFIX,
    context::Context,
    entropy::random,
    keyring::Pepper,
    openapi::schemas,
    token::{
        ACCESS_TOKEN_SECONDS, AccessClaims, SigningFailed,
        numbered::{Numbered, Purpose},
    },
};

/// What a client gets.
#[derive(Serialize, ToSchema)]
pub struct Tokens {
    /// A JWT of the type `at+jwt`, signed with ES256; see `AccessTokenClaims`.
    access_token: String,
    /// Opaque. Each use returns the next one; it lives 7 days from its making, 30 with `remember_me`.
    refresh_token: String,
    #[schema(schema_with = schemas::bearer)]
    token_type: &'static str,
    /// Seconds that the access token lives.
    #[schema(minimum = 900, maximum = 900)]
    expires_in: u64,
}

impl Tokens {
    /// The access token.
    pub fn access_token(&self) -> &str {
        &self.access_token
    }
}

/// Makes the tokens of a login, after its transaction.
///
/// # Errors
/// Signing failed.
pub fn issue(context: &Context, family: &Family, now: UnixTime) -> Result<Tokens, SigningFailed> {
    Ok(Tokens {
        access_token: access_token(context, &family.account, family.login, family.second_factor, now)?,
        refresh_token: refresh_token(&context.pepper, &family.account, family.login, family.number()),
        token_type: "Bearer",
        expires_in: ACCESS_TOKEN_SECONDS,
    })
}

fn access_token(
    context: &Context,
    account: &AccountId,
    login: LoginId,
    factor: Option<SecondFactor>,
    now: UnixTime,
) -> Result<String, SigningFailed> {
    let claims = AccessClaims {
        iss: context.issuer.clone(),
        sub: account.user.to_string(),
        aud: account.app.to_string(),
        iat: now.as_secs(),
        exp: now.plus(ACCESS_TOKEN_SECONDS).as_secs(),
        jti: BASE64URL_NOPAD.encode(&random::<16>()),
        sid: login.to_string(),
        auth_time: factor.map(|factor| factor.at.as_secs()),
        amr: SecondFactor::amr(factor).iter().map(ToString::to_string).collect(),
        acr: SecondFactor::acr(factor).to_owned(),
    };
    context.signer.sign(&claims)
}

/// The refresh token of a login with this number.
fn refresh_token(pepper: &Pepper, account: &AccountId, login: LoginId, number: u64) -> String {
    Numbered { app: account.app.clone(), login, number }.write(pepper, Purpose::RefreshToken)
}

/// Reads a refresh token, if it is one of ours.
pub fn read_refresh_token(pepper: &Pepper, text: &str) -> Option<Numbered> {
    Numbered::read(pepper, Purpose::RefreshToken, text)
}

/// The enrolment token of a session: derived, so that the page that was sent here with the session can be given it again.
pub fn enrollment_token(pepper: &Pepper, session_id: &str) -> String {
    let mac = pepper.mac("enrollment-token", &[session_id.as_bytes()]);
    format!("{ENROLLMENT_TOKEN_PREFIX}{}", BASE64URL_NOPAD.encode(&mac))
}
