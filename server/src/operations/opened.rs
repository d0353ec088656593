//! What opening a session gives.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{openapi::schemas, token::pair::Tokens};

/// A challenge, an enrolment, or the tokens of a user who was let in.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum Opened {
    /// The user has an active device and is to answer.
    Challenge(Challenge),
    /// The user has no device, and the policy of the application demands one.
    Enrollment(EnrollmentDemanded),
    /// The user has no device, and the policy of the application lets them in; or a browser is trusted.
    LetIn(LetIn),
}

/// The user has an active device and is to answer.
#[derive(Serialize, ToSchema)]
pub struct Challenge {
    /// Seconds that the session lives on: 300, and fewer where the request is repeated.
    #[schema(maximum = 300)]
    pub expires_in: u64,
    /// How the session may be answered.
    #[schema(inline)]
    pub methods: Vec<AnswerMethod>,
    /// It is.
    #[schema(schema_with = schemas::always)]
    pub requires_2fa: bool,
    /// Opaque; names the session.
    #[schema(value_type = schemas::SessionId)]
    pub session_id: String,
    /// The hosted challenge page, with a link that hands the session over to one browser.
    #[schema(format = "uri")]
    pub verify_url: String,
}

/// By what a session may be answered.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnswerMethod {
    /// The code of an authenticator.
    Totp,
    /// A backup code.
    BackupCode,
}

/// The user has no device, and the policy of the application demands one.
#[derive(Serialize, ToSchema)]
pub struct EnrollmentDemanded {
    /// The hosted enrolment page, with a link that hands the session over to one browser.
    #[schema(format = "uri")]
    pub enroll_url: String,
    /// `enroll_` and 43 characters; opens only setup and confirm, while the session is open.
    pub enrollment_token: String,
    /// Seconds that the session lives on: 300, and fewer where the request is repeated.
    #[schema(maximum = 300)]
    pub expires_in: u64,
    /// It is.
    #[schema(schema_with = schemas::always)]
    pub requires_2fa: bool,
    /// It does.
    #[schema(schema_with = schemas::always)]
    pub requires_enrollment: bool,
    /// Opaque; names the session.
    #[schema(value_type = schemas::SessionId)]
    pub session_id: String,
}

/// The user has no device, and the policy of the application lets them in; or a browser is trusted.
#[derive(Serialize, ToSchema)]
pub struct LetIn {
    /// Those of the login.
    #[serde(flatten)]
    pub tokens: Tokens,
    /// It is not.
    #[schema(schema_with = schemas::never)]
    pub requires_2fa: bool,
    /// Whether to invite the user to enrol: under `encouraged`, and under `required` while the grace period runs.
    pub should_enroll: bool,
    /// With `required`: when the grace period ends. RFC 3339, UTC, whole seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, nullable = false)]
    pub enroll_by: Option<String>,
    /// The next one, if the login was spared the challenge by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub trusted_browser_token: Option<String>,
}

/// One of each.
pub(super) fn examples() -> [(&'static str, Value); 3] {
    let challenge = json!({
        "expires_in": 300,
        "methods": ["totp", "backup_code"],
        "requires_2fa": true,
        "session_id": "p9eQQg652v7Z3ZHD2JDjnOAv8VizRb2JBclWHpsuy5k",
        "verify_url": "http://127.0.0.1:8080/2fa/challenge/?link=cJ2gXv0y3mYwE8o2b1l6Kf5nq4hRzT9uWsPdAaBbCcD",
    });
    let enrollment = json!({
        "enroll_url": "http://127.0.0.1:8080/2fa/enroll/?link=Yt7Qm1Zr5vNcX0k4LhJp8sWd2fGaEuB6iOyTqRwS3nM",
        "enrollment_token": "enroll_jeSfKqN7p…",
        "expires_in": 300,
        "requires_2fa": true,
        "requires_enrollment": true,
        "session_id": "GI-TWVRDs6V_OvCFClJWR2-btkrKcRr8qSGllL9JmW4",
    });
    let let_in = json!({
        "access_token": "eyJhbGciOiJF….eyJpc3MiOiJo….fjlP4k3e…",
        "enroll_by": "2026-12-04T15:13:47Z",
        "expires_in": 900,
        "refresh_token": "72gGKky0tPkt…",
        "requires_2fa": false,
        "should_enroll": true,
        "token_type": "Bearer",
    });
    [("challenge", challenge), ("enrollment", enrollment), ("let_in", let_in)]
}
