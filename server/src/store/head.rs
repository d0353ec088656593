//! The head: what the store should hold, in a few bytes that are written with every group of commits.
//!
//! sled can lose a tail or a page without a word (docs/architecture.md tells why). So each group writes, in the
//! same sled batch, how far the store has come; the start and `sidekey verify` compare it with what is there.
//!
//! ```text
//! offset  bytes  field                                                     (numbers big endian)
//! 0       1      format, 2
//! 1       8      version of the group
//! 9       8      sequence number of the last audit entry, 0 without one
//! 17      32     chain: h(n) = SHA-256(h(n-1) | n (8 bytes) | entry), from h(0) = 32 zero bytes
//! 49      8      latest time of a decision, Unix seconds: the clock never shows an earlier one
//! 57      8      how many records there are
//! 65      16     digest of these: XOR of the first 16 bytes of SHA-256(key length (4) | key | record header)
//! 81      8      base: sequence number of the last audit entry that retention has removed, 0 before the first one
//! 89      32     base: the chain up to that entry
//! 121     32     seal: HMAC-SHA-256 of "head", the store's id and bytes 0 to 120, or zeros as long as there is no key
//! ```
//!
//! The head of store format 2 (format 1 of the head) had no base: its seal follows byte 80.
//!
//! *Records* are all but the audit entries, which the chain covers, their index, which is derived from them
//! ([`activity`](super::activity)), and the engine's own two, `meta/store` and `meta/head`. The chain of the entries that are
//! kept goes from the base to the end: an entry that is gone, changed or moved breaks it wherever it was, and nobody without the
//! key can make up a base that would hide that older ones were taken away.
//! A record's header holds its version and its checksum. So the digest tells a record that is gone, one that came back after
//! it was deleted, and an old state of one, whatever order they changed in. It is made against loss, not against somebody who
//! writes to the disk on purpose: XOR of unkeyed hashes can be forged with patience. The seal tells a head of another store
//! or another key, and one that was made up.
//!
//! The key is derived from the store's pepper, which only the master key opens: [`unlock`](crate::keyring::unlock) hands it
//! over before it commits anything. A store without a pepper (an app was made before the first start) has no seal yet, and
//! one that was sealed takes no change without the key.

mod audit_log;
mod digest;
mod key;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use sidekey_core::time::UnixTime;

use super::engine::StoreId;
use super::keys::{Key, Kind};
use super::record::Header;

#[cfg(test)]
pub(crate) use audit_log::chain;
pub use audit_log::{Base, base};
pub(super) use digest::Digest;
pub use key::HeadKey;

const FORMAT: u8 = 2;
/// Bytes of a head.
pub(super) const BYTES: usize = SEALED + 32;
/// Bytes of a head of format 1, which store format 2 has.
pub(super) const BYTES_OF_FORMAT_1: usize = SEALED_OF_FORMAT_1 + 32;
/// Bytes that the seal covers.
const SEALED: usize = SEALED_OF_FORMAT_1 + Base::BYTES;
const SEALED_OF_FORMAT_1: usize = 81;

/// What the store should hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The version of the last group.
    pub(super) version: u64,
    /// The sequence number of the last audit entry.
    pub(super) sequence: u64,
    pub(super) chain: [u8; 32],
    /// The latest time of a decision.
    pub(super) latest: UnixTime,
    /// How many records there are.
    pub(super) records: u64,
    pub(super) digest: Digest,
    /// Where the kept audit log begins.
    pub(super) base: Base,
    /// The seal as it was read or made; it is that of a changed head only after [`Head::seal`].
    pub(super) seal: Option<[u8; 32]>,
    /// Whether it was read in format 1, and its seal is of that.
    pub(super) of_format_1: bool,
}

impl Head {
    /// Where it is stored.
    pub(super) fn key() -> Key {
        Key::meta("head")
    }

    /// The audit entry appended last.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Where the kept audit log begins: after the entries that retention has removed.
    pub fn base(&self) -> Base {
        self.base
    }

    /// How many audit entries are kept.
    pub fn audit_entries(&self) -> u64 {
        self.sequence.saturating_sub(self.base.sequence)
    }

    /// The numbers of the audit entries that are kept; empty if there are none.
    pub(super) fn audit_log(&self) -> RangeInclusive<u64> {
        self.base.sequence.saturating_add(1)..=self.sequence
    }

    /// Whether these are the oldest audit entries that are kept: some of them, and nothing else.
    pub(super) fn log_begins_with(&self, entries: &RangeInclusive<u64>) -> bool {
        let kept = self.audit_log();
        !entries.is_empty() && entries.start() == kept.start() && entries.end() <= kept.end()
    }

    /// The end of the audit log.
    pub(super) fn end(&self) -> Base {
        Base { sequence: self.sequence, chain: self.chain }
    }

    /// How many records there are, audit entries and the engine's own not counted.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The latest time of a decision.
    pub fn latest(&self) -> UnixTime {
        self.latest
    }

    /// The same without number and digest of the records, and without a seal: as a cluster has it.
    pub(super) fn of_log_only(&self) -> Self {
        Self { records: 0, digest: Digest::default(), seal: None, ..self.clone() }
    }

