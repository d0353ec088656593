//! Refusals as problem details (RFC 9457): every error code of the contract, its status and its sentence.

use http::{StatusCode, header};
use serde_json::{Map, Value, json};

use super::Reply;

/// The error codes of the contract: what programs branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// A body or field is malformed.
    Validation,
    /// A code is wrong or was used.
    InvalidCode,
    /// The session's time is over.
    SessionExpired,
    /// A code is needed for this.
    CodeRequired,
    /// Two consecutive codes are needed.
    NextCodeRequired,
    /// 2FA is off.
    NotEnabled,
    /// The pending device has expired.
    SetupExpired,
    /// TOTP is locked.
    AccountLocked,
    /// Nobody has proved who they are.
    AuthRequired,
    /// A second factor is needed, or a fresher one.
    SecondFactorRequired,
    /// Somebody else may do this.
    Forbidden,
    /// The session has had its wrong answers.
    MaxAttemptsExceeded,
    /// The session was answered.
    SessionAlreadyVerified,
    /// No such session.
    SessionNotFound,
    /// No such device.
    DeviceNotFound,
    /// Nothing is here.
    NotFound,
    /// Not with this method.
    MethodNotAllowed,
    /// The body is too large.
    PayloadTooLarge,
    /// The body is not JSON by its own account.
    UnsupportedMediaType,
    /// The account waits.
    AccountThrottled,
    /// The address waits.
    RateLimited,
    /// Something broke.
    Internal,
    /// The store is not available.
    Unavailable,
}

impl Code {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::Validation,
        Self::InvalidCode,
        Self::SessionExpired,
        Self::CodeRequired,
        Self::NextCodeRequired,
        Self::NotEnabled,
        Self::SetupExpired,
        Self::AccountLocked,
        Self::AuthRequired,
        Self::SecondFactorRequired,
        Self::Forbidden,
        Self::MaxAttemptsExceeded,
        Self::SessionAlreadyVerified,
        Self::SessionNotFound,
        Self::DeviceNotFound,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::AccountThrottled,
        Self::RateLimited,
        Self::Internal,
        Self::Unavailable,
    ];

    const fn parts(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::Validation => ("VALIDATION_ERROR", StatusCode::BAD_REQUEST, "The request is malformed."),
            Self::InvalidCode => {
                ("INVALID_CODE", StatusCode::BAD_REQUEST, "The code is wrong or has been used.")
            }
            Self::SessionExpired => {
                ("SESSION_EXPIRED", StatusCode::BAD_REQUEST, "The session has expired. Sign in again.")
            }
            Self::CodeRequired => ("CODE_REQUIRED", StatusCode::BAD_REQUEST, "A code is required for this."),
            Self::NextCodeRequired => (
                "NEXT_CODE_REQUIRED",
                StatusCode::BAD_REQUEST,
                "Two codes are required: the current one and the one that follows it.",
            ),
            Self::NotEnabled => {
                ("2FA_NOT_ENABLED", StatusCode::BAD_REQUEST, "Two-factor authentication is not enabled.")
            }
            Self::SetupExpired => {
                ("SETUP_EXPIRED", StatusCode::BAD_REQUEST, "The setup has expired. Start it again.")
            }
            Self::AccountLocked => (
                "ACCOUNT_LOCKED",
                StatusCode::LOCKED,
                "Codes are locked after too many wrong ones. Use a backup code or ask for an unlock.",
            ),
            Self::AuthRequired => {
                ("AUTH_REQUIRED", StatusCode::UNAUTHORIZED, "Valid credentials are required.")
            }
            Self::SecondFactorRequired => {
                ("2FA_REQUIRED", StatusCode::UNAUTHORIZED, "A recent second factor is required.")
            }
            Self::Forbidden => ("FORBIDDEN", StatusCode::FORBIDDEN, "These credentials do not open this."),
            Self::MaxAttemptsExceeded => (
                "MAX_ATTEMPTS_EXCEEDED",
                StatusCode::FORBIDDEN,
                "Too many wrong answers. The session has ended, sign in again.",
            ),
            Self::SessionAlreadyVerified => {
                ("SESSION_ALREADY_VERIFIED", StatusCode::CONFLICT, "The session has been answered already.")
            }
            Self::SessionNotFound => {
                ("SESSION_NOT_FOUND", StatusCode::NOT_FOUND, "There is no such session.")
            }
            Self::DeviceNotFound => ("DEVICE_NOT_FOUND", StatusCode::NOT_FOUND, "There is no such device."),
            Self::NotFound => ("NOT_FOUND", StatusCode::NOT_FOUND, "There is nothing here."),
            Self::MethodNotAllowed => {
                ("METHOD_NOT_ALLOWED", StatusCode::METHOD_NOT_ALLOWED, "This method is not allowed here.")
            }
            Self::PayloadTooLarge => {
                ("PAYLOAD_TOO_LARGE", StatusCode::PAYLOAD_TOO_LARGE, "The body is larger than 16 KiB.")
            }
            Self::UnsupportedMediaType => (
                "UNSUPPORTED_MEDIA_TYPE",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body must be JSON, with the content type `application/json`.",
            ),
            Self::AccountThrottled => (
                "ACCOUNT_THROTTLED",
                StatusCode::TOO_MANY_REQUESTS,
                "Too many wrong codes. Wait before the next one.",
            ),
            Self::RateLimited => (
                "RATE_LIMITED",
                StatusCode::TOO_MANY_REQUESTS,
                "Too many requests from this address. Try again shortly.",
            ),
            Self::Internal => ("INTERNAL", StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong."),
            Self::Unavailable => {
                ("UNAVAILABLE", StatusCode::SERVICE_UNAVAILABLE, "The service is not available right now.")
            }
        }
    }

    /// Its name in the contract.
    pub const fn name(self) -> &'static str {
        self.parts().0
    }

    /// Its status.
    pub const fn status(self) -> StatusCode {
        self.parts().1
    }
}

