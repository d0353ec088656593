//! The audit log by account, so that somebody's latest entries are found without a look at everybody's.
//!
//! Each audit entry about an account has a note under [`Key::activity`] that has no value. It is written and removed together
//! with its entry, by the engine itself, and is a function of it: so no head counts it, no backup holds it, a restore and a
//! migration make it anew, and `sidekey verify` compares it with the log.

use std::borrow::Cow;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use sidekey_core::id::AccountId;

use super::engine::StoreError;
use super::integrity::Finding;
use super::keys::{Key, Kind};
use super::transaction::Store;
use crate::audit::Shown;

/// Whom an audit entry is about.
#[derive(Deserialize)]
struct About<'a> {
    #[serde(borrow)]
    app: Option<Cow<'a, str>>,
    #[serde(borrow)]
    user: Option<Cow<'a, str>>,
}

/// The note of the audit entry with this number, if it is about an account.
pub(super) fn note(sequence: u64, entry: &[u8]) -> Option<Key> {
    let About { app, user } = serde_json::from_slice(entry).ok()?;
    Some(Key::activity(&app?, &user?).newest_first(sequence))
}

/// Whom an audit entry is about, as the start of a key: entries with the same one keep their order. Those about an account have
/// the start of its notes; an app's own, and the server's, have one that no note begins with.
pub(super) fn subject(entry: &[u8]) -> Key {
    let about = serde_json::from_slice(entry).unwrap_or(About { app: None, user: None });
    match about {
        About { app: Some(app), user: Some(user) } => Key::activity(&app, &user),
        About { app: Some(app), user: None } => Key::of(Kind::Audit).part(app.as_bytes()),
        About { app: None, .. } => Key::of(Kind::Audit),
    }
}

impl Store {
    /// The audit entries about an account and their numbers, newest first: those before the number `before`, at most `limit`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn activity(
        &self,
        account: &AccountId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Shown)>, StoreError> {
        let prefix = Key::activity(account.app.as_str(), account.user.as_str());
        let after = before.map(|before| prefix.clone().newest_first(before));
        let notes = self.engine().scan(&prefix, after.as_ref(), limit).await?;
        let mut entries = Vec::with_capacity(notes.len());
        for sequence in notes.iter().filter_map(|(note, _)| note.activity_sequence()) {
            let key = Key::audit(sequence);
            // One that retention removes at this moment has lost its note as well.
            let Some(record) = self.engine().get(&key).await? else { continue };
            let entry = Shown::read(&record.value);
            let damaged = || StoreError::Damaged { key: key.to_string(), damage: "not an audit entry" };
            let entry = entry.ok_or_else(damaged)?;
            if entry.is_about(account) {
                entries.push((sequence, entry));
            }
        }
        Ok(entries)
    }
}

/// Compares the notes with the log, one by one in any order.
#[derive(Default)]
pub struct Comparison {
    wanted: u64,
    there: u64,
    /// XOR of hashes: zeros when each wanted note is there.
    difference: [u8; 16],
}

impl Comparison {
    /// Looks at an audit entry.
    pub fn entry(&mut self, sequence: u64, entry: &[u8]) {
        if let Some(note) = note(sequence, entry) {
            self.wanted += 1;
            self.toggle(note.as_bytes());
        }
    }

    /// Looks at a note.
    pub fn note(&mut self, key: &[u8]) {
        self.there += 1;
        self.toggle(key);
    }

    fn toggle(&mut self, key: &[u8]) {
        let hash: [u8; 32] = Sha256::digest(key).into();
        self.difference.iter_mut().zip(hash).for_each(|(sum, byte)| *sum ^= byte);
    }

    /// What is wrong.
    pub fn finish(&self) -> Option<Finding> {
        if self.wanted == self.there && self.difference == [0; 16] {
            return None;
        }
        let damage = format!(
            "the log by account has {} notes, and should have {}: some are gone, or lead elsewhere",
            self.there, self.wanted
        );
        Some(Finding { place: "the audit log".to_owned(), damage })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_made_of_entries_about_accounts_only() {
        let about = br#"{"at":1,"app":"shop","user":"a\"b","event":{"type":"account_locked"}}"#;
        assert_eq!(note(7, about), Some(Key::activity("shop", "a\"b").newest_first(7)));
        assert_eq!(note(7, br#"{"at":1,"app":"shop","event":{"type":"app_created"}}"#), None);
        assert_eq!(note(7, b"entry"), None);
    }

    #[test]
    fn a_note_too_few_too_many_or_in_the_wrong_place_is_found() {
        let about = |user: &str| format!(r#"{{"app":"shop","user":"{user}"}}"#).into_bytes();
        let of = |notes: &[(&str, u64)]| {
            let mut comparison = Comparison::default();
            comparison.entry(1, &about("ann"));
            comparison.entry(2, &about("bob"));
            for (user, sequence) in notes {
                comparison.note(Key::activity("shop", user).newest_first(*sequence).as_bytes());
            }
            comparison.finish()
        };
        assert_eq!(of(&[("bob", 2), ("ann", 1)]), None);
        for wrong in [&[("ann", 1)][..], &[("ann", 1), ("bob", 2), ("bob", 3)], &[("bob", 1), ("ann", 2)]] {
            assert!(of(wrong).is_some_and(|finding| finding.damage.contains("should have 2")));
        }
    }
}
