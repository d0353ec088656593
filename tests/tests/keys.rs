//! Keys that follow one another: master keys, and those that sign access tokens. No login may notice.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use futures_util::StreamExt as _;
use sidekey_tests::command::{Finished, run, sidekey};
use sidekey_tests::{Enforcement, Options, Server, User, Value, json, jwt};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// How long verifiers keep the key set, and how long an access token lives, in seconds.
const JWKS_MAX_AGE: u64 = 300;
const TOKEN_LIFE: u64 = 900;

/// A server whose master key lies in a file of its own, and the folder of that file.
struct Fixture {
    server: Server,
    folder: TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        run(["keys", "generate", "--out", &file_in(&folder)]).await.ok();
        Self { server: start(&folder).unwrap_or_else(|log| panic!("{log}")), folder }
    }

    fn file(&self) -> String {
        file_in(&self.folder)
    }

    fn data(&self) -> String {
        data_in(&self.folder)
    }

    async fn keys<const N: usize>(&self, arguments: [&str; N]) -> Finished {
        let (file, data) = (self.file(), self.data());
        let filled = arguments.map(|argument| match argument {
            "FILE" => file.as_str(),
            "DATA" => data.as_str(),
            other => other,
        });
        run(["keys"].into_iter().chain(filled)).await
    }

    /// Puts a new key first, and gives its id.
    async fn add(&self) -> String {
        let added = self.keys(["add", "--file", "FILE", "--json"]).await.ok().json();
        added["keys"][0]["key_id"].as_str().expect("an id").to_string()
    }

    /// The ids in the key file.
    async fn listed(&self) -> Vec<String> {
        let listed = self.keys(["list", "--file", "FILE", "--json"]).await.ok().json();
        let keys = listed["keys"].as_array().expect("a list");
        keys.iter().map(|key| key["key_id"].as_str().expect("an id").to_string()).collect()
    }

    async fn rotate(&self) -> Value {
        self.rotation().await.pop().expect("a line")
    }

    /// What a rotation prints, line by line.
    async fn rotation(&self) -> Vec<Value> {
        lines(&self.keys(["rotate", "--data", "DATA", "--master-key-file", "FILE", "--json"]).await.ok())
    }
}

fn file_in(folder: &TempDir) -> String {
    folder.path().join("master.key").to_str().expect("UTF-8").to_string()
}

fn data_in(folder: &TempDir) -> String {
    folder.path().join("data").to_str().expect("UTF-8").to_string()
}

fn start(folder: &TempDir) -> Result<Server, String> {
    let options = Options {
        arguments: vec!["--master-key-file".into(), file_in(folder)],
        data: Some(data_in(folder).into()),
        ..Options::default()
    };
    Server::try_with(options).map_err(|(_, log)| log)
}

/// Lines tell how far it is, and the last one what came of it.
fn lines(finished: &Finished) -> Vec<Value> {
    let lines = finished.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let lines: Vec<Value> = lines.collect();
    let (_, before) = lines.split_last().expect("a line");
    assert!(before.iter().all(|line| line["done"].is_u64() && line["total"].is_u64()), "{lines:?}");
    lines
}

fn last_line(finished: &Finished) -> Value {
    lines(finished).pop().expect("a line")
}

fn keep_only(file: &str, id: &str) {
    let text = std::fs::read_to_string(file).expect("the key file");
    let line = text.lines().find(|line| line.contains(&format!(":{id}:"))).expect("the key");
    std::fs::write(file, format!("{line}\n")).expect("written");
}

async fn users(server: &Server, count: usize) -> Vec<User<'_>> {
    let app = server.app(Enforcement::Optional).await;
    let mut users = Vec::new();
    for number in 0..count {
        users.push(app.enrol(&format!("user-{number}")).await);
    }
    users
}

