//! The floor of durability: how often a second the disk makes one small write last. And what a folder takes on it.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use crate::clock;
use crate::failure::{Failure, Outcome};
use crate::load::Load;

/// One write: about what the store writes for one verify.
const BYTES: usize = 4_096;

/// Appends to a file and syncs it (`fdatasync`), again and again for so long, one by one.
///
/// # Errors
/// The disk refuses.
pub fn syncs(folder: &Path, limit: Duration) -> Outcome<Load> {
    let path = folder.join("syncs");
    let (block, mut took) = ([7; BYTES], Vec::new());
    let work = || {
        let mut file = File::create(&path)?;
        let begun = clock::now();
        let mut before = Duration::ZERO;
        while before < limit {
            file.write_all(&block)?;
            file.sync_data()?;
            let after = begun.elapsed();
            took.push(after.saturating_sub(before));
            before = after;
        }
        fs::remove_file(&path)?;
        std::io::Result::Ok(before)
    };
    let all = { work }().map_err(Failure::because(format!("cannot write to `{}`", folder.display())))?;
    Ok(Load::of(took, all))
}

/// Bytes that a folder takes on the disk.
///
/// # Errors
/// It cannot be read.
pub fn used(folder: &Path) -> Outcome<u64> {
    fn of(folder: &Path) -> std::io::Result<u64> {
        let mut bytes = 0;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let told = entry.metadata()?;
            // Blocks have 512 bytes, whatever the file system's have (stat(2)).
            bytes += if told.is_dir() { of(&entry.path())? } else { told.blocks() * 512 };
        }
        Ok(bytes)
    }
    of(folder).map_err(Failure::because(format!("cannot read `{}`", folder.display())))
}
