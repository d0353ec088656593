//! Backups: how old the newest one of a folder is, and whether it is one of this store.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use sidekey_core::time::UnixTime;

use super::{Finding, Level};
use crate::maintenance::backup_file::Reader;

const CHECK: &str = "backups";
const DAY: u64 = 86_400;

/// The newest backup in `folder`, which should not be older than `days`.
pub fn newest(folder: Option<&Path>, days: u64, now: UnixTime) -> Finding {
    let Some(folder) = folder else {
        return Finding::untold(CHECK, "Say where they lie with `--backups FOLDER` to have them looked at.");
    };
    let shown = folder.display();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            return Finding::bad(
                CHECK,
                Level::Problem,
                format!("`{shown}` cannot be read: {error}."),
                "Name the folder that `sidekey backup --out` writes into.",
            );
        }
    };
    let newest = entries.flatten().filter_map(|entry| begun(entry.path())).max_by_key(|(at, _)| *at);
    let Some((at, path)) = newest else {
        return Finding::bad(
            CHECK,
            Level::Problem,
            format!("There is no backup in `{shown}`."),
            "`sidekey backup --out FILE`, every day, by a systemd timer or cron.",
        );
    };
    let (age, name) = (now.since(at) / DAY, path.display());
    if age > days {
        return Finding::bad(
            CHECK,
            Level::Warning,
            format!("The newest one, `{name}`, is {age} days old."),
            "See why no newer one was made; `sidekey backup --out FILE` tells.",
        );
    }
    Finding::good(CHECK, format!("The newest one, `{name}`, is {age} days old."))
}

/// When the backup in a file was begun; `None` if it is none. Its beginning is looked at, not all of it.
fn begun(path: PathBuf) -> Option<(UnixTime, PathBuf)> {
    let file =
        File::open(&path).ok().filter(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()))?;
    let reader = Reader::new(BufReader::new(file)).ok()?;
    Some((UnixTime::from_secs(reader.title().begun_at), path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maintenance::backup_file::{Title, Writer};

    #[test]
    fn the_newest_backup_is_judged_by_its_own_time() {
        let (folder, now) = (tempfile::tempdir().unwrap(), UnixTime::from_secs(1_790_000_000));
        let level = |days| newest(Some(folder.path()), days, now).level;
        fs::write(folder.path().join("notes.txt"), "none").unwrap();
        assert_eq!(level(7), Level::Problem, "there is none");
        for (name, days) in [("old.backup", 30), ("new.backup", 3)] {
            let begun_at = now.as_secs() - days * DAY;
            let (_, title) = Writer::new(&Title { store_format: 4, store: [7; 16], begun_at });
            fs::write(folder.path().join(name), title).unwrap();
        }
        assert_eq!((level(7), level(2)), (Level::Good, Level::Warning));
        assert!(newest(Some(folder.path()), 7, now).found.contains("new.backup"));
        assert_eq!(newest(None, 7, now).level, Level::Note);
        assert_eq!(newest(Some(&folder.path().join("nowhere")), 7, now).level, Level::Problem);
    }
}
