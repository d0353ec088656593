//! Days of logins in seconds: what is over makes room, so that records, disk and memory stay within bounds.
//!
//! Users log in every five minutes of the server's clock, which the test moves on: sessions, logins and audit entries end as in a
//! real day. From some hour on there is as much of everything as there ever will be. `SIDEKEY_CHURN_HOURS` and
//! `SIDEKEY_CHURN_USERS` make the run longer and wider, and it then prints what it measured after each hour.

use std::fmt;
use std::fs;
use std::path::Path;

use futures_util::StreamExt as _;
use sidekey_tests::settings::number;
use sidekey_tests::{Enforcement, Options, Server, User, json};

/// Between two logins of a user, in seconds of the server's clock.
const PAUSE: u64 = 300;
/// Logins of a user in an hour.
const ROUNDS: u64 = 3_600 / PAUSE;
/// After so many hours everything has its largest number: sessions are kept for one hour, and the 32 logins that an account
/// keeps are full after the third.
const FULL: u64 = 4;
/// Logins under way at once.
const AT_ONCE: usize = 32;

/// What a server takes up.
struct Size {
    /// Without audit entries.
    records: u64,
    audit_entries: u64,
    disk_bytes: u64,
    resident_kib: u64,
}

impl Size {
    async fn of(server: &Server) -> Self {
        let report = server.command(["verify"]).await;
        assert_eq!(report["findings"], json!([]), "{report}");
        let tally = |name: &str| report["tally"][name].as_u64().expect("a number");
        Self {
            records: tally("records") - tally("audit_entries"),
            audit_entries: tally("audit_entries"),
            disk_bytes: bytes_in(server.data()),
            resident_kib: server.vital("VmRSS"),
        }
    }

    /// Fails where it is more than another one by more than the margin: for records nothing but rounds that are cut
    /// differently, for the disk what sled has not given back yet, for memory what its caches hold.
    fn assert_is_no_more_than(&self, early: &Self) {
        assert!(self.records <= early.records + early.records / 10, "{self}; early {early}");
        assert!(
            self.audit_entries <= early.audit_entries + early.audit_entries / 50 + 2,
            "{self}; early {early}"
        );
        assert!(
            self.disk_bytes <= early.disk_bytes + early.disk_bytes / 2 + (16 << 20),
            "{self}; early {early}"
        );
        assert!(self.resident_kib <= 2 * early.resident_kib + (32 << 10), "{self}; early {early}");
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { records, audit_entries, disk_bytes, resident_kib } = self;
        let (disk, resident) = (disk_bytes >> 20, resident_kib >> 10);
        write!(
            f,
            "{records} records, {audit_entries} audit entries, {disk} MiB on disk, {resident} MiB resident"
        )
    }
}

fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    // Files of sled come and go.
    let size = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    entries.map(|path| if path.is_dir() { bytes_in(&path) } else { size(&path) }).sum()
}

/// With the code of the moment: a round of many users takes its time, and the clock goes on.
async fn log_in(user: &User<'_>) {
    let session = user.challenge().await;
    let step = user.server().step().await;
    user.answer(&session, &user.phone.code_of(step)).await.ok();
}

#[tokio::test]
async fn records_disk_and_memory_stay_bounded() {
    let hours = number("SIDEKEY_CHURN_HOURS").unwrap_or(FULL + 3);
    let users = number("SIDEKEY_CHURN_USERS").unwrap_or(12);
    let entries = (users * ROUNDS * 4).max(1_000).to_string();
    let server = Server::with(Options {
        arguments: ["--audit-max-entries", &entries].map(String::from).to_vec(),
        ..Options::default()
    });
    let app = server.app(Enforcement::Optional).await;
    let mut all = Vec::new();
    for number in 0..users {
        all.push(app.enrol(&format!("user-{number}")).await);
    }
    let mut early = None;
    for hour in 1..=hours {
        for _ in 0..ROUNDS {
            server.advance(PAUSE).await;
            futures_util::stream::iter(&all).for_each_concurrent(AT_ONCE, log_in).await;
        }
        let size = Size::of(&server).await;
        println!("hour {hour}, {} logins: {size}", hour * ROUNDS * users);
        if hour == FULL {
            early = Some(size);
        } else if let Some(early) = &early {
            size.assert_is_no_more_than(early);
        }
    }
}
