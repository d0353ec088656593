//! The layout of a backup file.
//!
//! ```text
//! offset  bytes  field                                                     (numbers big endian)
//! 0       16     "SIDEKEY BACKUP" 0 0
//! 16      2      format of the file, 2
//! 18      2      format of the store
//! 20      16     id of the store
//! 36      8      when it was begun, Unix seconds
//! 44      32     sum: SHA-256 of all before
//!
//! then chunks:
//!         1      kind: 1 records, 2 corrections, 4 the beginning of the audit log, 3 the end
//!         4      length of the content, at most 1 MiB
//!         …      content
//!         32     sum: SHA-256 of the sum before | kind | length | content
//!
//! record:      key length (2) | key | length (4) | the record as it is stored
//! correction:  key length (2) | key | 1 and the header (17) of the record that it replaces, or 0
//!              | 1, length (4) and the record as it is stored, or 0 where it is gone
//! beginning:   the base of the head (40): before the audit entries, which are records as well
//! end:         the head (153) | number of all before (8)
//!
//! and after the end chunk:
//!         32     MAC of the last sum under the key of the head's seal, or zeros if the store has no seal yet
//! ```
//!
//! Sums are chained, so that no chunk can be lost, moved or doubled; a file without its end is noticed as cut short. Records
//! are as they are stored: TOTP secrets, the pepper and signing keys stay sealed, and the master key is never in a backup.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

use crate::store::StoreId;
use crate::store::head::{Base, Head};
use crate::store::record::{HEADER, Header};

const MAGIC: &[u8; 16] = b"SIDEKEY BACKUP\0\0";
/// The format of backup files that this program reads and writes.
pub const FORMAT: u16 = 2;
/// A chunk is written when it has this many bytes.
const CHUNK: usize = 256 << 10;
/// Most bytes of a chunk that is read.
const MAX_CHUNK: usize = 1 << 20;
const RECORDS: u8 = 1;
const CORRECTIONS: u8 = 2;
const END: u8 = 3;
const LOG: u8 = 4;
type Sum = [u8; 32];

/// What stands at the beginning of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Title {
    /// The format of the store.
    pub store_format: u16,
    /// The id of the store.
    pub store: StoreId,
    /// When the backup was begun, in Unix seconds.
    pub begun_at: u64,
}

/// Puts a file together, piece by piece; what it gives is to be written in that order.
pub struct Writer {
    sum: Sum,
    kind: u8,
    content: Vec<u8>,
    entries: u64,
}

impl Writer {
    /// Begins a file, and gives its first bytes.
    pub fn new(title: &Title) -> (Self, Vec<u8>) {
        let mut bytes = [
            &MAGIC[..],
            &FORMAT.to_be_bytes(),
            &title.store_format.to_be_bytes(),
            &title.store,
            &title.begun_at.to_be_bytes(),
        ]
        .concat();
        let sum: Sum = Sha256::digest(&bytes).into();
        bytes.extend_from_slice(&sum);
        (Self { sum, kind: RECORDS, content: Vec::new(), entries: 0 }, bytes)
    }

    /// Adds a record; gives a chunk when it is full.
    pub fn record(&mut self, key: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
        let before = self.turn_to(RECORDS);
        put_key(&mut self.content, key);
        put_bytes(&mut self.content, bytes);
        joined(before, self.full())
    }

    /// Adds a correction; gives a chunk when it is full.
    pub fn correction(
        &mut self,
        key: &[u8],
        before: Option<&Header>,
        after: Option<&[u8]>,
    ) -> Option<Vec<u8>> {
        let chunk = self.turn_to(CORRECTIONS);
        put_key(&mut self.content, key);
        self.content.push(before.is_some().into());
        self.content.extend(before.into_iter().flatten());
        self.content.push(after.is_some().into());
        if let Some(after) = after {
            put_bytes(&mut self.content, after);
        }
        joined(chunk, self.full())
    }

