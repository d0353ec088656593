use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::{ACCESS_TOKEN_SECONDS, AccessClaims, Signer, SigningKey, TOKEN_MAX_BYTES, Term, TokenError};

const NOW: u64 = 1_790_000_000;
const ISSUER: &str = "https://login.example";

fn claims() -> AccessClaims {
    AccessClaims {
        iss: ISSUER.to_owned(),
        sub: "42".to_owned(),
        aud: "shop".to_owned(),
        iat: NOW,
        exp: NOW + ACCESS_TOKEN_SECONDS,
        jti: "one".to_owned(),
        sid: "login".to_owned(),
        auth_time: Some(NOW),
        amr: vec!["otp".to_owned(), "mfa".to_owned()],
        acr: "urn:sidekey:acr:2fa".to_owned(),
    }
}

struct Fixture {
    pkcs8: Vec<u8>,
    signer: Signer,
}

const TERM: Term = Term { created_at: NOW, retired_at: None };

fn key(pkcs8: &[u8], term: Term) -> SigningKey {
    SigningKey::from_pkcs8(pkcs8, term).unwrap()
}

fn fixture() -> Fixture {
    let pkcs8 = SigningKey::generate().unwrap().to_vec();
    let signer = Signer::new(vec![key(&pkcs8, TERM)]);
    Fixture { pkcs8, signer }
}

impl Fixture {
    fn verify(&self, token: &str) -> Result<AccessClaims, TokenError> {
        self.signer.verify(token, NOW, ISSUER)
    }

    fn kid(&self) -> String {
        self.signer.keys.get()[0].kid().to_owned()
    }

    fn header(&self) -> Header {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(self.kid());
        header
    }

    /// A token with another header or other claims, signed with the right key by another implementation.
    fn forge(&self, header: &Header, claims: &impl serde::Serialize) -> String {
        jsonwebtoken::encode(header, claims, &EncodingKey::from_ec_der(&self.pkcs8)).unwrap()
    }
}

fn part(token: &str, index: usize) -> Value {
    let encoded = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap()
}

fn with_parts(token: &str, header: &Value, payload: &Value) -> String {
    let signature = token.rsplit('.').next().unwrap();
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{signature}", encode(header), encode(payload))
}

#[test]
fn a_signed_token_verifies() {
    let fixture = fixture();
    let token = fixture.signer.sign(&claims()).unwrap();
    assert_eq!(fixture.verify(&token), Ok(claims()));
    let kid = fixture.kid();
    assert_eq!(part(&token, 0), json!({"alg": "ES256", "kid": kid, "typ": "at+jwt"}));
}

#[test]
fn a_token_without_second_factor_has_no_time_of_one() {
    let fixture = fixture();
    let weak = AccessClaims { auth_time: None, amr: Vec::new(), ..claims() };
    let token = fixture.signer.sign(&weak).unwrap();
    assert!(part(&token, 1).get("auth_time").is_none());
    assert_eq!(part(&token, 1)["amr"], json!([]));
    assert_eq!(fixture.verify(&token), Ok(weak));
}

#[test]
fn the_key_set_is_enough_to_verify_a_token_and_holds_no_secret() {
    let fixture = fixture();
    let token = fixture.signer.sign(&claims()).unwrap();
    let set = serde_json::to_value(fixture.signer.jwks(NOW)).unwrap();
    let members: Vec<_> = set["keys"][0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_value(set).unwrap();
    let kid = jsonwebtoken::decode_header(&token).unwrap().kid.unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(set.find(&kid).unwrap()).unwrap();
    let mut validation = fixture.signer.validation.clone();
    validation.set_issuer(&[ISSUER]);
    let decoded = jsonwebtoken::decode::<AccessClaims>(&token, &key, &validation).unwrap();
    assert_eq!(decoded.claims, claims());
}

#[test]
fn the_key_id_is_the_thumbprint() {
    let fixture = fixture();
    let set = serde_json::to_value(fixture.signer.jwks(NOW)).unwrap();
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_value(set).unwrap();
    let thumbprint = set.keys[0].thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap();
    assert_eq!(fixture.kid(), thumbprint);
}

#[test]
fn an_unsigned_token_is_refused() {
    let fixture = fixture();
    let token = fixture.signer.sign(&claims()).unwrap();
    for none in ["none", "None", "NONE", ""] {
        let mut header = part(&token, 0);
        header["alg"] = json!(none);
        let forged = with_parts(&token, &header, &part(&token, 1));
        assert_eq!(fixture.verify(&forged), Err(TokenError::Malformed));
        let unsigned = format!("{}.", forged.rsplit_once('.').unwrap().0);
        assert_eq!(fixture.verify(&unsigned), Err(TokenError::Malformed));
    }
    let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
    assert_eq!(fixture.verify(&unsigned), Err(TokenError::BadSignature));
}

#[test]
fn the_public_key_is_no_shared_secret() {
    let fixture = fixture();
    let public = fixture.signer.keys.get()[0].decoding_key().try_get_as_bytes().unwrap().to_vec();
    let jwk = serde_json::to_vec(&fixture.signer.jwks(NOW).keys[0]).unwrap();
    for secret in [public, jwk] {
        let header = Header { alg: Algorithm::HS256, ..fixture.header() };
        let forged = jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(&secret)).unwrap();
        assert_eq!(fixture.verify(&forged), Err(TokenError::BadSignature));
    }
}

