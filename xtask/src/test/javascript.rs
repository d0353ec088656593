//! The steps that run on Node.js.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::component;
use crate::failure::Failure;
use crate::process;
use crate::workspace::Workspace;

/// The type check of the package, the pages' scripts and the tests.
pub(super) fn types(workspace: &Workspace) -> Outcome {
    for project in ["wasm/npm/tsconfig.json", "web/tsconfig.json", "tests/tsconfig.json"] {
        check_types(workspace, project)?;
    }
    Ok(())
}

pub(super) fn check_types(workspace: &Workspace, project: &str) -> Outcome {
    let compiler = workspace.root.join("tests/node_modules/typescript/bin/tsc");
    if !compiler.is_file() {
        return Err(Failure::new("the TypeScript compiler is not there")
            .with_remedy("cargo xtask test --only setup gets it"));
    }
    process::run(workspace.command("node").arg(&compiler).args(["--noEmit", "--project", project]))
}

/// The packed npm package, in Node.js.
pub(super) fn wasm(workspace: &Workspace) -> Outcome {
    process::run(&mut test_runner(workspace, "tests/wasm")?)
}

/// The component, built and then run by jco in Node.js.
pub(super) fn component(workspace: &Workspace) -> Outcome {
    component::build(workspace)?;
    let mut tests = test_runner(workspace, "tests/component")?;
    process::run(tests.env("SIDEKEY_COMPONENT", component::path(workspace)))
}

/// The pages, in a browser.
pub(super) fn browser(workspace: &Workspace) -> Outcome {
    super::server(workspace)?;
    process::run(super::with_programs(&mut test_runner(workspace, "tests/browser")?, workspace)?)
}

/// Node's test runner over the test files of a folder.
pub(super) fn test_runner(workspace: &Workspace, folder: &str) -> Outcome<Command> {
    let mut command = workspace.command("node");
    command.args(["--test", "--test-reporter=spec"]).args(test_files(&workspace.root.join(folder))?);
    Ok(command)
}

/// The test files under a folder, named one by one: Node.js 20 takes a folder here and later versions do not.
fn test_files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    collect(folder, &mut found)
        .map_err(Failure::because(format!("could not read `{}`", folder.display())))?;
    if found.is_empty() {
        return Err(Failure::new(format!("no `*.test.mjs` lies in `{}`", folder.display())));
    }
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("node_modules") {
            collect(&path, found)?;
        } else if path.to_str().is_some_and(|name| name.ends_with(".test.mjs")) {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_files_are_found_in_order_and_their_absence_is_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("deep")).unwrap();
        fs::write(path("helper.mjs"), "").unwrap();
        assert!(test_files(folder.path()).unwrap_err().to_string().starts_with("no `*.test.mjs` lies in"));
        fs::write(path("deep/b.test.mjs"), "").unwrap();
        fs::write(path("a.test.mjs"), "").unwrap();
        assert_eq!(test_files(folder.path()).unwrap(), [path("a.test.mjs"), path("deep/b.test.mjs")]);
    }
}
