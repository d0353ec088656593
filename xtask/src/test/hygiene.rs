//! The step `hygiene`: a tracked file holds no address of a package registry and no path of a machine.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::failure::Failure;
use crate::process;
use crate::workspace::Workspace;

/// Written in two parts, so that this file passes its own check.
const REGISTRIES: &[&str] = &[
    concat!("registry.", "npmjs.org"),
    concat!("registry.", "yarnpkg.com"),
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("pypi", ".org/simple"),
    concat!("files.", "pythonhosted.org"),
    concat!("proxy.", "golang.org"),
    concat!("--index", "-url"),
];

/// How cargo names its default registry in a lock file, whichever mirror it fetches from.
const CRATES_IO: &str = concat!("registry+https://github.com/rust-lang/", "crates.io-index");

pub(super) fn run(workspace: &Workspace) -> Outcome {
    let listed = process::read(workspace.command("git").args(["ls-files", "-z"]))?;
    let folders = machine_folders(workspace);
    let mut findings = Vec::new();
    for name in listed.split_terminator('\0') {
        // A file deleted but not yet committed, or no text: nothing to read.
        if let Ok(text) = fs::read_to_string(workspace.root.join(name)) {
            findings.extend(inspect(name, &text, &folders));
        }
    }
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("{} places in tracked files tell about a machine", findings.len())))
}

/// The folders of this machine that could slip into a file. A path of one part, such as `/root`, may well be
/// meant as written.
fn machine_folders(workspace: &Workspace) -> Vec<String> {
    let variables =
        ["HOME", "CARGO_HOME", "RUSTUP_HOME"].into_iter().filter_map(env::var_os).map(PathBuf::from);
    let folders = variables.chain([workspace.root.clone(), workspace.target.clone()]);
    folders.filter(|path| path.components().count() > 2).map(|path| path.display().to_string()).collect()
}

/// One line for each finding, in the form `file:line: what`.
fn inspect(name: &str, text: &str, folders: &[String]) -> Vec<String> {
    let is = |file: &str| Path::new(name).file_name().is_some_and(|last| last == file);
    let (cargo_lock, npm_lock) = (is("Cargo.lock"), is("package-lock.json"));
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let mut found = |what: &str| findings.push(format!("{name}:{number}: {what}"));
        if let Some(registry) = REGISTRIES.iter().find(|registry| line.contains(**registry)) {
            found(&format!("package registry `{registry}`"));
        }
        if let Some(folder) = folders.iter().find(|folder| line.contains(folder.as_str())) {
            found(&format!("folder `{folder}` of this machine"));
        }
        if ["/home/", "/Users/", r"C:\Users\"].iter().any(|prefix| is_followed_by_a_name(line, prefix)) {
            found("somebody's home folder");
        }
        if cargo_lock && line.starts_with("source = ") && line != format!("source = \"{CRATES_IO}\"") {
            found("package from elsewhere than the default registry");
        }
        if npm_lock && line.contains("\"resolved\":") && line.contains("://") {
            found("download address in a lock file");
        }
    }
    findings
}

fn is_followed_by_a_name(line: &str, prefix: &str) -> bool {
    line.match_indices(prefix).any(|(at, _)| {
        line.get(at + prefix.len()..).and_then(|rest| rest.chars().next()).is_some_and(char::is_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(name: &str, text: &str) -> Vec<String> {
        inspect(name, text, &["/srv/build/sidekey".to_owned()])
    }

    #[test]
    fn addresses_and_paths_are_found_with_their_line() {
        let text = format!("first\nsee https://{}/x\ncd /srv/build/sidekey/web\n", REGISTRIES[0]);
        assert_eq!(
            findings("docs/x.md", &text),
            [
                format!("docs/x.md:2: package registry `{}`", REGISTRIES[0]),
                "docs/x.md:3: folder `/srv/build/sidekey` of this machine".to_owned(),
            ]
        );
        assert_eq!(findings("x", &format!("cd {}ann", "/home/")), ["x:1: somebody's home folder"]);
        assert_eq!(findings("x", "folders under `/home/` and `/Users/`"), [""; 0]);
    }

    #[test]
    fn lock_files_hold_no_download_address() {
        let good = format!("[[package]]\nsource = \"{CRATES_IO}\"\n");
        assert_eq!(findings("Cargo.lock", &good), [""; 0]);
        let mirror = "source = \"sparse+https://mirror.example/index/\"";
        assert_eq!(findings("fuzz/Cargo.lock", mirror).len(), 1);
        assert_eq!(findings("notes.txt", mirror), [""; 0]);
        let npm = r#"      "resolved": "https://mirror.example/a.tgz","#;
        assert_eq!(findings("tests/package-lock.json", npm).len(), 1);
    }
}
