//! The layout of keys.
//!
//! ```text
//! key  = kind (1 byte) part*
//! part = length (1 byte) bytes     a name or id: one that is a prefix of another never mixes with it
//!      | bytes                     a hash or number of fixed length
//! ```
//!
//! Keys hold ids and hashes only, never a secret and never what people typed, because errors and logs name them. Those
//! of an app's objects start with the app, so that a cluster can shard by it.

use std::fmt;

use sha2::{Digest, Sha256};
use sidekey_core::time::UnixTime;

/// Most bytes of a key. Index nodes of sled hold some 256 keys and have to stay small, see
/// [`MAX_VALUE`](super::engine::MAX_VALUE).
pub const MAX_KEY: usize = 256;

/// Room for nearly every key, so that it does not move while it is put together.
const USUAL_KEY: usize = 96;

/// Writes the enum and the list of its variants from one table, so that none is in one and not in the other.
macro_rules! kinds {
    ($($(#[$doc:meta])+ $name:ident = $number:literal,)+) => {
        /// What a record is: the first byte of its key. Numbers are never used again; 0x09 was used once.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Kind {
            $($(#[$doc])+ $name = $number,)+
        }

        impl Kind {
            /// All of them, by their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
        }
    };
}

kinds! {
    /// About the store itself: format, head, sentinel, pepper, master keys in use and their rotation. Then: name.
    Meta = 0x01,
    /// A host application. Then: app id.
    App = 0x02,
    /// An API key by its hash. Then: SHA-256 (32 bytes).
    ApiKey = 0x03,
    /// The API keys of an app. Then: app id, key id.
    AppKey = 0x04,
    /// An account. Then: app id, SHA-256 of the user id (32 bytes).
    Account = 0x05,
    /// A session. Then: SHA-256 of the session id (32 bytes).
    Session = 0x06,
    /// An enrollment token. Then: SHA-256 (32 bytes).
    EnrollmentToken = 0x07,
    /// A family of refresh tokens. Then: app id, family id.
    RefreshFamily = 0x08,
    /// A signing key. Then: key id.
    SigningKey = 0x0a,
    /// What ends when. Then: Unix time (8 bytes), the key that ends.
    Expiry = 0x0b,
    /// The audit log. Then: sequence number (8 bytes, big endian).
    Audit = 0x0c,
    /// Events on their way out. Then: as the outbox has it.
    Outbox = 0x0d,
    /// The audit log by account, newest first. Then: app id, the first 16 bytes of SHA-256 of the user id, `u64::MAX` less the
    /// sequence number (8 bytes, big endian).
    Activity = 0x0e,
    /// A browser that an account trusts. Then: app id, SHA-256 of the user id (32 bytes), browser id (16 bytes).
    TrustedBrowser = 0x0f,
    /// The latest logins of an account. Then: the account's key.
    Logins = 0x10,
    /// A token for one action that was spent. Then: app id, the token's id (16 bytes).
    SpentToken = 0x11,
    /// An operator. Then: name.
    Operator = 0x12,
    /// A session of the admin area. Then: SHA-256 of its cookie (32 bytes).
    AdminSession = 0x13,
    /// What happened by the hour, and how far the audit log is counted. Then: nothing, or the hour (8 bytes).
    Statistics = 0x14,
    /// That an idempotency key of a host opened something. Then: app id, a MAC of the key (32 bytes).
    KeyUse = 0x15,
    /// The language that an account's pages were last shown in. Then: the account's key.
    Language = 0x16,
}

/// What a kind of record is to those who go through all of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nature {
    /// Whether something in it may be sealed with a master key, so that a rotation of master keys has to see it.
    pub holds_sealed: bool,
    /// Whether a head counts it as one of its records.
    pub is_counted: bool,
    /// Whether it goes on after a restore, and does not open a door that was closed since the backup.
    pub is_restored: bool,
}

impl Kind {
    /// The kind of the record under this key, if it is one that is known.
    pub fn of_record(key: &[u8]) -> Option<Self> {
        let first = key.first()?;
        Self::ALL.iter().copied().find(|kind| *kind as u8 == *first)
    }

    /// What it is to those who go through all of a store. Whoever adds a kind decides it here.
    pub const fn nature(self) -> Nature {
        let plain = Nature { holds_sealed: false, is_counted: true, is_restored: true };
        match self {
            // Some records of it are not restored, and the engine's own two are not counted: see there.
            Self::Meta | Self::Account => Nature { holds_sealed: true, ..plain },
            Self::SigningKey => Nature { holds_sealed: true, is_restored: false, ..plain },
            Self::App
            | Self::ApiKey
            | Self::AppKey
            | Self::Expiry
            | Self::Outbox
            | Self::Statistics
            | Self::Language
            | Self::Operator => plain,
            Self::Session
            | Self::EnrollmentToken
            | Self::RefreshFamily
            | Self::Logins
            | Self::TrustedBrowser
            | Self::SpentToken
            | Self::KeyUse
            | Self::AdminSession => Nature { is_restored: false, ..plain },
            // The head has a chain over the entries, and the notes follow from them.
            Self::Audit | Self::Activity => Nature { is_counted: false, ..plain },
        }
    }
}

/// A record's key, or the common start of several.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Vec<u8>);

impl Key {
    /// The key of nothing yet but a kind: the prefix of all of that kind.
    pub fn of(kind: Kind) -> Self {
        let mut bytes = Vec::with_capacity(USUAL_KEY);
        bytes.push(kind as u8);
        Self(bytes)
    }

    /// Adds a part of any length up to 255 bytes, preceded by its length. A longer one, which callers have refused
    /// long before, is replaced by its SHA-256 hash and so still has a place of its own.
    #[must_use]
    pub fn part(mut self, part: impl AsRef<[u8]>) -> Self {
        let part = part.as_ref();
        match u8::try_from(part.len()) {
            Ok(length) if self.0.len() + part.len() < MAX_KEY => {
                self.0.push(length);
                self.0.extend_from_slice(part);
            }
            _ => {
                // No name has this length byte and this many bytes, so that no name can pass for a long one.
                self.0.push(u8::MAX);
                self.0.extend_from_slice(&Sha256::digest(part));
            }
        }
        self
    }

    /// Adds a part whose length its kind fixes.
    #[must_use]
    pub fn fixed<const N: usize>(mut self, part: &[u8; N]) -> Self {
        self.0.extend_from_slice(part);
        self
    }

    /// Adds a number so that keys sort by it.
    #[must_use]
    pub fn number(self, number: u64) -> Self {
        self.fixed(&number.to_be_bytes())
    }

    /// Adds a whole other key; only as the last part, which needs no length.
    #[must_use]
    pub fn key(mut self, key: &Key) -> Self {
        self.0.extend_from_slice(&key.0);
        self
    }

    /// A record about the store itself.
    pub fn meta(name: &str) -> Self {
        Self::of(Kind::Meta).part(name)
    }

    /// An entry of the audit log.
    pub fn audit(sequence: u64) -> Self {
        Self::of(Kind::Audit).number(sequence)
    }

    /// The audit entries about a user, newest first: half a hash is enough, because the entries name the user.
    pub fn activity(app: &str, user: &str) -> Self {
        let [half @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
            <[u8; 32]>::from(Sha256::digest(user));
        Self::of(Kind::Activity).part(app).fixed::<16>(&half)
    }

    /// The entry of [`Key::activity`] that leads to an audit entry.
    #[must_use]
    pub fn newest_first(self, sequence: u64) -> Self {
        self.number(u64::MAX - sequence)
    }

    /// The account of a user: user ids are personal data, so the key has their hash.
    pub fn account(app: &str, user: &str) -> Self {
        Self::of(Kind::Account).part(app).fixed(&Sha256::digest(user).into())
    }

    /// The browsers that a user's account trusts, and with the id of one that one.
    pub fn trusted_browsers(app: &str, user: &str) -> Self {
        Self::of(Kind::TrustedBrowser).part(app).fixed(&Sha256::digest(user).into())
    }

    /// The note that the record under `key` may be removed from `at` on.
    pub fn expiry(at: UnixTime, key: &Key) -> Self {
        Self::of(Kind::Expiry).number(at.as_secs()).key(key)
    }

    /// When and which record, if this is such a note.
    pub fn expiring(&self) -> Option<(UnixTime, Key)> {
        let (at, key) = self.0.strip_prefix(&[Kind::Expiry as u8])?.split_first_chunk()?;
        Some((UnixTime::from_secs(u64::from_be_bytes(*at)), Self::from_bytes(key)))
    }

    /// Whether it is the key of this kind of record.
    pub fn is(&self, kind: Kind) -> bool {
        self.0.first() == Some(&(kind as u8))
    }

    /// What kind of record it is the key of; `None` for one that this program does not know.
    pub fn kind(&self) -> Option<Kind> {
        Kind::of_record(&self.0)
    }

    /// The name in a key that consists of its kind and one part of text.
    pub fn name(&self, kind: Kind) -> Option<&str> {
        let (length, name) = self.0.strip_prefix(&[kind as u8])?.split_first()?;
        (usize::from(*length) == name.len()).then(|| std::str::from_utf8(name).ok())?
    }

    /// A key as it was stored.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The sequence number if this is the key of an audit entry.
    pub fn audit_sequence(&self) -> Option<u64> {
        let number = self.0.strip_prefix(&[Kind::Audit as u8])?;
        number.try_into().ok().map(u64::from_be_bytes)
    }

    /// The sequence number that an entry of the log by account leads to.
    pub fn activity_sequence(&self) -> Option<u64> {
        let (_, number) = self.0.strip_prefix(&[Kind::Activity as u8])?.split_last_chunk()?;
        Some(u64::MAX - u64::from_be_bytes(*number))
    }
}

impl fmt::Display for Key {
    /// Printable bytes as they are, the others as `\x00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_starts_another_does_not_share_its_prefix() {
        let short = Key::of(Kind::RefreshFamily).part("ab");
        let long = Key::of(Kind::RefreshFamily).part("abc");
        assert!(!long.as_bytes().starts_with(short.as_bytes()));
    }

    #[test]
    fn audit_entries_sort_by_number_and_give_it_back() {
        assert!(Key::audit(255) < Key::audit(256));
        assert_eq!(Key::audit(77).audit_sequence(), Some(77));
        assert_eq!(Key::meta("store").audit_sequence(), None);
    }

    #[test]
    fn the_log_of_an_account_sorts_by_number_backwards_and_gives_it_back() {
        let of = |sequence| Key::activity("shop", "42").newest_first(sequence);
        assert!(of(256) < of(255));
        assert_eq!(of(77).activity_sequence(), Some(77));
        assert_eq!(Key::audit(77).activity_sequence(), None);
        assert_ne!(Key::activity("shop", "42"), Key::activity("shop", "43"));
    }

    #[test]
    fn a_key_stays_within_its_limit_whatever_the_parts() {
        let key = Key::account(&"a".repeat(300), &"u".repeat(5_000));
        assert!(key.as_bytes().len() <= MAX_KEY);
        assert_ne!(key, Key::account(&"a".repeat(301), &"u".repeat(5_000)));
    }

    #[test]
    fn a_note_of_expiry_names_its_record() {
        let (at, key) = (UnixTime::from_secs(77), Key::account("shop", "42"));
        let note = Key::expiry(at, &key);
        assert_eq!(note.expiring(), Some((at, key.clone())));
        assert!(note < Key::expiry(UnixTime::from_secs(78), &Key::meta("a")), "notes sort by time");
        assert_eq!(key.expiring(), None);
    }

    #[test]
    fn a_key_of_one_part_gives_its_name_back() {
        let key = Key::of(Kind::SigningKey).part("a-b");
        assert_eq!(key.name(Kind::SigningKey), Some("a-b"));
        assert_eq!(key.name(Kind::App), None);
        assert_eq!(key.clone().part("c").name(Kind::SigningKey), None);
        assert_eq!(Key::of(Kind::SigningKey).name(Kind::SigningKey), None);
    }

    #[test]
    fn a_key_tells_its_kind() {
        for &kind in Kind::ALL {
            assert_eq!(Key::of(kind).part("x").kind(), Some(kind));
        }
        assert_eq!(Key::from_bytes(&[]).kind(), None);
        assert_eq!(Key::from_bytes(&[0xee, 1]).kind(), None);
    }

    #[test]
    fn a_key_prints_as_ascii() {
        assert_eq!(Key::meta("store").to_string(), "\\x01\\x05store");
    }
}
