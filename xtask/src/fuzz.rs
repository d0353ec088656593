//! `cargo xtask fuzz`: the fuzz targets of tests/fuzz under libFuzzer; and their replay, which needs neither nightly nor C++.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use crate::Outcome;
use crate::failure::Failure;
use crate::process;
use crate::stopwatch::Stopwatch;
use crate::workspace::Workspace;

/// The crate with the targets, a workspace of its own.
const FOLDER: &str = "tests/fuzz";

/// More than the largest body that the server reads; left to itself, libFuzzer stops at 4,096 bytes.
const INPUT_MAX: &str = "-max_len=20000";

/// Seconds after which an input counts as one that hangs.
const TIMEOUT: &str = "-timeout=10";

#[derive(Args)]
pub(crate) struct Options {
    /// Targets to run; all without any
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Print the targets and run none
    #[arg(long)]
    list: bool,
}

/// Runs the chosen targets one after the other, up to the first that finds something.
///
/// # Errors
/// A tool is missing, a target is unknown, or one found an input for which it does not hold.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Outcome {
    let known = targets(workspace)?;
    if options.list {
        for target in known {
            println!("{target}");
        }
        return Ok(());
    }
    let chosen = chosen(&known, &options.targets)?;
    check_tools()?;
    let host = host()?;
    build(workspace, &host, &chosen)?;
    let watch = Stopwatch::start();
    for (done, target) in chosen.iter().enumerate() {
        println!("\n[{}/{}] {target}: {} seconds …", done + 1, chosen.len(), options.seconds);
        fuzz(workspace, &host, target, options.seconds)?;
    }
    println!("\n{} targets held in {}", chosen.len(), watch.elapsed());
    Ok(())
}

/// The step `fuzz-build`: every target, compiled by the pinned toolchain, over its committed seeds.
///
/// # Errors
/// It is not formatted, has a lint, or does not hold for a seed.
pub(crate) fn replay(workspace: &Workspace) -> Outcome {
    let mut format = workspace.command("cargo");
    format.args(["fmt", "--check", "--manifest-path"]).arg(manifest(workspace));
    process::run(&mut format).map_err(|failure| {
        failure.with_remedy(format!("cargo fmt --manifest-path {FOLDER}/Cargo.toml mends it"))
    })?;
    // The workspace's own lints do not reach here.
    let mut lints = workspace.cargo("clippy");
    lints.arg("--manifest-path").arg(manifest(workspace)).args(["--", "-D", "warnings"]);
    process::run(&mut lints)?;
    process::run(workspace.cargo("run").args(["--bin", "replay", "--manifest-path"]).arg(manifest(workspace)))
}

/// The targets by the names of their files, sorted.
fn targets(workspace: &Workspace) -> Outcome<Vec<String>> {
    let names = names_in(&workspace.root.join(FOLDER).join("fuzz_targets"))?;
    Ok(names.iter().filter_map(|name| name.strip_suffix(".rs")).map(str::to_owned).collect())
}

fn chosen(known: &[String], asked: &[String]) -> Outcome<Vec<String>> {
    match asked.iter().find(|name| !known.contains(name)) {
        Some(name) => Err(Failure::new(format!("`{name}` is no fuzz target"))
            .with_remedy(format!("there are {}", known.join(", ")))),
        None if asked.is_empty() => Ok(known.to_vec()),
        None => Ok(asked.to_vec()),
    }
}

fn check_tools() -> Outcome {
    let mut missing = Vec::new();
    if !process::succeeds(Command::new("rustup").args(["run", "nightly", "rustc", "--version"])) {
        missing.push("rustup toolchain install nightly");
    }
    if process::find(&["cargo-fuzz"]).is_none() && !is_in_cargo_home("cargo-fuzz") {
        missing.push("cargo install cargo-fuzz --locked");
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::new("coverage-guided fuzzing needs a nightly toolchain, cargo-fuzz and a C++ compiler")
        .with_remedy(format!(
            "to get what is missing: {}; without them, `cargo xtask test --only fuzz-build` runs the seeds",
            missing.join(" && ")
        )))
}

/// Where cargo finds its subcommands even if the folder is not on the PATH.
fn is_in_cargo_home(program: &str) -> bool {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    home.is_some_and(|home| {
        home.join("bin").join(program).with_extension(env::consts::EXE_EXTENSION).is_file()
    })
}

/// The triple that nightly builds for.
fn host() -> Outcome<String> {
    let told = process::read(Command::new("rustup").args(["run", "nightly", "rustc", "-vV"]))?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Failure::new("`rustc -vV` does not tell its host"))
}

