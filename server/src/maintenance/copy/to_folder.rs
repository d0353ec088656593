//! From a database to a data folder.
//!
//! 1. The folder is marked as one that a store arrives in; what an earlier attempt has brought stays.
//! 2. The database is closed for all servers, or taken over from the earlier attempt. From now on nobody decides anything, and that
//!    attempt cannot end any more: what it has brought is removed.
//! 3. Everything is read and written to the folder, made durable, and read back: number, digest, chain, checksums, secrets.
//! 4. The database is told that its store is gone; then the mark is removed.

use std::path::Path;
use std::sync::Arc;

use sidekey_core::time::UnixTime;
use tokio::runtime::Handle;

use super::to_database::STRIDE;
use super::{Copied, CopyError, Outcome, first, head_keys, remove_mark, write_mark};
use crate::keyring::Keyring;
use crate::keyring::unlock::{PEPPER_RECORD, SENTINEL_RECORD};
use crate::maintenance::OnProgress;
use crate::maintenance::check::check_store;
use crate::store::head::Base;
use crate::store::integrity::{Completeness, Finding};
use crate::store::moving::{self, Found, Lock, Mark, Phase, Token};
use crate::store::postgres::moving::{Left, MoveError, Moved, Place, Standing};
use crate::store::record::Header;
use crate::store::walk::Visitor;
use crate::store::{Building, Inspection, Key, StoreId};

/// Moves the store of a database to a data folder, which must be empty or missing, or begun by an earlier attempt.
///
/// # Errors
/// See [`CopyError`]. The database may be closed then: repeat it, or take it back.
pub fn to_folder(
    data: &Path,
    mut place: Place,
    keyring: Option<&Arc<Keyring>>,
    now: UnixTime,
    runtime: &Handle,
    progress: OnProgress<'_>,
) -> Result<Outcome, CopyError> {
    let told = runtime.block_on(place.told())?;
    // First without the lock, which is a file in a folder that may be another's.
    moving::look(data)?;
    let lock = Lock::take(data)?;
    let found = moving::look(data)?;
    // Where nothing was brought yet, the mark is of no store.
    if let Some(mark) = found.mark.as_ref().filter(|_| found.has_content) {
        if told.store != Some(mark.store) {
            return Err(CopyError::NotOfDatabase(data.to_owned()));
        }
        if told.standing == Standing::Gone && told.token.as_ref() == Some(&mark.token) {
            runtime.block_on(place.confirm(Moved::Away, &mark.token))?;
            remove_mark(data)?;
            // Without it, a copy of this folder from before would be taken for it.
            runtime.block_on(place.forget(&mark.token));
            return Ok(Outcome::WasMoved);
        }
    }
    let store = match (told.standing, told.store) {
        (Standing::Here | Standing::Leaving, Some(store)) => store,
        (Standing::Gone, _) => return Err(MoveError::Gone.into()),
        _ => return Err(MoveError::NoStore.into()),
    };
    let meta = |name| runtime.block_on(place.meta(name, told.standing));
    let keys = head_keys::<2>(store, keyring, meta(SENTINEL_RECORD)?, meta(PEPPER_RECORD)?)?;
    let (walks, seals) = keys.map_or((None, None), |[walks, seals]| (Some(walks), Some(seals)));

    let token = Token::generate();
    let mut left = take_over(data, &found, store, &token, now, place, runtime)?;
    lock.discard()?;
    write_mark(data, &Mark::new(Phase::Arriving, store, token, now))?;
    let building = Building::begin_arriving(lock, store)?;
    let mut arriving =
        Arriving { building, completeness: Completeness::new(), finding: None, done: 0, total: 0, progress };
    let walked = left.walk(runtime, walks, &mut arriving);
    let Arriving { mut building, completeness, finding, .. } = arriving;
    if let Some(finding) = finding {
        return Err(CopyError::Damaged(finding));
    }
    let head = walked?;
    if let Some(finding) = completeness.compare(&head).into_iter().next() {
        return Err(CopyError::Damaged(finding));
    }
    building.goes_on_from(&head);
    building.finish(head.latest(), seals.as_ref())?;

    let inspection = Inspection::open_moving(data)?;
    let report = check_store(&inspection, keyring.cloned(), progress)?;
    let (arrived, _) = inspection.head()?;
    let differs = arrived.is_none_or(|arrived| !arrived.tells_of_the_same_as(&head)).then(|| Finding {
        place: "the copy".to_owned(),
        damage: "its records are not those of the database".to_owned(),
    });
    if let Some(finding) = first(&report).or(differs) {
        return Err(CopyError::Differs(finding));
    }
    runtime.block_on(left.let_go())?;
    remove_mark(data)?;
    // Without it, a copy of this folder from before would be taken for it.
    runtime.block_on(left.forget());
    Ok(Outcome::Moved(Copied::of(store, &head, &report)))
}

/// Looks at what would be copied, and changes nothing. How many records and audit entries there are.
///
/// # Errors
/// See [`CopyError`].
pub async fn look(data: &Path, place: &Place) -> Result<(u64, u64), CopyError> {
    let told = place.told().await?;
    match told.standing {
        Standing::Here | Standing::Leaving => {}
        Standing::Gone => return Err(MoveError::Gone.into()),
        _ => return Err(MoveError::NoStore.into()),
    }
    if !moving::look(data)?.is_before(told.token.as_ref()) {
        return Err(CopyError::NotOfDatabase(data.to_owned()));
    }
    Ok(place.counts(told.standing).await?)
}

/// Closes the database for this attempt. When that is done, no earlier one can end any more, and what it has brought is no store: until
/// then it may be the only copy.
fn take_over(
    data: &Path,
    found: &Found,
    store: StoreId,
    token: &Token,
    now: UnixTime,
    place: Place,
    runtime: &Handle,
) -> Result<Left, CopyError> {
    let mut marked =
        found.mark.clone().unwrap_or_else(|| Mark::new(Phase::Arriving, store, token.clone(), now));
    if found.mark.is_some() {
        marked.tried.push(token.clone());
    }
    write_mark(data, &marked)?;
    // The row of another database of the same store, one that was put back or cloned, knows nothing of what is here.
    match runtime.block_on(place.leave(token.clone(), |latest| found.is_before(latest))) {
        Err(MoveError::Overtaken) if found.has_content => Err(CopyError::NotOfDatabase(data.to_owned())),
        left => Ok(left?),
    }
}

/// Fills the folder.
struct Arriving<'a> {
    building: Building,
    completeness: Completeness,
    finding: Option<Finding>,
    done: u64,
    total: u64,
    progress: &'a mut (dyn FnMut(u64, u64) + Send),
}

impl Visitor for Arriving<'_> {
    fn total(&mut self, total: u64) {
        self.total = total;
    }

    fn record(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), String> {
        self.finding = self.completeness.look(key, bytes);
        if let Some(finding) = &self.finding {
            return Err(finding.to_string());
        }
        self.done += 1;
        if self.done.is_multiple_of(STRIDE) {
            (self.progress)(self.done, self.total);
        }
        self.building.put_stored(key, bytes).map_err(|error| error.to_string())
    }

    fn correction(&mut self, key: &[u8], _: Option<&Header>, _: Option<&[u8]>) -> Result<(), String> {
        Err(format!("record `{}` has changed while the database was closed", Key::from_bytes(key)))
    }

    fn log(&mut self, base: Base) -> Result<(), String> {
        self.completeness.log(base);
        Ok(())
    }
}
