//! The binary's commands, run to their end.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

/// No command takes longer, unless it hangs.
const LIMIT: Duration = Duration::from_mins(1);

/// The binary under test: `SIDEKEY_BIN`, else the workspace's release build.
pub fn binary() -> PathBuf {
    let path = std::env::var_os("SIDEKEY_BIN").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/sidekey"),
        PathBuf::from,
    );
    assert!(
        path.is_file(),
        "there is no server binary at `{}`: build it with `cargo build --release -p sidekey-server`, or name another in SIDEKEY_BIN",
        path.display()
    );
    path
}

/// What a finished command left.
#[derive(Debug)]
pub struct Finished {
    /// Exit code; `None` after a signal.
    pub code: Option<i32>,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Finished {
    /// Passes a command that succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "the command failed: {self:?}");
        self
    }

    /// Passes a command that failed with this exit code.
    #[track_caller]
    pub fn failed(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "the command should exit with {code}: {self:?}");
        self
    }

    /// Standard output as one JSON value.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("no JSON on stdout ({e}): {self:?}"))
    }
}

/// A command that inherits nothing of Sidekey's configuration from the caller's environment.
pub fn sidekey<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(binary());
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    for name in foreign_variables() {
        command.env_remove(name);
    }
    command
}

/// Variables of the environment that would configure the server behind the test's back.
pub fn foreign_variables() -> impl Iterator<Item = std::ffi::OsString> {
    std::env::vars_os().map(|(name, _)| name).filter(|name| {
        name.to_str().is_some_and(|n| {
            (n.starts_with("SIDEKEY_") && n != "SIDEKEY_BIN")
                || n == "RUST_LOG"
                || n == "CREDENTIALS_DIRECTORY"
                || n == "NOTIFY_SOCKET"
                || n.starts_with("WATCHDOG_")
                || n.starts_with("LISTEN_")
        })
    })
}

/// Runs a command to its end.
pub async fn finish(mut command: tokio::process::Command) -> Finished {
    let output = tokio::time::timeout(LIMIT, command.output())
        .await
        .unwrap_or_else(|_| panic!("{command:?} did not end within {LIMIT:?}"))
        .expect("the binary can be started");
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
    }
}

/// Runs `sidekey <arguments>` to its end.
pub async fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Finished {
    finish(sidekey(arguments)).await
}
