//! The step `setup`: what is missing on this machine is installed, or named with the way to get it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::component;
use crate::failure::Failure;
use crate::process;
use crate::wasm;
use crate::workspace::Workspace;

/// The names under which systems know the browser.
const CHROMIUM: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

/// The first release with all that the tests use of its test runner.
const NODE_MAJOR: u32 = 20;

struct Tool {
    /// Any of these will do.
    programs: &'static [&'static str],
    /// Debian's package.
    package: &'static str,
    purpose: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool { programs: &["git"], package: "git", purpose: "lists the tracked files" },
    Tool { programs: &["node"], package: "nodejs", purpose: "runs the JavaScript tests" },
    Tool { programs: &["npm"], package: "npm", purpose: "installs their packages" },
    Tool { programs: CHROMIUM, package: "chromium", purpose: "shows the pages" },
    Tool { programs: &["curl"], package: "curl", purpose: "runs what the documentation shows" },
    Tool { programs: &["oathtool"], package: "oathtool", purpose: "computes codes" },
    Tool { programs: &["zbarimg"], package: "zbar-tools", purpose: "reads QR codes" },
    Tool {
        programs: &["nginx", "/usr/sbin/nginx"],
        package: "nginx-light",
        purpose: "asks Sidekey about requests",
    },
    Tool { programs: &["caddy"], package: "caddy", purpose: "the same" },
    Tool { programs: &["haproxy", "/usr/sbin/haproxy"], package: "haproxy", purpose: "the same" },
    // Debian keeps the server's own programs out of the path; the one that it starts them with is there with them.
    Tool {
        programs: &["initdb", "pg_ctlcluster"],
        package: "postgresql",
        purpose: "is the store of a cluster",
    },
    Tool { programs: &["python3"], package: "python3", purpose: "checks tokens with PyJWT" },
];

pub(super) fn run(workspace: &Workspace) -> Outcome {
    wasm::ensure_target(workspace, wasm::TARGET)?;
    wasm::ensure_target(workspace, component::TARGET)?;
    let missing = missing();
    if !missing.is_empty() {
        install(workspace, &missing)?;
    }
    check_node(workspace)?;
    npm_packages(workspace, "tests", &["ci"])?;
    python_environment(workspace, &workspace.target.join("python"), &["tests"])
}

/// The interpreter that has the packages of tests/requirements.txt.
pub(super) fn python(workspace: &Workspace) -> PathBuf {
    interpreter(&workspace.target.join("python"))
}

/// The interpreter of an environment of Python.
pub(super) fn interpreter(environment: &Path) -> PathBuf {
    environment.join("bin").join("python")
}

/// Tells tests which browser there is, through the environment.
pub(super) fn name_chromium(command: &mut Command) {
    if let Some(chromium) = process::find(CHROMIUM) {
        command.env("SIDEKEY_CHROMIUM", chromium);
    }
}

fn missing() -> Vec<(&'static str, &'static str)> {
    let absent = TOOLS.iter().filter(|tool| process::find(tool.programs).is_none());
    let mut missing: Vec<_> = absent.map(|tool| (tool.package, tool.purpose)).collect();
    // Debian ships the module without what it needs to make an environment.
    if !process::succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"])) {
        missing.push(("python3-venv", "makes a place for PyJWT"));
    }
    missing
}

fn install(workspace: &Workspace, missing: &[(&str, &str)]) -> Outcome {
    let packages: Vec<&str> = missing.iter().map(|(package, _)| *package).collect();
    if process::find(&["apt-get"]).is_none() || !is_root() {
        let named: Vec<String> =
            missing.iter().map(|(package, purpose)| format!("{package} ({purpose})")).collect();
        return Err(Failure::new(format!("missing on this machine: {}", named.join(", ")))
            .with_remedy(format!("on Debian as root: apt-get install --yes {}", packages.join(" "))));
    }
    println!("installing {} …", packages.join(" "));
    let apt = || {
        let mut command = workspace.command("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    process::run(apt().args(["update", "--quiet"]))?;
    process::run(apt().args(["install", "--yes", "--quiet", "--no-install-recommends"]).args(&packages))
}

fn is_root() -> bool {
    process::read(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn check_node(workspace: &Workspace) -> Outcome {
    let version = process::read(workspace.command("node").arg("--version"))?;
    match major(&version) {
        Some(major) if major >= NODE_MAJOR => Ok(()),
        _ => Err(Failure::new(format!("Node.js {} is too old", version.trim()))
            .with_remedy(format!("install version {NODE_MAJOR} or later from https://nodejs.org"))),
    }
}

/// `v20.11.1` gives 20.
fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// What the lock file of a folder lists, by this subcommand of npm. No script of a package runs.
pub(super) fn npm_packages(workspace: &Workspace, folder: &str, subcommand: &[&str]) -> Outcome {
    let folder = workspace.root.join(folder);
    unless_done(&[folder.join("package-lock.json")], &folder.join("node_modules").join(".installed"), || {
        let mut npm = workspace.command("npm");
        npm.args(subcommand).args(["--no-audit", "--no-fund", "--ignore-scripts"]);
        process::run(npm.current_dir(&folder))
    })
}

/// An environment of Python with the packages that the requirements.txt of these folders list.
pub(super) fn python_environment(workspace: &Workspace, environment: &Path, folders: &[&str]) -> Outcome {
    let lists: Vec<PathBuf> =
        folders.iter().map(|folder| workspace.root.join(folder).join("requirements.txt")).collect();
    unless_done(&lists, &environment.join(".installed"), || {
        process::run(workspace.command("python3").args(["-m", "venv", "--clear"]).arg(environment))?;
        let mut pip = workspace.command(interpreter(environment));
        pip.args(["-m", "pip", "install", "--quiet"]);
        for list in &lists {
            pip.arg("--requirement").arg(list);
        }
        process::run(&mut pip)
    })
}

/// Does the work unless the stamp, a copy of the lists it was last done for, says that it is done.
pub(super) fn unless_done(lists: &[PathBuf], stamp: &Path, work: impl FnOnce() -> Outcome) -> Outcome {
    let mut wanted = Vec::new();
    for list in lists {
        let read = fs::read(list);
        wanted.extend(read.map_err(Failure::because(format!("could not read `{}`", list.display())))?);
    }
    if fs::read(stamp).is_ok_and(|done| done == wanted) {
        return Ok(());
    }
    work()?;
    fs::write(stamp, wanted).map_err(Failure::because(format!("could not write `{}`", stamp.display())))
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    #[test]
    fn the_major_version_of_node_is_read() {
        assert_eq!(major("v20.11.1\n"), Some(20));
        assert_eq!(major("20"), None);
    }

    #[test]
    fn work_is_repeated_only_for_another_list_or_after_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let (list, stamp) = (folder.path().join("list"), folder.path().join("stamp"));
        let mut runs = 0;
        let mut attempt = |content: &str, outcome: Outcome| {
            fs::write(&list, content).unwrap();
            let result = unless_done(slice::from_ref(&list), &stamp, || {
                runs += 1;
                outcome
            });
            (result.is_ok(), runs)
        };
        assert_eq!(attempt("one", Err(Failure::new("no network"))), (false, 1));
        assert_eq!(attempt("one", Ok(())), (true, 2));
        assert_eq!(attempt("one", Ok(())), (true, 2));
        assert_eq!(attempt("two", Ok(())), (true, 3));
    }
}
