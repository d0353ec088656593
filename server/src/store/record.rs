//! The layout of a stored record, with its checksum.
//!
//! ```text
//! offset  bytes  field
//! 0       1      format, 1
//! 1       8      version, big endian
//! 9       8      checksum: the first 8 bytes of SHA-256 over
//!                key length (4 bytes, big endian) | key | format | version | value
//! 17      …      value
//! ```
//!
//! sled hides flipped bits, and the checksum finds them; with the key in it, it also finds a record under another's key.
//! It does not stand against somebody who writes to the disk on purpose: what is secret is sealed besides.

use sha2::{Digest, Sha256};

use super::engine::{Record, StoreError, Version};
use super::keys::Key;

const FORMAT: u8 = 1;
/// Bytes before the value.
pub const HEADER: usize = 1 + 8 + 8;

/// Format, version and checksum: two records of one key with the same header are the same record.
pub type Header = [u8; HEADER];

/// The bytes to store under `key`.
pub(crate) fn encode(key: &Key, version: Version, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + value.len());
    bytes.push(FORMAT);
    bytes.extend_from_slice(&version.0.to_be_bytes());
    bytes.extend_from_slice(&checksum(key, FORMAT, version, value));
    bytes.extend_from_slice(value);
    bytes
}

/// The record that was stored under `key` as `bytes`.
///
/// # Errors
/// [`StoreError::Damaged`] if they are not what was written.
pub fn decode(key: &Key, bytes: &[u8]) -> Result<Record, StoreError> {
    let (header, value) = check(key, bytes)?;
    Ok(Record { version: version(&header), value: value.to_vec() })
}

/// As [`decode`], without a copy of the value.
///
/// # Errors
/// As [`decode`].
pub fn check<'a>(key: &Key, bytes: &'a [u8]) -> Result<(Header, &'a [u8]), StoreError> {
    let damaged = |damage| StoreError::Damaged { key: key.to_string(), damage };
    let (header, value) =
        bytes.split_first_chunk::<HEADER>().ok_or_else(|| damaged("shorter than its header"))?;
    let [format, _, _, _, _, _, _, _, _, stored @ ..] = header;
    let version = version(header);
    if *stored != checksum(key, *format, version, value) {
        return Err(damaged("wrong checksum"));
    }
    // After the checksum: an intact record of a newer format is no damage of the disk.
    if *format != FORMAT {
        return Err(damaged("unknown record format, written by a newer sidekey"));
    }
    Ok((*header, value))
}

/// The version in a header.
pub(crate) fn version(header: &Header) -> Version {
    let [_, version @ .., _, _, _, _, _, _, _, _] = *header;
    Version(u64::from_be_bytes(version))
}

/// The header of bytes that [`encode`] made.
pub(super) fn header(bytes: &[u8]) -> Option<Header> {
    bytes.first_chunk().copied()
}

fn checksum(key: &Key, format: u8, version: Version, value: &[u8]) -> [u8; 8] {
    let key = key.as_bytes();
    let hash = Sha256::new()
        .chain_update(u32::try_from(key.len()).unwrap_or(u32::MAX).to_be_bytes())
        .chain_update(key)
        .chain_update([format])
        .chain_update(version.0.to_be_bytes())
        .chain_update(value)
        .finalize();
    let mut checksum = [0; 8];
    checksum.copy_from_slice(&<[u8; 32]>::from(hash)[..8]);
    checksum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::meta("example")
    }

    #[test]
    fn a_record_comes_back_as_it_was_stored() {
        let bytes = encode(&key(), Version(7), b"value");
        assert_eq!(bytes.len(), HEADER + 5);
        assert_eq!(decode(&key(), &bytes), Ok(Record { version: Version(7), value: b"value".to_vec() }));
    }

    #[test]
    fn any_flipped_bit_is_found_and_the_error_names_the_key_but_not_the_value() {
        let bytes = encode(&key(), Version(7), b"value");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = decode(&key(), &flipped).expect_err("a flipped bit").to_string();
            assert!(error.contains("example") && !error.contains("value"), "{error}");
        }
    }

    #[test]
    fn a_record_cut_short_or_under_another_key_is_damaged() {
        let bytes = encode(&key(), Version(7), b"value");
        for length in 0..bytes.len() {
            assert!(decode(&key(), &bytes[..length]).is_err(), "{length}");
        }
        assert!(decode(&Key::meta("another"), &bytes).is_err());
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let bytes = encode(&key(), Version(0x0102_0304_0506_0708), b"v");
        assert_eq!(&bytes[..9], [1, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(&bytes[17..], b"v");
    }
}
