//! A walk over everything that is stored, as it is at one moment, while commits go on: for backups and `sidekey verify`.
//!
//! A scan is no snapshot. So the committer takes part, and the moment is one between two groups:
//!
//! 1. Between two groups it begins to note every record that a group changes, *before* that group is written ([`Drift`]).
//! 2. The walk scans the records page by page. Of each page it leaves out what has been noted, hands over the rest, and moves
//!    its cursor past the page; leaving out and moving are one step for the committer.
//! 3. Between two later groups the noting ends. This is the moment. What was noted is handed over as corrections, each with the
//!    record that it replaces if that was handed over before.
//! 4. Audit entries up to the moment never change, and the committer removes none before the walk is over. They are scanned
//!    last, and after them the notes of the log by account for whoever compares those.
//!
//! Why that is the state of the moment: a record that no group changed in between was there all the time, and was scanned. Of
//! one that was changed, the last note is its state at the moment. It was scanned as well if and only if the cursor had passed
//! it when it was first noted: before, it had not been noted and was handed over; afterwards, its page leaves it out. And none
//! of this needs to be believed: the head of the moment has number, digest and chain of all that must have been handed over,
//! and whoever walks compares them.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::engine::StoreError;
use super::head::{self, Base, Head};
use super::keys::{Key, Kind};
use super::record::{HEADER, Header};

#[cfg(test)]
mod tests;

/// Records that are read at once.
const PAGE: usize = 500;
/// Most bytes of changes that are noted; a walk that takes so long is given up.
const MAX_DRIFT: usize = 256 << 20;

/// Whoever looks at what a walk finds. A refusal ends the walk.
pub trait Visitor: Send {
    /// How many records and audit entries there are, about: before the first one.
    fn total(&mut self, total: u64);

    /// A record or an audit entry, as it is stored. First come all records, then all audit entries in order.
    ///
    /// # Errors
    /// The walk shall end, and why.
    fn record(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), String>;

    /// What became of a record meanwhile: the header of the state that was handed over before, if any, and what is stored
    /// now, if anything. Between the records and the audit entries.
    ///
    /// # Errors
    /// The walk shall end, and why.
    fn correction(&mut self, key: &[u8], before: Option<&Header>, after: Option<&[u8]>)
    -> Result<(), String>;

    /// Where the audit log begins: between the records and the audit entries.
    ///
    /// # Errors
    /// The walk shall end, and why.
    fn log(&mut self, base: Base) -> Result<(), String>;

    /// Whether it looks at the notes of the log by account.
    fn compares_notes(&self) -> bool {
        false
    }

    /// A note of the log by account, after the audit entries.
    fn note(&mut self, _key: &[u8]) {}
}

/// What groups changed since a walk began.
#[derive(Default)]
pub(super) struct Drift {
    noted: Mutex<Noted>,
    /// Whether of what is stored now the header is enough.
    headers_only: bool,
}

#[derive(Default)]
struct Noted {
    /// Everything up to this key has been handed over or left out.
    cursor: Vec<u8>,
    changes: HashMap<Vec<u8>, Change>,
    bytes: usize,
}

impl Noted {
    fn check_size(&self) -> Result<(), StoreError> {
        if !self.is_too_much() {
            return Ok(());
        }
        let reason = "too much changed while everything was read: try again when the server has less to do";
        Err(StoreError::Unavailable(reason.to_owned()))
    }

    fn is_too_much(&self) -> bool {
        self.bytes > MAX_DRIFT
    }
}

struct Change {
    before: Option<Header>,
    after: Option<Vec<u8>>,
}

impl Drift {
    /// For a survey, which looks at headers only and asks for no audit entries.
    pub(super) fn of_survey() -> Self {
        Self { headers_only: true, ..Self::default() }
    }

    pub(super) fn is_of_survey(&self) -> bool {
        self.headers_only
    }

    /// Whether more has changed than is noted.
    pub(super) fn is_too_much(&self) -> bool {
        self.lock().is_too_much()
    }

