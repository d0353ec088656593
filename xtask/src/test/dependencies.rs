//! The step `deny`: cargo-deny over the dependency tree, by the rules of deny.toml.

use std::fs;
use std::path::PathBuf;

use crate::Outcome;
use crate::failure::Failure;
use crate::process;
use crate::workspace::Workspace;

const VERSION: &str = "0.20.2";

pub(super) fn run(workspace: &Workspace) -> Outcome {
    let program = cargo_deny(workspace)?;
    let deny = |arguments: &[&str]| {
        let mut command = workspace.command(&program);
        command.args(["--workspace", "--locked", "--log-level", "error"]).args(arguments);
        command
    };
    // Crates that stand twice in the tree are listed by `cargo deny check bans`; here they would be noise.
    process::run(&mut deny(&["check", "--hide-inclusion-graph", "licenses", "bans", "sources"]))?;
    if !process::succeeds(&mut deny(&["fetch", "db"])) {
        println!(
            "NOT CHECKED: known vulnerabilities. The RustSec database cannot be reached from this machine;"
        );
        println!("NOT CHECKED: run `cargo xtask test --only deny` where github.com can be reached.");
        return Ok(());
    }
    process::run(&mut deny(&["check", "--disable-fetch", "advisories"]))
}

/// The installed program, or one built once under the target folder.
fn cargo_deny(workspace: &Workspace) -> Outcome<PathBuf> {
    let tools = workspace.target.join("tools");
    let built = tools.join("bin").join("cargo-deny").with_extension(std::env::consts::EXE_EXTENSION);
    if built.is_file() {
        return Ok(built);
    }
    if let Some(installed) = process::find(&["cargo-deny"]) {
        return Ok(installed);
    }
    println!("building cargo-deny {VERSION} (only this once, about two minutes) …");
    let mut install = workspace.cargo("install");
    install.args(["cargo-deny", "--version", VERSION, "--root"]).arg(&tools);
    // In a folder of its own, so that an interrupted build goes on where it was.
    let scratch = tools.join("build");
    process::run(install.arg("--target-dir").arg(&scratch))?;
    fs::remove_dir_all(&scratch)
        .map_err(Failure::because(format!("could not remove `{}`", scratch.display())))?;
    Ok(built)
}
