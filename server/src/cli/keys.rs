//! `keys generate`, `keys add` and `keys list`: master keys in a file.

use std::path::Path;

use serde_json::json;

use super::Failure;
use super::output::print;
use crate::entropy::Entropy;
use crate::keyring::{Keyring, MasterKey, file, sources};

/// Writes a new master key to a file that must not exist, and says what to do with it.
///
/// # Errors
/// When the file exists or cannot be written.
pub(super) fn generate(out: &Path) -> Result<(), Failure> {
    let key = MasterKey::generate(&mut Entropy);
    sources::write_new(out, &key).map_err(Failure::runtime)?;
    let file = out.display();
    print(&format!(
        "Made the master key {} in {file}. Keep a copy in a safe place, apart from backups of the data:\n\
         without it the data cannot be read. Start with: sidekey serve --master-key-file {file}",
        key.id()
    ))
}

/// Puts a new master key first in a key file, and says what to do next.
///
/// # Errors
/// The file is no key file, or cannot be written.
pub(super) fn add(path: &Path, json: bool) -> Result<(), Failure> {
    let keyring = file::add(path, &mut Entropy).map_err(Failure::runtime)?;
    if json {
        return print(&listed(&keyring).to_string());
    }
    let (id, file) = (keyring.sealing(), path.display());
    print(&format!(
        "Put the new master key {id} first in {file}. Keep a copy of the file in a safe place now, apart from backups of\n\
         the data. Then have the server read it and seal everything with it, which needs no restart:\n  \
         sidekey keys rotate --data FOLDER --master-key-file {file}"
    ))
}

/// Lists the keys of a key file by their ids.
///
/// # Errors
/// The file is no key file.
pub(super) fn list(path: &Path, json: bool) -> Result<(), Failure> {
    let keyring = sources::load_file(path).map_err(Failure::settings)?;
    if json {
        return print(&listed(&keyring).to_string());
    }
    let lines = keyring.ids().enumerate().map(|(place, id)| match place {
        0 => format!("{id}  seals and opens"),
        _ => format!("{id}  opens"),
    });
    print(&lines.collect::<Vec<_>>().join("\n"))
}

fn listed(keyring: &Keyring) -> serde_json::Value {
    let first = keyring.sealing();
    let one = |id| json!({ "key_id": format!("{id}"), "seals": id == first });
    json!({ "keys": keyring.ids().map(one).collect::<Vec<_>>() })
}