#[tokio::test]
async fn master_keys_rotate_while_users_sign_in_and_the_old_one_can_go() {
    let mut fixture = Fixture::new().await;
    let old = fixture.listed().await.remove(0);
    let mut users = users(&fixture.server, 4).await;
    let new = fixture.add().await;
    assert_eq!(fixture.listed().await, [new.clone(), old.clone()]);
    let mode = std::fs::metadata(fixture.file()).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let refused = fixture.keys(["drop", &old, "--file", "FILE", "--data", "DATA"]).await.failed(1);
    assert!(refused.stderr.contains(&old) && refused.stderr.contains("keys rotate"), "{refused:?}");
    assert_eq!(fixture.listed().await.len(), 2);

    let sign_in = async {
        for user in &mut users {
            user.sign_in().await;
        }
    };
    let (rotated, ()) = tokio::join!(fixture.rotate(), sign_in);
    assert_eq!((&rotated["key_id"], &rotated["unused"]), (&json!(new), &json!([old])));
    assert!(rotated["resealed"].as_u64().is_some_and(|records| records >= 3), "{rotated}");
    assert_eq!(fixture.rotate().await["resealed"], 0, "a second run has nothing to do");

    fixture.keys(["drop", &old, "--file", "FILE", "--data", "DATA"]).await.ok();
    assert_eq!(fixture.listed().await, std::slice::from_ref(&new));
    for user in &mut users {
        user.sign_in().await;
        assert!(
            user.answer_with_backup(&user.challenge().await, &user.backup_codes[0].clone()).await.status
                == 200
        );
    }
    let (mut phones, keys): (Vec<_>, Vec<_>) =
        users.into_iter().map(|user| (user.phone, user.app.key)).unzip();
    fixture.server = fixture.server.restart();
    for (number, phone) in phones.iter_mut().enumerate() {
        let body = json!({"user_id": format!("user-{number}")});
        let opened = fixture.server.post("/2fa/sessions/").bearer(&keys[number]).json(body).await.expect(201);
        let code = phone.fresh_code(&fixture.server).await;
        let answer = json!({"session_id": opened.text("session_id"), "code": code});
        fixture.server.post("/2fa/verify/").json(answer).await.ok();
    }
}

#[tokio::test]
async fn the_key_that_seals_is_not_dropped_and_nor_is_one_that_is_not_there() {
    let fixture = Fixture::new().await;
    let only = fixture.listed().await.remove(0);
    let refused = fixture.keys(["drop", &only, "--file", "FILE", "--data", "DATA"]).await.failed(2);
    assert!(refused.stderr.contains("keys add"), "{refused:?}");
    let refused = fixture.keys(["drop", "00000000", "--file", "FILE", "--data", "DATA"]).await.failed(2);
    assert!(refused.stderr.contains("has no key `00000000`"), "{refused:?}");
    fixture.keys(["drop", "nonsense", "--file", "FILE", "--data", "DATA"]).await.failed(2);
    // The server goes on sealing with a key that was taken out of the front of the file by hand.
    let new = fixture.add().await;
    fixture.rotate().await;
    let other = fixture.add().await;
    let refused = fixture.keys(["drop", &new, "--file", "FILE", "--data", "DATA"]).await.failed(1);
    assert!(refused.stderr.contains("seals with"), "{refused:?}");
    assert_eq!(fixture.listed().await, [other, new, only]);
}

#[tokio::test]
async fn master_keys_rotate_without_a_server_too() {
    let fixture = Fixture::new().await;
    let user = users(&fixture.server, 1).await.remove(0);
    let (mut phone, key) = (user.phone.clone(), user.app.key.clone());
    let Fixture { server, folder } = fixture;
    server.stop();
    let (file, data) = (file_in(&folder), data_in(&folder));
    run(["keys", "add", "--file", &file]).await.ok();
    let rotate = ["keys", "rotate", "--data", &data];
    let refused = run(rotate).await.failed(2);
    assert!(refused.stderr.contains("--master-key-file"), "{refused:?}");
    let done = run(rotate.into_iter().chain(["--master-key-file", &file])).await.ok();
    assert!(done.stdout.contains("sidekey keys drop"), "{done:?}");
    let old = done.stdout.split("keys drop ").nth(1).and_then(|rest| rest.get(..8)).expect("an id");
    run(["keys", "drop", old, "--file", &file, "--data", &data]).await.ok();
    let server = start(&folder).unwrap_or_else(|log| panic!("{log}"));
    let opened =
        server.post("/2fa/sessions/").bearer(&key).json(json!({"user_id": "user-0"})).await.expect(201);
    let code = phone.fresh_code(&server).await;
    let answer = json!({"session_id": opened.text("session_id"), "code": code});
    server.post("/2fa/verify/").json(answer).await.ok();
}

