//! The pair of tokens that a login gets: an access token that says what was proved, and a refresh token.
//!
//! A refresh token is `base64url(login, number, MAC, app)`, the MAC under the store's pepper. The server knows its own tokens by it,
//! the spent ones too, keeps only the number of the living one, and can tell a client that lost an answer the same one again.

use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use sidekey_core::{
    id::{AccountId, AppId, LoginId},
    login::SecondFactor,
    refresh::Family,
    time::UnixTime,
};
use subtle::ConstantTimeEq;

use crate::{
    caller::ENROLLMENT_TOKEN_PREFIX,
    context::Context,
    entropy::random,
    http::{Code, Problem},
    keyring::Pepper,
    token::{ACCESS_TOKEN_SECONDS, AccessClaims},
};

const LOGIN_BYTES: usize = 16;
const NUMBER_BYTES: usize = 8;
const MAC_BYTES: usize = 32;
/// App ids are part of the MAC, so that a token is known with its app or not at all.
const DOMAIN: &str = "refresh-token";

/// What a client gets.
#[derive(Serialize)]
pub struct Tokens {
    access_token: String,
    refresh_token: String,
    token_type: &'static str,
    expires_in: u64,
}

/// A refresh token that is ours.
#[derive(Debug)]
pub struct RefreshToken {
    /// The login.
    pub login: LoginId,
    /// Which of its tokens.
    pub number: u64,
}

/// Makes the tokens of a login, after its transaction.
///
/// # Errors
/// Signing failed.
pub fn issue(context: &Context, family: &Family, now: UnixTime) -> Result<Tokens, Problem> {
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
) -> Result<String, Problem> {
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
    context.signer.sign(&claims).map_err(|error| {
        tracing::error!(%error, "an access token cannot be signed");
        Problem::new(Code::Internal)
    })
}

fn refresh_token(pepper: &Pepper, account: &AccountId, login: LoginId, number: u64) -> String {
    let app = account.app.as_str();
    let mut bytes = Vec::with_capacity(LOGIN_BYTES + NUMBER_BYTES + MAC_BYTES + app.len());
    bytes.extend_from_slice(login.as_bytes());
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.extend_from_slice(&mac(pepper, app, login.as_bytes(), &number.to_be_bytes()));
    bytes.extend_from_slice(app.as_bytes());
    BASE64URL_NOPAD.encode(&bytes)
}

fn mac(pepper: &Pepper, app: &str, login: &[u8], number: &[u8]) -> [u8; MAC_BYTES] {
    pepper.mac(DOMAIN, &[app.as_bytes(), login, number])
}

/// Reads a refresh token: its app, and which token it is, if it is one of ours.
pub fn read_refresh_token(pepper: &Pepper, text: &str) -> Option<(AppId, RefreshToken)> {
    if text.len() > 256 {
        return None;
    }
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    let (login, rest) = bytes.split_first_chunk::<LOGIN_BYTES>()?;
    let (number, rest) = rest.split_first_chunk::<NUMBER_BYTES>()?;
    let (given, app) = rest.split_first_chunk::<MAC_BYTES>()?;
    let app = std::str::from_utf8(app).ok()?;
    let ours: bool = mac(pepper, app, login, number).ct_eq(given).into();
    let app = AppId::parse(app).ok().filter(|_| ours)?;
    Some((app, RefreshToken { login: LoginId::from_bytes(*login), number: u64::from_be_bytes(*number) }))
}

/// The enrolment token of a session: derived, so that the page that was sent here with the session can be given it again.
pub fn enrollment_token(pepper: &Pepper, session_id: &str) -> String {
    let mac = pepper.mac("enrollment-token", &[session_id.as_bytes()]);
    format!("{ENROLLMENT_TOKEN_PREFIX}{}", BASE64URL_NOPAD.encode(&mac))
}
