//! Bodies of requests: read or refused, and every refusal is a whole problem document (RFC 9457).

use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::Value;
use sidekey_core::{
    backup_code::BackupCode,
    code,
    id::{AccountName, DeviceId, DeviceName, UserId},
    time::UnixTime,
};
use sidekey_server::{
    audit::{Actor, Origin},
    http::{BODY_MAX, BodyStream, Call, Fields, Problem},
    operations::open_session::Login,
};

const NAMES: [&str; 20] = [
    "user_id",
    "account_name",
    "ip_address",
    "user_agent",
    "remember_me",
    "is_admin",
    "return_url",
    "session_id",
    "code",
    "next_code",
    "backup_code",
    "device_id",
    "device_name",
    "restart",
    "name",
    "is_primary",
    "refresh_token",
    "token",
    "token_type_hint",
    "advance_seconds",
];

/// The first byte says how the body is sent: 1, as a form; 2, where it may be left out; 3, as something else; 4, in chunks of a
/// few bytes; 5, cut off. Any other is part of a JSON body.
pub fn run(input: &[u8]) {
    let (manner, body) = match input.split_first() {
        Some((manner @ 1..=5, rest)) => (*manner, rest),
        _ => (0, input),
    };
    let content_type = match manner {
        1 => "application/x-www-form-urlencoded",
        3 => "text/plain",
        _ => "Application/JSON; charset=utf-8",
    };
    let length = if manner == 4 { 1 + body.len() / 7 } else { body.len().max(1) };
    let mut chunks: Vec<Result<Bytes, ()>> =
        body.chunks(length).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    if manner == 5 {
        chunks.push(Err(()));
    }
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    let origin = Origin::local(Actor::Anonymous, UnixTime::from_secs(1_790_000_000));
    let body_stream: BodyStream = Box::pin(stream::iter(chunks));
    let query = String::from_utf8_lossy(body).into_owned();
    let mut call = Call::new(Method::POST, headers, None, query, origin, body_stream);
    members(&call.query());
    let fields = match manner {
        1 => call.fields_or_form().now_or_never(),
        2 => call.optional_fields().now_or_never(),
        _ => call.fields().now_or_never(),
    };
    let fields = fields.expect("a body that is there needs no waiting");
    assert!(fields.is_err() || body.len() <= BODY_MAX, "too much was read");
    assert!(fields.is_err() || !matches!(manner, 3 | 5));
    if let Some(fields) = judged(fields) {
        members(&fields);
    }
}

/// Every accessor with every parser that an operation uses; what is read reads as the same again.
fn members(fields: &Fields) {
    for name in NAMES {
        judged(fields.optional_text(name));
        judged(fields.text(name));
        judged(fields.optional_flag(name));
        judged(fields.number(name));
    }
    if let Some(Some(user)) = judged(fields.optional("user_id", UserId::parse)) {
        assert_eq!(UserId::parse(user.as_str()), Ok(user));
    }
    if let Some(Some(name)) = judged(fields.optional("account_name", AccountName::parse)) {
        assert_eq!(AccountName::parse(name.as_str()), Ok(name));
    }
    for member in ["device_name", "name"] {
        if let Some(Some(name)) = judged(fields.optional(member, DeviceName::parse)) {
            assert_eq!(DeviceName::parse(name.as_str()), Ok(name));
        }
    }
    if let Some(device) = judged(fields.text("device_id")).and_then(DeviceId::parse) {
        assert_eq!(DeviceId::parse(&device.to_string()), Some(device));
    }
    let answer = judged(fields.answer());
    assert_eq!(answer.is_some(), judged(fields.optional_answer()).flatten().is_some());
    assert_eq!(answer.is_some(), judged(fields.answer_or_code_required()).is_some());
    if let Some(answer) = answer {
        assert_eq!(judged(fields.required("code", code::Code::parse)), Some(answer.code));
    }
    let backup_code = judged(fields.required("backup_code", BackupCode::parse));
    assert_eq!(judged(fields.optional("backup_code", BackupCode::parse)).flatten(), backup_code);
    if let Some(login) = judged(Login::read(fields))
        && let Some(url) = login.return_url
    {
        let url = url.as_str();
        assert!(url.is_ascii() && !url.contains(['\r', '\n', ' ']), "{url}");
        let scheme = url.split(':').next().unwrap_or_default().to_ascii_lowercase();
        assert!(scheme == "http" || scheme == "https", "{url}");
    }
}

/// What was read, or nothing after a look at the refusal.
fn judged<T>(outcome: Result<T, Problem>) -> Option<T> {
    outcome.map_err(is_well_formed).ok()
}

fn is_well_formed(problem: Problem) {
    let code = problem.code();
    let response = problem.into_reply().into_response();
    assert!(response.status().is_client_error(), "{}", response.status());
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    let body: Value = serde_json::from_slice(response.body()).expect("JSON");
    assert_eq!(body["code"], code.name());
    assert_eq!(body["status"], response.status().as_u16());
    let kind =
        body["type"].as_str().and_then(|kind| kind.strip_prefix("urn:sidekey:problem:")).expect("a type");
    assert_eq!(kind.to_ascii_uppercase().replace('-', "_"), code.name());
    assert!(body["title"].is_string() && body["detail"].is_string());
    assert_eq!(body["detail"], body["error"]);
    // What was sent is never sent back: refusals stay small, whatever came.
    assert!(response.body().len() < 1_000, "{body}");
    if let Some(errors) = body.get("errors") {
        let errors = errors.as_object().expect("an object");
        assert!(!errors.is_empty() && errors.values().all(Value::is_string));
        assert!(errors.keys().all(|name| name == "body" || NAMES.contains(&name.as_str())), "{body}");
    }
}
