//! The head: what the store should hold, in a few bytes that are written with every group of commits.
//!
//! sled can lose a tail or a page without a word (docs/architecture.md tells why). So each group writes, in the
//! same sled batch, how far the store has come; the start and `sidekey verify` compare it with what is there.
//!
//! ```text
//! offset  bytes  field                                                     (numbers big endian)
//! 0       1      format, 1
//! 1       8      version of the group
//! 9       8      sequence number of the last audit entry, 0 without one
//! 17      32     chain: h(n) = SHA-256(h(n-1) | n (8 bytes) | entry), from h(0) = 32 zero bytes
//! 49      8      latest time of a decision, Unix seconds: the clock never shows an earlier one
//! 57      8      how many records there are
//! 65      16     digest of these: XOR of the first 16 bytes of SHA-256(key length (4) | key | record header)
//! 81      32     seal: HMAC-SHA-256 of "head", the store's id and bytes 0 to 80, or zeros as long as there is no key
//! ```
//!
//! *Records* are all but the audit entries, which the chain covers, and the engine's own two, `meta/store` and `meta/head`.
//! A record's header holds its version and its checksum. So the digest tells a record that is gone, one that came back after
//! it was deleted, and an old state of one, whatever order they changed in. It is made against loss, not against somebody who
//! writes to the disk on purpose: XOR of unkeyed hashes can be forged with patience. The seal tells a head of another store
//! or another key, and one that was made up.
//!
//! The key is derived from the store's pepper, which only the master key opens: [`unlock`](crate::keyring::unlock) hands it
//! over before it commits anything. A store without a pepper (an app was made before the first start) has no seal yet, and
//! one that was sealed takes no change without the key.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use sidekey_core::time::UnixTime;
use zeroize::Zeroizing;

use super::engine::StoreId;
use super::keys::{Key, Kind};
use super::record::Header;

const FORMAT: u8 = 1;
/// Bytes of a head.
pub(super) const BYTES: usize = SEALED + 32;
/// Bytes that the seal covers.
const SEALED: usize = 81;

/// The key of the seal, wiped on drop. It is deliberately not `Clone`.
pub struct HeadKey(Zeroizing<[u8; 32]>);

