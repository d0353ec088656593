//! The model against a small program (`tests/power_cut/probe.c`) that writes, syncs or does not, and dies.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use super::{CALM, Counters, Names, Shadow, Weather, compile};

const STRICT: Weather = Weather { names: Names::Strict, ..CALM };

fn probe() -> &'static Path {
    static PROBE: OnceLock<PathBuf> = OnceLock::new();
    PROBE.get_or_init(|| compile(&["probe.c"], "power_cut_probe", &[]))
}

/// Runs the steps on a folder that holds `old` with the text `old`, cuts the power, and gives the files that are left.
fn left(weather: Weather, steps: &[&str]) -> (BTreeMap<String, String>, Counters) {
    let folder = TempDir::new().expect("a folder can be made");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("a folder can be made");
    std::fs::write(data.join("old"), "old").expect("a file can be written");
    let shadow = Shadow::of(&data, weather);
    let done = Command::new(probe()).arg(&data).args(steps).envs(shadow.environment()).output();
    let done = done.expect("the probe can be run");
    assert_eq!(
        done.status.signal(),
        Some(9),
        "{steps:?}: the probe failed: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    let counters = shadow.cut();
    let files = std::fs::read_dir(&data).expect("the folder is there").map(|entry| {
        let entry = entry.expect("the folder can be read");
        let text = if entry.path().is_dir() {
            "folder".to_string()
        } else {
            std::fs::read(entry.path())
                .expect("the file can be read")
                .iter()
                .map(|&byte| if byte == 0 { '.' } else { char::from(byte) })
                .collect()
        };
        (entry.file_name().into_string().expect("UTF-8"), text)
    });
    (files.collect(), counters)
}

/// Says what must be left, as `name=text` (a zero byte stands as a dot), of the steps.
#[track_caller]
fn leaves(weather: Weather, steps: &[&str], expected: &[&str]) {
    let found: Vec<String> =
        left(weather, steps).0.iter().map(|(name, text)| format!("{name}={text}")).collect();
    assert_eq!(found, expected, "after {steps:?} under {weather:?}");
}

#[test]
fn bytes_are_durable_from_their_sync_on() {
    leaves(CALM, &["append:old:+new"], &["old=old"]);
    leaves(CALM, &["append:old:+new", "sync:old"], &["old=old+new"]);
    leaves(CALM, &["append:old:+new", "datasync:old", "append:old:+lost"], &["old=old+new"]);
    leaves(CALM, &["append:old:+new", "second-sync:old"], &["old=old+new"]);
    leaves(CALM, &["vector:old:abc", "sync:old", "start:old:x"], &["old=abc"]);
    leaves(CALM, &["synchronous:old:ab"], &["old=abd"]);
}

#[test]
fn sync_file_range_makes_nothing_durable() {
    leaves(CALM, &["append:old:+new", "range-sync:old"], &["old=old"]);
    let (_, counters) = left(CALM, &["append:old:+new", "range-sync:old"]);
    assert_eq!((counters.range_syncs, counters.unsynced_bytes), (1, 4));
}

#[test]
fn a_size_is_durable_from_its_sync_on() {
    leaves(CALM, &["cut:old:1"], &["old=old"]);
    leaves(CALM, &["cut:old:1", "sync:old"], &["old=o"]);
    leaves(CALM, &["cut:old:0", "cut:old:3", "sync:old"], &["old=..."]);
    leaves(CALM, &["replace:old:xy"], &["old=old"]);
    leaves(CALM, &["replace:old:xy", "sync:old"], &["old=xy"]);
}

#[test]
fn a_new_file_is_there_once_it_was_synced() {
    for weather in [CALM, STRICT] {
        leaves(weather, &["append:new:text"], &["old=old"]);
        leaves(weather, &["append:new:text", "sync:new"], &["new=text", "old=old"]);
        leaves(weather, &["append:new:text", "sync-folder"], &["new=", "old=old"]);
    }
}

#[test]
fn names_follow_in_order() {
    let replace = ["append:new:text", "sync:new", "rename:new:old"];
    leaves(CALM, &replace, &["new=text", "old=old"]);
    leaves(CALM, &[&replace[..], &["sync-folder"]].concat(), &["old=text"]);
    leaves(CALM, &["append:new:text", "rename:new:old", "sync-folder"], &["old="]);
    leaves(CALM, &["link:old:other"], &["old=old"]);
    leaves(CALM, &["link:old:other", "append:old:+", "sync:old", "unlink:old"], &["old=old+", "other=old+"]);
    leaves(CALM, &["link:old:other", "unlink:old", "sync-folder"], &["other=old"]);
    leaves(CALM, &["unlink:old"], &["old=old"]);
    leaves(CALM, &["unlink:old", "sync-folder"], &[]);
    leaves(CALM, &["mkdir:folder", "sync-folder:folder"], &["old=old"]);
    leaves(CALM, &["mkdir:folder", "sync-folder"], &["folder=folder", "old=old"]);
    // A sync of any file commits an ordered journal; only the directory's own counts where names are strict.
    let other = [&replace[..], &["append:b:x", "sync:b", "rename:b:c", "append:old:+", "sync:old"]].concat();
    leaves(CALM, &other, &["c=x", "old=text+"]);
    leaves(STRICT, &other, &["b=x", "old=text+"]);
}

#[test]
fn only_the_sync_of_a_second_descriptor_is_ignored_when_asked() {
    let weather = Weather { ignore_second: true, ..CALM };
    leaves(weather, &["append:old:+new", "second-sync:old"], &["old=old"]);
    leaves(weather, &["append:old:+new", "sync:old"], &["old=old+new"]);
    assert_eq!(left(weather, &["append:old:+new", "second-sync:old"]).1.ignored_syncs, 1);
}

#[test]
fn the_power_goes_at_a_chosen_step() {
    let steps = ["append:old:a", "sync:old", "append:old:b", "sync:old", "append:old:c"];
    for (cut_at, text) in [(1, "old"), (2, "old"), (3, "olda"), (4, "olda"), (5, "oldab"), (6, "oldab")] {
        leaves(Weather { cut_at, ..CALM }, &steps, &[&format!("old={text}")]);
    }
    assert_eq!(left(CALM, &steps).1.steps, 5);
}

#[test]
fn luck_tears_unsynced_writes_by_sector() {
    let text = "x".repeat(40 * 512);
    let step = format!("start:old:{text}");
    let luck = |seed| {
        let weather = Weather { writeback: 100, seed, ..CALM };
        left(weather, &[&step]).0.remove("old").expect("the file is there")
    };
    let (one, other) = (luck(1), luck(2));
    assert_ne!(one, text, "some sector is not written");
    assert!(one.contains(&"x".repeat(512)), "some sector is written");
    assert_ne!(one, other, "the seed decides which");
    assert_eq!(one, luck(1), "the same seed decides the same");
}

#[test]
fn what_the_model_does_not_follow_ends_the_process() {
    let folder = TempDir::new().expect("a folder can be made");
    let shadow = Shadow::of(&folder.path().join("data"), CALM);
    let done = Command::new(probe())
        .arg(folder.path().join("data"))
        .args(["append:new:text", "map:new"])
        .envs(shadow.environment())
        .output()
        .expect("the probe can be run");
    assert_eq!(done.status.signal(), Some(6), "{done:?}");
    assert!(String::from_utf8_lossy(&done.stderr).contains("shared mapping"), "{done:?}");
}
