//! The audit trail: what happened, to whom, by whom, from where. It holds nothing secret.
//!
//! Entries are JSON and append-only; they are part of the transaction that they tell of, and the store numbers them. Whoever
//! passes events on reads them from here, so that an event is there exactly when its change is.

use std::net::IpAddr;

use serde::Serialize;
use sidekey_core::{event::Event, id::AccountId, time::UnixTime};

/// Longest user agent that is kept, in bytes.
pub const USER_AGENT_MAX: usize = 256;

/// Where a request came from and who made it.
#[derive(Clone, Debug)]
pub struct Origin {
    /// When.
    pub at: UnixTime,
    /// The request, as its answer names it.
    pub request_id: String,
    /// Who.
    pub actor: Actor,
    /// The address, forwarded ones from configured proxies only.
    pub ip_address: Option<IpAddr>,
    /// The user agent, cut to [`USER_AGENT_MAX`].
    pub user_agent: Option<String>,
}

/// Who made a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// Nobody who proved who they are: a browser that answers a session, or a refresh.
    Anonymous,
    /// A host application.
    App,
    /// A user.
    User {
        /// The login of the access token.
        login: String,
    },
    /// A browser with an enrolment token.
    Enrollment,
}

/// One entry.
#[derive(Debug, Serialize)]
pub struct Entry<'a> {
    at: u64,
    app: &'a str,
    user: &'a str,
    actor: &'a Actor,
    ip_address: Option<IpAddr>,
    user_agent: Option<&'a str>,
    request_id: &'a str,
    event: &'a Event,
}

impl<'a> Entry<'a> {
    /// The entry of an event.
    pub fn new(account: &'a AccountId, origin: &'a Origin, event: &'a Event) -> Self {
        Self {
            at: origin.at.as_secs(),
            app: account.app.as_str(),
            user: account.user.as_str(),
            actor: &origin.actor,
            ip_address: origin.ip_address,
            user_agent: origin.user_agent.as_deref(),
            request_id: &origin.request_id,
            event,
        }
    }

    /// Its JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Plain fields and string keys: there is nothing in it that JSON cannot hold.
        serde_json::to_vec(self).unwrap_or_default()
    }
}
