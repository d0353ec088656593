//! Where master keys come from: systemd credential, file, environment.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::Keyring;
use super::master_key::{KeyId, MasterKey, ParseError};
use crate::store::STORE_ID;

/// The credential's name: `LoadCredential=sidekey-master-key:…` in a systemd unit.
const CREDENTIAL: &str = "sidekey-master-key";
/// Most bytes of a key file; more is not one.
const MAX_FILE: u64 = 64 * 1024;

/// The places to look at, in the order of the fields. The first one that has something counts, alone.
#[derive(Clone, Copy, Default)]
pub struct Sources<'a> {
    /// systemd's `$CREDENTIALS_DIRECTORY`; it counts if the credential `sidekey-master-key` is in it.
    pub credentials_directory: Option<&'a Path>,
    /// A key file that was asked for; it must exist.
    pub file: Option<&'a Path>,
    /// The value of an environment variable: the text of a key file.
    pub environment: Option<&'a str>,
}

/// Where a keyring was found, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In a systemd credential.
    Credential(PathBuf),
    /// In a file.
    File(PathBuf),
    /// In the environment.
    Environment,
}

impl Origin {
    /// Reads the keyring again; `None` where it cannot have changed, because a process keeps the environment that it was
    /// started with.
    ///
    /// # Errors
    /// There is no usable keyring any more.
    pub fn read_again(&self) -> Result<Option<Keyring>, SourceError> {
        match self {
            Self::Credential(path) => {
                let unusable = |source| SourceError::Unusable { path: path.clone(), source };
                read(File::open(path).map_err(unusable)?, path).map(Some)
            }
            Self::File(path) => load_file(path).map(Some),
            Self::Environment => Ok(None),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credential(path) => write!(f, "the systemd credential {}", path.display()),
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Environment => f.write_str("the environment"),
        }
    }
}

impl Sources<'_> {
    /// Reads the keyring from the first place that has one.
    ///
    /// # Errors
    /// No place has one, or the first that has something has no usable keyring.
    pub fn load(&self) -> Result<(Keyring, Origin), SourceError> {
        if let Some(path) = self.credentials_directory.map(|directory| directory.join(CREDENTIAL))
            && let Some(file) = open_if_there(&path)?
        {
            // systemd guards the credential itself, by a mount of its own (systemd.exec(5)).
            return Ok((read(file, &path)?, Origin::Credential(path)));
        }
        if let Some(path) = self.file {
            return Ok((load_file(path)?, Origin::File(path.to_owned())));
        }
        let Some(text) = self.environment else { return Err(SourceError::Missing) };
        let keyring = Keyring::parse(text)
            .map_err(|error| SourceError::Malformed { origin: "the environment".into(), error })?;
        Ok((keyring, Origin::Environment))
    }
}

/// The keyring from the places that an operator has a say in; `None` if no place has one.
///
/// # Errors
/// The first place that has something has no usable keyring.
pub fn given(file: Option<&Path>) -> Result<Option<(Keyring, Origin)>, SourceError> {
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let environment = std::env::var("SIDEKEY_MASTER_KEY").ok().map(Zeroizing::new);
    let places = Sources {
        credentials_directory: directory.as_deref(),
        file,
        environment: environment.as_ref().map(|text| text.as_str()),
    };
    match places.load() {
        Ok(found) => Ok(Some(found)),
        Err(SourceError::Missing) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads the key file of development mode, or makes it. The flag tells that it is new.
///
/// # Errors
/// The file can neither be read nor made, is exposed to others, or is no keyring.
pub fn load_or_create(path: &Path, rng: &mut impl CryptoRng) -> Result<(Keyring, bool), SourceError> {
    match write_new(path, &MasterKey::generate(rng)) {
        Ok(()) => Ok((load_file(path)?, true)),
        Err(SourceError::Exists { .. }) => Ok((load_file(path)?, false)),
        Err(error) => Err(error),
    }
}

/// Writes a key to a new file that only its owner can read, durably. An existing file is never touched.
///
/// # Errors
/// The file exists already or cannot be written.
pub fn write_new(path: &Path, key: &MasterKey) -> Result<(), SourceError> {
    let unusable = |source| SourceError::Unusable { path: path.to_owned(), source };
    let text = paragraph(key);
    let part = part_of(path);
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        // A link never overwrites, and the name leads to a whole key or to nothing: a crash leaves no half of one.
        let linked = std::fs::hard_link(&part, path);
        std::fs::remove_file(&part)?;
        linked?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => SourceError::Exists { path: path.to_owned() },
        _ => unusable(error),
    })
}

