//! What makes an access token good (RFC 9068 §4, RFC 8725 §3).

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::Deserialize;
use sidekey_core::{login::SecondFactor, time::UnixTime};

use crate::refusal::Refusal;

/// The media type of Sidekey's access tokens (RFC 9068 §2.1).
const TOKEN_TYPE: &str = "at+jwt";
/// Longer ones are not looked at.
const MAX_BYTES: usize = 8 * 1024;
/// How far this machine's clock may be behind the server's, in seconds.
const LEEWAY: u64 = 5;

/// Whose request it is, as the server vouches for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The user, as the host application named it when it opened the session.
    pub user: String,
    /// The login that the token belongs to; the same after each refresh.
    pub id: String,
    /// How and when the second factor was given.
    pub second_factor: SecondFactor,
    /// When the token ends.
    pub expires_at: UnixTime,
}

/// The claims that count here.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    iat: u64,
    exp: u64,
    sid: String,
    auth_time: Option<u64>,
    #[serde(default)]
    amr: Vec<String>,
    /// Only in tokens that are good for one action.
    action: Option<String>,
}

/// What a token must be for.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) issuer: String,
    pub(crate) app: String,
    pub(crate) max_age: Option<Duration>,
}

/// A token whose header is in order: a key of ours may be asked for.
pub(crate) struct Unverified<'a> {
    token: &'a str,
    header: Header,
}

impl<'a> Unverified<'a> {
    /// Reads the header; nothing in it but the key id and the algorithm is ever followed (RFC 8725 §3.10).
    pub(crate) fn read(token: &'a str) -> Result<Self, Refusal> {
        if token.len() > MAX_BYTES {
            return Err(Refusal::Invalid);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Refusal::Invalid)?;
        let is_ours = header.typ.as_deref() == Some(TOKEN_TYPE) && header.crit.is_none();
        if is_ours { Ok(Self { token, header }) } else { Err(Refusal::Invalid) }
    }

    /// The id of its key.
    pub(crate) fn key_id(&self) -> Result<&str, Refusal> {
        self.header.kid.as_deref().ok_or(Refusal::Invalid)
    }

    /// Verifies the signature and then every claim. A key is only good for its own algorithm (RFC 8725 §3.1).
    pub(crate) fn verify(
        &self,
        key: &PublicKey,
        expected: &Expected,
        now: UnixTime,
    ) -> Result<Login, Refusal> {
        let mut validation = Validation::new(key.algorithm);
        // Time, issuer and audience are judged below, with the time that was handed in.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let claims = jsonwebtoken::decode::<Claims>(self.token, &key.key, &validation)
            .map_err(|_| Refusal::Invalid)?
            .claims;
        let now_or_soon = now.plus(LEEWAY).as_secs();
        let is_good = claims.iss == expected.issuer
            && claims.aud == expected.app
            && claims.action.is_none()
            && claims.iat <= now_or_soon
            && now.as_secs() < claims.exp;
        if !is_good {
            return Err(Refusal::Invalid);
        }
        let second_factor = SecondFactor::from_claims(&claims.amr, claims.auth_time.map(UnixTime::from_secs));
        let max_age = expected.max_age.map(|age| age.as_secs());
        let second_factor = second_factor
            .filter(|factor| factor.is_within(max_age, now))
            .ok_or(Refusal::SecondFactorNeeded { max_age })?;
        Ok(Login {
            user: claims.sub,
            id: claims.sid,
            second_factor,
            expires_at: UnixTime::from_secs(claims.exp),
        })
    }
}

/// A public key of the server, and the one algorithm that it is for.
pub(crate) struct PublicKey {
    pub(crate) algorithm: Algorithm,
    pub(crate) key: DecodingKey,
}

