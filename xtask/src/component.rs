//! The component: core for every host that runs WebAssembly components. rustc's linker makes one by itself for this target,
//! by the world of `wasm/wit/`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use wasmparser::{Parser, Payload};

use crate::Outcome;
use crate::failure::Failure;
use crate::wasm::{self, Build};
use crate::workspace::Workspace;

pub(crate) const TARGET: &str = "wasm32-wasip2";

const COMPONENT: Build = Build { package: "sidekey-component", target: TARGET, profile: "component" };

/// What a host may be asked for: random bytes, and the standard streams and their neighbours, which Rust's standard library
/// brings along for the message of a panic. Neither files nor network nor a clock.
const ALLOWED: &[&str] = &["wasi:random/random", "wasi:cli/", "wasi:io/"];

/// Where the built component lies.
pub(crate) fn path(workspace: &Workspace) -> PathBuf {
    workspace.target.join("package").join("sidekey.component.wasm")
}

/// Builds the component, puts it where [`path`] says, and prints its size and its imports.
///
/// # Errors
/// It does not compile, or asks its host for more than it may.
pub(crate) fn build(workspace: &Workspace) -> Outcome {
    let module = wasm::compile(workspace, &COMPONENT)?;
    let bytes =
        fs::read(&module).map_err(Failure::because(format!("could not read `{}`", module.display())))?;
    let imports = imports(&bytes)?;
    if let Some(import) = imports.iter().find(|import| !is_allowed(import)) {
        return Err(Failure::new(format!("the component asks its host for `{import}`"))
            .with_remedy("take out what needs it, or allow it in xtask/src/component.rs with its reason"));
    }
    let destination = path(workspace);
    write(&destination, &bytes)?;
    eprintln!("{}: {} bytes; imports:", destination.display(), bytes.len());
    for import in imports {
        eprintln!("  {import}");
    }
    Ok(())
}

fn is_allowed(import: &str) -> bool {
    ALLOWED.iter().any(|allowed| import.starts_with(allowed))
}

/// The names of what the host has to give, sorted: those of the outermost component and not of what it is put together from.
fn imports(component: &[u8]) -> Outcome<BTreeSet<String>> {
    let not_read = || Failure::because("could not read the imports of the component");
    let (mut depth, mut names) = (0_usize, BTreeSet::new());
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(not_read())? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    names.insert(import.map_err(not_read())?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(names)
}

fn write(path: &Path, bytes: &[u8]) -> Outcome {
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, bytes));
    written.map_err(Failure::because(format!("could not write `{}`", path.display())))
}
