//! `cargo xtask openapi`: the `OpenAPI` document, from the code.

use std::fs;

use crate::Outcome;
use crate::failure::Failure;
use crate::process;
use crate::workspace::Workspace;

/// Writes `docs/openapi.json`, which the server has in it and serves.
///
/// # Errors
/// The server does not build, or the file cannot be written.
pub(crate) fn write(workspace: &Workspace) -> Outcome {
    let example = ["--quiet", "--package", "sidekey-server", "--example", "openapi"];
    let text = process::read(workspace.cargo("run").args(example))?;
    let file = workspace.root.join("docs/openapi.json");
    if fs::read_to_string(&file).is_ok_and(|old| old == text) {
        println!("{} is what the code says", file.display());
        return Ok(());
    }
    fs::write(&file, text).map_err(Failure::because(format!("could not write `{}`", file.display())))?;
    println!("{} is written", file.display());
    Ok(())
}
