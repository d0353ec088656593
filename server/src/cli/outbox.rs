//! `outbox`: how destinations of events stand, what was not delivered, and what becomes of it.

use std::collections::BTreeMap;

use clap::Subcommand;

use super::given::Common;
use super::output::counted_as;
use super::{Failure, operate};
use crate::control::Command;
use crate::http::rfc3339;
use crate::outbox::Name;
use crate::outbox::orders::{Chosen, Letter, Standing};

#[derive(Debug, Subcommand)]
pub(super) enum OutboxVerb {
    /// Say how far each destination is, what waits for it, and how many dead letters it has
    Status(Common),
    /// List what was not delivered: dead letters, and what is tried again
    List {
        /// Only for this destination
        #[arg(long, value_name = "NAME", value_parser = Name::parse)]
        destination: Option<Name>,
        #[command(flatten)]
        common: Common,
    },
    /// Deliver dead letters after all, at once
    Retry(ChosenArgs),
    /// Give dead letters up for good; they stay in the audit trail
    Drop(ChosenArgs),
    /// Forget a destination that is in the settings no more
    Forget {
        /// Its name
        #[arg(long, value_name = "NAME", value_parser = Name::parse)]
        destination: Name,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct ChosenArgs {
    /// Of this destination
    #[arg(long, value_name = "NAME", value_parser = Name::parse)]
    destination: Name,
    /// Only the one of this number in the audit trail, dead or not
    #[arg(long, value_name = "NUMBER")]
    sequence: Option<u64>,
    #[command(flatten)]
    common: Common,
}

impl OutboxVerb {
    /// Runs it.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub(super) fn run(self) -> Result<(), Failure> {
        let chosen = |destination, sequence| Chosen { destination, sequence };
        match self {
            Self::Status(common) => operate::run(Command::OutboxStanding, common),
            Self::List { destination, common } => {
                operate::run(Command::OutboxLetters { destination }, common)
            }
            Self::Retry(ChosenArgs { destination, sequence, common }) => {
                operate::run(Command::OutboxRevive(chosen(destination, sequence)), common)
            }
            Self::Drop(ChosenArgs { destination, sequence, common }) => {
                operate::run(Command::OutboxGiveUp(chosen(destination, sequence)), common)
            }
            Self::Forget { destination, common } => {
                operate::run(Command::OutboxForget { destination }, common)
            }
        }
    }
}

/// How destinations stand, for people.
pub(super) fn standing(all: &BTreeMap<Name, Standing>) -> String {
    if all.is_empty() {
        return "Nobody has been told of anything yet: `[[notify]]` in the settings names who is.".to_owned();
    }
    let line = |(name, Standing { behind, waiting, dead }): (&Name, &Standing)| {
        format!("{name}: {}, {waiting} waiting, {dead} dead", entries_behind(*behind))
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What was not delivered, for people.
pub(super) fn letters(letters: &[Letter], behind: &BTreeMap<Name, u64>) -> String {
    if letters.is_empty() {
        return nothing_waits(behind);
    }
    let line = |letter: &Letter| {
        let Letter { destination, sequence, event, app, user, attempts, next_at, reason } = letter;
        let event = event.as_deref().unwrap_or("no longer in the audit trail");
        let whom = match (app, user) {
            (Some(app), Some(user)) => format!("  {app}/{user}"),
            (Some(app), None) => format!("  {app}"),
            _ => String::new(),
        };
        let next = next_at.map_or_else(|| "DEAD".to_owned(), |at| format!("again at {}", rfc3339(at)));
        let why = if reason.is_empty() { "waits behind an earlier one" } else { reason };
        let line = format!("{destination}  {sequence}  {event}{whom}  {next}  {attempts} attempts: {why}");
        line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect::<String>()
    };
    letters.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// No event was refused. A destination that does not answer may be behind all the same.
fn nothing_waits(behind: &BTreeMap<Name, u64>) -> String {
    let late = behind.iter().filter(|(_, count)| **count > 0);
    let late: Vec<_> = late.map(|(name, count)| format!("{name} is {}", entries_behind(*count))).collect();
    if late.is_empty() {
        return "Everything was delivered.".to_owned();
    }
    format!("No event was refused; {} (see `sidekey outbox status`).", late.join(", "))
}

fn entries_behind(count: u64) -> String {
    counted_as(count, "entry behind", "entries behind")
}

/// What an order has changed, for people.
pub(super) fn changed(count: u64) -> String {
    match count {
        0 => "There was none.".to_owned(),
        1 => "1 changed.".to_owned(),
        several => format!("{several} changed."),
    }
}

#[cfg(test)]
mod tests {
    use sidekey_core::time::UnixTime;

    use super::*;

    #[test]
    fn a_letter_is_a_line_that_says_what_comes_next() {
        let letter = Letter {
            destination: Name::parse("siem").unwrap(),
            sequence: 41,
            event: Some("account_locked".to_owned()),
            app: Some("shop".to_owned()),
            user: Some("4\u{1b}2".to_owned()),
            attempts: 2,
            next_at: Some(UnixTime::from_secs(1_790_000_000)),
            reason: "it answers 404".to_owned(),
        };
        assert_eq!(
            letters(std::slice::from_ref(&letter), &BTreeMap::new()),
            "siem  41  account_locked  shop/4\u{fffd}2  again at 2026-09-21T14:13:20Z  2 attempts: it answers 404"
        );
        assert!(letters(&[Letter { next_at: None, ..letter }], &BTreeMap::new()).contains("  DEAD  "));
        let all = [(Name::parse("siem").unwrap(), Standing { behind: 1, waiting: 2, dead: 3 })].into();
        assert_eq!(standing(&all), "siem: 1 entry behind, 2 waiting, 3 dead");
        let [siem, ops] = ["siem", "ops"].map(|name| Name::parse(name).unwrap());
        assert_eq!(letters(&[], &[(ops.clone(), 0)].into()), "Everything was delivered.");
        assert_eq!(
            letters(&[], &[(siem, 1), (ops, 0)].into()),
            "No event was refused; siem is 1 entry behind (see `sidekey outbox status`)."
        );
    }
}
