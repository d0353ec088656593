//! The command line: keys, apps, and how the server refuses to start.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sidekey_tests::command::{Finished, finish, run, sidekey};
use sidekey_tests::{Enforcement, Options, Server, Stopped, Value, json};
use tempfile::TempDir;

fn folder() -> (TempDir, String) {
    let folder = TempDir::new().expect("a temporary folder");
    let data = folder.path().join("data").to_str().expect("UTF-8").to_string();
    (folder, data)
}

fn mode(path: impl AsRef<Path>) -> u32 {
    let path = path.as_ref();
    let metadata = std::fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    metadata.permissions().mode() & 0o777
}

/// A refusal is a sentence on standard error, not a panic and not a debug print.
#[track_caller]
fn refused(finished: Finished) -> String {
    assert!(finished.code.is_some_and(|code| code != 0 && code != 101), "{finished:?}");
    let text = finished.stderr;
    assert!(!text.trim().is_empty() && !text.contains("panicked") && !text.contains("Os {"), "{text}");
    text
}

async fn key_file(folder: &TempDir) -> String {
    let path = folder.path().join("master.key").to_str().expect("UTF-8").to_string();
    run(["keys", "generate", "--out", &path]).await.ok();
    path
}

fn production(data: &str, key: &str) -> Options {
    Options {
        development: false,
        arguments: vec!["--master-key-file".into(), key.into()],
        data: Some(data.into()),
        ..Options::default()
    }
}

#[tokio::test]
async fn an_app_made_before_the_first_start_works_after_it() {
    let (folder, data) = folder();
    let key = key_file(&folder).await;
    let create = ["app", "create", "--data", &data, "--name", "Shop", "--enforcement", "required", "--json"];
    let made = run(create).await.ok();
    assert!(made.stderr.contains("there was no data folder") && made.stderr.contains(&data), "{made:?}");
    let app = made.json();
    let server = Server::with(production(&data, &key));
    let api_key = app["api_key"].as_str().expect("a key");
    assert!(api_key.starts_with("sidekey_") && api_key.len() == 8 + 43, "{app}");
    assert_eq!(app["name"], "Shop");
    let body = json!({"user_id": "ann"});
    let opened = server.post("/2fa/sessions/").bearer(api_key).json(body).await.expect(201);
    assert_eq!(opened["requires_enrollment"], true);
}