/// A key as it stands in a key file: with two lines of comment for whoever opens it.
pub(super) fn paragraph(key: &MasterKey) -> Zeroizing<String> {
    Zeroizing::new(format!(
        "# Sidekey master key {}. Whoever has it can read every secret of the store:\n\
         # keep it apart from backups, and do not lose it.\n{}\n",
        key.id(),
        *key.to_line()
    ))
}

/// A key file before it is whole and has its name.
pub(super) fn part_of(path: &Path) -> PathBuf {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    part.into()
}

/// Reads a key file.
///
/// # Errors
/// It is not there, others than its owner can use it, or it is no keyring.
pub fn load_file(path: &Path) -> Result<Keyring, SourceError> {
    parse(&read_text(open_private(path)?, path)?, path)
}

/// Opens a file that nobody but its owner can use.
pub(super) fn open_private(path: &Path) -> Result<File, SourceError> {
    let unusable = |source| SourceError::Unusable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unusable)?;
    // Of the open file, which nobody can replace between the look and the reading.
    let mode = file.metadata().map_err(unusable)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(SourceError::Exposed { path: path.to_owned(), mode: mode & 0o777 });
    }
    Ok(file)
}

fn open_if_there(path: &Path) -> Result<Option<File>, SourceError> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SourceError::Unusable { path: path.to_owned(), source }),
    }
}

fn read(file: File, path: &Path) -> Result<Keyring, SourceError> {
    parse(&read_text(file, path)?, path)
}

pub(super) fn read_text(file: File, path: &Path) -> Result<Zeroizing<String>, SourceError> {
    // With room for all of it: a string that grows would leave copies behind.
    let room = usize::try_from(file.metadata().map_or(0, |found| found.len()).min(MAX_FILE)).unwrap_or(0);
    let mut text = Zeroizing::new(String::with_capacity(room + 1));
    file.take(MAX_FILE)
        .read_to_string(&mut text)
        .map_err(|source| SourceError::Unusable { path: path.to_owned(), source })?;
    Ok(text)
}

pub(super) fn parse(text: &str, path: &Path) -> Result<Keyring, SourceError> {
    let origin = path.display().to_string();
    Keyring::parse(text).map_err(|error| SourceError::Malformed { origin, error })
}

/// Why there is no keyring, with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No place has one.
    #[error(
        "there is no master key: make one with `sidekey keys generate --out master.key`, then start with `--master-key-file master.key`"
    )]
    Missing,
    /// No place has one, and there is a store, which needs its own.
    #[error(
        "no master key was given, and `{}` holds a store that only its own key opens: name the key file that belongs to it with \
         `--master-key-file FILE`",
        data.display()
    )]
    NotGiven {
        /// The data folder.
        data: PathBuf,
    },
    /// Others than the owner can read the file.
    #[error(
        "others than its owner can use the master key file `{}` (mode {mode:o}): run `chmod 600 {}`",
        path.display(), path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file must be new and is not.
    #[error("`{}` exists already, and a master key is never overwritten: choose another name", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A part of an earlier change is left.
    #[error(
        "`{}` is there: either the key file is being changed by another command, or one was cut short; then remove it",
        path.display()
    )]
    Unfinished {
        /// The part.
        path: PathBuf,
    },
    /// The key is not there.
    #[error("the master key file `{}` has no key `{id}`", path.display())]
    NoSuchKey {
        /// The file.
        path: PathBuf,
        /// The key.
        id: KeyId,
    },
    /// The key that seals stays.
    #[error("`{id}` is the first key of `{}`, the one that seals: add another before it with `sidekey keys add`", path.display())]
    Sealing {
        /// The file.
        path: PathBuf,
        /// The key.
        id: KeyId,
    },
    /// The file cannot be read or written.
    #[error("could not use the master key file `{}`: {source}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What was found is no keyring.
    #[error("could not read a master key from {origin}: {error}")]
    Malformed {
        /// The file, or the environment.
        origin: String,
        /// What is wrong.
        error: ParseError,
    },
}

impl SourceError {
    /// No place has a key for what is in this data folder. Where it cannot be told whether a store is in it, it is taken for one:
    /// nobody should be led to replace its key.
    pub fn none_for(data: &Path) -> Self {
        match data.join(STORE_ID).try_exists() {
            Ok(false) => Self::Missing,
            _ => Self::NotGiven { data: data.to_owned() },
        }
    }
}
