//! Records on disk and the durable commit.
//!
//! | module | what it is |
//! |---|---|
//! | [`engine`] | the trait that storage engines implement, and what a transaction hands them |
//! | [`keys`] | the layout of keys |
//! | [`record`] | the layout of a stored record, with its checksum |
//! | `committer` | the one thread that writes: group commit, compare-and-set, one sync |
//! | [`sled`] | the engine for one machine |
//! | `folder` | the data folder: owner, permissions, lock, syncing of entries |

mod committer;
pub mod engine;
mod folder;
pub mod keys;
pub mod record;
pub mod sled;

pub use self::sled::{OpenError, Options, SledEngine};
pub use engine::{Batch, CommitError, Engine, Guard, Pending, Record, StoreError, StoreId, Version};
pub use keys::{Key, Kind};
