//! `GET /2fa/trusted-browsers/`: the browsers that are spared codes.

use serde::Serialize;
use serde_json::json;
use sidekey_core::{account::Account, time::UnixTime, trusted_browser::TrustedBrowser};
use utoipa::ToSchema;

use crate::{
    caller::user,
    context::Context,
    http::{Call, Problem, Reply, rfc3339},
    openapi::{Operation, Tag},
};

/// The browsers that a user trusts.
#[derive(Serialize, ToSchema)]
struct TrustedBrowsers {
    #[schema(max_items = 20)]
    trusted_browsers: Vec<Shown>,
}

/// A browser that is spared codes.
#[derive(Serialize, ToSchema)]
#[schema(as = TrustedBrowser)]
struct Shown {
    /// When the trust ends. RFC 3339, UTC, whole seconds.
    #[schema(format = DateTime)]
    expires_at: String,
    #[schema(pattern = "^[0-9a-f]{32}$")]
    id: String,
    /// When it was last spared a code. RFC 3339, UTC, whole seconds.
    #[schema(format = DateTime, required)]
    last_used_at: Option<String>,
    /// When it became trusted. RFC 3339, UTC, whole seconds.
    #[schema(format = DateTime)]
    trusted_at: String,
    /// What it called itself when it became trusted.
    #[schema(required)]
    user_agent: Option<String>,
}

pub(crate) fn described() -> Operation {
    Operation::new("listTrustedBrowsers", Tag::Devices, "The browsers that are spared codes")
        .answers::<TrustedBrowsers>(
            "Those whose trust counts.",
            json!({
                "trusted_browsers": [{
                    "id": "5b7d3f0e9a1c4e2f8d6b0a9c3e1f7d52",
                    "user_agent": "Mozilla/5.0",
                    "trusted_at": "2026-11-22T18:59:30Z",
                    "last_used_at": null,
                    "expires_at": "2026-12-22T18:59:30Z",
                }],
            }),
        )
}

/// Lists the browsers that the user trusts.
///
/// # Errors
/// No valid access token, or one without a second factor where there is a device.
pub async fn run(context: &Context, call: Call) -> Result<Reply, Problem> {
    let user = user(context, &call).await?;
    let now = context.clock.now();
    let account = user.account(context, now).await?;
    let browsers = alive(context, &account, now).await?;
    let shown = |browser: TrustedBrowser| Shown {
        expires_at: rfc3339(browser.expires_at()),
        id: browser.id.to_string(),
        last_used_at: browser.last_used_at.map(rfc3339),
        trusted_at: rfc3339(browser.second_factor.at),
        user_agent: browser.user_agent,
    };
    Ok(Reply::ok(&TrustedBrowsers { trusted_browsers: browsers.into_iter().map(shown).collect() }))
}

/// The browsers that are spared codes of this account now.
///
/// # Errors
/// The store is not available.
pub async fn alive<S: Sync>(
    context: &Context,
    account: &Account<S>,
    now: UnixTime,
) -> Result<Vec<TrustedBrowser>, Problem> {
    let mut browsers = context.store.browsers(&account.id).await?;
    browsers.retain(|browser| browser.is_alive(account, now));
    Ok(browsers)
}
