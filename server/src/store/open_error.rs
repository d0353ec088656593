//! Why a store could not be opened, each with its remedy.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::moving::Phase;

/// Why a store could not be opened, with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error(
        "the data folder `{}` is in use by another server{}: stop that one, or choose another folder with --data",
        folder.display(), process.map(|id| format!(" (process {id})")).unwrap_or_default()
    )]
    Locked {
        /// The data folder.
        folder: PathBuf,
        /// The process that has it, if it left its number.
        process: Option<u32>,
    },
    /// The system refused access.
    #[error(
        "no permission to use `{}`: give it to the user that runs sidekey (`chown -R`), or choose another folder with --data",
        path.display()
    )]
    PermissionDenied {
        /// What could not be used.
        path: PathBuf,
    },
    /// Something else stands where the folder belongs.
    #[error("`{}` is not a folder: choose another one with --data", path.display())]
    NotAFolder {
        /// What is no folder.
        path: PathBuf,
    },
    /// There is nothing to look at.
    #[error("there is no store in `{}`: name the server's data folder with --data", folder.display())]
    NoStore {
        /// The data folder.
        folder: PathBuf,
    },
    /// The folder for a new store holds something already.
    #[error("`{}` is not empty, and nothing in it is replaced: choose an empty or new folder with --data", folder.display())]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder is of a server whose store is in a database.
    #[error(
        "the store of the server of `{}` is in a database: name that, with the server's `--config FILE`, or with \
         `--store-engine postgres` and `--store-url-file FILE`",
        folder.display()
    )]
    InDatabase {
        /// The data folder.
        folder: PathBuf,
    },
    /// The store shall be in a database, and the folder has one.
    #[error(
        "there is a store in `{}` already, and the settings say `store.engine = \"postgres\"`: name another folder with --data",
        folder.display()
    )]
    OtherEngine {
        /// The data folder.
        folder: PathBuf,
    },
    /// The database has another store than before.
    #[error(
        "the database holds store {found}, and the server of `{}` has used store {known}: it was emptied or replaced, or it is \
         another database; a server that shall use it begins with an empty folder",
        folder.display()
    )]
    OtherStore {
        /// The data folder.
        folder: PathBuf,
        /// The id of the store that was used before.
        known: String,
        /// The id of the store that is there.
        found: String,
    },
    /// The store moves to a database or from one, or has.
    #[error("{}", moving(folder, *phase))]
    Moving {
        /// The data folder.
        folder: PathBuf,
        /// How far it is.
        phase: Phase,
    },
    /// The database has lost something that it needs.
    #[error(
        "the store in `{}` is damaged: {reason}. Keep a copy of the folder, see all damage with \
         `sidekey verify --data {}`, and restore a backup with `sidekey restore --from BACKUP --data NEW_FOLDER`",
        folder.display(), folder.display()
    )]
    Damaged {
        /// The data folder.
        folder: PathBuf,
        /// What is wrong, without any stored value.
        reason: String,
    },
    /// An earlier version of the program has written it.
    #[error(
        "the store in `{}` has format {found}, and this version of sidekey needs format {supported}: make a copy of the \
         folder, then run `sidekey migrate --data {}`",
        folder.display(), folder.display()
    )]
    OlderFormat {
        /// The data folder.
        folder: PathBuf,
        /// Its format.
        found: u16,
        /// The format that this program reads.
        supported: u16,
    },
    /// A later version of the program has written it.
    #[error(
        "the store in `{}` has format {found}, and this version of sidekey reads up to {supported}: install the newer version",
        folder.display()
    )]
    NewerFormat {
        /// The data folder.
        folder: PathBuf,
        /// Its format.
        found: u16,
        /// The newest format that this program reads.
        supported: u16,
    },
    /// Anything else that the system reports: a full disk, a failing one.
    #[error("could not use `{}`: {source}", path.display())]
    Io {
        /// What was being used.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

fn moving(folder: &Path, phase: Phase) -> String {
    let folder = folder.display();
    match phase {
        Phase::Leaving | Phase::Entering => format!(
            "the store in `{folder}` is being moved to a database, and nothing is decided here until that has ended: run \
             `sidekey store copy --from sled --to postgres` again, or take it back with `sidekey store undo`"
        ),
        Phase::Gone => format!(
            "the store of `{folder}` has moved to a database, and is never served from here again: start the server with \
             `store.engine = \"postgres\"` and another data folder"
        ),
        Phase::Arriving => format!(
            "the store in `{folder}` is being moved here from a database, and that has not ended: run \
             `sidekey store copy --from postgres --to sled` again, or take it back with `sidekey store undo`"
        ),
    }
}

impl OpenError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            ErrorKind::PermissionDenied => Self::PermissionDenied { path },
            ErrorKind::NotADirectory => Self::NotAFolder { path },
            _ => Self::Io { path, source },
        }
    }

    pub(super) fn damaged(folder: &Path, reason: impl fmt::Display) -> Self {
        Self::Damaged { folder: folder.to_owned(), reason: reason.to_string() }
    }
}
