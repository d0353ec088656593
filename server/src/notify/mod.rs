//! Who is told of what happens, and how.
//!
//! - this file: [`Notice`], an event as others are told of it, and [`Deliver`], one way to tell;
//! - [`rule`]: which events go to a destination;
//! - [`webhook`], [`telegram`], [`mail`], [`syslog`]: the ways;
//! - [`owner`]: who the owner of an account is, for the ways that tell them;
//! - [`reach`]: which addresses a webhook may reach.
//!
//! When an event is told, how often it is tried and in which order is the business of the [`outbox`](crate::outbox).

pub mod mail;
pub mod owner;
pub mod reach;
pub mod rule;
pub mod syslog;
pub mod telegram;
pub mod webhook;

use std::fmt;
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use sidekey_core::time::UnixTime;

use self::owner::Owners;
use crate::audit::Outline;
use crate::http::rfc3339;
use crate::store::StoreId;
use crate::store::engine::Pending;

/// For one attempt, from the name's lookup to the last byte of the answer's head.
const TIME_LIMIT: Duration = Duration::from_secs(15);

/// Who and what an entry of the audit trail is about.
pub type Subject = [u8; 16];

/// An event as others are told of it: an entry of the audit trail, which holds nothing secret.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Its number in the trail.
    pub sequence: u64,
    /// Its name for receivers, the same at each attempt, so that they know one that comes again.
    pub id: String,
    /// When it happened.
    pub at: UnixTime,
    /// The event's name.
    pub event: String,
    /// The app that it is about.
    pub app: Option<String>,
    /// The user that it is about.
    pub user: Option<String>,
    /// The whole entry, as it is stored.
    pub entry: Map<String, Value>,
}

impl Notice {
    /// Reads an entry of the audit trail; `None` if it is none.
    pub fn read(store: &StoreId, sequence: u64, bytes: &[u8]) -> Option<Self> {
        let Outline { at, app, user, event } = Outline::read(bytes)?;
        let entry = serde_json::from_slice(bytes).ok()?;
        let id = format!("msg_{}_{sequence}", HEXLOWER.encode(&store[..8]));
        Some(Self { sequence, id, at, event: event.name, app, user, entry })
    }

    /// Whom it is about: events with the same subject are told in their order.
    pub fn subject(&self) -> Subject {
        let mut hash = Sha256::new();
        for part in [&self.app, &self.user] {
            let part = part.as_deref().unwrap_or_default();
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let [subject @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
            <[u8; 32]>::from(hash.finalize());
        subject
    }

    /// It in lines for operators: what happened, to whom, when, from where, and by which of them and why.
    pub fn text(&self) -> String {
        let whom = match (&self.app, &self.user) {
            (Some(app), Some(user)) => format!("{user} of {app}"),
            (Some(app), None) => app.clone(),
            _ => "the server".to_owned(),
        };
        let member = |name: &str| self.entry.get(name).and_then(Value::as_str).map(str::to_owned);
        let event = self.event.replace('_', " ");
        let mut lines = vec![format!("{event}: {whom}"), rfc3339(self.at)];
        lines.extend(member("ip_address").map(|address| format!("from {address}")));
        lines.extend(member("user_agent"));
        let operator = self.entry.get("actor").and_then(|actor| actor.get("name")).and_then(Value::as_str);
        lines.extend(operator.map(|name| format!("by {name}")));
        lines.extend(member("reason").map(|reason| format!("because: {reason}")));
        lines.iter().map(|line| one_line(line)).collect::<Vec<_>>().join("\n")
    }
}

/// A text without line breaks and other control characters.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Why a notice was not delivered. The texts hold no URL and no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// The destination takes nothing at the moment, whatever it is.
    Unreachable {
        /// What went wrong.
        reason: String,
        /// How long it asks to wait.
        wait: Option<Duration>,
    },
    /// It does not take this one.
    Refused {
        /// What it says.
        reason: String,
    },
}

impl Undelivered {
    /// What went wrong.
    pub fn reason(&self) -> &str {
        let (Self::Unreachable { reason, .. } | Self::Refused { reason }) = self;
        reason
    }

