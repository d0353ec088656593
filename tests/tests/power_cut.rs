//! What was acknowledged survives a power cut: only what was synced is left of the data folder (contract, rule 2).
//!
//! `kill -9` cannot show a missing sync, because the kernel keeps what was written. The model of `tests/power_cut` can:
//! sled's own `flush` does not sync its file, and without the server's sync the same load loses changes.
//!
//! `SIDEKEY_POWER_CUTS` sets the number of cuts under load (6) and at start (36), `SIDEKEY_CRASH_SEED` repeats a run's choices.

mod load;
mod power;

use std::path::Path;
use std::slice;

use load::{Load, Random, Report, World};
use power::{CALM, Counters, Names, Shadow, Weather};
use sidekey_tests::folder::copy_folder;
use sidekey_tests::settings::{number, seed};
use sidekey_tests::{Enforcement, Options, Server};
use tempfile::TempDir;

/// The variable that repeats a run's choices.
const SEED: &str = "SIDEKEY_CRASH_SEED";

fn under(shadow: &Shadow, data: &Path) -> Options {
    Options { environment: shadow.environment(), ..Options::over(data) }
}

/// A new data folder with an app, and the app's API key.
async fn prepared(folder: &Path) -> (std::path::PathBuf, String) {
    let data = folder.join("data");
    let server = Server::with(Options::over(&data));
    let key = server.app(Enforcement::Required).await.key;
    drop(server);
    (data, key)
}

