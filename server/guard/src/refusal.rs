//! Why a request was refused, and the answer to it: the same problem documents as the HTTP API's (RFC 9457, 6750, 9470).

use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use sidekey_core::login::{ACR_TWO_FACTORS, FRESH};
use warp::{Rejection, Reply, reject::Reject, reply::Response};

/// Seconds after which a client may ask again when the keys could not be fetched.
const RETRY_AFTER: u64 = 10;

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It has no bearer token.
    #[error("no access token")]
    NoToken,
    /// Its token is not one of the server's for this app, has expired, or is for one action only.
    #[error("the access token is not valid")]
    Invalid,
    /// The token is good, but its second factor is missing or too old: the user is to step up.
    #[error("a second factor is needed")]
    SecondFactorNeeded {
        /// How old it may be, in seconds; of any age if there is nothing here. A new one serves either way.
        max_age: Option<u64>,
    },
    /// The server's keys are not known yet and cannot be fetched.
    #[error("the keys of the server cannot be fetched")]
    Unavailable,
}

impl Reject for Refusal {}

impl Refusal {
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::NoToken => (
                StatusCode::UNAUTHORIZED,
                "AUTH_REQUIRED",
                "Send an access token as `Authorization: Bearer`.",
            ),
            Self::Invalid => {
                (StatusCode::UNAUTHORIZED, "AUTH_REQUIRED", "The access token is not valid or has expired.")
            }
            Self::SecondFactorNeeded { .. } => {
                (StatusCode::UNAUTHORIZED, "2FA_REQUIRED", "A recent second factor is required.")
            }
            Self::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "Sign-ins cannot be verified at the moment.")
            }
        }
    }

    /// The challenge of `WWW-Authenticate`; no error code where no token was sent (RFC 6750 §3).
    fn challenge(self) -> Option<String> {
        let realm = r#"Bearer realm="sidekey""#;
        match self {
            Self::NoToken => Some(realm.to_owned()),
            Self::Invalid => Some(format!(r#"{realm}, error="invalid_token""#)),
            Self::SecondFactorNeeded { max_age } => {
                let max_age = max_age.unwrap_or(FRESH);
                let error = "insufficient_user_authentication";
                Some(format!(
                    r#"{realm}, error="{error}", acr_values="{ACR_TWO_FACTORS}", max_age="{max_age}""#
                ))
            }
            Self::Unavailable => None,
        }
    }

    /// The answer to the request.
    pub fn into_response(self) -> Response {
        let (status, code, detail) = self.parts();
        let kind = code.to_ascii_lowercase().replace('_', "-");
        let mut body = json!({
            "type": format!("urn:sidekey:problem:{kind}"), "title": status.canonical_reason(), "status": status.as_u16(),
            "code": code, "detail": detail, "error": detail,
        });
        if let (Self::SecondFactorNeeded { max_age }, Some(body)) = (self, body.as_object_mut()) {
            body.insert("max_age".to_owned(), max_age.unwrap_or(FRESH).into());
        }
        let mut response = warp::reply::json(&body).into_response();
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = self.challenge().and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if self == Self::Unavailable {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER.into());
        }
        response
    }
}

/// For `recover`: answers a [`Refusal`], and passes on what other filters have rejected.
///
/// # Errors
/// The rejection itself, if it is none of ours.
pub async fn refused(rejection: Rejection) -> Result<Response, Rejection> {
    match rejection.find::<Refusal>() {
        Some(refusal) => Ok(refusal.into_response()),
        None => Err(rejection),
    }
}
