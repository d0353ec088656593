//! What keeps a store safe over the years: checks, backups, restores, migrations.
//!
//! | module | what it is |
//! |---|---|
//! | [`check`] | whether every record can be read and nothing is missing: `sidekey verify` |
//! | [`backup`] | everything in one file, as it is at one moment |
//! | [`backup_file`] | the layout of that file |
//! | [`new_file`] | a file that gets its name when it is whole |
//! | [`restore`] | a new store from such a file, in a new epoch |
//! | [`copy`] | a store moves from one engine to the other |
//! | [`migrate`] | a store of an older format |
//!
//! All of it works on stored bytes: sealed secrets stay sealed, and master keys are never part of anything.

pub mod backup;
pub mod backup_file;
pub mod check;
pub mod copy;
pub mod migrate;
pub mod new_file;
pub mod restore;
#[cfg(test)]
mod tests;

use std::fmt;

use zeroize::Zeroizing;

/// Told of progress: how many records are done, and of how many, about.
pub type OnProgress<'a> = &'a mut (dyn FnMut(u64, u64) + Send);

/// What comes out while a backup or an export is made or a store is checked.
pub enum Part {
    /// How far it is.
    Progress {
        /// Records done.
        done: u64,
        /// Of so many, about.
        total: u64,
    },
    /// The next bytes of a backup or an export: TOTP secrets in the clear, where users are exported. Wiped on drop, redacted in `Debug`.
    Data(Zeroizing<Vec<u8>>),
}

impl fmt::Debug for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Progress { done, total } => write!(formatter, "Progress({done} of {total})"),
            Self::Data(bytes) => write!(formatter, "Data({} bytes)", bytes.len()),
        }
    }
}

#[cfg(test)]
mod part_tests {
    use super::Part;

    #[test]
    fn a_part_is_told_by_its_length_since_an_export_holds_secrets() {
        assert_eq!(format!("{:?}", Part::Data(b"secret".to_vec().into())), "Data(6 bytes)");
        assert_eq!(format!("{:?}", Part::Progress { done: 1, total: 2 }), "Progress(1 of 2)");
    }
}
