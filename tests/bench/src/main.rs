//! `cargo xtask bench` builds this and runs it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::{Args, Parser, Subcommand};
use sidekey_bench::failure::{Failure, Outcome};
use sidekey_bench::machine::Machine;
use sidekey_bench::plan::{FULL, Plan, QUICK, SMOKE};
use sidekey_bench::results::Results;
use sidekey_bench::servers::Site;
use sidekey_bench::{ceiling, database, report, rounds, targets};

/// Measures a Sidekey server.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Measure
    Run(Options),
    /// Measure over a database of its own, beside pgbench
    Database(DatabaseOptions),
    /// Be the server of the ceiling
    Ceiling,
}

#[derive(Args)]
struct DatabaseOptions {
    /// The server's binary
    #[arg(long, value_name = "FILE")]
    server: PathBuf,
    /// Folder of the documentation whose numbers are replaced
    #[arg(long, value_name = "FOLDER")]
    docs: Option<PathBuf>,
}

#[derive(Args)]
struct Options {
    /// The server's binary
    #[arg(long, value_name = "FILE")]
    server: PathBuf,
    /// Folder of the store and the results; what it holds of an earlier run is removed
    #[arg(long, value_name = "FOLDER")]
    folder: PathBuf,
    /// About two minutes, without a large store
    #[arg(long)]
    quick: bool,
    /// Some seconds, whose numbers say nothing
    #[arg(long, conflicts_with = "quick")]
    smoke: bool,
    /// Accounts of the large store; 0: none
    #[arg(long, value_name = "NUMBER")]
    large: Option<u64>,
    /// Folder of the documentation whose numbers are replaced
    #[arg(long, value_name = "FOLDER")]
    docs: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().what {
        What::Run(options) => run(&options).await,
        What::Database(options) => database::run(&options.server, options.docs.as_deref()).await,
        What::Ceiling => ceiling::serve().await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Outcome {
    let plan = plan(options)?;
    let store = options.folder.join("store");
    if store.exists() {
        fs::remove_dir_all(&store)
            .map_err(Failure::because(format!("cannot remove `{}`", store.display())))?;
    }
    fs::create_dir_all(&store).map_err(Failure::because(format!("cannot make `{}`", store.display())))?;
    let machine = Machine::here(&store);
    if !machine.was_quiet() {
        eprintln!(
            "note: the machine is not quiet ({:.1} processors are at work): only ratios will count",
            machine.busy_before
        );
    }
    let site = Site::make(&options.server, &store, plan.development)?;
    let told = rounds::run(plan, &site).await?;
    let mut results = Results {
        plan: plan.name,
        rounds: plan.rounds,
        commit: commit(),
        machine,
        measured: told.measured,
        stores: told.stores,
        targets: Vec::new(),
    };
    results.targets = targets::judge(&results);
    fs::remove_dir_all(&store).map_err(Failure::because(format!("cannot remove `{}`", store.display())))?;
    report::leave(&results, &options.folder)?;
    match &options.docs {
        Some(docs) => report::document(&results, docs),
        None => Ok(()),
    }
}

fn plan(options: &Options) -> Outcome<Plan> {
    let plan = match (options.quick, options.smoke) {
        (true, _) => QUICK,
        (_, true) => SMOKE,
        _ => FULL,
    };
    let large = match options.large {
        Some(0) => None,
        Some(large) if large <= plan.users => {
            return Err(Failure::new(format!(
                "the usual store has {} accounts: `--large` must be more",
                plan.users
            )));
        }
        given => given.or(plan.large),
    };
    Ok(Plan { large, ..plan })
}

/// The commit that stands in the working folder.
fn commit() -> String {
    let output = Command::new("git").args(["describe", "--always", "--dirty"]).output();
    let told = output.ok().filter(|output| output.status.success());
    told.map_or_else(
        || "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
