//! `cargo xtask bench`: builds the server and the load client of tests/bench, and measures; with `--browser`, the npm package.

use std::path::PathBuf;

use clap::Args;

use crate::Outcome;
use crate::process;
use crate::stopwatch::Stopwatch;
use crate::test::npm;
use crate::wasm;
use crate::workspace::Workspace;

#[derive(Args)]
pub(crate) struct Options {
    /// About two minutes after the build: one round, and no large store
    #[arg(long)]
    quick: bool,
    /// Accounts of the large store [default: 1000000, with --quick none; 0: none]. A million takes 2 GB of disk and some minutes
    #[arg(long, value_name = "NUMBER")]
    large: Option<u64>,
    /// Folder on the disk that is to be measured, for the store and the results [default: bench in the target folder]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// The npm package beside otpauth + qrcode, in Node.js and in Chromium, and not the server; a minute after the build
    #[arg(long, conflicts_with_all = ["quick", "large", "folder"])]
    browser: bool,
    /// Put the numbers into docs/performance.md, performance.json and performance.svg
    #[arg(long)]
    write: bool,
}

/// Builds, and lets the load client do the rest.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Outcome {
    let watch = Stopwatch::start();
    if options.browser {
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
    bench.arg("run").arg("--server").arg(&server);
    let folder = options.folder.clone().unwrap_or_else(|| workspace.target.join("bench"));
    bench.arg("--folder").arg(std::path::absolute(&folder).unwrap_or(folder));
    if options.quick {
        bench.arg("--quick");
    }
    if let Some(large) = options.large {
        bench.args(["--large", &large.to_string()]);
    }
    if options.write {
        bench.arg("--docs").arg(workspace.root.join("docs"));
    }
    process::run(&mut bench)
}
