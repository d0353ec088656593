//! Opening the database, also one whose snapshot is damaged.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use super::folder::Folder;
use super::head_file;
use super::moving;
use super::open_error::OpenError;
use super::shared;

/// A database that was opened.
pub(super) struct Opened {
    pub(super) db: ::sled::Db,
    /// Whether it was complete and closed in good order, and opens as it was left.
    pub(super) was_closed: bool,
}

/// Opens the database; if that fails for damage, once more without its snapshots, after a copy was put aside.
///
/// A database that no store has been made in yet holds nothing: a first start that was cut short can leave sled's own files
/// half written, and the next one puts them aside and begins again.
pub(super) fn open_or_recover(folder: &Folder, cache_bytes: u64) -> Result<Opened, OpenError> {
    let path = folder.path();
    match moving::read(path) {
        Ok(None) => open_moving(folder, cache_bytes),
        Ok(Some(mark)) => Err(OpenError::Moving { folder: path.to_owned(), phase: mark.phase }),
        Err(error) => Err(OpenError::io(&path.join("store.moving"), error)),
    }
}

/// As [`open_or_recover`], for whoever moves the store.
pub(super) fn open_moving(folder: &Folder, cache_bytes: u64) -> Result<Opened, OpenError> {
    shared::check_own_store(folder.path())?;
    // Before sled has the database: what it does to its files already happens without the note.
    let was_closed = head_file::take_note(folder.path())
        .map_err(|error| OpenError::io(&head_file::path(folder.path()), error))?;
    let first = match open_database(folder, cache_bytes) {
        Err(OpenError::Damaged { reason, .. }) => reason,
        other => return other.map(|db| Opened { db, was_closed }),
    };
    let rebuilt = |db| Opened { db, was_closed: false };
    if folder.known_store()?.is_none() && !head_file::path(folder.path()).exists() {
        let aside = folder.put_database_aside()?;
        tracing::warn!(reason = first, aside = %aside.display(), "an unfinished database was put aside for a new one");
        return open_database(folder, cache_bytes).map(rebuilt);
    }
    let snapshots = folder.snapshots()?;
    if snapshots.is_empty() {
        return Err(OpenError::damaged(folder.path(), first));
    }
    let copy = folder.copy_database()?;
    for snapshot in &snapshots {
        std::fs::remove_file(snapshot).map_err(|error| OpenError::io(snapshot, error))?;
    }
    tracing::warn!(
        reason = first,
        copy = %copy.display(),
        "the database's snapshot was damaged and has been rebuilt from the log; the damaged folder was kept as a copy"
    );
    open_database(folder, cache_bytes).map(rebuilt)
}

fn open_database(folder: &Folder, cache_bytes: u64) -> Result<::sled::Db, OpenError> {
    let path = folder.database();
    let config = ::sled::Config::new()
        .path(&path)
        .mode(::sled::Mode::HighThroughput)
        .cache_capacity(cache_bytes)
        .flush_every_ms(None);
    // A database that was just closed in this process keeps its lock until sled's threads have let go of it. No other
    // server is meant by that: it would have the lock of the folder.
    for _ in 0..200 {
        // sled panics on some kinds of damage.
        let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
        match opened {
            Ok(Ok(db)) => return Ok(db),
            Ok(Err(::sled::Error::Io(error))) if error.to_string().contains("could not acquire lock") => {
                thread::sleep(Duration::from_millis(25));
            }
            Ok(Err(::sled::Error::Io(error))) => return Err(OpenError::io(&path, error)),
            Ok(Err(error)) => return Err(OpenError::damaged(folder.path(), error)),
            Err(_) => return Err(OpenError::damaged(folder.path(), "sled could not read it")),
        }
    }
    Err(OpenError::Locked { folder: folder.path().to_owned(), process: None })
}
