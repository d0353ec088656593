//! One ES256 key: parsed once, because parsing costs more than half as much as signing.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{ACCESS_TOKEN_SECONDS, Jwk, KEPT_BEYOND, TokenType};

/// The system's generator gave no randomness, or the library no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signing failed")]
pub struct SigningFailed;

/// A key pair with its name and its times.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    decoding: DecodingKey,
    kid: String,
    x: String,
    y: String,
    /// The headers of its tokens, encoded.
    headers: [String; TokenType::ALL.len()],
    term: Term,
}

/// When a key does what. Unix times in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// When it was made, and published.
    pub created_at: u64,
    /// From when on it signs nothing more, which may lie in the future; `None`: nobody has decided.
    pub retired_at: Option<u64>,
}

/// When a key stops, when it was made and what it is called. Two that have not been told to stop were made at once by two
/// servers: the time or the name decides, for all servers alike.
pub(super) type Turn<'a> = (u64, u64, &'a str);

impl Term {
    pub(super) fn turn(self, kid: &str) -> Turn<'_> {
        (self.retired_at.unwrap_or(u64::MAX), self.created_at, kid)
    }

    /// From when on no token that it signed is valid, and it is neither used nor published any more.
    pub fn over_at(self) -> Option<u64> {
        Some(self.retired_at?.saturating_add(ACCESS_TOKEN_SECONDS + KEPT_BEYOND))
    }
}

impl SigningKey {
    /// Makes a key pair and returns it in PKCS #8, the form in which it is stored.
    ///
    /// aws-lc-rs takes randomness from a generator of its own, seeded by the operating system; it has no way to be
    /// handed one, so that here, and in ECDSA's nonces, `entropy` is not the source.
    ///
    /// # Errors
    /// When that generator fails.
    pub fn generate() -> Result<Zeroizing<Vec<u8>>, SigningFailed> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| SigningFailed)?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }

    /// Reads a stored key pair; `None` if these bytes are none.
    pub fn from_pkcs8(pkcs8: &[u8], term: Term) -> Option<Self> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).ok()?;
        let point = pair.public_key().as_ref();
        // SEC 1 section 2.3.3: an uncompressed point is 04, x, y.
        let (x, y) = point.strip_prefix(&[4])?.split_at_checked(32)?;
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let kid = thumbprint(&x, &y);
        let headers = TokenType::ALL.map(|of| {
            let header = json!({ "alg": "ES256", "kid": kid, "typ": of.media_type() });
            URL_SAFE_NO_PAD.encode(header.to_string())
        });
        let decoding = DecodingKey::from_ec_der(point);
        Some(Self { pair, decoding, kid, x, y, headers, term })
    }

    pub(super) fn sign(&self, of: TokenType, claims: &impl Serialize) -> Result<String, SigningFailed> {
        let header = self.header(of);
        let claims = serde_json::to_vec(claims).map_err(|_| SigningFailed)?;
        // With room for the signature, 86 characters and a full stop; base64 makes four of three.
        let mut token = String::with_capacity(header.len() + claims.len() * 4 / 3 + 92);
        token.push_str(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        // RFC 7518 section 3.4: the signature is r and s, 32 bytes each.
        let signature = self.pair.sign(&SystemRandom::new(), token.as_bytes()).map_err(|_| SigningFailed)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut token);
        Ok(token)
    }

    /// How its tokens of a type begin: their header, encoded.
    pub(super) fn header(&self, of: TokenType) -> &str {
        let [access, action] = &self.headers;
        match of {
            TokenType::Access => access,
            TokenType::Action => action,
        }
    }

    /// The public half.
    pub(super) fn jwk(&self) -> Jwk {
        Jwk::es256(&self.kid, &self.x, &self.y)
    }

    /// The key's id: its thumbprint.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    pub(super) fn decoding_key(&self) -> &DecodingKey {
        &self.decoding
    }

    /// Whether it has not stopped signing at `now`, a Unix time.
    pub(super) fn signs(&self, now: u64) -> bool {
        self.term.retired_at.is_none_or(|retired| now < retired)
    }

    /// Whether every token that it signed has expired at `now`, a Unix time.
    pub(super) fn is_over(&self, now: u64) -> bool {
        self.term.over_at().is_some_and(|over| now >= over)
    }

    /// What keys are ordered by to sign one after another.
    pub(super) fn turn(&self) -> Turn<'_> {
        self.term.turn(&self.kid)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// RFC 7638 section 3: SHA-256 over the required members in lexical order, without blanks.
fn thumbprint(x: &str, y: &str) -> String {
    let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    URL_SAFE_NO_PAD.encode(Sha256::digest(canonical))
}
