//! What a run leaves: a table for people, JSON for programs, a chart, and the same table and chart in the documentation.
//!
//! - `table`: Markdown
//! - `chart`: SVG

pub mod chart;
pub mod table;

use std::fs;
use std::path::Path;

use crate::failure::{Failure, Outcome};
use crate::results::Results;

/// Around what is replaced in the documentation.
const MARKS: (&str, &str) =
    ("<!-- measured: written by `cargo xtask bench --write` -->\n", "<!-- end of measured -->\n");
/// What stands above the tables there.
const LINKS: &str = "![Answers a second](performance.svg)\n\nThe same numbers for programs are in [performance.json](performance.json).\n";

/// Writes `bench.json`, `bench.md` and `bench.svg` into a folder, and the table to standard output.
///
/// # Errors
/// They cannot be written.
pub fn leave(results: &Results, folder: &Path) -> Outcome {
    let table = table::markdown(results);
    let json = serde_json::to_string_pretty(results).map_err(Failure::because("the results are no JSON"))?;
    write(&folder.join("bench.json"), &(json + "\n"))?;
    write(&folder.join("bench.md"), &table)?;
    write(&folder.join("bench.svg"), &chart::svg(results))?;
    println!("{table}");
    Ok(())
}

/// Puts table, numbers and chart into the documentation.
///
/// # Errors
/// The page has no place for them, or cannot be written.
pub fn document(results: &Results, docs: &Path) -> Outcome {
    let numbers = format!("{LINKS}\n{}", table::markdown(results));
    let json = serde_json::to_string_pretty(results).map_err(Failure::because("the results are no JSON"))?;
    replace(&docs.join("performance.md"), MARKS, &numbers)?;
    write(&docs.join("performance.json"), &(json + "\n"))?;
    write(&docs.join("performance.svg"), &chart::svg(results))
}

/// Replaces what stands between two lines of a page.
///
/// # Errors
/// The page has not these lines, or cannot be written.
pub fn replace(page: &Path, marks: (&str, &str), with: &str) -> Outcome {
    let text =
        fs::read_to_string(page).map_err(Failure::because(format!("cannot read `{}`", page.display())))?;
    let text = replaced(&text, marks, with)
        .ok_or_else(|| Failure::new(format!("`{}` has no place for the numbers", page.display())))?;
    write(page, &text)
}

fn replaced(text: &str, (begin, end): (&str, &str), with: &str) -> Option<String> {
    let (before, rest) = text.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}\n{with}\n{end}{after}"))
}

fn write(path: &Path, text: &str) -> Outcome {
    fs::write(path, text).map_err(Failure::because(format!("cannot write `{}`", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_the_marks_is_replaced_and_can_be_again() {
        let marks = ("<begin>\n", "<end>\n");
        let once = replaced("# Title\n<begin>\nold\n<end>\nmore\n", marks, "new\n").unwrap();
        assert_eq!(once, "# Title\n<begin>\n\nnew\n\n<end>\nmore\n");
        assert_eq!(replaced(&once, marks, "new\n").unwrap(), once);
        assert!(replaced("# Title\n", marks, "new").is_none());
    }
}
