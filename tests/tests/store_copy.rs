//! `sidekey store copy`: the store moves to a database and back, and whatever breaks off, and when, what counts once counts once.

use std::path::{Path, PathBuf};

use sidekey_tests::cluster::Postgres;
use sidekey_tests::command::{Finished, run};
use sidekey_tests::{Answer, Authenticator, Enforcement, Options, Server, json};
use tempfile::TempDir;

fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().to_str().expect("UTF-8").to_string()
}

/// A place for data folders, with a master key and a new database.
struct Scene {
    folder: TempDir,
    database: String,
}

impl Scene {
    async fn new() -> Self {
        let folder = TempDir::new().expect("a folder can be made");
        run(["keys", "generate", "--out", &text(folder.path().join("master.key"))]).await.ok();
        Self { folder, database: Postgres::of_process().database() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn options(&self, name: &str, more: &[&str]) -> Options {
        let key = text(self.path("master.key"));
        let own = ["--master-key-file", &key, "--public-url", "http://127.0.0.1:8080"];
        let arguments = own.iter().chain(more).map(|argument| (*argument).to_owned()).collect();
        Options { arguments, data: Some(self.path(name)), ..Options::default() }
    }

    fn on_sled(&self, name: &str) -> Result<Server, String> {
        Server::try_with(self.options(name, &["--store-engine", "sled"])).map_err(|(_, log)| log)
    }

    fn on_postgres(&self, name: &str) -> Result<Server, String> {
        let more = ["--store-engine", "postgres", "--store-url", &self.database];
        Server::try_with(self.options(name, &more)).map_err(|(_, log)| log)
    }

    async fn store(&self, arguments: &[&str], data: &str) -> Finished {
        let (data, key) = (text(self.path(data)), text(self.path("master.key")));
        let database = ["--store-url", &self.database, "--development", "--master-key-file", &key];
        run([&["store"], arguments, &["--data", &data, "--json"], &database].concat()).await
    }

    async fn to_postgres(&self, data: &str) -> Finished {
        self.store(&["copy", "--from", "sled", "--to", "postgres"], data).await
    }

    async fn to_sled(&self, data: &str) -> Finished {
        self.store(&["copy", "--from", "postgres", "--to", "sled"], data).await
    }

    fn sql(&self, sql: &str) -> String {
        let name = self.database.rsplit('=').next().expect("the database has a name");
        Postgres::of_process().run_sql(name, sql)
    }

    /// From now on the database fails where a statement meets this condition, on rows of a table that may not be there yet.
    fn fails_where(&self, table: &str, condition: &str) {
        self.sql(&format!(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF {condition} THEN RAISE EXCEPTION 'the test has had enough'; END IF; RETURN NEW; END $$;
             CREATE FUNCTION arm() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF to_regclass('{table}') IS NOT NULL AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'refuse') THEN
                     CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse();
                 END IF; END $$;
             CREATE EVENT TRIGGER arm ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION arm();
             CREATE TABLE IF NOT EXISTS to_be_armed (); DROP TABLE to_be_armed;"
        ));
    }

    fn fails_no_more(&self) {
        self.sql("DROP EVENT TRIGGER IF EXISTS arm; DROP FUNCTION IF EXISTS refuse() CASCADE; DROP FUNCTION IF EXISTS arm()");
    }
}

/// A user, and what they hold, on whatever server.
struct Ann {
    api_key: String,
    phone: Authenticator,
    backup_codes: Vec<String>,
    refresh: String,
}

impl Ann {
    async fn enrolled(server: &Server) -> Self {
        let app = server.app(Enforcement::Optional).await;
        let mut user = app.enrol("ann").await;
        user.sign_in().await;
        Self {
            api_key: user.app.key.clone(),
            phone: user.phone,
            backup_codes: user.backup_codes,
            refresh: user.refresh,
        }
    }

    async fn challenge(&self, server: &Server) -> String {
        let opened = server.post("/2fa/sessions/").bearer(&self.api_key).json(json!({"user_id": "ann"}));
        opened.await.expect(201).text("session_id")
    }

    async fn answer(&self, server: &Server, session: &str, code: &str) -> Answer {
        server.post("/2fa/verify/").json(json!({"session_id": session, "code": code})).await
    }

    async fn sign_in(&mut self, server: &Server) {
        let session = self.challenge(server).await;
        let code = self.phone.fresh_code(server).await;
        self.answer(server, &session, &code).await.ok();
    }

