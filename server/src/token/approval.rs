//! What an approved action gets: a token of its own type, bound to exactly this action, and the code that carries it through a browser.
//!
//! The token's audience is none of an app's: who looks at signature and audience only, and expects an access token, refuses it.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use sidekey_core::{
    action::{Action, Approval, LIFETIME},
    id::{AccountId, ActionName, AppId, LoginId, Resource, UserId},
    login::SecondFactor,
    time::UnixTime,
};
use subtle::ConstantTimeEq;

use super::{SigningFailed, TokenType, in_force};
use crate::{context::Context, keyring::Pepper};

/// What follows an app's id in the audience.
const AUDIENCE_SUFFIX: &str = ":action";
/// The domain of the MAC of a code.
const CODE_DOMAIN: &str = "approval-code";

/// What the token says. Times are Unix times in seconds.
#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    iat: u64,
    exp: u64,
    jti: String,
    auth_time: u64,
    amr: Vec<String>,
    acr: String,
    action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
}

/// The token of an approval.
///
/// # Errors
/// Signing failed.
pub fn issue(context: &Context, approval: &Approval, now: UnixTime) -> Result<String, SigningFailed> {
    let Approval { account, id, action, second_factor } = approval;
    let claims = Claims {
        iss: context.issuer.clone(),
        sub: account.user.to_string(),
        aud: format!("{}{AUDIENCE_SUFFIX}", account.app),
        iat: now.as_secs(),
        exp: now.plus(LIFETIME).as_secs(),
        jti: id.to_string(),
        auth_time: second_factor.at.as_secs(),
        amr: SecondFactor::amr(Some(*second_factor)).iter().map(ToString::to_string).collect(),
        acr: SecondFactor::acr(Some(*second_factor)).to_owned(),
        action: action.name.to_string(),
        resource: action.resource.as_ref().map(ToString::to_string),
    };
    context.signer.sign_as(TokenType::Action, claims.iat, &claims)
}

/// Reads a token of this app, if this server signed it and it is not over: what was approved.
pub fn read(context: &Context, app: &AppId, token: &str, now: UnixTime) -> Option<Approval> {
    let claims: Claims = context.signer.verify_as(TokenType::Action, token, now.as_secs()).ok()?;
    in_force(&claims.iss, claims.exp, now.as_secs(), &context.issuer).ok()?;
    claims.aud.strip_suffix(AUDIENCE_SUFFIX).filter(|of| *of == app.as_str())?;
    let resource = claims.resource.as_deref().map(Resource::parse).transpose().ok()?;
    Some(Approval {
        account: AccountId { app: app.clone(), user: UserId::parse(&claims.sub).ok()? },
        id: LoginId::parse(&claims.jti)?,
        action: Action { name: ActionName::parse(&claims.action).ok()?, resource },
        second_factor: SecondFactor::from_claims(&claims.amr, Some(UnixTime::from_secs(claims.auth_time)))?,
    })
}

/// The code that a browser carries from the page to the application, for the session with this hash of its id.
pub fn write_code(pepper: &Pepper, app: &AppId, session: &[u8; 32]) -> String {
    let mac = pepper.mac(CODE_DOMAIN, &[app.as_str().as_bytes(), session]);
    BASE64URL_NOPAD.encode(&[session.as_slice(), &mac].concat())
}

/// The hash of the session's id that a code of this app is for.
pub fn read_code(pepper: &Pepper, app: &AppId, text: &str) -> Option<[u8; 32]> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    let (session, given) = bytes.split_first_chunk::<32>()?;
    let mac = pepper.mac(CODE_DOMAIN, &[app.as_str().as_bytes(), session]);
    let ours: bool = mac.ct_eq(given).into();
    ours.then_some(*session)
}
