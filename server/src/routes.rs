//! The whole table of routes, and how a request finds its operation.
//!
//! The table is matched by hand and not by a chain of filters: one look-up tells apart what does not exist (404) from what
//! exists under another method (405, with `Allow`), and the routes that matter most cost the least.

#[cfg(feature = "fuzzing")]
pub mod fuzzing;

use std::{convert::Infallible, net::IpAddr, panic::AssertUnwindSafe, sync::Arc};

use futures_util::{FutureExt as _, StreamExt as _};
use http::{HeaderMap, HeaderName, Method, Response, header};
use percent_encoding::percent_decode_str;
use tracing::Instrument as _;
use warp::{Buf, Filter, path::FullPath};

use crate::{
    audit::{Actor, Origin, USER_AGENT_MAX, new_request_id},
    clock::Clock,
    context::Context,
    demo, forwarded,
    http::{BodyStream, Call, Code, Problem, Reply},
    listener::PeerAddr,
    operations, pages, service,
};

/// The name of a request, on every answer and log line of it.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    VerifyCode,
    OpenSession,
    RefreshToken,
    VerifyBackupCode,
    SessionStatus,
    Enroll,
    StartSetup,
    ConfirmSetup,
    ListDevices,
    ChangeDevice,
    RemoveDevice,
    Disable,
    BackupCodeStatus,
    RenewBackupCodes,
    RevokeToken,
    IntrospectToken,
    UserStatus,
    UnlockUser,
    EraseUser,
    Jwks,
    OpenApi,
    Health,
    Ready,
    Metrics,
    Page(pages::Page),
    Asset,
    DemoSignIn,
    ReadClock,
    AdvanceClock,
}

impl Endpoint {
    /// Whether nothing has to be proved to be listened to.
    fn is_anonymous(self) -> bool {
        matches!(
            self,
            Self::VerifyCode | Self::VerifyBackupCode | Self::Enroll | Self::RefreshToken | Self::RevokeToken
        )
    }
}

/// Method, path below the base path without its final slash, and what is asked for. `{}` is one segment, `**` is the rest.
/// The busiest come first.
const TABLE: &[(Method, &str, Endpoint)] = &[
    (Method::POST, "/2fa/verify", Endpoint::VerifyCode),
    (Method::POST, "/2fa/sessions", Endpoint::OpenSession),
    (Method::POST, "/2fa/token/refresh", Endpoint::RefreshToken),
    (Method::POST, "/2fa/verify/backup", Endpoint::VerifyBackupCode),
    (Method::GET, "/2fa/sessions/{}", Endpoint::SessionStatus),
    (Method::POST, "/2fa/enrollment", Endpoint::Enroll),
    (Method::POST, "/2fa/setup", Endpoint::StartSetup),
    (Method::POST, "/2fa/setup/confirm", Endpoint::ConfirmSetup),
    (Method::GET, "/2fa/devices", Endpoint::ListDevices),
    (Method::PATCH, "/2fa/devices/{}", Endpoint::ChangeDevice),
    (Method::DELETE, "/2fa/devices/{}", Endpoint::RemoveDevice),
    (Method::POST, "/2fa/disable", Endpoint::Disable),
    (Method::GET, "/2fa/backup-codes", Endpoint::BackupCodeStatus),
    (Method::POST, "/2fa/backup-codes/regenerate", Endpoint::RenewBackupCodes),
    (Method::POST, "/2fa/token/revoke", Endpoint::RevokeToken),
    (Method::POST, "/2fa/token/introspect", Endpoint::IntrospectToken),
    (Method::GET, "/2fa/users/{}", Endpoint::UserStatus),
    (Method::POST, "/2fa/users/{}/unlock", Endpoint::UnlockUser),
    (Method::DELETE, "/2fa/users/{}", Endpoint::EraseUser),
    (Method::GET, "/.well-known/jwks.json", Endpoint::Jwks),
    (Method::GET, "/openapi.json", Endpoint::OpenApi),
    (Method::GET, "/healthz", Endpoint::Health),
    (Method::GET, "/readyz", Endpoint::Ready),
    (Method::GET, "/metrics", Endpoint::Metrics),
    (Method::GET, "/2fa/enroll", Endpoint::Page(pages::Page::Enroll)),
    (Method::GET, "/2fa/challenge", Endpoint::Page(pages::Page::Challenge)),
    (Method::GET, "/2fa/account", Endpoint::Page(pages::Page::Account)),
    (Method::GET, "/admin", Endpoint::Page(pages::Page::Admin)),
    (Method::GET, "/2fa/assets/**", Endpoint::Asset),
    (Method::GET, "/demo", Endpoint::Page(pages::Page::Demo)),
    (Method::POST, "/demo/sign-in", Endpoint::DemoSignIn),
    (Method::GET, "/development/clock", Endpoint::ReadClock),
    (Method::POST, "/development/clock", Endpoint::AdvanceClock),
];

