//! The server's public keys: fetched on first use, again when they are due or a token names an unknown one, by one request at a time.
//!
//! A fetch is a task of its own and belongs to no request: a client that hangs up ends nothing that others wait for.

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
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    task::JoinHandle,
};

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

/// When keys are fetched, and how long they are good.
struct Pace {
    fresh: Duration,
    usable: Duration,
    pause: Duration,
}

const PACE: Pace = Pace { fresh: FRESH, usable: USABLE, pause: PAUSE };

/// The keys and where they come from.
pub(crate) struct Keys {
    source: Arc<Source>,
    /// When the server was last asked. Whoever asks holds the lock until the answer is there; who needs it waits for the lock.
    asked: Arc<Mutex<Option<Duration>>>,
    pace: Pace,
}

/// The server, and what it last said.
struct Source {
    url: String,
    client: Client,
    heard: RwLock<Heard>,
}

#[derive(Default)]
struct Heard {
    cached: Option<Cached>,
    /// Whether it answered when it was last asked.
    answers: bool,
}

/// The keys, and when they were named (time of this process).
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
        Self::at_pace(url, PACE)
    }

    fn at_pace(url: String, pace: Pace) -> Result<Self, reqwest::Error> {
        let client = Client::builder().redirect(redirect::Policy::none()).timeout(TIMEOUT).build()?;
        let source = Arc::new(Source { url, client, heard: RwLock::default() });
        Ok(Self { source, asked: Arc::default(), pace })
    }

    /// The key with this id. Waits for the server where it may have a better answer than what is known: not for a key at hand while
    /// the server is away, which is then asked in the background.
    pub(crate) async fn find(&self, id: &str) -> Result<Arc<PublicKey>, Refusal> {
        match self.known(id) {
            Known::Fresh(key) => return Ok(key),
            Known::Usable(key) if !self.source.answers() => {
                if let Ok(asked) = Arc::clone(&self.asked).try_lock_owned() {
                    self.ask_if_due(asked);
                }
                return Ok(key);
            }
            Known::Usable(_) | Known::Unknown => {}
        }
        let asked = Arc::clone(&self.asked).lock_owned().await;
        // Somebody else may have asked while this request waited.
        if let Known::Fresh(key) = self.known(id) {
            return Ok(key);
        }
        if let Some(answer) = self.ask_if_due(asked) {
            // Fails when the runtime is shut down; then nothing new is known.
            let _ = answer.await;
        }
        match self.known(id) {
            Known::Fresh(key) | Known::Usable(key) => Ok(key),
            // The server has withdrawn the key, or never had it.
            Known::Unknown if self.source.answers() => Err(Refusal::Invalid),
            Known::Unknown => Err(Refusal::Unavailable),
        }
    }

    /// Asks the server in a task that keeps the lock, unless it was asked a moment ago.
    fn ask_if_due(&self, mut asked: OwnedMutexGuard<Option<Duration>>) -> Option<JoinHandle<()>> {
        let now = clock::running();
        if asked.is_some_and(|at| now.saturating_sub(at) < self.pace.pause) {
            return None;
        }
        *asked = Some(now);
        let source = Arc::clone(&self.source);
        Some(tokio::spawn(async move {
            source.ask().await;
            drop(asked);
        }))
    }

    fn known(&self, id: &str) -> Known {
        let heard = self.source.heard.read().unwrap_or_else(PoisonError::into_inner);
        let Some(cached) = heard.cached.as_ref() else { return Known::Unknown };
        let age = clock::running().saturating_sub(cached.at);
        match cached.keys.get(id) {
            Some(key) if age < self.pace.fresh => Known::Fresh(Arc::clone(key)),
            Some(key) if age < self.pace.usable => Known::Usable(Arc::clone(key)),
            _ => Known::Unknown,
        }
    }
}

impl Source {
    /// Fetches the keys, and remembers them or that there was no answer.
    async fn ask(&self) {
        let fetched = self.fetch().await;
        let mut heard = self.heard.write().unwrap_or_else(PoisonError::into_inner);
        heard.answers = fetched.is_ok();
        match fetched {
            Ok(keys) => heard.cached = Some(Cached { keys, at: clock::running() }),
            Err(error) => tracing::warn!(%error, "the keys of the Sidekey server cannot be fetched"),
        }
    }

    fn answers(&self) -> bool {
        self.heard.read().unwrap_or_else(PoisonError::into_inner).answers
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
mod tests;
