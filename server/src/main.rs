//! The binary `sidekey`; everything is in the library, see its map of modules.

use std::process::ExitCode;

fn main() -> ExitCode {
    sidekey_server::cli::main()
}
