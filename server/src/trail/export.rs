//! An export of the trail that can be checked without a server, a key or a database.
//!
//! ```text
//! {"audit_export": 1, "store": ID, "after": 0, "hash": H(0)}        before the first entry
//! {"sequence": 1, "at": …, …, "stored": TEXT, "hash": H(1)}         an entry as it is told, and exactly as it is stored
//! …
//! {"entries": 2, "last": 2, "hash": H(2)}                           after the last one
//! ```
//!
//! H(n) is the store's own chain ([`head`](crate::store::head)): SHA-256 over H(n-1), n as 8 bytes (big endian) and the bytes of TEXT,
//! in lower hexadecimal. H(0) is 32 zero bytes. Where retention has removed the oldest entries, or only the latest are wanted,
//! the first line names the entry before and its hash. So exports of one store that overlap, or follow each other, agree on their hashes.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sidekey_core::time::UnixTime;

use crate::audit::told;
use crate::store::StoreId;
use crate::store::head::Base;

/// The layout of an export.
pub const FORMAT: u16 = 1;

/// Which entries: always a whole stretch of the trail, because a chain has no holes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// From the first entry on that is not older; those after it are there whatever their time.
    pub since: Option<UnixTime>,
    /// Up to the last entry before the first one that is not older than this.
    pub until: Option<UnixTime>,
    /// The newest so many entries.
    pub last: Option<u64>,
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Beginning {
    pub(super) audit_export: u16,
    pub(super) store: String,
    pub(super) after: u64,
    pub(super) hash: String,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ending {
    pub(super) entries: u64,
    pub(super) last: u64,
    pub(super) hash: String,
}

/// The first line of an export of what comes after `before`.
pub fn beginning(store: &StoreId, before: &Base) -> Vec<u8> {
    let (after, hash) = (before.sequence(), hex(before));
    line(&Beginning { audit_export: FORMAT, store: HEXLOWER.encode(store), after, hash })
}

/// The line of an entry that ends at `at`; `None` if it is no entry.
pub fn entry(at: &Base, stored: &[u8]) -> Option<Vec<u8>> {
    entry_as_told(at, std::str::from_utf8(stored).ok()?).map(|entry| line(&entry))
}

/// The last line.
pub fn ending(entries: u64, at: &Base) -> Vec<u8> {
    line(&Ending { entries, last: at.sequence(), hash: hex(at) })
}

/// An entry as its line tells it.
pub(super) fn entry_as_told(at: &Base, stored: &str) -> Option<Map<String, Value>> {
    let mut entry = told(at.sequence(), &serde_json::from_str(stored).ok()?);
    entry.insert("stored".to_owned(), stored.into());
    entry.insert("hash".to_owned(), hex(at).into());
    Some(entry)
}

pub(super) fn hex(at: &Base) -> String {
    HEXLOWER.encode(&at.chain())
}

fn line(content: &impl Serialize) -> Vec<u8> {
    // Plain fields and string keys: there is nothing in it that JSON cannot hold.
    let mut line = serde_json::to_vec(content).unwrap_or_default();
    line.push(b'\n');
    line
}
