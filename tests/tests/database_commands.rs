//! Commands on a store in a database: beside the servers, and when none runs.

use std::fs;
use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use sidekey_tests::cluster::Postgres;
use sidekey_tests::command::{self, Finished};
use sidekey_tests::{Enforcement, Fleet, Server, Value, json};
use tempfile::TempDir;

/// What makes tables of version 1 of those of version 2.
const DOWN: &str =
    "ALTER TABLE lead DROP COLUMN holder, DROP COLUMN until; DROP TABLE pulse; UPDATE about SET tables = 1";

/// The settings of a server, as its operator has them: a file, and nothing else.
struct Operator {
    folder: TempDir,
    file: PathBuf,
}

impl Operator {
    /// Of a server of a fleet. The data folder is another one that is not there, as on a machine of the operator's own.
    fn of(server: &Server, database: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let key = server.data().with_file_name("master.key");
        let (file, url) = (folder.path().join("sidekey.toml"), folder.path().join("store.url"));
        let data = folder.path().join("nowhere");
        let (data, key, shown) = (data.display(), key.display(), url.display());
        let settings = format!(
            "data = \"{data}\"\nmaster_key_file = \"{key}\"\ndevelopment = true\n\
             [store]\nengine = \"postgres\"\nurl_file = \"{shown}\"\n"
        );
        fs::write(&file, settings).expect("the file can be written");
        fs::write(url, database).expect("the file can be written");
        Self { folder, file }
    }

    async fn run(&self, arguments: &[&str]) -> Finished {
        let all = arguments.iter().copied().chain(["--config", path(&self.file)]);
        command::run(all).await
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--json"]].concat()).await.ok().json()
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("the temporary folder's name is UTF-8")
}

/// The name in an address of [`Postgres::database`].
fn name(database: &str) -> &str {
    database.rsplit('=').next().expect("the address ends with it")
}

#[tokio::test]
async fn of_several_migrations_at_once_all_succeed_and_a_newer_store_is_refused() {
    let postgres = Postgres::of_process();
    let database = postgres.database();
    let cluster = Fleet::start(&database, 1, &[]).await;
    let operator = Operator::of(&cluster.servers[0], &database);
    drop(cluster.servers);
    let told = operator.run(&["migrate"]).await.ok();
    assert!(told.stdout.contains("there is nothing to do"), "{told:?}");

    postgres.run_sql(name(&database), DOWN);
    let refused = operator.run(&["verify"]).await.failed(1);
    assert!(refused.stderr.contains("run `sidekey migrate`"), "{}", refused.stderr);
    let all = join_all((0..6).map(|_| operator.json(&["migrate"]))).await;
    let from: Vec<_> = all.iter().map(|told| told["from"].as_i64()).collect();
    assert!(all.iter().all(|told| told["to"] == 2), "{all:?}");
    assert_eq!(from.iter().filter(|from| **from == Some(1)).count(), 1, "{from:?}");

    postgres.run_sql(name(&database), "UPDATE about SET tables = 3");
    let refused = operator.run(&["migrate"]).await.failed(1);
    assert!(refused.stderr.contains("install the newer version"), "{}", refused.stderr);
    postgres.run_sql(name(&database), "UPDATE about SET tables = 2");
    operator.run(&["verify"]).await.ok();
}

#[tokio::test]
async fn what_an_operator_does_needs_no_server_and_stands_beside_one() {
    let database = Postgres::of_process().database();
    let cluster = Fleet::start(&database, 1, &[]).await;
    let server = &cluster.servers[0];
    let app = server.app(Enforcement::Optional).await;
    app.enrol("ann").await;
    let app = app.id.clone();
    let operator = Operator::of(server, &database);
    // Beside the server, which is of another folder.
    let report = operator.json(&["verify"]).await;
    assert_eq!(
        (&report["findings"], &report["with_key"], &report["tally"]["secrets"]),
        (&json!([]), &json!(true), &json!(1)),
        "{report}"
    );
    let made = operator.json(&["app", "create", "--name", "Second"]).await;
    let key = made["api_key"].as_str().expect("an API key");
    let body = json!({"user_id": "bea", "account_name": "bea@example.com"});
    server.post("/2fa/sessions/").bearer(key).json(body).await.expect(201);

    let told = operator.run(&["doctor", "--json"]).await.json();
    let found = |check: &str| {
        let mut findings = told["findings"].as_array().expect("a list").iter();
        findings.find(|finding| finding["check"] == check).map(|finding| finding["level"].clone())
    };
    assert_eq!(found("database"), Some(json!("good")), "{told}");
    assert_eq!(found("clock of the database"), Some(json!("good")), "{told}");
    assert_eq!(found("standby"), Some(json!("warning")), "it has none: {told}");

    drop(cluster.servers);
    let trail = operator.run(&["audit", "--json"]).await.ok().stdout;
    for event in ["device_confirmed", "app_created"] {
        assert!(trail.contains(event), "{trail}");
    }
    let export = operator.folder.path().join("audit.jsonl");
    operator.run(&["audit", "--with-hashes", "--out", path(&export)]).await.ok();
    command::run(["audit", "check", path(&export)]).await.ok();
    operator.run(&["admin", "list"]).await.ok();
    operator.run(&["outbox", "status"]).await.ok();
    operator.run(&["keys", "list-jwt"]).await.ok();

    let backup = operator.folder.path().join("sidekey.backup");
    operator.run(&["backup", "--out", path(&backup)]).await.ok();
    let key_file = operator.folder.path().join("export.key");
    command::run(["keys", "generate", "--out", path(&key_file)]).await.ok();
    let users = operator.folder.path().join("users.export");
    let users = ["export", "--app", &app, "--out", path(&users), "--export-key-file", path(&key_file)];
    operator.run(&users).await.ok();
    assert!(!operator.folder.path().join("nowhere").exists(), "no data folder was made");
    let new = operator.folder.path().join("new");
    let moved = ["store", "copy", "--from", "postgres", "--to", "sled", "--dry-run", "--data", path(&new)];
    assert_eq!(operator.json(&moved).await["dry_run"], true);
}

#[tokio::test]
async fn a_database_without_a_store_and_one_of_another_folder_are_refused() {
    let postgres = Postgres::of_process();
    let (database, empty) = (postgres.database(), postgres.database());
    let cluster = Fleet::start(&database, 1, &[]).await;
    let data = cluster.servers[0].data().to_owned();
    let of_empty = Operator::of(&cluster.servers[0], &empty);
    let of_other = Operator::of(&cluster.servers[0], &database);
    drop(cluster.servers);
    for arguments in [&["verify"][..], &["migrate"], &["app", "create", "--name", "Shop"]] {
        let refused = of_empty.run(arguments).await;
        assert!(refused.stderr.contains("the first server that starts makes it"), "{refused:?}");
    }
    assert_eq!(
        postgres.run_sql(name(&empty), "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"),
        "0"
    );

    // The folder remembers which store it is of, and the mark alone says that it is in a database.
    let another = postgres.database();
    drop(Fleet::start(&another, 1, &[]).await);
    let url = of_other.folder.path().join("another.url");
    fs::write(&url, &another).expect("the file can be written");
    let arguments = ["verify", "--development", "--data", path(&data), "--store-url-file", path(&url)];
    let refused = command::run(arguments).await.failed(2);
    assert!(refused.stderr.contains("emptied or replaced"), "{}", refused.stderr);
    let verified =
        command::run(["verify", "--data", path(&data)].into_iter().chain(["--config", path(&of_other.file)]));
    verified.await.ok();
}
