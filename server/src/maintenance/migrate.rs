//! Brings a store of an older format up to this program's. The formats are listed in the store's `about`.

use std::path::Path;

use crate::keyring::unlock::{PEPPER_RECORD, SENTINEL_RECORD, head_key, open_records};
use crate::keyring::{Keyring, UnlockError};
use crate::store::{FORMAT, Inspection, OpenError};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The store has this program's format.
    NothingToDo,
    /// The store had an older format.
    Migrated {
        /// Which one.
        from: u16,
    },
}

/// Why a store was not migrated.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The store is damaged, or cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Something is sealed in the store, and its head is sealed with the same key.
    #[error("this needs the store's master key: name its file with `--master-key-file FILE`")]
    KeyNeeded,
    /// The master key is another one's, or what it seals is damaged.
    #[error(transparent)]
    Unlock(#[from] UnlockError),
}

/// Migrates the store in a data folder that no server has open. `progress` is told how many records were read.
///
/// # Errors
/// See [`MigrateError`]; the store is as it was then.
pub fn migrate(
    path: &Path,
    keyring: impl FnOnce() -> Option<Keyring>,
    progress: &mut dyn FnMut(u64),
) -> Result<Outcome, MigrateError> {
    let inspection = Inspection::open(path)?;
    let from = inspection.format();
    if from == FORMAT {
        return Ok(Outcome::NothingToDo);
    }
    let (sentinel, pepper) = (inspection.meta(SENTINEL_RECORD)?, inspection.meta(PEPPER_RECORD)?);
    let store = inspection.store();
    let key = if sentinel.is_none() && pepper.is_none() {
        None
    } else {
        let keyring = keyring().ok_or(MigrateError::KeyNeeded)?;
        open_records(store, &keyring, sentinel, pepper)?.map(|pepper| head_key(&pepper, store))
    };
    inspection.migrate(key.as_ref(), progress)?;
    Ok(Outcome::Migrated { from })
}
