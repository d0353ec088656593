//! The file `<data>/head`: the head once more, outside the database, so that a tail that sled has lost is noticed.
//!
//! ```text
//! two slots, at 0 and 4096, written in turn, so that one is whole whatever happens to the other:
//! offset  bytes  field
//! 0       8      "SIDEKEY" 0
//! 8       2      format, 2 (big endian); 1 beside a store of format 2; 3 is 2 with the note below
//! 10      16     id of the store
//! 26      153    the head; 113 bytes in format 1
//! 179     16     checksum: the first 16 bytes of SHA-256 over all before
//! ```
//!
//! It is written at most once a second, by a thread of its own, and at close: never before what it tells of is durable, and
//! never in the way of a commit. So the database is always at or after what it says, unless something was lost.
//!
//! **The note.** A store that was found complete in this run and is closed in good order leaves one slot in format 3: what this
//! head tells of was there when everything was on disk. Whoever opens the database takes the note away before that, durably, so
//! that it never outlives what it says. An older program does not know the format, and goes by the other slot.

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
/// As [`FORMAT`], with the note.
const NOTED: [u8; 2] = [0, 3];
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
    /// Whether there is the note that the store was closed in good order and was complete.
    is_noted: bool,
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
    let newest = whole.max_by_key(|slot| (slot.head.version, slot.is_noted));
    Ok(Some(newest.ok_or(NeitherSlotIsWhole)))
}

/// Takes away, durably, the note that the store was closed in good order; returns whether it was there.
pub(super) fn take_note(folder: &Path) -> io::Result<bool> {
    let Some(Ok(noted)) = read(folder)?.filter(|file| file.as_ref().is_ok_and(|slot| slot.is_noted)) else {
        return Ok(false);
    };
    let file = OpenOptions::new().write(true).open(path(folder))?;
    // The other slot tells of the same head: it was written before the note was.
    file.write_all_at(&encode(FORMAT, &noted.store, &noted.head.encode()), STRIDE - noted.next)?;
    file.sync_data()?;
    Ok(true)
}

/// The file is there and says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NeitherSlotIsWhole;

fn encode(format: [u8; 2], store: &StoreId, head: &[u8; head::BYTES]) -> Vec<u8> {
    let mut slot = [&MAGIC[..], &format, store, head].concat();
    slot.extend_from_slice(&checksum(&slot));
    slot
}

fn decode(bytes: &[u8]) -> Option<Remembered> {
    let (format, _) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<2>()?;
    let head_bytes = match *format {
        FORMAT | NOTED => head::BYTES,
        [0, 1] => head::BYTES_OF_FORMAT_1,
        _ => return None,
    };
    let (checked, sum) = bytes.split_at_checked(PREFIX + head_bytes)?;
    let (prefix, head) = checked.split_first_chunk::<PREFIX>()?;
    let (_, store) = prefix.split_at_checked(MAGIC.len() + FORMAT.len())?;
    sum.starts_with(&checksum(checked)).then_some(())?;
    let (store, head) = (store.try_into().ok()?, Head::decode(head)?);
    Some(Remembered { store, head, is_noted: *format == NOTED, next: 0 })
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
    let slot = encode(FORMAT, store, head);
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
    /// Whether the note is written at the end.
    noting: bool,
    closing: bool,
    failure: Option<String>,
}

impl HeadFile {
    /// Opens the file, which must be there, and starts the thread. `remembered` is what it says.
    pub(super) fn open(folder: &Path, remembered: &Remembered) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).open(path(folder))?;
        let shared = Arc::<Shared>::default();
        let (worker, remembered) = (Arc::clone(&shared), remembered.clone());
        let work = move || worker.keep(&file, &remembered);
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

    /// Writes what waits and then the note, and ends the thread: everything is on disk, and nothing was missing.
    pub(super) fn close_with_note(&mut self) -> Result<(), String> {
        self.shared.lock().noting = true;
        self.close()
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

    fn keep(&self, file: &File, remembered: &Remembered) {
        let (mut start, mut latest) = (remembered.next, remembered.head.encode());
        let write = |format, head: &[u8; head::BYTES], start| {
            let slot = encode(format, &remembered.store, head);
            let written = file.write_all_at(&slot, start).and_then(|()| file.sync_data());
            if let Err(error) = &written {
                // Not tried again, as no failed sync is.
                self.lock().failure = Some(format!("the file `head` could not be written: {error}"));
            }
            written.is_ok()
        };
        loop {
            let idle = |state: &mut State| state.waiting.is_none() && !state.closing;
            let state = self.changed.wait_while(self.lock(), idle);
            let mut state = state.unwrap_or_else(PoisonError::into_inner);
            let (head, noting) = (state.waiting.take(), state.noting);
            drop(state);
            let Some(head) = head else {
                // In the other slot than the head: if this one is cut short, nothing but the note is lost.
                let _ = noting && write(NOTED, &latest, start);
                return;
            };
            if !write(FORMAT, &head, start) {
                return;
            }
            (start, latest) = (STRIDE - start, head);
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

    fn is_noted(folder: &TempDir) -> bool {
        read_back(folder).unwrap().is_noted
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
    fn the_note_is_of_the_last_head_and_is_there_once() {
        let folder = TempDir::new().unwrap();
        create(folder.path(), &STORE, &bytes(1)).unwrap();
        assert!(!take_note(folder.path()).unwrap());
        for (tell, wanted) in [(None, 1), (Some(2), 2), (Some(3), 3), (None, 3)] {
            let mut file = HeadFile::open(folder.path(), &read_back(&folder).unwrap()).unwrap();
            tell.into_iter().for_each(|version| file.tell(bytes(version)).unwrap());
            file.close_with_note().unwrap();
            assert_eq!((version(&folder), is_noted(&folder)), (Some(wanted), true));
            assert!(take_note(folder.path()).unwrap());
            assert_eq!((version(&folder), is_noted(&folder)), (Some(wanted), false));
            assert!(!take_note(folder.path()).unwrap());
        }
        let mut file = HeadFile::open(folder.path(), &read_back(&folder).unwrap()).unwrap();
        file.tell(bytes(4)).unwrap();
        file.close().unwrap();
        assert!(!take_note(folder.path()).unwrap(), "without a word there is none");
    }

    #[test]
    fn a_note_that_is_cut_short_or_taken_away_in_part_leaves_the_head() {
        let folder = TempDir::new().unwrap();
        let remembered = create(folder.path(), &STORE, &bytes(1)).unwrap();
        let mut file = HeadFile::open(folder.path(), &remembered).unwrap();
        file.tell(bytes(2)).unwrap();
        file.close_with_note().unwrap();
        let noted = STRIDE - read_back(&folder).unwrap().next;
        let file = OpenOptions::new().write(true).open(path(folder.path())).unwrap();
        file.write_all_at(&encode(FORMAT, &STORE, &bytes(2))[..40], noted).unwrap();
        assert_eq!((version(&folder), is_noted(&folder)), (Some(2), false));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told() {
        let folder = TempDir::new().unwrap();
        create(folder.path(), &STORE, &bytes(1)).unwrap();
        let shared = Arc::<Shared>::default();
        shared.lock().waiting = Some(bytes(2));
        let read_only = File::open(path(folder.path())).unwrap();
        shared.keep(&read_only, &read_back(&folder).unwrap());
        let mut file = HeadFile { shared, thread: None };
        assert!(file.tell(bytes(3)).unwrap_err().contains("`head` could not be written"));
        assert!(file.close().is_err());
    }
}
