//! The files that a page loads: module, glue and types.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use wasm_bindgen_cli_support::Bindgen;

use crate::Outcome;
use crate::failure::Failure;

/// Makes the bindings of a compiled module and brings `destination` up to date with them.
///
/// `scratch` is a folder that may be emptied. Gives how many files changed.
pub(crate) fn generate(module: &Path, scratch: &Path, destination: &Path) -> Outcome<usize> {
    if scratch.exists() {
        fs::remove_dir_all(scratch).map_err(cannot("empty", scratch))?;
    }
    bindgen(module, scratch).map_err(|cause| {
        Failure::new(format!("could not make the bindings of the browser module: {cause:#}"))
    })?;
    synchronise(scratch, destination).map_err(cannot("write", destination))
}

/// wasm-bindgen's own program does no more than this.
fn bindgen(module: &Path, folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let mut bindgen = Bindgen::new();
    bindgen.input_path(module).out_name("sidekey_wasm").web(true)?.typescript(true);
    // Names and tool versions are a third of the file and nothing that a browser needs.
    bindgen.remove_name_section(true).remove_producers_section(true);
    bindgen.generate(folder)?;
    Ok(())
}

/// Makes the files of `destination` those of `source`, and touches none that is already right: cargo would
/// take a new time stamp for a change and build the server again.
fn synchronise(source: &Path, destination: &Path) -> io::Result<usize> {
    fs::create_dir_all(destination)?;
    let wanted = files(source, source)?;
    let present = files(destination, destination)?;
    let mut changed = 0;
    for (name, content) in &wanted {
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

/// Every file under `folder`, by its path from `top`.
fn files(folder: &Path, top: &Path) -> io::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.append(&mut files(&path, top)?);
        } else if let Ok(name) = path.strip_prefix(top) {
            found.insert(name.to_owned(), fs::read(&path)?);
        }
    }
    Ok(found)
}

fn cannot(verb: &str, path: &Path) -> impl FnOnce(io::Error) -> Failure {
    Failure::because(format!("could not {verb} `{}`", path.display()))
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

        assert_eq!(synchronise(source.path(), destination.path()).unwrap(), 3);
        let expected = files(source.path(), source.path()).unwrap();
        assert_eq!(files(destination.path(), destination.path()).unwrap(), expected);
        assert_eq!(time("same"), before);
        assert_eq!(synchronise(source.path(), destination.path()).unwrap(), 0);
    }
}
