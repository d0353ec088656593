//! The glue between JavaScript and the module.

use std::fs;
use std::path::{Path, PathBuf};

use wasm_bindgen_cli_support::Bindgen;

use crate::Outcome;
use crate::failure::Failure;

/// The files of a module's bindings.
pub(crate) struct Bindings {
    /// The module as the glue wants it.
    pub(crate) module: PathBuf,
    /// The glue, an ES module.
    pub(crate) glue: PathBuf,
    /// Its types.
    pub(crate) types: PathBuf,
}

/// Makes the bindings of a compiled module in `folder`, which may be emptied.
pub(crate) fn generate(module: &Path, folder: &Path) -> Outcome<Bindings> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .map_err(Failure::because(format!("could not empty `{}`", folder.display())))?;
    }
    bindgen(module, folder).map_err(|cause| {
        Failure::new(format!("could not make the bindings of the browser module: {cause:#}"))
    })?;
    let glue = folder.join("glue.js");
    know_modules_by_their_tag(&glue)?;
    Ok(Bindings { module: folder.join("glue_bg.wasm"), glue, types: folder.join("glue.d.ts") })
}

/// What the glue asks of a module, and what it asks here: one of another realm, as the edge runtime of Next.js gives, is none
/// for `instanceof`.
const KNOWN_BY_CLASS: &str = "module instanceof WebAssembly.Module";
const KNOWN_BY_TAG: &str = "Object.prototype.toString.call(module) === '[object WebAssembly.Module]'";

fn know_modules_by_their_tag(glue: &Path) -> Outcome {
    let text =
        fs::read_to_string(glue).map_err(Failure::because(format!("could not read `{}`", glue.display())))?;
    if !text.contains(KNOWN_BY_CLASS) {
        return Err(Failure::new(format!("wasm-bindgen's glue no longer asks for `{KNOWN_BY_CLASS}`")));
    }
    fs::write(glue, text.replace(KNOWN_BY_CLASS, KNOWN_BY_TAG))
        .map_err(Failure::because(format!("could not write `{}`", glue.display())))
}

/// wasm-bindgen's own program does no more than this.
fn bindgen(module: &Path, folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let mut bindgen = Bindgen::new();
    bindgen.input_path(module).out_name("glue").web(true)?.typescript(true);
    // Half of all bundlers trip over `import.meta.url`; the package passes the module itself.
    bindgen.omit_default_module_path(true);
    // Names and tool versions are a third of the file and nothing that a browser needs.
    bindgen.remove_name_section(true).remove_producers_section(true);
    bindgen.generate(folder)?;
    Ok(())
}
