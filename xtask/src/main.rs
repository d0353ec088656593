//! The task runner: `cargo xtask wasm`, `cargo xtask package`, `cargo xtask deb`, `cargo xtask serve`, `cargo xtask openapi`,
//! `cargo xtask test`, `cargo xtask fuzz`, `cargo xtask bench`.
//!
//! - [`wasm`]: the browser module, in the package and in the pages: [`bindings`] makes its glue, [`optimise`] makes it smaller,
//!   [`inline`] makes a script of it, [`mirror`] writes what has changed
//! - [`component`]: the WebAssembly component
//! - [`package`]: the npm package as a tarball, and the component beside it
//! - [`deb`]: the Debian package
//! - [`serve`]: everything that a first start needs, then the server itself
//! - [`openapi`]: the `OpenAPI` document, from the code
//! - [`test`]: the named steps of the test run, in order
//! - [`fuzz`]: the fuzz targets, under libFuzzer or over their seeds
//! - [`bench`]: what the server does in a second, beside what the machine would allow
//! - [`workspace`]: where the checkout and its target folder are, and how cargo is called there
//! - [`tool`]: programs from crates.io
//! - [`process`]: other programs: find, run, read
//! - [`failure`]: a sentence that tells what went wrong and the remedy
//! - [`stopwatch`]: the only reader of the clock

mod bench;
mod bindings;
mod component;
mod deb;
mod failure;
mod fuzz;
mod inline;
mod mirror;
mod openapi;
mod optimise;
mod package;
mod process;
mod serve;
mod stopwatch;
mod test;
mod tool;
mod wasm;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Failure;
use crate::workspace::Workspace;

/// Tasks of the Sidekey repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the browser module, for the package and for the pages
    Wasm,
    /// Build the npm package and the WebAssembly component into target/package/
    Package,
    /// Build the server and its Debian package into target/package/
    Deb,
    /// Build everything and start the server in development mode on 127.0.0.1:8080, with its data in ./data
    Serve {
        /// Arguments for `sidekey serve`, after `--`; they win over the defaults
        #[arg(last = true, value_name = "ARGUMENTS")]
        arguments: Vec<String>,
    },
    /// Write docs/openapi.json from the descriptions in the code of the server
    Openapi,
    /// Run every check and every test
    Test(test::Options),
    /// Fuzz what comes from outside and from the disk; needs a nightly toolchain and cargo-fuzz
    Fuzz(fuzz::Options),
    /// Build the server and measure it; some fifteen minutes after the build
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Wasm => Workspace::find().and_then(|workspace| wasm::build(&workspace)),
        Task::Package => Workspace::find().and_then(|workspace| package::build(&workspace)),
        Task::Deb => Workspace::find().and_then(|workspace| deb::build(&workspace)),
        Task::Serve { arguments } => {
            Workspace::find().and_then(|workspace| serve::run(&workspace, &arguments))
        }
        Task::Openapi => Workspace::find().and_then(|workspace| openapi::write(&workspace)),
        Task::Fuzz(options) => Workspace::find().and_then(|workspace| fuzz::run(&workspace, &options)),
        Task::Bench(options) => Workspace::find().and_then(|workspace| bench::run(&workspace, &options)),
        Task::Test(options) => return test::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// What a task gives: nothing, or the sentence to print.
type Outcome<T = ()> = Result<T, Failure>;
