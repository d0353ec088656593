//! The machine: its clock, its disk, its limits.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sidekey_core::time::UnixTime;

use super::{Finding, Level};
use crate::listener::{Limits, raise_descriptor_limit};

const CLOCK: &str = "clock";
const DISK: &str = "disk";
const FILES: &str = "open files";

/// With less room than this, a store stops soon.
const LEAST_FREE: u64 = 256 << 20;
/// A store takes about this much with a million accounts; with less room, it should be watched.
const COMFORTABLE: u64 = 1 << 30;
/// A step of the authenticators: further off, codes are refused.
const STEP: u64 = 30;
/// Below this time no clock is right: this version was made later.
const MADE: UnixTime = UnixTime::from_secs(1_760_000_000);

/// The system's clock: after this version was made, and kept right by somebody.
pub fn clock(now: UnixTime) -> Vec<Finding> {
    if now < MADE {
        return vec![Finding::bad(
            CLOCK,
            Level::Problem,
            "The system's time lies before this version was made, so every code would be refused.",
            "Set the time, and let it be kept by chrony or systemd-timesyncd.",
        )];
    }
    vec![match is_synchronised() {
        Some(true) => Finding::good(CLOCK, "The system keeps its time by the network."),
        Some(false) => Finding::bad(
            CLOCK,
            Level::Warning,
            format!("The system's time is not kept by the network; {STEP} s off, codes are refused."),
            "`timedatectl set-ntp true`, or install chrony.",
        ),
        None => Finding::untold(
            CLOCK,
            "Whether the system's time is kept by the network cannot be told here (`timedatectl` does not say).",
        ),
    }]
}

/// What systemd says, which asks the kernel.
fn is_synchronised() -> Option<bool> {
    let mut command = Command::new("timedatectl");
    command
        .args(["show", "--property=NTPSynchronized", "--value"])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success())?;
    match output.stdout.trim_ascii() {
        b"yes" => Some(true),
        b"no" => Some(false),
        _ => None,
    }
}

/// The disk under the data folder: room for what comes, and for a copy of what is there.
pub fn disk(data: &Path) -> Finding {
    let Some(place) = existing(data) else {
        return Finding::untold(DISK, format!("There is no folder above `{}`.", data.display()));
    };
    let (room, used) = match (rustix::fs::statvfs(&place), size(data)) {
        (Ok(room), Ok(used)) => (room, used),
        (Err(error), _) => return Finding::untold(DISK, format!("`{}`: {error}.", place.display())),
        (_, Err(error)) => return Finding::untold(DISK, format!("`{}`: {error}.", data.display())),
    };
    let free = room.f_bavail.saturating_mul(room.f_frsize);
    let share = room.f_favail.saturating_mul(100).checked_div(room.f_files).unwrap_or(100);
    judged(data, free, used, share)
}

/// The nearest folder that is there.
fn existing(folder: &Path) -> Option<PathBuf> {
    let whole = std::path::absolute(folder).ok()?;
    whole.ancestors().find(|path| path.exists()).map(Path::to_owned)
}

/// Bytes of all files below a folder; none if it is not there.
fn size(folder: &Path) -> io::Result<u64> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut bytes = 0_u64;
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        bytes = bytes.saturating_add(match kind {
            _ if kind.is_dir() => size(&entry.path())?,
            _ if kind.is_file() => entry.metadata().map_or(0, |metadata| metadata.len()),
            _ => 0,
        });
    }
    Ok(bytes)
}

fn judged(data: &Path, free: u64, used: u64, inodes: u64) -> Finding {
    let (shown, mib) = (data.display(), |bytes: u64| bytes >> 20);
    let found = format!("{} MiB are free for `{shown}`, which has {} MiB.", mib(free), mib(used));
    let remedy =
        "Make room, enlarge the disk, or keep the audit trail for a shorter time (`--audit-retention-days`).";
    if free < LEAST_FREE {
        return Finding::bad(DISK, Level::Problem, found, remedy);
    }
    if inodes < 5 {
        let found = format!("{inodes} % of the disk's inodes are free: no new file can be made soon.");
        return Finding::bad(
            DISK,
            Level::Warning,
            found,
            "Remove small files, or make the file system anew with more.",
        );
    }
    if free < COMFORTABLE.max(used) {
        let found = format!("{found} A migration or a repair keeps a copy.");
        return Finding::bad(DISK, Level::Warning, found, remedy);
    }
    Finding::good(DISK, found)
}

/// Open files: one a connection.
pub fn open_files() -> Finding {
    let needed = Limits::default().descriptors();
    match raise_descriptor_limit() {
        Ok(limit) if limit >= needed => {
            Finding::good(FILES, format!("{limit} may be open, {needed} are needed."))
        }
        Ok(limit) => Finding::bad(
            FILES,
            Level::Warning,
            format!("{limit} may be open here, and with all connections {needed} are needed."),
            format!("`LimitNOFILE={needed}` in the systemd unit, or `ulimit -n {needed}` before the start."),
        ),
        Err(error) => Finding::untold(FILES, format!("The limit cannot be read: {error}.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_from_before_this_version_is_a_problem() {
        assert_eq!(clock(UnixTime::from_secs(1_000))[0].level, Level::Problem);
        assert!(clock(UnixTime::from_secs(1_790_000_000))[0].level < Level::Problem);
    }

    #[test]
    fn the_disk_is_judged_by_what_is_free_and_what_is_there() {
        let level =
            |free: u64, used: u64, inodes| judged(Path::new("data"), free << 20, used << 20, inodes).level;
        assert_eq!(level(10_000, 100, 50), Level::Good);
        assert_eq!(level(100, 1, 50), Level::Problem);
        assert_eq!(level(900, 1, 50), Level::Warning);
        assert_eq!(level(3_000, 4_000, 50), Level::Warning, "no room for a copy");
        assert_eq!(level(10_000, 100, 4), Level::Warning);
    }

    #[test]
    fn the_size_of_a_folder_is_that_of_all_below() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sled")).unwrap();
        fs::write(folder.path().join("sled/db"), [0; 1_000]).unwrap();
        fs::write(folder.path().join("head"), [0; 24]).unwrap();
        assert_eq!(size(folder.path()).unwrap(), 1_024);
        assert_eq!(size(&folder.path().join("nowhere")).unwrap(), 0);
        assert!(existing(&folder.path().join("a/b")).unwrap().ends_with(folder.path()));
    }
}
