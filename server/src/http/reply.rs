//! Answers.

use std::fmt;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use tokio::sync::mpsc;

use super::{Code, Problem};

/// Pieces of a body that is made while it is sent; their end is that of the body. Whoever makes them waits until the client has taken
/// the one before.
pub type Chunks = mpsc::Receiver<Result<Bytes, BrokenOff>>;

/// The body has no end: the connection is cut, so that nobody takes what has come for the whole.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the answer was broken off")]
pub struct BrokenOff;

/// Room for tokens and what goes with them, so that a body does not move while it is put together.
const USUAL_BODY: usize = 1_280;

/// Room for the headers of nearly every answer, hyper's own included.
const USUAL_HEADERS: usize = 12;

/// An answer, complete but for the request's id.
pub struct Reply {
    response: Response<Bytes>,
    /// What follows the body.
    rest: Option<Chunks>,
    /// Why it refuses, for the log.
    code: Option<Code>,
}

/// The body may hold tokens, secrets and codes.
impl fmt::Debug for Reply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Reply").field(&self.status()).finish()
    }
}

impl Reply {
    /// An answer of this type. Nothing of the API may be kept by a cache unless it says so.
    pub fn of(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        // With those that are still to come, the map does not move.
        headers.reserve(USUAL_HEADERS);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        Self { response, rest: None, code: None }
    }

    /// 200 with a body that comes in pieces.
    pub fn streaming(content_type: &'static str, chunks: Chunks) -> Self {
        Self { rest: Some(chunks), ..Self::of(StatusCode::OK, content_type, "") }
    }

    /// 200 with JSON.
    pub fn ok(body: &impl Serialize) -> Self {
        Self::json(StatusCode::OK, body)
    }

    /// JSON.
    pub fn json(status: StatusCode, body: &impl Serialize) -> Self {
        let mut bytes = Vec::with_capacity(USUAL_BODY);
        match serde_json::to_writer(&mut bytes, body).map(|()| bytes) {
            Ok(body) => Self::of(status, "application/json", body),
            Err(error) => {
                tracing::error!(%error, "an answer cannot be written");
                Problem::new(Code::Internal).into_reply()
            }
        }
    }

    /// 304 with the headers that 200 would have and without the content (RFC 9110 §15.4.5).
    #[must_use]
    pub fn not_modified(mut self) -> Self {
        *self.response.status_mut() = StatusCode::NOT_MODIFIED;
        *self.response.body_mut() = Bytes::new();
        self
    }

    /// With a header; one that HTTP cannot carry is left out.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.response.headers_mut().insert(name, value);
        }
        self
    }

    /// With one more header of this name; one that HTTP cannot carry is left out.
    #[must_use]
    pub fn and_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.response.headers_mut().append(name, value);
        }
        self
    }

    /// As a refusal for this reason.
    #[must_use]
    pub(super) fn refusing(self, code: Code) -> Self {
        Self { code: Some(code), ..self }
    }

    /// Why it refuses, if it does.
    pub fn code(&self) -> Option<Code> {
        self.code
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// As an HTTP response, without what follows its body.
    pub fn into_response(self) -> Response<Bytes> {
        self.response
    }

    /// As an HTTP response, and what follows its body.
    pub(crate) fn into_parts(self) -> (Response<Bytes>, Option<Chunks>) {
        (self.response, self.rest)
    }
}