fn build(workspace: &Workspace, host: &str, targets: &[String]) -> Outcome {
    println!("building with nightly (the first time this takes some minutes) …");
    // One by one: all at once would build the program `replay` too, which does not link with what libFuzzer instruments.
    for target in targets {
        let mut command = workspace.command("rustup");
        command.args(["run", "nightly", "cargo", "fuzz", "build", "--fuzz-dir", FOLDER]);
        // No sanitizer: none of our code is unsafe, and without one twice as many inputs are tried. Overflows and debug
        // assertions are checked.
        command.args(["--features", "libfuzzer", "--sanitizer", "none", "--target", host, "--target-dir"]);
        process::run(command.arg(folder(workspace, "build")).arg(target))?;
    }
    Ok(())
}

/// Runs one target. New inputs go to the corpus under the target folder; the seeds are read and never written.
fn fuzz(workspace: &Workspace, host: &str, target: &str, seconds: u32) -> Outcome {
    let corpus = folder(workspace, "corpus").join(target);
    let artifacts = folder(workspace, "artifacts").join(target);
    for path in [&corpus, &artifacts] {
        fs::create_dir_all(path).map_err(Failure::because(format!("could not make `{}`", path.display())))?;
    }
    let before = names_in(&artifacts)?;
    let program = folder(workspace, "build").join(host).join("release").join(target);
    let mut command = workspace.command(program.with_extension(env::consts::EXE_EXTENSION));
    command.arg(format!("-max_total_time={seconds}")).args(["-print_final_stats=1", INPUT_MAX, TIMEOUT]);
    // It ends in a separator: libFuzzer puts it before the name as it is.
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.arg(&corpus).arg(workspace.root.join(FOLDER).join("seeds").join(target));
    process::run(&mut command).map_err(|failure| {
        let after = names_in(&artifacts).unwrap_or_default();
        match reproducer(&before, &after) {
            Some(name) => found(target, &artifacts.join(name)),
            None => failure,
        }
    })
}

/// The new file that makes the target fail; inputs that are merely slow are kept beside it.
fn reproducer<'a>(before: &BTreeSet<String>, after: &'a BTreeSet<String>) -> Option<&'a str> {
    after.iter().map(String::as_str).find(|name| !before.contains(*name) && !name.starts_with("slow-unit-"))
}

fn found(target: &str, reproducer: &Path) -> Failure {
    let reproducer = reproducer.display();
    Failure::new(format!("`{target}` does not hold for `{reproducer}`")).with_remedy(format!(
        "to repeat it on any toolchain: cargo run --manifest-path {FOLDER}/Cargo.toml -- {target} {reproducer}"
    ))
}

fn manifest(workspace: &Workspace) -> PathBuf {
    workspace.root.join(FOLDER).join("Cargo.toml")
}

/// Where builds, corpora and reproducers are kept.
fn folder(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.target.join("fuzz").join(name)
}

fn names_in(folder: &Path) -> Outcome<BTreeSet<String>> {
    let listed = fs::read_dir(folder).and_then(|entries| {
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    });
    listed.map_err(Failure::because(format!("could not read `{}`", folder.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn targets_are_chosen_by_name() {
        let known = names(&["codes", "jwt"]);
        assert_eq!(chosen(&known, &[]), Ok(known.clone()));
        assert_eq!(chosen(&known, &names(&["jwt"])), Ok(names(&["jwt"])));
        let refused = chosen(&known, &names(&["jwt", "jwp"])).unwrap_err();
        assert_eq!(refused.to_string(), "`jwp` is no fuzz target; there are codes, jwt");
    }

    #[test]
    fn the_reproducer_is_the_new_file_that_is_not_merely_slow() {
        let set = |list: &[&str]| -> BTreeSet<String> { list.iter().map(ToString::to_string).collect() };
        let before = set(&["crash-1"]);
        assert_eq!(reproducer(&before, &set(&["crash-1", "crash-2", "slow-unit-3"])), Some("crash-2"));
        assert_eq!(reproducer(&before, &set(&["crash-1", "slow-unit-3"])), None);
        assert_eq!(reproducer(&before, &set(&["crash-1", "timeout-2"])), Some("timeout-2"));
    }

    #[test]
    fn a_finding_tells_how_to_repeat_it() {
        let told = found("jwt", Path::new("/nowhere/crash-1")).to_string();
        assert_eq!(
            told,
            "`jwt` does not hold for `/nowhere/crash-1`; to repeat it on any toolchain: cargo run --manifest-path \
             tests/fuzz/Cargo.toml -- jwt /nowhere/crash-1"
        );
    }

    #[test]
    fn every_target_has_seeds() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf();
        let workspace = Workspace { target: root.join("target"), root };
        let targets = targets(&workspace).unwrap();
        assert!(targets.iter().any(|target| target == "stored_record"), "{targets:?}");
        for target in targets {
            assert!(!names_in(&workspace.root.join(FOLDER).join("seeds").join(&target)).unwrap().is_empty());
        }
    }
}
