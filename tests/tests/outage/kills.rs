//! Servers are killed (SIGKILL) under load and started again, while others go on.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::stream::{self, StreamExt as _};
use sidekey_tests::cluster::Postgres;
use sidekey_tests::settings::{number, seed};
use sidekey_tests::{App, Authenticator, Enforcement, Fleet, Server, Value, json};
use tokio::sync::Notify;

use super::is_whole;
use crate::load::{Load, Random, World};

const SERVERS: usize = 3;
/// Requests that race at once.
const PARALLEL: usize = 60;
/// In every so manyth user's race a server is killed.
const KILL_EVERY: usize = 5;

fn setting(variable: &str, usual: u64) -> usize {
    usize::try_from(number(variable).unwrap_or(usual)).expect("a small number")
}

/// A user with a phone and sessions to answer.
struct Contest {
    user: String,
    phone: Authenticator,
    sessions: Vec<String>,
}

impl Contest {
    async fn new(servers: &[Server], app: &App<'_>, user: &str, count: usize) -> Self {
        let phone = app.enrol(user).await.phone;
        let opened = (0..count).map(|index| open(&servers[index % servers.len()], &app.key, user));
        let sessions = stream::iter(opened).buffer_unordered(PARALLEL).collect().await;
        Self { user: user.to_owned(), phone, sessions }
    }
}

async fn open(server: &Server, key: &str, user: &str) -> String {
    let body = json!({"user_id": user, "account_name": format!("{user}@example.com")});
    server.post("/2fa/sessions/").bearer(key).json(body).await.expect(201).text("session_id")
}

/// An answer's status and code, if there is one.
async fn try_verify(
    client: &reqwest::Client,
    address: &str,
    session: &str,
    code: &str,
) -> Option<(u16, String)> {
    let body = json!({"session_id": session, "code": code});
    let answer = client.post(format!("http://{address}/2fa/verify/")).json(&body).send().await.ok()?;
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.ok()?;
    Some((status, body["code"].as_str().unwrap_or_default().to_owned()))
}

/// The sessions in which the code was accepted, as far as that was told. With a threshold, one of the servers is killed as soon
/// as so many answers are in, and whoever got none asks again what has taken its place.
async fn race(fleet: &mut Fleet, contest: &Contest, code: &str, kill: Option<(usize, usize)>) -> Vec<usize> {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client can be made");
    let addresses: Vec<String> = fleet.servers.iter().map(|server| server.address().to_owned()).collect();
    let (count, more) = (AtomicUsize::new(0), Notify::new());
    let answers = stream::iter(contest.sessions.iter().enumerate()).map(|(index, session)| {
        let address = &addresses[(index / 2) % addresses.len()];
        let (client, count, more) = (&client, &count, &more);
        async move {
            let answer = try_verify(client, address, session, code).await;
            count.fetch_add(1, Ordering::SeqCst);
            more.notify_one();
            (index, answer)
        }
    });
    let answers = answers.buffer_unordered(PARALLEL).collect::<Vec<_>>();
    let killed = async {
        let Some((victim, threshold)) = kill else { return };
        while count.load(Ordering::SeqCst) < threshold {
            more.notified().await;
        }
        fleet.crash(victim).await;
    };
    let (answers, ()) = tokio::join!(answers, killed);
    let mut accepted = Vec::new();
    for (index, answer) in answers {
        let answer = match (answer, kill) {
            (Some(answer), _) => answer,
            (None, Some((victim, _))) => {
                let address = fleet.servers[victim].address();
                let again = try_verify(&client, address, &contest.sessions[index], code).await;
                again.expect("a server that has started again answers")
            }
            (None, None) => panic!("no answer, though no server was killed"),
        };
        match (answer.0, &*answer.1) {
            (200, _) => accepted.push(index),
            // The last one where the success was not told.
            (_, "INVALID_CODE" | "ACCOUNT_THROTTLED" | "SESSION_ALREADY_VERIFIED") => {}
            _ => panic!("{}: {answer:?}", contest.user),
        }
    }
    accepted
}

