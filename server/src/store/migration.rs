//! Stores of older formats, brought up to this program's.
//!
//! | from | what is done |
//! |---|---|
//! | 1 | sessions, enrolment tokens and refresh tokens are removed, because their fields have changed: everybody signs in again. Then everything is read, and its head is written, beside the database and in it |
//! | 2 to 5 | everything is read and compared with its head; what accounts, sessions and refresh tokens have got since is appended to them, see [`upgraded`]; the log by account is made, and a head is written that tells where the audit log begins |

use std::io;

use sidekey_core::time::UnixTime;

use super::about::{self, About};
use super::activity;
use super::engine::Version;
use super::head::{Head, HeadKey};
use super::head_file;
use super::inspection::Inspection;
use super::integrity::{Chain, Completeness, Finding, Survey};
use super::keys::{Key, Kind};
use super::open_error::OpenError;
use super::record;
use super::walk;
use crate::audit;

/// Between two reports of progress, in records.
const STRIDE: u64 = 1_000;

impl Inspection {
    /// Brings the store up to this program's format. Its last write is what makes it one of the new format: whatever interrupts
    /// it, it can be run again. `key` seals the head of a store that has something sealed in it.
    ///
    /// # Errors
    /// The store is damaged or cannot be written.
    pub fn migrate(self, key: Option<&HeadKey>, progress: &mut dyn FnMut(u64)) -> Result<(), OpenError> {
        let path = self.folder.path();
        let damaged = |error: &dyn std::fmt::Display| OpenError::damaged(path, error);
        let mut done = 0_u64;
        let mut count = || {
            done += 1;
            if done.is_multiple_of(STRIDE) {
                progress(done);
            }
        };
        let refuse = |finding: Option<Finding>| finding.map_or(Ok(()), |finding| Err(damaged(&finding)));
        let from = self.about.format;
        let old = match from {
            ..about::FORMAT_OF_HEAD => None,
            _ => Some(self.intact_head(key)?),
        };
        let base = old.as_ref().map(Head::base).unwrap_or_default();
        let (mut survey, mut chain, mut latest) =
            (Survey::default(), Chain::after(base), UnixTime::default());
        let mut before = Completeness::new();
        before.log(base);
        let mut writes = ::sled::Batch::default();
        for entry in walk::records(&self.db) {
            let (key, bytes) = entry.map_err(|error| damaged(&error))?;
            let name = Key::from_bytes(&key);
            refuse(before.look(&key, &bytes))?;
            if from < about::FORMAT_OF_HEAD && is_of_a_login(&name) {
                writes.remove(key);
            } else {
                let stored = record::decode(&name, &bytes).map_err(|error| damaged(&error))?;
                let changed = upgraded(from, &name, &stored.value);
                let changed = changed.map(|value| record::encode(&name, stored.version, &value));
                refuse(survey.look(&key, changed.as_deref().unwrap_or(&bytes)))?;
                if let Some(changed) = changed {
                    writes.insert(key, changed);
                }
            }
            count();
        }
        for entry in walk::audit(&self.db, 0, u64::MAX) {
            let (key, bytes) = entry.map_err(|error| damaged(&error))?;
            refuse(chain.follow(&key, &bytes))?;
            refuse(before.look(&key, &bytes))?;
            let (_, value) =
                record::check(&Key::from_bytes(&key), &bytes).map_err(|error| damaged(&error))?;
            latest = latest.max(audit::made_at(value).unwrap_or_default());
            count();
        }
        let failed = |error: ::sled::Error| OpenError::io(&self.folder.database(), io::Error::other(error));
        let mut head = Head { version: self.about.runs << super::sled::RUN_BITS, latest, ..Head::default() };
        if let Some(old) = old {
            // What is gone already must not become what should be there.
            refuse(before.compare(&old).into_iter().next())?;
            (head.version, head.latest) = (head.version.max(old.version), latest.max(old.latest));
        }
        self.note_activity(Version(head.version))?;
        survey.enter(&mut head);
        chain.enter(&mut head);
        if let Some(key) = key {
            head.seal(&self.about.id, key);
        }
        let about = About { format: about::FORMAT, ..self.about };
        // The file comes first: the format says that it is there.
        head_file::create(path, &about.id, &head.encode())
            .map_err(|error| OpenError::io(&head_file::path(path), error))?;
        for (key, value) in [(About::key(), &about.encode()[..]), (Head::key(), &head.encode())] {
            writes.insert(key.as_bytes(), record::encode(&key, Version(head.version), value));
        }
        self.db.apply_batch(writes).map_err(failed)?;
        self.db.flush().map_err(failed)?;
        self.folder.settle_database()
    }

