//! What the numbers were measured on. Nothing here tells which machine it is, only what kind.

use std::fs;
use std::path::Path;
use std::time::Duration;

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
    /// Processors that were at work over some seconds before. The usual average of a minute would hold the build.
    pub busy_before: f64,
}

/// For how long others are looked at.
const LOOK: Duration = Duration::from_secs(3);

impl Machine {
    /// This one, with the store in a folder. Blocks while it looks at what else runs.
    pub fn here(folder: &Path) -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let of = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.map(|line| line.trim_start_matches([':', ' ', '\t']).to_owned()).unwrap_or_default()
        };
        let memory = of(&text("/proc/meminfo"), "MemTotal");
        let kib: u64 = memory.split(' ').next().and_then(|kib| kib.parse().ok()).unwrap_or_default();
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let before = Times::of(&text("/proc/stat"));
        std::thread::sleep(LOOK);
        let share = Times::of(&text("/proc/stat")).busy_since(&before);
        Self {
            processor: of(&text("/proc/cpuinfo"), "model name"),
            processors,
            memory: kib * 1_024,
            // What a distribution adds to the version says where it comes from.
            kernel: text("/proc/sys/kernel/osrelease")
                .split(['-', '\n'])
                .next()
                .unwrap_or_default()
                .to_owned(),
            file_system: file_system(&text("/proc/mounts"), folder).unwrap_or_default(),
            busy_before: share * u32::try_from(processors).map_or(1.0, f64::from),
        }
    }

    /// Whether next to nothing else ran.
    pub fn was_quiet(&self) -> bool {
        u32::try_from(self.processors).is_ok_and(|processors| self.busy_before < 0.1 * f64::from(processors))
    }
}

/// What the processors have done since the machine started, in ticks (`man 5 proc_stat`).
struct Times {
    idle: u64,
    all: u64,
}

impl Times {
    fn of(stat: &str) -> Self {
        let line = stat.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
        // Those of guests are in the first ones too.
        let ticks: Vec<u64> =
            line.split_whitespace().take(8).filter_map(|ticks| ticks.parse().ok()).collect();
        Self { idle: ticks.iter().skip(3).take(2).sum(), all: ticks.iter().sum() }
    }

    /// The share of the time in between in which a processor was at work.
    fn busy_since(&self, before: &Self) -> f64 {
        let between = |now: u64, then: u64| u32::try_from(now.saturating_sub(then)).map_or(0.0, f64::from);
        let all = between(self.all, before.all);
        if all > 0.0 { 1.0 - between(self.idle, before.idle) / all } else { 0.0 }
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
    fn who_was_at_work_is_told_by_what_has_passed_in_between() {
        let before = Times::of("cpu  100 0 50 800 50 0 0 0 7 0\ncpu0 1 1 1 1\n");
        let after = Times::of("cpu  130 0 70 940 60 0 0 0 9 0\n");
        assert!((after.busy_since(&before) - 0.25).abs() < 1e-9);
        assert!(before.busy_since(&before).abs() < 1e-9, "nothing has passed");
    }

    #[test]
    fn the_nearest_mount_tells_the_file_system() {
        let mounts = "a / ext4 rw 0 0\nb /no xfs rw 0 0\nc / overlay rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/")).as_deref(), Some("overlay"));
        let here = Machine::here(Path::new("/"));
        assert!(here.processors > 0 && here.memory > 0 && !here.kernel.is_empty());
    }
}