    /// Says where the audit log begins whose entries come next; gives a chunk when it is full.
    pub fn log(&mut self, base: Base) -> Option<Vec<u8>> {
        let before = self.turn_to(LOG);
        self.content.extend_from_slice(&base.to_bytes());
        joined(before, self.full())
    }

    /// The last chunks, and the sum that the MAC after them is made of.
    pub fn end(mut self, head: &Head) -> (Vec<u8>, Sum) {
        let mut bytes = self.turn_to(END).unwrap_or_default();
        self.content.extend_from_slice(&head.to_bytes());
        self.content.extend_from_slice(&self.entries.to_be_bytes());
        bytes.extend(self.chunk());
        (bytes, self.sum)
    }

    fn turn_to(&mut self, kind: u8) -> Option<Vec<u8>> {
        let chunk = (self.kind != kind && !self.content.is_empty()).then(|| self.chunk());
        self.kind = kind;
        chunk
    }

    fn full(&mut self) -> Option<Vec<u8>> {
        self.entries += 1;
        (self.content.len() >= CHUNK).then(|| self.chunk())
    }

    fn chunk(&mut self) -> Vec<u8> {
        let content = std::mem::take(&mut self.content);
        let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
        self.sum = sum_of(&self.sum, self.kind, &content);
        [&[self.kind][..], &length, &content, &self.sum].concat()
    }
}

fn joined(first: Option<Vec<u8>>, second: Option<Vec<u8>>) -> Option<Vec<u8>> {
    match (first, second) {
        (Some(first), Some(second)) => Some([first, second].concat()),
        (first, second) => first.or(second),
    }
}

fn sum_of(previous: &Sum, kind: u8, content: &[u8]) -> Sum {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
    Sha256::new()
        .chain_update(previous)
        .chain_update([kind])
        .chain_update(length)
        .chain_update(content)
        .finalize()
        .into()
}

/// A key is at most 256 bytes long.
fn put_key(content: &mut Vec<u8>, key: &[u8]) {
    content.extend_from_slice(&u16::try_from(key.len()).unwrap_or(u16::MAX).to_be_bytes());
    content.extend_from_slice(key);
}

/// A record is at most some 6,000 bytes long.
fn put_bytes(content: &mut Vec<u8>, bytes: &[u8]) {
    content.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    content.extend_from_slice(bytes);
}

/// What a file holds, piece by piece.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// A record or an audit entry.
    Record {
        /// Its key.
        key: Vec<u8>,
        /// As it is stored.
        bytes: Vec<u8>,
    },
    /// Where the audit log begins, whose entries come next.
    Log(Base),
    /// What became of a record.
    Correction {
        /// Its key.
        key: Vec<u8>,
        /// The record that it replaces.
        before: Option<Header>,
        /// As it is stored, unless it is gone.
        after: Option<Vec<u8>>,
    },
}

/// What stands at the end of the file.
#[derive(Debug, PartialEq, Eq)]
pub struct End {
    /// What the store held.
    pub head: Head,
    /// The sum of everything.
    pub sum: Sum,
    /// The MAC of it, unless the store had no seal.
    pub mac: Option<[u8; 32]>,
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is something else.
    #[error("it is no backup of sidekey")]
    NoBackup,
    /// A later version of the program has written it.
    #[error("it has format {0}, which a newer version of sidekey has written: install that version")]
    Newer(u16),
    /// It ends before its end.
    #[error("it is cut short: it ends within chunk {0}")]
    Short(u64),
    /// Its bytes are not those that were written.
    #[error("it is damaged in chunk {0}")]
    Damaged(u64),
    /// Something follows its end.
    #[error("it is damaged: something follows its end")]
    Trailing,
    /// The system says why.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// Reads a file from its beginning to its end, and checks every sum.
pub struct Reader<R> {
    source: R,
    title: Title,
    sum: Sum,
    chunk: u64,
    entries: u64,
}

impl<R: Read> Reader<R> {
    /// Reads the beginning.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn new(mut source: R) -> Result<Self, ReadError> {
        let mut bytes = [0; 44 + 32];
        match source.read_exact(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(ReadError::NoBackup),
            other => other?,
        }
        let (checked, sum) = bytes.split_first_chunk::<44>().ok_or(ReadError::NoBackup)?;
        let rest = checked.strip_prefix(MAGIC).ok_or(ReadError::NoBackup)?;
        let mut rest = Fields(rest);
        let damaged = ReadError::Damaged(0);
        let (Some(format), Some(store_format), Some(store), Some(begun_at)) =
            (rest.take(), rest.take(), rest.take(), rest.take())
        else {
            return Err(damaged);
        };
        if u16::from_be_bytes(format) > FORMAT {
            return Err(ReadError::Newer(u16::from_be_bytes(format)));
        }
        let own: Sum = Sha256::digest(checked).into();
        if own != sum {
            return Err(damaged);
        }
        let title = Title {
            store_format: u16::from_be_bytes(store_format),
            store,
            begun_at: u64::from_be_bytes(begun_at),
        };
        Ok(Self { source, title, sum: own, chunk: 0, entries: 0 })
    }