    /// The head, in accordance with the file `head` and the key.
    fn intact_head(&self, key: Option<&HeadKey>) -> Result<Head, OpenError> {
        let damaged = |error: &dyn std::fmt::Display| OpenError::damaged(self.folder.path(), error);
        let (head, findings) = self.head()?;
        if let Some(finding) = findings.first() {
            return Err(damaged(finding));
        }
        let head = head.filter(|head| key.is_none_or(|key| head.is_sealed_by(&self.about.id, key)));
        head.ok_or_else(|| damaged(&"the head's seal is not of this store and its master key"))
    }

    /// Makes the log by account, in writes of their own: until the format is the new one, nobody looks at it.
    fn note_activity(&self, version: Version) -> Result<(), OpenError> {
        let failed = |error: ::sled::Error| OpenError::io(&self.folder.database(), io::Error::other(error));
        let (mut writes, mut waiting) = (::sled::Batch::default(), 0_u64);
        for entry in walk::audit(&self.db, 0, u64::MAX) {
            let (key, bytes) = entry.map_err(failed)?;
            let sequence = Key::from_bytes(&key).audit_sequence();
            let found = sequence.zip(bytes.get(record::HEADER..));
            if let Some(note) = found.and_then(|(sequence, entry)| activity::note(sequence, entry)) {
                writes.insert(note.as_bytes(), record::encode(&note, version, &[]));
                waiting += 1;
            }
            if waiting == STRIDE {
                waiting = 0;
                self.db.apply_batch(std::mem::take(&mut writes)).map_err(failed)?;
            }
        }
        self.db.apply_batch(writes).map_err(failed)
    }
}

/// What records have got, and in which format: new fields stand at the end of a record and begin with the value that nothing has
/// happened to them.
const GAINED: &[(u16, Kind, &[u8])] = &[
    // Not handed over.
    (3, Kind::Session, &[0]),
    // No return code, no link to the account page, no second factor on pages, never signed out everywhere.
    (3, Kind::RefreshFamily, &[0, 0, 0, 0, 0, 0]),
    // Never signed out everywhere.
    (3, Kind::Account, &[0]),
    // What pages were given counts for the first page login.
    (4, Kind::RefreshFamily, &[0]),
    // For no action.
    (4, Kind::Session, &[0]),
    // Backup codes that were made here.
    (5, Kind::Account, &[0]),
    // No disabled device.
    (6, Kind::Account, &[0]),
];

/// The value of a record of format `from` as this program has it; `None` if it is the same.
pub(crate) fn upgraded(from: u16, key: &Key, value: &[u8]) -> Option<Vec<u8>> {
    let kind = key.kind()?;
    let gained: Vec<u8> = GAINED
        .iter()
        .filter(|(format, of, _)| *of == kind && from < *format)
        .flat_map(|(_, _, bytes)| *bytes)
        .copied()
        .collect();
    (!gained.is_empty()).then(|| [value, &gained].concat())
}