#[cfg(test)]
pub(crate) mod testing {
    use std::sync::LazyLock;

    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
    };
    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::Value;

    use super::*;

    /// A key pair of the server, made anew by each run.
    struct Pair {
        private: EncodingKey,
        public: Vec<u8>,
    }

    static PAIR: LazyLock<Pair> = LazyLock::new(|| {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap();
        Pair {
            private: EncodingKey::from_ec_der(document.as_ref()),
            public: pair.public_key().as_ref().to_vec(),
        }
    });

    pub(crate) fn public_key() -> PublicKey {
        PublicKey { algorithm: Algorithm::ES256, key: DecodingKey::from_ec_der(&PAIR.public) }
    }

    /// A token of the server with these claims.
    pub(crate) fn token(header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &PAIR.private).unwrap()
    }

    pub(crate) fn header() -> Header {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some(TOKEN_TYPE.to_owned());
        header.kid = Some("key-1".to_owned());
        header
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use sidekey_core::login::Method;

    use super::{
        testing::{header, public_key, token},
        *,
    };

    const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

    fn claims() -> Value {
        json!({
            "iss": "https://login.example", "sub": "42", "aud": "shop", "iat": NOW.as_secs(), "exp": NOW.as_secs() + 900,
            "jti": "x", "sid": "abc", "auth_time": NOW.as_secs() - 100, "amr": ["otp", "mfa"], "acr": "urn:sidekey:acr:2fa",
        })
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = claims();
        claims[name] = value;
        claims
    }

    fn verified(claims: &Value, max_age: Option<u64>) -> Result<Login, Refusal> {
        let expected = Expected {
            issuer: "https://login.example".to_owned(),
            app: "shop".to_owned(),
            max_age: max_age.map(Duration::from_secs),
        };
        Unverified::read(&token(&header(), claims))?.verify(&public_key(), &expected, NOW)
    }

    #[test]
    fn a_login_with_a_second_factor_is_let_through() {
        let login = verified(&claims(), Some(100)).unwrap();
        assert_eq!((login.user.as_str(), login.id.as_str()), ("42", "abc"));
        assert_eq!(login.second_factor.method, Method::Otp);
        assert_eq!(login.second_factor.at, UnixTime::from_secs(NOW.as_secs() - 100));
        assert_eq!(login.expires_at, NOW.plus(900));
    }

    #[test]
    fn an_old_or_missing_second_factor_is_asked_for() {
        assert_eq!(verified(&claims(), Some(99)), Err(Refusal::SecondFactorNeeded { max_age: Some(99) }));
        let without = with("amr", json!([]));
        assert_eq!(verified(&without, None), Err(Refusal::SecondFactorNeeded { max_age: None }));
        let without = with("auth_time", Value::Null);
        assert_eq!(verified(&without, None), Err(Refusal::SecondFactorNeeded { max_age: None }));
    }

    #[test]
    fn claims_of_others_and_of_other_times_are_refused() {
        for (name, value) in [
            ("iss", json!("https://evil.example")),
            ("aud", json!("other")),
            ("exp", json!(NOW.as_secs())),
            ("iat", json!(NOW.as_secs() + 6)),
            ("action", json!("transfer")),
            ("sub", Value::Null),
        ] {
            assert_eq!(verified(&with(name, value), None), Err(Refusal::Invalid), "{name}");
        }
        assert!(verified(&with("iat", json!(NOW.as_secs() + 5)), None).is_ok());
    }

    #[test]
    fn headers_of_other_tokens_are_refused() {
        let mut id_token = header();
        id_token.typ = Some("JWT".to_owned());
        let mut extended = header();
        extended.crit = Some(vec!["exp".to_owned()]);
        for header in [id_token, extended] {
            assert!(Unverified::read(&token(&header, &claims())).is_err());
        }
        assert!(Unverified::read("a.b.c").is_err());
        assert!(Unverified::read(&"a".repeat(MAX_BYTES + 1)).is_err());
        let mut nameless = header();
        nameless.kid = None;
        assert_eq!(Unverified::read(&token(&nameless, &claims())).unwrap().key_id(), Err(Refusal::Invalid));
    }

    #[test]
    fn a_changed_token_is_refused() {
        let good = token(&header(), &claims());
        let other = token(&header(), &with("sub", json!("43")));
        let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
        let mixed = [&parts(&good)[0], &parts(&other)[1], &parts(&good)[2]].map(String::as_str).join(".");
        let expected =
            Expected { issuer: "https://login.example".to_owned(), app: "shop".to_owned(), max_age: None };
        let read = Unverified::read(&mixed).unwrap();
        assert_eq!(read.verify(&public_key(), &expected, NOW), Err(Refusal::Invalid));
    }
}
