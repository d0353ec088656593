//! Access tokens: JWTs (RFC 7519) of the type `at+jwt` (RFC 9068), signed with ES256 (RFC 7518 section 3.4).
//!
//! - [`approval`]: what an approved action gets;
//! - [`browser`]: what a trusted browser gets;
//! - [`pair`]: what a login gets, an access token and a refresh token;
//! - [`dispute`]: what the link of a mail to an owner says;
//! - [`numbered`]: texts that name a login and cannot be made by anybody else;
//! - [`session_link`]: the link that hands a session over to a browser, and the session's id;
//! - `claims`: what an access token says;
//! - this file: the [`Signer`] that signs, verifies and publishes;
//! - `jwk`: what it publishes;
//! - `key`: one signing key in memory;
//! - `stored`: signing keys in the store;
//! - `verified`: which signatures were found to be right;
//! - [`rotation`]: the next key, and what becomes of the one before it.

pub mod approval;
pub mod browser;
mod claims;
pub mod dispute;
mod jwk;
mod key;
pub mod numbered;
pub mod pair;
pub mod rotation;
pub mod session_link;
mod stored;
#[cfg(test)]
mod tests;
mod verified;

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};
use serde::{Serialize, de::DeserializeOwned, de::IgnoredAny};

use crate::swap::Swap;
pub use claims::{AccessClaims, AuthenticationMethod};
pub use jwk::{Jwk, JwkSet};
pub use key::{SigningFailed, SigningKey, Term};
pub use stored::{SignerError, check as check_record, resealed, sealed_in};
use verified::Verified;

/// What a token is for, told by the header's `typ` (RFC 8725 section 3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenType {
    /// An access token (RFC 9068 section 2.1).
    Access,
    /// The token of one approved action.
    Action,
}

impl TokenType {
    const ALL: [Self; 2] = [Self::Access, Self::Action];

    const fn media_type(self) -> &'static str {
        match self {
            Self::Access => "at+jwt",
            Self::Action => "sidekey-action+jwt",
        }
    }
}

/// Seconds that an access token lives.
pub const ACCESS_TOKEN_SECONDS: u64 = 15 * 60;

/// How long verifiers may keep the key set, in seconds. A key is published for at least this long before it signs.
pub const JWKS_MAX_AGE: u64 = 300;

/// Seconds that a key is known beyond the end of the last token that it signed.
const KEPT_BEYOND: u64 = 60;

/// More than any token of ours; a longer one is not looked at. The user id is the only claim of free length: 255 bytes
/// become at most 1,530 as JSON escapes.
const TOKEN_MAX_BYTES: usize = 8 * 1024;

/// Why a token is refused. Callers answer all of them alike; the log may tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no JWT, or not one with our claims.
    #[error("not an access token")]
    Malformed,
    /// A JWT for another purpose (RFC 8725 section 3.11).
    #[error("a token of another type")]
    WrongType,
    /// No key of ours has this id.
    #[error("signed with an unknown key")]
    UnknownKey,
    /// The algorithm is not the key's (RFC 8725 section 3.1), or the signature is wrong.
    #[error("the signature is wrong")]
    BadSignature,
    /// Issued by somebody else, or for another public URL.
    #[error("issued by another server")]
    ForeignIssuer,
    /// Its time is over.
    #[error("expired")]
    Expired,
}

/// Signs, verifies and publishes.
///
/// Of the keys that have not stopped signing, the one that stops first is the one that signs; the next is published already, so
/// that every verifier knows it when its turn comes, and those that have stopped are known until the last token they signed is
/// over.
/// All of that goes by the time that is handed in: nothing has to happen at the moment when one key takes over from another.
#[derive(Debug)]
pub struct Signer {
    /// In the order in which they sign.
    keys: Swap<[SigningKey]>,
    /// Held from the reading of the stored keys until they are taken up.
    reloading: tokio::sync::Mutex<()>,
    validation: Validation,
    verified: Verified,
}

impl Signer {
    /// A signer with these keys, of which one signs.
    pub fn new(keys: Vec<SigningKey>) -> Self {
        let mut validation = Validation::new(Algorithm::ES256);
        // The library reads the system's clock for these; `verify` has the time as an argument.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        // The audience is the app, which the caller looks up.
        validation.validate_aud = false;
        let (keys, reloading) = (Swap::new(sorted(keys)), tokio::sync::Mutex::default());
        Self { keys, reloading, validation, verified: Verified::default() }
    }

    /// Works with these keys from now on.
    fn replace(&self, keys: Vec<SigningKey>) {
        // Whoever is signing finishes with the keys that they have.
        drop(self.keys.replace(sorted(keys)));
    }

