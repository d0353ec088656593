//! The step `deb`: the Debian package is built, looked at (also by lintian, where that is installed), and installed on this
//! system with a file system in memory over it.

use std::path::Path;
use std::process::Command;

use crate::Outcome;
use crate::deb;
use crate::failure::Failure;
use crate::process;
use crate::workspace::Workspace;

/// What must be in the package.
const CONTENTS: &[&str] = &[
    "./usr/bin/sidekey",
    "./etc/sidekey/sidekey.toml",
    "./usr/lib/systemd/system/sidekey.service",
    "./usr/lib/systemd/system/sidekey.socket",
    "./usr/lib/systemd/system/sidekey-backup.timer",
    "./usr/share/man/man1/sidekey.1.gz",
    "./usr/share/man/man1/sidekey-keys-rotate.1.gz",
    "./usr/share/bash-completion/completions/sidekey",
    "./usr/share/zsh/vendor-completions/_sidekey",
    "./usr/share/fish/vendor_completions.d/sidekey.fish",
    "./usr/share/doc/sidekey/operations.md",
    "./usr/share/doc/sidekey/copyright",
    "./usr/share/doc/sidekey/changelog.gz",
    "./usr/share/doc/sidekey/changelog.Debian.gz",
];

/// Errors of lintian that are meant to be there.
const MEANT: &[&str] = &[
    // `strip = "debuginfo"` of the release build keeps the names of functions, for the backtrace of a crash.
    "unstripped-binary-or-object",
];

pub(super) fn run(workspace: &Workspace) -> Outcome {
    super::server(workspace)?;
    let package = deb::package(workspace)?;
    if process::find(&["dpkg-deb"]).is_none() {
        println!("NOT TESTED: the package has been built, and this is no Debian system: dpkg is missing.");
        return Ok(());
    }
    contents(&process::read(Command::new("dpkg-deb").arg("--contents").arg(&package))?)?;
    lint(&package)?;
    if let Some(lacking) = lacking(&workspace.target) {
        println!("NOT INSTALLED: {lacking}.");
        println!("NOT INSTALLED: run `cargo xtask test --only deb` as root on a Debian system.");
        return Ok(());
    }
    let mut sandbox = workspace.command("sh");
    sandbox.arg(workspace.root.join("tests").join("deb").join("sandbox.sh"));
    process::run(sandbox.arg(&package).arg(workspace.target.join("package").join("system")))
}

/// Fails where a file is not in the list that `dpkg-deb --contents` prints.
fn contents(list: &str) -> Outcome {
    let there: Vec<&str> = list.lines().filter_map(|line| line.split_whitespace().nth(5)).collect();
    let missing: Vec<&str> = CONTENTS.iter().filter(|path| !there.contains(path)).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("the package lacks {}", missing.join(", "))))
}

/// Fails where lintian finds an error; its warnings are printed.
fn lint(package: &Path) -> Outcome {
    if process::find(&["lintian"]).is_none() {
        println!("NOT LINTED: lintian is not installed (Debian: apt-get install lintian).");
        return Ok(());
    }
    let mut lintian = Command::new("lintian");
    lintian.args(["--allow-root", "--fail-on", "error", "--suppress-tags", &MEANT.join(",")]);
    process::run(lintian.arg(package))
}

/// Why the package cannot be installed here, if so.
fn lacking(target: &Path) -> Option<&'static str> {
    let tools = ["dpkg", "unshare", "setpriv"].iter().find(|program| process::find(&[program]).is_none());
    if tools.is_some() || !Path::new("/usr/bin/python3").exists() {
        return Some("dpkg, unshare, setpriv (util-linux) and /usr/bin/python3 are needed");
    }
    // The very thing that the sandbox does.
    let try_it = "mount --make-rprivate / && mount -t tmpfs tmpfs . && cd \"$PWD\" && mkdir upper work system && \
                  mount -t overlay overlay -o \"lowerdir=/,upperdir=$PWD/upper,workdir=$PWD/work\" system";
    let mut overlay = Command::new("unshare");
    overlay.args(["--mount", "--pid", "--net", "--ipc", "--fork", "sh", "-c", try_it]).current_dir(target);
    (!process::succeeds(&mut overlay))
        .then_some("this user may not mount a file system over the system's own")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_in_the_package_is_named() {
        let line = |path: &&str| format!("-rw-r--r-- root/root 12 2026-11-22 10:00 {path}\n");
        let all: String = CONTENTS.iter().map(line).collect();
        contents(&all).unwrap();
        let without: String = CONTENTS.iter().skip(1).map(line).collect();
        assert_eq!(contents(&without).unwrap_err().to_string(), "the package lacks ./usr/bin/sidekey");
    }

    #[test]
    fn the_changelog_of_the_package_begins_with_its_version() {
        let changelog = include_str!("../../../server/packaging/debian/changelog");
        // cargo-deb gives the package the revision 1.
        let expected = format!("sidekey ({}-1) ", env!("CARGO_PKG_VERSION"));
        assert!(changelog.starts_with(&expected), "{changelog}");
    }
}
