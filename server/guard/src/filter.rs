//! The filters.

use std::{sync::Arc, time::Duration};

use warp::{Filter, Rejection};

use crate::{
    clock,
    keys::Keys,
    refusal::Refusal,
    token::{Expected, Login, Unverified},
};

/// Makes filters for one app of one Sidekey server. Cheap to clone; clones share the keys.
#[derive(Clone)]
pub struct Guard {
    issuer: String,
    app: String,
    keys: Arc<Keys>,
}

/// A guard that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// Keys that come over the network in the clear prove nothing.
    #[error("the server's address must begin with https://, or with http:// on this machine, not `{0}`")]
    Address(String),
    /// The system offers no TLS.
    #[error("no connection can be made: {0}")]
    Client(#[from] reqwest::Error),
}

impl Guard {
    /// A guard for the app with this id (the `aud` of its tokens) at the server with this public URL, base path included (the
    /// `iss` of its tokens, under which `/.well-known/jwks.json` lies). Nothing is fetched before the first request.
    ///
    /// # Errors
    /// See [`GuardError`].
    pub fn new(server: &str, app: &str) -> Result<Self, GuardError> {
        let issuer = server.trim_end_matches('/').to_owned();
        if !is_protected(&issuer) {
            return Err(GuardError::Address(issuer));
        }
        let keys = Keys::new(format!("{issuer}/.well-known/jwks.json"))?;
        Ok(Self { issuer, app: app.to_owned(), keys: Arc::new(keys) })
    }

    /// Lets a login with a second factor through, however long ago it was given.
    pub fn require_2fa(
        &self,
    ) -> impl Filter<Extract = (Login,), Error = Rejection> + Clone + Send + Sync + use<> {
        self.filter(None)
    }

    /// Lets a login through whose second factor was given at most `max_age` ago, in whole seconds.
    pub fn require_2fa_within(
        &self,
        max_age: Duration,
    ) -> impl Filter<Extract = (Login,), Error = Rejection> + Clone + Send + Sync + use<> {
        self.filter(Some(max_age))
    }

    /// Judges the value of an `Authorization` header, for whatever is not a warp filter.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn verify(
        &self,
        authorization: Option<&str>,
        max_age: Option<Duration>,
    ) -> Result<Login, Refusal> {
        let token = bearer(authorization.ok_or(Refusal::NoToken)?).ok_or(Refusal::NoToken)?;
        let unverified = Unverified::read(token)?;
        let key = self.keys.find(unverified.key_id()?).await?;
        let expected = Expected { issuer: self.issuer.clone(), app: self.app.clone(), max_age };
        unverified.verify(&key, &expected, clock::now())
    }

    fn filter(
        &self,
        max_age: Option<Duration>,
    ) -> impl Filter<Extract = (Login,), Error = Rejection> + Clone + Send + Sync + use<> {
        let guard = self.clone();
        warp::header::optional::<String>("authorization").and_then(move |authorization: Option<String>| {
            let guard = guard.clone();
            async move { guard.verify(authorization.as_deref(), max_age).await.map_err(warp::reject::custom) }
        })
    }
}

/// The token of a bearer credential; the scheme's letters are of either case (RFC 9110 §11.1).
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn is_protected(url: &str) -> bool {
    let host_of = |rest: &str| rest.split(['/', '?', '#']).next().unwrap_or_default().to_owned();
    let local = |host: &str| {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        matches!(name, "localhost" | "127.0.0.1" | "[::1]")
    };
    match url.split_once("://") {
        Some(("https", rest)) => !host_of(rest).is_empty(),
        Some(("http", rest)) => local(&host_of(rest)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_not_fetched_in_the_clear() {
        for good in [
            "https://login.example",
            "https://login.example/api/",
            "http://127.0.0.1:8080",
            "http://[::1]:1/x",
        ] {
            assert!(Guard::new(good, "shop").is_ok(), "{good}");
        }
        for bad in [
            "http://login.example",
            "login.example",
            "https://",
            "ftp://127.0.0.1",
            "http://127.0.0.1.evil.example",
            "http://127.0.0.1@evil.example",
        ] {
            assert!(matches!(Guard::new(bad, "shop"), Err(GuardError::Address(_))), "{bad}");
        }
    }

    #[test]
    fn the_scheme_is_read_in_either_case() {
        assert_eq!(bearer("bearer abc"), Some("abc"));
        assert_eq!(bearer("Bearer  abc "), Some("abc"));
        assert_eq!(bearer("Basic abc"), None);
        assert_eq!(bearer("abc"), None);
    }
}
