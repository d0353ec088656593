//! Whether every record can be read and nothing is missing.
//!
//! Looked at are: the checksum of every record, its fields, its place, every sealed secret (with the master key), the chain
//! of the audit log from its oldest entry on, the log by account, number and digest of all records, the head's seal (with the
//! master key), and, where no server runs, the file `head`.

use std::sync::{Arc, Mutex, PoisonError};

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::apps;
use crate::keyring::unlock::{PEPPER_RECORD, SENTINEL_RECORD, head_key, open_records};
use crate::keyring::{Keyring, UnlockError};
use crate::store::activity::Comparison;
use crate::store::head::{Base, Head};
use crate::store::integrity::{Completeness, Finding};
use crate::store::migration::upgraded;
use crate::store::record::{self, Header};
use crate::store::walk::Visitor;
use crate::store::{Engine, FORMAT, Inspection, Key, Kind, OpenError, Record, StoreError, StoreId, codec};
use crate::token;

use super::OnProgress;
use crate::operators;
use crate::outbox;
use crate::statistics;

/// Most findings that are listed; the others are counted.
const MAX_LISTED: usize = 1_000;
/// Between two reports of progress, in records.
const STRIDE: u64 = 1_000;

/// What a check has found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The store's format.
    pub format: u16,
    /// How many records there are, by kind: apps, accounts, and so on.
    pub tally: Tally,
    /// Whether sealed secrets were opened, and the head's seal checked.
    pub with_key: bool,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// How many more findings there are than are listed.
    pub unlisted: u64,
}

/// How much of everything there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Records and audit entries.
    pub records: u64,
    /// Host applications.
    pub apps: u64,
    /// Accounts.
    pub accounts: u64,
    /// Sealed TOTP secrets, of active and of pending devices.
    pub secrets: u64,
    /// Audit entries.
    pub audit_entries: u64,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty() && self.unlisted == 0
    }
}

/// Checks a store that no server has open. `keyring` opens what is sealed.
///
/// # Errors
/// The file `head` cannot be read.
pub fn check_store(
    inspection: &Inspection,
    keyring: Option<Arc<Keyring>>,
    progress: OnProgress<'_>,
) -> Result<Report, OpenError> {
    let (head, findings) = inspection.head()?;
    let mut checker = Checker {
        format: inspection.format(),
        has_notes: inspection.format() == FORMAT,
        ..Checker::new(inspection.store(), keyring)
    };
    checker.note_all(findings);
    let mut visitor = Reporting { checker, progress, total: 0 };
    // What could not be read through is not counted: it would look as if the rest was gone.
    let counted = match inspection.visit(&mut visitor) {
        Ok(()) => head.as_ref(),
        Err(error) => {
            let place = format!("file `{}`", inspection.file().display());
            let damage = format!("{}; what comes after it was not looked at", error.damage());
            visitor.checker.note(Finding { place, damage });
            None
        }
    };
    Ok(visitor.checker.finish(inspection.format(), counted))
}

/// Checks everything that `show` shows of a store, and whether it is what the head tells of.
///
/// # Errors
/// Those of `show`.
pub fn check_shown(
    store: StoreId,
    keyring: Option<Arc<Keyring>>,
    head: &Head,
    progress: OnProgress<'_>,
    show: impl FnOnce(&mut dyn Visitor) -> Result<(), StoreError>,
) -> Result<Report, StoreError> {
    let checker = Checker { has_notes: true, ..Checker::new(store, keyring) };
    let mut visitor = Reporting { checker, progress, total: 0 };
    show(&mut visitor)?;
    Ok(visitor.checker.finish(FORMAT, Some(head)))
}

struct Reporting<'a> {
    checker: Checker,
    progress: OnProgress<'a>,
    total: u64,
}

impl Visitor for Reporting<'_> {
    fn total(&mut self, total: u64) {
        self.total = total;
    }

    fn record(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), String> {
        self.checker.record(key, bytes);
        if self.checker.tally.records.is_multiple_of(STRIDE) {
            (self.progress)(self.checker.tally.records, self.total);
        }
        Ok(())
    }

    fn correction(
        &mut self,
        key: &[u8],
        before: Option<&Header>,
        after: Option<&[u8]>,
    ) -> Result<(), String> {
        self.checker.correct(key, before, after);
        Ok(())
    }

    fn log(&mut self, base: Base) -> Result<(), String> {
        self.checker.log(base);
        Ok(())
    }

    fn compares_notes(&self) -> bool {
        true
    }

    fn note(&mut self, key: &[u8]) {
        self.checker.activity(key);
    }
}