    /// What stands at the beginning.
    pub fn title(&self) -> &Title {
        &self.title
    }

    /// Shows every piece to `look`, and gives the end.
    ///
    /// # Errors
    /// See [`ReadError`]; pieces that were shown before belong to no whole backup then.
    pub fn read<E: From<ReadError>>(
        mut self,
        mut look: impl FnMut(Piece) -> Result<(), E>,
    ) -> Result<End, E> {
        loop {
            self.chunk += 1;
            let (kind, content) = self.next_chunk()?;
            if kind == END {
                return Ok(self.end(&content)?);
            }
            let mut fields = Fields(&content);
            while !fields.0.is_empty() {
                let piece = fields.piece(kind).ok_or(ReadError::Damaged(self.chunk))?;
                self.entries += 1;
                look(piece)?;
            }
        }
    }

    fn next_chunk(&mut self) -> Result<(u8, Vec<u8>), ReadError> {
        let [kind, length @ ..] = self.bytes::<5>()?;
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_CHUNK {
            return Err(ReadError::Damaged(self.chunk));
        }
        let mut content = vec![0; length];
        self.fill(&mut content)?;
        let sum = sum_of(&self.sum, kind, &content);
        if self.bytes::<32>()? != sum {
            return Err(ReadError::Damaged(self.chunk));
        }
        self.sum = sum;
        Ok((kind, content))
    }

    fn end(mut self, content: &[u8]) -> Result<End, ReadError> {
        let damaged = || ReadError::Damaged(self.chunk);
        let (head, entries) = content.split_last_chunk().ok_or_else(damaged)?;
        let head = Head::from_bytes(head).ok_or_else(damaged)?;
        if u64::from_be_bytes(*entries) != self.entries {
            return Err(damaged());
        }
        let mac = self.bytes::<32>()?;
        if self.source.read(&mut [0])? > 0 {
            return Err(ReadError::Trailing);
        }
        Ok(End { head, sum: self.sum, mac: (mac != [0; 32]).then_some(mac) })
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), ReadError> {
        self.source.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ReadError::Short(self.chunk),
            _ => ReadError::Io(error),
        })
    }
}

