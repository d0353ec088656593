//! From a data folder to a database.
//!
//! 1. While a server serves the folder, everything is copied as it comes (`online`), which the second pass spares.
//! 2. The folder is marked, by the server, which then ends, or here. From now on nobody decides anything.
//! 3. With the folder's lock held, everything is read once more, and what the database has not or has otherwise is written.
//! 4. All of it is read back from the database: number, digest, chain, checksums, secrets, the log by account.
//! 5. The mark says that the database is being told; the database is told; the mark says that the store is gone.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use sidekey_core::time::UnixTime;
use tokio::runtime::Handle;

use super::{Copied, CopyError, Outcome, first, head_keys, online, read_mark, write_mark};
use crate::control::{Command, socket};
use crate::keyring::Keyring;
use crate::keyring::unlock::{PEPPER_RECORD, SENTINEL_RECORD};
use crate::maintenance::OnProgress;
use crate::maintenance::check::{Report, check_shown, check_store};
use crate::store::head::Base;
use crate::store::integrity::{Completeness, Finding};
use crate::store::moving::{Lock, Mark, Phase, Token};
use crate::store::postgres::filling::{Filling, Range};
use crate::store::postgres::moving::{MoveError, Moved, Place, Standing, Told};
use crate::store::record::Header;
use crate::store::shared::check_own_store;
use crate::store::walk::Visitor;
use crate::store::{FORMAT, HeadKey, Inspection, OpenError};

/// Records that are written at once.
pub(super) const PAGE: usize = 500;
/// Between two reports of progress, in records.
pub(super) const STRIDE: u64 = 500;
/// Attempts at getting the folder after its server was told to end: it finishes its requests first.
const ATTEMPTS: u32 = 600;
const PAUSE: Duration = Duration::from_millis(100);

/// Moves the store of a data folder to a database.
///
/// # Errors
/// See [`CopyError`]. The folder may be marked then: repeat it, or take it back.
pub fn to_database(
    data: &Path,
    mut place: Place,
    keyring: Option<&Arc<Keyring>>,
    now: UnixTime,
    runtime: &Handle,
    progress: OnProgress<'_>,
) -> Result<Outcome, CopyError> {
    // Its server would show the database's store.
    check_own_store(data)?;
    let mark = read_mark(data)?;
    let told = runtime.block_on(place.told())?;
    if let Some(mark) = &mark
        && is_entered(data, mark, &told)?
    {
        let _lock = Lock::take(data)?;
        if read_mark(data)?.as_ref() != Some(mark) {
            return Err(MoveError::Overtaken.into());
        }
        runtime.block_on(place.confirm(Moved::Here, &mark.token))?;
        write_mark(data, &Mark { phase: Phase::Gone, ..mark.clone() })?;
        return Ok(Outcome::WasMoved);
    }
    // An order to serve the store may still be on its way: the token stays the one that it named.
    let token = match &mark {
        Some(mark) if mark.phase == Phase::Entering => mark.token.clone(),
        _ => Token::generate(),
    };
    let is_served = mark.is_none() && runtime.block_on(asked(data, &Command::Status))?;
    let leaves = |store| Mark::new(Phase::Leaving, store, token.clone(), now);
    let (inspection, mut filling, mut leaving) = if is_served {
        let (filling, store) = online::copy(data, place, &token, keyring, runtime, progress)?;
        let leaving = leaves(store);
        runtime.block_on(asked(data, &Command::LetGo(leaving.clone())))?;
        let inspection = reopen(data, ATTEMPTS)?;
        if read_mark(data)?.as_ref() != Some(&leaving) {
            return Err(MoveError::Overtaken.into());
        }
        (inspection, filling, leaving)
    } else {
        let inspection = reopen(data, 1)?;
        if read_mark(data)? != mark {
            return Err(MoveError::Overtaken.into());
        }
        let leaving = leaves(inspection.store());
        let filling = runtime.block_on(place.begin(inspection.store(), token.clone()))?;
        (inspection, filling, leaving)
    };
    let key = ready(&inspection, keyring)?;
    if mark.as_ref().is_none_or(|mark| mark.phase == Phase::Leaving) {
        write_mark(data, &leaving)?;
    }
    let copied = all(&inspection, &mut filling, key.as_ref(), keyring, runtime, progress)?;
    leaving.phase = Phase::Entering;
    write_mark(data, &leaving)?;
    runtime.block_on(filling.enter())?;
    write_mark(data, &Mark { phase: Phase::Gone, ..leaving })?;
    Ok(Outcome::Moved(copied))
}

/// Looks at what would be copied, and changes nothing.
///
/// # Errors
/// See [`CopyError`].
pub fn look(
    data: &Path,
    place: &Place,
    keyring: Option<&Arc<Keyring>>,
    runtime: &Handle,
    progress: OnProgress<'_>,
) -> Result<Report, CopyError> {
    check_own_store(data)?;
    let told = runtime.block_on(place.told())?;
    if let Some(mark) = read_mark(data)? {
        is_entered(data, &mark, &told)?;
    } else if !matches!(told.standing, Standing::Nothing | Standing::Filling | Standing::GivenUp) {
        return Err(MoveError::NotEmpty("there is a store".to_owned()).into());
    }
    if let Some(report) = runtime.block_on(online::verified(data, progress))? {
        return Ok(report);
    }
    let inspection = reopen(data, 1)?;
    ready(&inspection, keyring)?;
    Ok(check_store(&inspection, keyring.cloned(), progress)?)
}

