//! `sidekey export`: the users of an app with their devices in a sealed file, while the server goes on; another store, another app and
//! another product take them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sidekey_tests::app::{App, User};
use sidekey_tests::clock::STEP;
use sidekey_tests::command::{Finished, run};
use sidekey_tests::{Enforcement, Options, Server, Value, json};
use tempfile::TempDir;

struct Place {
    folder: TempDir,
}

impl Place {
    async fn new() -> Self {
        let place = Self { folder: TempDir::new().expect("a temporary folder") };
        place.key("export.key").await;
        place
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    async fn key(&self, name: &str) -> String {
        let path = self.path(name);
        run(["keys", "generate", "--out", &path]).await.ok();
        path
    }

    async fn export(&self, server: &Server, app: &str, out: &str) -> Finished {
        let (data, out) = (server.data().to_str().expect("UTF-8"), self.path(out));
        let key = self.path("export.key");
        run(["export", "--data", data, "--app", app, "--out", &out, "--export-key-file", &key, "--json"])
            .await
    }

    async fn open(&self, file: &str, key: &str) -> Finished {
        run(["export", "open", &self.path(file), "--export-key-file", &self.path(key)]).await
    }

    async fn import(&self, server: &Server, app: &str, format: &str, file: &str) -> Finished {
        let (data, file) = (server.data().to_str().expect("UTF-8"), self.path(file));
        let key = self.path("export.key");
        let all = ["import", "--data", data, "--app", app, "--format", format, "--source-key-file", &key];
        run(all.into_iter().chain([file.as_str(), "--json"])).await
    }
}

async fn signs_in(app: &App<'_>, user: &str, phone: &mut sidekey_tests::authenticator::Authenticator) {
    let session = app.challenge(user).await;
    let code = phone.fresh_code(app.server).await;
    app.server.post("/2fa/verify/").json(json!({"session_id": session, "code": code})).await.ok();
}

async fn with_two_devices<'s>(app: &App<'s>) -> User<'s> {
    let user = app.enrol("ann").await;
    let (_, tablet) = user.add_device("Tablet").await;
    user.call("PATCH", &format!("/2fa/devices/{tablet}/")).json(json!({"is_primary": true})).await.ok();
    user
}

#[tokio::test]
async fn users_move_to_another_store_and_to_another_app_with_all_their_devices() {
    let (place, server) = (Place::new().await, Server::start());
    let app = server.app(Enforcement::Optional).await;
    let mut ann = with_two_devices(&app).await;
    let mut bob = app.enrol("bob").await;
    app.open_session("without").await;
    let secret = data_encoding::BASE32_NOPAD.encode(ann.phone.secret());

    let exporting = place.export(&server, &app.id, "users.export");
    let (done, _) = tokio::join!(exporting, bob.sign_in());
    let done = done.ok();
    assert_eq!(done.json()["users"], 2, "{done:?}");
    let file = place.path("users.export");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let bytes = std::fs::read(&file).unwrap();
    for plain in [secret.as_bytes(), ann.phone.secret(), b"user_id", b"Tablet"] {
        assert!(!bytes.windows(plain.len()).any(|window| window == plain), "nothing stands there in plain");
    }
    assert!(!server.log().contains(&secret));
    let audit = server.command(["audit", "--event", "users_exported", "--last", "1"]).await;
    assert_eq!((&audit["app"], &audit["actor"]["kind"]), (&json!(app.id), &json!("operator")));

    let elsewhere = Server::start();
    let there = elsewhere.app(Enforcement::Required).await;
    let report = place.import(&elsewhere, &there.id, "sidekey", "users.export").await.ok().json();
    assert_eq!((&report["imported"], &report["users"][0]["devices"]), (&json!(2), &json!(2)));
    ann.phone.skip(&server).await;
    elsewhere.advance(4 * STEP).await;
    signs_in(&there, "ann", &mut ann.phone).await;
    assert_eq!(there.state("without").await["has_2fa_enabled"], false);

    let sister = server.app(Enforcement::Optional).await;
    place.import(&server, &sister.id, "sidekey", "users.export").await.ok();
    server.advance(9 * STEP).await;
    signs_in(&sister, "ann", &mut ann.phone).await;
    assert_eq!(sister.state("ann").await["devices"], 2);
    assert_eq!(sister.state("ann").await["backup_codes_remaining"], 0, "backup codes are in no export");
    signs_in(&app, "bob", &mut bob.phone).await;
}

