//! `cargo xtask bench`: builds the server and the load client of tests/bench, and measures; or the npm package.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::Outcome;
use crate::failure::Failure;
use crate::process;
use crate::stopwatch::Stopwatch;
use crate::test::npm;
use crate::wasm;
use crate::workspace::Workspace;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// The server on a folder, beside warp and the disk
    Server,
    /// Logins over a database, beside pgbench; some four minutes after the build
    Postgres,
    /// The npm package beside otpauth + qrcode, in Node.js and in Chromium; a minute after the build
    Browser,
}

#[derive(Args)]
pub(crate) struct Options {
    /// What is measured
    #[arg(value_enum, default_value = "server")]
    what: What,
    /// About two minutes after the build: one round, and no large store
    #[arg(long)]
    quick: bool,
    /// Accounts of the large store [default: 1000000, with --quick none; 0: none]. A million takes 2 GB of disk and some minutes
    #[arg(long, value_name = "NUMBER")]
    large: Option<u64>,
    /// Folder on the disk that is to be measured, for the store and the results [default: bench in the target folder]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Put the numbers into docs/performance.md, performance.json and performance.svg
    #[arg(long)]
    write: bool,
}

/// Builds, and lets the load client do the rest.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Outcome {
    if options.what != What::Server && (options.quick || options.large.is_some() || options.folder.is_some())
    {
        return Err(Failure::new("`--quick`, `--large` and `--folder` are for the server on a folder only"));
    }
    let watch = Stopwatch::start();
    if options.what == What::Browser {
        return npm::bench(workspace, options.write.then(|| workspace.root.join("docs")).as_deref());
    }
    eprintln!("[1/3] building the browser module …");
    wasm::build(workspace)?;
    eprintln!("[2/3] building the server and the load client … ({} so far)", watch.elapsed());
    let packages = ["--release", "--package", "sidekey-server", "--package", "sidekey-bench"];
    process::run(workspace.cargo("build").args(packages))?;
    eprintln!("[3/3] measuring … (built in {})", watch.elapsed());
    let server = workspace.server_binary();
    let mut bench = workspace.command(server.with_file_name("sidekey-bench"));
    let over_database = options.what == What::Postgres;
    bench.arg(if over_database { "database" } else { "run" }).arg("--server").arg(&server);
    if !over_database {
        let folder = options.folder.clone().unwrap_or_else(|| workspace.target.join("bench"));
        bench.arg("--folder").arg(std::path::absolute(&folder).unwrap_or(folder));
        if options.quick {
            bench.arg("--quick");
        }
        if let Some(large) = options.large {
            bench.args(["--large", &large.to_string()]);
        }
    }
    if options.write {
        bench.arg("--docs").arg(workspace.root.join("docs"));
    }
    process::run(&mut bench)
}