#[tokio::test]
async fn apps_and_keys_are_managed_while_the_server_runs_and_while_it_does_not() {
    let (_folder, data) = folder();
    let options = Options { data: Some(data.clone().into()), ..Options::default() };
    let list = async || run(["app", "list", "--data", &data, "--json"]).await.ok().json();
    let ids = |apps: &Value| -> Vec<String> {
        let apps = apps.as_array().or_else(|| apps["apps"].as_array()).expect("a list");
        apps.iter().map(|app| app["app_id"].as_str().expect("an id").to_string()).collect()
    };
    run(["app", "create", "--data", &data, "--name", "One", "--id", "one", "--json"]).await.ok();
    assert_eq!(ids(&list().await), ["one"]);
    let server = Server::with(options.clone());
    let two = run(["app", "create", "--data", &data, "--name", "Two", "--id", "two", "--json"]).await.ok();
    assert_eq!(two.stderr, "", "the folder was there");
    let key = run(["key", "create", "--data", &data, "--app", "one", "--json"]).await.ok().json();
    let text = |name: &str| key[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {key}")).to_string();
    server.get("/2fa/users/ann/").bearer(&text("api_key")).await.ok();
    let running = ids(&list().await);
    for id in ["one", "two", "demo"] {
        assert!(running.iter().any(|known| known == id), "{id} of {running:?}");
    }
    server.stop();
    assert_eq!(ids(&list().await), running);
    run(["key", "revoke", "--data", &data, "--app", "one", &text("key_id")]).await.ok();
    let keys = run(["key", "list", "--data", &data, "--app", "one", "--json"]).await.ok().json();
    let of: Vec<_> =
        keys.as_array().expect("a list").iter().filter(|of| of["key_id"] == text("key_id")).collect();
    assert!(keys.as_array().is_some_and(|keys| keys.len() == 2) && of[0]["revoked_at"].is_string(), "{keys}");
    let server = Server::with(options);
    server.get("/2fa/users/ann/").bearer(&text("api_key")).await.refused(401, "AUTH_REQUIRED");
}

#[tokio::test]
async fn what_cannot_be_done_is_said_in_a_sentence() {
    let server = Server::start();
    let data = server.data().to_str().expect("UTF-8");
    let app = server.app(Enforcement::Optional).await;
    let taken = format!("there is an app `{}` already", app.id);
    let nothing = format!("app `{}` has no key `nothing`", app.id);
    for (arguments, code, says) in [
        (vec!["app", "create", "--data", data, "--name", "Again", "--id", &app.id], 1, &*taken),
        (
            vec!["app", "create", "--data", data, "--name", "Bad", "--enforcement", "sometimes"],
            2,
            "optional, encouraged, required, admins",
        ),
        (vec!["app", "create", "--data", data], 2, "--name"),
        (vec!["key", "create", "--data", data, "--app", "nobody"], 1, "there is no app `nobody`"),
        (vec!["key", "list", "--data", data, "--app", "nobody"], 1, "there is no app `nobody`"),
        (vec!["key", "revoke", "--data", data, "--app", &app.id, "nothing"], 1, &*nothing),
        (
            vec!["key", "revoke", "--data", data, "--app", "nobody", &app.key_id],
            1,
            "there is no app `nobody`",
        ),
        (vec!["nonsense"], 2, "'nonsense'"),
        (vec!["serve", "--nonsense"], 2, "'--nonsense'"),
    ] {
        let text = refused(run(&arguments).await.failed(code));
        assert!(text.contains(says), "{arguments:?}: {text}");
    }
    app.get("/2fa/users/ann/").await.ok();
}

#[tokio::test]
async fn the_list_shows_no_key() {
    let server = Server::start();
    let app = server.app(Enforcement::Encouraged).await;
    let data = server.data().to_str().expect("UTF-8");
    for arguments in [vec!["app", "list", "--data", data], vec!["app", "list", "--data", data, "--json"]] {
        let listed = run(arguments).await.ok();
        assert!(listed.stdout.contains(&app.id) && !listed.stdout.contains(&app.key[..20]), "{listed:?}");
    }
    let listed = run(["key", "list", "--data", data, "--app", &app.id]).await.ok();
    assert!(listed.stdout.starts_with(&app.key_id) && !listed.stdout.contains(&app.key[..20]), "{listed:?}");
}

#[tokio::test]
async fn without_a_master_key_the_server_refuses_and_says_how_to_make_one() {
    let (_folder, data) = folder();
    let finished = run(["serve", "--listen", "127.0.0.1:0", "--data", &data]).await.failed(2);
    assert!(refused(finished).contains("sidekey keys generate --out"));
}

#[tokio::test]
async fn a_master_key_is_a_new_private_file_and_never_overwritten() {
    let folder = TempDir::new().expect("a folder");
    let path = key_file(&folder).await;
    assert_eq!(mode(&path), 0o600);
    let first = std::fs::read(&path).expect("readable");
    refused(run(["keys", "generate", "--out", &path]).await);
    assert_eq!(std::fs::read(&path).expect("readable"), first);
    let other = folder.path().join("other.key");
    run(["keys", "generate", "--out", other.to_str().expect("UTF-8")]).await.ok();
    assert_ne!(std::fs::read(other).expect("readable"), first);
}

#[tokio::test]
async fn the_master_key_may_come_from_a_credential_a_file_or_the_environment() {
    let (folder, data) = folder();
    let key = key_file(&folder).await;
    let text = std::fs::read_to_string(&key).expect("text").trim().to_string();
    let credentials = folder.path().join("credentials");
    std::fs::create_dir(&credentials).expect("a folder");
    std::fs::copy(&key, credentials.join("sidekey-master-key")).expect("a copy");
    let credentials = credentials.to_str().expect("UTF-8").to_string();
    Server::with(production(&data, &key)).stop();
    for (name, value) in [("SIDEKEY_MASTER_KEY", text), ("CREDENTIALS_DIRECTORY", credentials)] {
        let environment = vec![(name.to_string(), value)];
        let options = Options {
            development: false,
            environment,
            data: Some(data.clone().into()),
            ..Options::default()
        };
        Server::with(options).get("/readyz").await.ok();
    }
}

#[tokio::test]
async fn another_master_key_does_not_open_the_data() {
    let (folder, data) = folder();
    let key = key_file(&folder).await;
    Server::with(production(&data, &key)).stop();
    let other = folder.path().join("other.key").to_str().expect("UTF-8").to_string();
    run(["keys", "generate", "--out", &other]).await.ok();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data", &data, "--master-key-file", &other];
    let text = refused(run(serve).await.failed(2));
    assert!(
        text.contains("wrong master key") && text.contains(&other),
        "it says which file that was: {text}"
    );
    let without = refused(run(["serve", "--listen", "127.0.0.1:0", "--data", &data]).await.failed(2));
    assert!(without.contains("--master-key-file") && !without.contains("generate"), "{without}");
    Server::with(production(&data, &key)).get("/readyz").await.ok();
}

#[tokio::test]
async fn development_mode_leaves_nothing_in_a_folder_of_real_accounts() {
    let (folder, data) = folder();
    let key = key_file(&folder).await;
    Server::with(production(&data, &key)).stop();
    let refused =
        refused(run(["serve", "--development", "--listen", "127.0.0.1:0", "--data", &data]).await.failed(2));
    assert!(refused.contains("without `--development`"), "{refused}");
    assert!(!Path::new(&data).join("development-master.key").exists());
}

#[tokio::test]
async fn a_broken_or_public_key_file_is_refused() {
    let (folder, data) = folder();
    let key = key_file(&folder).await;
    let serve =
        async || run(["serve", "--listen", "127.0.0.1:0", "--data", &data, "--master-key-file", &key]).await;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("chmod");
    assert!(refused(serve().await).contains(&key), "it names the file");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("chmod");
    std::fs::write(&key, "nonsense").expect("written");
    let text = refused(serve().await);
    assert!(!text.contains("nonsense"), "what stands in a key file is not printed: {text}");
    std::fs::remove_file(&key).expect("removed");
    assert!(refused(serve().await).contains(&key));
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let (_folder, data) = folder();
    let server = Server::start();
    let finished = run(["serve", "--development", "--listen", server.address(), "--data", &data]).await;
    let port = server.address().rsplit(':').next().expect("a port");
    let text = refused(finished);
    assert!(text.contains(port), "{text}");
}

#[tokio::test]
async fn a_data_folder_in_use_is_named() {
    let server = Server::start();
    let data = server.data().to_str().expect("UTF-8");
    let text = refused(run(["serve", "--development", "--listen", "127.0.0.1:0", "--data", data]).await);
    assert!(text.contains(data), "{text}");
    server.get("/readyz").await.ok();
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_one_is_named() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "no folder").expect("written");
    let file = file.to_str().expect("UTF-8");
    for data in [file.to_string(), format!("{file}/below")] {
        let text = refused(run(["serve", "--development", "--listen", "127.0.0.1:0", "--data", &data]).await);
        assert!(text.contains(file), "{text}");
    }
}

