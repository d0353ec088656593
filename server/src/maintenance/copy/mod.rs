//! A store moves: from a data folder to a database, or back. It is the same store afterwards, id, keys, logins and audit log included.
//!
//! - this file: what comes of it, and taking it back;
//! - [`to_database`], [`to_folder`]: the two ways;
//! - `online`: what is copied while a server still serves the folder.
//!
//! A code, a token, a session counts once over both places, because at most one of them is ever served; why that holds whatever breaks
//! off, and when, is told in [`postgres::moving`](crate::store::postgres::moving) and [`moving`](crate::store::moving). The
//! functions here block, and are to be called outside of the runtime that they are given.

mod online;
#[cfg(test)]
mod tests;
pub mod to_database;
pub mod to_folder;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::Handle;

use super::check::{Report, Tally};
use crate::keyring::unlock::{head_key, open_records};
use crate::keyring::{Keyring, UnlockError};
use crate::store::head::Head;
use crate::store::integrity::Finding;
use crate::store::moving::{self, Lock, Phase};
use crate::store::postgres::moving::{MoveError, Place, Standing};
use crate::store::{FORMAT, HeadKey, OpenError, StoreError, StoreId};

/// What was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Which store.
    pub store: StoreId,
    /// What it holds.
    pub tally: Tally,
    /// Records, audit entries not counted.
    pub records: u64,
    /// Digest of all records with their checksums, in hex: the same on both sides.
    pub digest: String,
    /// Chain of all audit entries, in hex: the same on both sides.
    pub chain: String,
}

impl Copied {
    fn of(store: StoreId, head: &Head, report: &Report) -> Self {
        let (digest, chain) = head.sums();
        Self { store, tally: report.tally, records: head.records(), digest, chain }
    }
}

/// How a copy has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was made, and the store is served from there from now on.
    Moved(Copied),
    /// An earlier attempt had made it, and was cut short before it could say so.
    WasMoved,
}

/// Why a store was not copied, or a copy not taken back.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The data folder cannot be used.
    #[error(transparent)]
    Folder(#[from] OpenError),
    /// The folder's mark cannot be read or written.
    #[error("the mark of the move in `{}` cannot be used: {source}", folder.display())]
    Mark {
        /// The data folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database does not take part.
    #[error(transparent)]
    Move(#[from] MoveError),
    /// The database fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store is sealed.
    #[error("this needs the store's master key: name its file with `--master-key-file FILE`")]
    KeyNeeded,
    /// The master key is another one's.
    #[error(transparent)]
    Unlock(#[from] UnlockError),
    /// The store to be copied has lost something.
    #[error("the store is damaged, and was not moved: {0}; see all damage with `sidekey verify`")]
    Damaged(Finding),
    /// What was read back is not what was written.
    #[error("what was copied is not what is there: {0}; nothing was switched over, run the command again")]
    Differs(Finding),
    /// It has an older format.
    #[error("the store has format {0}, and format {FORMAT} is copied: run `sidekey migrate` first")]
    OtherFormat(u16),
    /// The running server does not take part.
    #[error("the running server did not let the store go: {0}")]
    Server(String),
    /// The folder's store was going to another database.
    #[error(
        "this is not the database that the store in `{}` was being moved to, which alone knows whether it was: name that one",
        .0.display()
    )]
    OtherDatabase(PathBuf),
    /// What is in the folder was brought there from another database, or by an attempt that another one has followed.
    #[error(
        "what is in `{}` was not brought there by the latest attempt at moving the store of this database, and is not replaced: \
         name the database that it comes from, or an empty folder",
        .0.display()
    )]
    NotOfDatabase(PathBuf),
    /// The store is served from the database.
    #[error(
        "the store is served from the database, and this cannot be taken back: copy it with `sidekey store copy --from postgres --to sled`"
    )]
    Entered,
    /// There is nothing to take back.
    #[error(
        "nothing is being moved, neither from the folder nor from the database: there is nothing to take back"
    )]
    NothingMoves,
    /// The database was not named.
    #[error(
        "this needs the address of the database: name it with `--store-url-file`, `--store-url` or \
         `--config`"
    )]
    DatabaseNeeded,
}

