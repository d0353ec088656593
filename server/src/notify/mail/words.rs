//! What owners are told, in plain words: the sentences `mail.…` of `web/locales/`, each with its event.
//!
//! A mail about the security of an account is what everybody who wants to steal one imitates: so ours loads nothing from elsewhere, says
//! nothing that somebody else has typed, and its one link leads to a page that asks for no password and no code. Of the user agent only the
//! names of a browser and a system are told, and only of those that everybody knows.

use askama::Template;
use sidekey_core::event::Event;
use sidekey_core::login::Method;
use sidekey_core::time::UnixTime;

use super::super::owner::{DisputeLink, Owner};
use super::super::{Notice, one_line};
use crate::http::{rfc3339, user_agent};
use crate::pages::locale::{Locale, Text};
use crate::token::dispute;

/// With so many backup codes or fewer the owner is told to make new ones.
const FEW_CODES: usize = 3;

/// What happened to an account, as its owner reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Happened {
    /// In a few words.
    pub(crate) title: String,
    /// In a sentence.
    pub(crate) what: String,
    /// When.
    pub(crate) when: String,
    /// From which address and browser, where the event has one.
    pub(crate) origin: Option<String>,
    /// What follows from it.
    pub(crate) next: Option<String>,
}

/// A mail as its reader sees it.
pub(super) struct Words {
    /// The subject.
    pub(super) subject: String,
    locale: &'static Locale,
    happened: Happened,
    advice: String,
    /// It holds a token.
    link: Option<String>,
    why: String,
}

#[derive(Template)]
#[template(path = "owner.txt")]
struct Plain<'a> {
    happened: &'a Happened,
    advice: &'a str,
    link: Option<&'a str>,
    why: &'a str,
}

#[derive(Template)]
#[template(path = "owner.html")]
struct Html<'a> {
    language: &'a str,
    direction: &'a str,
    subject: &'a str,
    happened: &'a Happened,
    advice: &'a str,
    link: Option<&'a str>,
    why: &'a str,
}

impl Happened {
    /// What an event is to its owner; `None`: they are not told of such events.
    pub(crate) fn of(text: &Text, notice: &Notice, codes_left: Option<usize>) -> Option<Self> {
        let event = serde_json::from_value(notice.entry.get("event")?.clone()).ok()?;
        let (title, what, next) = told(text, &event, codes_left)?;
        let (when, origin) = (text.with("mail.when", "date", in_utc(notice.at)), origin(text, notice));
        Some(Self { title, what, when, origin, next })
    }
}

impl Words {
    /// What the owner is told of a notice; `None`: they are not told of such events.
    pub(super) fn of(notice: &Notice, owner: &Owner, locale: &'static Locale) -> Option<Self> {
        let text = Text { locale, issuer: one_line(&owner.issuer), app: one_line(&owner.app) };
        let happened = Happened::of(&text, notice, owner.backup_codes_left)?;
        // What an operator did is asked of operators: it was not done by a login, and ending those helps against nothing.
        // Nor does a mail that tells of the link's use carry the next one: it would never end.
        let ends_nothing = by_operator(notice) || notice.event == "owner_disputed";
        let link = owner.link.as_ref().filter(|_| !ends_nothing).map(DisputeLink::expose);
        let advice = match &link {
            _ if by_operator(notice) => text.t("mail.by-operator"),
            Some(_) => text.with("mail.advice", "date", in_utc(dispute::ends_at(notice))),
            None => text.t("mail.advice-without-link"),
        };
        let subject = format!("{}: {}", text.isolated(&text.app), happened.title);
        Some(Self { subject, locale, happened, advice, link, why: text.t("mail.why") })
    }

    /// It as plain text.
    pub(super) fn plain(&self) -> Option<String> {
        let Self { happened, advice, link, why, .. } = self;
        Plain { happened, advice, link: link.as_deref(), why }.render().ok()
    }

    /// It as a page.
    pub(super) fn html(&self) -> Option<String> {
        let Self { subject, locale, happened, advice, link, why } = self;
        let (language, direction, link) = (locale.tag.as_str(), locale.direction(), link.as_deref());
        Html { language, direction, subject, happened, advice, link, why }.render().ok()
    }
}

/// Title, sentence, and what follows.
fn told(text: &Text, event: &Event, codes_left: Option<usize>) -> Option<(String, String, Option<String>)> {
    let told = |title, what, next: Option<String>| Some((text.t(title), text.t(what), next));
    match event {
        Event::DeviceConfirmed { first: true, .. } => told("mail.on-title", "mail.on", None),
        Event::DeviceConfirmed { first: false, .. } => told("mail.added-title", "mail.added", None),
        Event::DeviceRemoved { .. } => told("mail.removed-title", "mail.removed", None),
        Event::DeviceDisabled { .. } => {
            told("mail.disabled-title", "mail.disabled", Some(text.t("mail.disabled-next")))
        }
        Event::DeviceEnabled { .. } => told("mail.enabled-title", "mail.enabled", None),
        Event::TwoFactorReset => told("mail.reset-title", "mail.reset", Some(text.t("mail.reset-next"))),
        Event::TwoFactorDisabled => told("mail.off-title", "mail.off", None),
        // The core says when: not at every failure.
        Event::AccountThrottled { notify: true, until, .. } => {
            let next = text.with("mail.throttled-next", "date", in_utc(*until));
            told("mail.throttled-title", "mail.throttled", Some(next))
        }
        Event::AccountLocked => told("mail.locked-title", "mail.locked", Some(text.t("mail.locked-next"))),
        Event::SecondFactorAccepted { method: Method::BackupCode, .. } => {
            let few = codes_left.filter(|left| *left <= FEW_CODES);
            let next = few.map(|left| text.with("mail.few-codes", "count", left));
            told("mail.backup-code-title", "mail.backup-code", next)
        }
        Event::BackupCodesRenewed => told("mail.renewed-title", "mail.renewed", None),
        Event::SignedOutEverywhere => told("mail.everywhere-title", "mail.everywhere", None),
        Event::OwnerDisputed => told("mail.disputed-title", "mail.disputed", None),
        Event::UserImported { devices, backup_codes } => {
            let (devices, codes) = (devices.to_string(), backup_codes.to_string());
            let values = [("count", devices.as_str()), ("total", codes.as_str())];
            Some((text.t("mail.imported-title"), text.fill("mail.imported", &values), None))
        }
        _ => None,
    }
}

fn by_operator(notice: &Notice) -> bool {
    let kind = notice.entry.get("actor").and_then(|actor| actor.get("kind"));
    kind.and_then(serde_json::Value::as_str) == Some("operator")
}

/// Where it came from. Where operators are is nothing that owners are told.
fn origin(text: &Text, notice: &Notice) -> Option<String> {
    let member = |name: &str| notice.entry.get(name).and_then(serde_json::Value::as_str);
    let address = member("ip_address").filter(|_| !by_operator(notice))?;
    let browser = member("user_agent").and_then(user_agent::usual);
    let browser = browser.unwrap_or_else(|| text.t("mail.unusual"));
    Some(text.fill("mail.from", &[("address", address), ("name", &browser)]))
}

/// A time as people read it everywhere: `2026-09-21 14:13:20 UTC`.
fn in_utc(time: UnixTime) -> String {
    rfc3339(time).replace('T', " ").replace('Z', " UTC")
}
