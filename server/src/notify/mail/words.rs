//! What owners are told, in plain words. All sentences stand here, each with its event, so that another language is another file.
//!
//! A mail about the security of an account is what everybody who wants to steal one imitates: so ours has no link, nothing that is
//! loaded from elsewhere, and nothing that somebody else has typed. Of the user agent only the names of a browser and a system are
//! told, and only of those that everybody knows.

use askama::Template;
use sidekey_core::event::Event;
use sidekey_core::login::Method;
use sidekey_core::time::UnixTime;

use super::super::owner::Owner;
use super::super::{Notice, one_line};
use crate::http::{rfc3339, user_agent};

/// With so many backup codes or fewer the owner is told to make new ones.
const FEW_CODES: usize = 3;

/// A mail as its reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Words {
    /// The subject.
    pub(super) subject: String,
    happened: String,
    when: String,
    origin: Option<String>,
    next: Option<String>,
    advice: String,
    why: String,
}

#[derive(Template)]
#[template(path = "owner.txt")]
struct Plain<'a> {
    happened: &'a str,
    when: &'a str,
    origin: Option<&'a str>,
    next: Option<&'a str>,
    advice: &'a str,
    why: &'a str,
}

#[derive(Template)]
#[template(path = "owner.html")]
struct Html<'a> {
    subject: &'a str,
    happened: &'a str,
    when: &'a str,
    origin: Option<&'a str>,
    next: Option<&'a str>,
    advice: &'a str,
    why: &'a str,
}

/// What happened, and what comes next.
struct Told {
    title: &'static str,
    happened: String,
    next: Option<String>,
}

impl Words {
    /// What the owner is told of a notice; `None`: they are not told of such events.
    pub(super) fn of(notice: &Notice, owner: &Owner) -> Option<Self> {
        let event = serde_json::from_value(notice.entry.get("event")?.clone()).ok()?;
        let (app, issuer) = (one_line(&owner.app), one_line(&owner.issuer));
        let Told { title, happened, next } = told(&event, &app, owner.backup_codes_left)?;
        let by_operator = actor(notice) == Some("operator");
        let advice = if by_operator {
            format!(
                "The people who run {app} did this. If you do not know why, ask them, by a way that you know and not by an answer to \
                 this message."
            )
        } else {
            format!(
                "If this was you, there is nothing to do. If it was not, change your password at {app} now, sign out everywhere on \
             your account page, and tell the people who run {app}."
            )
        };
        Some(Self {
            subject: format!("{app}: {title}"),
            happened,
            when: format!("When: {}", in_utc(notice.at)),
            origin: origin(notice).filter(|_| !by_operator),
            next,
            advice,
            why: format!(
                "{issuer} keeps the second factor of your account at {app} and tells you when it changes. This message asks for \
                 nothing and has no link: nobody from {app} will ask you for a code."
            ),
        })
    }

    /// It as plain text.
    pub(super) fn plain(&self) -> Option<String> {
        let Self { happened, when, origin, next, advice, why, .. } = self;
        Plain { happened, when, origin: origin.as_deref(), next: next.as_deref(), advice, why }.render().ok()
    }

    /// It as a page.
    pub(super) fn html(&self) -> Option<String> {
        let Self { subject, happened, when, origin, next, advice, why } = self;
        let (origin, next) = (origin.as_deref(), next.as_deref());
        Html { subject, happened, when, origin, next, advice, why }.render().ok()
    }
}

fn told(event: &Event, app: &str, codes_left: Option<usize>) -> Option<Told> {
    let told = |title, happened: String, next: Option<String>| Some(Told { title, happened, next });
    match event {
        Event::DeviceConfirmed { first: true, .. } => told(
            "Two-factor authentication is on",
            format!(
                "An authenticator was connected to your account at {app}, and two-factor authentication is on."
            ),
            None,
        ),
        Event::DeviceConfirmed { first: false, .. } => told(
            "An authenticator was added",
            format!("Another authenticator was connected to your account at {app}."),
            None,
        ),
        Event::DeviceRemoved { .. } => told(
            "An authenticator was removed",
            format!("An authenticator was removed from your account at {app}. Its codes are worthless now."),
            None,
        ),
        Event::DeviceDisabled { .. } => told(
            "An authenticator was disabled",
            format!(
                "An authenticator of your account at {app} was disabled. Its codes do not count any more."
            ),
            Some("Your other authenticators and your backup codes work as before.".to_owned()),
        ),
        Event::DeviceEnabled { .. } => told(
            "An authenticator was enabled again",
            format!(
                "A disabled authenticator of your account at {app} was enabled again. Its codes count from now on."
            ),
            None,
        ),
        Event::TwoFactorReset => told(
            "Two-factor authentication was reset",
            format!(
                "Two-factor authentication was reset for your account at {app}: authenticators and backup codes are worthless \
                 now, every login was ended, and no browser is trusted any more."
            ),
            Some("Set it up anew at your next login.".to_owned()),
        ),
        Event::TwoFactorDisabled => told(
            "Two-factor authentication is off",
            format!("Two-factor authentication was turned off for your account at {app}."),
            None,
        ),
        // The core says when: not at every failure.
        Event::AccountThrottled { notify: true, until, .. } => told(
            "Several wrong codes were entered",
            format!("Several wrong codes in a row were entered for your account at {app}."),
            Some(format!(
                "Whoever did that may know your password. No answer is looked at before {}.",
                in_utc(*until)
            )),
        ),
        Event::AccountLocked => told(
            "Codes are locked",
            format!(
                "After very many wrong ones, codes of your authenticators are not accepted at {app} any more."
            ),
            Some(format!("A backup code unlocks them, and so can the people who run {app}.")),
        ),
        Event::SecondFactorAccepted { method: Method::BackupCode, .. } => told(
            "A backup code was used",
            format!("A backup code of your account at {app} was used. It is worthless now."),
            codes_left.filter(|left| *left <= FEW_CODES).map(few),
        ),
        Event::BackupCodesRenewed => told(
            "There are new backup codes",
            format!("New backup codes were made for your account at {app}. The old ones are worthless now."),
            None,
        ),
        Event::SignedOutEverywhere => told(
            "Signed out everywhere",
            format!("Every login of your account at {app} was ended, and no browser is trusted any more."),
            None,
        ),
        Event::UserImported { devices, backup_codes } => told(
            "Your second factor has moved",
            format!(
                "The second factor of your account at {app} came here from another system: authenticators {devices}, backup \
                 codes {backup_codes}."
            ),
            None,
        ),
        _ => None,
    }
}

fn few(left: usize) -> String {
    let left = match left {
        0 => "You have no backup code left.".to_owned(),
        1 => "You have one backup code left.".to_owned(),
        several => format!("You have {several} backup codes left."),
    };
    format!("{left} Make new ones on your account page.")
}

/// What kind of actor it was.
fn actor(notice: &Notice) -> Option<&str> {
    notice.entry.get("actor")?.get("kind")?.as_str()
}

/// Where it came from. Where operators are is nothing that owners are told.
fn origin(notice: &Notice) -> Option<String> {
    let member = |name: &str| notice.entry.get(name).and_then(serde_json::Value::as_str);
    let address = member("ip_address")?;
    let browser = member("user_agent").and_then(user_agent::usual);
    Some(format!(
        "From: {address}, {}",
        browser.as_deref().unwrap_or("a program that is none of the usual browsers")
    ))
}

/// A time as people read it: `2026-09-21 14:13:20 UTC`.
fn in_utc(time: UnixTime) -> String {
    rfc3339(time).replace('T', " ").replace('Z', " UTC")
}