fn read_mark(data: &Path) -> Result<Option<moving::Mark>, CopyError> {
    moving::read(data).map_err(|source| CopyError::Mark { folder: data.to_owned(), source })
}

fn write_mark(data: &Path, mark: &moving::Mark) -> Result<(), CopyError> {
    moving::write(data, mark).map_err(|source| CopyError::Mark { folder: data.to_owned(), source })
}

fn remove_mark(data: &Path) -> Result<(), CopyError> {
    moving::remove(data).map_err(|source| CopyError::Mark { folder: data.to_owned(), source })
}

/// Makes the keys of a store's head, as many as are asked for; `None` if it has no seal.
fn head_keys<const N: usize>(
    store: StoreId,
    keyring: Option<&Arc<Keyring>>,
    sentinel: Option<Vec<u8>>,
    pepper: Option<Vec<u8>>,
) -> Result<Option<[HeadKey; N]>, CopyError> {
    if sentinel.is_none() && pepper.is_none() {
        return Ok(None);
    }
    let keyring = keyring.ok_or(CopyError::KeyNeeded)?;
    let pepper = open_records(store, keyring, sentinel, pepper)?;
    Ok(pepper.map(|pepper| std::array::from_fn(|_| head_key(&pepper, store))))
}

fn first(report: &Report) -> Option<Finding> {
    report.findings.first().cloned()
}

/// Whether the database has been served, or is, with the store that this mark is of.
async fn has_entered(place: &Place, mark: &moving::Mark) -> Result<bool, CopyError> {
    let told = match place.told().await {
        // There is no store in it.
        Err(MoveError::NotEmpty(_)) => return Ok(false),
        told => told?,
    };
    let is_same = told.token.as_ref() == Some(&mark.token) || told.store == Some(mark.store);
    Ok(is_same && !matches!(told.standing, Standing::Nothing | Standing::Filling | Standing::GivenUp))
}

/// What was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakenBack {
    /// The folder's store may be served again from the folder.
    Folder,
    /// The database's store is served again from the database.
    Database,
}

/// Takes a copy back that was begun and not ended: the store is served from where it was.
///
/// # Errors
/// It has ended, or nothing was begun.
pub fn undo(data: &Path, place: Option<Place>, runtime: &Handle) -> Result<TakenBack, CopyError> {
    let mark = read_mark(data)?;
    let Some(mark) = mark.filter(|mark| mark.phase != Phase::Arriving) else {
        let mut place = place.ok_or(CopyError::DatabaseNeeded)?;
        return runtime.block_on(async {
            match place.told().await?.standing {
                Standing::Leaving => place.stay().await?,
                Standing::Gone => return Err(MoveError::Gone.into()),
                _ => return Err(CopyError::NothingMoves),
            }
            Ok(TakenBack::Database)
        });
    };
    let _lock = Lock::take(data)?;
    // Another one may have been at it before the lock was got.
    if read_mark(data)?.as_ref() != Some(&mark) {
        return Err(MoveError::Overtaken.into());
    }
    match mark.phase {
        Phase::Gone => return Err(CopyError::Entered),
        // The database was never told to serve it, and nobody else can tell it while the lock is held. But the folder may be a copy from
        // then that was put back.
        Phase::Leaving => {
            if let Some(place) = &place
                && runtime.block_on(has_entered(place, &mark))?
            {
                return Err(CopyError::Entered);
            }
        }
        Phase::Arriving => {}
        Phase::Entering => {
            let mut place = place.ok_or(CopyError::DatabaseNeeded)?;
            runtime.block_on(async {
                let told = place.told().await?;
                if told.token.as_ref() != Some(&mark.token) {
                    return Err(CopyError::OtherDatabase(data.to_owned()));
                }
                match told.standing {
                    Standing::Filling | Standing::GivenUp => Ok(place.give_up(&mark.token).await?),
                    _ => Err(CopyError::Entered),
                }
            })?;
        }
    }
    remove_mark(data)?;
    Ok(TakenBack::Folder)
}
