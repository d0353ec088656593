//! What commands write to standard output.

use std::io::{self, Write as _};

use super::Failure;

/// Prints a text and a line end.
///
/// # Errors
/// Nobody takes it.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    io::stdout().write_all(format!("{text}\n").as_bytes()).map_err(Failure::runtime)
}

/// So many of a thing.
pub(super) fn counted(number: u64, thing: &str) -> String {
    counted_as(number, thing, &format!("{thing}s"))
}

/// So many of a thing whose plural is another word.
pub(super) fn counted_as(number: u64, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}
