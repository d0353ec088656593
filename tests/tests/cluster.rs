//! Several servers over one database: what counts once counts once over all of them, and a database that is away is away for a while.

use std::path::Path;

use futures_util::stream::{self, StreamExt as _};
use sidekey_tests::cluster::Postgres;
use sidekey_tests::{Answer, Enforcement, Fleet, Server, User, command, json, settings};

/// Requests that race at once.
const PARALLEL: usize = 60;

/// Servers over a new database.
async fn cluster(postgres: &Postgres, size: usize) -> Fleet {
    Fleet::start(&postgres.database(), size, &[]).await
}

fn path(path: &Path) -> &str {
    path.to_str().expect("the temporary folder's name is UTF-8")
}

async fn verify(server: &Server, session: &str, code: &str) -> Answer {
    server.post("/2fa/verify/").json(json!({"session_id": session, "code": code})).await
}

/// Users, and sessions of each: 50 and 200, unless `SIDEKEY_CLUSTER_USERS` and `SIDEKEY_CLUSTER_SESSIONS` say otherwise.
fn size() -> (usize, usize) {
    let number = |variable, usual: u64| {
        usize::try_from(settings::number(variable).unwrap_or(usual)).expect("a small number")
    };
    (number("SIDEKEY_CLUSTER_USERS", 50), number("SIDEKEY_CLUSTER_SESSIONS", 200))
}

/// New sessions of a user, opened on the servers in turn.
async fn open(servers: &[Server], user: &User<'_>, count: usize) -> Vec<String> {
    let body = || json!({"user_id": user.id, "account_name": format!("{}@example.com", user.id)});
    let opened = (0..count).map(|index| {
        let server = &servers[index % servers.len()];
        async move {
            let answer = server.post("/2fa/sessions/").bearer(&user.app.key).json(body()).await.expect(201);
            answer.text("session_id")
        }
    });
    stream::iter(opened).buffer_unordered(PARALLEL).collect().await
}

#[tokio::test]
async fn of_one_code_in_sessions_on_all_servers_one_is_accepted() {
    let cluster = cluster(Postgres::of_process(), 3).await;
    let app = cluster.servers[0].app(Enforcement::Optional).await;
    let (users, sessions) = size();
    let mut total = 0;
    for number in 0..users {
        let user = app.enrol(&format!("user-{number}")).await;
        let opened = open(&cluster.servers, &user, sessions).await;
        // The step after that of the furthest clock: right on every server, also when a step begins meanwhile.
        let code = user.phone.code_of(cluster.step().await + 1);
        // In an order other than that of the opening, so that a session is mostly answered elsewhere.
        let answers = opened.iter().enumerate().map(|(index, session)| {
            let server = &cluster.servers[(index / 2) % cluster.servers.len()];
            verify(server, session, &code)
        });
        let answers: Vec<Answer> = stream::iter(answers).buffer_unordered(PARALLEL).collect().await;
        let accepted = answers.iter().filter(|answer| answer.status == 200).count();
        let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(accepted, 1, "{statuses:?}");
        assert!(statuses.iter().all(|status| [200, 400, 429].contains(status)), "{statuses:?}");
        total += accepted;
    }
    assert_eq!(total, users);
    println!("{users} users with {sessions} sessions each: {total} successes");
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
    let again = async || Some(verify(server, &session, &code).await).filter(|answer| answer.status != 503);
    // The first attempt never reached the database, so the code is good.
    server.eventually("the server goes on", again).await.ok();
    verify(server, &session, &code).await.refused(409, "SESSION_ALREADY_VERIFIED");
}

#[tokio::test]
async fn no_command_makes_a_second_store_beside_the_database() {
    let cluster = cluster(Postgres::of_process(), 1).await;
    let data = cluster.servers[0].data().to_owned();
    drop(cluster.servers);
    let made = command::run(["app", "create", "--name", "Example", "--data", path(&data)]).await.failed(2);
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
