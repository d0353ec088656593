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
//!
//! What an attempt has brought to a folder may be the only copy of a store, if the row was told so and only the answer was lost. So
//! another attempt notes its own token in the mark (`tried`), takes the row over, and only then begins the folder anew.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sidekey_core::time::UnixTime;

use super::engine::StoreId;
use super::folder::{Folder, LOCK, STORE_ID, sync_folder};
use super::open_error::OpenError;
use crate::entropy;

/// The file's name, and that of its beginning.
const NAME: &str = "store.moving";
const PART: &str = "store.moving.part";
/// The database of the store that arrives, and the other files that come with it.
const DATABASE: &str = "sled";
const FILES: [&str; 4] = ["head", "head.part", STORE_ID, "store.id.part"];

/// What one attempt at moving a store is known by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token(String);

impl Token {
    /// A new one.
    pub fn generate() -> Self {
        Self(data_encoding::HEXLOWER.encode(&entropy::random::<16>()))
    }

    /// One that was read.
    pub(super) fn of(text: String) -> Self {
        Self(text)
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
    /// Which store moves.
    #[serde(with = "hex_id")]
    pub store: StoreId,
    /// Which attempt it is; of a store that arrives, the one that has brought what is in the folder.
    pub token: Token,
    /// Attempts since then at taking over from that one, whose tokens may or may not have come to the row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<Token>,
    /// When the attempt was begun, in Unix seconds.
    pub at: UnixTime,
}

impl Mark {
    /// Of an attempt that begins.
    pub fn new(phase: Phase, store: StoreId, token: Token, at: UnixTime) -> Self {
        Self { phase, store, token, tried: Vec::new(), at }
    }

    /// Whether a token in the row shows that the row was never told of another attempt since the folder was begun.
    pub fn knows(&self, token: &Token) -> bool {
        *token == self.token || self.tried.contains(token)
    }
}

/// An id as it stands in `store.id`.
mod hex_id {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    use super::StoreId;
    use crate::store::folder::hex;

    pub(super) fn serialize<S: Serializer>(id: &StoreId, serializer: S) -> Result<S::Ok, S::Error> {
        hex(*id).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StoreId, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).map_err(D::Error::custom)?;
        bytes.try_into().map_err(|_| D::Error::custom("an id has 16 bytes"))
    }
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
    let part = folder.join(PART);
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

/// The lock on a data folder, for whoever only looks after its mark, or begins a store there.
pub struct Lock {
    folder: Folder,
}

impl Lock {
    /// Takes it.
    ///
    /// # Errors
    /// The folder is in use or not to be used.
    pub fn take(folder: &Path) -> Result<Self, OpenError> {
        Folder::open(folder).map(|folder| Self { folder })
    }

    /// Removes what an earlier attempt has brought to the folder; the mark stays. To be called only when the row can never again be told
    /// that this is the store.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn discard(&self) -> Result<(), OpenError> {
        let folder = self.folder.path();
        let gone = |removed: io::Result<()>| match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(OpenError::io(folder, error)),
            _ => Ok(()),
        };
        gone(fs::remove_dir_all(folder.join(DATABASE)))?;
        FILES.iter().try_for_each(|file| gone(fs::remove_file(folder.join(file))))?;
        sync_folder(folder).map_err(|error| OpenError::io(folder, error))
    }

    pub(super) fn into_folder(self) -> Folder {
        self.folder
    }
}

/// What a store that arrives finds in a folder.
#[derive(Debug)]
pub struct Found {
    /// The mark of an earlier attempt.
    pub mark: Option<Mark>,
    /// Whether there is anything that it has brought.
    pub has_content: bool,
}

impl Found {
    /// Whether what is there may be replaced by whoever takes the row over that has this token: it was brought by that attempt, or by one
    /// before it, from the row's own database.
    pub fn is_before(&self, latest: Option<&Token>) -> bool {
        match &self.mark {
            Some(mark) if self.has_content => latest.is_some_and(|latest| mark.knows(latest)),
            _ => true,
        }
    }
}

/// Looks whether a store may arrive in a folder, and changes nothing. What was seen holds for whoever has the folder's lock.
///
/// # Errors
/// There is something that no earlier attempt has brought, or a store that moves elsewhere; or it cannot be looked at.
pub fn look(folder: &Path) -> Result<Found, OpenError> {
    let failed = |error| OpenError::io(folder, error);
    let mark = read(folder).map_err(failed)?;
    if let Some(Mark { phase, .. }) = mark
        && phase != Phase::Arriving
    {
        return Err(OpenError::Moving { folder: folder.to_owned(), phase });
    }
    let mut found = Found { mark, has_content: false };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            return Err(OpenError::NotAFolder { path: folder.to_owned() });
        }
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        // The lock of an attempt that is over is nothing, and neither is the beginning of a mark.
        if [LOCK, NAME, PART].iter().any(|own| name == *own) {
            continue;
        }
        if found.mark.is_none() || !(name == DATABASE || FILES.iter().any(|own| name == *own)) {
            return Err(OpenError::NotEmpty { folder: folder.to_owned() });
        }
        found.has_content = true;
    }
    Ok(found)
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
            let mark = Mark::new(phase, [7; 16], Token::generate(), UnixTime::from_secs(1_790_000_000));
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
        let lock = Lock::take(folder.path()).unwrap();
        write(folder.path(), &Mark::new(Phase::Arriving, [7; 16], token, at)).unwrap();
        let building = Building::begin_arriving(lock, [7; 16]).unwrap();
        building.finish(at, None).unwrap();
        let refused = SledEngine::open(folder.path(), &Options::new([7; 16])).unwrap_err();
        assert!(matches!(refused, OpenError::Moving { .. }), "{refused}");
        remove(folder.path()).unwrap();
        drop(SledEngine::open(folder.path(), &Options::new([7; 16])).unwrap());
    }

    #[test]
    fn a_store_arrives_where_nothing_is_but_what_an_earlier_attempt_has_brought() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert!(look(&path.join("missing")).is_ok_and(|found| found.mark.is_none() && !found.has_content));
        let lock = Lock::take(path).unwrap();
        assert!(look(path).is_ok_and(|found| !found.has_content), "its lock is nothing");
        let at = UnixTime::from_secs(1_790_000_000);
        let mark = Mark::new(Phase::Arriving, [7; 16], Token::generate(), at);
        write(path, &mark).unwrap();
        assert!(look(path).is_ok_and(|found| found.mark.as_ref() == Some(&mark) && !found.has_content));
        Building::begin_arriving(lock, [7; 16]).unwrap().finish(at, None).unwrap();
        assert!(look(path).unwrap().has_content);

        fs::write(path.join("theirs"), "").unwrap();
        assert!(matches!(look(path), Err(OpenError::NotEmpty { .. })));
        fs::remove_file(path.join("theirs")).unwrap();
        Lock::take(path).unwrap().discard().unwrap();
        assert!(look(path).is_ok_and(|found| found.mark.as_ref() == Some(&mark) && !found.has_content));
        drop(Building::begin_arriving(Lock::take(path).unwrap(), [7; 16]).unwrap());
        remove(path).unwrap();
        assert!(matches!(look(path), Err(OpenError::NotEmpty { .. })), "without its mark it is anybody's");
        write(path, &Mark { phase: Phase::Leaving, ..mark }).unwrap();
        assert!(matches!(look(path), Err(OpenError::Moving { .. })));
    }
}
