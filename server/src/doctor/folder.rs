//! Who can read the data folder and the key file.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::{Finding, Level};
use crate::keyring::{Origin, SourceError, sources};

const DATA: &str = "data folder";
const KEY: &str = "master key";

/// Most files that are named one by one.
const MAX_NAMED: usize = 5;

/// The data folder: there, owned by whoever runs this, closed to everybody else.
pub fn data(folder: &Path) -> Vec<Finding> {
    let shown = folder.display();
    let metadata = match fs::metadata(folder) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return vec![Finding::untold(
                DATA,
                format!("`{shown}` is not there yet: the first start makes it."),
            )];
        }
        Err(error) => {
            return vec![Finding::bad(
                DATA,
                Level::Problem,
                format!("`{shown}` cannot be looked at: {error}."),
                "Run this as the user that the server runs as.",
            )];
        }
    };
    let own = rustix::process::geteuid().as_raw();
    if metadata.uid() != own {
        return vec![Finding::bad(
            DATA,
            Level::Problem,
            format!("`{shown}` belongs to user {}, and this is user {own}.", metadata.uid()),
            "Run this as the user that the server runs as.",
        )];
    }
    let open = open_to_others(folder, &metadata);
    if open.is_empty() {
        return vec![Finding::good(DATA, format!("`{shown}` is closed to other users."))];
    }
    let named: Vec<_> = open.iter().take(MAX_NAMED).map(|path| format!("`{}`", path.display())).collect();
    let more = open.len().saturating_sub(named.len());
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    vec![Finding::bad(
        DATA,
        Level::Problem,
        format!("Other users can open {}{more}.", named.join(", ")),
        format!("`chmod -R u=rwX,go= {shown}`"),
    )]
}

/// What of a folder others than its owner may open: only what lies open is reached, so a closed folder closes all below.
fn open_to_others(folder: &Path, metadata: &Metadata) -> Vec<PathBuf> {
    if !is_open(metadata) {
        return Vec::new();
    }
    let mut open = vec![folder.to_owned()];
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        if entry.metadata().is_ok_and(|metadata| is_open(&metadata)) {
            open.push(entry.path());
        }
    }
    open
}

/// Whether its group or everybody may do anything with it.
fn is_open(metadata: &Metadata) -> bool {
    metadata.permissions().mode() & 0o077 != 0
}

/// The master key: found, readable by its owner only, and not beside what it seals.
pub fn master_key(file: Option<&Path>, data: &Path, development: bool) -> Finding {
    match sources::given(file) {
        Ok(Some((keyring, Origin::File(path)))) => {
            let inside = fs::canonicalize(&path)
                .ok()
                .zip(fs::canonicalize(data).ok())
                .is_some_and(|(path, data)| path.starts_with(data));
            if inside {
                return Finding::bad(
                    KEY,
                    Level::Warning,
                    format!("`{}` lies in the data folder that it seals.", path.display()),
                    "Move it elsewhere: whoever copies the folder has the key too.",
                );
            }
            let count = keyring.ids().count();
            Finding::good(KEY, format!("`{}` has {count} usable {}.", path.display(), keys(count)))
        }
        Ok(Some((keyring, origin))) => {
            let count = keyring.ids().count();
            Finding::good(KEY, format!("From {origin}: {count} usable {}.", keys(count)))
        }
        Ok(None) if development => {
            Finding::untold(KEY, "Development mode makes its own, in the data folder.")
        }
        Ok(None) => {
            let error = SourceError::none_for(data);
            let remedy = match &error {
                SourceError::NotGiven { .. } => {
                    "Name the key file that belongs to this store; a new key would open nothing."
                }
                _ => "`sidekey keys generate --out FILE`, then `--master-key-file FILE`.",
            };
            Finding::bad(KEY, Level::Problem, format!("{error}."), remedy)
        }
        Err(error) => Finding::bad(
            KEY,
            Level::Problem,
            format!("{error}."),
            "Put the right key file there, with the mode 0600, or name another with `--master-key-file`.",
        ),
    }
}

fn keys(count: usize) -> &'static str {
    if count == 1 { "key" } else { "keys" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Entropy;
    use crate::keyring::MasterKey;

    #[test]
    fn a_folder_that_others_can_open_is_a_problem_with_its_command() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        assert_eq!(super::data(&data)[0].level, Level::Note, "not there yet");
        fs::create_dir(&data).unwrap();
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(data.join("head"), "x").unwrap();
        assert_eq!(super::data(&data)[0].level, Level::Good);
        fs::set_permissions(&data, fs::Permissions::from_mode(0o750)).unwrap();
        fs::set_permissions(data.join("head"), fs::Permissions::from_mode(0o644)).unwrap();
        let finding = super::data(&data).remove(0);
        assert_eq!(finding.level, Level::Problem);
        assert!(finding.found.contains("head"), "{finding:?}");
        assert!(finding.remedy.unwrap().starts_with("`chmod -R"));
    }

    #[test]
    fn a_key_beside_its_data_is_a_warning_and_a_file_that_is_none_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        let (data, key) = (folder.path().join("data"), folder.path().join("master.key"));
        fs::create_dir(&data).unwrap();
        sources::write_new(&key, &MasterKey::generate(&mut Entropy)).unwrap();
        assert_eq!(master_key(Some(&key), &data, false).level, Level::Good);
        assert_eq!(master_key(Some(&key), folder.path(), false).level, Level::Warning);
        fs::write(&key, "nonsense").unwrap();
        let finding = master_key(Some(&key), &data, false);
        assert_eq!(finding.level, Level::Problem);
        assert!(!finding.found.contains("nonsense"));
    }

    #[test]
    fn for_a_store_without_its_key_nobody_is_told_to_make_another() {
        let folder = tempfile::tempdir().unwrap();
        let told = || master_key(None, folder.path(), false);
        assert!(told().remedy.unwrap().contains("keys generate"), "nothing is there yet");
        fs::write(folder.path().join(crate::store::STORE_ID), "").unwrap();
        let Finding { level, found, remedy, .. } = told();
        assert_eq!(level, Level::Problem);
        assert!(found.contains("--master-key-file") && !format!("{found}{remedy:?}").contains("generate"));
    }
}