/// Takes fields off the start of a slice.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn bytes(&mut self, length: usize) -> Option<Vec<u8>> {
        let (field, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(field.to_vec())
    }

    fn long(&mut self) -> Option<Vec<u8>> {
        let length = u32::from_be_bytes(self.take()?);
        self.bytes(length as usize)
    }

    fn piece(&mut self, kind: u8) -> Option<Piece> {
        if kind == LOG {
            return Some(Piece::Log(Base::from_bytes(&self.take::<{ Base::BYTES }>()?)?));
        }
        let length = u16::from_be_bytes(self.take()?);
        let key = self.bytes(length.into())?;
        match kind {
            RECORDS => Some(Piece::Record { key, bytes: self.long()? }),
            CORRECTIONS => {
                let before = match self.take::<1>()? {
                    [0] => None,
                    _ => Some(self.take::<HEADER>()?),
                };
                let after = match self.take::<1>()? {
                    [0] => None,
                    _ => Some(self.long()?),
                };
                Some(Piece::Correction { key, before, after })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TITLE: Title = Title { store_format: 2, store: [7; 16], begun_at: 1_790_000_000 };

    /// Enough for several chunks of records.
    fn file(mac: Option<[u8; 32]>) -> (Vec<u8>, usize) {
        let (mut writer, mut bytes) = Writer::new(&TITLE);
        let records = 100;
        for number in 0..records {
            bytes.extend(writer.record(&[1, number], &vec![number; 6_000]).unwrap_or_default());
        }
        bytes.extend(writer.correction(b"a", Some(&[9; HEADER]), None).unwrap_or_default());
        bytes.extend(writer.correction(b"b", None, Some(b"now")).unwrap_or_default());
        bytes.extend(writer.log(Base::default()).unwrap_or_default());
        bytes.extend(writer.record(b"audit", b"entry").unwrap_or_default());
        let (end, _) = writer.end(&Head::default());
        bytes.extend(end);
        bytes.extend_from_slice(&mac.unwrap_or_default());
        (bytes, usize::from(records) + 4)
    }

    fn read(bytes: &[u8]) -> Result<(Vec<Piece>, End), ReadError> {
        let mut pieces = Vec::new();
        let end = Reader::new(bytes)?.read(|piece| {
            pieces.push(piece);
            Ok::<_, ReadError>(())
        })?;
        Ok((pieces, end))
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let (bytes, pieces) = file(Some([5; 32]));
        assert_eq!(*Reader::new(&bytes[..]).unwrap().title(), TITLE);
        let (read, end) = read(&bytes).unwrap();
        assert_eq!(read.len(), pieces);
        assert_eq!(read[7], Piece::Record { key: vec![1, 7], bytes: vec![7; 6_000] });
        let gone = Piece::Correction { key: b"a".to_vec(), before: Some([9; HEADER]), after: None };
        let new = Piece::Correction { key: b"b".to_vec(), before: None, after: Some(b"now".to_vec()) };
        assert_eq!(read[100..103], [gone, new, Piece::Log(Base::default())]);
        assert_eq!((end.head, end.mac), (Head::default(), Some([5; 32])));
        assert_eq!(super::tests::read(&file(None).0).unwrap().1.mac, None);
    }

    #[test]
    fn wherever_it_is_cut_short_it_is_noticed() {
        let (bytes, _) = file(None);
        let step = bytes.len() / 500;
        for length in (0..bytes.len()).step_by(step).chain(bytes.len() - 200..bytes.len()) {
            let error = read(&bytes[..length]).unwrap_err();
            assert!(matches!(error, ReadError::Short(_) | ReadError::NoBackup), "{length}: {error}");
        }
    }

    #[test]
    fn any_flipped_byte_is_noticed_but_in_the_mac_which_is_checked_with_the_key() {
        let (bytes, _) = file(None);
        let step = bytes.len() / 500;
        let places = (0..bytes.len()).step_by(step).chain(bytes.len() - 200..bytes.len());
        for place in places.filter(|place| *place < bytes.len() - 32) {
            let mut flipped = bytes.clone();
            flipped[place] ^= 0x10;
            assert!(read(&flipped).is_err(), "{place}");
        }
        let mut long = bytes;
        long.push(0);
        assert!(matches!(read(&long), Err(ReadError::Trailing)));
    }

    #[test]
    fn another_file_and_a_newer_format_are_told() {
        assert!(matches!(read(b"something else"), Err(ReadError::NoBackup)));
        assert!(matches!(read(&[0; 200]), Err(ReadError::NoBackup)));
        let (mut bytes, _) = file(None);
        bytes[17] = 9;
        assert!(matches!(read(&bytes), Err(ReadError::Newer(9))));
    }
}
