//! What the numbers should be. A target that is missed is told, and is no failure of a run.

use crate::plan::USUAL;
use crate::results::{Kind, Measured, Results, StoreFacts, Target};

const MB: f64 = 1_000_000.0;
/// From how many accounts on a store is a large one.
const LARGE: u64 = 1_000_000;
/// From how many on less is asked of it.
const HUGE: u64 = 10_000_000;

/// Each target for which there are numbers.
pub fn judge(results: &Results) -> Vec<Target> {
    let mut stores = results.stores.iter();
    let (empty, few, usual, large) = (stores.next(), stores.next(), stores.next(), stores.next());
    let of = |kind, connections| results.of(usual.map_or(0, |store| store.accounts), kind, connections);
    let mut targets = Vec::new();
    let mut note = |what, wanted, was: Option<(String, bool)>| {
        targets.extend(was.map(|(was, met)| Target { what, wanted, was, met }));
    };
    let verifies = of(Kind::Verifies, USUAL);
    note("verifies, 64 connections", "≥ 0.22 of the echo", at_least(echo(verifies), 0.22));
    note(
        "their 99th percentile",
        "≤ 10 ms",
        verifies.map(|m| (format!("{:.1} ms", m.load.p99_ms), m.load.p99_ms <= 10.0)),
    );
    note("logins, 64 connections", "≥ 0.1 of the echo", at_least(echo(of(Kind::Logins, USUAL)), 0.1));
    note(
        "verifies, one connection",
        "≥ 0.6 of the disk's syncs",
        at_least(of(Kind::Verifies, 1).and_then(|m| m.of_syncs), 0.6),
    );
    let many = of(Kind::Logins, 256).zip(of(Kind::Logins, USUAL));
    note(
        "logins, 256 connections",
        "≥ those with 64",
        at_least(many.map(|(many, usual)| many.load.per_second / usual.load.per_second), 1.0),
    );
    note(
        "processor time of a verify",
        "≤ 60 µs",
        verifies.and_then(|m| m.processor_us).map(|us| (format!("{us:.0} µs"), us <= 60.0)),
    );
    note(
        "forward-auth decisions, 64 connections",
        "≥ 0.4 of the echo",
        at_least(echo(of(Kind::Decisions, USUAL)), 0.4),
    );
    note("memory, idle", "≤ 15 MB", empty.map(|store| megabytes(store.memory_idle, 15.0)));
    note(
        "memory under load, small store",
        "≤ 60 MB",
        few.and_then(|store| store.memory_most).map(|most| megabytes(most, 60.0)),
    );
    note(
        "start with an empty store",
        "≤ 50 ms",
        empty.map(|store| (format!("{:.0} ms", store.start_ms), store.start_ms <= 50.0)),
    );
    note("disk for an account", "≤ 1.2 KB", usual.map(disk));
    if let Some(store) = large.filter(|store| store.accounts >= LARGE) {
        if store.accounts < HUGE {
            note(
                "start with a large store",
                "≤ 2 s",
                Some((format!("{:.1} s", store.start_ms / 1_000.0), store.start_ms <= 2_000.0)),
            );
        }
        let large = echo(results.of(store.accounts, Kind::Logins, USUAL));
        let part = large.zip(echo(of(Kind::Logins, USUAL))).map(|(large, small)| large / small);
        let (wanted, least) = if store.accounts < HUGE {
            ("≥ 0.8 of the usual one's, both as a part of the echo", 0.8)
        } else {
            ("≥ 0.6 of the usual one's, both as a part of the echo", 0.6)
        };
        note("logins with a large store", wanted, at_least(part, least));
        note("disk for an account of a large store", "≤ 1.2 KB", Some(disk(store)));
    }
    targets
}

fn echo(measured: Option<&Measured>) -> Option<f64> {
    measured?.of_echo
}

fn at_least(was: Option<f64>, wanted: f64) -> Option<(String, bool)> {
    was.map(|was| (format!("{was:.2}"), was >= wanted))
}

#[expect(clippy::cast_precision_loss, reason = "nobody needs the last byte")]
fn megabytes(bytes: u64, most: f64) -> (String, bool) {
    let megabytes = bytes as f64 / MB;
    (format!("{megabytes:.1} MB"), megabytes <= most)
}

#[expect(clippy::cast_precision_loss, reason = "nobody needs the last byte")]
fn disk(store: &StoreFacts) -> (String, bool) {
    let bytes = store.disk as f64 / store.accounts.max(1) as f64;
    (format!("{bytes:.0} B"), bytes <= 1_200.0)
}
