//! The master keys and what they protect: sealed values and the pepper.
//!
//! | module | what it is |
//! |---|---|
//! | [`master_key`] | one key and its text form |
//! | [`sources`] | where keys come from: systemd credential, file, environment |
//! | [`file`](mod@file) | changes to a key file |
//! | [`sealed`] | the layout of a sealed value |
//! | [`pepper`] | the store's secret for keyed hashes |
//! | `fence` | which key alone may seal, where several servers share a store |
//! | [`unlock`](mod@unlock) | whether the keys are the ones of this store |
//!
//! The first key seals, all of them open. So a new key is put in front of the old one, and the old one can go when
//! nothing is sealed with it any more.

pub(crate) mod fence;
pub mod file;
pub mod master_key;
pub mod pepper;
pub mod sealed;
pub mod sources;
pub mod unlock;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

pub use master_key::{KeyId, MasterKey, ParseError};
pub use pepper::Pepper;
pub use sealed::{OpenError, Sealed, associated_data};
pub use sources::{Origin, SourceError, Sources};
pub use unlock::{UnlockError, unlock};

/// Most keys of a keyring: rotation needs two.
const MAX_KEYS: usize = 16;

/// One or more master keys.
pub struct Keyring {
    first: Arc<MasterKey>,
    older: Vec<Arc<MasterKey>>,
}

impl Keyring {
    /// A keyring of one key.
    pub fn new(key: MasterKey) -> Self {
        Self { first: Arc::new(key), older: Vec::new() }
    }

    /// Reads keys, one a line, the sealing one first. Empty lines and those that start with `#` are skipped.
    ///
    /// # Errors
    /// There is no key, a line is none, or there are too many.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let lines = text.lines().zip(1..).map(|(line, number)| (line.trim(), number));
        let mut keys: Vec<MasterKey> = Vec::new();
        for (line, number) in lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#')) {
            let key = MasterKey::parse(line, number)?;
            if keys.iter().any(|known| known.id() == key.id()) {
                return Err(ParseError::Twice { line: number, id: key.id() });
            }
            if keys.len() == MAX_KEYS {
                return Err(ParseError::TooMany { limit: MAX_KEYS });
            }
            keys.push(key);
        }
        let mut keys = keys.into_iter().map(Arc::new);
        let first = keys.next().ok_or(ParseError::Empty)?;
        Ok(Self { first, older: keys.collect() })
    }

    /// These keys, and below them those of another keyring that are not among them; `None`: all of those are. No key is copied.
    pub fn above(&self, other: &Self) -> Option<Self> {
        let others: Vec<_> = other.shared().filter(|key| !self.has(key.id())).map(Arc::clone).collect();
        let older = self.older.iter().map(Arc::clone).chain(others.iter().map(Arc::clone)).collect();
        (!others.is_empty()).then(|| Self { first: Arc::clone(&self.first), older })
    }

    /// The same keys with this one first, so that it seals; `None`: it is not among them. No key is copied.
    pub fn led_by(&self, id: KeyId) -> Option<Self> {
        let first = self.shared().find(|key| key.id() == id)?;
        let older = self.shared().filter(|key| key.id() != id).map(Arc::clone).collect();
        Some(Self { first: Arc::clone(first), older })
    }

    /// The ids of all keys, the sealing one first.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.keys().map(MasterKey::id)
    }

    /// The key that seals.
    pub fn sealing(&self) -> KeyId {
        self.first.id()
    }

    /// Whether a key is here.
    pub fn has(&self, id: KeyId) -> bool {
        self.ids().any(|known| known == id)
    }

    /// Seals `plaintext` with the first key. The value opens only with the same `associated` data, for which
    /// [`associated_data`] is the way to say what the value is and whose.
    pub fn seal(&self, associated: &[u8], plaintext: &[u8], rng: &mut impl CryptoRng) -> Sealed {
        sealed::seal(&self.first, associated, plaintext, rng)
    }

    /// Opens a sealed value with the key that it names.
    ///
    /// # Errors
    /// The key is not here, or the value is not what was sealed for this `associated` data.
    pub fn open(&self, associated: &[u8], sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        sealed::open(|id| self.keys().find(|key| key.id() == id), associated, sealed)
    }

    /// Whether a value should be sealed anew, because a key other than the first one seals it.
    pub fn is_outdated(&self, sealed: &Sealed) -> bool {
        sealed.key_id() != Some(self.first.id())
    }

    fn keys(&self) -> impl Iterator<Item = &MasterKey> {
        self.shared().map(|key| &**key)
    }

    fn shared(&self) -> impl Iterator<Item = &Arc<MasterKey>> {
        std::iter::once(&self.first).chain(&self.older)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys()).finish()
    }
}