#[test]
fn another_key_under_our_name_is_refused() {
    let (fixture, other) = (fixture(), self::fixture());
    let forged = other.forge(&fixture.header(), &claims());
    assert_eq!(fixture.verify(&forged), Err(TokenError::BadSignature));
}

#[test]
fn a_key_that_the_token_brings_along_is_not_looked_at() {
    let (fixture, other) = (fixture(), self::fixture());
    let jwk = serde_json::to_value(&other.signer.jwks(NOW).keys[0]).unwrap();
    let jwk = serde_json::from_value(jwk).unwrap();
    let forged = other.forge(&Header { jwk: Some(jwk), ..fixture.header() }, &claims());
    assert_eq!(fixture.verify(&forged), Err(TokenError::BadSignature));
}

#[test]
fn an_unknown_or_missing_key_id_is_refused() {
    let fixture = fixture();
    for kid in [None, Some("other".to_owned())] {
        let forged = fixture.forge(&Header { kid, ..fixture.header() }, &claims());
        assert_eq!(fixture.verify(&forged), Err(TokenError::UnknownKey));
    }
}

#[test]
fn a_jwt_of_another_type_is_refused() {
    let fixture = fixture();
    for typ in [None, Some("JWT".to_owned()), Some("at+JWT;x".to_owned())] {
        let forged = fixture.forge(&Header { typ, ..fixture.header() }, &claims());
        assert_eq!(fixture.verify(&forged), Err(TokenError::WrongType));
    }
}

#[test]
fn a_critical_extension_is_refused() {
    let fixture = fixture();
    let forged = fixture.forge(&Header { crit: Some(vec!["b64".to_owned()]), ..fixture.header() }, &claims());
    assert_eq!(fixture.verify(&forged), Err(TokenError::Malformed));
}

#[test]
fn a_token_is_refused_from_its_last_second_on() {
    let fixture = fixture();
    let token = fixture.signer.sign(&claims()).unwrap();
    let end = NOW + ACCESS_TOKEN_SECONDS;
    assert!(fixture.signer.verify(&token, end - 1, ISSUER).is_ok());
    assert_eq!(fixture.signer.verify(&token, end, ISSUER), Err(TokenError::Expired));
}

#[test]
fn a_token_for_another_public_url_is_refused() {
    let fixture = fixture();
    let token = fixture.signer.sign(&claims()).unwrap();
    for issuer in ["https://login.example/", "http://login.example", ""] {
        assert_eq!(fixture.signer.verify(&token, NOW, issuer), Err(TokenError::ForeignIssuer));
    }
}

#[test]
fn a_changed_token_is_refused() {
    let fixture = fixture();
    let token = fixture.signer.sign(&claims()).unwrap();
    let mut payload = part(&token, 1);
    payload["sub"] = json!("43");
    let forged = with_parts(&token, &part(&token, 0), &payload);
    assert_eq!(fixture.verify(&forged), Err(TokenError::BadSignature));
}

#[test]
fn a_token_that_was_verified_before_is_judged_anew_and_lends_its_signature_to_no_other() {
    let fixture = fixture();
    let token = fixture.signer.sign(&claims()).unwrap();
    for _ in 0..3 {
        assert_eq!(fixture.verify(&token), Ok(claims()));
    }
    assert_eq!(fixture.signer.verify(&token, claims().exp, ISSUER), Err(TokenError::Expired));
    assert_eq!(fixture.signer.verify(&token, NOW, "https://other.example"), Err(TokenError::ForeignIssuer));
    let of_an_action = fixture.signer.verify_as::<AccessClaims>(super::TokenType::Action, &token, NOW);
    assert_eq!(of_an_action, Err(TokenError::WrongType));
    let promoted = AccessClaims { sub: "43".to_owned(), ..claims() };
    let forged = with_parts(&token, &part(&token, 0), &serde_json::to_value(promoted).unwrap());
    assert_eq!(fixture.verify(&forged), Err(TokenError::BadSignature));
    let other = fixture.signer.sign(&AccessClaims { jti: "two".to_owned(), ..claims() }).unwrap();
    let (signed, _) = token.rsplit_once('.').unwrap();
    let (_, signature) = other.rsplit_once('.').unwrap();
    assert_eq!(fixture.verify(&format!("{signed}.{signature}")), Err(TokenError::BadSignature));
    fixture.signer.replace(Vec::new());
    assert_eq!(fixture.verify(&token), Err(TokenError::UnknownKey));
}

