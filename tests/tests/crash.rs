//! `kill -9` under load: what was acknowledged is there after the restart, what was refused stays counted, and no code
//! is accepted twice (contract, rules 1 to 3 and 7).
//!
//! `SIDEKEY_CRASH_CYCLES` sets the number of crashes (24), `SIDEKEY_CRASH_SEED` repeats the choices of a run. For ten
//! thousand: `SIDEKEY_CRASH_CYCLES=10000 cargo test --release -p sidekey-tests --test crash -- --nocapture`.

mod load;

use std::slice;

use load::{Load, Random, World};
use sidekey_tests::settings::{number, seed};
use sidekey_tests::{Enforcement, Options, Server};
use tempfile::TempDir;

/// Crashes in an ordinary test run.
const CYCLES: u64 = 24;

/// Crashes of one data folder. Its accounts add up, and all of them are looked at in the end.
const CYCLES_A_FOLDER: u64 = 200;

/// What the crashes of one data folder have shown, or those of several.
#[derive(Default)]
struct Tally {
    crashes: u64,
    changes: u64,
    accounts: usize,
    replays: u64,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9_under_load() {
    let cycles = number("SIDEKEY_CRASH_CYCLES").unwrap_or(CYCLES);
    println!("SIDEKEY_CRASH_CYCLES={cycles}");
    let seed = seed("SIDEKEY_CRASH_SEED");
    let mut random = Random::new(seed);
    let mut tally = Tally::default();
    while tally.crashes < cycles {
        let here = CYCLES_A_FOLDER.min(cycles - tally.crashes);
        crash_one_folder(&mut tally, here, seed, &mut random).await;
        let Tally { crashes, changes, accounts, replays } = tally;
        println!(
            "{crashes} crashes, {changes} changes, {accounts} accounts checked, {replays} codes replayed in their window"
        );
    }
    assert!(tally.replays > cycles, "only {} replays could tell anything", tally.replays);
}

/// Crashes a new server with a new data folder so many times, and checks it after each.
async fn crash_one_folder(tally: &mut Tally, cycles: u64, seed: u64, random: &mut Random) {
    let folder = TempDir::new().expect("a folder can be made");
    let options = Options::over(&folder.path().join("data"));
    let mut load = Load::new(random.fork());
    let (mut key, mut reached) = (None, 0);
    for cycle in 0..=cycles {
        let server = Server::with(options.clone());
        let key = match &key {
            Some(key) => String::clone(key),
            None => key.insert(server.app(Enforcement::Required).await.key).clone(),
        };
        let world = World::new(slice::from_ref(&server), &key, reached).await;
        let report = load.check(&world, cycle == cycles).await;
        let crashes = tally.crashes;
        assert!(report.findings.is_empty(), "seed {seed}, after crash {crashes}: {:#?}", report.findings);
        tally.accounts += report.accounts;
        tally.replays += report.replays;
        if cycle < cycles {
            let report = load.run_until(world, changes_until_the_next(random), async || drop(server)).await;
            assert!(report.findings.is_empty(), "seed {seed}, after crash {crashes}: {:#?}", report.findings);
            reached = report.reached;
            tally.changes += report.acknowledged;
            tally.crashes += 1;
        }
    }
}

/// Mostly few, as it is the last ones that a crash can take; sometimes so many that sessions and tokens expire.
fn changes_until_the_next(random: &mut Random) -> u64 {
    if random.chance(10) { random.between(100, 700) } else { random.between(1, 80) }
}
