//! wasm-opt, from npm's `binaryen`.

use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::failure::Failure;
use crate::process;
use crate::workspace::Workspace;

/// What rustc's target uses and every engine has had since 2021; without these wasm-opt refuses the module.
const FEATURES: &[&str] = &[
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// Smaller by a hundredth than `-Oz` alone, and as quick.
const PASSES: &[&str] = &["--flatten", "--rereloop", "-Oz", "-Oz"];
/// What compilers say about themselves, which no engine reads.
const STRIPPED: &[&str] = &["--strip-producers", "--strip-target-features"];

/// The optimiser, or what is missing and how to get it.
pub(crate) fn program(workspace: &Workspace) -> Outcome<PathBuf> {
    let program = workspace.root.join("tests/node_modules/binaryen/bin/wasm-opt");
    if process::find(&["node"]).is_none() {
        return Err(Failure::new("Node.js is not installed").with_remedy(
            "get version 20 or later from https://nodejs.org (Debian: apt-get install nodejs npm)",
        ));
    }
    if !program.is_file() {
        return Err(
            Failure::new("wasm-opt is not there").with_remedy("cargo xtask test --only setup gets it")
        );
    }
    Ok(program)
}

/// Writes what does the same in fewer bytes.
pub(crate) fn optimise(workspace: &Workspace, program: &Path, module: &Path, smaller: &Path) -> Outcome {
    let mut command = workspace.command("node");
    command.arg(program).args(PASSES).args(FEATURES).args(STRIPPED).arg(module).arg("-o").arg(smaller);
    process::run(&mut command)
}
