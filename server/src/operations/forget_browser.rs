//! `DELETE /2fa/trusted-browsers/{id}/`: a browser is trusted no more.

use serde_json::json;
use sidekey_core::{event::Event, id::BrowserId};

use crate::{
    caller::{Acting, Demand, User, user},
    context::Context,
    http::{Call, Code, Problem, Reply},
    openapi::{Operation, Tag, schemas},
};

pub(crate) fn described() -> Operation {
    Operation::new("forgetBrowser", Tag::Devices, "Trust a browser no more")
        .telling("Its next login is challenged.")
        .of("id", "The browser.")
        .answers::<schemas::Message>("It is done.", json!({ "message": "The browser is trusted no more." }))
        .refuses(&[Code::NotFound])
}

/// Ends the trust in a browser of the user's. Its next login is challenged.
///
/// # Errors
/// No valid access token, a malformed body, or no such browser.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let user = user(context, &call).await?;
    call.optional_fields().await?;
    let id = call.name.as_deref().and_then(BrowserId::parse);
    forget(context, &user, id).await?;
    Ok(Reply::ok(&schemas::Message { message: "The browser is trusted no more." }))
}

/// The same for the account page.
///
/// # Errors
/// A second factor is missing, or there is no such browser.
pub async fn forget(context: &Context, user: &User, id: Option<BrowserId>) -> Result<(), Problem> {
    let now = context.clock.now();
    let subject = user.subject().with_browsers();
    user.transact(context, subject, Demand::SecondFactor, now, |acting| {
        let Acting { account, browsers, events, .. } = acting;
        let is_it = |browser: &sidekey_core::trusted_browser::TrustedBrowser| {
            Some(browser.id) == id && browser.is_alive(account, now)
        };
        let found = browsers.iter().find(|browser| is_it(browser)).map(|browser| browser.id);
        let browser = found.ok_or_else(|| Problem::new(Code::NotFound))?;
        browsers.retain(|other| other.id != browser);
        events.push(Event::BrowserForgotten { browser });
        Ok(())
    })
    .await
}