#[test]
fn a_claim_that_is_missing_makes_it_no_token_of_ours() {
    let fixture = fixture();
    for missing in ["iss", "sub", "aud", "iat", "exp", "jti", "sid", "amr", "acr"] {
        let mut payload = serde_json::to_value(claims()).unwrap();
        payload.as_object_mut().unwrap().remove(missing);
        let forged = fixture.forge(&fixture.header(), &payload);
        assert_eq!(fixture.verify(&forged), Err(TokenError::Malformed), "{missing}");
    }
}

#[test]
fn what_is_no_jwt_is_refused() {
    let fixture = fixture();
    let token = fixture.signer.sign(&claims()).unwrap();
    for nonsense in ["", ".", "..", "a.b.c", "sidekey_abc", &format!("{token}.{token}"), &"x".repeat(100_000)]
    {
        assert_eq!(fixture.verify(nonsense), Err(TokenError::Malformed));
    }
    assert!(fixture.verify(&format!("{token}=")).is_err());
    assert!(fixture.verify(&format!(" {token}")).is_err());
}

#[test]
fn a_key_signs_from_its_turn_on_and_is_known_before_and_after() {
    let (old, new) = (fixture(), fixture());
    let turn = NOW + 300;
    let retiring = Term { created_at: NOW - 1_000, retired_at: Some(turn) };
    // The order in which they are handed over does not matter.
    let signer = Signer::new(vec![key(&new.pkcs8, TERM), key(&old.pkcs8, retiring)]);
    let sign = |iat: u64| {
        let claims = AccessClaims { iat, exp: iat + ACCESS_TOKEN_SECONDS, ..claims() };
        let token = signer.sign(&claims).unwrap();
        let kid = part(&token, 0)["kid"].as_str().unwrap().to_owned();
        (token, kid)
    };
    let published = |now: u64| signer.jwks(now).keys.len();

    let (last, kid) = sign(turn - 1);
    assert_eq!(kid, old.kid());
    let (first, kid) = sign(turn);
    assert_eq!(kid, new.kid());

    let expiry = turn - 1 + ACCESS_TOKEN_SECONDS;
    let over = turn + ACCESS_TOKEN_SECONDS + super::KEPT_BEYOND;
    assert!(signer.verify(&last, expiry - 1, ISSUER).is_ok());
    assert_eq!(signer.verify(&last, expiry, ISSUER), Err(TokenError::Expired));
    assert!(signer.verify(&first, expiry, ISSUER).is_ok());
    assert_eq!((published(NOW), published(over - 1), published(over)), (2, 2, 1));
    let undying = old.forge(&old.header(), &AccessClaims { exp: over + 10_000, ..claims() });
    assert!(signer.verify(&undying, over - 1, ISSUER).is_ok());
    assert_eq!(signer.verify(&undying, over, ISSUER), Err(TokenError::UnknownKey));
}

#[test]
fn keys_are_replaced_while_tokens_are_signed() {
    let (one, other) = (fixture(), fixture());
    let token = one.signer.sign(&claims()).unwrap();
    assert!(one.verify(&token).is_ok());
    one.signer.replace(vec![key(&other.pkcs8, TERM)]);
    assert_eq!(one.verify(&token), Err(TokenError::UnknownKey));
    assert_eq!(one.kid(), other.kid());
    one.signer.replace(Vec::new());
    assert_eq!(one.signer.sign(&claims()), Err(super::SigningFailed));
}

#[test]
fn a_key_that_is_printed_shows_no_secret() {
    let fixture = fixture();
    let printed = format!("{:?}", fixture.signer.keys.get()[0]);
    assert_eq!(printed, format!("SigningKey {{ kid: {:?}, .. }}", fixture.kid()));
}

#[test]
fn a_token_longer_than_any_of_ours_is_not_looked_at() {
    let fixture = fixture();
    let of_length =
        |jti: usize| fixture.signer.sign(&AccessClaims { jti: "j".repeat(jti), ..claims() }).unwrap();
    let (short, long): (Vec<_>, Vec<_>) = (5_000..7_000)
        .map(of_length)
        .filter(|token| token.len().abs_diff(TOKEN_MAX_BYTES) < 4)
        .partition(|token| token.len() <= TOKEN_MAX_BYTES);
    assert!(short.iter().any(|token| token.len() == TOKEN_MAX_BYTES) && !long.is_empty());
    for token in short {
        assert!(fixture.verify(&token).is_ok(), "{} bytes", token.len());
    }
    for token in long {
        assert_eq!(fixture.verify(&token), Err(TokenError::Malformed), "{} bytes", token.len());
    }
}
