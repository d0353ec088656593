//! `cargo xtask serve`: from a fresh checkout to a running server.

use std::env;
use std::ffi::OsString;
use std::process::Command;

use crate::Outcome;
use crate::failure::Failure;
use crate::process;
use crate::stopwatch::Stopwatch;
use crate::wasm;
use crate::workspace::Workspace;

/// Builds the browser module and the server, then becomes the server.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Outcome {
    let binary = workspace.server_binary();
    let first = if binary.exists() { "" } else { " (the first time this takes some minutes)" };
    let watch = Stopwatch::start();

    eprintln!("[1/3] building the browser module …");
    wasm::build(workspace)?;
    eprintln!("[2/3] building the server{first} … ({} so far)", watch.elapsed());
    process::run(workspace.cargo("build").args(["--release", "--package", "sidekey-server"])).map_err(
        |failure| {
            failure.with_remedy(
                "the compiler's message stands above, and on a new machine the usual cause is a \
             missing C compiler or `make` (Debian: apt-get install build-essential)",
            )
        },
    )?;
    eprintln!("[3/3] starting the server … (built in {})", watch.elapsed());

    let mut server = Command::new(&binary);
    let is_set = |variable: &str| env::var_os(variable).is_some();
    server.arg("serve").args(defaults(workspace, arguments, is_set)).args(arguments);
    become_server(&mut server)
}

/// The development settings that neither the arguments nor the environment set: given twice, the server would
/// refuse a flag, and a flag would win over the user's variable.
fn defaults(workspace: &Workspace, arguments: &[String], is_set: impl Fn(&str) -> bool) -> Vec<OsString> {
    let at_root = env::current_dir().is_ok_and(|folder| folder == workspace.root);
    let data = if at_root { "./data".into() } else { workspace.root.join("data").into_os_string() };
    let mut chosen = Vec::new();
    if !sets(arguments, "--development") && !is_set("SIDEKEY_DEVELOPMENT") {
        chosen.push("--development".into());
    }
    if !sets(arguments, "--listen") && !is_set("SIDEKEY_LISTEN") {
        chosen.extend(["--listen".into(), "127.0.0.1:8080".into()]);
    }
    if !sets(arguments, "--data") && !is_set("SIDEKEY_DATA") {
        chosen.extend(["--data".into(), data]);
    }
    chosen
}

/// Whether the arguments hold this flag, as `--flag value` or `--flag=value`.
fn sets(arguments: &[String], flag: &str) -> bool {
    arguments.iter().any(|argument| {
        argument.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    })
}

/// The server takes this process over: signals, terminal and exit code are then its own.
#[cfg(unix)]
fn become_server(server: &mut Command) -> Outcome {
    use std::os::unix::process::CommandExt;
    let cause = server.exec();
    Err(Failure::new(format!("could not start `{}`: {cause}", server.get_program().display())))
}

#[cfg(not(unix))]
fn become_server(server: &mut Command) -> Outcome {
    let status = server
        .status()
        .map_err(Failure::because(format!("could not start `{}`", server.get_program().display())))?;
    std::process::exit(status.code().unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_variables_replace_the_defaults() {
        let workspace = Workspace { root: "/nowhere/sidekey".into(), target: "/nowhere/target".into() };
        let chosen_with = |variable: &str, arguments: &[&str]| {
            let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            defaults(&workspace, &arguments, |name| name == variable)
        };
        let chosen = |arguments: &[&str]| chosen_with("", arguments);
        let everything = ["--development", "--listen", "127.0.0.1:8080", "--data", "/nowhere/sidekey/data"]
            .map(OsString::from);
        assert_eq!(chosen(&[]), everything);
        assert_eq!(chosen(&["--listen", "127.0.0.1:0", "--data=x"]), ["--development"]);
        assert_eq!(chosen(&["--development", "--data-format", "x"]), everything[1..]);
        assert_eq!(chosen_with("SIDEKEY_LISTEN", &["--data=x"]), ["--development"]);
    }
}
