//! An answer, and what the contract demands of every one of them.

use std::ops::Index;

use reqwest::header::HeaderMap;
use serde_json::Value;

/// Every error code with its status.
const CODES: [(&str, u16); 23] = [
    ("VALIDATION_ERROR", 400),
    ("INVALID_CODE", 400),
    ("SESSION_EXPIRED", 400),
    ("CODE_REQUIRED", 400),
    ("NEXT_CODE_REQUIRED", 400),
    ("2FA_NOT_ENABLED", 400),
    ("SETUP_EXPIRED", 400),
    ("AUTH_REQUIRED", 401),
    ("2FA_REQUIRED", 401),
    ("FORBIDDEN", 403),
    ("MAX_ATTEMPTS_EXCEEDED", 403),
    ("SESSION_NOT_FOUND", 404),
    ("DEVICE_NOT_FOUND", 404),
    ("NOT_FOUND", 404),
    ("METHOD_NOT_ALLOWED", 405),
    ("SESSION_ALREADY_VERIFIED", 409),
    ("PAYLOAD_TOO_LARGE", 413),
    ("UNSUPPORTED_MEDIA_TYPE", 415),
    ("ACCOUNT_LOCKED", 423),
    ("ACCOUNT_THROTTLED", 429),
    ("RATE_LIMITED", 429),
    ("INTERNAL", 500),
    ("UNAVAILABLE", 503),
];

/// The only places below `/2fa/` whose answers caches may keep: they are the same for everybody.
const PUBLIC: [&str; 2] = ["/2fa/assets/", "/2fa/theme/"];

/// An answer that passed the checks which hold for all of them.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header fields.
    pub headers: HeaderMap,
    /// The body.
    pub bytes: Vec<u8>,
    /// The body as JSON; null where it is none.
    pub json: Value,
    label: String,
}

impl Answer {
    /// Takes an answer apart and checks it; `head` says that it answers a HEAD request and has no body.
    #[track_caller]
    pub(crate) fn checked(
        label: String,
        status: u16,
        headers: HeaderMap,
        bytes: Vec<u8>,
        head: bool,
    ) -> Self {
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let answer = Self { status, headers, bytes, json, label };
        answer.check(head);
        answer
    }

    #[track_caller]
    fn check(&self, head: bool) {
        let id = self.header("x-request-id");
        assert!(!id.is_empty(), "{self}: no X-Request-Id");
        let is_page = self.header("content-type").starts_with("text/html");
        assert!(is_page || !(300..400).contains(&self.status) || self.status == 304, "{self}: redirects");
        if self.is_private() {
            assert!(self.header("cache-control").contains("no-store"), "{self}: private, but lacks no-store");
        }
        if self.json.is_object() {
            let kind = self.header("content-type");
            let json = kind.starts_with("application/json")
                || kind.starts_with("application/problem+json")
                || kind.starts_with("application/jwk-set+json")
                || kind.starts_with("application/vnd.oai.openapi+json");
            assert!(json, "{self}: JSON under the content type `{kind}`");
        }
        if is_page {
            assert_eq!(self.header("cache-control"), "no-store", "{self}");
        } else if self.status >= 400 && !head {
            self.check_problem();
        }
    }

    /// Whether it may hold secrets, tokens or personal data: all but a few answers of the API and the pages do.
    fn is_private(&self) -> bool {
        let target = self.label.split(' ').nth(1).unwrap_or_default();
        target.contains("/2fa/") && !PUBLIC.iter().any(|place| target.contains(place))
    }

    /// RFC 9457, with the members that the contract adds.
    #[track_caller]
    fn check_problem(&self) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self}");
        assert_eq!(self["status"], self.status, "{self}");
        let code = self.text("code");
        let known = CODES.iter().any(|(name, status)| *name == code && *status == self.status);
        assert!(known, "{self}: the contract has no such code with this status");
        assert_eq!(
            self.text("type"),
            format!("urn:sidekey:problem:{}", code.to_ascii_lowercase().replace('_', "-")),
            "{self}"
        );
        assert!(!self.text("title").is_empty(), "{self}: no title");
        assert!(!self.text("detail").is_empty(), "{self}: no detail");
        assert_eq!(self["error"], self["detail"], "{self}");
        if [429, 503].contains(&self.status) {
            let wait = self.retry_after();
            assert!(wait >= 1, "{self}: Retry-After must be at least a second");
        }
        if self.status == 401 {
            assert!(self.header("www-authenticate").starts_with("Bearer"), "{self}: no Bearer challenge");
        }
        if self.status == 405 {
            assert!(!self.header("allow").is_empty(), "{self}: no Allow");
        }
        if code == "VALIDATION_ERROR" {
            assert!(self["errors"].is_object(), "{self}: no `errors`");
        }
    }

    /// Passes an answer with this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// Passes a 200.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.expect(200)
    }

    /// Passes a refusal with this status and code.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self["code"].as_str()), (status, Some(code)), "{self}");
        self
    }

    /// Passes a `VALIDATION_ERROR` that names exactly this field.
    #[track_caller]
    pub fn invalid(self, field: &str) -> Self {
        let answer = self.refused(400, "VALIDATION_ERROR");
        let errors = answer["errors"].as_object().expect("checked");
        assert!(
            errors.len() == 1 && errors.get(field).is_some_and(Value::is_string),
            "{answer}: not about `{field}`"
        );
        answer
    }

    /// A header field's value, empty when it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    /// `Retry-After`, in seconds.
    #[track_caller]
    pub fn retry_after(&self) -> u64 {
        self.header("retry-after").parse().unwrap_or_else(|_| panic!("{self}: no Retry-After in seconds"))
    }

    /// A member that must be a string.
    #[track_caller]
    pub fn text(&self, name: &str) -> String {
        self.json[name].as_str().unwrap_or_else(|| panic!("{self}: `{name}` is no string")).to_string()
    }

    /// A member that must be a whole number.
    #[track_caller]
    pub fn number(&self, name: &str) -> u64 {
        self.json[name].as_u64().unwrap_or_else(|| panic!("{self}: `{name}` is no whole number"))
    }

    /// A member that must be a list of strings.
    #[track_caller]
    pub fn texts(&self, name: &str) -> Vec<String> {
        let list = self.json[name].as_array().unwrap_or_else(|| panic!("{self}: `{name}` is no list"));
        list.iter().map(|v| v.as_str().unwrap_or_else(|| panic!("{self}: `{name}`")).to_string()).collect()
    }

    /// Whether the member is there at all.
    pub fn has(&self, name: &str) -> bool {
        self.json.get(name).is_some()
    }

    /// The body as text.
    pub fn body(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl Index<&str> for Answer {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        &self.json[name]
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} → {} {:?} {}", self.label, self.status, self.headers, self.body())
    }
}
