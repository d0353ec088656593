//! `cargo xtask test`: every check and every test, as named steps.
//!
//! - [`setup`]: what the steps need on this machine
//! - [`dependencies`]: cargo-deny over the tree of crates
//! - [`deb`]: the Debian package, installed and used
//! - [`javascript`]: Node's test runner and the type check
//! - [`npm`]: the packed npm package, with the toolchains of its users
//! - [`examples`]: the example applications
//! - [`openapi`]: the server against its `OpenAPI` document
//! - [`hygiene`]: what must never stand in a tracked file

mod deb;
mod dependencies;
mod examples;
mod hygiene;
mod javascript;
pub(crate) mod npm;
mod openapi;
mod setup;

use std::process::{Command, ExitCode};

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::Outcome;
use crate::component;
use crate::failure::Failure;
use crate::fuzz;
use crate::package;
use crate::process;
use crate::stopwatch::Stopwatch;
use crate::wasm;
use crate::workspace::Workspace;

#[derive(Args)]
pub(crate) struct Options {
    /// Run only this step; may be given more than once
    #[arg(long, value_name = "STEP", value_parser = PossibleValuesParser::new(STEPS.iter().map(|step| step.name)))]
    only: Vec<String>,
    /// Print the steps and run none
    #[arg(long)]
    list: bool,
}

struct Step {
    name: &'static str,
    about: &'static str,
    run: fn(&Workspace) -> Outcome,
}

/// In the order in which they run: what fails often and fast comes first, what others need comes before them.
const STEPS: &[Step] = &[
    Step { name: "setup", about: "programs, npm and PyPI packages that the tests need", run: setup::run },
    Step { name: "format", about: "rustfmt", run: format },
    Step { name: "hygiene", about: "no address or path of a machine in a tracked file", run: hygiene::run },
    Step { name: "clippy", about: "lints, natively, for the browser and for the component", run: clippy },
    Step {
        name: "deny",
        about: "licences, bans, sources and advisories of the dependencies",
        run: dependencies::run,
    },
    Step {
        name: "package",
        about: "the browser module, the npm package within its budget, and the component",
        run: package::build,
    },
    Step { name: "types", about: "the TypeScript compiler over the JavaScript", run: javascript::types },
    Step { name: "unit", about: "tests beside the code, with the examples of its documentation", run: unit },
    Step { name: "fuzz-build", about: "every fuzz target over its committed seeds", run: fuzz::replay },
    Step { name: "wasm-node", about: "the packed npm package in Node.js", run: javascript::wasm },
    Step { name: "component", about: "the component, in Node.js by jco", run: javascript::component },
    Step {
        name: "npm",
        about: "the packed npm package in Node.js, bundlers, frameworks and Chromium",
        run: npm::run,
    },
    Step { name: "server", about: "release build of the server", run: server },
    Step {
        name: "deb",
        about: "the Debian package: installed, started, used, upgraded, purged",
        run: deb::run,
    },
    Step { name: "http", about: "the release binary over HTTP, with crashes and power cuts", run: http },
    Step {
        name: "cluster",
        about: "what it promises over HTTP once more, over PostgreSQL, which then fails",
        run: cluster,
    },
    Step { name: "openapi", about: "the server does what its OpenAPI document says", run: openapi::run },
    Step {
        name: "examples",
        about: "Django, Express and warp: password, code, guarded page",
        run: examples::run,
    },
    Step { name: "browser", about: "the whole journey in headless Chromium", run: javascript::browser },
];