    /// The token in JWS compact serialisation (RFC 7515 section 7.1), signed with the key whose turn it is at the token's
    /// `iat`.
    ///
    /// # Errors
    /// When the system's generator gives no randomness, or no key signs at that time.
    pub fn sign(&self, claims: &AccessClaims) -> Result<String, SigningFailed> {
        self.sign_as(TokenType::Access, claims.iat, claims)
    }

    fn sign_as(&self, of: TokenType, iat: u64, claims: &impl Serialize) -> Result<String, SigningFailed> {
        let keys = self.keys.get();
        keys.iter().find(|key| key.signs(iat)).ok_or(SigningFailed)?.sign(of, claims)
    }

    /// The claims of a token that this server signed for `issuer` and that is not over at `now`, a Unix time. There is
    /// no leeway: issuer and verifier are one.
    ///
    /// # Errors
    /// Any other token.
    pub fn verify(&self, token: &str, now: u64, issuer: &str) -> Result<AccessClaims, TokenError> {
        let claims: AccessClaims = self.verify_as(TokenType::Access, token, now)?;
        in_force(&claims.iss, claims.exp, now, issuer)?;
        Ok(claims)
    }

    fn verify_as<C: DeserializeOwned>(&self, of: TokenType, token: &str, now: u64) -> Result<C, TokenError> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(TokenError::Malformed);
        }
        let keys = self.keys.get();
        let key = match keys.iter().find(|key| has_header(token, key.header(of)) && !key.is_over(now)) {
            Some(key) => key,
            None => named(of, token, &keys, now)?,
        };
        self.verified.once(token, || {
            let decoded = jsonwebtoken::decode::<IgnoredAny>(token, key.decoding_key(), &self.validation);
            decoded.map(drop).map_err(refusal)
        })?;
        claims(token).ok_or(TokenError::Malformed)
    }

    /// The JWK set (RFC 7517 section 5) at `now`, a Unix time: the public halves of all keys that sign, will sign, or have
    /// signed a token that may still be valid.
    pub fn jwks(&self, now: u64) -> JwkSet {
        let keys = self.keys.get();
        JwkSet { keys: keys.iter().filter(|key| !key.is_over(now)).map(SigningKey::jwk).collect() }
    }
}

/// Whether a token begins with this encoded header. One that does says what a token of ours says, letter by letter.
fn has_header(token: &str, header: &str) -> bool {
    token.strip_prefix(header).is_some_and(|rest| rest.starts_with('.'))
}

/// The key that the header of a token of this type names, for a header that none of ours is like.
///
/// # Errors
/// It is of another type, or names no key of ours.
fn named<'k>(
    of: TokenType,
    token: &str,
    keys: &'k [SigningKey],
    now: u64,
) -> Result<&'k SigningKey, TokenError> {
    let header = jsonwebtoken::decode_header(token).map_err(refusal)?;
    if header.typ.as_deref() != Some(of.media_type()) {
        return Err(TokenError::WrongType);
    }
    // RFC 7515 section 4.1.11: extensions that are critical and unknown, as any is, make the token invalid.
    if header.crit.is_some() {
        return Err(TokenError::Malformed);
    }
    // `kid` chooses among our keys; `jku`, `jwk` and `x5u` are never looked at (RFC 8725 section 3.10).
    let kid = header.kid.ok_or(TokenError::UnknownKey)?;
    keys.iter().find(|key| key.kid() == kid && !key.is_over(now)).ok_or(TokenError::UnknownKey)
}

/// The claims of a JWS in compact serialisation, whose signature is another matter.
fn claims<C: DeserializeOwned>(token: &str) -> Option<C> {
    let claims = token.split('.').nth(1)?;
    serde_json::from_slice(&BASE64URL_NOPAD.decode(claims.as_bytes()).ok()?).ok()
}

/// In the order in which they sign.
fn sorted(mut keys: Vec<SigningKey>) -> Vec<SigningKey> {
    keys.sort_by(|a, b| a.turn().cmp(&b.turn()));
    keys
}

/// Whether a token is of this issuer and not over.
fn in_force(iss: &str, exp: u64, now: u64, issuer: &str) -> Result<(), TokenError> {
    if iss != issuer {
        Err(TokenError::ForeignIssuer)
    } else if now >= exp {
        Err(TokenError::Expired)
    } else {
        Ok(())
    }
}

fn refusal(error: jsonwebtoken::errors::Error) -> TokenError {
    match error.into_kind() {
        ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => TokenError::BadSignature,
        _ => TokenError::Malformed,
    }
}
