//! The layout of an export: the users of an app with their devices, to be moved to another store or another product.
//!
//! ```text
//! offset  bytes  field                                                     (numbers big endian)
//! 0       16     "SIDEKEY EXPORT" 0 0
//! 16      2      format of the file, 1
//! 18      16     id of the export, random
//!
//! then chunks, numbered from 0 on:
//!         1      kind: 1 what it is, 2 users, 3 the end
//!         4      length of the sealed value
//!         …      the value, sealed with the export's key (`keyring/sealed.rs`) for its format, id, number and kind
//!
//! what it is:    JSON: the app, and when the export was made; the first chunk
//! users:         JSON lines, a user each (`import/wire.rs`)
//! the end:       how many users there are (8); the last chunk
//! ```
//!
//! No chunk opens at another place, in another export or as another kind, and nothing follows the end: whatever was changed, moved,
//! doubled, left out or cut off is noticed. The key is one that `sidekey keys generate` makes, and no master key of any store.
//! Backup codes are in no export: all that a store has of them are hashes under its own pepper.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use sidekey_core::id::AppId;
use sidekey_core::time::UnixTime;
use zeroize::Zeroizing;

use crate::entropy;
use crate::keyring::{Keyring, Sealed, associated_data};

const MAGIC: &[u8; 16] = b"SIDEKEY EXPORT\0\0";
/// The format of exports that this program reads and writes.
pub const FORMAT: u16 = 1;
/// Most bytes of a sealed value that is read.
const MAX_CHUNK: usize = 8 << 20;
const ABOUT: u8 = 1;
const USERS: u8 = 2;
const END: u8 = 3;

/// What an export is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Whose users these are.
    pub app: AppId,
    /// When it was begun.
    pub exported_at: UnixTime,
}

/// Why bytes are no export. Nothing of them is repeated.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Something else.
    #[error("it is no export of sidekey")]
    NoExport,
    /// Of a later version.
    #[error("it has format {0}, which a newer version of sidekey has written: install that version")]
    Newer(u16),
    /// Sealed with another key.
    #[error("it does not open with this key")]
    WrongKey,
    /// It was changed after it was written.
    #[error("it is damaged: part {0} is not what was written there")]
    Damaged(u64),
    /// It does not reach its end.
    #[error("it is cut short")]
    CutShort,
    /// It goes on after its end.
    #[error("something was added to it")]
    TooLong,
    /// The system says why.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Whoever takes the users refuses them.
    #[error("{0}")]
    Refused(String),
}

/// Puts an export together; what it gives is to be written in that order.
pub struct Writer<'a> {
    keyring: &'a Keyring,
    id: [u8; 16],
    next: u64,
    users: u64,
}

impl<'a> Writer<'a> {
    /// Begins an export that opens with this key, and gives its first bytes.
    pub fn new(keyring: &'a Keyring, about: &About) -> (Self, Vec<u8>) {
        let mut writer = Self { keyring, id: entropy::random(), next: 0, users: 0 };
        let mut bytes = [&MAGIC[..], &FORMAT.to_be_bytes(), &writer.id].concat();
        // Plain fields: there is nothing in it that JSON cannot hold.
        bytes.extend(writer.chunk(ABOUT, &serde_json::to_vec(about).unwrap_or_default()));
        (writer, bytes)
    }

    /// Adds users, a line of JSON each.
    pub fn users(&mut self, lines: &[u8]) -> Vec<u8> {
        self.users += count(lines);
        self.chunk(USERS, lines)
    }

    /// The last bytes, and how many users there are.
    pub fn end(mut self) -> (Vec<u8>, u64) {
        (self.chunk(END, &self.users.to_be_bytes()), self.users)
    }

    fn chunk(&mut self, kind: u8, content: &[u8]) -> Vec<u8> {
        let place = place(&self.id, self.next, kind);
        self.next += 1;
        let sealed = self.keyring.seal(&place, content, &mut entropy::Entropy);
        let length = u32::try_from(sealed.as_bytes().len()).unwrap_or(u32::MAX);
        [&[kind], &length.to_be_bytes()[..], sealed.as_bytes()].concat()
    }
}

/// Reads an export to its end, and hands over its users, lines of JSON, as they come. They count only when this succeeds.
///
/// # Errors
/// It is not whole, not what was written, or does not open with this key.
pub fn read(
    mut input: impl Read,
    keyring: &Keyring,
    mut take: impl FnMut(&About, &[u8]) -> Result<(), String>,
) -> Result<(About, u64), ReadError> {
    let mut head = [0; 34];
    let is_whole = fill(&mut input, &mut head)?;
    let (magic, rest) = head.split_at(MAGIC.len());
    if !is_whole || magic != MAGIC {
        return Err(ReadError::NoExport);
    }
    let (format, id) = rest.split_at(2);
    match format {
        [high, low] if u16::from_be_bytes([*high, *low]) == FORMAT => {}
        [high, low] => return Err(ReadError::Newer(u16::from_be_bytes([*high, *low]))),
        _ => return Err(ReadError::NoExport),
    }
    let (mut about, mut users) = (None, 0);
    for number in 0_u64.. {
        let (kind, content) = chunk(&mut input, keyring, id, number)?;
        match (kind, &about) {
            (ABOUT, None) => {
                let read = serde_json::from_slice(&content).map_err(|_| ReadError::Damaged(number))?;
                about = Some(read);
            }
            (USERS, Some(about)) => {
                users += count(&content);
                take(about, &content).map_err(ReadError::Refused)?;
            }
            (END, Some(_)) => {
                let is_whole = content.as_slice() == users.to_be_bytes();
                let about = about.filter(|_| is_whole).ok_or(ReadError::Damaged(number))?;
                return if fill(&mut input, &mut [0])? {
                    Err(ReadError::TooLong)
                } else {
                    Ok((about, users))
                };
            }
            _ => return Err(ReadError::Damaged(number)),
        }
    }
    Err(ReadError::CutShort)
}

