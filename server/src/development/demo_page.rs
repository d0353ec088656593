//! `/demo/`: a page that plays a host application. It lets everybody in, hands over to the second factor, gets the browser back with a
//! one-time code, exchanges that as any application does, and shows what the access token says.

use askama::Template;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use sidekey_core::id::{AccountId, AccountName, AppId, LoginId, UserId};

use super::{
    demo::{self, DEMO_APP},
    seed,
};
use crate::{
    audit::Actor,
    caller::{Host, read_claims},
    context::Context,
    http::{Call, Code, Problem, Reply},
    operations::{
        exchange_code, link_account,
        opened::{Challenge, EnrollmentDemanded, LetIn, Opened},
        revoke_token,
    },
    pages::{self, Cookie, Form, Frame, Shown, Visit, page, redirect, require_own_origin},
    store::Subject,
    token::pair::issue,
};

const PATH: &str = "/demo/";

#[derive(Template)]
#[template(path = "demo.html")]
struct SignIn {
    frame: Frame,
    failure: Option<String>,
    /// The personas that are there.
    seeded: Vec<UserId>,
}

#[derive(Template)]
#[template(path = "demo_signed_in.html")]
struct SignedIn {
    frame: Frame,
    account: String,
    claims: Vec<(String, String)>,
    token: String,
}

/// The page, or what its forms ask for.
pub async fn answer(context: &Context, call: Call) -> Reply {
    let visit = Visit::of(context, &call);
    let headers = call.headers.clone();
    let outcome = match call.method {
        Method::POST => post(context, &visit, call).await,
        _ => show(context, &visit, &call).await,
    };
    match outcome {
        Ok(shown) => shown.into_reply(context, &visit),
        Err(problem) => pages::refused(context, &headers, &problem),
    }
}

async fn show(context: &Context, visit: &Visit, call: &Call) -> Result<Shown, Problem> {
    if let Some(code) = call.parameter("code").filter(|_| call.method == Method::GET) {
        let host = host(context, call).await?;
        return match exchange_code::exchange(context, &host, &code, None).await {
            Ok((family, _)) => {
                let tokens = issue(context, &family, context.clock.now())?;
                // The address is left behind at once: a reload must not use the code again.
                let cookie = Cookie::Demo.set(context, tokens.access_token());
                Ok(redirect(&context.url(PATH)).with_cookie(&cookie))
            }
            Err(problem) if problem.code() == Code::InvalidCode => {
                let frame = frame(context, visit);
                let failure = Some(frame.t("demo.code-refused"));
                let seeded = seed::present(context).await?;
                Ok(page(StatusCode::BAD_REQUEST, &SignIn { frame, failure, seeded }))
            }
            Err(problem) => Err(problem),
        };
    }
    let frame = frame(context, visit);
    let Some((token, account, _)) = signed_in(context, &call.headers).await? else {
        let seeded = seed::present(context).await?;
        return Ok(page(StatusCode::OK, &SignIn { frame, failure: None, seeded }));
    };
    let name = context.store.account(&account).await?.and_then(|account| account.name);
    let account = name.map_or_else(|| account.user.to_string(), |name| name.to_string());
    Ok(page(StatusCode::OK, &SignedIn { frame, account, claims: claims(context, &token)?, token }))
}

async fn post(context: &Context, visit: &Visit, mut call: Call) -> Result<Shown, Problem> {
    require_own_origin(context, &call.headers)?;
    let form = Form::read(&mut call).await?;
    let known = signed_in(context, &call.headers).await?;
    let here = redirect(&context.url(PATH));
    match (form.text("action"), known) {
        ("sign-out", Some((_, account, login))) => {
            let subject = Subject::account(account).with_login(login);
            revoke_token::end_login(context, subject, call.origin()).await?;
            Ok(here.with_cookie(&Cookie::Demo.clear(context)))
        }
        ("account", Some((_, account, login))) => {
            let subject = Subject::account(account).with_login(login);
            let url =
                link_account::link(context, subject, call.origin(), Problem::credentials_invalid).await?;
            Ok(redirect(&url))
        }
        ("sign-in", _) => sign_in(context, visit, &call, &form).await,
        _ => Ok(here.with_cookie(&Cookie::Demo.clear(context))),
    }
}

/// The demo application's own login, which lets everybody in.
async fn sign_in(context: &Context, visit: &Visit, call: &Call, form: &Form) -> Result<Shown, Problem> {
    let text = form.text("user_id");
    let Ok(user) = UserId::parse(text) else {
        let frame = frame(context, visit);
        let failure = Some(frame.t("demo.user-empty"));
        let seeded = seed::present(context).await?;
        return Ok(page(StatusCode::BAD_REQUEST, &SignIn { frame, failure, seeded }));
    };
    let opened = demo::open(context, call, user, AccountName::parse(text).ok(), false).await?;
    Ok(match opened {
        Opened::Challenge(Challenge { verify_url, .. }) => redirect(&verify_url),
        Opened::Enrollment(EnrollmentDemanded { enroll_url, .. }) => redirect(&enroll_url),
        Opened::LetIn(LetIn { tokens, .. }) => {
            let cookie = Cookie::Demo.set(context, tokens.access_token());
            redirect(&context.url(PATH)).with_cookie(&cookie)
        }
    })
}

fn frame(context: &Context, visit: &Visit) -> Frame {
    Frame { is_demo: true, ..Frame::plain(context, visit) }
}

async fn host(context: &Context, call: &Call) -> Result<Host, Problem> {
    let id = AppId::parse(DEMO_APP).map_err(|_| Problem::new(Code::Internal))?;
    let app = context.apps.find(&id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(Host { app, origin: call.origin_as(Actor::App) })
}

/// The access token that the demo application keeps in its cookie, and whose login it is of, while that has not ended.
async fn signed_in(
    context: &Context,
    headers: &HeaderMap,
) -> Result<Option<(String, AccountId, LoginId)>, Problem> {
    let Some(token) = Cookie::Demo.read(context, headers) else { return Ok(None) };
    let Ok(verified) = context.verify_access_token(&token) else { return Ok(None) };
    let Some((account, login, _)) = read_claims(&verified) else { return Ok(None) };
    let family = context.store.family(&account.app, login).await?;
    let is_alive = family.is_some_and(|family| !family.is_revoked());
    Ok(is_alive.then_some((token, account, login)))
}

/// The claims of a token by their names.
fn claims(context: &Context, token: &str) -> Result<Vec<(String, String)>, Problem> {
    let verified = context.verify_access_token(token).map_err(|_| Problem::credentials_invalid())?;
    let Ok(Value::Object(members)) = serde_json::to_value(&verified) else {
        return Err(Problem::new(Code::Internal));
    };
    let shown = members.into_iter().map(|(name, value)| match value {
        Value::String(text) => (name, text),
        other => (name, other.to_string()),
    });
    Ok(shown.collect())
}