    /// What the HTTP client says, without the URL, in which a token may stand.
    fn by_client(error: reqwest::Error) -> Self {
        use std::error::Error as _;
        let error = error.without_url();
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(deeper) = cause {
            reason = format!("{reason}: {deeper}");
            cause = deeper.source();
        }
        Self::Unreachable { reason, wait: None }
    }
}

/// One way to tell.
pub trait Deliver: Send + Sync + fmt::Debug {
    /// Tells of a notice once.
    fn deliver<'a>(
        &'a self,
        notice: &'a Notice,
        with: &'a Surroundings<'a>,
    ) -> Pending<'a, Result<(), Undelivered>>;

    /// Who would be asked whether the destination takes something, without telling it anything; `None`: it cannot be asked.
    fn probe(&self) -> Option<Probe<'_>> {
        None
    }
}

/// A question to a destination that tells it nothing.
pub struct Probe<'a> {
    /// Who is asked, such as `mail server`.
    pub of: &'static str,
    /// What in the settings is to be looked at where it fails.
    pub settings: &'static str,
    /// The answer.
    pub answer: Pending<'a, Result<(), Undelivered>>,
}

/// What a way may use besides the notice.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The time of the attempt.
    pub now: UnixTime,
    /// Who owns an account.
    pub owners: &'a dyn Owners,
}

/// The client of all ways by HTTP: no redirects, no cookies, no proxies of the environment, a limit on time.
fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIME_LIMIT)
        .user_agent(concat!("sidekey/", env!("CARGO_PKG_VERSION")))
}

/// How long an answer asks to wait, in seconds (RFC 9110 §10.2.3); a date is not looked at.
fn retry_after(answer: &reqwest::Response) -> Option<Duration> {
    let text = answer.headers().get(http::header::RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::audit::{Actor, Entry, Origin};
    use crate::notify::owner::Owner;
    use crate::store::StoreError;
    use sidekey_core::event::Event;
    use sidekey_core::id::{AccountId, AppId, UserId};

    /// An entry about a user.
    pub(crate) fn entry(user: &str, at: u64, event: &Event) -> Vec<u8> {
        let origin = Origin {
            ip_address: Some([203, 0, 113, 7].into()),
            user_agent: Some("Firefox".to_owned()),
            ..Origin::local(Actor::Anonymous, UnixTime::from_secs(at))
        };
        let account = AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse(user).unwrap() };
        Entry::new(&account, &origin, event).to_bytes()
    }

    /// A store without accounts.
    #[derive(Debug)]
    pub(crate) struct Nobody;

    impl Owners for Nobody {
        fn find<'a>(&'a self, _: &'a Notice) -> Pending<'a, Result<Option<Owner>, StoreError>> {
            Box::pin(std::future::ready(Ok(None)))
        }
    }

    /// A notice about a user.
    pub(crate) fn notice(user: &str) -> Notice {
        Notice::read(&[7; 16], 41, &entry(user, 1_790_000_000, &Event::AccountLocked)).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::testing::notice;

    #[test]
    fn a_notice_says_what_happened_to_whom() {
        let notice = notice("4\u{202e}2");
        assert_eq!(
            (notice.event.as_str(), notice.id.as_str()),
            ("account_locked", "msg_0707070707070707_41")
        );
        let text = notice.text();
        assert!(text.starts_with("account locked: 4"), "{text}");
        assert!(text.ends_with("2026-09-21T14:13:20Z\nfrom 203.0.113.7\nFirefox"), "{text}");
    }

    #[test]
    fn two_users_are_two_subjects() {
        assert_eq!(notice("ann").subject(), notice("ann").subject());
        assert_ne!(notice("ann").subject(), notice("bob").subject());
    }
}
