//! The key of the seal.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::store::engine::StoreId;

/// The key of the seal, wiped on drop. It is deliberately not `Clone`.
pub struct HeadKey(Zeroizing<[u8; 32]>);

impl HeadKey {
    /// A key from 32 bytes that were derived from the store's pepper for this use only.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A MAC of the hash of a backup.
    pub(in crate::store) fn authenticate(&self, store: &StoreId, hash: &[u8; 32]) -> [u8; 32] {
        self.of_backup(store, hash).finalize().into_bytes().into()
    }

    /// Whether this is the MAC of the hash of a backup.
    pub fn is_authentic(&self, store: &StoreId, hash: &[u8; 32], mac: &[u8; 32]) -> bool {
        self.of_backup(store, hash).verify(mac.into()).is_ok()
    }

    fn of_backup(&self, store: &StoreId, hash: &[u8; 32]) -> Hmac<Sha256> {
        self.mac(&[b"backup", store, hash])
    }

    /// `parts` begin with what the MAC is for, and have fixed lengths.
    pub(super) fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        // RFC 2104 §2: a key shorter than the hash's block is padded with zeros.
        let mut block = Zeroizing::new([0; 64]);
        block.split_at_mut(32).0.copy_from_slice(&self.0[..]);
        let mut mac = Hmac::<Sha256>::new((&*block).into());
        for part in parts {
            mac.update(part);
        }
        mac
    }
}

impl fmt::Debug for HeadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeadKey(…)")
    }
}
