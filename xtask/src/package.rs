//! `cargo xtask package`: the npm package as a tarball, and the component beside it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Outcome;
use crate::component;
use crate::failure::Failure;
use crate::mirror;
use crate::optimise;
use crate::process;
use crate::wasm;
use crate::workspace::Workspace;

const LICENCES: &[&str] = &["LICENSE-APACHE", "LICENSE-MIT"];

/// Builds the component, and the package, which is packed into `target/package/sidekey-<version>.tgz`. What is in `wasm/npm` is
/// the package: it is copied with the licences beside it, and nothing else happens to it.
pub(crate) fn build(workspace: &Workspace) -> Outcome {
    let optimiser = optimise::program(workspace)?;
    if process::find(&["npm"]).is_none() {
        return Err(Failure::new("npm is not installed")
            .with_remedy("it comes with Node.js (Debian: apt-get install npm)"));
    }
    wasm::build_with(workspace, Some(&optimiser))?;

    let folder = workspace.target.join("package");
    let staged = folder.join("sidekey");
    stage(workspace, &staged).map_err(Failure::because(format!("could not write `{}`", staged.display())))?;
    let tarball = folder.join(format!("sidekey-{}.tgz", version(&staged)?));
    let mut pack = workspace.command("npm");
    pack.args(["pack", "--silent", "--ignore-scripts", "--pack-destination"]).arg(&folder);
    process::run(pack.current_dir(&staged))?;
    println!("{}", tarball.display());
    component::build(workspace)?;
    sizes(workspace, &staged)
}

/// The package as it is packed.
fn stage(workspace: &Workspace, staged: &Path) -> std::io::Result<()> {
    let mut files = mirror::files(&workspace.root.join("wasm").join("npm"))?;
    files.remove(Path::new("tsconfig.json"));
    for licence in LICENCES {
        files.insert(PathBuf::from(licence), fs::read(workspace.root.join(licence))?);
    }
    mirror::synchronise(&files, staged).map(|_| ())
}

/// The version in package.json, which has to be that of all of Sidekey.
fn version(staged: &Path) -> Outcome<String> {
    let path = staged.join("package.json");
    let text = fs::read_to_string(&path)
        .map_err(Failure::because(format!("could not read `{}`", path.display())))?;
    let manifest: Value =
        serde_json::from_str(&text).map_err(Failure::because("wasm/npm/package.json is no JSON"))?;
    match manifest.get("version").and_then(Value::as_str) {
        Some(version) if version == env!("CARGO_PKG_VERSION") => Ok(version.to_owned()),
        _ => Err(Failure::new(format!(
            "the version in wasm/npm/package.json is not {}",
            env!("CARGO_PKG_VERSION")
        ))),
    }
}

/// Prints what an application gets of it, and fails where that is more than the budget.
fn sizes(workspace: &Workspace, staged: &Path) -> Outcome {
    let script = workspace.root.join("tests").join("package").join("sizes.mjs");
    process::run(workspace.command("node").arg(script).arg(staged))
}
