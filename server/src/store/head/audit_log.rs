//! Places in the audit log, and its hash chain.

use sha2::{Digest as _, Sha256};

use super::Head;
use crate::store::engine::{Engine, StoreError};

/// A place in the audit log, between two entries: where the kept log begins, for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Base {
    /// The number of the entry before it, 0 at the very beginning.
    pub(in crate::store) sequence: u64,
    /// The chain up to that entry.
    pub(in crate::store) chain: [u8; 32],
}

impl Base {
    /// Bytes of an encoded one.
    pub const BYTES: usize = 8 + 32;

    /// After the entry with this number, up to which the chain is this; 0 and zeros: before the first one.
    pub fn new(sequence: u64, chain: [u8; 32]) -> Self {
        Self { sequence, chain }
    }

    /// The number of the entry before it.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The chain up to that entry.
    pub fn chain(&self) -> [u8; 32] {
        self.chain
    }

    /// Its bytes.
    pub fn to_bytes(self) -> Vec<u8> {
        [&self.sequence.to_be_bytes()[..], &self.chain].concat()
    }

    /// Reads its bytes; `None` if they are none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (sequence, chain) = bytes.split_first_chunk()?;
        Some(Self { sequence: u64::from_be_bytes(*sequence), chain: chain.try_into().ok()? })
    }

    /// One entry further.
    #[must_use]
    pub fn after(self, entry: &[u8]) -> Self {
        let sequence = self.sequence.saturating_add(1);
        Self { sequence, chain: chain(&self.chain, sequence, entry) }
    }
}

/// Where the kept audit log of a running store begins.
///
/// # Errors
/// The store cannot be read.
pub async fn base(engine: &dyn Engine) -> Result<Base, StoreError> {
    let key = Head::key();
    // Without a head, nothing was ever committed.
    let Some(stored) = engine.get(&key).await? else { return Ok(Base::default()) };
    let damaged = || StoreError::Damaged { key: key.to_string(), damage: "not a head" };
    Head::decode(&stored.value).map(|head| head.base).ok_or_else(damaged)
}

/// The chain one entry further.
pub(crate) fn chain(previous: &[u8; 32], sequence: u64, entry: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(previous)
        .chain_update(sequence.to_be_bytes())
        .chain_update(entry)
        .finalize()
        .into()
}
