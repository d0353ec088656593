//! What the account page tells of trusted browsers and of recent activity.

use sidekey_core::{account::Account, time::UnixTime};

use super::super::{
    locale::{self, Text},
    moment::Moment,
};
use crate::{
    audit,
    context::Context,
    http::{Problem, user_agent::in_words},
    keyring::Sealed,
    operations::{activity, list_trusted_browsers},
};

/// Entries of recent activity that are shown.
const SHOWN: usize = 10;

/// A browser that is trusted.
pub(super) struct BrowserRow {
    pub(super) id: String,
    /// What it is, as far as it said.
    pub(super) name: String,
    pub(super) added: Moment,
    pub(super) used: Option<Moment>,
}

/// Something that happened.
pub(super) struct ActivityRow {
    pub(super) at: Moment,
    pub(super) what: String,
    /// The address and the browser that it came from, as far as they are known.
    pub(super) origin: Vec<String>,
    /// Whether somebody may have tried what they should not.
    pub(super) is_refused: bool,
}

/// The browsers that the account trusts.
///
/// # Errors
/// The store is not available.
pub(super) async fn browsers(
    context: &Context,
    account: &Account<Sealed>,
    text: &Text,
    now: UnixTime,
) -> Result<Vec<BrowserRow>, Problem> {
    let alive = list_trusted_browsers::alive(context, account, now).await?;
    let rows = alive.into_iter().map(|browser| BrowserRow {
        id: browser.id.to_string(),
        name: browser.user_agent.as_deref().map_or_else(|| text.t("browsers.unknown"), in_words),
        added: Moment::of(browser.second_factor.at),
        used: browser.last_used_at.map(Moment::of),
    });
    Ok(rows.collect())
}

/// What has happened to the account lately, the newest first.
///
/// # Errors
/// The store is not available.
pub(super) async fn recent(
    context: &Context,
    account: &Account<Sealed>,
    text: &Text,
) -> Result<Vec<ActivityRow>, Problem> {
    let entries = activity::newest(context, account, SHOWN).await?;
    let rows = entries.into_iter().map(|entry| {
        let name = format!("activity.{}", entry.name());
        let address = entry.ip_address.map(|address| address.to_string());
        ActivityRow {
            at: Moment::of(entry.at),
            what: if locale::english().has(&name) { text.t(&name) } else { text.t("activity.other") },
            is_refused: entry.outcome() == audit::Outcome::Refused,
            origin: address.into_iter().chain(entry.user_agent.as_deref().map(in_words)).collect(),
        }
    });
    Ok(rows.collect())
}
