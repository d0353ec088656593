//! The file `<data>/head`: the head once more, outside the database, so that a tail that sled has lost is noticed.
//!
//! ```text
//! two slots, at 0 and 4096, written in turn, so that one is whole whatever happens to the other:
//! offset  bytes  field
//! 0       8      "SIDEKEY" 0
//! 8       2      format, 2 (big endian); 1 beside a store of format 2
//! 10      16     id of the store
//! 26      153    the head; 113 bytes in format 1
//! 179     16     checksum: the first 16 bytes of SHA-256 over all before
//! ```
//!
//! It is written at most once a second, by a thread of its own, and at close: never before what it tells of is durable, and
//! never in the way of a commit. So the database is always at or after what it says, unless something was lost.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::engine::StoreId;
use super::folder::sync_folder;
use super::head::{self, Head};

const MAGIC: &[u8; 8] = b"SIDEKEY\0";
const FORMAT: [u8; 2] = [0, 2];
/// Between the starts of the slots: no two of them share a page or a sector.
const STRIDE: u64 = 4_096;
const PREFIX: usize = 8 + 2 + 16;
/// Between two writes.
const PAUSE: Duration = Duration::from_secs(1);

/// What the file said at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remembered {
    pub(super) store: StoreId,
    pub(super) head: Head,
    /// Where the other slot starts, which is written next.
    next: u64,
}

/// The path of the file in a data folder.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join("head")
}

/// Reads the file, if there is one.
pub(super) fn read(folder: &Path) -> io::Result<Option<Result<Remembered, NeitherSlotIsWhole>>> {
    let mut bytes = Vec::new();
    match File::open(path(folder)) {
        Ok(file) => file.take(2 * STRIDE).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let second = usize::try_from(STRIDE).ok().and_then(|start| bytes.get(start..));
    let slots = [(Some(bytes.as_slice()), STRIDE), (second, 0)];
    let whole = slots.into_iter().filter_map(|(slot, next)| Some(Remembered { next, ..decode(slot?)? }));
    Ok(Some(whole.max_by_key(|slot| slot.head.version).ok_or(NeitherSlotIsWhole)))
}

/// The file is there and says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NeitherSlotIsWhole;

fn encode(store: &StoreId, head: &[u8; head::BYTES]) -> Vec<u8> {
    let mut slot = [&MAGIC[..], &FORMAT, store, head].concat();
    slot.extend_from_slice(&checksum(&slot));
    slot
}

fn decode(bytes: &[u8]) -> Option<Remembered> {
    let (format, _) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<2>()?;
    let head_bytes = match *format {
        FORMAT => head::BYTES,
        [0, 1] => head::BYTES_OF_FORMAT_1,
        _ => return None,
    };
    let (checked, sum) = bytes.split_at_checked(PREFIX + head_bytes)?;
    let (prefix, head) = checked.split_first_chunk::<PREFIX>()?;
    let (_, store) = prefix.split_at_checked(MAGIC.len() + FORMAT.len())?;
    sum.starts_with(&checksum(checked)).then_some(())?;
    Some(Remembered { store: store.try_into().ok()?, head: Head::decode(head)?, next: 0 })
}

fn checksum(bytes: &[u8]) -> [u8; 16] {
    let hash: [u8; 32] = Sha256::digest(bytes).into();
    let mut sum = [0; 16];
    sum.iter_mut().zip(hash).for_each(|(place, byte)| *place = byte);
    sum
}

/// Makes the file, durably and in one step, over whatever is there, and gives what it says then.
pub(super) fn create(folder: &Path, store: &StoreId, head: &[u8; head::BYTES]) -> io::Result<Remembered> {
    let (part, whole) = (folder.join("head.part"), path(folder));
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    let slot = encode(store, head);
    for start in [0, STRIDE] {
        file.write_all_at(&slot, start)?;
    }
    file.sync_all()?;
    fs::rename(&part, &whole)?;
    sync_folder(folder)?;
    decode(&slot).ok_or_else(|| ErrorKind::InvalidData.into())
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Writes the file as beside a store of format 2.
    pub(crate) fn write_format_1(folder: &Path, store: &StoreId, head: &[u8]) {
        let mut slot = [&MAGIC[..], &[0, 1], store, head].concat();
        slot.extend_from_slice(&checksum(&slot));
        let mut bytes = slot.clone();
        bytes.resize(usize::try_from(STRIDE).unwrap(), 0);
        bytes.extend(slot);
        fs::write(path(folder), bytes).unwrap();
    }
}

/// The thread that keeps the file up to date.
pub(super) struct HeadFile {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Option<[u8; head::BYTES]>,
    closing: bool,
    failure: Option<String>,
}

impl HeadFile {
    /// Opens the file, which must be there, and starts the thread. `remembered` is what it says.
    pub(super) fn open(folder: &Path, remembered: &Remembered) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).open(path(folder))?;
        let shared = Arc::<Shared>::default();
        let (worker, store, start) = (Arc::clone(&shared), remembered.store, remembered.next);
        let work = move || worker.keep(&file, &store, start);
        let thread = std::thread::Builder::new().name("head".to_owned()).spawn(work)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Tells the thread of a head that is durable. Errors: the file could not be written.
    pub(super) fn tell(&self, head: [u8; head::BYTES]) -> Result<(), String> {
        let mut state = self.shared.lock();
        state.waiting = Some(head);
        self.shared.changed.notify_one();
        state.failure.clone().map_or(Ok(()), Err)
    }

    /// Writes what waits and ends the thread.
    pub(super) fn close(&mut self) -> Result<(), String> {
        self.shared.lock().closing = true;
        self.shared.changed.notify_one();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            return Err("the file `head` was left unwritten".to_owned());
        }
        self.shared.lock().failure.clone().map_or(Ok(()), Err)
    }
}

