//! The public keys, as verifiers read them.

use serde::Serialize;
use utoipa::{ToSchema, openapi::Object};

use crate::openapi::schemas::only_text;

/// A key set (RFC 7517 section 5).
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Jwks)]
pub struct JwkSet {
    /// The keys of this server.
    pub keys: Vec<Jwk>,
}

/// The public half of a signing key (RFC 7517, RFC 7518 section 6.2.1).
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Jwk {
    #[schema(schema_with = es256)]
    alg: &'static str,
    #[schema(schema_with = p256)]
    crv: &'static str,
    /// The thumbprint of the key (RFC 7638).
    kid: String,
    #[schema(schema_with = elliptic_curve)]
    kty: &'static str,
    #[serde(rename = "use")]
    #[schema(schema_with = signature)]
    usage: &'static str,
    /// Base64url.
    x: String,
    /// Base64url.
    y: String,
}

impl Jwk {
    /// The key's id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The key at this point of the curve, both coordinates in base64url.
    pub(super) fn es256(kid: &str, x: &str, y: &str) -> Self {
        Self {
            alg: "ES256",
            crv: "P-256",
            kid: kid.to_owned(),
            kty: "EC",
            usage: "sig",
            x: x.to_owned(),
            y: y.to_owned(),
        }
    }
}

fn es256() -> Object {
    only_text("ES256")
}

fn p256() -> Object {
    only_text("P-256")
}

fn elliptic_curve() -> Object {
    only_text("EC")
}

fn signature() -> Object {
    only_text("sig")
}
