//! Everything in one file, as it is at one moment, while the server goes on.
//!
//! The side with the store makes the bytes ([`write`]); the side at the terminal puts them into a file ([`BackupFile`]), reads that
//! file back and checks it before it gets its name. Both are one process when no server runs.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use sidekey_core::time::UnixTime;
use tokio::sync::mpsc;

use super::Part;
use super::backup_file::{Piece, ReadError, Reader, Title, Writer};
use super::new_file::NewFile;
use crate::store::head::Base;
use crate::store::integrity::{Completeness, Finding};
use crate::store::record::Header;
use crate::store::walk::Visitor;
use crate::store::{Engine, FORMAT, StoreError};

/// Between two reports of progress, in records.
const STRIDE: u64 = 1_000;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Records.
    pub records: u64,
    /// Audit entries.
    pub audit_entries: u64,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store cannot be read, or too much changed meanwhile.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store has lost something.
    #[error("the store is damaged, and no backup was made: {0}; see all damage with `sidekey verify`")]
    Damaged(Finding),
    /// Nobody takes the bytes any more.
    #[error("the backup was broken off")]
    BrokenOff,
}

/// Writes a backup of the store to `parts`.
///
/// # Errors
/// See [`BackupError`]; what was written is no backup then.
pub async fn write(
    engine: &dyn Engine,
    now: UnixTime,
    parts: mpsc::Sender<Part>,
) -> Result<Summary, BackupError> {
    let title = Title { store_format: FORMAT, store: engine.id(), begun_at: now.as_secs() };
    let (writer, first) = Writer::new(&title);
    parts.send(Part::Data(first.into())).await.map_err(|_| BackupError::BrokenOff)?;
    let state =
        State { writer: Some(writer), completeness: Completeness::new(), finding: None, done: 0, total: 0 };
    let state = Arc::new(Mutex::new(state));
    let visitor = Box::new(Packing { state: Arc::clone(&state), parts: parts.clone() });
    let walked = engine.walk(visitor).await;
    let (writer, finding) = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = |head| state.completeness.compare(head).into_iter().next();
        let finding = state.finding.clone().or_else(|| walked.as_ref().ok().and_then(missing));
        (state.writer.take(), finding)
    };
    if let Some(finding) = finding {
        return Err(BackupError::Damaged(finding));
    }
    let head = walked?;
    let (mut last, sum) = writer.ok_or(BackupError::BrokenOff)?.end(&head);
    let mac = engine.authenticate(sum).await?;
    last.extend_from_slice(&mac.unwrap_or_default());
    parts.send(Part::Data(last.into())).await.map_err(|_| BackupError::BrokenOff)?;
    Ok(Summary { records: head.records(), audit_entries: head.audit_entries() })
}

struct State {
    writer: Option<Writer>,
    completeness: Completeness,
    /// A record that is damaged: there is no backup then.
    finding: Option<Finding>,
    done: u64,
    total: u64,
}

struct Packing {
    state: Arc<Mutex<State>>,
    parts: mpsc::Sender<Part>,
}

impl Packing {
    fn send(&self, part: Part) -> Result<(), String> {
        self.parts.blocking_send(part).map_err(|_| BackupError::BrokenOff.to_string())
    }
}

impl Visitor for Packing {
    fn total(&mut self, total: u64) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).total = total;
    }

    fn record(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.finding = state.completeness.look(key, bytes);
        if let Some(finding) = &state.finding {
            return Err(finding.to_string());
        }
        let chunk = state.writer.as_mut().and_then(|writer| writer.record(key, bytes));
        state.done += 1;
        let (done, total) = (state.done, state.total);
        drop(state);
        if let Some(chunk) = chunk {
            self.send(Part::Data(chunk.into()))?;
        }
        if done.is_multiple_of(STRIDE) {
            self.send(Part::Progress { done, total })?;
        }
        Ok(())
    }

    fn correction(
        &mut self,
        key: &[u8],
        before: Option<&Header>,
        after: Option<&[u8]>,
    ) -> Result<(), String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.completeness.correct(key, before, after);
        let chunk = state.writer.as_mut().and_then(|writer| writer.correction(key, before, after));
        drop(state);
        chunk.map_or(Ok(()), |chunk| self.send(Part::Data(chunk.into())))
    }

    fn log(&mut self, base: Base) -> Result<(), String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.completeness.log(base);
        let chunk = state.writer.as_mut().and_then(|writer| writer.log(base));
        drop(state);
        chunk.map_or(Ok(()), |chunk| self.send(Part::Data(chunk.into())))
    }
}

/// A backup that is being written under another name. It is removed unless it is finished.
#[derive(Debug)]
pub struct BackupFile(NewFile);

/// Why a backup file was not written or is none.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is a file of this name.
    #[error("`{}` exists already, and a backup never replaces another file: choose another name", .0.display())]
    Exists(PathBuf),
    /// The system says why.
    #[error("the backup cannot be written to `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was written is not what can be read.
    #[error("the backup was written to `{}`, but reading it back failed: {source}", path.display())]
    ReadBack {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ReadError,
    },
    /// What was written is not complete.
    #[error("the backup is not complete: {0}")]
    Incomplete(Finding),
}

impl BackupFile {
    /// Begins a file that will be called `path`, readable by its owner only.
    ///
    /// # Errors
    /// The name is taken, or the file cannot be made.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        NewFile::create(path).map(Self).map_err(|error| io_error(path, error))
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.0.write(bytes).map_err(|error| io_error(self.0.path(), error))
    }

    /// Makes it durable, reads it back, checks it, and gives it its name. How many bytes it has.
    ///
    /// # Errors
    /// Any of that failed; there is no file then.
    pub fn finish(self) -> Result<u64, FileError> {
        let path = self.0.path().to_owned();
        check(self.0.written().map_err(|error| io_error(&path, error))?, &path)?;
        self.0.keep().map_err(|error| io_error(&path, error))
    }
}

fn check(file: File, path: &Path) -> Result<(), FileError> {
    let mut completeness = Completeness::new();
    let mut finding = None;
    let end = Reader::new(BufReader::with_capacity(1 << 20, file)).and_then(|reader| {
        reader.read(|piece| {
            match &piece {
                Piece::Record { key, bytes } => {
                    finding = finding.take().or(completeness.look(key, bytes));
                }
                Piece::Correction { key, before, after } => {
                    completeness.correct(key, before.as_ref(), after.as_deref());
                }
                Piece::Log(base) => completeness.log(*base),
            }
            Ok::<_, ReadError>(())
        })
    });
    let end = end.map_err(|source| FileError::ReadBack { path: path.to_owned(), source })?;
    let finding = finding.or_else(|| completeness.compare(&end.head).into_iter().next());
    finding.map_or(Ok(()), |finding| Err(FileError::Incomplete(finding)))
}

fn io_error(path: &Path, source: io::Error) -> FileError {
    match source.kind() {
        ErrorKind::AlreadyExists => FileError::Exists(path.to_owned()),
        _ => FileError::Io { path: path.to_owned(), source },
    }
}
