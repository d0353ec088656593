//! `kill -9` under load: what was acknowledged is there after the restart, what was refused stays counted, and no code
//! is accepted twice (contract, rules 1 to 3 and 7).
//!
//! `SIDEKEY_CRASH_CYCLES` sets the number of crashes (12), `SIDEKEY_CRASH_SEED` repeats the choices of a run.

mod load;

use load::{Load, Random, World};
use sidekey_tests::{Enforcement, Server};
use tempfile::TempDir;

/// Crashes in an ordinary test run.
const CYCLES: u64 = 12;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}: `{text}` is not a whole number")))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9_under_load() {
    let cycles = number("SIDEKEY_CRASH_CYCLES").unwrap_or(CYCLES);
    let seed = number("SIDEKEY_CRASH_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("SIDEKEY_CRASH_SEED={seed} SIDEKEY_CRASH_CYCLES={cycles}");
    let mut random = Random::new(seed);
    let folder = TempDir::new().expect("a folder can be made");
    let options = load::options(&folder.path().join("data"));
    let mut load = Load::new(random.fork());
    let (mut key, mut reached, mut done, mut checked, mut replays) = (None, 0, 0, 0, 0);
    for cycle in 0..=cycles {
        let server = Server::with(options.clone());
        let key = match &key {
            Some(key) => String::clone(key),
            None => key.insert(server.app(Enforcement::Required).await.key).clone(),
        };
        let world = World::new(&server, &key, reached).await;
        let report = load.check(&world, cycle == cycles).await;
        assert!(report.findings.is_empty(), "seed {seed}, after crash {cycle}: {:#?}", report.findings);
        checked += report.accounts;
        replays += report.replays;
        if cycle < cycles {
            let acknowledged = random.between(100, 700);
            let report = load.run_until(server, world, acknowledged).await;
            assert!(
                report.findings.is_empty(),
                "seed {seed}, before crash {}: {:#?}",
                cycle + 1,
                report.findings
            );
            reached = report.reached;
            done += report.acknowledged;
        }
    }
    println!(
        "{cycles} crashes, {done} changes, {checked} accounts checked, {replays} codes replayed in their window"
    );
    assert!(replays > cycles, "only {replays} replays could tell anything");
}
