//! The digest of a set of records.

use sha2::{Digest as _, Sha256};

use crate::store::record::Header;

/// The digest of a set of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Digest(pub(super) [u8; 16]);

impl Digest {
    /// Puts a record in, or takes it out if it is in.
    pub(in crate::store) fn toggle(&mut self, key: &[u8], header: &Header) {
        let hash: [u8; 32] = Sha256::new()
            .chain_update(u32::try_from(key.len()).unwrap_or(u32::MAX).to_be_bytes())
            .chain_update(key)
            .chain_update(header)
            .finalize()
            .into();
        self.0.iter_mut().zip(hash).for_each(|(sum, byte)| *sum ^= byte);
    }

    /// Puts all records of another set in, none of which is in this one.
    pub(in crate::store) fn merge(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, byte)| *sum ^= byte);
    }
}