#[tokio::test]
async fn a_start_with_a_key_missing_is_refused_by_its_id() {
    let fixture = Fixture::new().await;
    let old = fixture.listed().await.remove(0);
    drop(users(&fixture.server, 1).await);
    let new = fixture.add().await;
    // A restart takes the new key into use; what is sealed from now on needs it.
    let fixture = Fixture { server: fixture.server.restart(), ..fixture };
    drop(users(&fixture.server, 1).await);
    let refused = fixture.keys(["drop", &old, "--file", "FILE", "--data", "DATA"]).await.failed(1);
    assert!(refused.stderr.contains("values are sealed with it"), "{refused:?}");
    let whole = std::fs::read_to_string(fixture.file()).expect("the key file");
    let Fixture { server, folder } = fixture;
    server.stop();
    for (kept, missing) in [(&old, &new), (&new, &old)] {
        std::fs::write(file_in(&folder), &whole).expect("written");
        keep_only(&file_in(&folder), kept);
        let log = start(&folder).err().expect("a key is missing");
        assert!(log.contains(&format!("`{missing}`")) && log.contains(&format!("`{kept}`")), "{log}");
    }
    std::fs::write(file_in(&folder), &whole).expect("written");
    start(&folder).unwrap_or_else(|log| panic!("{log}"));
}

/// So many users whose first device waits for its code: each one a record with a sealed secret, made quickly.
async fn pending_users(server: &Server, count: usize) {
    let app = server.app(Enforcement::Required).await;
    let made = futures_util::stream::iter(0..count).for_each_concurrent(50, async |number| {
        let token = app.setup_token(&format!("pending-{number}")).await;
        server.post("/2fa/setup/").bearer(&token).json(json!({})).await.ok();
    });
    made.await;
}

/// Waits until a rotation is in the middle of sealing anew, or has ended.
async fn in_the_middle(rotation: &mut tokio::process::Child) {
    let mut lines = BufReader::new(rotation.stdout.take().expect("it is piped")).lines();
    while let Some(line) = lines.next_line().await.expect("text") {
        let line: Value = serde_json::from_str(&line).expect("JSON");
        if line["done"].as_u64() > Some(0) && line["done"].as_u64() < line["total"].as_u64() {
            return;
        }
    }
}

#[tokio::test]
async fn a_crash_in_the_middle_loses_nothing_and_the_next_run_goes_on() {
    let mut fixture = Fixture::new().await;
    let mut phones: Vec<_> =
        users(&fixture.server, 2).await.into_iter().map(|user| (user.phone, user.app.key)).collect();
    pending_users(&fixture.server, 1_500).await;
    let mut went_on = 0;
    for _ in 0..4 {
        let new = fixture.add().await;
        let (file, data) = (fixture.file(), fixture.data());
        let mut rotation = sidekey(["keys", "rotate", "--data", &data, "--master-key-file", &file, "--json"]);
        rotation.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null());
        let mut rotation = rotation.spawn().expect("the binary can be started");
        in_the_middle(&mut rotation).await;
        let killed =
            std::process::Command::new("kill").args(["-9", &fixture.server.pid().to_string()]).status();
        assert!(killed.is_ok_and(|status| status.success()));
        // It was cut short, or had come to its end meanwhile.
        let _ = rotation.wait().await;
        let Fixture { server, folder } = fixture;
        fixture = Fixture { server: server.crash(), folder };
        let lines = fixture.rotation().await;
        assert_eq!(lines.last().expect("a line")["key_id"], json!(new));
        // One that begins anew counts first, and knows no total then.
        went_on += usize::from(lines[0]["total"].as_u64() > Some(0));
        for (number, (phone, key)) in phones.iter_mut().enumerate() {
            let body = json!({"user_id": format!("user-{number}")});
            let opened = fixture.server.post("/2fa/sessions/").bearer(key).json(body).await.expect(201);
            let code = phone.fresh_code(&fixture.server).await;
            let answer = json!({"session_id": opened.text("session_id"), "code": code});
            fixture.server.post("/2fa/verify/").json(answer).await.ok();
        }
    }
    assert!(went_on > 0, "no crash fell into the middle");
}