impl HeadKey {
    /// A key from 32 bytes that were derived from the store's pepper for this use only.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A MAC of the hash of a backup.
    pub(super) fn authenticate(&self, store: &StoreId, hash: &[u8; 32]) -> [u8; 32] {
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
    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
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
    /// The seal as it was read or made; it is that of a changed head only after [`Head::seal`].
    pub(super) seal: Option<[u8; 32]>,
}

/// The digest of a set of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest([u8; 16]);

impl Digest {
    /// Puts a record in, or takes it out if it is in.
    pub(super) fn toggle(&mut self, key: &[u8], header: &Header) {
        let hash: [u8; 32] = Sha256::new()
            .chain_update(u32::try_from(key.len()).unwrap_or(u32::MAX).to_be_bytes())
            .chain_update(key)
            .chain_update(header)
            .finalize()
            .into();
        self.0.iter_mut().zip(hash).for_each(|(sum, byte)| *sum ^= byte);
    }
}

/// The chain one entry further.
pub(super) fn chain(previous: &[u8; 32], sequence: u64, entry: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(previous)
        .chain_update(sequence.to_be_bytes())
        .chain_update(entry)
        .finalize()
        .into()
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

    /// How many records there are, audit entries and the engine's own not counted.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The latest time of a decision.
    pub fn latest(&self) -> UnixTime {
        self.latest
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
        self.sequence += 1;
        self.chain = chain(&self.chain, self.sequence, entry);
    }

    /// Seals what it says now.
    pub(super) fn seal(&mut self, store: &StoreId, key: &HeadKey) {
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
        let fields: [&[u8]; 8] = [
            &[FORMAT],
            &self.version.to_be_bytes(),
            &self.sequence.to_be_bytes(),
            &self.chain,
            &self.latest.as_secs().to_be_bytes(),
            &self.records.to_be_bytes(),
            &self.digest.0,
            seal,
        ];
        bytes.iter_mut().zip(fields.into_iter().flatten()).for_each(|(place, byte)| *place = *byte);
        bytes
    }

    /// Reads the bytes; `None` if they are no head of this format.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; BYTES] = bytes.try_into().ok()?;
        let (format, rest) = bytes.split_first()?;
        let (version, rest) = rest.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (chain, rest) = rest.split_first_chunk()?;
        let (latest, rest) = rest.split_first_chunk()?;
        let (records, rest) = rest.split_first_chunk()?;
        let (digest, seal) = rest.split_first_chunk()?;
        let seal: [u8; 32] = seal.try_into().ok()?;
        (*format == FORMAT).then(|| Self {
            version: u64::from_be_bytes(*version),
            sequence: u64::from_be_bytes(*sequence),
            chain: *chain,
            latest: UnixTime::from_secs(u64::from_be_bytes(*latest)),
            records: u64::from_be_bytes(*records),
            digest: Digest(*digest),
            seal: (seal != [0; 32]).then_some(seal),
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
        key.mac(&[b"head", store, self.encode().split_at(SEALED).0])
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
    key.first() != Some(&(Kind::Audit as u8)) && !is_own(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: StoreId = [7; 16];

    fn head() -> Head {
        let mut head = Head { version: 3, latest: UnixTime::from_secs(1_790_000_000), ..Head::default() };
        head.append(b"entry");
        head.replace(b"key", None, Some(&[1; 17]));
        head
    }

    #[test]
    fn a_head_comes_back_as_it_was_written() {
        let key = HeadKey::new([9; 32]);
        let mut sealed = head();
        sealed.seal(&STORE, &key);
        let read = Head::decode(&sealed.encode()).unwrap();
        assert_eq!(read, sealed);
        assert!(read.agrees_with(&head()));
        assert!(read.is_sealed_by(&STORE, &key));
        let unsealed = Head::decode(&head().encode()).unwrap();
        assert_eq!(unsealed, head());
        assert!(!unsealed.is_sealed_by(&STORE, &key));
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let bytes = head().encode();
        assert_eq!(bytes[0], 1);
        assert_eq!(bytes[1..9], 3_u64.to_be_bytes());
        assert_eq!(bytes[9..17], 1_u64.to_be_bytes());
        assert_eq!(bytes[17..49], chain(&[0; 32], 1, b"entry"));
        assert_eq!(bytes[49..57], 1_790_000_000_u64.to_be_bytes());
        assert_eq!(bytes[57..65], 1_u64.to_be_bytes());
        assert_eq!(bytes[81..], [0; 32]);
    }

    #[test]
    fn any_changed_bit_breaks_the_seal_and_so_do_another_store_and_key() {
        let key = HeadKey::new([9; 32]);
        let mut sealed = head();
        sealed.seal(&STORE, &key);
        let bytes = sealed.encode();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!Head::decode(&flipped).is_some_and(|head| head.is_sealed_by(&STORE, &key)), "{bit}");
        }
        let read = Head::decode(&bytes).unwrap();
        assert!(!read.is_sealed_by(&[8; 16], &key) && !read.is_sealed_by(&STORE, &HeadKey::new([8; 32])));
        assert!(Head::decode(&bytes[1..]).is_none());
    }

    #[test]
    fn the_digest_knows_the_set_and_not_the_order() {
        let (one, two) = ([1; 17], [2; 17]);
        let mut head = Head::default();
        head.replace(b"a", None, Some(&one));
        head.replace(b"b", None, Some(&one));
        head.replace(b"a", Some(&one), Some(&two));
        head.replace(b"b", Some(&one), None);
        let mut other = Head::default();
        other.replace(b"a", None, Some(&two));
        assert_eq!((head.records, head.digest), (1, other.digest));
        other.replace(b"a", Some(&two), Some(&one));
        assert_ne!(head.digest, other.digest, "an older state of the same record");
    }

    #[test]
    fn the_chain_depends_on_every_entry_and_its_place() {
        let of = |entries: &[&[u8]]| {
            let mut head = Head::default();
            for entry in entries {
                head.append(entry);
            }
            head.chain
        };
        assert_ne!(of(&[b"a", b"b"]), of(&[b"b", b"a"]));
        assert_ne!(of(&[b"a", b"b"]), of(&[b"ab"]));
        assert_ne!(of(&[b"a"]), of(&[b"a", b""]));
    }

    #[test]
    fn what_is_counted() {
        assert!(counts(Key::meta("pepper").as_bytes()) && counts(Key::account("shop", "42").as_bytes()));
        assert!(!counts(Head::key().as_bytes()) && !counts(Key::meta("store").as_bytes()));
        assert!(!counts(Key::audit(7).as_bytes()));
    }
}
