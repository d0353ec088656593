//! What the numbers were measured on. Nothing here tells which machine it is, only what kind.

use std::fs;
use std::path::Path;

use serde::Serialize;

/// A kind of machine.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// The processors' name for themselves.
    pub processor: String,
    /// How many there are.
    pub processors: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// The kernel's release.
    pub kernel: String,
    /// The kind of file system that the store lies on.
    pub file_system: String,
    /// Programs that wanted to run, on average over the minute before.
    pub load_before: f64,
}

impl Machine {
    /// This one, with the store in a folder.
    pub fn here(folder: &Path) -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let of = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.map(|line| line.trim_start_matches([':', ' ', '\t']).to_owned()).unwrap_or_default()
        };
        let memory = of(&text("/proc/meminfo"), "MemTotal");
        let kib: u64 = memory.split(' ').next().and_then(|kib| kib.parse().ok()).unwrap_or_default();
        let load = text("/proc/loadavg");
        Self {
            processor: of(&text("/proc/cpuinfo"), "model name"),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            memory: kib * 1_024,
            // What a distribution adds to the version says where it comes from.
            kernel: text("/proc/sys/kernel/osrelease")
                .split(['-', '\n'])
                .next()
                .unwrap_or_default()
                .to_owned(),
            file_system: file_system(&text("/proc/mounts"), folder).unwrap_or_default(),
            load_before: load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default(),
        }
    }

    /// Whether next to nothing else ran.
    pub fn was_quiet(&self) -> bool {
        u32::try_from(self.processors).is_ok_and(|processors| self.load_before < 0.25 * f64::from(processors))
    }
}

/// The kind of the file system that is mounted nearest above a folder.
fn file_system(mounts: &str, folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let above = mounts.filter(|(place, _)| folder.starts_with(place));
    above.max_by_key(|(place, _)| place.len()).map(|(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_tells_the_file_system() {
        let mounts = "a / ext4 rw 0 0\nb /no xfs rw 0 0\nc / overlay rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/")).as_deref(), Some("overlay"));
        let here = Machine::here(Path::new("/"));
        assert!(here.processors > 0 && here.memory > 0 && !here.kernel.is_empty());
    }
}
