//! Where the checkout and its target folder are.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::Outcome;
use crate::failure::Failure;
use crate::process;

/// The checkout, as cargo sees it.
pub(crate) struct Workspace {
    /// The folder of the root Cargo.toml.
    pub(crate) root: PathBuf,
    /// The target folder, wherever environment or configuration put it.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Asks cargo, so that `CARGO_TARGET_DIR` and every configuration file are honoured.
    pub(crate) fn find() -> Outcome<Self> {
        let mut command = Command::new(cargo_program());
        command.args(["metadata", "--no-deps", "--format-version", "1"]);
        // Set by `cargo run`; without it the checkout is the one around the current folder.
        if let Some(folder) = env::var_os("CARGO_MANIFEST_DIR") {
            command.arg("--manifest-path").arg(Path::new(&folder).join("Cargo.toml"));
        }
        let metadata: Value = serde_json::from_str(&process::read(&mut command)?)
            .map_err(Failure::because("could not read the answer of `cargo metadata`"))?;
        let folder = |member: &str| {
            let path = metadata.get(member).and_then(Value::as_str).map(PathBuf::from);
            path.ok_or_else(|| Failure::new(format!("`cargo metadata` does not tell `{member}`")))
        };
        Ok(Self { root: folder("workspace_root")?, target: folder("target_directory")? })
    }

    /// A program to be run at the root of the checkout.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        // A relative CARGO_TARGET_DIR was meant from where the user stands, not from the root.
        command.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        command
    }

    /// The cargo that runs this program, with the lock file binding.
    pub(crate) fn cargo(&self, subcommand: &str) -> Command {
        let mut command = self.command(cargo_program());
        command.args([subcommand, "--locked"]);
        command
    }

    /// The release build of the server.
    pub(crate) fn server_binary(&self) -> PathBuf {
        self.target.join("release").join("sidekey").with_extension(env::consts::EXE_EXTENSION)
    }
}

fn cargo_program() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}
