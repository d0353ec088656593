//! A new store from a backup, in a new epoch.
//!
//! Nobody knows what happened between the backup and the loss. So whatever may have been used in between counts as used: the
//! store gets a new id and a new pepper, logins and sessions are left out, no code up to that of the step after now counts, and
//! no backup code is left ([`Account::restored`](sidekey_core::account::Account::restored)).
//!
//! | record | what becomes of it |
//! |---|---|
//! | app, API key | stays; a key that was revoked since is valid again |
//! | account | goes on as restored |
//! | session, enrolment token, login, list of logins, trusted browser, and the notes of their ends | left out |
//! | signing key | left out: the first start makes a new one, and every access token from before is dead |
//! | sentinel, pepper | made anew for the new store |
//! | audit entry | stays, and one more says that this is a restore; the log by account is made anew |

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use rand_core::CryptoRng;
use sidekey_core::time::UnixTime;
use tokio::runtime::Handle;

use super::OnProgress;
use super::backup_file::{End, Piece, ReadError, Reader, Title};
use super::check::{Checker, Report, Tally, check_shown, check_store};
use crate::audit::{Actor, Entry, Origin, ServerEvent};
use crate::entropy::random;
use crate::keyring::unlock::{PEPPER_RECORD, SENTINEL_RECORD, head_key, open_records, sealed_records};
use crate::keyring::{Keyring, Pepper, UnlockError};
use crate::store::integrity::Finding;
use crate::store::moving::Token;
use crate::store::postgres::filling::Pouring;
use crate::store::postgres::moving::{MoveError, Place};
use crate::store::{
    Building, FORMAT, HeadKey, Inspection, Key, Kind, OpenError, StoreError, StoreId, codec, record,
};

/// Between two reports of progress, in records.
const STRIDE: u64 = 1_000;