/// Whether the database serves the store that this mark is of.
fn is_entered(data: &Path, mark: &Mark, told: &Told) -> Result<bool, CopyError> {
    match mark.phase {
        Phase::Leaving => Ok(false),
        Phase::Gone | Phase::Arriving => {
            Err(OpenError::Moving { folder: data.to_owned(), phase: mark.phase }.into())
        }
        Phase::Entering if told.token.as_ref() != Some(&mark.token) => {
            Err(CopyError::OtherDatabase(data.to_owned()))
        }
        Phase::Entering => match told.standing {
            Standing::Filling | Standing::GivenUp => Ok(false),
            _ => Ok(true),
        },
    }
}

/// Hands a command to the running server; whether there is one.
async fn asked(data: &Path, command: &Command) -> Result<bool, CopyError> {
    let reply = socket::ask(data, command, |_| Ok(())).await.map_err(CopyError::Server)?;
    Ok(reply.is_some())
}

/// Opens the folder, waiting for its server to end.
fn reopen(data: &Path, attempts: u32) -> Result<Inspection, OpenError> {
    for _ in 1..attempts {
        match Inspection::open_moving(data) {
            Err(OpenError::Locked { .. }) => thread::sleep(PAUSE),
            opened => return opened,
        }
    }
    Inspection::open_moving(data)
}

/// Whether the store can be copied, and the key of its head.
fn ready(inspection: &Inspection, keyring: Option<&Arc<Keyring>>) -> Result<Option<HeadKey>, CopyError> {
    if inspection.format() != FORMAT {
        return Err(CopyError::OtherFormat(inspection.format()));
    }
    let (sentinel, pepper) = (inspection.meta(SENTINEL_RECORD)?, inspection.meta(PEPPER_RECORD)?);
    let keys = head_keys::<1>(inspection.store(), keyring, sentinel, pepper)?;
    Ok(keys.map(|[key]| key))
}

/// Makes the database hold what the folder holds and nothing else, and reads it back.
fn all(
    inspection: &Inspection,
    filling: &mut Filling,
    key: Option<&HeadKey>,
    keyring: Option<&Arc<Keyring>>,
    runtime: &Handle,
    progress: OnProgress<'_>,
) -> Result<Copied, CopyError> {
    let store = inspection.store();
    let (head, findings) = inspection.head()?;
    if let Some(finding) = findings.into_iter().next() {
        return Err(CopyError::Damaged(finding));
    }
    let head = head.ok_or(CopyError::OtherFormat(inspection.format()))?;
    let mut exact = Exact {
        runtime,
        filling,
        page: Vec::new(),
        after: Vec::new(),
        of_log: false,
        completeness: Completeness::new(),
        finding: None,
        failure: None,
        done: 0,
        total: 0,
        progress,
    };
    let visited = inspection.visit(&mut exact);
    if let Some(finding) = exact.finding.take() {
        return Err(CopyError::Damaged(finding));
    }
    if let Some(failure) = exact.failure.take() {
        return Err(failure.into());
    }
    visited?;
    exact.flush(None)?;
    if let Some(finding) = exact.completeness.compare(&head).into_iter().next() {
        return Err(CopyError::Damaged(finding));
    }
    runtime.block_on(filling.end_of_log(store, &head, key))?;
    let report = check_shown(store, keyring.cloned(), &head, progress, |visitor| {
        filling.read_back(runtime, &head, visitor)
    })?;
    match first(&report) {
        Some(finding) => Err(CopyError::Differs(finding)),
        None => Ok(Copied::of(store, &head, &report)),
    }
}

/// Writes pages of records to the database, and removes what is between them there and not here.
struct Exact<'a> {
    runtime: &'a Handle,
    filling: &'a mut Filling,
    page: Vec<(Vec<u8>, Vec<u8>)>,
    after: Vec<u8>,
    of_log: bool,
    completeness: Completeness,
    finding: Option<Finding>,
    failure: Option<MoveError>,
    done: u64,
    total: u64,
    progress: &'a mut (dyn FnMut(u64, u64) + Send),
}

impl Exact<'_> {
    fn flush(&mut self, to: Option<&[u8]>) -> Result<(), MoveError> {
        let range = Range { after: &self.after, to };
        self.runtime.block_on(self.filling.put(self.of_log, &self.page, Some(range)))?;
        self.after = to.map(<[u8]>::to_vec).unwrap_or_default();
        self.page.clear();
        Ok(())
    }

    fn try_flush(&mut self, to: Option<&[u8]>) -> Result<(), String> {
        self.flush(to).map_err(|error| {
            let sentence = error.to_string();
            self.failure = Some(error);
            sentence
        })
    }
}

impl Visitor for Exact<'_> {
    fn total(&mut self, total: u64) {
        self.total = total;
    }

    fn record(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), String> {
        self.finding = self.completeness.look(key, bytes);
        if let Some(finding) = &self.finding {
            return Err(finding.to_string());
        }
        self.page.push((key.to_vec(), bytes.to_vec()));
        self.done += 1;
        if self.done.is_multiple_of(STRIDE) {
            (self.progress)(self.done, self.total);
        }
        if self.page.len() < PAGE { Ok(()) } else { self.try_flush(Some(key)) }
    }

    fn correction(&mut self, _: &[u8], _: Option<&Header>, _: Option<&[u8]>) -> Result<(), String> {
        Err("the store has changed while its folder was locked".to_owned())
    }

    fn log(&mut self, base: Base) -> Result<(), String> {
        self.completeness.log(base);
        self.try_flush(None)?;
        self.of_log = true;
        Ok(())
    }
}
