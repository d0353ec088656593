//! What is kept for a destination.
//!
//! ```text
//! outbox | name                              the cursor: the number of the last audit entry that is done with
//! outbox | name | subject (16) | number (8)  an entry that was not taken, or that waits behind such a one
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};
use sidekey_core::time::UnixTime;

use crate::notify::Subject;
use crate::store::{Key, Kind, StoreError};

/// Most bytes of a destination's name.
const MAX_NAME: usize = 32;
/// Most characters that are kept of what went wrong.
const MAX_REASON: usize = 200;
/// Bytes after the name in the key of an entry.
const PLACE: usize = 16 + 8;

/// The name of a destination: small letters, digits and hyphens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// Reads a name.
    ///
    /// # Errors
    /// A sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("a name has 1 to {MAX_NAME} small letters, digits and hyphens"))
        }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

/// An entry that was not taken, or that waits behind one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// How often it was tried.
    pub attempts: u8,
    /// When it is tried again, unless it is dead.
    pub next_at: UnixTime,
    /// Whether it is a dead letter, which only an operator revives.
    pub is_dead: bool,
    /// What went wrong at the last attempt.
    pub reason: String,
}

impl Parked {
    /// One that was not tried yet: it waits behind another.
    pub fn behind(now: UnixTime) -> Self {
        Self { attempts: 0, next_at: now, is_dead: false, reason: String::new() }
    }

    /// It after another failure at `now`.
    #[must_use]
    pub fn failed(self, reason: &str, now: UnixTime) -> Self {
        let attempts = self.attempts.saturating_add(1);
        let wait = super::schedule::retry(attempts);
        let reason = reason.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect();
        Self { attempts, next_at: now.plus(wait.unwrap_or_default()), is_dead: wait.is_none(), reason }
    }

    /// It as a dead letter.
    #[must_use]
    pub fn dead(self) -> Self {
        Self { is_dead: true, ..self }
    }
}

/// Where the cursor is, and what all else of the destination begins with.
pub fn cursor_key(name: &Name) -> Key {
    Key::of(Kind::Outbox).part(name.as_str())
}

/// Where an entry is.
pub fn parked_key(name: &Name, subject: &Subject, sequence: u64) -> Key {
    cursor_key(name).fixed(subject).number(sequence)
}

/// Whose and which entry a key is of, if it is of one of this destination.
pub fn place(name: &Name, key: &Key) -> Option<(Subject, u64)> {
    let rest = key.as_bytes().strip_prefix(cursor_key(name).as_bytes())?;
    let (subject, number) = rest.split_first_chunk()?;
    Some((*subject, u64::from_be_bytes(number.try_into().ok()?)))
}

/// Reads a cursor.
///
/// # Errors
/// It is none.
pub fn cursor(key: &Key, bytes: &[u8]) -> Result<u64, StoreError> {
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| damaged(key))
}

/// Reads an entry.
///
/// # Errors
/// It is none.
pub fn parked(key: &Key, bytes: &[u8]) -> Result<Parked, StoreError> {
    postcard::from_bytes(bytes).map_err(|_| damaged(key))
}

/// Bytes of an entry.
pub fn parked_bytes(parked: &Parked) -> Vec<u8> {
    // Numbers and a short text: nothing that postcard cannot write.
    postcard::to_stdvec(parked).unwrap_or_default()
}

/// Whether a record of the outbox is what its key says.
///
/// # Errors
/// It is not.
pub fn check(key: &Key, bytes: &[u8]) -> Result<(), StoreError> {
    let (name, rest) = named(key).ok_or_else(|| damaged(key))?;
    match rest {
        0 => cursor(&cursor_key(&name), bytes).map(drop),
        PLACE => parked(key, bytes).map(drop),
        _ => Err(damaged(key)),
    }
}

/// The name of the destination that a record is of, and how many bytes of its key follow.
pub fn named(key: &Key) -> Option<(Name, usize)> {
    let (length, rest) = key.as_bytes().strip_prefix(&[Kind::Outbox as u8])?.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    Some((Name::parse(std::str::from_utf8(name).ok()?).ok()?, rest.len()))
}

fn damaged(key: &Key) -> StoreError {
    StoreError::Damaged { key: key.to_string(), damage: "not a record of the outbox" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_its_destination_and_its_place() {
        let (name, other) = (Name::parse("ops").unwrap(), Name::parse("ops-2").unwrap());
        let key = parked_key(&name, &[7; 16], 300);
        assert_eq!(place(&name, &key), Some(([7; 16], 300)));
        assert_eq!((place(&other, &key), place(&name, &cursor_key(&name))), (None, None));
        assert_eq!(named(&key), Some((name.clone(), PLACE)));
        assert!(parked_key(&name, &[7; 16], 255) < key, "in the order of the trail");
        for text in ["", "Ops", "a b", "ä", &"x".repeat(33)] {
            assert!(Name::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_record_is_checked_by_its_key() {
        let name = Name::parse("ops").unwrap();
        let parked = Parked::behind(UnixTime::from_secs(7));
        let (cursor, entry) = (cursor_key(&name), parked_key(&name, &[7; 16], 300));
        assert!(
            check(&cursor, &41_u64.to_be_bytes()).is_ok() && check(&entry, &parked_bytes(&parked)).is_ok()
        );
        assert!(check(&cursor, &parked_bytes(&parked)).is_err() && check(&entry, &[0xff]).is_err());
        assert!(check(&cursor.number(1), &[]).is_err());
    }

    #[test]
    fn a_failure_is_counted_until_the_letter_is_dead() {
        let now = UnixTime::from_secs(1_790_000_000);
        let mut parked = Parked::behind(now);
        for attempts in 1..=9 {
            parked = parked.failed("it answers 404\n", now);
            assert_eq!((parked.attempts, parked.is_dead), (attempts, false));
            assert!(parked.next_at > now);
        }
        parked = parked.failed(&"x".repeat(1_000), now);
        assert!(parked.is_dead && parked.reason.len() == MAX_REASON);
    }
}
