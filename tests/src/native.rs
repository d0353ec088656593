//! Programs and libraries in C that stand between a server and its disk.

use std::path::Path;
use std::process::Command;

/// Compiles sources of a folder below `tests/` with the system's C compiler.
pub fn compile(folder: &str, sources: &[&str], output: &Path, flags: &[&str]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    // Another run may be using the old one: the new one takes its name, not its place.
    let fresh = output.with_extension(std::process::id().to_string());
    let done = Command::new("cc")
        .args(["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&fresh)
        .args(sources.iter().map(|source| folder.join(source)))
        .args(flags)
        .output()
        .expect("there is a C compiler named `cc`");
    assert!(done.status.success(), "cc failed: {}", String::from_utf8_lossy(&done.stderr));
    std::fs::rename(&fresh, output).expect("the output can be renamed");
}