/// What was restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// When the backup was begun, Unix time.
    pub begun_at: UnixTime,
    /// The time from which on the store goes on, Unix time.
    pub now: UnixTime,
    /// What the new store holds.
    pub tally: Tally,
}

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The file cannot be opened.
    #[error("the backup `{}` cannot be opened: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is none, is damaged or was cut short.
    #[error("the backup cannot be used: {0}; nothing was restored, use another backup")]
    Unreadable(#[from] ReadError),
    /// The records in the file are damaged, or are not all.
    #[error("the backup cannot be used: {first}{}; nothing was restored, use another backup", further(*more))]
    Damaged {
        /// The first finding.
        first: Finding,
        /// How many more there are.
        more: u64,
    },
    /// Somebody else has made it.
    #[error("the backup was not made by a server with this store's master key; nothing was restored")]
    NotAuthentic,
    /// It is of another format of the store.
    #[error(
        "the backup has store format {found}, and this version of sidekey restores format {FORMAT}: use the version that made it"
    )]
    OtherFormat {
        /// Which one.
        found: u16,
    },
    /// The master key is another one's.
    #[error(transparent)]
    Unlock(#[from] UnlockError),
    /// The new folder cannot be used.
    #[error(transparent)]
    Folder(#[from] OpenError),
    /// The database does not take it.
    #[error(transparent)]
    Database(#[from] MoveError),
    /// A record cannot be made.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn further(more: u64) -> String {
    if more == 0 { String::new() } else { format!(", and {more} more findings") }
}

/// Restores `from` to the folder `to`, which must be empty or missing. Everything is checked before the folder is made, and
/// once more when it is done.
///
/// # Errors
/// See [`RestoreError`]. A folder that was begun is no store, and can be removed.
pub fn restore(
    from: &Path,
    to: &Path,
    keyring: &Arc<Keyring>,
    now: UnixTime,
    rng: &mut impl CryptoRng,
    progress: OnProgress<'_>,
) -> Result<Restored, RestoreError> {
    let backup = check(from, keyring, progress)?;
    let (store, now) = (random(), now.max(backup.end.head.latest()));
    let mut building = Building::begin(to, store, &backup.end.head)?;
    let key = fill(&mut building, &backup, store, now, keyring, rng, progress)?;
    building.finish(now, key.as_ref())?;
    let report = check_store(&Inspection::open(to)?, Some(Arc::clone(keyring)), progress)?;
    refuse(&report)?;
    Ok(Restored { begun_at: UnixTime::from_secs(backup.title.begun_at), now, tally: report.tally })
}

/// Restores `from` to an empty database. Everything is checked before anything is written, and once more before the database serves
/// it. Blocks: to be called outside of the runtime.
///
/// # Errors
/// See [`RestoreError`]. A database that was begun is no store, and can be removed.
pub fn restore_to_database(
    from: &Path,
    place: Place,
    keyring: &Arc<Keyring>,
    now: UnixTime,
    rng: &mut impl CryptoRng,
    runtime: &Handle,
    progress: OnProgress<'_>,
) -> Result<Restored, RestoreError> {
    let backup = check(from, keyring, progress)?;
    let (store, now) = (random(), now.max(backup.end.head.latest()));
    let mut filling = runtime.block_on(place.begin(store, Token::generate()))?;
    let mut pouring = Pouring::begin(&mut filling, runtime, &backup.end.head);
    let key = fill(&mut pouring, &backup, store, now, keyring, rng, progress)?;
    let head = pouring.finish(store, now, key.as_ref())?;
    let report = check_shown(store, Some(Arc::clone(keyring)), &head, progress, |visitor| {
        filling.read_back(runtime, &head, visitor)
    })?;
    refuse(&report)?;
    runtime.block_on(filling.enter())?;
    Ok(Restored { begun_at: UnixTime::from_secs(backup.title.begun_at), now, tally: report.tally })
}

/// A new store that takes what was restored.
trait Fill {
    fn put_stored(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), RestoreError>;
    fn put(&mut self, key: &Key, value: &[u8]) -> Result<(), RestoreError>;
    fn remove(&mut self, key: &[u8]) -> Result<(), RestoreError>;
    fn append(&mut self, entry: &[u8]) -> Result<(), RestoreError>;
}

macro_rules! fills {
    ($store:ty) => {
        impl Fill for $store {
            fn put_stored(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), RestoreError> {
                Ok(Self::put_stored(self, key, bytes)?)
            }

            fn put(&mut self, key: &Key, value: &[u8]) -> Result<(), RestoreError> {
                Ok(Self::put(self, key, value)?)
            }

            fn remove(&mut self, key: &[u8]) -> Result<(), RestoreError> {
                Ok(Self::remove(self, key)?)
            }

            fn append(&mut self, entry: &[u8]) -> Result<(), RestoreError> {
                Ok(Self::append(self, entry)?)
            }
        }
    };
}

fills!(Building);
fills!(Pouring<'_>);

/// A backup that was read from its beginning to its end and found whole.
struct Backup<'a> {
    from: &'a Path,
    title: Title,
    end: End,
    tally: Tally,
}

/// Puts everything into the new store, and the entry that says so. The key that seals its head, if it has a seal.
fn fill(
    target: &mut impl Fill,
    backup: &Backup<'_>,
    store: StoreId,
    now: UnixTime,
    keyring: &Keyring,
    rng: &mut impl CryptoRng,
    progress: OnProgress<'_>,
) -> Result<Option<HeadKey>, RestoreError> {
    let Backup { from, title, end, tally } = backup;
    let mut done = 0_u64;
    open(from)?.read(|piece| {
        done += 1;
        if done.is_multiple_of(STRIDE) {
            progress(done, tally.records);
        }
        take(target, piece, now, rng)
    })?;
    let origin = Origin::local(Actor::Operator, now);
    let event = ServerEvent::Restored { store: HEXLOWER.encode(&title.store), begun_at: title.begun_at };
    target.append(&Entry::of_server(None, &origin, &event).to_bytes())?;
    if !end.head.is_sealed() {
        return Ok(None);
    }
    let pepper = Pepper::generate(rng);
    for (key, value) in sealed_records(store, keyring, &pepper, rng) {
        target.put(&key, &value)?;
    }
    Ok(Some(head_key(&pepper, store)))
}

fn open(path: &Path) -> Result<Reader<BufReader<File>>, RestoreError> {
    let file = File::open(path).map_err(|source| RestoreError::Open { path: path.to_owned(), source })?;
    Ok(Reader::new(BufReader::with_capacity(1 << 20, file))?)
}

/// Reads the whole backup and checks every sum, every record, every sealed secret, that nothing is missing, and the MAC.
fn check<'a>(
    path: &'a Path,
    keyring: &Arc<Keyring>,
    progress: OnProgress<'_>,
) -> Result<Backup<'a>, RestoreError> {
    let reader = open(path)?;
    let title = *reader.title();
    if title.store_format != FORMAT {
        return Err(RestoreError::OtherFormat { found: title.store_format });
    }
    let mut checker = Checker::new(title.store, Some(Arc::clone(keyring)));
    let (mut sentinel, mut pepper) = (None, None);
    let end = reader.read(|piece| {
        match piece {
            Piece::Record { key, bytes } => {
                checker.record(&key, &bytes);
                keep_meta(&key, Some(&bytes), &mut sentinel, &mut pepper);
            }
            Piece::Correction { key, before, after } => {
                checker.correct(&key, before.as_ref(), after.as_deref());
                keep_meta(&key, after.as_deref(), &mut sentinel, &mut pepper);
            }
            Piece::Log(base) => checker.log(base),
        }
        let done = checker.tally().records;
        if done.is_multiple_of(STRIDE) {
            progress(done, done);
        }
        Ok::<_, RestoreError>(())
    })?;
    // Before the findings: with a wrong key, every sealed secret would be one.
    if let Some(pepper) = open_records(title.store, keyring, sentinel, pepper)? {
        let key = head_key(&pepper, title.store);
        if !end.mac.is_some_and(|mac| key.is_authentic(&title.store, &end.sum, &mac)) {
            return Err(RestoreError::NotAuthentic);
        }
    }
    let tally = checker.tally();
    refuse(&checker.finish(title.store_format, Some(&end.head)))?;
    Ok(Backup { from: path, title, end, tally })
}