/// Checks the store of a running server. `progress` may block.
///
/// # Errors
/// The store is not available, or too much changed meanwhile.
pub async fn check_engine(
    engine: &dyn Engine,
    keyring: Option<Arc<Keyring>>,
    progress: impl FnMut(u64, u64) + Send + 'static,
) -> Result<Report, StoreError> {
    let mut checker = Checker::new(engine.id(), keyring);
    checker.has_notes = true;
    let shared = Arc::new(Mutex::new(Shared { checker, progress: Box::new(progress), total: 0 }));
    let head = engine.walk(Box::new(SharedVisitor(Arc::clone(&shared)))).await?;
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let checker = std::mem::replace(&mut shared.checker, Checker::new(engine.id(), None));
    Ok(checker.finish(crate::store::FORMAT, Some(&head)))
}

struct Shared {
    checker: Checker,
    progress: Box<dyn FnMut(u64, u64) + Send>,
    total: u64,
}

struct SharedVisitor(Arc<Mutex<Shared>>);

impl Visitor for SharedVisitor {
    fn total(&mut self, total: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).total = total;
    }

    fn record(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), String> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Shared { checker, progress, total } = &mut *shared;
        checker.record(key, bytes);
        if checker.tally.records.is_multiple_of(STRIDE) {
            progress(checker.tally.records, *total);
        }
        Ok(())
    }

    fn correction(
        &mut self,
        key: &[u8],
        before: Option<&Header>,
        after: Option<&[u8]>,
    ) -> Result<(), String> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shared.checker.correct(key, before, after);
        Ok(())
    }

    fn log(&mut self, base: Base) -> Result<(), String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).checker.log(base);
        Ok(())
    }

    fn compares_notes(&self) -> bool {
        true
    }

    fn note(&mut self, key: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).checker.activity(key);
    }
}

/// Checks records one by one, and in the end whether they are all.
pub struct Checker {
    format: u16,
    store: StoreId,
    keyring: Option<Arc<Keyring>>,
    completeness: Completeness,
    /// The log by account, where there is one: not in backups and in old formats.
    comparison: Comparison,
    has_notes: bool,
    sentinel: Option<Vec<u8>>,
    pepper: Option<Vec<u8>>,
    tally: Tally,
    findings: Vec<Finding>,
    unlisted: u64,
}

impl Checker {
    /// For the records of one store.
    pub fn new(store: StoreId, keyring: Option<Arc<Keyring>>) -> Self {
        Self {
            format: FORMAT,
            store,
            keyring,
            completeness: Completeness::new(),
            comparison: Comparison::default(),
            has_notes: false,
            sentinel: None,
            pepper: None,
            tally: Tally::default(),
            findings: Vec::new(),
            unlisted: 0,
        }
    }

    /// How much of everything there is so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Checks a record or an audit entry as it is stored.
    pub fn record(&mut self, key: &[u8], bytes: &[u8]) {
        self.tally.records += 1;
        let found = self.completeness.look(key, bytes);
        let is_whole = found.is_none();
        self.note_all(found);
        if is_whole {
            self.fields(key, bytes);
        }
    }

    /// Checks what became of a record that was checked before, or of a new one.
    pub fn correct(&mut self, key: &[u8], before: Option<&Header>, after: Option<&[u8]>) {
        self.completeness.correct(key, before, after);
        if let Some(bytes) = after {
            self.fields(key, bytes);
        }
    }

    /// Says where the audit log begins that is checked next.
    pub fn log(&mut self, base: Base) {
        self.completeness.log(base);
    }

    /// Checks a note of the log by account.
    fn activity(&mut self, key: &[u8]) {
        self.comparison.note(key);
    }