/// Load on a server under the model until so many changes are acknowledged; then the power goes.
async fn cut_under_load(
    data: &Path,
    key: &str,
    load: &mut Load,
    (weather, reached, acknowledged): (Weather, u64, u64),
) -> (Report, Counters) {
    let shadow = Shadow::of(data, weather);
    let server = Server::with(under(&shadow, data));
    let world = World::new(slice::from_ref(&server), key, reached).await;
    let report = load.run_until(world, acknowledged, async || drop(server)).await;
    (report, shadow.cut())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_power_cut_under_load() {
    let (cuts, seed) = (number("SIDEKEY_POWER_CUTS").unwrap_or(6), seed(SEED));
    let mut random = Random::new(seed);
    let folder = TempDir::new().expect("a folder can be made");
    let (data, key) = prepared(folder.path()).await;
    let mut load = Load::new(random.fork());
    let (mut reached, mut acknowledged, mut checked, mut replays) = (0, 0, 0, 0);
    for cut in 0..cuts {
        let weather = Weather {
            names: if cut % 2 == 0 { Names::Strict } else { Names::Journal },
            writeback: if cut % 3 == 0 { 0 } else { 40 },
            seed: random.next(),
            ..CALM
        };
        let plan = (weather, reached, random.between(200, 1_200));
        let (report, counters) = cut_under_load(&data, &key, &mut load, plan).await;
        assert!(report.findings.is_empty(), "seed {seed}, before cut {cut}: {:#?}", report.findings);
        // The model saw sled at work, and the server's sync beside sled's flush.
        assert!(counters.range_syncs > 0 && counters.syncs > 0 && counters.writes > 0, "{counters:?}");
        acknowledged += report.acknowledged;
        reached = report.reached;

        let server = Server::with(Options::over(&data));
        let world = World::new(slice::from_ref(&server), &key, reached).await;
        let report = load.check(&world, cut + 1 == cuts).await;
        assert!(
            report.findings.is_empty(),
            "seed {seed}, after cut {cut} in {weather:?}, {counters:?}: {:#?}",
            report.findings
        );
        reached = report.reached;
        checked += report.accounts;
        replays += report.replays;
    }
    println!(
        "{cuts} power cuts, {acknowledged} changes, {checked} accounts checked, {replays} codes replayed in their window"
    );
    assert!(replays > cuts, "only {replays} replays could tell anything");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_servers_own_sync_acknowledged_changes_are_lost() {
    let mut random = Random::new(seed(SEED));
    let folder = TempDir::new().expect("a folder can be made");
    let (data, key) = prepared(folder.path()).await;
    let mut load = Load::new(random.fork());
    let weather = Weather { ignore_second: true, ..CALM };
    let (report, counters) = cut_under_load(&data, &key, &mut load, (weather, 0, 800)).await;
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
    assert!(counters.ignored_syncs > 0 && counters.unsynced_bytes > 0, "{counters:?}");

    // A server that notices the loss refuses to start on it; one that does not has forgotten what it acknowledged.
    let findings = match Server::try_with(Options::over(&data)) {
        Err((_, log)) => {
            assert!(log.contains("lost"), "it ended for another reason: {log}");
            vec![log]
        }
        Ok(server) => {
            let world = World::new(slice::from_ref(&server), &key, report.reached).await;
            load.check(&world, true).await.findings
        }
    };
    println!(
        "{} changes acknowledged, {} findings: {:?}",
        report.acknowledged,
        findings.len(),
        findings.first()
    );
    assert!(!findings.is_empty(), "the model does not bite: {counters:?}");
}

/// Steps of a start on a copy of this folder (on none: of a first start), up to the moment when the server listens.
fn steps_of_a_start(data: &Path) -> u64 {
    let shadow = Shadow::of(data, CALM);
    let server = Server::with(under(&shadow, data));
    let steps = shadow.counters().steps;
    drop(server);
    steps
}

/// Starts servers that lose their power at some step of their start, and then one that does not.
async fn starts_after_cuts_at_start(store: Option<&(std::path::PathBuf, String)>, power_cut: bool) {
    let (cuts, seed) = (number("SIDEKEY_POWER_CUTS").map_or(36, |cuts| cuts * 6), seed(SEED));
    let mut random = Random::new(seed);
    let folder = TempDir::new().expect("a folder can be made");
    let copy = |name: String| {
        let data = folder.path().join(name).join("data");
        store.inspect(|(from, _)| copy_folder(from, &data));
        data
    };
    let steps = steps_of_a_start(&copy("whole".to_string()));
    let (mut ended, mut refused) = (0, Vec::new());
    for index in 0..cuts {
        // Every step where there are fewer steps than cuts, else a sample.
        let cut_at = if steps <= cuts { index % steps + 1 } else { random.between(1, steps + 1) };
        let weather = Weather {
            names: if random.chance(50) { Names::Strict } else { Names::Journal },
            writeback: if random.chance(50) { 0 } else { 50 },
            seed: random.next(),
            cut_at,
            ..CALM
        };
        let data = copy(index.to_string());
        let shadow = Shadow::of(&data, weather);
        if Server::try_with(under(&shadow, &data)).is_err() {
            ended += 1;
        }
        if power_cut {
            shadow.cut();
        }
        match Server::try_with(Options::over(&data)) {
            Ok(server) => {
                if let Some((_, key)) = store {
                    let answer = server.get("/2fa/users/ann/").bearer(key).await.ok();
                    assert_eq!(answer["has_2fa_enabled"], true, "seed {seed}, {weather:?}");
                } else {
                    server.get("/healthz").await.ok();
                }
            }
            Err((status, log)) => {
                refused.push(format!("{weather:?}: the next start ended ({status}): {log}"));
            }
        }
    }
    assert!(refused.is_empty(), "seed {seed}, {} of {cuts}: {refused:#?}", refused.len());
    println!("a start has {steps} steps; {ended} of {cuts} starts were cut");
    assert!(ended * 10 > cuts * 8, "only {ended} of {cuts} starts were cut");
}

async fn store_with_a_user(folder: &Path) -> (std::path::PathBuf, String) {
    let data = folder.join("data");
    let server = Server::with(Options::over(&data));
    let app = server.app(Enforcement::Required).await;
    app.enrol("ann").await;
    let key = app.key.clone();
    drop(server);
    (data, key)
}

#[tokio::test]
async fn a_power_cut_during_the_first_start_leaves_a_folder_that_starts() {
    starts_after_cuts_at_start(None, true).await;
}

#[tokio::test]
async fn a_kill_during_the_first_start_leaves_a_folder_that_starts() {
    starts_after_cuts_at_start(None, false).await;
}

#[tokio::test]
async fn a_power_cut_during_a_later_start_loses_nothing() {
    let folder = TempDir::new().expect("a folder can be made");
    starts_after_cuts_at_start(Some(&store_with_a_user(folder.path()).await), true).await;
}

#[tokio::test]
async fn a_kill_during_a_later_start_loses_nothing() {
    let folder = TempDir::new().expect("a folder can be made");
    starts_after_cuts_at_start(Some(&store_with_a_user(folder.path()).await), false).await;
}
