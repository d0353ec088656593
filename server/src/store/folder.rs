//! The data folder: owner, permissions, lock, syncing of entries.
//!
//! ```text
//! <data>/                 0700
//!   lock                  held by the server that has the store open; its process id
//!   store.id              the store's id in hex: tells an emptied database from a new one
//!   head                  how far the store has come, see `head_file`
//!   sled/                 the database
//!   sled-damaged-<n>/     copies made before a damaged snapshot was removed, and what a first start left that was cut short
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::engine::StoreId;
use super::open_error::OpenError;

/// The file that names the store, and tells that there is one.
pub const STORE_ID: &str = "store.id";

/// The file that whoever has the folder keeps locked.
pub(super) const LOCK: &str = "lock";

/// The folder of the database in it.
pub(super) const DATABASE: &str = "sled";

/// A data folder that this process has locked, until the value is dropped.
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

/// As [`Folder::known_store`], of a folder that need not be there.
pub(super) fn known_store(folder: &Path) -> Result<Option<String>, OpenError> {
    let path = folder.join(STORE_ID);
    match fs::read_to_string(&path) {
        Ok(id) => Ok(Some(id.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(OpenError::io(&path, error)),
    }
}

impl Folder {
    /// Makes the folder if it is missing and takes its lock.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        make_private_folder(path)?;
        let lock = lock(path)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The database's folder.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// The id of the store that this folder has held before, if any.
    pub(super) fn known_store(&self) -> Result<Option<String>, OpenError> {
        known_store(&self.path)
    }

    /// Remembers which store this folder holds; in one step, so that whatever interrupts it leaves the file whole.
    pub(super) fn remember_store(&self, id: StoreId) -> Result<(), OpenError> {
        if self.known_store()?.is_some_and(|known| known == hex(id)) {
            return Ok(());
        }
        let path = self.path.join(STORE_ID);
        let write = || {
            let part = self.path.join("store.id.part");
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
            file.write_all(format!("{}\n", hex(id)).as_bytes())?;
            file.sync_all()?;
            fs::rename(&part, &path)?;
            sync_folder(&self.path)
        };
        write().map_err(|error| OpenError::io(&path, error))
    }

    /// Puts the database's folder aside, durably, and returns where to.
    pub(super) fn put_database_aside(&self) -> Result<PathBuf, OpenError> {
        let aside = self.free_place_aside();
        fs::rename(self.database(), &aside)
            .and_then(|()| sync_folder(&self.path))
            .map_err(|error| OpenError::io(&aside, error))?;
        Ok(aside)
    }

    /// Copies the database's folder aside, durably, and returns where to.
    pub(super) fn copy_database(&self) -> Result<PathBuf, OpenError> {
        let copy = self.free_place_aside();
        copy_folder(&self.database(), &copy)
            .and_then(|()| sync_folder(&self.path))
            .map_err(|error| OpenError::io(&copy, error))?;
        Ok(copy)
    }

    fn free_place_aside(&self) -> PathBuf {
        let mut number = 1;
        loop {
            let place = self.path.join(format!("sled-damaged-{number}"));
            if !place.exists() {
                return place;
            }
            number += 1;
        }
    }

    /// The database's snapshots, which sled can do without.
    pub(super) fn snapshots(&self) -> Result<Vec<PathBuf>, OpenError> {
        let database = self.database();
        let list = || -> io::Result<Vec<PathBuf>> {
            let entries = fs::read_dir(&database)?.collect::<io::Result<Vec<_>>>()?;
            let snapshots = entries.iter().filter(|e| e.file_name().as_encoded_bytes().starts_with(b"snap."));
            Ok(snapshots.map(fs::DirEntry::path).collect())
        };
        list().map_err(|error| OpenError::io(&database, error))
    }

    /// Makes the database's files private, and them and their folder entries durable.
    pub(super) fn settle_database(&self) -> Result<(), OpenError> {
        let database = self.database();
        settle(&database)
            .and_then(|()| sync_folder(&self.path))
            .map_err(|error| OpenError::io(&database, error))
    }
}

pub(super) fn hex(id: StoreId) -> String {
    data_encoding::HEXLOWER.encode(&id)
}

fn make_private_folder(path: &Path) -> Result<(), OpenError> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => return Err(OpenError::NotAFolder { path: path.to_owned() }),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(OpenError::io(path, error)),
    }
    let make = || {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        // The new entry, not only the new folder, must survive a power cut.
        path.canonicalize()?.parent().map_or(Ok(()), sync_folder)
    };
    make().map_err(|error| OpenError::io(path, error))
}

fn lock(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join(LOCK);
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let mut file = open.map_err(|error| OpenError::io(&path, error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // For the message only; without it the folder alone is named.
            let _ = file.take(32).read_to_string(&mut holder);
            return Err(OpenError::Locked { folder: folder.to_owned(), process: holder.trim().parse().ok() });
        }
        Err(TryLockError::Error(error)) => return Err(OpenError::io(&path, error)),
    }
    let mut write = || {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write().map_err(|error| OpenError::io(&path, error))?;
    Ok(file)
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
            File::open(&target)?.sync_all()?;
        }
    }
    sync_folder(to)
}

fn settle(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            settle(&entry.path())?;
        } else {
            fs::set_permissions(entry.path(), Permissions::from_mode(0o600))?;
            File::open(entry.path())?.sync_all()?;
        }
    }
    sync_folder(folder)
}

/// Makes the entries of a folder durable: `fsync` of a file does not do it (fsync(2)).
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