    /// Number and digest of all records, and chain of all audit entries, in hex: what one copy of a store has in common with another.
    pub fn sums(&self) -> (String, String) {
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        (hex(&self.digest.0), hex(&self.chain))
    }

    /// Whether both tell of the same records and audit entries.
    pub fn tells_of_the_same_as(&self, other: &Self) -> bool {
        let of = |head: &Self| (head.records, head.digest, head.sequence, head.chain, head.base);
        of(self) == of(other)
    }

    /// Notes what became of a record.
    pub(super) fn replace(&mut self, key: &[u8], before: Option<&Header>, after: Option<&Header>) {
        for header in before.into_iter().chain(after) {
            self.digest.toggle(key, header);
        }
        // Never below zero: what is taken out was counted when it was put in.
        self.records = (self.records + u64::from(after.is_some())).saturating_sub(before.is_some().into());
    }

    /// Notes an audit entry, which gets the next number.
    pub(super) fn append(&mut self, entry: &[u8]) {
        Base { sequence: self.sequence, chain: self.chain } = self.end().after(entry);
    }

    /// Seals what it says now.
    pub(super) fn seal(&mut self, store: &StoreId, key: &HeadKey) {
        self.of_format_1 = false;
        self.seal = Some(self.mac(store, key).finalize().into_bytes().into());
    }

    /// Its bytes, for a backup.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.encode().to_vec()
    }

    /// Reads the bytes of a backup; `None` if they are no head.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::decode(bytes)
    }

    /// Its bytes.
    pub(super) fn encode(&self) -> [u8; BYTES] {
        self.bytes(&self.seal.unwrap_or_default())
    }

    fn bytes(&self, seal: &[u8; 32]) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let fields: [&[u8]; 10] = [
            &[FORMAT],
            &self.version.to_be_bytes(),
            &self.sequence.to_be_bytes(),
            &self.chain,
            &self.latest.as_secs().to_be_bytes(),
            &self.records.to_be_bytes(),
            &self.digest.0,
            &self.base.sequence.to_be_bytes(),
            &self.base.chain,
            seal,
        ];
        bytes.iter_mut().zip(fields.into_iter().flatten()).for_each(|(place, byte)| *place = *byte);
        bytes
    }

    /// Reads the bytes, also those of format 1; `None` if they are no head.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (bytes, seal) = bytes.split_last_chunk()?;
        let (format, rest) = bytes.split_first()?;
        let (version, rest) = rest.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (chain, rest) = rest.split_first_chunk()?;
        let (latest, rest) = rest.split_first_chunk()?;
        let (records, rest) = rest.split_first_chunk()?;
        let (digest, rest) = rest.split_first_chunk()?;
        let base = match *format {
            FORMAT => Base::from_bytes(rest)?,
            1 if rest.is_empty() => Base::default(),
            _ => return None,
        };
        Some(Self {
            version: u64::from_be_bytes(*version),
            sequence: u64::from_be_bytes(*sequence),
            chain: *chain,
            latest: UnixTime::from_secs(u64::from_be_bytes(*latest)),
            records: u64::from_be_bytes(*records),
            digest: Digest(*digest),
            base,
            seal: (*seal != [0; 32]).then_some(*seal),
            of_format_1: *format == 1,
        })
    }

    /// Whether it has a seal.
    pub fn is_sealed(&self) -> bool {
        self.seal.is_some()
    }

    /// Whether the seal it was read with is of this store and key.
    pub fn is_sealed_by(&self, store: &StoreId, key: &HeadKey) -> bool {
        self.seal.is_some_and(|seal| self.mac(store, key).verify(&seal.into()).is_ok())
    }

    fn mac(&self, store: &StoreId, key: &HeadKey) -> Hmac<Sha256> {
        let mut bytes = self.encode();
        let sealed = if self.of_format_1 {
            bytes[0] = 1;
            SEALED_OF_FORMAT_1
        } else {
            SEALED
        };
        key.mac(&[b"head", store, bytes.split_at(sealed).0])
    }

    /// Whether both say the same, seals aside.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        self.bytes(&[0; 32]) == other.bytes(&[0; 32])
    }
}

/// Whether this is one of the engine's own two records, which no head counts.
pub(super) fn is_own(key: &[u8]) -> bool {
    key == super::about::About::key().as_bytes() || key == Head::key().as_bytes()
}

/// Whether a head counts the record under this key as one of its records.
pub(super) fn counts(key: &[u8]) -> bool {
    // A kind that nobody knows counts: it is not ours to overlook.
    let kind = Kind::of_record(key);
    kind.is_none_or(|kind| kind.nature().is_counted) && !is_own(key)
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A head as store format 2 has it, sealed.
    pub(crate) fn in_format_1(head: &Head, store: &StoreId, key: &HeadKey) -> Vec<u8> {
        let mut bytes = head.encode()[..SEALED_OF_FORMAT_1].to_vec();
        bytes[0] = 1;
        let seal = key.mac(&[b"head", store, &bytes]).finalize().into_bytes();
        bytes.extend_from_slice(&seal);
        bytes
    }
}