#[tokio::test]
async fn a_running_server_does_not_take_up_keys_that_do_not_fit() {
    let fixture = Fixture::new().await;
    let mut user = users(&fixture.server, 1).await.remove(0);
    let whole = std::fs::read(fixture.file()).expect("the key file");
    let other = fixture.folder.path().join("other.key").to_str().expect("UTF-8").to_string();
    run(["keys", "generate", "--out", &other]).await.ok();
    let data = fixture.data();
    let refused = run(["keys", "rotate", "--data", &data, "--master-key-file", &other]).await.failed(1);
    assert!(refused.stderr.contains("comes first"), "{refused:?}");
    for bad in ["", "nonsense"] {
        std::fs::write(fixture.file(), bad).expect("written");
        let refused = run(["keys", "rotate", "--data", &data]).await.failed(1);
        assert!(refused.stderr.contains("could not read a master key"), "{refused:?}");
        user.sign_in().await;
    }
    std::fs::copy(&other, fixture.file()).expect("copied");
    let refused = run(["keys", "rotate", "--data", &data]).await.failed(1);
    assert!(refused.stderr.contains("wrong master key"), "{refused:?}");
    user.sign_in().await;
    std::fs::write(fixture.file(), whole).expect("written");
    run(["keys", "rotate", "--data", &data]).await.ok();
    user.sign_in().await;
}

#[tokio::test]
async fn development_keys_rotate_as_well() {
    let server = Server::start();
    let mut user = users(&server, 1).await.remove(0);
    let data = server.data().to_str().expect("UTF-8");
    let file = Path::new(data).join("development-master.key");
    let file = file.to_str().expect("UTF-8");
    let added = run(["keys", "add", "--file", file, "--json"]).await.ok().json();
    let rotated = last_line(&run(["keys", "rotate", "--data", data, "--json"]).await.ok());
    assert_eq!(rotated["key_id"], added["keys"][0]["key_id"]);
    user.sign_in().await;
}

async fn published(server: &Server) -> Vec<String> {
    let answer = server.get("/.well-known/jwks.json").await.ok();
    assert_eq!(answer.header("cache-control"), format!("public, max-age={JWKS_MAX_AGE}"));
    let keys = answer["keys"].as_array().expect("a list");
    keys.iter().map(|key| key["kid"].as_str().expect("a kid").to_string()).collect()
}

async fn phases(server: &Server) -> Vec<(String, String)> {
    let listed = server.command(["keys", "list-jwt"]).await;
    let text = |key: &Value, name: &str| key[name].as_str().expect("text").to_string();
    let keys = listed["keys"].as_array().expect("a list");
    keys.iter().map(|key| (text(key, "kid"), text(key, "phase"))).collect()
}

fn kid(token: &str) -> String {
    jwt::header(token)["kid"].as_str().expect("a kid").to_string()
}

