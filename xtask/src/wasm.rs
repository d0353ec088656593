//! `cargo xtask wasm`: the browser module.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::bindings;
use crate::failure::Failure;
use crate::process;
use crate::workspace::Workspace;

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Builds the module and brings `web/generated/` up to date.
pub(crate) fn build(workspace: &Workspace) -> Outcome {
    ensure_target(workspace)?;
    let mut cargo = workspace.cargo("build");
    cargo.args(["--package", "sidekey-wasm", "--profile", "wasm", "--target", TARGET]);
    let remaps = remaps(workspace)?;
    // One flag to the unit separator, so that a path may hold blanks; in place of the caller's own flags, so
    // that the same checkout gives the same module everywhere.
    cargo
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", flags(&remaps).join(&OsString::from("\x1f")));
    process::run(&mut cargo).map_err(|failure| failure.with_remedy("the compiler's message stands above"))?;
    let module = workspace.target.join(TARGET).join("wasm").join("sidekey_wasm.wasm");
    let destination = workspace.root.join("web").join("generated");
    let changed = bindings::generate(&module, &workspace.target.join("bindings"), &destination)?;
    refuse_local_paths(&destination.join("sidekey_wasm_bg.wasm"), &remaps)?;
    eprintln!("web/generated/ is up to date, {changed} files changed");
    Ok(())
}

/// Adds the compilation target where it is missing.
pub(crate) fn ensure_target(workspace: &Workspace) -> Outcome {
    let print = ["--print", "target-libdir", "--target", TARGET];
    let library = process::read(workspace.command("rustc").args(print))?;
    if Path::new(library.trim()).is_dir() {
        return Ok(());
    }
    if process::find(&["rustup"]).is_none() {
        return Err(Failure::new(format!(
            "Rust's {TARGET} target is missing, and rustup, which would add it, is not installed; get rustup from \
             https://rustup.rs, or the target's standard library from where your Rust came from (Debian: \
             libstd-rust-dev-wasm32)"
        )));
    }
    eprintln!("adding Rust's {TARGET} target …");
    process::run(workspace.command("rustup").args(["target", "add", TARGET]))
        .map_err(|failure| failure.with_remedy("look at the network, then try again"))
}

/// Local folders and the names that the module holds in their place; the more special follow the more general,
/// since rustc takes the last that fits.
fn remaps(workspace: &Workspace) -> Outcome<Vec<(PathBuf, &'static str)>> {
    let home = env::home_dir().unwrap_or_default();
    let cargo_home = env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    let rustup_home = env::var_os("RUSTUP_HOME").map_or_else(|| home.join(".rustup"), PathBuf::from);
    let sysroot = process::read(workspace.command("rustc").args(["--print", "sysroot"]))?;
    let mut remaps =
        vec![(cargo_home.clone(), "/cargo"), (rustup_home, "/rustup"), (sysroot.trim().into(), "/rust")];
    // One folder for each registry, with the registry's host in its name.
    let mut registries: Vec<_> = fs::read_dir(cargo_home.join("registry").join("src"))
        .map(|entries| entries.flatten().map(|entry| (entry.path(), "/crates")).collect())
        .unwrap_or_default();
    registries.sort();
    remaps.append(&mut registries);
    remaps.extend([(workspace.root.clone(), "/sidekey"), (workspace.target.clone(), "/sidekey/target")]);
    Ok(remaps)
}

/// The compiler's flags.
fn flags(remaps: &[(PathBuf, &'static str)]) -> Vec<OsString> {
    // SHA-2 as loops instead of unrolled rounds: smaller by kilobytes, and the size is what a page waits for.
    let mut flags: Vec<OsString> =
        ["--cfg", r#"sha2_backend="soft""#, "--cfg", r#"sha2_backend_soft="compact""#]
            .map(OsString::from)
            .into();
    for (path, name) in remaps {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(path);
        flag.push("=");
        flag.push(name);
        flags.push(flag);
    }
    flags
}

/// A path of this machine in the module would tell every visitor about it and make no two builds alike.
fn refuse_local_paths(module: &Path, remaps: &[(PathBuf, &'static str)]) -> Outcome {
    let bytes =
        fs::read(module).map_err(Failure::because(format!("could not read `{}`", module.display())))?;
    for (path, _) in remaps {
        let folder = format!("{}/", path.display());
        // A checkout that happens to lie at `/sidekey` cannot be told from the name that stands for it.
        let is_a_name = remaps.iter().any(|(_, name)| format!("{name}/").starts_with(&folder));
        if !is_a_name && bytes.windows(folder.len()).any(|window| window == folder.as_bytes()) {
            return Err(Failure::new(format!("the browser module holds the local path `{folder}`")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_keep_a_path_with_blanks_in_one_piece() {
        let flags = flags(&[("/my files/sidekey".into(), "/sidekey")]);
        assert_eq!(flags.last().unwrap(), "--remap-path-prefix=/my files/sidekey=/sidekey");
    }

    #[test]
    fn a_local_path_in_the_module_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let module = folder.path().join("module.wasm");
        let remaps = [(PathBuf::from("/some/where"), "/sidekey")];
        fs::write(&module, b"\0asm /sidekey/core/src/lib.rs").unwrap();
        assert_eq!(refuse_local_paths(&module, &remaps), Ok(()));
        fs::write(&module, b"\0asm /some/where/core/src/lib.rs").unwrap();
        let failure = refuse_local_paths(&module, &remaps).unwrap_err();
        assert_eq!(failure.to_string(), "the browser module holds the local path `/some/where/`");
    }
}
