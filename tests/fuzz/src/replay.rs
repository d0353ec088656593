//! Runs targets without a fuzzer: over the committed seeds and small mutations of each, or over given files.
//!
//! ```text
//! replay                 every target over its seeds
//! replay TARGET          one target over its seeds
//! replay TARGET FILE…    one target over these files, such as a reproducer
//! ```

use std::{
    collections::BTreeSet,
    env, fs,
    panic::{UnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::ExitCode,
};

use sidekey_fuzz::{TARGETS, Target};

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let name = arguments.next();
    let files: Vec<PathBuf> = arguments.map(PathBuf::from).collect();
    let outcome = match name {
        None => all_are_there().and_then(|()| TARGETS.iter().try_for_each(seeds)),
        Some(name) => match TARGETS.iter().find(|target| target.0 == name) {
            None => Err(format!("`{name}` is no target")),
            Some(target) if files.is_empty() => seeds(target),
            Some(target) => files.iter().try_for_each(|file| {
                holds(target, &file.display().to_string(), &read(file)?)
                    .map(|()| println!("{}: holds", file.display()))
            }),
        },
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("error: {sentence}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the list of targets, `fuzz_targets/` and `seeds/` name the same.
fn all_are_there() -> Result<(), String> {
    let listed: BTreeSet<String> = TARGETS.iter().map(|target| target.0.to_owned()).collect();
    for folder in ["fuzz_targets", "seeds"] {
        let found: BTreeSet<String> = entries(&root().join(folder))?
            .iter()
            .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
            .collect();
        if found != listed {
            return Err(format!("tests/fuzz/{folder} has {found:?}, the list of targets {listed:?}"));
        }
    }
    Ok(())
}

/// Each seed as it is, cut short at every length, and with each of its bytes changed in two ways.
fn seeds(target: &Target) -> Result<(), String> {
    let files = entries(&root().join("seeds").join(target.0))?;
    if files.is_empty() {
        return Err(format!("`{}` has no seeds", target.0));
    }
    let mut inputs = 0;
    for file in &files {
        let seed = read(file)?;
        let name = file.display();
        holds(target, &name.to_string(), &seed)?;
        for at in 0..seed.len() {
            holds(target, &format!("{name}, its first {at} bytes"), &seed[..at])?;
            for bits in [0x01, 0x80] {
                let mut changed = seed.clone();
                changed[at] ^= bits;
                holds(target, &format!("{name}, byte {at} changed by {bits:#04x}"), &changed)?;
            }
        }
        inputs += 1 + 3 * seed.len();
    }
    println!("{}: {} seeds, {inputs} inputs, all hold", target.0, files.len());
    Ok(())
}

/// Runs the target; the panic that tells what does not hold has been printed then.
fn holds(target: &Target, name: &str, input: &[u8]) -> Result<(), String> {
    let run: fn(&[u8]) = target.1;
    let attempt = move || run(input);
    unwinds(attempt).map_err(|()| format!("`{}` does not hold for {name}", target.0))
}

fn unwinds(attempt: impl FnOnce() + UnwindSafe) -> Result<(), ()> {
    catch_unwind(attempt).map_err(drop)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a folder holds, sorted.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let listed = fs::read_dir(folder).and_then(|found| found.map(|entry| Ok(entry?.path())).collect());
    let mut paths: Vec<PathBuf> =
        listed.map_err(|error| format!("could not read `{}`: {error}", folder.display()))?;
    paths.sort();
    Ok(paths)
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| format!("could not read `{}`: {error}", file.display()))
}
