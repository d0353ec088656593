//! A power cut: the model of `tests/power_cut` (an `LD_PRELOAD` library in C), built, set up and played out.
//!
//! The model keeps a shadow of a data folder that holds only what is durable. [`Shadow::cut`] puts it in the folder's
//! place after the process was killed.

mod self_test;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use sidekey_tests::folder::copy_folder;
use sidekey_tests::native;
use tempfile::TempDir;

/// When the model takes names (creations, renames, removals) for durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// As the ordered journals of ext4 and xfs: with every sync, in order.
    Journal,
    /// Only with a sync of the directory, or of the new file itself.
    Strict,
}

/// How harsh the power cut is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// See [`Names`].
    pub(crate) names: Names,
    /// How many of 100 unsynced writes and name operations reach the disk all the same, writes torn by sector.
    pub(crate) writeback: u32,
    /// Seed of that luck.
    pub(crate) seed: u64,
    /// Takes syncs through any but a file's first descriptor for nothing: the sync that the server adds to sled's.
    pub(crate) ignore_second: bool,
    /// Kills the process at this step (a write, a resize, a change of names, a sync); never at 0.
    pub(crate) cut_at: u64,
}

/// Nothing reaches the disk by luck, and every sync takes the names along.
pub(crate) const CALM: Weather =
    Weather { names: Names::Journal, writeback: 0, seed: 1, ignore_second: false, cut_at: 0 };

/// What the model counted, see `enum counter` in `model.h`.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "some are only shown, where a test fails")]
pub(crate) struct Counters {
    pub(crate) steps: u64,
    pub(crate) writes: u64,
    pub(crate) syncs: u64,
    pub(crate) ignored_syncs: u64,
    pub(crate) range_syncs: u64,
    pub(crate) directory_syncs: u64,
    pub(crate) names: u64,
    pub(crate) writebacks: u64,
    pub(crate) unsynced_bytes: u64,
}

/// The durable image of one data folder, as one process leaves it.
pub(crate) struct Shadow {
    data: PathBuf,
    folder: TempDir,
    weather: Weather,
}

impl Shadow {
    /// Takes what is in the data folder now for durable; the folder is made if it is missing.
    pub(crate) fn of(data: &Path, weather: Weather) -> Self {
        std::fs::create_dir_all(data).expect("the data folder can be made");
        let data = data.canonicalize().expect("the data folder is there");
        // Beside the data folder: the shadow renames and links within one file system.
        let parent = data.parent().expect("the data folder is not the root");
        let folder = TempDir::with_prefix_in("shadow", parent).expect("a folder can be made");
        std::fs::create_dir(folder.path().join("inodes")).expect("a folder can be made");
        copy_folder(&data, &folder.path().join("tree"));
        Self { data, folder, weather }
    }

    /// Variables that put a process under the model.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let path = |path: &Path| path.to_str().expect("paths of tests are UTF-8").to_string();
        let mut all = vec![
            ("LD_PRELOAD".into(), path(library())),
            ("POWER_CUT_DATA".into(), path(&self.data)),
            ("POWER_CUT_SHADOW".into(), path(self.folder.path())),
            ("POWER_CUT_SEED".into(), self.weather.seed.to_string()),
            ("POWER_CUT_WRITEBACK".into(), self.weather.writeback.to_string()),
        ];
        if self.weather.cut_at > 0 {
            all.push(("POWER_CUT_AT".into(), self.weather.cut_at.to_string()));
        }
        if self.weather.names == Names::Strict {
            all.push(("POWER_CUT_NAMES".into(), "strict".into()));
        }
        if self.weather.ignore_second {
            all.push(("POWER_CUT_IGNORE".into(), "second".into()));
        }
        all
    }

    /// Cuts the power: the data folder becomes what was durable. The process must be gone.
    pub(crate) fn cut(self) -> Counters {
        let counters = self.counters();
        std::fs::remove_dir_all(&self.data).expect("the data folder can be removed");
        copy_folder(&self.folder.path().join("tree"), &self.data);
        counters
    }

    /// What the model has counted so far.
    pub(crate) fn counters(&self) -> Counters {
        let bytes = std::fs::read(self.folder.path().join("counters"))
            .expect("the process ran under the model, which needs an environment that lets LD_PRELOAD work");
        let words: Vec<u64> = bytes
            .chunks_exact(8)
            .map(|word| u64::from_ne_bytes(word.try_into().expect("eight bytes")))
            .collect();
        let mut words = words.into_iter();
        let mut next = || words.next().expect("a word for each counter");
        Counters {
            steps: next(),
            writes: next(),
            syncs: next(),
            ignored_syncs: next(),
            range_syncs: next(),
            directory_syncs: next(),
            names: next(),
            writebacks: next(),
            unsynced_bytes: next(),
        }
    }
}

/// The model, compiled once a run.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        compile(&["shim.c", "model.c"], "libpower_cut.so", &["-shared", "-fPIC", "-ldl", "-pthread"])
    })
}

/// Compiles sources of `tests/power_cut`.
fn compile(sources: &[&str], name: &str, flags: &[&str]) -> PathBuf {
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    native::compile("power_cut", sources, &output, flags);
    output
}
