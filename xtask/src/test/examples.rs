//! The step `examples`: each example application, started as its README says, and signed in to; and what the documentation shows of testing one.

use std::fs;
use std::io;
use std::path::Path;

use super::{javascript, server, setup};
use crate::Outcome;
use crate::failure::Failure;
use crate::process;
use crate::workspace::Workspace;

const WARP: &str = "sidekey-example-warp-terminal";

pub(super) fn run(workspace: &Workspace) -> Outcome {
    for program in ["node", "npm", "python3", "curl", "oathtool"] {
        if process::find(&[program]).is_none() {
            return Err(Failure::new(format!("`{program}` is not installed"))
                .with_remedy("cargo xtask test --only setup gets it, or says how"));
        }
    }
    server(workspace)?;
    process::run(workspace.cargo("build").args(["--package", WARP]))?;
    let folder = workspace.target.join("examples");
    let (python, express) = (folder.join("python"), folder.join("express"));
    django(workspace, &python)?;
    self::express(workspace, &express)?;
    let mut tests = javascript::test_runner(workspace, "tests/examples")?;
    super::with_programs(&mut tests, workspace)?;
    tests.env("SIDEKEY_EXAMPLES_PYTHON", setup::interpreter(&python));
    tests.env("SIDEKEY_EXAMPLES_EXPRESS", express);
    tests.env("SIDEKEY_EXAMPLES_WARP", workspace.target.join("debug").join(WARP));
    process::run(&mut tests)
}

/// An environment with the packages that the Django example names, and those of the tests.
fn django(workspace: &Workspace, environment: &Path) -> Outcome {
    setup::python_environment(workspace, environment, &["examples/django", "tests/examples"])
}

/// A copy of the Express example with its packages beside it: nothing is left in the checkout.
fn express(workspace: &Workspace, copy: &Path) -> Outcome {
    let source = workspace.root.join("examples/express");
    copy_files(&source, copy).map_err(Failure::because(format!("could not copy `{}`", source.display())))?;
    let installed = copy.join("node_modules").join(".installed");
    setup::unless_done(&[source.join("package.json")], &installed, || {
        let mut npm = workspace.command("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts"]);
        process::run(npm.current_dir(copy))
    })
}

fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for name in ["package.json", "server.js", "sidekey.js"] {
        fs::copy(from.join(name), to.join(name))?;
    }
    Ok(())
}