    /// Notes a record that is about to change.
    pub(super) fn note(&self, key: &[u8], before: Option<&Header>, after: Option<&[u8]>) {
        if !head::counts(key) {
            return;
        }
        let mut noted = self.lock();
        if noted.is_too_much() {
            return;
        }
        let after =
            after.map(|bytes| if self.headers_only { bytes.get(..HEADER).unwrap_or(bytes) } else { bytes });
        noted.bytes += key.len() + after.map_or(0, <[u8]>::len);
        let passed = key <= noted.cursor.as_slice();
        let change = noted
            .changes
            .entry(key.to_vec())
            .or_insert_with(|| Change { before: before.filter(|_| passed).copied(), after: None });
        change.after = after.map(<[u8]>::to_vec);
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves out what has been noted, and moves the cursor past the page.
    fn pass(&self, page: &mut Vec<(::sled::IVec, ::sled::IVec)>) -> Result<(), StoreError> {
        let mut noted = self.lock();
        noted.check_size()?;
        if let Some((last, _)) = page.last() {
            noted.cursor = last.to_vec();
        }
        page.retain(|(key, _)| !noted.changes.contains_key(&key[..]));
        Ok(())
    }
}

/// What the committer does for a walk: begins or ends the noting, and gives the head of that moment.
pub(super) type Ask<'a> = &'a dyn Fn(Arc<Drift>) -> Result<Head, StoreError>;

/// Walks.
pub(super) fn walk(
    db: &::sled::Db,
    visitor: &mut dyn Visitor,
    begin: Ask<'_>,
    end: Ask<'_>,
) -> Result<Head, StoreError> {
    let refused = StoreError::Unavailable;
    let drift = Arc::<Drift>::default();
    let head = walk_records(db, visitor, &drift, begin, end)?;
    visitor.log(head.base()).map_err(refused)?;
    for entry in audit(db, 1, head.sequence()) {
        let (key, bytes) = entry.map_err(super::sled::unreadable)?;
        visitor.record(&key, &bytes).map_err(refused)?;
    }
    show_notes(db, visitor, head.sequence())?;
    // Until here, so that no entry was removed meanwhile.
    drop(drift);
    Ok(head)
}

/// The part of a walk that shows the records, and what became of them.
pub(super) fn walk_records(
    db: &::sled::Db,
    visitor: &mut dyn Visitor,
    drift: &Arc<Drift>,
    begin: Ask<'_>,
    end: Ask<'_>,
) -> Result<Head, StoreError> {
    let refused = StoreError::Unavailable;
    let first = begin(Arc::clone(drift))?;
    visitor.total(first.records() + first.audit_entries());

    let mut records = records(db);
    loop {
        let mut page =
            records.by_ref().take(PAGE).collect::<Result<Vec<_>, _>>().map_err(super::sled::unreadable)?;
        if page.is_empty() {
            break;
        }
        drift.pass(&mut page)?;
        for (key, bytes) in page {
            visitor.record(&key, &bytes).map_err(refused)?;
        }
    }
    let head = end(Arc::clone(drift))?;
    let noted = std::mem::take(&mut *drift.lock());
    noted.check_size()?;
    for (key, change) in &noted.changes {
        visitor.correction(key, change.before.as_ref(), change.after.as_deref()).map_err(refused)?;
    }
    Ok(head)
}

/// Shows the notes of the audit entries up to a number, if the visitor looks at them.
pub(super) fn show_notes(db: &::sled::Db, visitor: &mut dyn Visitor, last: u64) -> Result<(), StoreError> {
    if !visitor.compares_notes() {
        return Ok(());
    }
    for entry in db.scan_prefix(Key::of(Kind::Activity).as_bytes()) {
        let (key, _) = entry.map_err(super::sled::unreadable)?;
        if Key::from_bytes(&key).activity_sequence().is_none_or(|sequence| sequence <= last) {
            visitor.note(&key);
        }
    }
    Ok(())
}

type Entries<'a> = Box<dyn Iterator<Item = ::sled::Result<(::sled::IVec, ::sled::IVec)>> + 'a>;

/// Part of the keys.
pub(super) type Range = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// Where the records lie that a head counts: around the audit log and its notes by account, which are the longest parts by far.
pub(super) fn ranges() -> [Range; 3] {
    let from = |kind: Kind| Bound::Included(vec![kind as u8 + 1]);
    let to = |kind: Kind| Bound::Excluded(vec![kind as u8]);
    [
        (Bound::Unbounded, to(Kind::Audit)),
        (from(Kind::Audit), to(Kind::Activity)),
        (from(Kind::Activity), Bound::Unbounded),
    ]
}

/// All records that a head counts, and nothing else.
pub(super) fn records(db: &::sled::Db) -> Entries<'_> {
    Box::new(ranges().into_iter().flat_map(|range| records_of(db, range)))
}

/// Those of a range.
pub(super) fn records_of(db: &::sled::Db, range: Range) -> Entries<'_> {
    Box::new(db.range(range).filter(|entry| entry.as_ref().map_or(true, |(key, _)| head::counts(key))))
}

/// The number of the oldest audit entry.
pub(super) fn oldest(db: &::sled::Db) -> ::sled::Result<Option<u64>> {
    let first = audit(db, 0, u64::MAX).next().transpose()?;
    Ok(first.and_then(|(key, _)| Key::from_bytes(&key).audit_sequence()))
}

/// The audit entries from one number to another.
pub(super) fn audit(db: &::sled::Db, first: u64, last: u64) -> Entries<'_> {
    if first > last {
        return Box::new(std::iter::empty());
    }
    Box::new(db.range(Key::audit(first).as_bytes()..=Key::audit(last).as_bytes()))
}