/// A refusal on its way to the client. What the log should know besides is logged where it happens, not carried here.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: Option<String>,
    members: Map<String, Value>,
    headers: Vec<(header::HeaderName, String)>,
}

impl Problem {
    /// A refusal with its usual sentence.
    pub fn new(code: Code) -> Self {
        Self { code, detail: None, members: Map::new(), headers: Vec::new() }
    }

    /// A malformed field.
    pub fn field(name: &str, text: &str) -> Self {
        Self::new(Code::Validation).with("errors", json!({ name: text }))
    }

    /// A body that cannot be read at all.
    pub fn malformed(detail: &str) -> Self {
        Self { detail: Some(detail.to_owned()), ..Self::new(Code::Validation) }
            .with("errors", json!({ "body": detail }))
    }

    /// With another sentence than the usual one.
    #[must_use]
    pub fn saying(self, detail: &str) -> Self {
        Self { detail: Some(detail.to_owned()), ..self }
    }

    /// With an extension member.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.members.insert(member.to_owned(), value.into());
        self
    }

    /// With the way back to the application, where the session knows one.
    #[must_use]
    pub fn leading_back(self, return_url: Option<&str>) -> Self {
        match return_url {
            Some(url) => self.with("return_url", url),
            None => self,
        }
    }

    /// With a header.
    #[must_use]
    pub fn with_header(mut self, name: header::HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A refusal that says when to come back.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        self.with("retry_after", seconds).with_header(header::RETRY_AFTER, seconds.to_string())
    }

    /// Credentials are missing (RFC 6750 §3: no error code then).
    pub fn credentials_missing() -> Self {
        Self::new(Code::AuthRequired).with_header(header::WWW_AUTHENTICATE, r#"Bearer realm="sidekey""#)
    }

    /// Credentials are there and do not count (RFC 6750 §3.1).
    pub fn credentials_invalid() -> Self {
        Self::new(Code::AuthRequired)
            .with_header(header::WWW_AUTHENTICATE, r#"Bearer realm="sidekey", error="invalid_token""#)
    }

    /// A second factor is needed, at most `max_age` seconds old where that is given (RFC 9470 §3). Where it is not, a new one is asked for.
    pub fn second_factor_required(max_age: Option<u64>) -> Self {
        let max_age = max_age.unwrap_or(sidekey_core::login::FRESH);
        let challenge = format!(
            r#"Bearer realm="sidekey", error="insufficient_user_authentication", error_description="A recent second factor is required", acr_values="{}", max_age="{max_age}""#,
            sidekey_core::login::ACR_TWO_FACTORS
        );
        Self::new(Code::SecondFactorRequired)
            .with("max_age", max_age)
            .with_header(header::WWW_AUTHENTICATE, challenge)
    }

    /// An extension member that is a whole number.
    pub fn number(&self, member: &str) -> Option<u64> {
        self.members.get(member).and_then(Value::as_u64)
    }

    /// What people read of it in English: its sentence, and what is wrong with each field.
    pub fn sentences(&self) -> Vec<String> {
        let detail = self.detail.as_deref().unwrap_or(self.code.parts().2).to_owned();
        let fields = self.members.get("errors").and_then(Value::as_object).into_iter().flatten();
        let of_field = |(name, text): (&String, &Value)| Some(format!("{name}: {}.", text.as_str()?));
        std::iter::once(detail).chain(fields.filter_map(of_field)).collect()
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.code.status()
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The answer that tells of it to people, with the status, the headers and the code that programs would get.
    pub fn told_by(&self, content_type: &'static str, body: String) -> Reply {
        dressed(Reply::of(self.status(), content_type, body), self.code, &self.headers)
    }

    /// As an answer to programs.
    pub fn into_reply(self) -> Reply {
        let (name, status, sentence) = self.code.parts();
        let detail = self.detail.as_deref().unwrap_or(sentence);
        let mut body = self.members;
        let kind = name.to_ascii_lowercase().replace('_', "-");
        body.insert("type".to_owned(), format!("urn:sidekey:problem:{kind}").into());
        body.insert("title".to_owned(), status.canonical_reason().unwrap_or("Error").into());
        body.insert("status".to_owned(), status.as_u16().into());
        body.insert("code".to_owned(), name.into());
        body.insert("detail".to_owned(), detail.into());
        body.insert("error".to_owned(), detail.into());
        let reply = Reply::of(status, "application/problem+json", Value::Object(body).to_string());
        dressed(reply, self.code, &self.headers)
    }
}

fn dressed(reply: Reply, code: Code, headers: &[(header::HeaderName, String)]) -> Reply {
    headers.iter().fold(reply.refusing(code), |reply, (name, value)| reply.with_header(name.clone(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_openapi_document_lists_these_codes_and_no_others() {
        let document: Value = serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap();
        let listed = document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"].as_array();
        let mut listed: Vec<_> = listed.unwrap().iter().map(|code| code.as_str().unwrap()).collect();
        let mut all = Code::ALL.map(Code::name);
        listed.sort_unstable();
        all.sort_unstable();
        assert_eq!(listed, all);
    }

    #[test]
    fn a_problem_says_the_same_to_programs_and_people() {
        let reply =
            Problem::new(Code::InvalidCode).with("attempts_remaining", 3).into_reply().into_response();
        assert_eq!(reply.status(), StatusCode::BAD_REQUEST);
        assert_eq!(reply.headers()[header::CONTENT_TYPE], "application/problem+json");
        let body: Value = serde_json::from_slice(reply.body()).unwrap();
        assert_eq!(body["type"], "urn:sidekey:problem:invalid-code");
        assert_eq!((body["status"].as_u64(), &body["code"]), (Some(400), &json!("INVALID_CODE")));
        assert_eq!(body["detail"], body["error"]);
        assert_eq!(body["attempts_remaining"], 3);
    }
}
