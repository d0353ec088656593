//! Backup, verify, restore and migrate, at the command line and over HTTP: what may have been used since a backup does not
//! count again after it was restored.

use std::path::Path;

use sidekey_tests::command::{Finished, run};
use sidekey_tests::folder::copy_folder;
use sidekey_tests::{Enforcement, Options, Server, User, json};
use tempfile::TempDir;

fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().to_str().expect("UTF-8").to_string()
}

/// A server on this data folder that is sealed with the master key in this file.
fn on(data: &Path, key: &Path) -> Server {
    let arguments = vec!["--master-key-file".to_string(), text(key)];
    Server::with(Options { arguments, data: Some(data.to_owned()), ..Options::default() })
}

struct Folders {
    folder: TempDir,
}

impl Folders {
    fn new() -> Self {
        Self { folder: TempDir::new().expect("a folder can be made") }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// The key of a server in development mode, which lies beside its data.
    fn key(&self) -> std::path::PathBuf {
        self.path("data").join("development-master.key")
    }

    fn start(&self) -> Server {
        Server::with(Options { data: Some(self.path("data")), ..Options::default() })
    }

    async fn command(&self, name: &str, arguments: &[&str]) -> Finished {
        let key = text(self.key());
        let all = [&[name, "--master-key-file", &key], arguments].concat();
        run(all).await
    }

    async fn back_up(&self, to: &str) -> Finished {
        let (data, out) = (text(self.path("data")), text(self.path(to)));
        self.command("backup", &["--data", &data, "--out", &out]).await
    }

    async fn restore(&self, from: &str, to: &str) -> Finished {
        let (from, to) = (text(self.path(from)), text(self.path(to)));
        self.command("restore", &["--from", &from, "--data", &to]).await
    }

    async fn verify(&self, data: &str) -> Finished {
        self.command("verify", &["--data", &text(self.path(data))]).await
    }
}

/// What a user and a thief still have of the server that is lost.
struct Remains {
    api_key: String,
    phone: sidekey_tests::Authenticator,
    step: u64,
    open_session: String,
    access: String,
    refresh: String,
    used_backup_code: String,
    unused_backup_code: String,
}

/// Ann enrols, a backup is made, and she signs in twice before everything is lost.
async fn lost_after_a_backup(folders: &Folders) -> Remains {
    let server = folders.start();
    let app = server.app(Enforcement::Required).await;
    let mut ann: User<'_> = app.enrol("ann").await;
    let step = server.next_step().await;
    let (session, open_session) = (ann.challenge().await, ann.challenge().await);
    let made = folders.back_up("backup").await.ok();
    assert!(made.stdout.contains("has been read back"), "{made:?}");

    let code = ann.fresh_code().await;
    assert_eq!(code, ann.phone.code_of(step), "the code of the step of the backup");
    let answer = ann.answer(&session, &code).await.ok();
    (ann.access, ann.refresh) = (answer.text("access_token"), answer.text("refresh_token"));
    let session = ann.challenge().await;
    ann.answer_with_backup(&session, &ann.backup_codes[0]).await.ok();
    let remains = Remains {
        api_key: app.key.clone(),
        step,
        open_session,
        access: ann.access.clone(),
        refresh: ann.refresh.clone(),
        used_backup_code: ann.backup_codes[0].clone(),
        unused_backup_code: ann.backup_codes[1].clone(),
        phone: ann.phone.clone(),
    };
    // Killed.
    drop(server);
    remains
}

async fn challenge(server: &Server, api_key: &str) -> String {
    let opened =
        server.post("/2fa/sessions/").bearer(api_key).json(json!({"user_id": "ann"})).await.expect(201);
    assert!(opened["requires_2fa"] == true && !opened.has("requires_enrollment"), "{opened}");
    opened.text("session_id")
}

#[tokio::test]
async fn nothing_that_was_used_since_the_backup_counts_again() {
    let folders = Folders::new();
    let mut remains = lost_after_a_backup(&folders).await;
    let restored = folders.restore("backup", "new").await.ok();
    for part in [
        "1 account with 1 secret",
        "Backup codes are all gone",
        "sign in again",
        "API keys that were revoked",
    ] {
        assert!(restored.stdout.contains(part), "{restored:?}");
    }
    let server = on(&folders.path("new"), &folders.key());
    let state = server.get("/2fa/users/ann/").bearer(&remains.api_key).await.ok();
    assert_eq!((state["devices"].as_u64(), state["backup_codes_remaining"].as_u64()), (Some(1), Some(0)));

    // What the lost server gave out is dead.
    let code = remains.phone.code_of(remains.step);
    let answer = json!({"session_id": remains.open_session, "code": code});
    server.post("/2fa/verify/").json(answer).await.refused(404, "SESSION_NOT_FOUND");
    server.get("/2fa/devices/").bearer(&remains.access).await.refused(401, "AUTH_REQUIRED");
    let refresh = json!({"refresh_token": remains.refresh});
    server.post("/2fa/token/refresh/").json(refresh).await.refused(401, "AUTH_REQUIRED");

    // The code that signed Ann in after the backup, and one that may have come a step early.
    let session = challenge(&server, &remains.api_key).await;
    for step in [remains.step, remains.step + 1] {
        let answer = json!({"session_id": session, "code": remains.phone.code_of(step)});
        server.post("/2fa/verify/").json(answer).await.refused(400, "INVALID_CODE");
    }
    for code in [&remains.used_backup_code, &remains.unused_backup_code] {
        let answer = json!({"session_id": session, "backup_code": code});
        server.post("/2fa/verify/backup/").json(answer).await.refused(400, "INVALID_CODE");
    }

    // A later step works, and everything goes on.
    server.advance(60).await;
    let answer = json!({"session_id": session, "code": remains.phone.fresh_code(&server).await});
    let access = server.post("/2fa/verify/").json(answer).await.ok().text("access_token");
    server.get("/2fa/devices/").bearer(&access).await.ok();
    assert_eq!(server.stop().status.code(), Some(0));
    assert!(folders.verify("new").await.ok().stdout.contains("Nothing is damaged"));
}

#[tokio::test]
async fn a_backup_is_made_with_a_running_server_and_without_one_and_nothing_is_replaced() {
    let folders = Folders::new();
    let server = folders.start();
    let app = server.app(Enforcement::Optional).await;
    app.enrol("ann").await;
    let api_key = app.key.clone();
    folders.back_up("online").await.ok();
    let again = folders.back_up("online").await.failed(1);
    assert!(again.stderr.contains("exists already"), "{again:?}");
    assert!(folders.verify("data").await.ok().stdout.contains("Nothing is damaged"));
    server.stop();
    folders.back_up("offline").await.ok();
    assert!(folders.verify("data").await.ok().stdout.contains("1 account with 1 secret,"));
    for (backup, data) in [("online", "one"), ("offline", "two")] {
        folders.restore(backup, data).await.ok();
        let server = on(&folders.path(data), &folders.key());
        assert_eq!(server.get("/2fa/users/ann/").bearer(&api_key).await.ok()["has_2fa_enabled"], true);
    }
    let twice = folders.restore("offline", "two").await.failed(2);
    assert!(twice.stderr.contains("is not empty"), "{twice:?}");
}

#[tokio::test]
async fn a_damaged_backup_and_another_key_restore_nothing() {
    let folders = Folders::new();
    drop(folders.start());
    folders.back_up("backup").await.ok();
    let bytes = std::fs::read(folders.path("backup")).expect("readable");
    std::fs::write(folders.path("short"), &bytes[..bytes.len() - 40]).expect("written");
    let mut flipped = bytes;
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    std::fs::write(folders.path("flipped"), flipped).expect("written");
    for (name, damage) in
        [("short", "cut short"), ("flipped", "damaged in chunk"), ("nothing", "cannot be opened")]
    {
        let refused = folders.restore(name, "new").await.failed(1);
        assert!(refused.stderr.contains(damage), "{refused:?}");
    }
    let other = text(folders.path("other.key"));
    run(["keys", "generate", "--out", &other]).await.ok();
    let (from, to) = (text(folders.path("backup")), text(folders.path("new")));
    let refused =
        run(["restore", "--from", &from, "--data", &to, "--master-key-file", &other]).await.failed(2);
    assert!(refused.stderr.contains("wrong master key"), "{refused:?}");
    let refused = run(["restore", "--from", &from, "--data", &to]).await.failed(2);
    assert!(refused.stderr.contains("--master-key-file"), "{refused:?}");
    assert!(!folders.path("new").exists());
}

#[tokio::test]
async fn a_lost_tail_is_refused_at_start_and_by_verify_with_the_way_out() {
    let folders = Folders::new();
    let server = folders.start();
    let app = server.app(Enforcement::Required).await;
    app.enrol("ann").await;
    let api_key = app.key.clone();
    server.stop();
    copy_folder(&folders.path("data").join("sled"), &folders.path("older"));
    let server = folders.start();
    server.post("/2fa/sessions/").bearer(&api_key).json(json!({"user_id": "bob"})).await.expect(201);
    server.stop();
    std::fs::remove_dir_all(folders.path("data").join("sled")).expect("removed");
    copy_folder(&folders.path("older"), &folders.path("data").join("sled"));

    let start = ["serve", "--development", "--listen", "127.0.0.1:0", "--data", &text(folders.path("data"))]
        .map(String::from);
    let refused = run(start).await.failed(1);
    let verified = folders.verify("data").await.failed(1);
    let file = text(folders.path("data").join("head"));
    for stream in [&refused.stderr, &verified.stdout] {
        assert!(stream.contains(&file) && stream.contains("that the database has lost"), "{stream}");
    }
    for stream in [&refused.stderr, &verified.stderr] {
        assert!(stream.contains("sidekey restore --from BACKUP --data NEW_FOLDER"), "{stream}");
    }
}

#[tokio::test]
async fn a_store_of_this_version_needs_no_migration() {
    let folders = Folders::new();
    let server = folders.start();
    let data = text(folders.path("data"));
    let refused = folders.command("migrate", &["--data", &data]).await.failed(1);
    assert!(refused.stderr.contains("in use by another server"), "{refused:?}");
    server.stop();
    let told = folders.command("migrate", &["--data", &data]).await.ok();
    assert!(told.stdout.contains("nothing to do"), "{told:?}");
    let told = folders.command("migrate", &["--data", &data, "--json"]).await.ok().json();
    assert_eq!(told["from"], told["to"]);
    let missing = text(folders.path("missing"));
    for name in ["verify", "migrate"] {
        let refused = folders.command(name, &["--data", &missing]).await.failed(2);
        assert!(refused.stderr.contains("no data folder"), "{refused:?}");
    }
    assert!(!folders.path("missing").exists());
}

#[tokio::test]
async fn a_server_that_starts_again_never_goes_back_in_time() {
    let folders = Folders::new();
    let server = folders.start();
    let app = server.app(Enforcement::Required).await;
    let mut ann = app.enrol("ann").await;
    server.advance(86_400).await;
    ann.sign_in().await;
    let (then, key) = (server.now().await, app.key.clone());
    let code = ann.phone.used_code();
    server.stop();
    let server = folders.start();
    assert!(server.now().await >= then, "in development mode the clock goes on");
    let answer = json!({"session_id": challenge(&server, &key).await, "code": code});
    server.post("/2fa/verify/").json(answer).await.refused(400, "INVALID_CODE");
}
