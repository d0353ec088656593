//! The data folder of a server whose store is in a database: the lock, the control socket, and which store it is.

use std::fs;
use std::path::Path;

use super::engine::StoreId;
use super::folder::{DATABASE, Folder, hex, known_store};
use super::open_error::OpenError;

/// Says that the store of a folder is in a database, so that no command makes another one in the folder.
pub(super) const MARK: &str = "store.in-database";

/// Refuses the folder of a server whose store is in a database.
///
/// # Errors
/// It is one.
pub fn check_own_store(folder: &Path) -> Result<(), OpenError> {
    if is_of_database(folder) {
        return Err(OpenError::InDatabase { folder: folder.to_owned() });
    }
    Ok(())
}

/// Whether a folder is that of a server whose store is in a database.
pub fn is_of_database(folder: &Path) -> bool {
    folder.join(MARK).exists()
}

/// Whether a folder that need not be there, and that nobody needs to lock, may go with the store in a database.
///
/// # Errors
/// It has a store in it, or its server has used another one.
pub fn check_goes_with(folder: &Path, store: StoreId) -> Result<(), OpenError> {
    check_has_no_store(folder)?;
    match known_store(folder)? {
        Some(known) if known != hex(store) => {
            Err(OpenError::OtherStore { folder: folder.to_owned(), known, found: hex(store) })
        }
        _ => Ok(()),
    }
}

/// Whether a folder has no store in it.
///
/// # Errors
/// It has one.
pub fn check_has_no_store(folder: &Path) -> Result<(), OpenError> {
    if folder.join(DATABASE).exists() {
        return Err(OpenError::OtherEngine { folder: folder.to_owned() });
    }
    Ok(())
}

/// A data folder that this process has locked, until the value is dropped.
pub struct SharedFolder(Folder);

impl SharedFolder {
    /// Makes the folder if it is missing, takes its lock and marks it.
    ///
    /// # Errors
    /// It is in use, not to be used, or has a store in it.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let folder = Folder::open(path)?;
        check_has_no_store(path)?;
        let mark = path.join(MARK);
        if !mark.exists() {
            fs::write(&mark, "").map_err(|error| OpenError::io(&mark, error))?;
        }
        Ok(Self(folder))
    }

    /// Whether the database still has the store that it had when this folder was used before; remembers a new one.
    ///
    /// # Errors
    /// It has another one, or the folder cannot be written.
    pub fn belongs_to(&self, store: StoreId) -> Result<(), OpenError> {
        check_goes_with(self.0.path(), store)?;
        self.0.remember_store(store)
    }
}

impl std::fmt::Debug for SharedFolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SharedFolder({})", self.0.path().display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Inspection, Options, SledEngine};

    #[test]
    fn no_store_is_made_in_the_folder_of_a_server_with_a_database() {
        let folder = tempfile::tempdir().unwrap();
        let shared = SharedFolder::open(folder.path()).unwrap();
        assert!(matches!(SharedFolder::open(folder.path()), Err(OpenError::Locked { .. })));
        drop(shared);
        let refused = SledEngine::open(folder.path(), &Options::new([7; 16])).unwrap_err();
        assert!(matches!(refused, OpenError::InDatabase { .. }), "{refused}");
        drop(SharedFolder::open(folder.path()).unwrap().belongs_to([7; 16]));
        assert!(matches!(Inspection::open(folder.path()).map(drop), Err(OpenError::InDatabase { .. })));
        let refused = SharedFolder::open(folder.path()).unwrap().belongs_to([8; 16]).unwrap_err();
        assert!(refused.to_string().contains(&hex([8; 16])), "{refused}");
    }

    #[test]
    fn a_folder_with_a_store_in_it_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        drop(SledEngine::open(folder.path(), &Options::new([7; 16])).unwrap());
        assert!(matches!(SharedFolder::open(folder.path()), Err(OpenError::OtherEngine { .. })));
    }
}