#[tokio::test]
async fn tokens_verify_in_every_phase_of_a_rotation_of_signing_keys() {
    let server = Server::start();
    let mut user = users(&server, 1).await.remove(0);
    let app = user.app.id.clone();
    let before = user.sign_in().await.text("access_token");
    let old = kid(&before);

    server.command(["keys", "rotate-jwt"]).await;
    let keys = published(&server).await;
    let new = keys.iter().find(|key| **key != old).expect("the next key is published").clone();
    assert_eq!(keys.len(), 2);
    let state = |kid: &String, phase: &str| (kid.clone(), phase.to_string());
    assert_eq!(phases(&server).await, [state(&old, "signing"), state(&new, "next")]);
    assert_eq!(kid(&user.sign_in().await.text("access_token")), old, "verifiers do not know the new key yet");

    // A verifier that keeps the key set from before for as long as it may never meets an unknown key.
    server.advance(JWKS_MAX_AGE).await;
    let after = user.sign_in().await.text("access_token");
    assert_eq!(kid(&after), new);
    assert_eq!(phases(&server).await, [state(&old, "retired"), state(&new, "signing")]);
    for token in [&before, &after] {
        jwt::verified(&server, token, &app).await;
        server.get("/2fa/devices/").bearer(token).await.ok();
    }

    server.advance(TOKEN_LIFE).await;
    server.get("/2fa/devices/").bearer(&before).await.refused(401, "AUTH_REQUIRED");
    let fresh = user.sign_in().await.text("access_token");
    server.advance(60).await;
    assert_eq!(
        published(&server).await,
        std::slice::from_ref(&new),
        "the old key is gone once its last token is over"
    );
    jwt::verified(&server, &fresh, &app).await;
    server.get("/2fa/devices/").bearer(&fresh).await.ok();
}

#[tokio::test]
async fn a_rotation_of_signing_keys_survives_a_crash() {
    // The port changes with the restart, and the issuer must not.
    let arguments = ["--public-url", "http://localhost:1"].map(String::from).to_vec();
    let server = Server::with(Options { arguments, ..Options::default() });
    let user = users(&server, 1).await.remove(0);
    let token = user.access.clone();
    server.command(["keys", "rotate-jwt", "--overlap", "600"]).await;
    let (keys, before) = (published(&server).await, phases(&server).await);
    let server = server.crash();
    assert_eq!((published(&server).await, phases(&server).await), (keys, before));
    server.get("/2fa/devices/").bearer(&token).await.ok();
    server.stop();
}

#[tokio::test]
async fn signing_keys_rotate_one_at_a_time_and_never_without_overlap() {
    let server = Server::start();
    let data = server.data().to_str().expect("UTF-8");
    for overlap in ["0", "299", "99999999"] {
        let refused = run(["keys", "rotate-jwt", "--data", data, "--overlap", overlap]).await.failed(1);
        assert!(refused.stderr.contains("300"), "{refused:?}");
    }
    let told = run(["keys", "rotate-jwt", "--data", data]).await.ok();
    assert!(told.stdout.contains("signs until") && told.stdout.contains("signs from"), "{told:?}");
    let refused = run(["keys", "rotate-jwt", "--data", data]).await.failed(1);
    assert!(refused.stderr.contains("under way"), "{refused:?}");
    assert_eq!(published(&server).await.len(), 2);
    server.advance(JWKS_MAX_AGE).await;
    server.command(["keys", "rotate-jwt"]).await;
    assert_eq!(published(&server).await.len(), 3);
}

#[tokio::test]
async fn signing_keys_rotate_without_a_server_too() {
    let fixture = Fixture::new().await;
    let first = published(&fixture.server).await;
    let (file, data) = (fixture.file(), fixture.data());
    let Fixture { server, folder } = fixture;
    server.stop();
    run(["keys", "rotate-jwt", "--data", &data, "--master-key-file", &file]).await.ok();
    let listed = run(["keys", "list-jwt", "--data", &data, "--json"]).await.ok().json();
    assert_eq!(listed["keys"].as_array().map(Vec::len), Some(2));
    let server = start(&folder).unwrap_or_else(|log| panic!("{log}"));
    let both = published(&server).await;
    assert!(both.len() == 2 && both.contains(&first[0]), "{both:?}");
}