#[tokio::test]
async fn everything_in_the_data_folder_is_private() {
    let server = Server::start();
    assert_eq!(mode(server.data()), 0o700);
    assert_eq!(mode(server.data().join("control.sock")), 0o600);
    let mut folders = vec![server.data().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("readable") {
            let path = entry.expect("an entry").path();
            assert_eq!(mode(&path) & 0o077, 0, "{} is open to others", path.display());
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
}

#[tokio::test]
async fn development_mode_makes_a_key_and_a_demo_app_and_is_loud_about_it() {
    let server = Server::start();
    assert_eq!(mode(server.data().join("development-master.key")), 0o600);
    let file = server.data().join("development-api-key");
    assert_eq!(mode(&file), 0o600);
    let key = std::fs::read_to_string(file).expect("text").trim().to_string();
    let body = json!({"user_id": "ann"});
    let opened = server.post("/2fa/sessions/").bearer(&key).json(body).await.expect(201);
    assert_eq!(opened["requires_enrollment"], true, "the demo app requires a second factor");
    server.get("/demo/").await.ok();
    let body = json!({"user_id": "bob", "account_name": "bob@example.com"});
    let signed = server.post("/demo/sign-in/").json(body).await;
    assert!(signed["requires_enrollment"] == true && signed.status < 300, "{signed}");
    let Stopped { banner, log, .. } = server.stop();
    assert!(banner.contains(&key) && banner.contains("/demo/"), "{banner}");
    assert!(banner.to_lowercase().contains("development") && !log.contains(&key), "{banner}{log}");
}

#[tokio::test]
async fn the_demo_key_is_the_same_after_a_restart() {
    let server = Server::start();
    let file = server.data().join("development-api-key");
    let first = std::fs::read(&file).expect("readable");
    let server = server.restart();
    assert_eq!(std::fs::read(&file).expect("readable"), first);
    let key = String::from_utf8(first).expect("text");
    server.get("/2fa/users/ann/").bearer(key.trim()).await.ok();
}

#[tokio::test]
async fn outside_development_there_is_no_demo_and_no_clock() {
    let (folder, data) = folder();
    let key = key_file(&folder).await;
    let server = Server::with(production(&data, &key));
    for path in ["/demo/", "/development/clock/"] {
        server.get(path).await.refused(404, "NOT_FOUND");
    }
    for path in ["/demo/sign-in/", "/development/clock/"] {
        let body = json!({"advance_seconds": 30, "user_id": "ann"});
        server.post(path).json(body).await.refused(404, "NOT_FOUND");
    }
    for name in ["development-api-key", "development-master.key"] {
        assert!(!Path::new(&data).join(name).exists());
    }
    let apps = run(["app", "list", "--data", &data, "--json"]).await.ok();
    assert!(!apps.stdout.contains("demo"), "{apps:?}");
}

#[tokio::test]
async fn the_development_clock_moves_only_forward() {
    let server = Server::start();
    let before = server.now().await;
    let after = server.advance(3600).await;
    assert!((before + 3600..before + 3660).contains(&after), "{before} → {after}");
    for bad in [json!(-1), json!("30"), json!(1.5), json!(null)] {
        let refusal = server.post("/development/clock/").json(json!({"advance_seconds": bad})).await;
        assert_eq!(refusal.status, 400, "{refusal}");
    }
    assert!(server.now().await >= after);
}

#[tokio::test]
async fn sigterm_ends_the_server_cleanly() {
    let server = Server::start();
    let data = server.data().to_path_buf();
    let Stopped { status, log, .. } = server.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!data.join("control.sock").exists(), "the socket is gone");
}

#[tokio::test]
async fn settings_may_come_from_the_environment() {
    let (_folder, data) = folder();
    let mut command = sidekey(["app", "create", "--name", "Shop", "--id", "shop", "--json"]);
    command.env("SIDEKEY_DATA", &data);
    assert_eq!(finish(command).await.ok().json()["app_id"], "shop");
    let listed = run(["app", "list", "--data", &data, "--json"]).await.ok();
    assert!(listed.stdout.contains("shop"), "{listed:?}");
}

#[tokio::test]
async fn help_and_version_are_printed() {
    for arguments in
        [vec!["--help"], vec!["serve", "--help"], vec!["app", "create", "--help"], vec!["--version"]]
    {
        let finished = run(arguments).await.ok();
        assert!(!finished.stdout.is_empty(), "{finished:?}");
    }
}
