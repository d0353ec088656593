//! One HTTP call. `server.post("/2fa/verify/").json(json!({…})).await` gives an [`Answer`] that passed its checks.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::answer::Answer;

/// A call that is sent when it is awaited.
#[must_use = "a call is sent when it is awaited"]
pub struct Call {
    request: RequestBuilder,
    label: String,
    head: bool,
}

impl Call {
    pub(crate) fn new(http: &reqwest::Client, method: Method, url: String) -> Self {
        let label = format!("{method} {url}");
        let head = method == Method::HEAD;
        Self { request: http.request(method, url), label, head }
    }

    /// Adds `Authorization: Bearer`.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Adds a header field.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// A JSON body.
    #[allow(clippy::needless_pass_by_value, reason = "calls read `json(json!({…}))`")]
    pub fn json(mut self, body: Value) -> Self {
        self.request = self.request.json(&body);
        self
    }

    /// A body of any kind.
    pub fn body(mut self, content_type: &str, body: impl Into<reqwest::Body>) -> Self {
        self.request = self.request.header("content-type", content_type).body(body);
        self
    }
}

impl IntoFuture for Call {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { request, label, head } = self;
            let response = request.send().await.unwrap_or_else(|e| panic!("{label}: no answer: {e:?}"));
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let bytes =
                response.bytes().await.unwrap_or_else(|e| panic!("{label}: the body broke off: {e:?}"));
            Answer::checked(label, status, headers, bytes.to_vec(), head)
        })
    }
}
