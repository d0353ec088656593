//! What a start compares: the records with the head, the audit log's end with the head, the head with the file `head`.
//!
//! Each comparison gives findings instead of ending at the first one, so that `sidekey verify` can tell all of them. The chain
//! is followed from where the file `head` left it; from the beginning, `sidekey verify` does it.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::engine::StoreId;
use super::folder::hex;
use super::head::{self, Base, Digest, Head};
use super::head_file::{self, NeitherSlotIsWhole, Remembered};
use super::keys::Key;
use super::record::{self, HEADER};
use super::sharing;
use super::walk;

/// Something that is wrong with a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The record by its key, or the file.
    pub place: String,
    /// What is wrong with it, without any stored value.
    pub damage: String,
}

impl Finding {
    /// Something is wrong with this record.
    pub fn of_record(key: &Key, damage: impl fmt::Display) -> Self {
        Self { place: format!("record `{key}`"), damage: damage.to_string() }
    }

    /// Something is wrong with this file.
    pub(super) fn of_file(path: &Path, damage: impl fmt::Display) -> Self {
        Self { place: format!("file `{}`", path.display()), damage: damage.to_string() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.damage)
    }
}

/// Why a comparison could not be made: the database does not give its records.
pub(super) type Unreadable = ::sled::Error;

/// All records that a head counts, looked at one by one.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) records: u64,
    digest: Digest,
}

impl Survey {
    /// Looks at every record of the database, which nobody changes meanwhile; the findings by the order of the keys.
    pub(super) fn of(db: &::sled::Db) -> Result<(Self, Vec<Finding>), Unreadable> {
        // The audit log is left out: it is the longest part by far, and the chain covers it.
        let parts = (0..sharing::threads()).map(|_| (Self::default(), Vec::new())).collect();
        let parts = sharing::share(db, parts, |(survey, found): &mut (Self, Vec<_>), key, bytes| {
            found.extend(survey.look(key, bytes).map(|finding| (key.to_vec(), finding)));
        })?;
        let (mut whole, mut findings) = (Self::default(), Vec::new());
        for (part, found) in parts {
            whole.records += part.records;
            whole.digest.merge(part.digest);
            findings.extend(found);
        }
        findings.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok((whole, findings.into_iter().map(|(_, finding)| finding).collect()))
    }

    /// Looks at one record.
    pub(super) fn look(&mut self, key: &[u8], bytes: &[u8]) -> Option<Finding> {
        self.toggle(key, bytes);
        self.records += 1;
        let name = Key::from_bytes(key);
        record::check(&name, bytes).err().map(|error| Finding::of_record(&name, error.damage()))
    }

    /// Replaces a record that was looked at, or that was not there.
    pub(super) fn correct(&mut self, key: &[u8], before: Option<&record::Header>, after: Option<&[u8]>) {
        if let Some(before) = before {
            self.digest.toggle(key, before);
            self.records = self.records.saturating_sub(1);
        }
        if let Some(after) = after {
            self.toggle(key, after);
            self.records += 1;
        }
    }

    fn toggle(&mut self, key: &[u8], bytes: &[u8]) {
        // A record shorter than its header has been found damaged; it still makes the digest differ.
        let mut header = [0; HEADER];
        header.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
        self.digest.toggle(key, &header);
    }

    /// Writes into a head what is there.
    pub(super) fn enter(&self, head: &mut Head) {
        (head.records, head.digest) = (self.records, self.digest);
    }

    /// Compares what is there with what should be.
    pub(super) fn compare(&self, head: &Head) -> Option<Finding> {
        let damage = match (self.records, head.records) {
            (there, should) if there < should => {
                format!("{should} records should be there, and {} of them are gone", should - there)
            }
            (there, should) if there > should => {
                format!("{should} records should be there, and there are {} more", there - should)
            }
            _ if self.digest == head.digest => return None,
            _ => "the number of records is right, but some are not in their latest state".to_owned(),
        };
        Some(Finding::of_record(&Head::key(), damage))
    }
}

/// Follows the chain of audit entries, one by one.
#[derive(Default)]
pub(super) struct Chain {
    start: Base,
    end: Base,
}

impl Chain {
    /// From the entry after `start` on.
    pub(super) fn after(start: Base) -> Self {
        Self { start, end: start }
    }

    /// Writes into a head where it starts and ends.
    pub(super) fn enter(&self, head: &mut Head) {
        head.base = self.start;
        (head.sequence, head.chain) = (self.end.sequence, self.end.chain);
    }

    /// Takes the next entry as it is stored.
    pub(super) fn follow(&mut self, key: &[u8], bytes: &[u8]) -> Option<Finding> {
        let name = Key::from_bytes(key);
        let expected = self.end.sequence.saturating_add(1);
        let found = name.audit_sequence();
        let (value, damaged) = match record::check(&name, bytes) {
            Ok((_, value)) => (value, None),
            Err(error) => (&[][..], Some(error.damage().to_owned())),
        };
        self.end.sequence = found.unwrap_or(expected).saturating_sub(1);
        self.end = self.end.after(value);
        if found == Some(expected) {
            return damaged.map(|damage| Finding::of_record(&name, damage));
        }
        let gap = match found {
            None => "not the key of an audit entry".to_owned(),
            Some(found) if found == expected + 1 => format!("audit entry {expected} before it is gone"),
            Some(found) => {
                format!("audit entries {expected} to {} before it are gone", found.saturating_sub(1))
            }
        };
        Some(Finding::of_record(&name, gap))
    }