fn refuse(report: &Report) -> Result<(), RestoreError> {
    let more = report.unlisted + (report.findings.len() as u64).saturating_sub(1);
    match report.findings.first() {
        None => Ok(()),
        Some(first) => Err(RestoreError::Damaged { first: first.clone(), more }),
    }
}

/// Remembers the two records that a store's master key opens.
pub(super) fn keep_meta(
    key: &[u8],
    bytes: Option<&[u8]>,
    sentinel: &mut Option<Vec<u8>>,
    pepper: &mut Option<Vec<u8>>,
) {
    let key = Key::from_bytes(key);
    let value = || bytes.and_then(|bytes| record::decode(&key, bytes).ok()).map(|record| record.value);
    match key.name(Kind::Meta) {
        Some(SENTINEL_RECORD) => *sentinel = value(),
        Some(PEPPER_RECORD) => *pepper = value(),
        _ => {}
    }
}

/// Puts a piece into the new store, as what it goes on as.
fn take(
    target: &mut impl Fill,
    piece: Piece,
    now: UnixTime,
    rng: &mut impl CryptoRng,
) -> Result<(), RestoreError> {
    let (key, bytes) = match piece {
        Piece::Record { key, bytes } => (key, Some(bytes)),
        Piece::Correction { key, after, .. } => (key, after),
        // The head, which the store began with, tells it.
        Piece::Log(_) => return Ok(()),
    };
    let Some(bytes) = bytes else { return target.remove(&key) };
    let name = Key::from_bytes(&key);
    if is_left_out(&name) {
        return Ok(());
    }
    if name.is(Kind::Account) {
        let account = record::decode(&name, &bytes)?;
        let account = codec::restored_account(&name, &account.value, now, rng)?;
        return target.put(&name, &account);
    }
    target.put_stored(&key, &bytes)
}

fn is_left_out(key: &Key) -> bool {
    match key.kind() {
        Some(Kind::Meta) => matches!(key.name(Kind::Meta), Some(SENTINEL_RECORD | PEPPER_RECORD)),
        Some(Kind::Expiry) => key.expiring().is_none_or(|(_, ending)| is_left_out(&ending)),
        Some(kind) => !kind.nature().is_restored,
        None => false,
    }
}
