//! The store's record about itself.
//!
//! Under `meta/store`: format (2 bytes) | id (16) | runs (8), all big endian. The file `store.id` in the data folder names
//! the id a second time, because sled opens a database that has lost everything as an empty one.
//!
//! | format | what is different |
//! |---|---|
//! | 1 | the first one |
//! | 2 | [`Head`](super::head::Head) under `meta/head` and in the file `head`; more fields of sessions and refresh tokens |
//! | 3 | more fields at the end of sessions and refresh tokens, for the hosted pages; the head tells where the kept audit log begins; [the audit log by account](super::activity) |
//! | 4 | sessions for one action; the first page login of refresh tokens |
//! | 5 | the form of an account's backup codes |
//! | 6 | an account's disabled devices |
//!
//! Whatever changes the bytes of any record needs the next number, and a step in `migration`.

use std::fmt;

use super::engine::StoreId;
use super::folder::{Folder, hex};
use super::keys::Key;
use super::open_error::OpenError;
use super::record;

/// The version of the store's layout that this program reads and writes.
pub const FORMAT: u16 = 6;
/// The first format with a head.
pub(super) const FORMAT_OF_HEAD: u16 = 2;

/// What a store says about itself.
pub(super) struct About {
    pub(super) format: u16,
    pub(super) id: StoreId,
    /// How often the store has been opened. As the upper bits of versions it keeps those of one run from another's.
    pub(super) runs: u64,
}

impl About {
    pub(super) fn new(id: StoreId) -> Self {
        Self { format: FORMAT, id, runs: 1 }
    }

    pub(super) fn key() -> Key {
        Key::meta("store")
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        [&self.format.to_be_bytes()[..], &self.id, &self.runs.to_be_bytes()].concat()
    }

    pub(super) fn of_next_run(self) -> Self {
        Self { runs: self.runs + 1, ..self }
    }

    /// Reads it, whatever older format the store has; `None` in a database that is new.
    pub(super) fn read(db: &::sled::Db, folder: &Folder) -> Result<Option<Self>, OpenError> {
        let damaged = |reason: &dyn fmt::Display| OpenError::damaged(folder.path(), reason);
        let known = folder.known_store()?;
        let key = Self::key();
        let Some(bytes) = db.get(key.as_bytes()).map_err(|error| damaged(&error))? else {
            return match known {
                Some(id) => Err(damaged(&format!("the records of store {id} are gone"))),
                None if !db.is_empty() => Err(damaged(&format!("record `{key}`: it is gone"))),
                None => Ok(None),
            };
        };
        let record = record::decode(&key, &bytes).map_err(|error| damaged(&error))?;
        let short = || damaged(&format!("record `{key}`: it is cut short"));
        let (format, rest) = record.value.split_first_chunk::<2>().ok_or_else(short)?;
        let format = u16::from_be_bytes(*format);
        if format > FORMAT {
            return Err(OpenError::NewerFormat {
                folder: folder.path().to_owned(),
                found: format,
                supported: FORMAT,
            });
        }
        let (id, rest) = rest.split_first_chunk::<16>().ok_or_else(short)?;
        let (runs, _) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        if let Some(known) = known.filter(|known| *known != hex(*id)) {
            let found = hex(*id);
            let reason = format!(
                "file `store.id` names store {known}, and the database is that of another store, {found}"
            );
            return Err(damaged(&reason));
        }
        Ok(Some(Self { format, id: *id, runs: u64::from_be_bytes(*runs) }))
    }
}
