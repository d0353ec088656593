//! Access tokens, verified through the JWKS with a JWT library.

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;

use crate::server::Server;

/// The header of a token, read without verifying it.
pub fn header(token: &str) -> Value {
    part(token, 0)
}

/// The claims of a token, read without verifying it.
pub fn claims(token: &str) -> Value {
    part(token, 1)
}

fn part(token: &str, index: usize) -> Value {
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3, "a JWT has three parts");
    let bytes = BASE64URL_NOPAD.decode(parts[index].as_bytes()).expect("a JWT is base64url without padding");
    serde_json::from_slice(&bytes).expect("the parts of a JWT are JSON")
}

/// Verifies the signature under the JWKS' key of that `kid`, and the audience; gives the claims. The times are the
/// caller's to check: the server's clock is not the library's.
pub async fn verified(server: &Server, token: &str, audience: &str) -> Value {
    let keys: JwkSet =
        serde_json::from_value(server.get("/.well-known/jwks.json").await.ok().json).expect("a JWKS");
    let kid = header(token)["kid"].as_str().expect("a kid").to_string();
    let key = keys.find(&kid).unwrap_or_else(|| panic!("the JWKS has no key `{kid}`"));
    let mut rules = Validation::new(Algorithm::ES256);
    rules.validate_exp = false;
    rules.set_audience(&[audience]);
    let key = DecodingKey::from_jwk(key).expect("the key can be used");
    jsonwebtoken::decode::<Value>(token, &key, &rules).expect("the token verifies").claims
}
