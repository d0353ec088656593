//! What every request goes through: a name, the address's bucket, the operation, a log line.

use std::{net::IpAddr, panic::AssertUnwindSafe};

use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderName, Method, header};
use tracing::Instrument as _;

use super::{
    dispatch::dispatch,
    matching::{Found, NO_ROUTE, find},
    table::{Access, Endpoint},
};
use crate::{
    audit::{Actor, Origin, USER_AGENT_MAX, new_request_id},
    clock::Clock,
    context::Context,
    forwarded,
    http::{BodyStream, Call, Code, Problem, Reply, rate_limit},
    metering, pages, telemetry,
    token::session_link,
};

/// The name of a request, on every answer and log line of it.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a request names: the path, and the query after it.
pub(super) struct Place<'a> {
    pub(super) path: &'a str,
    pub(super) query: String,
}

/// Answers one request: names it, finds its operation, logs how it went.
pub(super) async fn answer(
    context: &Context,
    method: Method,
    Place { path, query }: Place<'_>,
    headers: HeaderMap,
    peer: Option<IpAddr>,
    body: BodyStream,
) -> Reply {
    let started = Clock::instant();
    let request_id = new_request_id();
    let settings = &context.settings;
    let found = find(settings.base_path.as_str(), settings.development, &method, path);
    let route = found.as_ref().map_or_else(|missed| missed.pattern, |found| found.pattern);
    let span = tracing::info_span!("request", request_id = %request_id);
    let trace = telemetry::of_request(settings.tracing.as_ref(), &method, route, &headers, peer);
    let user_agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let origin = Origin {
        at: context.clock.now(),
        request_id: request_id.clone(),
        actor: Actor::Anonymous,
        ip_address: peer.map(|peer| forwarded::client(peer, &headers, &settings.trusted_proxies)),
        user_agent: user_agent.map(|text| text.chars().take(USER_AGENT_MAX).collect()),
        reason: None,
    };
    let for_people = match &found {
        Ok(found) => found.endpoint.is_for_people(),
        Err(missed) if missed.pattern == NO_ROUTE => wants_a_page(&method, &headers),
        Err(missed) => missed.is_for_people,
    };
    let refused_on_a_page = for_people.then(|| headers.clone());
    let outcome = match found {
        Ok(Found { access, endpoint, name, .. }) => {
            if let (Endpoint::Live | Endpoint::Jwks, Some(peer)) = (endpoint, peer) {
                context.probes.note(peer, &headers, &settings.trusted_proxies, started);
            }
            let via_proxy = peer.is_some_and(|peer| forwarded::is_proxy(peer, &settings.trusted_proxies));
            let call = Call::new(method.clone(), headers, name, query, origin, body).sent(path, via_proxy);
            let work =
                admitted(context, access, endpoint, call).instrument(span.clone()).instrument(trace.clone());
            // A panic is a defect of ours: it ends this request and nobody else's. States are loaded anew for each, so none is left half changed.
            AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
                span.in_scope(|| tracing::error!(route, "a request panicked"));
                Err(Problem::new(Code::Internal))
            })
        }
        Err(missed) => Err(missed.problem),
    };
    let reply = outcome.unwrap_or_else(|problem| match refused_on_a_page {
        Some(headers) => pages::refused(context, &headers, &problem),
        None => problem.into_reply(),
    });
    let code = reply.code().map(Code::name);
    let status = reply.status().as_u16();
    let took = started.elapsed();
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    // The pattern and never the path: paths name sessions and users.
    tracing::info!(parent: &span, %method, route, status, code, milliseconds, "answered");
    telemetry::answered(&trace, status);
    metering::answered(route, status, took);
    if is_work(route) {
        context.latency.note(context.clock.now(), took);
    }
    reply.with_header(REQUEST_ID, &request_id)
}

/// Whether a route does what the server is for: neither a file nor what watches the server.
fn is_work(route: &str) -> bool {
    route.starts_with("/2fa/") && !route.starts_with("/2fa/assets/") && !route.starts_with("/2fa/theme/")
}

/// Whether somebody reads the answer in a browser.
fn wants_a_page(method: &Method, headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    *method == Method::GET && accept.contains("text/html")
}

/// The address's bucket comes before a byte of the body is read, and long before anything is looked up, judged or counted.
async fn admitted(
    context: &Context,
    access: Access,
    endpoint: Endpoint,
    call: Call,
) -> Result<Reply, Problem> {
    let has_link = call.parameter(session_link::PARAMETER).is_some();
    if !access.is_counted(&call.method, has_link) {
        return dispatch(context, endpoint, call).await;
    }
    let headers = context.count_address(call.origin().ip_address)?.map(rate_limit).into_iter().flatten();
    match dispatch(context, endpoint, call).await {
        Ok(reply) => Ok(headers.fold(reply, |reply, (name, value)| reply.with_header(name, &value))),
        Err(problem) => Err(headers.fold(problem, |problem, (name, value)| problem.with_header(name, value))),
    }
}
