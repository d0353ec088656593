//! `GET /2fa/authz/` and `/2fa/authz/envoy/…`: whether a request that a proxy holds back may pass (forward-auth).
//!
//! Nothing is written: a request that passes leaves no audit entry, one that does not is counted. Every refusal is 401 or 403, because nginx
//! makes 500 of anything else; a browser may also be redirected.

use http::{HeaderMap, HeaderName, StatusCode, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;
use sidekey_core::{
    account::Account,
    login::{Method, SecondFactor},
    protect::{Demand, Login, Refusal, Rule},
    refresh::Family,
};
use utoipa::openapi::{
    HeaderBuilder, Object, ObjectBuilder, Required, ResponseBuilder, SchemaFormat, Type,
    path::{ParameterBuilder, ParameterIn},
};

use crate::{
    caller::read_claims,
    context::Context,
    forwarded::Held,
    http::{Call, Code, Problem, Reply, rfc3339},
    keyring::Sealed,
    metering,
    openapi::{Operation, Tag, parameter, text_header, uncached},
    pages::{self, PageLogin},
};

/// Where Envoy's requests begin; what follows is the target of the request that it holds back.
const ENVOY: &str = "/2fa/authz/envoy";
/// What a header cannot carry, or what would make two user ids look alike.
const NOT_IN_A_HEADER: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

pub(crate) fn described() -> Operation {
    let text = || Object::with_type(Type::String);
    let of_held = |name, description, example: &str| -> ParameterBuilder {
        parameter(ParameterIn::Header, name, description, text())
            .required(Required::True)
            .example(Some(example.into()))
    };
    let only_header = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["header"])).build();
    Operation::new("authorize", Tag::ForwardAuth, "Say whether a request that a proxy holds back may pass")
        .telling(
            "For `auth_request` of nginx, `forwardAuth` of Traefik, `forward_auth` of Caddy, and HAProxy; below \
             `/2fa/authz/envoy/` the same for Envoy, which sends the request itself. Only a configured proxy may ask. The rules \
             `[[protect]]` of the settings decide; what no rule speaks of does not pass.",
        )
        .parameter(of_held(
            "X-Forwarded-Method",
            "Method of the request that is held back, in capital letters.",
            "GET",
        ))
        .parameter(of_held("X-Forwarded-Host", "Its host; a port does not count.", "app.example.com"))
        .parameter(of_held(
            "X-Forwarded-Uri",
            "Its path and query, as the client sent them. The path must be canonical.",
            "/api/terminal/7",
        ))
        .parameter(parameter(
            ParameterIn::Query,
            "redirect",
            "`header`: where a redirect would lead stands in the `Location` of a 401, because nginx passes no redirect on.",
            only_header,
        ))
        .answers_as(StatusCode::OK, may_pass())
        .answers_as(StatusCode::FOUND, led_on())
}

fn may_pass() -> ResponseBuilder {
    let told = |description, example: &str| text_header(description).example(Some(example.into()));
    let methods = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(["otp", "backup_code", ""].map(Value::from)))
        .build();
    let method: HeaderBuilder = told("How the second factor was given.", "otp").schema(Some(methods));
    let user = told("The user id, percent-encoded but for printable ASCII without blanks and `%`.", "42");
    let response = ResponseBuilder::new()
        .description("It may pass. All four `Remote-*` are there; on a public path they are empty.")
        .header("Remote-User", user.build())
        .header("Remote-App", told("The application's id.", "shop").build())
        .header("Remote-2FA-Method", method.build())
        .header("Remote-2FA-At", told("When it was given, RFC 3339 in UTC.", "2026-11-22T18:59:00Z").build());
    uncached(response)
}

fn led_on() -> ResponseBuilder {
    let uri = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::Custom("uri".to_owned())))
        .build();
    let location = text_header("`/2fa/step-up/?to=…` under the public URL.").schema(Some(uri));
    let response = ResponseBuilder::new()
        .description("A browser that follows a link goes to the page that asks for a code.")
        .header("Location", location.build());
    uncached(response)
}

/// A login that came along with a request.
pub struct Presented {
    /// Whose it is.
    pub account: Account<Sealed>,
    /// The login.
    pub family: Family,
    /// The second factor that it tells of.
    pub second_factor: Option<SecondFactor>,
}

/// Says whether the request that the headers describe may pass.
///
/// # Errors
/// It may not, the caller is no configured proxy, or the store is not available.
pub async fn run(context: &Context, call: &Call) -> Result<Reply, Problem> {
    require_proxy(call)?;
    let held = Held::of_headers(&call.headers).map_err(|why| unreadable(&why))?;
    decide(context, call, &held).await
}

/// Says whether the request may pass whose method, host and target this one has.
///
/// # Errors
/// As [`run`].
pub async fn for_envoy(context: &Context, call: &Call) -> Result<Reply, Problem> {
    require_proxy(call)?;
    let prefix = format!("{}{ENVOY}", context.settings.base_path);
    let target = call.target();
    let target = target.strip_prefix(&prefix).unwrap_or_default();
    let held =
        Held::of_request(call.method.as_str(), &call.headers, target).map_err(|why| unreadable(&why))?;
    decide(context, call, &held).await
}

/// Anybody may claim to be a proxy; only those that were configured are believed.
fn require_proxy(call: &Call) -> Result<(), Problem> {
    if call.is_via_proxy() {
        return Ok(());
    }
    tracing::warn!("a request for a forward-auth decision came from an address that is no `--trusted-proxy`");
    Err(refused(
        "untrusted_proxy",
        "Only a configured proxy may ask. If this is one, name its address with `--trusted-proxy`.",
    ))
}

