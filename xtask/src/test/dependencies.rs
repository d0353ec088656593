//! The step `deny`: cargo-deny over the dependency tree, by the rules of deny.toml.

use crate::Outcome;
use crate::process;
use crate::tool;
use crate::workspace::Workspace;

const VERSION: &str = "0.20.2";

pub(super) fn run(workspace: &Workspace) -> Outcome {
    let program = tool::cargo_tool(workspace, "cargo-deny", VERSION, &[])?;
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
