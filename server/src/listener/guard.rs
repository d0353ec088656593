//! Between hyper and the filter: every request gets an answer, also one without a path and one that panics.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use http::{HeaderName, Method, Request};
use warp::reply::Response;

use crate::audit::new_request_id;
use crate::http::{Code, Problem};

/// The refusal of a target that is no path: `CONNECT host:port` and other authority forms (RFC 9112 §3.2.3). warp
/// panics over these, and nobody has a use for them here.
pub(super) fn refusal<B>(request: &Request<B>) -> Option<Response> {
    if *request.method() != Method::CONNECT && request.uri().path_and_query().is_some() {
        return None;
    }
    let problem = Problem::malformed("The request target must be a path.");
    Some(answer(problem))
}

/// The answer of the filter. A panic is a defect of ours: it ends this request and not the connection.
pub(super) async fn guarded<E>(work: impl Future<Output = Result<Response, E>>) -> Result<Response, E> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| Ok(answer(Problem::new(Code::Internal))))
}

fn answer(problem: Problem) -> Response {
    let request_id = new_request_id();
    let code = problem.code().name();
    let reply = problem.into_reply().with_header(HeaderName::from_static("x-request-id"), &request_id);
    let status = reply.status().as_u16();
    tracing::info!(request_id, status, code, "answered before any route");
    reply.into_response().map(Into::into)
}
