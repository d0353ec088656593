//! A primary with a synchronous standby: killed under load and the standby promoted, and what happens while the standby is away.

use futures_util::future::join_all;
use sidekey_tests::cluster::Postgres;
use sidekey_tests::settings::{number, seed};
use sidekey_tests::{Enforcement, Fleet};

use super::removals::Removals;
use super::{Ann, is_whole};
use crate::load::{Load, Random, World};

const SERVERS: usize = 3;
/// Requests at once.
const AT_ONCE: usize = 12;

/// The address of a database on either of two database servers.
fn on_both(database: &str, standby: &Postgres) -> String {
    let (primary, rest) = database.split_once(' ').expect("a host, then the rest");
    format!("{primary},{} {rest}", standby.folder().display())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_kept_when_the_standby_is_promoted() {
    let promotions = number("SIDEKEY_PROMOTIONS").unwrap_or(3);
    let seed = seed("SIDEKEY_CRASH_SEED");
    let mut random = Random::new(seed);
    let mut primary = Postgres::durable(&[], Vec::new());
    let mut standby = primary.standby();
    let fleet = Fleet::start(&on_both(&primary.database(), &standby), SERVERS, &[]).await;
    let pids: Vec<u32> = fleet.servers.iter().map(sidekey_tests::Server::pid).collect();
    let key = fleet.servers[0].app(Enforcement::Required).await.key;
    let (mut load, mut removals) = (Load::new(random.fork()), Removals::default());
    let (mut reached, mut changes, mut accounts, mut replays) = (0, 0, 0, 0);
    for promotion in 0..=promotions {
        let world = World::new(&fleet.servers, &key, reached).await;
        removals.check(&fleet.servers[0], &key).await;
        let report = load.check(&world, promotion == promotions).await;
        assert!(
            report.findings.is_empty(),
            "seed {seed}, after promotion {promotion}: {:#?}",
            report.findings
        );
        (accounts, replays) = (accounts + report.accounts, replays + report.replays);
        if promotion == promotions {
            break;
        }
        let removing = removals.begin(&fleet.servers, &key);
        let until = random.between(100, 500);
        let (old, new) = (&primary, &standby);
        let handover = async || {
            tokio::task::block_in_place(|| {
                old.kill();
                new.promote();
            });
            fleet.is_ready().await;
        };
        let report = load.run_until(world, until, handover).await;
        assert!(
            report.findings.is_empty(),
            "seed {seed}, before promotion {promotion}: {:#?}",
            report.findings
        );
        (reached, changes) = (report.reached, changes + report.acknowledged);
        removals.end(removing).await;
        std::mem::swap(&mut primary, &mut standby);
        // The old primary's disk is lost; a new standby takes its place.
        tokio::task::block_in_place(|| standby.follow(&primary));
    }
    println!(
        "{promotions} promotions, {changes} changes, {accounts} accounts checked, {replays} codes replayed in their window, {} \
         devices removed",
        removals.count()
    );
    assert!(replays > 0, "no replay could tell anything");
    assert!(removals.count() > 0, "no device was removed");
    let same: Vec<u32> = fleet.servers.iter().map(sidekey_tests::Server::pid).collect();
    assert_eq!(pids, same, "no server was started again");
    is_whole(&fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_only_the_primary_has_is_not_told_and_is_lost_with_it() {
    let primary = Postgres::durable(&[], Vec::new());
    let standby = primary.standby();
    let fleet = Fleet::start(&on_both(&primary.database(), &standby), 1, &[]).await;
    let server = &fleet.servers[0];
    let ann = Ann::enrolled(server).await;
    standby.crash();
    ann.verify(server, 0).await.refused(503, "UNAVAILABLE");
    primary.kill();
    standby.start_again();
    standby.promote();
    fleet.is_ready().await;
    ann.code_is_good(server).await;
    is_whole(&fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_waits_for_the_standby_counts_as_soon_as_it_is_back() {
    let primary = Postgres::durable(&[], Vec::new());
    let standby = primary.standby();
    let fleet = Fleet::start(&on_both(&primary.database(), &standby), 1, &[]).await;
    let server = &fleet.servers[0];
    let ann = Ann::enrolled(server).await;
    standby.crash();
    ann.verify(server, 0).await.refused(503, "UNAVAILABLE");
    standby.start_again();
    primary.has_synchronous_standby();
    fleet.is_ready().await;
    ann.code_is_used(server).await;
    is_whole(&fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_waits_for_its_standby_is_not_ready() {
    let primary = Postgres::durable(&[], Vec::new());
    let standby = primary.standby();
    let fleet = Fleet::start(&primary.database(), 1, &[]).await;
    let server = &fleet.servers[0];
    let ann = Ann::enrolled(server).await;
    // Nothing but the login waits to be written.
    is_whole(&fleet).await;
    standby.crash();
    ann.verify(server, 0).await.refused(503, "UNAVAILABLE");
    fleet.is_not_ready().await;
    standby.start_again();
    primary.has_synchronous_standby();
    fleet.is_ready().await;
    ann.code_is_used(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_hangs_is_left_for_the_one_that_was_promoted() {
    let primary = Postgres::durable(&[], Vec::new());
    let standby = primary.standby();
    let fleet = Fleet::start(&on_both(&primary.database(), &standby), 1, &[]).await;
    let server = &fleet.servers[0];
    let ann = Ann::enrolled(server).await;
    // Several connections that nobody uses while the primary hangs.
    join_all((0..AT_ONCE).map(|_| ann.status(server, 0))).await;
    let frozen = primary.freeze();
    ann.verify(server, 0).await.refused(503, "UNAVAILABLE");
    fleet.is_not_ready().await;
    standby.promote();
    fleet.is_ready().await;
    ann.code_is_good(server).await;
    // It knows nothing of that login, and takes connections again, old ones and new ones.
    drop(frozen);
    for _ in 0..5 {
        let told = join_all((0..AT_ONCE).map(|_| ann.status(server, 0))).await;
        assert_eq!(told, ["verified"; AT_ONCE], "nothing is read from the one that was left");
    }
    is_whole(&fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_primary_has_is_not_told_after_its_crash_either() {
    let primary = Postgres::durable(&[], Vec::new());
    let standby = primary.standby();
    let fleet = Fleet::start(&on_both(&primary.database(), &standby), 1, &[]).await;
    let server = &fleet.servers[0];
    let ann = Ann::enrolled(server).await;
    standby.crash();
    ann.verify(server, 0).await.refused(503, "UNAVAILABLE");
    // Recovery makes visible what was written here and has reached nobody else.
    primary.restart();
    let path = format!("/2fa/sessions/{}/", ann.sessions[0]);
    for _ in 0..20 {
        let told = server.get(&path).bearer(&ann.key).await;
        assert_ne!(told["status"], "verified", "the host application would let her in: {told}");
    }
    primary.kill();
    standby.start_again();
    standby.promote();
    fleet.is_ready().await;
    ann.code_is_good(server).await;
}
