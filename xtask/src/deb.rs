//! `cargo xtask deb`: the Debian package, from the release build of the server and server/packaging.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::failure::Failure;
use crate::process;
use crate::tool;
use crate::wasm;
use crate::workspace::Workspace;

const VERSION: &str = "3.8.0";

/// Shells, and the names under which they look for completions.
const COMPLETIONS: &[(&str, &str)] =
    &[("bash", "sidekey.bash"), ("zsh", "_sidekey"), ("fish", "sidekey.fish")];

/// Builds the server, and the package from it; prints where it is.
///
/// # Errors
/// The server does not build, or the package cannot be made.
pub(crate) fn build(workspace: &Workspace) -> Outcome {
    wasm::build(workspace)?;
    process::run(workspace.cargo("build").args(["--release", "--package", "sidekey-server"]))?;
    println!("{}", package(workspace)?.display());
    Ok(())
}

/// The package `target/package/sidekey.deb`, from the release build as it is.
///
/// # Errors
/// There is no release build, or the package cannot be made.
pub(crate) fn package(workspace: &Workspace) -> Outcome<PathBuf> {
    let program = tool::cargo_tool(workspace, "cargo-deb", VERSION, &["--no-default-features"])?;
    // The only folder for made files that cargo-deb finds again under another target folder.
    let made = workspace.target.join("release").join("packaging");
    make(workspace, &made)
        .map_err(|failure| failure.with_remedy("cargo build --release --package sidekey-server"))?;
    let package = workspace.target.join("package").join("sidekey.deb");
    let mut deb = workspace.command(program);
    // The build has no debugging information to take out any more, and is the one that the tests have seen.
    deb.args(["--package", "sidekey-server", "--no-build", "--no-strip", "--locked", "--quiet", "--output"]);
    process::run(deb.arg(&package))?;
    Ok(package)
}

/// What the server itself tells: settings, man pages, completions.
fn make(workspace: &Workspace, folder: &Path) -> Outcome {
    let server = workspace.server_binary();
    let completions = folder.join("completions");
    let write = |path: &Path, text: String| {
        fs::write(path, text).map_err(Failure::because(format!("could not write `{}`", path.display())))
    };
    if folder.exists() {
        fs::remove_dir_all(folder)
            .map_err(Failure::because(format!("could not remove `{}`", folder.display())))?;
    }
    fs::create_dir_all(&completions)
        .map_err(Failure::because(format!("could not make `{}`", completions.display())))?;
    for (shell, name) in COMPLETIONS {
        let script = process::read(workspace.command(&server).args(["completions", shell]))?;
        write(&completions.join(name), script)?;
    }
    let man = folder.join("man");
    process::run(workspace.command(&server).args(["man", "--out"]).arg(&man))?;
    // Debian's policy 12.1; `-n` for the same bytes each time.
    process::run(workspace.command("gzip").args(["-9n", "--recursive"]).arg(&man))?;
    let own = workspace.root.join("server").join("packaging").join("settings.toml");
    let own =
        fs::read_to_string(&own).map_err(Failure::because(format!("could not read `{}`", own.display())))?;
    let all = process::read(workspace.command(&server).args(["config", "default"]))?;
    write(&folder.join("sidekey.toml"), own + &all)
}