    /// What she used already is refused on this server, also in a session from before.
    async fn has_used(&self, server: &Server, before: &str, backup_code: &str) {
        let session = self.challenge(server).await;
        self.answer(server, &session, &self.phone.used_code()).await.expect(400);
        self.answer(server, before, &self.phone.used_code()).await.expect(409);
        let body = json!({"session_id": session, "backup_code": backup_code});
        server.post("/2fa/verify/backup/").json(body).await.expect(400);
    }
}

/// The entries of the trail, and how many a check of everything has found; it has found nothing wrong.
async fn trail(server: &Server) -> (Vec<String>, u64) {
    let entries = server.audit(&[]).await.lines().map(str::to_owned).collect();
    let found = server.command(["verify"]).await;
    assert_eq!(found["findings"], json!([]), "{found}");
    (entries, found["tally"]["audit_entries"].as_u64().expect("a number"))
}

#[tokio::test]
async fn a_store_moves_to_a_database_while_it_is_served_and_back_and_nothing_counts_twice() {
    let scene = Scene::new().await;
    let server = scene.on_sled("first").expect("it starts");
    let mut ann = Ann::enrolled(&server).await;
    let (answered, open) = (ann.challenge(&server).await, ann.challenge(&server).await);
    let code = ann.phone.fresh_code(&server).await;
    ann.answer(&server, &answered, &code).await.ok();
    let backup_code = ann.backup_codes.remove(0);
    let with_backup = ann.challenge(&server).await;
    let body = json!({"session_id": with_backup, "backup_code": backup_code});
    server.post("/2fa/verify/backup/").json(body).await.ok();

    let would =
        scene.store(&["copy", "--from", "sled", "--to", "postgres", "--dry-run"], "first").await.ok().json();
    let before = trail(&server).await;
    let copied = scene.to_postgres("first").await.ok().json();
    assert_eq!((&would["records"], &would["audit_entries"]), (&copied["records"], &copied["audit_entries"]));
    assert_eq!(copied["audit_entries"], before.1);
    assert_eq!((&copied["accounts"], &copied["was_complete"]), (&json!(1), &json!(false)), "{copied}");
    let stopped = server.stop();
    assert!(stopped.status.success() && stopped.log.contains("moves to a database"), "{}", stopped.log);
    let refused = scene.on_sled("first").map(drop).expect_err("it has moved");
    assert!(refused.contains("has moved to a database"), "{refused}");
    let refused = scene.on_postgres("first").map(drop).expect_err("the folder is only a keepsake");
    assert!(refused.contains("there is a store in"), "{refused}");
    for command in ["verify", "migrate"] {
        let refused = run([command, "--data", &text(scene.path("first"))]).await.failed(1);
        assert!(refused.stderr.contains("has moved to a database"), "{refused:?}");
    }
    scene.to_postgres("first").await.failed(1);

    let servers =
        [scene.on_postgres("one").expect("it starts"), scene.on_postgres("two").expect("it starts")];
    // Servers in development mode note that they made keys of their own.
    let after = trail(&servers[0]).await;
    assert!(before.0.iter().all(|entry| after.0.contains(entry)), "{after:?}");
    ann.has_used(&servers[0], &answered, &backup_code).await;
    let code = ann.phone.fresh_code(&servers[1]).await;
    ann.answer(&servers[1], &open, &code).await.ok();
    let refresh = json!({"refresh_token": ann.refresh});
    servers[1].post("/2fa/token/refresh/").json(refresh.clone()).await.ok();

    let refused = scene.to_postgres("one").await.failed(1);
    assert!(refused.stderr.contains("is in a database"), "{refused:?}");

    let waits = ann.challenge(&servers[0]).await;
    let next = ann.phone.fresh_code(&servers[0]).await;
    let copied = scene.to_sled("second").await.ok().json();
    assert_eq!((&copied["from"], &copied["accounts"]), (&json!("postgres"), &json!(1)));
    // Servers that still run on the database decide nothing, and a new one does not start.
    ann.answer(&servers[0], &waits, &next).await.refused(503, "UNAVAILABLE");
    let refused = scene.on_postgres("three").map(drop).expect_err("it has moved");
    assert!(refused.contains("has moved to a data folder"), "{refused}");
    scene.to_sled("third").await.failed(1);
    drop(servers);

    let server = scene.on_sled("second").expect("it starts");
    let last = trail(&server).await;
    assert!(after.0.iter().all(|entry| last.0.contains(entry)), "{last:?}");
    assert!(Some(last.1) >= copied["audit_entries"].as_u64() && last.1 > after.1);
    ann.answer(&server, &open, &code).await.expect(409);
    // It was refused above by a server that could not judge it, so it is good, once.
    ann.answer(&server, &waits, &next).await.ok();
    ann.has_used(&server, &waits, &backup_code).await;
    server.post("/2fa/token/refresh/").json(refresh).await.expect(401);
    ann.sign_in(&server).await;
}

#[tokio::test]
async fn a_copy_to_a_database_that_breaks_off_is_taken_back_or_repeated() {
    let scene = Scene::new().await;
    let server = scene.on_sled("data").expect("it starts");
    let mut ann = Ann::enrolled(&server).await;
    drop(server.stop());
    let before = run(["verify", "--data", &text(scene.path("data")), "--json"]).await.ok().json();

    // In the middle of the records, and in the moment in which the database is to serve them.
    for (table, condition) in [("audit", "true"), ("about", "NEW.tables > 0")] {
        scene.fails_where(table, condition);
        scene.to_postgres("data").await.failed(1);
        let refused = scene.on_sled("data").map(drop).expect_err("it is being moved");
        assert!(refused.contains("is being moved to a database"), "{refused}");
        let refused = scene.on_postgres("other").map(drop).expect_err("it is not whole");
        assert!(refused.contains("is being filled"), "{refused}");
        scene.fails_no_more();
        if table == "about" {
            let data = text(scene.path("data"));
            let refused = run(["store", "undo", "--data", &data]).await.failed(2);
            assert!(refused.stderr.contains("--store-url"), "only the database knows: {refused:?}");
        }
        let back = scene.store(&["undo"], "data").await.ok().json();
        assert_eq!(back, json!({"served_from": "sled"}));
        let server = scene.on_sled("data").expect("it is served again");
        ann.sign_in(&server).await;
        drop(server.stop());
    }
    scene.store(&["undo"], "data").await.failed(2);

    scene.fails_where("about", "NEW.tables > 0");
    scene.to_postgres("data").await.failed(1);
    scene.fails_no_more();
    // What the folder does not have goes, what is old is replaced.
    scene.sql("INSERT INTO record SELECT '\\x02ff', version, value FROM record LIMIT 1; DELETE FROM audit WHERE key = (SELECT key FROM audit ORDER BY key DESC LIMIT 1)");
    let elsewhere = Postgres::of_process().database();
    let other = Scene { folder: TempDir::new().expect("a folder can be made"), database: elsewhere };
    let (data, key) = (text(scene.path("data")), text(scene.path("master.key")));
    let elsewhere =
        ["--store-url", &other.database, "--development", "--master-key-file", &key, "--data", &data];
    let refused = run([&["store", "copy", "--from", "sled", "--to", "postgres"], &elsewhere[..]].concat())
        .await
        .failed(2);
    assert!(refused.stderr.contains("not the database"), "{refused:?}");
    let copied = scene.to_postgres("data").await.ok().json();
    assert!(copied["audit_entries"].as_u64() > before["tally"]["audit_entries"].as_u64(), "{copied}");
    scene.store(&["undo"], "data").await.failed(1);
    let server = scene.on_postgres("other").expect("it starts");
    assert!(Some(trail(&server).await.1) >= copied["audit_entries"].as_u64());
    ann.sign_in(&server).await;
}

#[tokio::test]
async fn a_copy_to_a_folder_that_breaks_off_is_taken_back_or_repeated() {
    let scene = Scene::new().await;
    let server = scene.on_postgres("one").expect("it starts");
    let mut ann = Ann::enrolled(&server).await;
    let session = ann.challenge(&server).await;
    let code = ann.phone.fresh_code(&server).await;
    scene.fails_where("about", "NEW.tables = -3");
    scene.to_sled("data").await.failed(1);
    let refused = scene.on_sled("data").map(drop).expect_err("the database has not let it go");
    assert!(refused.contains("is being moved here from a database"), "{refused}");
    ann.answer(&server, &session, &code).await.refused(503, "UNAVAILABLE");
    server.readyz_says(503).await;
    let back = scene.store(&["undo"], "data").await.ok().json();
    assert_eq!(back, json!({"served_from": "postgres"}));
    // The same process goes on.
    server.readyz_says(200).await;
    ann.answer(&server, &session, &code).await.ok();
    let refused = scene.on_sled("data").map(drop).expect_err("it is served from the database");
    assert!(refused.contains("is being moved here"), "{refused}");

    scene.to_sled("data").await.failed(1);
    scene.fails_no_more();
    // What it has begun itself is not in its way.
    let dry = ["copy", "--from", "postgres", "--to", "sled", "--dry-run"];
    assert_eq!(scene.store(&dry, "data").await.ok().json()["dry_run"], json!(true));
    let copied = scene.to_sled("data").await.ok().json();
    drop(server);
    let found = run(["verify", "--data", &text(scene.path("data")), "--json"]).await.ok().json();
    assert_eq!(found["tally"]["audit_entries"], copied["audit_entries"]);
    let server = scene.on_sled("data").expect("it starts");
    ann.answer(&server, &session, &code).await.expect(409);
    ann.sign_in(&server).await;
}

#[tokio::test]
async fn nothing_that_is_there_is_replaced() {
    let scene = Scene::new().await;
    let served = scene.on_postgres("one").expect("it starts");
    drop(scene.on_sled("data").expect("it starts").stop());
    let refused = scene.to_postgres("data").await.failed(2);
    assert!(refused.stderr.contains("the database is not empty (there is a store)"), "{refused:?}");
    let refused = scene.to_sled("data").await.failed(2);
    assert!(refused.stderr.contains("is not empty"), "{refused:?}");
    // Neither has begun anything.
    served.get("/readyz").await.ok();
    drop(scene.on_sled("data").expect("it starts"));

    let other = Scene { database: Postgres::of_process().database(), folder: scene.folder };
    other.sql("CREATE TABLE theirs (id integer)");
    let refused = other.to_postgres("data").await.failed(2);
    assert!(refused.stderr.contains("`public.theirs`"), "{refused:?}");
}

#[tokio::test]
async fn a_backup_of_either_engine_is_restored_into_either_and_begins_a_new_epoch() {
    let scene = Scene::new().await;
    let server = scene.on_sled("data").expect("it starts");
    let mut ann = Ann::enrolled(&server).await;
    let open = ann.challenge(&server).await;
    let key = text(scene.path("master.key"));
    let back_up = async |data: &str, out: &str| {
        let (data, out) = (text(scene.path(data)), text(scene.path(out)));
        run(["backup", "--data", &data, "--out", &out, "--master-key-file", &key]).await.ok();
    };
    let into_database = async |from: &str, database: &str| {
        let from = text(scene.path(from));
        let options = ["--from", &from, "--master-key-file", &key, "--development", "--json"];
        let database = ["--store-engine", "postgres", "--store-url", database];
        run([&["restore"], &options[..], &database[..]].concat()).await
    };
    back_up("data", "of-sled").await;
    drop(server);
    let restored = into_database("of-sled", &scene.database).await.ok().json();
    assert_eq!((&restored["accounts"], &restored["secrets"]), (&json!(1), &json!(1)), "{restored}");
    let refused = into_database("of-sled", &scene.database).await.failed(2);
    assert!(refused.stderr.contains("the database is not empty"), "{refused:?}");

    let server = scene.on_postgres("one").expect("it starts");
    // Whatever may have been used since the backup counts as used.
    let session = ann.challenge(&server).await;
    ann.answer(&server, &session, &ann.phone.used_code()).await.expect(400);
    ann.answer(&server, &open, &ann.phone.used_code()).await.expect(404);
    let body = json!({"session_id": session, "backup_code": ann.backup_codes[0]});
    server.post("/2fa/verify/backup/").json(body).await.expect(400);
    server.post("/2fa/token/refresh/").json(json!({"refresh_token": ann.refresh})).await.expect(401);
    server.advance(90).await;
    ann.sign_in(&server).await;
    let (entries, _) = trail(&server).await;
    assert!(entries.iter().any(|entry| entry.contains("restored")), "{entries:?}");

    back_up("one", "of-postgres").await;
    drop(server);
    let second = Postgres::of_process().database();
    into_database("of-postgres", &second).await.ok();
    let (from, to) = (text(scene.path("of-postgres")), text(scene.path("folder")));
    run(["restore", "--from", &from, "--data", &to, "--master-key-file", &key]).await.ok();
    let server = scene.on_sled("folder").expect("it starts");
    trail(&server).await;
    let session = ann.challenge(&server).await;
    ann.answer(&server, &session, &ann.phone.used_code()).await.expect(400);
}
