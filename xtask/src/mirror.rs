//! Keeping a folder like it should be.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Files by their path within a folder.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Makes `wanted` the files of `destination`, and touches none that is already right: cargo would take a new time stamp for a
/// change and build the server again. Gives how many files changed.
pub(crate) fn synchronise(wanted: &Files, destination: &Path) -> io::Result<usize> {
    fs::create_dir_all(destination)?;
    let present = files(destination)?;
    let mut changed = 0;
    for (name, content) in wanted {
        if present.get(name) != Some(content) {
            let path = destination.join(name);
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(path, content)?;
            changed += 1;
        }
    }
    for name in present.keys().filter(|name| !wanted.contains_key(*name)) {
        fs::remove_file(destination.join(name))?;
        changed += 1;
    }
    Ok(changed)
}

/// Every file under a folder.
pub(crate) fn files(folder: &Path) -> io::Result<Files> {
    let mut found = Files::new();
    collect(folder, folder, &mut found)?;
    Ok(found)
}

fn collect(folder: &Path, top: &Path, found: &mut Files) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, top, found)?;
        } else if let Ok(name) = path.strip_prefix(top) {
            found.insert(name.to_owned(), fs::read(&path)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_written_and_what_is_gone_is_removed() {
        let (source, destination) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let put = |folder: &Path, name: &str, content: &str| fs::write(folder.join(name), content).unwrap();
        fs::create_dir(source.path().join("snippets")).unwrap();
        put(source.path(), "same", "1");
        put(source.path(), "new", "2");
        put(source.path(), "snippets/deep", "3");
        put(destination.path(), "same", "1");
        put(destination.path(), "stale", "4");
        let time = |name: &str| fs::metadata(destination.path().join(name)).unwrap().modified().unwrap();
        let before = time("same");

        let wanted = files(source.path()).unwrap();
        assert_eq!(synchronise(&wanted, destination.path()).unwrap(), 3);
        assert_eq!(files(destination.path()).unwrap(), wanted);
        assert_eq!(time("same"), before);
        assert_eq!(synchronise(&wanted, destination.path()).unwrap(), 0);
    }
}
