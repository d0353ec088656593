//! How much of its bucket a client has left (draft-ietf-httpapi-ratelimit-headers).

use http::HeaderName;

use crate::limit::Level;

/// The policy, and how things stand with it.
pub fn rate_limit(level: Level) -> [(HeaderName, String); 2] {
    let Level { most, left, fills_in, full_in } = level;
    [
        (HeaderName::from_static("ratelimit-policy"), format!(r#""address";q={most};w={fills_in}"#)),
        (HeaderName::from_static("ratelimit"), format!(r#""address";r={left};t={full_in}"#)),
    ]
}