/// Whether it is the key of a session, an enrolment token or refresh tokens, or of a note of their end.
fn is_of_a_login(key: &Key) -> bool {
    match key.kind() {
        Some(Kind::Session | Kind::EnrollmentToken | Kind::RefreshFamily) => true,
        Some(Kind::Expiry) => key.expiring().is_some_and(|(_, ending)| is_of_a_login(&ending)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use postcard::{from_bytes, to_stdvec};
    use sidekey_core::{
        account::Account,
        id::{AccountId, AppId, LoginId, UserId},
        import::CodeForm,
        login::Grant,
        refresh::Family,
        session::{Opening, Purpose, Session},
    };
    use tempfile::TempDir;

    use super::*;
    use crate::{
        entropy::Entropy,
        keyring::{Keyring, MasterKey},
        store::{Batch, Engine as _, FORMAT, SledEngine, codec, sled::Options},
    };

    const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

    /// A session and a login, as this program makes them.
    fn of_a_login() -> (Session, Family) {
        let id = AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse("42").unwrap() };
        let account = Account::new(id, NOW, &mut Entropy);
        let login = LoginId::generate(&mut Entropy);
        let opening =
            Opening { purpose: Purpose::Login, login, remember_me: true, return_url: None, action: None };
        let session = Session::open(&account, opening, NOW, &mut Vec::new());
        let grant = Grant { login, second_factor: None, remember_me: true };
        (session, Family::start(&account, grant, NOW))
    }

    /// What records of a kind have got since a format.
    fn gained_since(format: u16, kind: Kind) -> Vec<u8> {
        let since = GAINED.iter().filter(|(in_format, of, _)| *of == kind && *in_format > format);
        since.flat_map(|(_, _, bytes)| *bytes).copied().collect()
    }

    /// A store with both of them, and an inspection of it in which they are of an older format.
    async fn of_format(format: u16, folder: &TempDir, session: &Session, family: &Family) -> Inspection {
        let engine = SledEngine::open(folder.path(), &Options::new([7; 16])).unwrap();
        let keys = [codec::session_key(&[9; 32]), codec::family_key("shop", family.login)];
        let values = [to_stdvec(session).unwrap(), to_stdvec(family).unwrap()];
        let mut batch = Batch::new();
        batch.decided_at(NOW);
        for (key, value) in keys.iter().zip(values) {
            let new = gained_since(format, key.kind().unwrap());
            batch.put(key.clone(), value.strip_suffix(&new[..]).unwrap().to_vec());
        }
        engine.commit(batch).await.unwrap();
        closed(folder, engine, format).await
    }

    /// An inspection of a store that says to be of an older format.
    async fn closed(folder: &TempDir, engine: SledEngine, format: u16) -> Inspection {
        engine.close().await.unwrap();
        drop(engine);
        let inspection = Inspection::open(folder.path()).unwrap();
        let about = About { format, id: [7; 16], runs: inspection.about.runs };
        let bytes = record::encode(&About::key(), Version(1), &about.encode());
        inspection.db.insert(About::key().as_bytes(), bytes).unwrap();
        drop(inspection);
        Inspection::open(folder.path()).unwrap()
    }

    #[tokio::test]
    async fn a_log_that_was_trimmed_in_format_3_begins_where_it_began() {
        let folder = TempDir::new().unwrap();
        let engine = SledEngine::open(folder.path(), &Options::new([7; 16])).unwrap();
        let mut batch = Batch::new();
        for number in 1..=5_u64 {
            batch.append(format!(r#"{{"at":{number}}}"#).into_bytes());
        }
        engine.commit(batch).await.unwrap();
        let mut batch = Batch::new();
        batch.trim(1..=3);
        engine.commit(batch).await.unwrap();
        closed(&folder, engine, 3).await.migrate(None, &mut |_| {}).unwrap();
        let engine = SledEngine::open(folder.path(), &Options::new([7; 16])).unwrap();
        assert_eq!(engine.audit_log(), 4..=5);
    }

    #[tokio::test]
    async fn logins_of_older_formats_go_on_as_they_were() {
        for format in 2..FORMAT {
            goes_on_from(format).await;
        }
    }

    async fn goes_on_from(format: u16) {
        let folder = TempDir::new().unwrap();
        let (session, family) = of_a_login();
        of_format(format, &folder, &session, &family).await.migrate(None, &mut |_| {}).unwrap();
        let engine = SledEngine::open(folder.path(), &Options::new([7; 16])).unwrap();
        let stored = engine.get(&codec::session_key(&[9; 32])).await.unwrap().unwrap();
        assert_eq!(from_bytes::<Session>(&stored.value), Ok(session));
        let stored = engine.get(&codec::family_key("shop", family.login)).await.unwrap().unwrap();
        assert_eq!(from_bytes::<Family>(&stored.value), Ok(family));
        assert!(engine.high_water() >= NOW, "time does not go back");
    }

    #[test]
    fn an_account_of_an_older_format_has_what_it_had_backup_codes_made_here_and_no_disabled_device() {
        let keyring = Keyring::new(MasterKey::generate(&mut Entropy));
        let id = AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse("42").unwrap() };
        let (key, account) = (codec::account_key(&id), Account::new(id, NOW, &mut Entropy));
        let value = codec::encode_account(&keyring, account.clone()).unwrap();
        for from in 1..FORMAT {
            let before = value.strip_suffix(&gained_since(from, Kind::Account)[..]).unwrap();
            assert!(codec::decode_account(&keyring, &key, before).is_err(), "format {from} lacks something");
            let changed = upgraded(from, &key, before).unwrap();
            assert_eq!(codec::decode_account(&keyring, &key, &changed), Ok(account.clone()));
        }
        assert_eq!(account.backup_code_form(), CodeForm::Native);
        assert!(account.disabled_devices().is_empty());
        assert_eq!(upgraded(FORMAT, &key, &value), None);
    }

    #[tokio::test]
    async fn what_is_missing_in_format_2_is_told_and_not_forgotten() {
        let folder = TempDir::new().unwrap();
        let (session, family) = of_a_login();
        let inspection = of_format(2, &folder, &session, &family).await;
        inspection.db.remove(codec::session_key(&[9; 32]).as_bytes()).unwrap();
        let refused = inspection.migrate(None, &mut |_| {}).unwrap_err();
        assert!(refused.to_string().contains("1 of them"), "{refused}");
    }
}
