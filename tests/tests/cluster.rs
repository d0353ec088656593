//! Several servers over one database: what counts once counts once over all of them, and a database that is away is away for a while.

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use sidekey_tests::cluster::Postgres;
use sidekey_tests::{Answer, Enforcement, Options, Server, command, json, settings};
use tempfile::TempDir;

/// Requests that race at once.
const PARALLEL: usize = 60;

/// Servers that share a database and a master key, each with a data folder of its own.
struct Cluster {
    servers: Vec<Server>,
    _folder: TempDir,
}

async fn cluster(postgres: &Postgres, size: usize) -> Cluster {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let key = folder.path().join("master.key");
    command::run(["keys", "generate", "--out", path(&key)]).await.ok();
    let database = postgres.database();
    let options = || Options {
        arguments: [
            ["--store-engine", "postgres"],
            ["--store-url", &database],
            ["--master-key-file", path(&key)],
            // One address for browsers and in tokens, as behind a load balancer.
            ["--public-url", "http://127.0.0.1:8080"],
        ]
        .concat()
        .into_iter()
        .map(str::to_owned)
        .collect(),
        data: Some(folder.path().join(format!("data-{}", rand_name()))),
        ..Options::default()
    };
    // At once, so that each of them finds the others at their start.
    let starts = (0..size).map(|_| {
        let options = options();
        tokio::task::spawn_blocking(move || Server::with(options))
    });
    let servers =
        join_all(starts).await.into_iter().map(|server| server.expect("the server has started")).collect();
    Cluster { servers, _folder: folder }
}

fn rand_name() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

fn path(path: &Path) -> &str {
    path.to_str().expect("the temporary folder's name is UTF-8")
}

async fn verify(server: &Server, session: &str, code: &str) -> Answer {
    server.post("/2fa/verify/").json(json!({"session_id": session, "code": code})).await
}

#[tokio::test]
async fn of_one_code_in_sessions_on_all_servers_one_is_accepted() {
    let cluster = cluster(Postgres::of_process(), 3).await;
    let app = cluster.servers[0].app(Enforcement::Optional).await;
    let number = |variable, usual: u64| {
        usize::try_from(settings::number(variable).unwrap_or(usual)).expect("a small number")
    };
    let (users, sessions) = (number("SIDEKEY_CLUSTER_USERS", 6), number("SIDEKEY_CLUSTER_SESSIONS", 40));
    for number in 0..users {
        let user = app.enrol(&format!("user-{number}")).await;
        let opened = stream::iter(0..sessions).map(|_| user.challenge()).buffer_unordered(PARALLEL);
        let opened: Vec<String> = opened.collect().await;
        // Within the enrolment's step plus one: right on every server, whatever the development clock of the first one was moved by.
        let code = user.phone.code_of(cluster.servers[0].step().await + 1);
        for server in &cluster.servers[1..] {
            let behind = cluster.servers[0].now().await.saturating_sub(server.now().await);
            server.advance(behind).await;
        }
        let answers = opened.iter().enumerate().map(|(index, session)| {
            let server = &cluster.servers[index % cluster.servers.len()];
            verify(server, session, &code)
        });
        let answers: Vec<Answer> = stream::iter(answers).buffer_unordered(PARALLEL).collect().await;
        let accepted = answers.iter().filter(|answer| answer.status == 200).count();
        let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(accepted, 1, "{statuses:?}");
        assert!(statuses.iter().all(|status| [200, 400, 429].contains(status)), "{statuses:?}");
    }
}

#[tokio::test]
async fn what_one_server_gave_out_counts_on_the_others() {
    let cluster = cluster(Postgres::of_process(), 2).await;
    let [one, other] = &cluster.servers[..] else { unreachable!("two servers") };
    let app = one.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let devices = other.get("/2fa/devices/").bearer(&user.access).await.ok();
    assert_eq!(devices["has_2fa_enabled"], true, "one key signs for both");
    let refresh = json!({"refresh_token": user.refresh});
    let fresh = other.post("/2fa/token/refresh/").json(refresh.clone()).await.ok();
    one.post("/2fa/token/refresh/").json(json!({"refresh_token": fresh.text("refresh_token")})).await.ok();
    let keys = |server: &Server| server.get("/.well-known/jwks.json");
    assert_eq!(keys(one).await.ok()["keys"], keys(other).await.ok()["keys"]);
    let trail = other.get("/2fa/activity/").bearer(&user.access).await.ok();
    assert!(trail["activity"].as_array().is_some_and(|entries| entries.len() >= 3), "{trail}");
    let found = other.command(["verify"]).await;
    assert_eq!(found["findings"], json!([]), "{found}");
}

#[tokio::test]
async fn a_database_that_is_away_is_503_and_the_server_goes_on_when_it_is_back() {
    let postgres = Postgres::start();
    let cluster = cluster(&postgres, 1).await;
    let server = &cluster.servers[0];
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let session = user.challenge().await;
    let code = user.fresh_code().await;
    postgres.crash();
    let refused = verify(server, &session, &code).await.refused(503, "UNAVAILABLE");
    assert!(refused.retry_after() > 0);
    server.get("/healthz").await.ok();
    postgres.start_again();
    let again = async {
        loop {
            let answer = verify(server, &session, &code).await;
            if answer.status != 503 {
                break answer;
            }
        }
    };
    // The first attempt never reached the database, so the code is good.
    tokio::time::timeout(Duration::from_mins(1), again).await.expect("the server goes on").ok();
    verify(server, &session, &code).await.refused(409, "SESSION_ALREADY_VERIFIED");
}

#[tokio::test]
async fn no_command_makes_a_second_store_beside_the_database() {
    let cluster = cluster(Postgres::of_process(), 1).await;
    let data = cluster.servers[0].data().to_owned();
    drop(cluster.servers);
    let made = command::run(["app", "create", "--name", "Example", "--data", path(&data)]).await.failed(1);
    assert!(made.stderr.contains("in a database"), "{}", made.stderr);
    assert!(!data.join("sled").exists());
}

#[tokio::test]
async fn an_address_with_a_password_and_a_plain_connection_to_elsewhere_are_mistakes() {
    let check = async |arguments: &[&str]| {
        let all = ["config", "check", "--development", "--store-engine", "postgres"];
        command::run(all.into_iter().chain(arguments.iter().copied())).await
    };
    let refused = check(&["--store-url", "postgres://a:hunter2@db.example/b"]).await.failed(2);
    assert!(
        refused.stderr.contains("--store-url-file") && !refused.stderr.contains("hunter2"),
        "{refused:?}"
    );
    check(&["--store-url", "postgres://a@db.example/b", "--store-tls", "disable"]).await.failed(2);
    check(&[]).await.failed(2);
    check(&["--store-url", "postgres://a@db.example/b"]).await.ok();
}
