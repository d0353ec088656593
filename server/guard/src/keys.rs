//! The server's public keys: fetched on first use, again when they are due or a token names an unknown one, by one request at a time.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{Jwk, JwkSet, KeyAlgorithm},
};
use reqwest::{Client, StatusCode, redirect};
use tokio::sync::Mutex;

use crate::{clock, refusal::Refusal, token::PublicKey};

/// How long keys are good without asking again: as long as the server says in `Cache-Control`. A key that signs has been published
/// for longer.
const FRESH: Duration = Duration::from_mins(5);
/// How long the last keys are used while the server does not answer.
const USABLE: Duration = Duration::from_hours(1);
/// Least time between two requests, so that tokens with invented key ids cause no load.
const PAUSE: Duration = Duration::from_secs(10);
/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// The keys and where they come from.
pub(crate) struct Keys {
    url: String,
    client: Client,
    cached: RwLock<Option<Cached>>,
    /// When the server was last asked. Whoever asks holds the lock; the others wait for what comes of it.
    asked: Mutex<Option<Duration>>,
}

/// What the server last said, and when (time of this process).
struct Cached {
    keys: HashMap<String, Arc<PublicKey>>,
    at: Duration,
}

/// What is known of a key without asking.
enum Known {
    /// It is there, and so lately that nobody needs to ask.
    Fresh(Arc<PublicKey>),
    /// It is there for when the server does not answer.
    Usable(Arc<PublicKey>),
    Unknown,
}

impl Keys {
    pub(crate) fn new(url: String) -> Result<Self, reqwest::Error> {
        let client = Client::builder().redirect(redirect::Policy::none()).timeout(TIMEOUT).build()?;
        Ok(Self { url, client, cached: RwLock::default(), asked: Mutex::default() })
    }

    /// The key with this id.
    pub(crate) async fn find(&self, id: &str) -> Result<Arc<PublicKey>, Refusal> {
        if let Known::Fresh(key) = self.known(id) {
            return Ok(key);
        }
        let mut asked = self.asked.lock().await;
        // Somebody else may have asked while this request waited.
        let fallback = match self.known(id) {
            Known::Fresh(key) => return Ok(key),
            Known::Usable(key) => Some(key),
            Known::Unknown => None,
        };
        let is_due = asked.is_none_or(|at| clock::running().saturating_sub(at) >= PAUSE);
        let mut has_answered = !is_due && self.is_fresh();
        if is_due {
            *asked = Some(clock::running());
            match self.fetch().await {
                Ok(keys) => {
                    self.keep(keys);
                    has_answered = true;
                }
                Err(error) => tracing::warn!(%error, "the keys of the Sidekey server cannot be fetched"),
            }
        }
        match (self.known(id), fallback) {
            (Known::Fresh(key), _) => Ok(key),
            // The server has withdrawn the key.
            _ if has_answered => Err(Refusal::Invalid),
            (_, Some(key)) => Ok(key),
            _ => Err(Refusal::Unavailable),
        }
    }

    fn known(&self, id: &str) -> Known {
        let cached = self.cached.read().unwrap_or_else(PoisonError::into_inner);
        let Some(cached) = cached.as_ref() else { return Known::Unknown };
        let age = clock::running().saturating_sub(cached.at);
        match cached.keys.get(id) {
            Some(key) if age < FRESH => Known::Fresh(Arc::clone(key)),
            Some(key) if age < USABLE => Known::Usable(Arc::clone(key)),
            _ => Known::Unknown,
        }
    }

    fn is_fresh(&self) -> bool {
        let cached = self.cached.read().unwrap_or_else(PoisonError::into_inner);
        cached.as_ref().is_some_and(|cached| clock::running().saturating_sub(cached.at) < FRESH)
    }

    fn keep(&self, keys: HashMap<String, Arc<PublicKey>>) {
        let mut cached = self.cached.write().unwrap_or_else(PoisonError::into_inner);
        *cached = Some(Cached { keys, at: clock::running() });
    }

    async fn fetch(&self) -> Result<HashMap<String, Arc<PublicKey>>, FetchError> {
        let mut response = self.client.get(&self.url).send().await?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BYTES {
                return Err(FetchError::TooLong);
            }
        }
        Ok(readable(&serde_json::from_slice(&body)?))
    }
}

/// The keys of a set that can be used; others, of kinds yet to come, are passed over (RFC 7517 §5).
fn readable(set: &JwkSet) -> HashMap<String, Arc<PublicKey>> {
    let named = |jwk: &Jwk| Some((jwk.common.key_id.clone()?, Arc::new(public_key(jwk)?)));
    set.keys.iter().filter_map(named).collect()
}

fn public_key(jwk: &Jwk) -> Option<PublicKey> {
    let algorithm = match jwk.common.key_algorithm? {
        KeyAlgorithm::ES256 => Algorithm::ES256,
        KeyAlgorithm::EdDSA => Algorithm::EdDSA,
        _ => return None,
    };
    Some(PublicKey { algorithm, key: DecodingKey::from_jwk(jwk).ok()? })
}

/// Why keys could not be fetched, for the log.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Request(#[from] reqwest::Error),
    #[error("the server answered {0}")]
    Status(StatusCode),
    #[error("the answer has more than {MAX_BYTES} bytes")]
    TooLong,
    #[error("the answer is no key set: {0}")]
    NoKeySet(#[from] serde_json::Error),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_of_other_kinds_are_passed_over() {
        let point = (
            "x",
            "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
            "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps",
        );
        let key = |id: &str, algorithm: &str| json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": algorithm, "kid": id, "x": point.1, "y": point.2});
        let set = json!({"keys": [
            key("a", "ES256"), key("b", "ES384"),
            {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "c"},
            {"kty": "EC", "crv": "P-256", "alg": "ES256", "x": point.1, "y": point.2},
        ]});
        let keys = readable(&serde_json::from_value(set).unwrap());
        assert_eq!(keys.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(keys["a"].algorithm, Algorithm::ES256);
    }
}
