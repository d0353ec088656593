//! What is copied while a server still serves the folder: as much as comes, without a promise that it is all, or the latest.
//!
//! It comes as a backup does. What changes meanwhile, the pass after it finds, when nobody decides any more; so corrections are left
//! out, and nothing is removed.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use tokio::runtime::Handle;
use zeroize::Zeroizing;

use super::to_database::PAGE;
use super::{CopyError, head_keys};
use crate::control::{Command, Reply, socket};
use crate::keyring::Keyring;
use crate::maintenance::backup_file::{Piece, ReadError, Reader};
use crate::maintenance::check::Report;
use crate::maintenance::restore::keep_meta;
use crate::maintenance::{OnProgress, Part};
use crate::store::moving::Token;
use crate::store::postgres::filling::{Filling, is_of_log};
use crate::store::postgres::moving::{MoveError, Place};
use crate::store::{FORMAT, StoreId};

/// Parts that wait to be read.
const AHEAD: usize = 4;

/// Copies what the running server shows, tells which store it is, and finds out whether the master key is the right one before anything is closed.
pub(super) fn copy(
    data: &Path,
    place: Place,
    token: &Token,
    keyring: Option<&Arc<Keyring>>,
    runtime: &Handle,
    progress: OnProgress<'_>,
) -> Result<(Filling, StoreId), CopyError> {
    let (sender, waiting) = sync_channel(AHEAD);
    let take = move |part| match part {
        Part::Progress { done, total } => {
            progress(done, total);
            Ok(())
        }
        // What went wrong there is told below.
        Part::Data(bytes) => sender.send(bytes).map_err(|_| "the copy was broken off".to_owned()),
    };
    thread::scope(|scope| {
        let filled = scope.spawn(|| {
            fill(Parts { waiting, current: Zeroizing::default(), read: 0 }, place, token, keyring, runtime)
        });
        let asked = runtime.block_on(socket::ask(data, &Command::Backup, take));
        let filled = filled.join().map_err(|_| CopyError::Server("the copy was cut short".to_owned()))?;
        match (asked, filled) {
            (Ok(Some(Reply::BackedUp(_))), filled) => filled,
            // Its own failure comes first: it is why the parts ended, or why nobody took them.
            (_, Err(error)) if !matches!(error, CopyError::Server(_)) => Err(error),
            (Err(reason), _) => Err(CopyError::Server(reason)),
            (Ok(_), _) => Err(CopyError::Server("it ended meanwhile: run the command again".to_owned())),
        }
    })
}

/// What a running server finds in its store; `None`: there is no server.
pub(super) async fn verified(data: &Path, progress: OnProgress<'_>) -> Result<Option<Report>, CopyError> {
    let take = |part| {
        if let Part::Progress { done, total } = part {
            progress(done, total);
        }
        Ok(())
    };
    match socket::ask(data, &Command::Verify, take).await.map_err(CopyError::Server)? {
        None => Ok(None),
        Some(Reply::Verified(report)) => Ok(Some(report)),
        Some(_) => Err(CopyError::Server(
            "it answers something else; use the `sidekey` of its own version".to_owned(),
        )),
    }
}

fn fill(
    parts: Parts,
    place: Place,
    token: &Token,
    keyring: Option<&Arc<Keyring>>,
    runtime: &Handle,
) -> Result<(Filling, StoreId), CopyError> {
    let reader = Reader::new(parts).map_err(|error| broken(&error))?;
    let title = *reader.title();
    if title.store_format != FORMAT {
        return Err(CopyError::OtherFormat(title.store_format));
    }
    let mut filling = runtime.block_on(place.begin(title.store, token.clone()))?;
    let (mut page, mut of_log) = (Vec::new(), false);
    let (mut sentinel, mut pepper) = (None, None);
    let read = reader.read(|piece| {
        match piece {
            Piece::Record { key, bytes } => {
                keep_meta(&key, Some(&bytes), &mut sentinel, &mut pepper);
                if page.len() >= PAGE || is_of_log(&key) != of_log {
                    runtime.block_on(filling.put(of_log, &page, None))?;
                    page.clear();
                    of_log = is_of_log(&key);
                }
                page.push((key, bytes));
            }
            Piece::Correction { key, after, .. } => {
                keep_meta(&key, after.as_deref(), &mut sentinel, &mut pepper);
            }
            Piece::Log(_) => {}
        }
        Ok::<_, Broken>(())
    });
    read.map_err(|error| match error {
        Broken::Read(error) => broken(&error),
        Broken::Move(error) => error.into(),
    })?;
    runtime.block_on(filling.put(of_log, &page, None))?;
    head_keys::<0>(title.store, keyring, sentinel, pepper)?;
    Ok((filling, title.store))
}

fn broken(error: &ReadError) -> CopyError {
    CopyError::Server(format!("what it shows cannot be read: {error}"))
}

enum Broken {
    Read(ReadError),
    Move(MoveError),
}

impl From<ReadError> for Broken {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<MoveError> for Broken {
    fn from(error: MoveError) -> Self {
        Self::Move(error)
    }
}

/// The bytes of parts, one after another.
struct Parts {
    waiting: Receiver<Zeroizing<Vec<u8>>>,
    current: Zeroizing<Vec<u8>>,
    read: usize,
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read >= self.current.len() {
            // Without a sender it has ended.
            let Ok(next) = self.waiting.recv() else { return Ok(0) };
            (self.current, self.read) = (next, 0);
        }
        let read = self.current.get(self.read..).map_or(Ok(0), |mut rest| rest.read(buffer))?;
        self.read += read;
        Ok(read)
    }
}
