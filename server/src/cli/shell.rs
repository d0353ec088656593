//! `completions` and `man`: what shells and `man` know of the commands, made from the same texts as `--help`.

use std::io::{self, Write as _};
use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Failure, Sidekey};

/// Prints the script that a shell reads.
///
/// # Errors
/// Nobody reads it.
pub(super) fn completions(shell: Shell) -> Result<(), Failure> {
    // Into memory first: the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Sidekey::command(), "sidekey", &mut script);
    io::stdout().write_all(&script).map_err(Failure::runtime)
}

/// Writes a page for `sidekey` and one for each command, `sidekey-backup.1` and so on.
///
/// # Errors
/// The folder cannot be made, or a page cannot be written.
pub(super) fn man_pages(out: &Path) -> Result<(), Failure> {
    let write = || {
        std::fs::create_dir_all(out)?;
        clap_mangen::generate_to(Sidekey::command(), out)
    };
    write().map_err(|error| Failure::Runtime(format!("cannot write into `{}`: {error}", out.display())))
}