/// The sessions that are verified, whether that was told or not.
async fn verified(server: &Server, key: &str, sessions: &[String]) -> Vec<usize> {
    let asked = sessions.iter().enumerate().map(|(index, session)| async move {
        let state = server.get(&format!("/2fa/sessions/{session}/")).bearer(key).await.ok();
        (state["status"] == "verified").then_some(index)
    });
    stream::iter(asked).buffer_unordered(PARALLEL).filter_map(async |index| index).collect().await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_one_code_one_answer_is_a_success_while_servers_are_killed() {
    let (users, sessions) = (setting("SIDEKEY_CLUSTER_USERS", 50), setting("SIDEKEY_CLUSTER_SESSIONS", 200));
    let mut random = Random::new(seed("SIDEKEY_CRASH_SEED"));
    let mut fleet = Fleet::start(&Postgres::of_process().database(), SERVERS, &[]).await;
    let App { id, key, key_id, .. } = fleet.servers[0].app(Enforcement::Optional).await;
    let (mut told, mut kills) = (0, 0);
    for number in 0..users {
        let app = App { server: &fleet.servers[0], id: id.clone(), key: key.clone(), key_id: key_id.clone() };
        let contest = Contest::new(&fleet.servers, &app, &format!("user-{number}"), sessions).await;
        let code = contest.phone.code_of(fleet.step().await + 1);
        let kill = (number % KILL_EVERY == 0).then(|| {
            let victim = usize::try_from(random.between(0, SERVERS as u64)).expect("few");
            // Mostly early, where the right answer is decided.
            (victim, usize::try_from(random.between(0, sessions as u64 / 3 + 1)).expect("few"))
        });
        let accepted = race(&mut fleet, &contest, &code, kill).await;
        let verified = verified(&fleet.servers[number % SERVERS], &key, &contest.sessions).await;
        // Two of the servers were always there, so that somebody got in; the success itself may not have been told.
        assert_eq!(verified.len(), 1, "{}: verified {verified:?}, told {accepted:?}", contest.user);
        assert!(accepted.len() <= 1 && accepted.iter().all(|index| verified.contains(index)), "{accepted:?}");
        assert!(kill.is_some() || accepted.len() == 1, "nothing failed, and nobody was told");
        for server in &fleet.servers {
            let session = open(server, &key, &contest.user).await;
            let body = json!({"session_id": session, "code": code});
            let again = server.post("/2fa/verify/").json(body).await;
            let refusal = again["code"].as_str().unwrap_or_default();
            assert!(["INVALID_CODE", "ACCOUNT_THROTTLED"].contains(&refusal), "{again}");
        }
        told += accepted.len();
        kills += usize::from(kill.is_some());
    }
    println!("{users} users with {sessions} sessions each, {kills} servers killed: {told} successes told");
    assert!(told <= users);
    is_whole(&fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_kept_while_servers_are_killed() {
    let kills = setting("SIDEKEY_KILLS", 5);
    let seed = seed("SIDEKEY_CRASH_SEED");
    let mut random = Random::new(seed);
    let mut fleet = Fleet::start(&Postgres::of_process().database(), SERVERS, &[]).await;
    let key = fleet.servers[0].app(Enforcement::Required).await.key;
    let mut load = Load::new(random.fork());
    let (mut reached, mut changes, mut accounts, mut replays) = (0, 0, 0, 0);
    for kill in 0..=kills {
        let world = World::new(&fleet.servers, &key, reached).await;
        let report = load.check(&world, kill == kills).await;
        assert!(report.findings.is_empty(), "seed {seed}, after kill {kill}: {:#?}", report.findings);
        (accounts, replays) = (accounts + report.accounts, replays + report.replays);
        if kill == kills {
            break;
        }
        let victim = usize::try_from(random.between(0, SERVERS as u64)).expect("few");
        let until = random.between(50, 300);
        let report = load.run_until(world, until, async || fleet.crash(victim).await).await;
        assert!(report.findings.is_empty(), "seed {seed}, before kill {kill}: {:#?}", report.findings);
        (reached, changes) = (report.reached, changes + report.acknowledged);
    }
    println!(
        "{kills} kills, {changes} changes, {accounts} accounts checked, {replays} codes replayed in their window"
    );
    assert!(replays > 0, "no replay could tell anything");
    is_whole(&fleet).await;
}
