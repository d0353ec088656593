//! The mark in a data folder whose store moves to a database or from one: as long as it is there, no server serves the folder.
//!
//! A store may be in two places for a while, and is served from one of them at most. What decides which is one row of the database
//! ([`postgres::moving`](super::postgres::moving)); the mark keeps the folder closed until the row has decided:
//!
//! | phase | who may serve | undone by |
//! |---|---|---|
//! | leaving | nobody; nothing was switched over | removing the mark |
//! | entering | nobody, or the database: its row knows | the database's row, then removing the mark |
//! | gone | the database | a copy back |
//! | arriving | nobody, or the database: its row knows | the database's row |
//!
//! The token is random and made anew by each attempt, and stands in the row as well: an attempt that another one has overtaken finds
//! the other's token there and changes nothing.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sidekey_core::time::UnixTime;

use super::folder::{Folder, sync_folder};
use super::open_error::OpenError;
use crate::entropy;

/// The file's name.
const NAME: &str = "store.moving";

/// What one attempt at moving a store is known by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token(String);

impl Token {
    /// A new one.
    pub fn generate() -> Self {
        Self(data_encoding::HEXLOWER.encode(&entropy::random::<16>()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// How far a move is, as far as the folder knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The store is being copied to a database, which was not told to serve it.
    Leaving,
    /// The database was told to serve it.
    Entering,
    /// The database serves it.
    Gone,
    /// The store is being copied from a database, which serves it no more.
    Arriving,
}

/// What stands in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// How far it is.
    pub phase: Phase,
    /// Which attempt it is.
    pub token: Token,
    /// When the attempt was begun, in Unix seconds.
    pub at: UnixTime,
}

fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// Reads the mark of a data folder, if it has one.
///
/// # Errors
/// It is there and cannot be read.
pub fn read(folder: &Path) -> io::Result<Option<Mark>> {
    match fs::read(path(folder)) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(Into::into),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Marks a data folder, durably and in one step. To be called by whoever holds the folder's lock.
///
/// # Errors
/// It cannot be written.
pub fn write(folder: &Path, mark: &Mark) -> io::Result<()> {
    let part = folder.join("store.moving.part");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(&serde_json::to_vec(mark)?)?;
    file.sync_all()?;
    fs::rename(&part, path(folder))?;
    sync_folder(folder)
}

/// Removes the mark, durably. To be called by whoever holds the folder's lock.
///
/// # Errors
/// It cannot be removed.
pub fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_file(path(folder)) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    sync_folder(folder)
}

/// The lock on a data folder, for whoever only looks after its mark.
pub struct Lock {
    _folder: Folder,
}

impl Lock {
    /// Takes it.
    ///
    /// # Errors
    /// The folder is in use or not to be used.
    pub fn take(folder: &Path) -> Result<Self, OpenError> {
        Folder::open(folder).map(|folder| Self { _folder: folder })
    }
}

/// Removes what an earlier attempt has brought to a folder, if it still has that attempt's mark, which goes last.
///
/// # Errors
/// The folder is in use, or something cannot be removed.
pub fn discard(folder: &Path, mark: &Mark) -> Result<(), OpenError> {
    let _lock = Lock::take(folder)?;
    let failed = |error| OpenError::io(folder, error);
    if mark.phase != Phase::Arriving || read(folder).map_err(failed)?.as_ref() != Some(mark) {
        return Err(OpenError::NotEmpty { folder: folder.to_owned() });
    }
    let gone = |removed: io::Result<()>| match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(error)),
        _ => Ok(()),
    };
    gone(fs::remove_dir_all(folder.join("sled")))?;
    for file in ["head", "head.part", "store.id", "store.id.part", "store.moving.part"] {
        gone(fs::remove_file(folder.join(file)))?;
    }
    remove(folder).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Building, Inspection, Options, SledEngine};

    #[test]
    fn a_folder_whose_store_moves_is_opened_by_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        drop(SledEngine::open(folder.path(), &Options::new([7; 16])).unwrap());
        for phase in [Phase::Leaving, Phase::Entering, Phase::Gone, Phase::Arriving] {
            let mark = Mark { phase, token: Token::generate(), at: UnixTime::from_secs(1_790_000_000) };
            write(folder.path(), &mark).unwrap();
            assert_eq!(read(folder.path()).unwrap(), Some(mark));
            let refused = SledEngine::open(folder.path(), &Options::new([7; 16])).unwrap_err();
            assert!(matches!(refused, OpenError::Moving { .. }), "{refused}");
            assert!(matches!(Inspection::open(folder.path()).map(drop), Err(OpenError::Moving { .. })));
            drop(Inspection::open_moving(folder.path()).unwrap());
        }
        fs::write(path(folder.path()), "half a ma").unwrap();
        assert!(
            SledEngine::open(folder.path(), &Options::new([7; 16])).is_err(),
            "it is there, whatever it says"
        );
        remove(folder.path()).unwrap();
        drop(SledEngine::open(folder.path(), &Options::new([7; 16])).unwrap());
    }

    #[test]
    fn what_arrives_is_no_store_before_the_mark_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let token = Token::generate();
        let at = UnixTime::from_secs(1_790_000_000);
        let building = Building::begin_arriving(folder.path(), [7; 16], token, at).unwrap();
        building.finish(at, None).unwrap();
        let refused = SledEngine::open(folder.path(), &Options::new([7; 16])).unwrap_err();
        assert!(matches!(refused, OpenError::Moving { .. }), "{refused}");
        remove(folder.path()).unwrap();
        drop(SledEngine::open(folder.path(), &Options::new([7; 16])).unwrap());
    }
}
