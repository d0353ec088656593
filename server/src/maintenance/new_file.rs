//! A file that gets its name when it is whole: until then it has another one, and it is removed if it never is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A file that is being written, readable by its owner only.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    part: PathBuf,
    path: PathBuf,
    is_kept: bool,
}

impl NewFile {
    /// Begins a file that will be called `path`.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if the name is taken; or the file cannot be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        if path.symlink_metadata().is_ok() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let part = path.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
        Ok(Self { file, part, path: path.to_owned(), is_kept: false })
    }

    /// The name that it will have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Makes what was written durable, and opens it to be read back.
    ///
    /// # Errors
    /// That fails.
    pub fn written(&self) -> io::Result<File> {
        self.file.sync_all()?;
        File::open(&self.part)
    }

    /// Gives it its name. How many bytes it has.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if the name was taken meanwhile; or that fails. There is no file then.
    pub fn keep(mut self) -> io::Result<u64> {
        let bytes = self.file.metadata()?.len();
        if self.path.symlink_metadata().is_ok() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        fs::rename(&self.part, &self.path)?;
        self.is_kept = true;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all())?;
        Ok(bytes)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_kept {
            // A part of it is of no use to anybody.
            let _ = fs::remove_file(&self.part);
        }
    }
}
