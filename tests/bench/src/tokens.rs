//! The tokens of a sample of logins: each is of its user, signed by the server's published key, tells of a second factor, and stands
//! once.

use std::collections::HashSet;
use std::net::SocketAddr;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;

use crate::connection::{Connection, Request};
use crate::failure::{Failure, Outcome};
use crate::people::name;
use crate::work::Login;

/// Signatures that are checked.
const SAMPLE: usize = 256;

#[derive(Deserialize)]
struct Claims {
    sub: String,
    jti: String,
    amr: Vec<String>,
}

/// Checks them.
///
/// # Errors
/// One of them is not what it should be.
pub async fn check(address: SocketAddr, logins: &[Login]) -> Outcome {
    let refresh: HashSet<&str> = logins.iter().map(|login| login.refresh.as_str()).collect();
    if refresh.len() != logins.len() {
        return Err(Failure::new("two logins have the same refresh token"));
    }
    let mut connection = Connection::open(address).await?;
    let keys: JwkSet =
        connection.exchange(Request::get("/.well-known/jwks.json", "")).await?.json("the key set", 200)?;
    let mut ids = HashSet::new();
    for login in logins.iter().take(SAMPLE) {
        let claims = claims(&keys, &login.access)?;
        if claims.sub != name(login.user)
            || !claims.amr.iter().any(|method| method == "mfa")
            || !ids.insert(claims.jti)
        {
            return Err(Failure::new("an access token is not that of its login"));
        }
    }
    Ok(())
}

fn claims(keys: &JwkSet, token: &str) -> Outcome<Claims> {
    let because = || Failure::because("an access token");
    let kid = decode_header(token).map_err(because())?.kid.unwrap_or_default();
    let key = keys.find(&kid).ok_or_else(|| Failure::new("an access token is signed with an unknown key"))?;
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&["bench"]);
    let key = DecodingKey::from_jwk(key).map_err(because())?;
    Ok(decode(token, &key, &validation).map_err(because())?.claims)
}
