//! One request.

use std::{
    fmt,
    pin::Pin,
    sync::{Mutex, PoisonError},
};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, Method, header};
use serde_json::Value;

use super::{Code, Fields, IdempotencyKey, Problem};
use crate::audit::{Actor, Origin};

/// The largest body that is read, in bytes.
pub const BODY_MAX: usize = 16 * 1024;

/// A body as it comes in; an error is a connection that broke or was too slow.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, ()>> + Send>>;

/// A request that has found its operation.
pub struct Call {
    /// What is asked of the path.
    pub method: Method,
    /// Its headers.
    pub headers: HeaderMap,
    /// What the path names, percent-decoded.
    pub name: Option<String>,
    path: String,
    query: String,
    via_proxy: bool,
    origin: Origin,
    /// Locked by nobody: a stream is not `Sync`, and a call is lent to futures that may change threads.
    body: Mutex<BodyStream>,
}

impl Call {
    /// A request whose origin has been established and whose body is still coming.
    pub fn new(
        method: Method,
        headers: HeaderMap,
        name: Option<String>,
        query: String,
        origin: Origin,
        body: BodyStream,
    ) -> Self {
        let (path, via_proxy, body) = (String::new(), false, Mutex::new(body));
        Self { method, headers, name, path, query, via_proxy, origin, body }
    }

    /// With the path as it was sent, and whether a configured proxy sent it.
    #[must_use]
    pub fn sent(self, path: &str, via_proxy: bool) -> Self {
        Self { path: path.to_owned(), via_proxy, ..self }
    }

    /// Whether the peer is a configured proxy, so that its word on other requests counts.
    pub fn is_via_proxy(&self) -> bool {
        self.via_proxy
    }

    /// Path and query as they were sent.
    pub fn target(&self) -> String {
        let separator = if self.query.is_empty() { "" } else { "?" };
        format!("{}{separator}{}", self.path, self.query)
    }

    /// The fields of the query, all of them text. No log shows it: that of a page may carry a link that counts once.
    pub fn query(&self) -> Fields {
        of_form(self.query.as_bytes())
    }

    /// The first value of a parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    /// Where it came from, made by nobody in particular.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Where it came from, made by somebody who has proved who they are.
    pub fn origin_as(&self, actor: Actor) -> Origin {
        Origin { actor, ..self.origin.clone() }
    }

    /// The bearer token (RFC 6750 §2.1), if there is one.
    pub fn bearer(&self) -> Option<&str> {
        let value = self.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
    }

    /// What the client has given the request so that its repetition is known, if it has.
    ///
    /// # Errors
    /// It is malformed.
    pub fn idempotency_key(&self) -> Result<Option<IdempotencyKey>, Problem> {
        IdempotencyKey::read(&self.headers)
    }

    /// The members of the JSON body.
    ///
    /// # Errors
    /// Another content type, too large, not JSON, not an object.
    pub async fn fields(&mut self) -> Result<Fields, Problem> {
        let body = self.body().await?;
        if !self.has_content_type("application/json") {
            return Err(Problem::new(Code::UnsupportedMediaType));
        }
        parse(&body)
    }

    /// The members of the JSON body where one may be left out altogether.
    ///
    /// # Errors
    /// As [`Call::fields`], if there is a body.
    pub async fn optional_fields(&mut self) -> Result<Fields, Problem> {
        let body = self.body().await?;
        if body.is_empty() {
            return Ok(Fields::default());
        }
        if !self.has_content_type("application/json") {
            return Err(Problem::new(Code::UnsupportedMediaType));
        }
        parse(&body)
    }

    /// The members of a JSON body, or the fields of a form (RFC 7662 §2.1 and RFC 7009 §2.1 send forms).
    ///
    /// # Errors
    /// As [`Call::fields`].
    pub async fn fields_or_form(&mut self) -> Result<Fields, Problem> {
        if !self.has_content_type("application/x-www-form-urlencoded") {
            return self.fields().await;
        }
        let body = self.body().await?;
        Ok(of_form(&body))
    }

    /// The fields of a form, as browsers post it.
    ///
    /// # Errors
    /// Another content type, or too large.
    pub async fn form(&mut self) -> Result<Vec<(String, String)>, Problem> {
        if !self.has_content_type("application/x-www-form-urlencoded") {
            return Err(Problem::new(Code::UnsupportedMediaType));
        }
        let body = self.body().await?;
        let fields = form_urlencoded::parse(&body);
        Ok(fields.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    fn has_content_type(&self, expected: &str) -> bool {
        let value =
            self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = value.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case(expected)
    }

    /// Whether the body is coded, compressed that is (RFC 9110 §8.4). Nothing is ever inflated: a few bytes could become
    /// gigabytes.
    fn is_coded(&self) -> bool {
        self.headers
            .get_all(header::CONTENT_ENCODING)
            .iter()
            .any(|value| !value.to_str().is_ok_and(|coding| coding.trim().eq_ignore_ascii_case("identity")))
    }

    async fn body(&mut self) -> Result<Bytes, Problem> {
        if self.is_coded() {
            return Err(Problem::new(Code::UnsupportedMediaType));
        }
        let announced =
            self.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: usize| length > BODY_MAX) {
            return Err(Problem::new(Code::PayloadTooLarge));
        }
        let mut body = BytesMut::new();
        let stream = self.body.get_mut().unwrap_or_else(PoisonError::into_inner);
        while let Some(chunk) = stream.next().await {
            let mut chunk = chunk.map_err(|()| Problem::malformed("The body did not arrive."))?;
            if body.len() + chunk.remaining() > BODY_MAX {
                skip_some(stream).await;
                return Err(Problem::new(Code::PayloadTooLarge));
            }
            let length = chunk.remaining();
            body.extend_from_slice(&chunk.copy_to_bytes(length));
        }
        Ok(body.freeze())
    }
}

/// Reads on for a while, so that a client which is still sending gets to read the answer (RFC 9110 §15.5.14 lets the server close).
async fn skip_some(stream: &mut BodyStream) {
    let mut skipped = 0;
    while let Some(Ok(chunk)) = stream.next().await {
        skipped += chunk.remaining();
        if skipped > 4 * BODY_MAX {
            return;
        }
    }
}

fn of_form(text: &[u8]) -> Fields {
    let pairs = form_urlencoded::parse(text);
    Fields::new(pairs.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned()))).collect())
}

fn parse(body: &[u8]) -> Result<Fields, Problem> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(Fields::new(members)),
        Ok(_) => Err(Problem::malformed("The body must be a JSON object.")),
        Err(_) => Err(Problem::malformed("The body is not JSON.")),
    }
}

impl fmt::Debug for Call {
    /// Without headers and path, which may hold credentials and ids.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Call").field("request_id", &self.origin.request_id).finish_non_exhaustive()
    }
}
