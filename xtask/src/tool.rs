//! Programs from crates.io that tasks need, built once.

use std::fs;
use std::path::PathBuf;

use crate::Outcome;
use crate::failure::Failure;
use crate::process;
use crate::workspace::Workspace;

/// The program, built once under the target folder, or else the installed one; `options` go to `cargo install`.
///
/// # Errors
/// It does not build.
pub(crate) fn cargo_tool(
    workspace: &Workspace,
    name: &str,
    version: &str,
    options: &[&str],
) -> Outcome<PathBuf> {
    let tools = workspace.target.join("tools");
    let built = tools.join("bin").join(name).with_extension(std::env::consts::EXE_EXTENSION);
    if built.is_file() {
        return Ok(built);
    }
    if let Some(installed) = process::find(&[name]) {
        return Ok(installed);
    }
    println!("building {name} {version} (only this once, about two minutes) …");
    let mut install = workspace.cargo("install");
    install.args([name, "--version", version]).args(options).arg("--root").arg(&tools);
    // In a folder of its own, so that an interrupted build goes on where it was.
    let scratch = tools.join("build");
    process::run(install.arg("--target-dir").arg(&scratch))?;
    fs::remove_dir_all(&scratch)
        .map_err(Failure::because(format!("could not remove `{}`", scratch.display())))?;
    Ok(built)
}
