//! What machines ask of the server itself: keys, description, health, metrics.

use bytes::Bytes;
use http::{StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::{
    ToSchema,
    openapi::{ContentBuilder, Object, ResponseBuilder, Type, example::ExampleBuilder},
};

use crate::{
    context::Context,
    http::{Code, Problem, Reply},
    metering,
    openapi::{Operation, Tag, schemas, text_header, uncached},
    token::{JWKS_MAX_AGE, JwkSet},
};

/// The `OpenAPI` document, as `cargo xtask openapi` writes it; see [`crate::openapi`].
const OPENAPI: &str = include_str!("../../docs/openapi.json");

/// `GET /.well-known/jwks.json`: the public keys of access tokens (RFC 7517).
pub fn jwks(context: &Context) -> Reply {
    Reply::ok(&context.signer.jwks(context.clock.now().as_secs()))
        .with_header(header::CACHE_CONTROL, &format!("public, max-age={JWKS_MAX_AGE}"))
        .with_header(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")
}

pub(crate) fn jwks_described() -> Operation {
    let mut operation = Operation::new("jwks", Tag::Server, "The public keys of access tokens (RFC 7517)");
    let example = json!({
        "keys": [{
            "alg": "ES256",
            "crv": "P-256",
            "kid": "UErsTZ-1bPX7stPQ0kuURl06-w3FfDkb7wmjp0A1fUs",
            "kty": "EC",
            "use": "sig",
            "x": "ZVnUbltF38C9L3ojFDDgKEvfPIgc96C34mcp46qkYxM",
            "y": "O0hm2F2A0OqlVVm680p6-eitVuEmxkCU02IxOqCDdSE",
        }],
    });
    let content =
        ContentBuilder::new().schema(Some(operation.schema::<JwkSet>())).example(Some(example)).build();
    let response = ResponseBuilder::new()
        .description("The key set. Any origin may read it.")
        .header("Cache-Control", text_header(&format!("`public, max-age={JWKS_MAX_AGE}`")).build())
        .header("Access-Control-Allow-Origin", text_header("`*`").build())
        .content("application/json", content);
    operation.answers_as(StatusCode::OK, response)
}

/// `GET /openapi.json`: the description of the API, with this server's own address. It is put together once.
///
/// # Errors
/// The document cannot be read.
pub fn openapi(context: &Context) -> Result<Reply, Problem> {
    let text = if let Some(text) = context.description.get() {
        text.clone()
    } else {
        let text = described_here(context).ok_or_else(|| Problem::new(Code::Internal))?;
        context.description.get_or_init(|| text).clone()
    };
    Ok(Reply::of(StatusCode::OK, "application/json", text).with_header(header::CACHE_CONTROL, "no-cache"))
}

fn described_here(context: &Context) -> Option<Bytes> {
    let mut document: Value = serde_json::from_str(OPENAPI).ok()?;
    *document.get_mut("servers")? = json!([{ "url": context.url("") }]);
    serde_json::to_vec(&document).ok().map(Bytes::from)
}

pub(crate) fn openapi_described() -> Operation {
    let example = json!({
        "openapi": "3.1.0",
        "info": { "title": "Sidekey", "version": "1" },
        "servers": [{ "url": "http://127.0.0.1:8080" }],
        "paths": {},
    });
    let content = ContentBuilder::new()
        .schema(Some(Object::with_type(Type::Object)))
        .examples_from_iter([("beginning", ExampleBuilder::new().value(Some(example)).build())]);
    let response = ResponseBuilder::new()
        .description("With the address of this server in `servers`.")
        .header("Cache-Control", text_header("`no-cache`").build())
        .content("application/json", content.build());
    Operation::new("openapi", Tag::Server, "This document")
        .answers_as(StatusCode::OK, response)
        .refuses(&[Code::Internal])
}

/// The process answers.
#[derive(Serialize, ToSchema)]
struct Health {
    #[schema(schema_with = ok)]
    status: &'static str,
}

fn ok() -> Object {
    schemas::only_text("ok")
}

/// `GET /healthz`: the process answers.
pub fn health() -> Reply {
    Reply::ok(&Health { status: "ok" })
}

/// It is served under two names.
pub(crate) fn health_described(id: &str) -> Operation {
    Operation::new(id, Tag::Server, "Whether the process answers")
        .answers::<Health>("It does.", json!({ "status": "ok" }))
}

/// The store takes changes.
#[derive(Serialize, ToSchema)]
struct Readiness {
    #[schema(schema_with = in_service)]
    status: &'static str,
}

fn in_service() -> Object {
    schemas::only_text("ready")
}

/// `GET /readyz`: the store takes changes.
///
/// # Errors
/// It does not.
pub fn ready(context: &Context) -> Result<Reply, Problem> {
    if context.engine.is_healthy() {
        Ok(Reply::ok(&Readiness { status: "ready" }))
    } else {
        Err(Problem::new(Code::Unavailable).retry_after(5))
    }
}

pub(crate) fn ready_described() -> Operation {
    Operation::new("ready", Tag::Server, "Whether the store takes changes")
        .answers::<Readiness>("It does.", json!({ "status": "ready" }))
        .refuses(&[Code::Unavailable])
}

/// `GET /metrics`: figures in Prometheus' text format.
pub fn metrics(context: &Context) -> Reply {
    metering::look(context);
    Reply::of(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", context.metrics.render())
}

pub(crate) fn metrics_described() -> Operation {
    let example = "# TYPE sidekey_requests_total counter\n\
                   sidekey_requests_total{route=\"/2fa/verify\",status=\"200\"} 7\n";
    let content =
        ContentBuilder::new().schema(Some(Object::with_type(Type::String))).example(Some(example.into()));
    let response = ResponseBuilder::new()
        .description("Counters and durations of requests by route; no user, no id.")
        .content("text/plain", content.build());
    Operation::new("metrics", Tag::Server, "Figures in the text format of Prometheus")
        .telling("No credentials: keep this path from the outside by the proxy.")
        .answers_as(StatusCode::OK, uncached(response))
}
