//! `cargo xtask wasm`: the browser module, in the package and in the pages; and how anything is compiled to WebAssembly here.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::bindings;
use crate::failure::Failure;
use crate::inline;
use crate::mirror::{self, Files};
use crate::optimise;
use crate::process;
use crate::workspace::Workspace;

/// The browser's target.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// A package of the workspace as WebAssembly.
pub(crate) struct Build {
    pub(crate) package: &'static str,
    pub(crate) target: &'static str,
    pub(crate) profile: &'static str,
}

const BROWSER: Build = Build { package: "sidekey-wasm", target: TARGET, profile: "wasm" };
const UNPACKER: Build = Build { package: "sidekey-unpack", target: TARGET, profile: "wasm" };

/// Builds the module and brings `wasm/npm/generated/` and `web/generated/` up to date. Where wasm-opt is not there, the module
/// is a little larger and does the same.
pub(crate) fn build(workspace: &Workspace) -> Outcome {
    let program = optimise::program(workspace);
    if let Err(failure) = &program {
        eprintln!("the browser module is not optimised: {failure}");
    }
    build_with(workspace, program.ok().as_deref())
}

/// The same, with this wasm-opt or none.
pub(crate) fn build_with(workspace: &Workspace, optimiser: Option<&Path>) -> Outcome {
    let bindings = bindings::generate(&compile(workspace, &BROWSER)?, &workspace.target.join("bindings"))?;
    let smallest = |module: PathBuf| {
        let Some(program) = optimiser else { return read(&module) };
        let smaller = module.with_extension("opt.wasm");
        optimise::optimise(workspace, program, &module, &smaller)?;
        read(&smaller)
    };
    let core = smallest(bindings.module)?;
    let unpacker = smallest(compile(workspace, &UNPACKER)?)?;
    let script =
        inline::script(&core, &unpacker).map_err(Failure::because("could not pack the browser module"))?;
    let generated = Files::from([
        ("bytes.js".into(), script.into_bytes()),
        ("core.wasm".into(), core),
        ("glue.d.ts".into(), read(&bindings.types)?),
        ("glue.js".into(), read(&bindings.glue)?),
    ]);
    let package = workspace.root.join("wasm").join("npm");
    let changed = synchronise(&generated, &package.join("generated"))?
        + synchronise(&pages(&package)?, &workspace.root.join("web").join("generated"))?;
    eprintln!("wasm/npm/generated/ and web/generated/ are up to date, {changed} files changed");
    Ok(())
}

/// What pages load of the package: its scripts, with their types for whoever checks the pages.
fn pages(package: &Path) -> Outcome<Files> {
    let files = mirror::files(package)
        .map_err(Failure::because(format!("could not read `{}`", package.display())))?;
    let is_script = |name: &Path| {
        !name.starts_with("testing")
            && [".js", ".d.ts"].iter().any(|end| name.to_string_lossy().ends_with(end))
    };
    Ok(files
        .into_iter()
        .filter(|(name, _)| is_script(name))
        .map(|(name, content)| (Path::new("sidekey").join(name), content))
        .collect())
}

fn synchronise(files: &Files, folder: &Path) -> Outcome<usize> {
    mirror::synchronise(files, folder)
        .map_err(Failure::because(format!("could not write `{}`", folder.display())))
}

fn read(path: &Path) -> Outcome<Vec<u8>> {
    fs::read(path).map_err(Failure::because(format!("could not read `{}`", path.display())))
}

/// Compiles a package and gives the file as the compiler leaves it, which holds no path of this machine.
pub(crate) fn compile(workspace: &Workspace, build: &Build) -> Outcome<PathBuf> {
    ensure_target(workspace, build.target)?;
    let mut cargo = workspace.cargo("build");
    cargo.args(["--package", build.package, "--profile", build.profile, "--target", build.target]);
    let remaps = remaps(workspace)?;
    // One flag to the unit separator, so that a path may hold blanks; in place of the caller's own flags, so
    // that the same checkout gives the same module everywhere.
    cargo
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", flags(&remaps).join(&OsString::from("\x1f")));
    process::run(&mut cargo).map_err(|failure| failure.with_remedy("the compiler's message stands above"))?;
    let folder = workspace.target.join(build.target).join(build.profile);
    let module = folder.join(build.package.replace('-', "_")).with_extension("wasm");
    refuse_local_paths(&module, &remaps)?;
    Ok(module)
}

/// Adds a compilation target where it is missing.
pub(crate) fn ensure_target(workspace: &Workspace, target: &str) -> Outcome {
    let print = ["--print", "target-libdir", "--target", target];
    let library = process::read(workspace.command("rustc").args(print))?;
    if Path::new(library.trim()).is_dir() {
        return Ok(());
    }
    if process::find(&["rustup"]).is_none() {
        return Err(Failure::new(format!(
            "Rust's {target} target is missing, and rustup, which would add it, is not installed; get rustup from \
             https://rustup.rs, or the target's standard library from where your Rust came from (Debian: \
             libstd-rust-dev-wasm32)"
        )));
    }
    eprintln!("adding Rust's {target} target …");
    process::run(workspace.command("rustup").args(["target", "add", target]))
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
/// Optimised for speed, of which inlining little takes next to nothing, and a tenth of the size.
const INLINE: &str = "-Cllvm-args=-inline-threshold=50";

fn flags(remaps: &[(PathBuf, &'static str)]) -> Vec<OsString> {
    // SHA-2 as loops instead of unrolled rounds: smaller by kilobytes, and the size is what a page waits for.
    let mut flags: Vec<OsString> =
        ["--cfg", r#"sha2_backend="soft""#, "--cfg", r#"sha2_backend_soft="compact""#, INLINE]
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

/// A path of this machine in a module would tell everybody about it and make no two builds alike.
fn refuse_local_paths(module: &Path, remaps: &[(PathBuf, &'static str)]) -> Outcome {
    let bytes = read(module)?;
    for (path, _) in remaps {
        let folder = format!("{}/", path.display());
        // A checkout that happens to lie at `/sidekey` cannot be told from the name that stands for it.
        let is_a_name = remaps.iter().any(|(_, name)| format!("{name}/").starts_with(&folder));
        if !is_a_name && bytes.windows(folder.len()).any(|window| window == folder.as_bytes()) {
            return Err(Failure::new(format!("`{}` holds the local path `{folder}`", module.display())));
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
        assert!(
            failure.to_string().ends_with("module.wasm` holds the local path `/some/where/`"),
            "{failure}"
        );
    }
}