    /// Compares the end with what should be.
    pub(super) fn compare(&self, head: &Head) -> Option<Finding> {
        let damage = if self.end.sequence < head.sequence {
            format!(
                "the audit log should end with entry {}, and ends with {}",
                head.sequence, self.end.sequence
            )
        } else if self.end.sequence > head.sequence {
            format!("audit entries from {} on should not be there", head.sequence + 1)
        } else if self.end != head.end() {
            "the audit entries are not those that were written: the chain of their hashes differs".to_owned()
        } else {
            return None;
        };
        Some(Finding::of_record(&Head::key(), damage))
    }
}

/// Whether a walk or a backup has everything that its head tells of, looked at as it comes.
pub struct Completeness {
    survey: Survey,
    chain: Chain,
}

impl Completeness {
    /// Nothing has been looked at yet.
    pub fn new() -> Self {
        Self { survey: Survey::default(), chain: Chain::default() }
    }

    /// Says where the audit log begins that is looked at next; without that, at entry 1.
    pub fn log(&mut self, base: Base) {
        self.chain = Chain::after(base);
    }

    /// Looks at a record or an audit entry as it is stored; what is wrong with it by itself.
    pub fn look(&mut self, key: &[u8], bytes: &[u8]) -> Option<Finding> {
        if head::counts(key) { self.survey.look(key, bytes) } else { self.chain.follow(key, bytes) }
    }

    /// Looks at what became of a record.
    pub fn correct(&mut self, key: &[u8], before: Option<&record::Header>, after: Option<&[u8]>) {
        self.survey.correct(key, before, after);
    }

    /// What is missing or too much by the head.
    pub fn compare(&self, head: &Head) -> Vec<Finding> {
        let chain = if self.chain.start == head.base {
            self.chain.compare(head)
        } else {
            let damage = "the audit log was not read from where it begins";
            Some(Finding::of_record(&Head::key(), damage))
        };
        self.survey.compare(head).into_iter().chain(chain).collect()
    }
}

impl Default for Completeness {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether the oldest audit entry is the one that the head tells of.
fn compare_beginning(db: &::sled::Db, head: &Head) -> Result<Option<Finding>, Unreadable> {
    let Some(oldest) = walk::oldest(db)? else { return Ok(None) };
    let expected = head.base.sequence.saturating_add(1);
    let damage = format!("the audit log should begin with entry {expected}, and begins with {oldest}");
    Ok((oldest != expected).then(|| Finding::of_record(&Head::key(), damage)))
}

/// Compares the database's head with the file `head`, and the audit log from there on with the database's head.
pub(super) fn compare_with_file(
    folder: &Path,
    db: &::sled::Db,
    store: StoreId,
    head: &Head,
    file: Option<&Result<Remembered, NeitherSlotIsWhole>>,
) -> Result<Vec<Finding>, Unreadable> {
    let path = head_file::path(folder);
    let finding = |damage: String| Ok(vec![Finding::of_file(&path, damage)]);
    let remembered = match file {
        None => {
            return finding("it is gone, and nothing else tells whether the database is complete".to_owned());
        }
        Some(Err(NeitherSlotIsWhole)) => return finding("neither of its two copies can be read".to_owned()),
        Some(Ok(remembered)) => remembered,
    };
    if remembered.store != store {
        return finding(format!("it belongs to another store, {}", hex(remembered.store)));
    }
    let told = &remembered.head;
    if told.version > head.version {
        let lost = match (head.sequence.saturating_add(1), told.sequence) {
            (first, last) if first > last => "changes without audit entries".to_owned(),
            (first, last) if first == last => format!("audit entry {first} and its changes"),
            (first, last) => format!("audit entries {first} to {last} and their changes"),
        };
        return finding(format!(
            "it tells of {lost} that the database has lost, or never had if it was copied"
        ));
    }
    if told.version == head.version && !told.agrees_with(head) {
        return finding("it tells of another state of the same age than the database".to_owned());
    }
    let mut findings: Vec<_> = compare_beginning(db, head)?.into_iter().collect();
    // Retention may have removed entries that the file did not know yet.
    let from = if head.base.sequence > told.sequence { head.base } else { told.end() };
    let mut chain = Chain::after(from);
    // To the end of all numbers: entries after the last one are found as well.
    for entry in walk::audit(db, from.sequence.saturating_add(1), u64::MAX) {
        let (key, bytes) = entry?;
        findings.extend(chain.follow(&key, &bytes));
    }
    findings.extend(chain.compare(head));
    Ok(findings)
}