    fn fields(&mut self, key: &[u8], bytes: &[u8]) {
        let key = Key::from_bytes(key);
        let checked = record::decode(&key, bytes).and_then(|mut record| {
            // Fields that its format did not have are those of its migration.
            if let Some(value) = upgraded(self.format, &key, &record.value) {
                record.value = value;
            }
            self.value(&key, record)
        });
        if let Err(error) = checked {
            self.note(Finding::of_record(&key, error.damage()));
        }
    }

    fn value(&mut self, key: &Key, record: Record) -> Result<(), StoreError> {
        let damaged = |damage| StoreError::Damaged { key: key.to_string(), damage };
        match key.kind() {
            Some(Kind::Meta) => {
                match key.name(Kind::Meta) {
                    Some(SENTINEL_RECORD) => self.sentinel = Some(record.value),
                    Some(PEPPER_RECORD) => self.pepper = Some(record.value),
                    _ => {}
                }
                Ok(())
            }
            Some(Kind::App) => {
                self.tally.apps += 1;
                apps::check_record(key, &record)
            }
            Some(Kind::ApiKey | Kind::AppKey) => apps::check_record(key, &record),
            Some(Kind::SigningKey) => {
                let checked = token::check_record(self.store, self.keyring.as_deref(), key, &record);
                checked.map_err(|error| StoreError::Unavailable(error.to_string()))
            }
            Some(Kind::Account) => {
                self.tally.accounts += 1;
                let secrets = codec::check(key, &record.value, self.keyring.as_deref())?;
                self.tally.secrets += secrets as u64;
                Ok(())
            }
            Some(Kind::Expiry) => key.expiring().map(drop).ok_or_else(|| damaged("not a note of expiry")),
            Some(Kind::Audit) => {
                self.tally.audit_entries += 1;
                if let Some(sequence) = key.audit_sequence() {
                    self.comparison.entry(sequence, &record.value);
                }
                let read = serde_json::from_slice::<IgnoredAny>(&record.value);
                read.map(drop).map_err(|_| damaged("not an audit entry"))
            }
            Some(Kind::Outbox) => outbox::record::check(key, &record.value),
            Some(Kind::Statistics) => statistics::record::check(key, &record.value),
            Some(Kind::Operator | Kind::AdminSession) => operators::check_record(key, &record),
            _ => codec::check(key, &record.value, self.keyring.as_deref()).map(drop),
        }
    }

    fn note_all(&mut self, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            self.note(finding);
        }
    }

    fn note(&mut self, finding: Finding) {
        if self.findings.len() < MAX_LISTED {
            self.findings.push(finding);
        } else {
            self.unlisted += 1;
        }
    }

    /// Compares everything with the head, and gives the findings.
    pub fn finish(mut self, format: u16, head: Option<&Head>) -> Report {
        let missing = head.map(|head| self.completeness.compare(head)).unwrap_or_default();
        self.note_all(missing);
        let by_account = self.comparison.finish().filter(|_| self.has_notes && head.is_some());
        self.note_all(by_account);
        let seal = head.and_then(|head| self.check_seal(head));
        self.note_all(seal);
        Report {
            format,
            tally: self.tally,
            with_key: self.keyring.is_some(),
            findings: self.findings,
            unlisted: self.unlisted,
        }
    }

    /// What is wrong with the pepper's records or with the head's seal.
    fn check_seal(&mut self, head: &Head) -> Option<Finding> {
        let finding =
            |damage: &str| Some(Finding { place: "the head's seal".to_owned(), damage: damage.to_owned() });
        let is_there = self.pepper.is_some() || self.sentinel.is_some();
        if is_there != head.is_sealed() {
            return finding("it is gone, or what it is made with is gone");
        }
        let keyring = self.keyring.as_deref()?;
        match open_records(self.store, keyring, self.sentinel.take(), self.pepper.take()) {
            Ok(None) => None,
            Ok(Some(pepper)) if head.is_sealed_by(&self.store, &head_key(&pepper, self.store)) => None,
            Ok(Some(_)) => finding("it is not of this store and its master key"),
            Err(UnlockError::Damaged { record }) => {
                Some(Finding::of_record(&Key::meta(record), "it does not open"))
            }
            Err(error) => finding(&error.to_string()),
        }
    }
}