fn unreadable(why: &str) -> Problem {
    tracing::info!(why, "a request held back by a proxy could not be read");
    refused("unreadable", &format!("The request that is held back cannot be judged: {why}."))
}

fn refused(reason: &'static str, detail: &str) -> Problem {
    metering::forward_auth_refused(reason);
    Problem::new(Code::Forbidden).saying(detail)
}

async fn decide(context: &Context, call: &Call, held: &Held) -> Result<Reply, Problem> {
    let live = context.live.get();
    let Some(rule) = live.protection.rules.find(held.as_request()) else {
        return Err(refused(
            "no_rule",
            "No rule `[[protect]]` speaks of this host, path and method, so nobody passes.",
        ));
    };
    if rule.demand == Demand::Nothing {
        return Ok(passed(None));
    }
    let login = presented(context, call, rule).await?;
    match admit(context, rule, login.as_ref()) {
        Ok(()) => Ok(passed(login.as_ref())),
        Err(refusal) => turned_away(context, call, held, refusal),
    }
}

/// Whether the rule lets this login pass now.
///
/// # Errors
/// It does not.
pub fn admit(context: &Context, rule: &Rule, login: Option<&Presented>) -> Result<(), Refusal> {
    let login = login.map(|Presented { account, family, second_factor }| Login {
        account,
        family,
        second_factor: *second_factor,
    });
    rule.admit(login, context.clock.now())
}

/// The login that came along: by an access token of the rule's application, else by the cookie of the pages. An application may have tokens
/// of its own in the same header, which are none of our business.
///
/// # Errors
/// The store is not available.
async fn presented(context: &Context, call: &Call, rule: &Rule) -> Result<Option<Presented>, Problem> {
    let token = bearer(call).and_then(|token| context.verify_access_token(token).ok());
    if let Some((id, login, second_factor)) =
        token.as_ref().and_then(read_claims).filter(|(id, ..)| id.app == rule.app)
    {
        let known = context.store.login(&id, login).await?;
        return Ok(known.map(|(family, account)| Presented { account, family, second_factor }));
    }
    by_cookie(context, &call.headers).await
}

/// The login of the pages in this browser, with the second factor that they were given last.
///
/// # Errors
/// The store is not available.
pub async fn by_cookie(context: &Context, headers: &HeaderMap) -> Result<Option<Presented>, Problem> {
    let login = pages::page_login(context, headers).await?;
    Ok(login.map(|PageLogin { family, account, number }| {
        let second_factor = family.factor_on_pages(number);
        Presented { account, family, second_factor }
    }))
}

/// The token of a header that stands once: of two, we may read one and the application the other.
fn bearer(call: &Call) -> Option<&str> {
    call.bearer().filter(|_| call.headers.get_all(header::AUTHORIZATION).iter().count() == 1)
}

/// 200 with what the application may rely on. Every header is there, an empty one if need be: a proxy that copies only what it finds would
/// pass on what a client has written there.
fn passed(login: Option<&Presented>) -> Reply {
    let factor = login.and_then(|login| login.second_factor);
    let id = login.map(|login| &login.account.id);
    let user = id.map(|id| utf8_percent_encode(id.user.as_str(), NOT_IN_A_HEADER).to_string());
    let method = match factor.map(|factor| factor.method) {
        Some(Method::Otp) => "otp",
        Some(Method::BackupCode) => "backup_code",
        None => "",
    };
    let at = factor.map(|factor| rfc3339(factor.at)).unwrap_or_default();
    let app = id.map(|id| id.app.to_string()).unwrap_or_default();
    Reply::of(StatusCode::OK, "text/plain; charset=utf-8", "")
        .with_header(HeaderName::from_static("remote-user"), &user.unwrap_or_default())
        .with_header(HeaderName::from_static("remote-app"), &app)
        .with_header(HeaderName::from_static("remote-2fa-method"), method)
        .with_header(HeaderName::from_static("remote-2fa-at"), &at)
}

/// 401 for programs (RFC 6750 §3, RFC 9470 §3); for a browser that goes somewhere, the way to where it can meet the demand.
fn turned_away(context: &Context, call: &Call, held: &Held, refusal: Refusal) -> Result<Reply, Problem> {
    let problem = match refusal {
        Refusal::NotSignedIn => {
            metering::forward_auth_refused("signed_out");
            match call.bearer() {
                Some(_) => Problem::credentials_invalid(),
                None => Problem::credentials_missing(),
            }
        }
        Refusal::SecondFactorRequired { max_age } => {
            metering::forward_auth_refused("second_factor");
            Problem::second_factor_required(max_age)
        }
    };
    if !is_followed_by_a_person(&call.headers, held.as_request().method) {
        return Err(problem);
    }
    let Some(url) = pages::step_up_url(context, held) else { return Err(problem) };
    // nginx passes no redirect of ours on; it can read where one would have led.
    if call.parameter("redirect").as_deref() == Some("header") {
        return Err(problem.with_header(header::LOCATION, url));
    }
    Ok(Reply::of(StatusCode::FOUND, "text/html; charset=utf-8", "").with_header(header::LOCATION, &url))
}

/// Whether somebody follows a link in a browser. A script that gets a redirect in place of data would only be confused by it.
fn is_followed_by_a_person(headers: &HeaderMap, method: &str) -> bool {
    let value = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    matches!(method, "GET" | "HEAD")
        && value("accept").is_some_and(|accept| accept.contains("text/html"))
        && value("sec-fetch-mode").is_none_or(|mode| mode == "navigate")
        && value("x-requested-with").is_none()
}
