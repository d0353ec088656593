//! Development mode only: the demo application, which plays a host, and the clock that tests move.

use serde_json::json;
use sidekey_core::id::{AccountName, AppId, UserId};

use crate::{
    audit::Actor,
    context::Context,
    development::DEMO_APP,
    http::{Call, Code, Problem, Reply, rfc3339},
    operations::open_session::{self, Login},
};

/// `POST /demo/sign-in/`: the demo application's own login, which lets everybody in, and then the session that it opens.
///
/// # Errors
/// A malformed body, or the store is not available.
pub async fn sign_in(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let fields = call.fields().await?;
    let user = fields.required("user_id", UserId::parse)?;
    let account_name = fields.optional("account_name", AccountName::parse)?;
    let id = AppId::parse(DEMO_APP).map_err(|_| Problem::new(Code::Internal))?;
    let app = context.apps.find(&id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    let login = Login {
        account_name: account_name.or_else(|| AccountName::parse(user.as_str()).ok()),
        user,
        ip_address: call.origin().ip_address,
        user_agent: call.origin().user_agent.clone(),
        remember_me: fields.optional_flag("remember_me")?.unwrap_or(false),
        is_admin: false,
        return_url: Some(context.url("/demo/")),
    };
    let answer = open_session::for_host(context, &app, login, &call.origin_as(Actor::App)).await?;
    Ok(Reply::ok(&answer))
}

/// `GET /development/clock/`: the server's time.
pub fn read_clock(context: &Context) -> Reply {
    Reply::ok(&json!({ "now": rfc3339(context.clock.now()) }))
}

/// `POST /development/clock/`: moves the server's clock forward by `advance_seconds`, at most ten years at once.
///
/// # Errors
/// A malformed body.
pub async fn advance_clock(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    const TEN_YEARS: u64 = 10 * 366 * 86_400;
    let seconds = call.fields().await?.number("advance_seconds")?;
    if seconds > TEN_YEARS {
        return Err(Problem::field("advance_seconds", "must be at most ten years"));
    }
    context.clock.advance(seconds);
    Ok(read_clock(context))
}