fn chunk(
    input: &mut impl Read,
    keyring: &Keyring,
    id: &[u8],
    number: u64,
) -> Result<(u8, Zeroizing<Vec<u8>>), ReadError> {
    let mut head = [0; 5];
    if !fill(input, &mut head)? {
        return Err(ReadError::CutShort);
    }
    let [kind, length @ ..] = head;
    let length = usize::try_from(u32::from_be_bytes(length)).ok().filter(|length| *length <= MAX_CHUNK);
    let mut sealed = vec![0; length.ok_or(ReadError::Damaged(number))?];
    if !fill(input, &mut sealed)? {
        return Err(ReadError::CutShort);
    }
    let sealed = Sealed::from_bytes(sealed);
    let is_ours = sealed.key_id().is_some_and(|key| keyring.has(key));
    let opened = keyring.open(&place(id, number, kind), &sealed);
    // The first one tells whether the key is the right one at all.
    opened.map(|content| (kind, content)).map_err(|_| match (number, is_ours) {
        (0, false) => ReadError::WrongKey,
        _ => ReadError::Damaged(number),
    })
}

/// Fills the buffer; `false` if the input ends before.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match input.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn place(id: &[u8], number: u64, kind: u8) -> Vec<u8> {
    associated_data("export", &[&FORMAT.to_be_bytes(), id, &number.to_be_bytes(), &[kind]])
}

fn count(lines: &[u8]) -> u64 {
    lines.split(|byte| *byte == b'\n').count().saturating_sub(1) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::MasterKey;

    fn keyring() -> Keyring {
        Keyring::new(MasterKey::generate(&mut entropy::Entropy))
    }

    fn about() -> About {
        About { app: AppId::parse("shop").unwrap(), exported_at: UnixTime::from_secs(1_790_000_000) }
    }

    /// The head, and the chunks.
    fn parts(keyring: &Keyring) -> Vec<Vec<u8>> {
        let (mut writer, first) = Writer::new(keyring, &about());
        let (head, first) = first.split_at(34);
        let mut parts = vec![head.to_vec(), first.to_vec()];
        parts.push(writer.users(b"{\"user_id\":\"ann\"}\n{\"user_id\":\"bob\"}\n"));
        parts.push(writer.users(b"{\"user_id\":\"eve\"}\n"));
        parts.push(writer.end().0);
        parts
    }

    fn lines(bytes: &[u8], keyring: &Keyring) -> Result<(Vec<u8>, u64), ReadError> {
        let mut all = Vec::new();
        let (found, users) = read(bytes, keyring, |_, lines| {
            all.extend_from_slice(lines);
            Ok(())
        })?;
        assert_eq!(found, about());
        Ok((all, users))
    }

    #[test]
    fn what_was_written_is_read() {
        let key = keyring();
        let bytes = parts(&key).concat();
        let (lines, users) = lines(&bytes, &key).unwrap();
        assert_eq!(users, 3);
        assert_eq!(lines, b"{\"user_id\":\"ann\"}\n{\"user_id\":\"bob\"}\n{\"user_id\":\"eve\"}\n");
        assert!(!bytes.windows(7).any(|window| window == b"user_id"), "nothing stands there in plain");
    }

    #[test]
    fn no_bit_may_be_another() {
        let key = keyring();
        let bytes = parts(&key).concat();
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            assert!(lines(&changed, &key).is_err(), "byte {place}");
        }
    }

    #[test]
    fn what_is_cut_short_moved_doubled_or_added_is_noticed() {
        let (key, all) = (keyring(), |parts: &[&Vec<u8>]| parts.iter().copied().flatten().copied().collect());
        let parts = parts(&key);
        let [head, first, one, two, end] = &parts[..] else { panic!("five parts") };
        let whole = parts.concat();
        for length in 0..whole.len() {
            assert!(lines(&whole[..length], &key).is_err(), "{length} bytes");
        }
        let wrong: [Vec<u8>; 5] = [
            all(&[head, first, two, one, end]),
            all(&[head, first, one, one, two, end]),
            all(&[head, first, one, end]),
            all(&[head, one, two, end]),
            all(&[head, first, one, two, end, end]),
        ];
        for (number, bytes) in wrong.iter().enumerate() {
            assert!(lines(bytes, &key).is_err(), "{number}");
        }
        let other = super::tests::parts(&key);
        assert!(lines(&all(&[head, first, &other[2], two, end]), &key).is_err(), "of another export");
    }

    #[test]
    fn another_key_and_another_file_are_told() {
        let bytes = parts(&keyring()).concat();
        assert!(matches!(lines(&bytes, &keyring()), Err(ReadError::WrongKey)));
        assert!(matches!(lines(b"nonsense", &keyring()), Err(ReadError::NoExport)));
        let mut newer = bytes;
        newer[17] = 2;
        assert!(matches!(lines(&newer, &keyring()), Err(ReadError::Newer(2))));
    }
}