impl Drop for HeadFile {
    fn drop(&mut self) {
        // Whoever needs to know of a failure has closed it before.
        let _ = self.close();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, file: &File, store: &StoreId, mut start: u64) {
        loop {
            let idle = |state: &mut State| state.waiting.is_none() && !state.closing;
            let state = self.changed.wait_while(self.lock(), idle);
            let head = state.unwrap_or_else(PoisonError::into_inner).waiting.take();
            let Some(head) = head else { return };
            let written = file.write_all_at(&encode(store, &head), start).and_then(|()| file.sync_data());
            if let Err(error) = written {
                // Not tried again, as no failed sync is.
                self.lock().failure = Some(format!("the file `head` could not be written: {error}"));
                return;
            }
            start = STRIDE - start;
            let open = |state: &mut State| !state.closing;
            // Dropped at once: only the pause matters.
            drop(self.changed.wait_timeout_while(self.lock(), PAUSE, open));
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const STORE: StoreId = [7; 16];

    fn head(version: u64) -> Head {
        Head { version, ..Head::default() }
    }

    fn bytes(version: u64) -> [u8; head::BYTES] {
        head(version).encode()
    }

    fn read_back(folder: &TempDir) -> Option<Remembered> {
        let remembered = read(folder.path()).unwrap()?.ok()?;
        assert_eq!(remembered.store, STORE);
        Some(remembered)
    }

    fn version(folder: &TempDir) -> Option<u64> {
        read_back(folder).map(|remembered| remembered.head.version)
    }

    #[test]
    fn the_last_head_is_there_after_closing() {
        let folder = TempDir::new().unwrap();
        assert_eq!(version(&folder), None);
        let remembered = create(folder.path(), &STORE, &bytes(1)).unwrap();
        assert_eq!(version(&folder), Some(1));
        let mut file = HeadFile::open(folder.path(), &remembered).unwrap();
        for version in 2..50 {
            file.tell(bytes(version)).unwrap();
        }
        file.close().unwrap();
        assert_eq!(version(&folder), Some(49));
    }

    #[test]
    fn the_older_slot_is_written_next_and_one_whole_slot_is_enough() {
        let folder = TempDir::new().unwrap();
        create(folder.path(), &STORE, &bytes(1)).unwrap();
        for next in 2..=5 {
            let mut file = HeadFile::open(folder.path(), &read_back(&folder).unwrap()).unwrap();
            file.tell(bytes(next)).unwrap();
            file.close().unwrap();
            assert_eq!(version(&folder), Some(next));
        }
        let newest = STRIDE - read_back(&folder).unwrap().next;
        let file = OpenOptions::new().write(true).open(path(folder.path())).unwrap();
        file.write_all_at(b"x", newest + 100).unwrap();
        assert_eq!(version(&folder), Some(4));
        file.write_all_at(b"x", STRIDE - newest + 100).unwrap();
        assert_eq!(read(folder.path()).unwrap(), Some(Err(NeitherSlotIsWhole)));
        file.set_len(0).unwrap();
        assert_eq!(read(folder.path()).unwrap(), Some(Err(NeitherSlotIsWhole)));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told() {
        let folder = TempDir::new().unwrap();
        create(folder.path(), &STORE, &bytes(1)).unwrap();
        let shared = Arc::<Shared>::default();
        shared.lock().waiting = Some(bytes(2));
        let read_only = File::open(path(folder.path())).unwrap();
        shared.keep(&read_only, &STORE, 0);
        let mut file = HeadFile { shared, thread: None };
        assert!(file.tell(bytes(3)).unwrap_err().contains("`head` could not be written"));
        assert!(file.close().is_err());
    }
}
