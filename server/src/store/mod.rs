//! Records on disk and the durable commit.
//!
//! | module | what it is |
//! |---|---|
//! | [`engine`] | the trait that storage engines implement, and what a transaction hands them |
//! | [`keys`] | the layout of keys |
//! | [`record`] | the layout of a stored record, with its checksum |
//! | `committer` | the one thread that writes: group commit, compare-and-set, one sync |
//! | [`sled`] | the engine for one machine |
//! | [`postgres`] | the engine for clusters |
//! | [`shared`] | the data folder of a server whose store is in a database |
//! | `stripes` | locks of one process |
//! | `group` | a group of batches as it is put together |
//! | [`head`], `head_file` | what the store should hold: authenticated, and once more outside the database |
//! | `opening`, `about` | opening the database, and what it says about itself |
//! | [`integrity`] | whether all is there that should be |
//! | `sharing` | a walk that several threads share |
//! | `late_survey` | that all is there, seen while commits go on |
//! | `inspection` | a store that no server has open, to be looked at |
//! | `building` | a new store that is filled from a backup |
//! | `migration` | stores of older formats |
//! | [`moving`] | the mark in a folder whose store moves to a database or from one |
//! | [`walk`](mod@walk) | everything as it is at one moment, while commits go on |
//! | [`codec`] | accounts, sessions and logins as bytes |
//! | [`sweep`] | what is over makes room |
//! | [`activity`] | the audit log by account |
//! | `language` | the language that an account's pages were last shown in |
//! | [`logins`] | the latest logins of each account |
//! | [`search`] | a look through all accounts |
//! | [`retention`] | old audit entries make room |
//! | `trimmed` | what goes with them, in every engine |
//! | `transaction` | load, decide, store: what every operation goes through |
//! | `reading` | accounts, sessions and logins as they are now |
//! | `folder` | the data folder: owner, permissions, lock, syncing of entries |
//! | `open_error` | why a store could not be opened, with the remedies |

mod about;
pub mod activity;
mod building;
pub mod codec;
mod committer;
#[cfg(test)]
mod contract;
pub mod engine;
mod folder;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod group;
pub mod head;
pub(crate) mod head_file;
mod inspection;
pub mod integrity;
pub mod keys;
mod language;
mod late_survey;
pub mod logins;
pub(crate) mod migration;
pub mod moving;
mod open_error;
mod opening;
pub mod postgres;
mod reading;
pub mod record;
pub mod retention;
pub mod search;
pub mod shared;
mod sharing;
pub mod sled;
mod stripes;
pub mod sweep;
mod transaction;
mod trimmed;
pub mod walk;

pub use self::about::FORMAT;
pub use self::building::Building;
pub use self::folder::STORE_ID;
pub use self::head::HeadKey;
pub use self::inspection::Inspection;
pub use self::open_error::OpenError;
pub use self::postgres::PostgresEngine;
pub use self::sled::{Options, SledEngine};
pub use engine::{Batch, CommitError, Engine, Guard, Lead, Pending, Record, StoreError, StoreId, Version};
pub use keys::{Key, Kind};
pub use transaction::{State, Store, Subject};
