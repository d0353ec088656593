//! `GET /2fa/trusted-browsers/`: the browsers that are spared codes.

use serde_json::json;
use sidekey_core::{account::Account, time::UnixTime, trusted_browser::TrustedBrowser};

use crate::{
    caller::user,
    context::Context,
    http::{Call, Problem, Reply, rfc3339},
};

/// Lists the browsers that the user trusts.
///
/// # Errors
/// No valid access token, or one without a second factor where there is a device.
pub async fn run(context: &Context, call: Call) -> Result<Reply, Problem> {
    let user = user(context, &call).await?;
    let now = context.clock.now();
    let account = user.account(context, now).await?;
    let browsers = alive(context, &account, now).await?;
    let shown = |browser: &TrustedBrowser| {
        json!({
            "id": browser.id.to_string(),
            "user_agent": browser.user_agent,
            "trusted_at": rfc3339(browser.second_factor.at),
            "last_used_at": browser.last_used_at.map(rfc3339),
            "expires_at": rfc3339(browser.expires_at()),
        })
    };
    let shown: Vec<_> = browsers.iter().map(shown).collect();
    Ok(Reply::ok(&json!({ "trusted_browsers": shown })))
}

/// The browsers that are spared codes of this account now.
///
/// # Errors
/// The store is not available.
pub async fn alive(
    context: &Context,
    account: &Account,
    now: UnixTime,
) -> Result<Vec<TrustedBrowser>, Problem> {
    let mut browsers = context.store.browsers(&account.id).await?;
    browsers.retain(|browser| browser.is_alive(account, now));
    Ok(browsers)
}
