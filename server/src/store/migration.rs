//! Stores of older formats, brought up to this program's.
//!
//! | from | what is done |
//! |---|---|
//! | 1 | sessions, enrolment tokens and refresh tokens are removed, because their fields have changed: everybody signs in again. Then everything is read, and its head is written, beside the database and in it |

use std::io;

use serde::Deserialize;
use sidekey_core::time::UnixTime;

use super::about::{self, About};
use super::engine::Version;
use super::head::{Head, HeadKey};
use super::head_file;
use super::inspection::Inspection;
use super::integrity::{Chain, Finding, Survey};
use super::keys::{Key, Kind};
use super::open_error::OpenError;
use super::record;
use super::walk;

/// Between two reports of progress, in records.
const STRIDE: u64 = 1_000;

/// What is looked at of an audit entry.
#[derive(Deserialize)]
struct Dated {
    at: UnixTime,
}

impl Inspection {
    /// The value of a record about the store.
    ///
    /// # Errors
    /// It is damaged.
    pub fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, OpenError> {
        let key = Key::meta(name);
        let damaged = |error: &dyn std::fmt::Display| OpenError::damaged(self.folder.path(), error);
        let bytes = self.db.get(key.as_bytes()).map_err(|error| damaged(&error))?;
        let record = bytes.map(|bytes| record::decode(&key, &bytes)).transpose();
        Ok(record.map_err(|error| damaged(&error))?.map(|record| record.value))
    }

    /// Brings the store up to this program's format. Its last write is what makes it one of the new format: whatever interrupts
    /// it, it can be run again. `key` seals the head of a store that has something sealed in it.
    ///
    /// # Errors
    /// The store is damaged or cannot be written.
    pub fn migrate(self, key: Option<&HeadKey>, progress: &mut dyn FnMut(u64)) -> Result<(), OpenError> {
        let path = self.folder.path();
        let damaged = |error: &dyn std::fmt::Display| OpenError::damaged(path, error);
        let (mut survey, mut chain, mut latest) = (Survey::default(), Chain::new(), UnixTime::default());
        let mut done = 0_u64;
        let mut count = || {
            done += 1;
            if done.is_multiple_of(STRIDE) {
                progress(done);
            }
        };
        let refuse = |finding: Option<Finding>| finding.map_or(Ok(()), |finding| Err(damaged(&finding)));
        let mut removed = ::sled::Batch::default();
        for entry in walk::records(&self.db) {
            let (key, bytes) = entry.map_err(|error| damaged(&error))?;
            if is_of_a_login(&Key::from_bytes(&key)) {
                removed.remove(key);
            } else {
                refuse(survey.look(&key, &bytes))?;
            }
            count();
        }
        for entry in walk::audit(&self.db, 0, u64::MAX) {
            let (key, bytes) = entry.map_err(|error| damaged(&error))?;
            refuse(chain.follow(&key, &bytes))?;
            let (_, value) =
                record::check(&Key::from_bytes(&key), &bytes).map_err(|error| damaged(&error))?;
            if let Ok(Dated { at }) = serde_json::from_slice(value) {
                latest = latest.max(at);
            }
            count();
        }
        let failed = |error: ::sled::Error| OpenError::io(&self.folder.database(), io::Error::other(error));
        self.db.apply_batch(removed).map_err(failed)?;
        let mut head = Head { version: self.about.runs << super::sled::RUN_BITS, latest, ..Head::default() };
        survey.enter(&mut head);
        chain.enter(&mut head);
        if let Some(key) = key {
            head.seal(&self.about.id, key);
        }
        let about = About { format: about::FORMAT, ..self.about };
        // The file comes first: the format says that it is there.
        head_file::create(path, &about.id, &head.encode())
            .map_err(|error| OpenError::io(&head_file::path(path), error))?;
        let mut writes = ::sled::Batch::default();
        for (key, value) in [(About::key(), &about.encode()[..]), (Head::key(), &head.encode())] {
            writes.insert(key.as_bytes(), record::encode(&key, Version(head.version), value));
        }
        self.db.apply_batch(writes).map_err(failed)?;
        self.db.flush().map_err(failed)?;
        self.folder.settle_database()
    }
}

/// Whether it is the key of a session, an enrolment token or refresh tokens, or of a note of their end.
fn is_of_a_login(key: &Key) -> bool {
    match key.kind() {
        Some(Kind::Session | Kind::EnrollmentToken | Kind::RefreshFamily) => true,
        Some(Kind::Expiry) => key.expiring().is_some_and(|(_, ending)| is_of_a_login(&ending)),
        _ => false,
    }
}