#[tokio::test]
async fn an_export_opens_for_another_product_with_its_key_only() {
    let (place, server) = (Place::new().await, Server::start());
    let app = server.app(Enforcement::Optional).await;
    let ann = with_two_devices(&app).await;
    place.export(&server, &app.id, "users.export").await.ok();
    let opened = place.open("users.export", "export.key").await.ok();
    assert!(opened.stderr.contains("in plain"), "{opened:?}");
    let lines: Vec<Value> = opened.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["user_id"], &lines[0]["account_name"]), (&json!("ann"), &json!("ann@example.com")));
    assert_eq!((&lines[0]["is_primary"], &lines[1]["is_primary"]), (&json!(false), &json!(true)));
    let secret = data_encoding::BASE32_NOPAD.encode(ann.phone.secret());
    let uri = lines[0]["key_uri"].as_str().unwrap();
    assert!(uri.starts_with("otpauth://totp/") && uri.contains(&format!("secret={secret}")), "{uri}");

    // What is opened is a format of its own, which any product may have written.
    std::fs::write(place.path("users.jsonl"), &opened.stdout).unwrap();
    let sister = server.app(Enforcement::Optional).await;
    let report = place.import(&server, &sister.id, "key-uris", "users.jsonl").await.ok().json();
    assert_eq!((&report["imported"], &report["users"][0]["devices"]), (&json!(1), &json!(2)));

    place.key("other.key").await;
    let wrong = place.open("users.export", "other.key").await.failed(1);
    assert!(wrong.stderr.contains("does not open with this key") && wrong.stdout.is_empty(), "{wrong:?}");
}

#[tokio::test]
async fn a_changed_or_cut_file_is_refused_whole() {
    let (place, server) = (Place::new().await, Server::start());
    let app = server.app(Enforcement::Optional).await;
    app.enrol("ann").await;
    place.export(&server, &app.id, "users.export").await.ok();
    let whole = std::fs::read(place.path("users.export")).unwrap();
    let cut = whole[..whole.len() - 1].to_vec();
    let without_end = whole[..whole.len() - (5 + 45 + 8)].to_vec();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    let added = [&whole[..], b"x"].concat();
    let sister = server.app(Enforcement::Optional).await;
    for (bytes, said) in
        [(cut, "cut short"), (without_end, "cut short"), (flipped, "damaged"), (added, "added")]
    {
        std::fs::write(place.path("changed.export"), bytes).unwrap();
        let opened = place.open("changed.export", "export.key").await.failed(1);
        assert!(opened.stderr.contains(said) && opened.stdout.is_empty(), "{said}: {opened:?}");
        place.import(&server, &sister.id, "sidekey", "changed.export").await.failed(2);
        assert_eq!(sister.state("ann").await["has_2fa_enabled"], false);
    }
}

#[tokio::test]
async fn no_file_is_replaced_and_none_is_left_behind() {
    let (place, server) = (Place::new().await, Server::start());
    let app = server.app(Enforcement::Optional).await;
    app.enrol("ann").await;
    std::fs::write(place.path("there"), "mine").unwrap();
    let taken = place.export(&server, &app.id, "there").await.failed(2);
    assert!(taken.stderr.contains("exists already"), "{taken:?}");
    assert_eq!(std::fs::read(place.path("there")).unwrap(), b"mine");
    let nobody = place.export(&server, "nobody", "nobody.export").await.failed(1);
    assert!(nobody.stderr.contains("no app `nobody`"), "{nobody:?}");
    let master = server.data().join("development-master.key");
    assert!(Path::new(&master).is_file());
    std::fs::copy(&master, place.path("export.key")).unwrap();
    let refused = place.export(&server, &app.id, "users.export").await.failed(2);
    assert!(refused.stderr.contains("master key never leaves"), "{refused:?}");
    let mut left: Vec<_> =
        std::fs::read_dir(place.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["export.key", "there"]);
    run(["export", "--app", "shop"]).await.failed(2);
}

#[tokio::test]
async fn a_running_server_knows_its_master_keys() {
    let place = Place::new().await;
    let master = place.key("master.key").await;
    let arguments = vec!["--master-key-file".to_owned(), master.clone()];
    let server = Server::with(Options { development: false, arguments, ..Options::default() });
    server.command(["app", "create", "--name", "Shop", "--id", "shop"]).await;
    std::fs::copy(&master, place.path("export.key")).unwrap();
    let refused = place.export(&server, "shop", "users.export").await.failed(1);
    assert!(refused.stderr.contains("master key never leaves"), "{refused:?}");
    assert!(!Path::new(&place.path("users.export")).exists());
}
