//! The step `npm`: the tarball as a user gets it, in the toolchains that users have.

use std::path::Path;

use super::{javascript, setup};
use crate::Outcome;
use crate::failure::Failure;
use crate::package;
use crate::process;
use crate::workspace::Workspace;

const FOLDER: &str = "tests/package";

pub(super) fn run(workspace: &Workspace) -> Outcome {
    install(workspace)?;
    javascript::check_types(workspace, "tests/package/tsconfig.tests.json")?;
    let mut tests = javascript::test_runner(workspace, FOLDER)?;
    setup::name_chromium(&mut tests);
    process::run(&mut tests)
}

/// Builds and packs the package, and measures it beside otpauth and qrcode, with the figures put into the folder of the documentation if one is given.
pub(crate) fn bench(workspace: &Workspace, docs: Option<&Path>) -> Outcome {
    setup::npm_packages(workspace, "tests", &["ci"])?;
    package::build(workspace)?;
    install(workspace)?;
    let mut bench = workspace.command("node");
    bench.arg(format!("{FOLDER}/bench.mjs"));
    if let Some(docs) = docs {
        bench.arg("--docs").arg(docs);
    }
    setup::name_chromium(&mut bench);
    process::run(&mut bench)
}

/// The toolchains, and the package as npm installs it.
fn install(workspace: &Workspace) -> Outcome {
    for program in ["node", "npm"] {
        if process::find(&[program]).is_none() {
            return Err(Failure::new(format!("`{program}` is not installed"))
                .with_remedy("cargo xtask test --only setup gets it, or says how"));
        }
    }
    // Some 300 MB of toolchains, hence not among what every other step waits for.
    // `npm ci` wants the lock file to list the toolchains' binaries of every system; it lists those of Linux.
    setup::npm_packages(workspace, FOLDER, &["install", "--no-save"])?;
    let mut install = workspace.command("node");
    process::run(install.arg(format!("{FOLDER}/install.mjs")).arg(workspace.target.join("package")))
}