/// What logs and metrics call a path that is not in the table.
const NO_ROUTE: &str = "none";

/// The first segments that exist in development mode only.
const DEVELOPMENT_ONLY: [&str; 2] = ["/demo", "/development"];

/// The server as a warp filter.
pub fn filter(
    context: Arc<Context>,
) -> impl Filter<Extract = (warp::reply::Response,), Error = Infallible> + Clone + Send + Sync + 'static {
    warp::any()
        .and(warp::method())
        .and(warp::path::full())
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<PeerAddr>())
        .and(warp::body::stream())
        .then(move |method, path: FullPath, headers, peer: Option<PeerAddr>, body| {
            let context = Arc::clone(&context);
            let body: BodyStream = Box::pin(whole_chunks(body));
            let peer = peer.map(|peer| peer.0.ip());
            async move { answer(&context, method, path.as_str(), headers, peer, body).await.map(Into::into) }
        })
        .or_else(|_| async {
            let problem = Problem::new(Code::Internal).into_reply();
            Ok::<_, Infallible>((problem.into_response().map(Into::into),))
        })
}

/// Answers one request: names it, finds its operation, logs how it went.
async fn answer(
    context: &Context,
    method: Method,
    path: &str,
    headers: HeaderMap,
    peer: Option<IpAddr>,
    body: BodyStream,
) -> Response<bytes::Bytes> {
    let started = Clock::instant();
    let request_id = new_request_id();
    let settings = &context.settings;
    let found = find(settings.base_path.as_str(), settings.development, &method, path);
    let route = found.as_ref().map_or_else(|missed| missed.pattern, |found| found.pattern);
    let span = tracing::info_span!("request", request_id = %request_id);
    let user_agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let origin = Origin {
        at: context.clock.now(),
        request_id: request_id.clone(),
        actor: Actor::Anonymous,
        ip_address: peer.map(|peer| forwarded::client(peer, &headers, &settings.trusted_proxies)),
        user_agent: user_agent.map(|text| text.chars().take(USER_AGENT_MAX).collect()),
    };
    let outcome = match found {
        Ok(Found { endpoint, name, .. }) => {
            let call = Call::new(headers, name, origin, body);
            let work = dispatch(context, endpoint, call).instrument(span.clone());
            // A panic is a defect of ours: it ends this request and nobody else's. States are loaded anew for each, so none is left half changed.
            AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
                span.in_scope(|| tracing::error!(route, "a request panicked"));
                Err(Problem::new(Code::Internal))
            })
        }
        Err(missed) if missed.pattern == NO_ROUTE && wants_a_page(&method, &headers) => {
            pages::not_found(context)
        }
        Err(missed) => Err(missed.problem),
    };
    let code = outcome.as_ref().err().map(|problem| problem.code().name());
    let reply = outcome.unwrap_or_else(Problem::into_reply);
    let status = reply.status().as_u16();
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    // The pattern and never the path: paths name sessions and users.
    span.in_scope(|| tracing::info!(%method, route, status, code, milliseconds, "answered"));
    metrics::counter!("sidekey_requests_total", "route" => route, "status" => status.to_string())
        .increment(1);
    metrics::histogram!("sidekey_request_seconds", "route" => route).record(started.elapsed().as_secs_f64());
    reply.with_header(REQUEST_ID, &request_id).into_response()
}