/// Runs the chosen steps up to the first that fails. The last line tells how many passed and failed.
pub(crate) fn run(options: &Options) -> ExitCode {
    if options.list {
        for step in STEPS {
            println!("{:<10} {}", step.name, step.about);
        }
        return ExitCode::SUCCESS;
    }
    let chosen: Vec<&Step> = STEPS
        .iter()
        .filter(|step| options.only.is_empty() || options.only.iter().any(|name| name == step.name))
        .collect();
    let watch = Stopwatch::start();
    let (passed, failure) = match Workspace::find() {
        Ok(workspace) => run_all(&chosen, &workspace),
        Err(failure) => (0, Some(Failure::new(format!("error: {failure}")))),
    };
    println!("\n{passed} of {} steps passed in {}", chosen.len(), watch.elapsed());
    if let Some(failure) = &failure {
        println!("{failure}");
    }
    println!("{passed} passed, {} failed", usize::from(failure.is_some()));
    if failure.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// How many passed, and the failure that ended the run.
fn run_all(steps: &[&Step], workspace: &Workspace) -> (usize, Option<Failure>) {
    for (done, step) in steps.iter().enumerate() {
        let watch = Stopwatch::start();
        let place = format!("[{}/{}] {}", done + 1, steps.len(), step.name);
        println!("\n{place}: {} …", step.about);
        match (step.run)(workspace) {
            Ok(()) => println!("{place}: passed in {}", watch.elapsed()),
            Err(failure) => {
                println!("{place}: FAILED after {}", watch.elapsed());
                let again = format!("to repeat it: cargo xtask test --only {}", step.name);
                return (done, Some(Failure::new(format!("error in {}: {failure}\n{again}", step.name))));
            }
        }
    }
    (steps.len(), None)
}

fn format(workspace: &Workspace) -> Outcome {
    let mut command = workspace.command("cargo");
    process::run(command.args(["fmt", "--all", "--check"]))
        .map_err(|failure| failure.with_remedy("cargo fmt mends it"))
}

fn clippy(workspace: &Workspace) -> Outcome {
    process::run(workspace.cargo("clippy").args(["--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    // What opens its modules to fuzz targets opens them to measurements too.
    let measured =
        ["--package", "sidekey-server", "--features", "fuzzing", "--bench", "hot", "--", "-D", "warnings"];
    process::run(workspace.cargo("clippy").args(measured))?;
    // The way the browser gets it: for its target, core without its default features.
    let browser = ["--package", "sidekey-wasm", "--package", "sidekey-unpack", "--target", wasm::TARGET];
    process::run(workspace.cargo("clippy").args(browser).args(["--", "-D", "warnings"]))?;
    let component = ["--package", "sidekey-component", "--target", component::TARGET, "--", "-D", "warnings"];
    process::run(workspace.cargo("clippy").args(component))
}

fn server(workspace: &Workspace) -> Outcome {
    process::run(workspace.cargo("build").args(["--release", "--package", "sidekey-server"]))
}

fn unit(workspace: &Workspace) -> Outcome {
    // Named by what is left out, so that no crate is forgotten: what drives the built server, and this task runner.
    let packages =
        ["--workspace", "--exclude", "sidekey-tests", "--exclude", "sidekey-bench", "--exclude", "xtask"];
    process::run(workspace.cargo("test").args(packages))?;
    // Under the profile that it already runs in: its dependencies are built.
    process::run(workspace.cargo("test").args(["--profile", "xtask", "--package", "xtask"]))
}

fn http(workspace: &Workspace) -> Outcome {
    // Nothing happens here after the step `server`; alone, this step would test whatever was built last.
    server(workspace)?;
    let mut command = workspace.cargo("test");
    // Of the load client a smoke test, which looks at no number.
    command.args(["--package", "sidekey-tests", "--package", "sidekey-bench"]);
    // What happens where a database fails has its place in the step `cluster`.
    command.args(["--", "--skip", "outage::"]);
    process::run(with_programs(&mut command, workspace)?)
}

/// The suites whose subject is not the data folder, its commands or the server's own settings.
const OVER_A_DATABASE: &[&str] = &[
    "actions",
    "activity",
    "backup_codes",
    "callers",
    "devices",
    "disable",
    "enrolment",
    "idempotency",
    "linearizability",
    "replay",
    "sessions",
    "throttle",
    "tokens",
    "trusted_browsers",
    "verification",
];

fn cluster(workspace: &Workspace) -> Outcome {
    server(workspace)?;
    let mut command = workspace.cargo("test");
    command.args(["--package", "sidekey-tests"]).env("SIDEKEY_TEST_ENGINE", "postgres");
    command.args(OVER_A_DATABASE.iter().flat_map(|suite| ["--test", suite]));
    // Ten thousand sessions of one server; `tests/cluster.rs` has as many on three, in the step `http`.
    command.args(["--", "--skip", "of_fifty_users"]);
    process::run(with_programs(&mut command, workspace)?)?;
    // Databases of their own, which fail, or which a store moves to and from.
    let mut command = workspace.cargo("test");
    command.args(["--package", "sidekey-tests", "--test", "failover", "--test", "store_copy"]);
    process::run(with_programs(&mut command, workspace)?)
}

/// Tells black-box tests which programs to use, through the environment.
fn with_programs<'a>(command: &'a mut Command, workspace: &Workspace) -> Outcome<&'a mut Command> {
    let server = workspace.server_binary();
    if !server.exists() {
        return Err(Failure::new(format!("`{}` does not exist", server.display()))
            .with_remedy("build it: cargo xtask test --only package --only server"));
    }
    setup::name_chromium(command);
    Ok(command.env("SIDEKEY_BIN", server).env("SIDEKEY_PYTHON", setup::python(workspace)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> Workspace {
        Workspace { root: "/nowhere".into(), target: "/nowhere/target".into() }
    }

    #[test]
    fn the_first_failure_ends_the_run_and_names_its_step() {
        let good = Step { name: "good", about: "", run: |_| Ok(()) };
        let bad = Step { name: "bad", about: "", run: |_| Err(Failure::new("no luck")) };
        let (passed, failure) = run_all(&[&good, &bad, &good], &workspace());
        assert_eq!(passed, 1);
        assert_eq!(
            failure.unwrap().to_string(),
            "error in bad: no luck\nto repeat it: cargo xtask test --only bad"
        );
        assert_eq!(run_all(&[&good, &good], &workspace()), (2, None));
    }

    #[test]
    fn without_the_server_its_tests_say_how_to_build_it() {
        let failure = with_programs(&mut Command::new("true"), &workspace()).unwrap_err();
        assert!(failure.to_string().ends_with("cargo xtask test --only package --only server"), "{failure}");
    }
}
