//! `sidekey import`: files of other products become users of an app, with a running server and without one.

use sidekey_tests::app::App;
use sidekey_tests::authenticator::Authenticator;
use sidekey_tests::clock::STEP;
use sidekey_tests::command::{Finished, run};
use sidekey_tests::{Answer, Enforcement, Options, Server, Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const SHORT: &str = "GEZDGNBVGY3TQOJQ";

/// Files that the other products have made.
fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("import/fixtures").join(name);
    path.to_str().expect("UTF-8").to_owned()
}

fn written(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("a file can be written");
    path
}

async fn import(server: &Server, app: &str, format: &str, more: &[&str]) -> Finished {
    let data = server.data().to_str().expect("UTF-8");
    let all = ["import", "--data", data, "--app", app, "--format", format, "--json"];
    run(all.into_iter().chain(more.iter().copied())).await
}

async fn recover(app: &App<'_>, user: &str, code: &str) -> Answer {
    let session = app.challenge(user).await;
    app.server.post("/2fa/verify/backup/").json(json!({"session_id": session, "backup_code": code})).await
}

fn counts(report: &Value) -> [&Value; 3] {
    [&report["imported"], &report["skipped"], &report["refused"]]
}

#[tokio::test]
async fn users_come_in_while_the_server_goes_on_and_sign_in_with_what_they_have() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut there = app.enrol("there").await;
    let uris: String = (0..100)
        .map(|n| format!("otpauth://totp/Shop:u{n}?secret={SECRET}&issuer=Shop\n"))
        .chain([format!("otpauth://totp/Shop:there?secret={SECRET}&issuer=Shop\n")])
        .chain([format!("otpauth://totp/Shop:short?secret={SHORT}&issuer=Shop\nnonsense\n")])
        .collect();
    let folder = TempDir::new().unwrap();
    let file = written(&folder, "keys.txt", &uris);
    let file = file.to_str().unwrap();

    let dry = import(&server, &app.id, "key-uris", &["--dry-run", file]).await.failed(1);
    assert_eq!(counts(&dry.json()), [&json!(100), &json!(1), &json!(2)]);
    assert_eq!(app.state("u0").await["has_2fa_enabled"], false, "only told");

    let files = [file];
    let (done, _) = tokio::join!(import(&server, &app.id, "key-uris", &files), there.sign_in());
    let report = done.failed(1);
    assert!(report.stderr.contains("2 users cannot be taken over"), "{report:?}");
    let told = report.json();
    assert_eq!(counts(&told), [&json!(100), &json!(1), &json!(2)]);
    let refused: Vec<_> =
        told["users"].as_array().unwrap().iter().filter(|u| u["outcome"] == "refused").collect();
    assert!(
        refused.iter().all(|user| user["place"].as_str().unwrap().contains("keys.txt, line ")),
        "{refused:?}"
    );
    assert!(!report.stdout.contains(SECRET) && !server.log().contains(SECRET));

    server.advance(2 * STEP).await;
    let code = Authenticator::from_base32(SECRET).fresh_code(&server).await;
    let session = app.challenge("u99").await;
    let body = json!({"session_id": session, "code": code});
    server.post("/2fa/verify/").json(body).await.ok();
    let again = import(&server, &app.id, "key-uris", &[file]).await.failed(1).json();
    assert_eq!(counts(&again), [&json!(0), &json!(101), &json!(2)]);
    let audit = server.command(["audit", "--app", &app.id, "--event", "user_imported", "--last", "1"]).await;
    assert_eq!(audit["actor"]["kind"], "operator");
}

#[tokio::test]
async fn hashed_and_derived_recovery_codes_of_other_products_go_on_working() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let codes: Value =
        serde_json::from_slice(&std::fs::read(fixture("keycloak-codes.json")).unwrap()).unwrap();
    let report = import(&server, &app.id, "keycloak", &[&fixture("keycloak-realm.json")]).await.json();
    let with_codes = report["users"].as_array().unwrap().iter().find(|user| user["backup_codes"] != 0);
    let user = with_codes.expect("a user with recovery codes")["user_id"].as_str().unwrap().to_owned();
    let code = codes.to_string();
    let code = code.split('"').find(|text| text.len() == 12).expect("a recovery code");
    recover(&app, &user, code).await.ok();
    recover(&app, &user, code).await.refused(400, "INVALID_CODE");

    let secret = ["--source-key-file", &fixture("fortify.key"), &fixture("fortify.csv")];
    let fortify = import(&server, &app.id, "fortify", &secret).await;
    assert!(counts(&fortify.json())[0].as_u64().unwrap() > 0, "{fortify:?}");
    let without = import(&server, &app.id, "fortify", &[&fixture("fortify.csv")]).await.failed(2);
    assert!(without.stderr.contains("--source-key-file"), "{without:?}");
}

#[tokio::test]
async fn without_a_server_the_store_takes_them_and_people_read_what_happened() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let server = Server::with(Options { data: Some(data.clone()), ..Options::default() });
    let app = server.app(Enforcement::Optional).await.id;
    server.stop();
    let file =
        written(&folder, "keys.txt", &format!("otpauth://totp/Shop:ann?secret={SECRET}&issuer=Shop\n"));
    let (data, file) = (data.to_str().unwrap(), file.to_str().unwrap());
    let all = ["import", "--data", data, "--app", &app, "--format", "key-uris", file];
    let done = run(all).await.ok();
    assert_eq!(done.stdout, "Imported 1 user with 1 device and 0 recovery codes; 0 skipped, 0 refused.\n");
    let again = run(all).await.ok();
    assert!(again.stdout.starts_with("skipped `ann`"), "{again:?}");
    let verified = run(["verify", "--data", data, "--json"]).await.ok().json();
    assert_eq!(verified["tally"]["accounts"], 1, "{verified}");
    let nobody = ["import", "--data", data, "--app", "nobody", "--format", "key-uris", file];
    assert!(run(nobody).await.failed(1).stderr.contains("no app `nobody`"));
    let missing = ["import", "--data", data, "--app", &app, "--format", "key-uris", "/nowhere"];
    assert!(run(missing).await.failed(2).stderr.contains("cannot be read"));
}
