//! Changes to a key file: a key more, or one less. The file is replaced in one step, so that a crash leaves the old one or
//! the new one, and stays its owner's and nobody else's.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::Path;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::sources::{open_private, paragraph, parse, part_of, read_text};
use super::{KeyId, Keyring, MasterKey, SourceError};

/// Puts a new key first, before those that are there, and gives its id and the keyring that the file holds now.
///
/// # Errors
/// The file is no keyring, has as many keys as one can have, or cannot be written.
pub fn add(path: &Path, rng: &mut impl CryptoRng) -> Result<Keyring, SourceError> {
    let key = MasterKey::generate(rng);
    change(path, |text, _| {
        let first = paragraph(&key);
        // With room for all of it: a string that grows would leave copies behind.
        let mut changed = Zeroizing::new(String::with_capacity(first.len() + text.len()));
        changed.push_str(&first);
        changed.push_str(text);
        Ok(changed)
    })
}

/// Takes a key out, with the comment above it that names it, and gives the keyring that the file holds now.
///
/// # Errors
/// The file is no keyring, the key is not in it or is the one that seals, or it cannot be written.
pub fn remove(path: &Path, id: KeyId) -> Result<Keyring, SourceError> {
    change(path, |text, keyring| {
        check_removable(path, keyring, id)?;
        let lines: Vec<&str> = text.lines().collect();
        let mine = |line: &str| {
            let line = line.trim();
            !line.starts_with('#') && line.split(':').nth(1) == Some(id.to_string().as_str())
        };
        let place = lines.iter().position(|line| mine(line)).unwrap_or(lines.len());
        let (before, after) = lines.split_at(place);
        let comment = before.iter().rev().take_while(|line| line.trim_start().starts_with('#')).count();
        let named = before.iter().rev().take(comment).position(|line| line.contains(&id.to_string()));
        let kept = before.len() - named.map_or(0, |lines| lines + 1);
        let mut changed = Zeroizing::new(String::with_capacity(text.len() + 1));
        for line in before.iter().take(kept).chain(after.iter().skip(1)) {
            changed.push_str(line);
            changed.push('\n');
        }
        Ok(changed)
    })
}

/// Whether a key is there and is not the one that seals.
///
/// # Errors
/// It is not there, or it seals.
pub fn check_removable(path: &Path, keyring: &Keyring, id: KeyId) -> Result<(), SourceError> {
    if !keyring.has(id) {
        return Err(SourceError::NoSuchKey { path: path.to_owned(), id });
    }
    if keyring.sealing() == id {
        return Err(SourceError::Sealing { path: path.to_owned(), id });
    }
    Ok(())
}

fn change(
    path: &Path,
    edit: impl FnOnce(&str, &Keyring) -> Result<Zeroizing<String>, SourceError>,
) -> Result<Keyring, SourceError> {
    let unusable = |source| SourceError::Unusable { path: path.to_owned(), source };
    // A link stays one: what it leads to is replaced.
    let place = path.canonicalize().map_err(unusable)?;
    let part = part_of(&place);
    // Made first, it keeps others from changing the file meanwhile.
    let mut new = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(SourceError::Unfinished { path: part });
        }
        Err(error) => return Err(unusable(error)),
    };
    let replaced = (|| {
        let old = open_private(&place)?;
        let owner = old.metadata().map_err(unusable)?;
        let text = read_text(old, &place)?;
        let changed = edit(&text, &parse(&text, &place)?)?;
        let keyring = parse(&changed, &place)?;
        replace(&mut new, &part, &place, &changed, (owner.uid(), owner.gid())).map_err(unusable)?;
        Ok(keyring)
    })();
    if replaced.is_err() {
        // It would stand in the way of the next attempt. Where it was renamed already, there is none.
        let _ = fs::remove_file(&part);
    }
    replaced
}

fn replace(new: &mut File, part: &Path, place: &Path, text: &str, (uid, gid): (u32, u32)) -> io::Result<()> {
    let made = new.metadata()?;
    if (made.uid(), made.gid()) != (uid, gid) {
        fchown(&*new, Some(uid), Some(gid))?;
    }
    new.write_all(text.as_bytes())?;
    new.sync_all()?;
    fs::rename(part, place)?;
    File::open(place.parent().unwrap_or(Path::new("/")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::entropy::Entropy;
    use crate::keyring::sources::{load_file, write_new};

    fn ids(path: &Path) -> Vec<KeyId> {
        load_file(path).unwrap().ids().collect()
    }

    fn file() -> (tempfile::TempDir, std::path::PathBuf, KeyId) {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) = (folder.path().join("master.key"), MasterKey::generate(&mut Entropy));
        write_new(&path, &key).unwrap();
        (folder, path, key.id())
    }

    #[test]
    fn a_new_key_comes_first_and_the_old_ones_stay() {
        let (folder, path, old) = file();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let added = add(&link, &mut Entropy).unwrap();
        assert_eq!(ids(&path), [added.sealing(), old]);
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside it");
    }

    #[test]
    fn a_key_goes_with_its_comment_and_every_other_line_stays() {
        let (_folder, path, old) = file();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("# ours\n{text}# the end")).unwrap();
        let new = add(&path, &mut Entropy).unwrap().sealing();
        assert_eq!(remove(&path, old).unwrap().ids().collect::<Vec<_>>(), [new]);
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&old.to_string()) && text.contains(&format!("# Sidekey master key {new}")));
        assert!(text.contains("# ours\n") && text.ends_with("# the end\n"), "{text}");
    }

    #[test]
    fn the_key_that_seals_and_one_that_is_not_there_are_not_removed() {
        let (_folder, path, old) = file();
        let before = fs::read(&path).unwrap();
        assert!(matches!(remove(&path, old), Err(SourceError::Sealing { .. })));
        let foreign = KeyId::from_bytes([0; 4]);
        assert!(matches!(remove(&path, foreign), Err(SourceError::NoSuchKey { .. })));
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_file_that_is_none_or_full_or_exposed_or_being_changed_stays_as_it_is() {
        let (folder, path, _) = file();
        for _ in 1..super::super::MAX_KEYS {
            add(&path, &mut Entropy).unwrap();
        }
        let full = fs::read(&path).unwrap();
        assert!(matches!(add(&path, &mut Entropy), Err(SourceError::Malformed { .. })));
        assert_eq!(fs::read(&path).unwrap(), full);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(add(&path, &mut Entropy), Err(SourceError::Exposed { .. })));
        assert!(matches!(add(&folder.path().join("none"), &mut Entropy), Err(SourceError::Unusable { .. })));
        let (_other, path, _) = file();
        fs::write(part_of(&path), "").unwrap();
        assert!(matches!(add(&path, &mut Entropy), Err(SourceError::Unfinished { .. })));
        assert!(part_of(&path).exists(), "it is somebody else's");
    }

    #[test]
    fn an_id_is_read_as_it_is_printed() {
        let id = KeyId::from_bytes([0x0a, 0xbc, 0, 0xff]);
        assert_eq!(KeyId::parse(&id.to_string()), Some(id));
        assert_eq!(KeyId::parse("0ABC00FF"), Some(id));
        for wrong in ["", "0abc00f", "0abc00ff0", "0abc00fg"] {
            assert_eq!(KeyId::parse(wrong), None);
        }
    }
}