/// Whether somebody reads the answer in a browser.
fn wants_a_page(method: &Method, headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    *method == Method::GET && accept.contains("text/html")
}

struct Found {
    endpoint: Endpoint,
    pattern: &'static str,
    name: Option<String>,
}

struct Missed {
    pattern: &'static str,
    problem: Problem,
}

impl Missed {
    fn nothing() -> Self {
        Self { pattern: NO_ROUTE, problem: Problem::new(Code::NotFound) }
    }
}

fn find(base_path: &str, development: bool, method: &Method, path: &str) -> Result<Found, Missed> {
    let below = path.strip_prefix(base_path).ok_or_else(Missed::nothing)?;
    let below = below.strip_suffix('/').unwrap_or(below);
    let in_development = DEVELOPMENT_ONLY.iter().any(|prefix| below.starts_with(prefix));
    if in_development && !development {
        return Err(Missed::nothing());
    }
    let mut allowed = Vec::new();
    let mut pattern_found = NO_ROUTE;
    for (allowed_method, pattern, endpoint) in TABLE {
        let Some(name) = matches(pattern, below) else { continue };
        pattern_found = pattern;
        // HEAD is GET without the body (RFC 9110 §9.3.2); the HTTP layer leaves the body out.
        if method == allowed_method || (*method == Method::HEAD && *allowed_method == Method::GET) {
            let name = decoded(name).ok_or_else(Missed::nothing)?;
            let name = Some(name).filter(|name| !name.is_empty());
            return Ok(Found { endpoint: *endpoint, pattern, name });
        }
        allowed.push(allowed_method.as_str());
        if *allowed_method == Method::GET {
            allowed.push("HEAD");
        }
    }
    if allowed.is_empty() {
        return Err(Missed::nothing());
    }
    let problem = Problem::new(Code::MethodNotAllowed).with_header(header::ALLOW, allowed.join(", "));
    Err(Missed { pattern: pattern_found, problem })
}

/// What stands for the `{}` or `**` of a pattern if the path has its form; empty for a pattern without.
fn matches<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    if let Some(prefix) = pattern.strip_suffix("**") {
        return path.strip_prefix(prefix).filter(|rest| !rest.is_empty());
    }
    let Some((before, after)) = pattern.split_once("{}") else {
        return (pattern == path).then_some("");
    };
    let name = path.strip_prefix(before)?.strip_suffix(after)?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

/// Before a byte of the body is read, and long before anything is looked up, judged or counted.
fn admit(context: &Context, endpoint: Endpoint, origin: &Origin) -> Result<(), Problem> {
    match (&context.address_limit, origin.ip_address) {
        (Some(limit), Some(address)) if endpoint.is_anonymous() => {
            limit.take(address).map_err(|seconds| Problem::new(Code::RateLimited).retry_after(seconds))
        }
        _ => Ok(()),
    }
}

