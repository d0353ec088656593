//! Access tokens: only what the server signed, byte for byte, is accepted, and only with our claims in it.

use std::sync::LazyLock;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde_json::{Value, json};
use sidekey_server::token::{AccessClaims, Signer, SigningKey, Term, TokenError};

use crate::edit::{edited, halves};

/// A key pair in PKCS #8, fixed so that an input means the same in every run. It signs nothing else.
const KEY: &str = "308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420e6c5332232ba678004ee9a2a646de8e3\
    111907e128030a6da24f311709a02d96a1440342000470e4a9deee34811e47be23a5cbdd4a89d67ff99f804abe2363c2199a335fe926e76575ba6ff0e2\
    44d7ccd08404a261540729fea9df9fc7ceb93991eb42afbeb1";
/// A token that this key signed.
const VALID: &str = include_str!("../seeds/jwt/valid");
const ISSUER: &str = "https://login.example";
const NOW: u64 = 1_790_000_000;

static PKCS8: LazyLock<Vec<u8>> = LazyLock::new(|| HEXLOWER.decode(KEY.as_bytes()).expect("hexadecimal"));
static SIGNER: LazyLock<Signer> = LazyLock::new(|| {
    let term = Term { created_at: NOW, retired_at: None };
    Signer::new(vec![SigningKey::from_pkcs8(&PKCS8, term).expect("a key pair")])
});

/// By the first byte: 1, edits of a valid token; 2, another header and other claims (with a zero byte between them) under its
/// signature; 3, claims that the key did sign, whatever they are; 4, header and claims that the key did sign. Anything else: the input as a token.
pub fn run(input: &[u8]) {
    match input.split_first() {
        Some((1, edits)) => is_judged(&String::from_utf8_lossy(&edited(VALID.as_bytes(), edits))),
        Some((2, rest)) => {
            let (header, claims) = halves(rest);
            let (_, signature) = VALID.rsplit_once('.').expect("three parts");
            is_judged(&format!("{}.{signature}", unsigned(header, claims)));
        }
        Some((3, claims)) => signed(&header(), claims),
        Some((4, rest)) => {
            let (header, claims) = halves(rest);
            signed(header, claims);
        }
        _ => is_judged(&String::from_utf8_lossy(input)),
    }
}

/// Refused, unless it is the valid token, which is accepted as what it was signed as until its time is over.
fn is_judged(token: &str) {
    let verified = SIGNER.verify(token, NOW, ISSUER);
    if token == VALID {
        assert_eq!(verified.expect("the valid token").exp, NOW + 900);
        assert_eq!(SIGNER.verify(token, NOW + 900, ISSUER), Err(TokenError::Expired));
        assert_eq!(SIGNER.verify(token, NOW, "https://other.example"), Err(TokenError::ForeignIssuer));
    } else {
        assert!(verified.is_err(), "accepted: {token}");
    }
}

/// A right signature opens nothing by itself: type, key id, issuer and time count too.
fn signed(header: &[u8], claims: &[u8]) {
    let mut token = unsigned(header, claims);
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &PKCS8).expect("a key pair");
    let signature = pair.sign(&SystemRandom::new(), token.as_bytes()).expect("randomness");
    token.push('.');
    token.push_str(&BASE64URL_NOPAD.encode(signature.as_ref()));
    let Ok(verified) = SIGNER.verify(&token, NOW, ISSUER) else { return };
    let header: Value = serde_json::from_slice(header).expect("a header");
    assert_eq!((&header["alg"], &header["typ"]), (&json!("ES256"), &json!("at+jwt")));
    assert!(header.get("crit").is_none_or(Value::is_null), "an extension that nobody knows");
    let read: AccessClaims = serde_json::from_slice(claims).expect("our claims");
    assert_eq!(verified, read);
    assert!(verified.iss == ISSUER && NOW < verified.exp);
}

fn unsigned(header: &[u8], claims: &[u8]) -> String {
    format!("{}.{}", BASE64URL_NOPAD.encode(header), BASE64URL_NOPAD.encode(claims))
}

/// The header of the valid token.
fn header() -> Vec<u8> {
    let encoded = VALID.split('.').next().unwrap_or_default();
    BASE64URL_NOPAD.decode(encoded.as_bytes()).expect("base64url")
}
