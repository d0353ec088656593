//! What machines ask of the server itself: keys, description, health, metrics.

use http::{StatusCode, header};
use serde_json::json;

use crate::{
    context::Context,
    http::{Code, Problem, Reply},
    metering,
    token::JWKS_MAX_AGE,
};

/// The `OpenAPI` document.
const OPENAPI: &str = include_str!("../../docs/openapi.json");

/// `GET /.well-known/jwks.json`: the public keys of access tokens (RFC 7517).
pub fn jwks(context: &Context) -> Reply {
    Reply::ok(&context.signer.jwks(context.clock.now().as_secs()))
        .with_header(header::CACHE_CONTROL, &format!("public, max-age={JWKS_MAX_AGE}"))
        .with_header(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")
}

/// `GET /openapi.json`: the description of the API, with this server's own address.
pub fn openapi(context: &Context) -> Reply {
    match serde_json::from_str::<serde_json::Value>(OPENAPI) {
        Ok(serde_json::Value::Object(mut document)) => {
            document.insert("servers".to_owned(), json!([{ "url": context.url("") }]));
            Reply::ok(&document).with_header(header::CACHE_CONTROL, "no-cache")
        }
        _ => Problem::new(Code::Internal).into_reply(),
    }
}

/// `GET /healthz`: the process answers.
pub fn health() -> Reply {
    Reply::ok(&json!({ "status": "ok" }))
}

/// `GET /readyz`: the store takes changes.
///
/// # Errors
/// It does not.
pub fn ready(context: &Context) -> Result<Reply, Problem> {
    if context.engine.is_healthy() {
        Ok(Reply::ok(&json!({ "status": "ready" })))
    } else {
        Err(Problem::new(Code::Unavailable).retry_after(5))
    }
}

/// `GET /metrics`: figures in Prometheus' text format.
pub fn metrics(context: &Context) -> Reply {
    metering::look(context);
    Reply::of(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", context.metrics.render())
}