/// A segment without its percent-encoding (RFC 3986 §2.1). A `%` that begins none is not taken for itself: nothing has two
/// spellings.
fn decoded(name: &str) -> Option<String> {
    let escapes = name.split('%').skip(1);
    let well_formed = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if !escapes.into_iter().all(well_formed) {
        return None;
    }
    percent_decode_str(name).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

async fn dispatch(context: &Context, endpoint: Endpoint, call: Call) -> Result<Reply, Problem> {
    admit(context, endpoint, call.origin())?;
    match endpoint {
        Endpoint::VerifyCode => operations::verify_code::run(context, call).await,
        Endpoint::OpenSession => operations::open_session::run(context, call).await,
        Endpoint::RefreshToken => operations::refresh_token::run(context, call).await,
        Endpoint::VerifyBackupCode => operations::verify_backup_code::run(context, call).await,
        Endpoint::SessionStatus => operations::session_status::run(context, call).await,
        Endpoint::Enroll => operations::enroll::run(context, call).await,
        Endpoint::StartSetup => operations::start_setup::run(context, call).await,
        Endpoint::ConfirmSetup => operations::confirm_setup::run(context, call).await,
        Endpoint::ListDevices => operations::list_devices::run(context, call).await,
        Endpoint::ChangeDevice => operations::change_device::run(context, call).await,
        Endpoint::RemoveDevice => operations::remove_device::run(context, call).await,
        Endpoint::Disable => operations::disable::run(context, call).await,
        Endpoint::BackupCodeStatus => operations::backup_code_status::run(context, call).await,
        Endpoint::RenewBackupCodes => operations::renew_backup_codes::run(context, call).await,
        Endpoint::RevokeToken => operations::revoke_token::run(context, call).await,
        Endpoint::IntrospectToken => operations::introspect_token::run(context, call).await,
        Endpoint::UserStatus => operations::user_status::run(context, call).await,
        Endpoint::UnlockUser => operations::unlock_user::run(context, call).await,
        Endpoint::EraseUser => operations::erase_user::run(context, call).await,
        Endpoint::Jwks => Ok(service::jwks(context)),
        Endpoint::OpenApi => Ok(service::openapi(context)),
        Endpoint::Health => Ok(service::health()),
        Endpoint::Ready => service::ready(context),
        Endpoint::Metrics => Ok(service::metrics(context)),
        Endpoint::Page(page) => pages::page(context, page),
        Endpoint::Asset => pages::asset(call.name.as_deref().unwrap_or_default()),
        Endpoint::DemoSignIn => demo::sign_in(context, call).await,
        Endpoint::ReadClock => Ok(demo::read_clock(context)),
        Endpoint::AdvanceClock => demo::advance_clock(context, call).await,
    }
}

/// warp's body as chunks of bytes; what went wrong is of no use to anybody.
fn whole_chunks<B: Buf>(
    body: impl futures_util::Stream<Item = Result<B, warp::Error>> + Send + 'static,
) -> impl futures_util::Stream<Item = Result<bytes::Bytes, ()>> + Send {
    body.map(|chunk| {
        chunk.map_err(drop).map(|mut chunk| {
            let length = chunk.remaining();
            chunk.copy_to_bytes(length)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_whole_segments() {
        assert_eq!(matches("/2fa/verify", "/2fa/verify"), Some(""));
        assert_eq!(matches("/2fa/devices/{}", "/2fa/devices/ab"), Some("ab"));
        assert_eq!(matches("/2fa/users/{}/unlock", "/2fa/users/4%2F2/unlock"), Some("4%2F2"));
        assert_eq!(matches("/2fa/devices/{}", "/2fa/devices/"), None);
        assert_eq!(matches("/2fa/devices/{}", "/2fa/devices/a/b"), None);
        assert_eq!(matches("/2fa/assets/**", "/2fa/assets/scripts/a.js"), Some("scripts/a.js"));
        assert_eq!(matches("/2fa/assets/**", "/2fa/assets/"), None);
    }

    #[test]
    fn nothing_has_two_spellings() {
        assert_eq!(decoded("a%2Fb%c3%bc").as_deref(), Some("a/bü"));
        for bad in ["%zz", "%", "%2", "a%4", "%ff", "%%41"] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }

    #[test]
    fn no_route_stands_twice() {
        for (index, (method, pattern, _)) in TABLE.iter().enumerate() {
            let twin = TABLE.iter().skip(index + 1).find(|(m, p, _)| m == method && p == pattern);
            assert!(twin.is_none(), "{method} {pattern}");
        }
    }
}
