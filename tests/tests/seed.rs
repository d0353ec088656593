//! Users for the end-to-end tests of a host application: each persona is what its name says, in the application that asked.

use sidekey_tests::{
    Answer, App, Authenticator, Browser, Enforcement, Options, Server, Stopped, Value, command, json,
};

/// Seeds an application and gives what was told of its users.
async fn seed(app: &App<'_>, body: Value) -> Vec<Value> {
    let answer = app.post("/development/seed/").json(body).await.ok();
    assert_eq!(answer["app_id"], json!(app.id));
    answer["users"].as_array().expect("a list").clone()
}

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

#[track_caller]
fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list")).iter().map(text).collect()
}

#[track_caller]
fn of<'a>(users: &'a [Value], persona: &str) -> &'a Value {
    users
        .iter()
        .find(|user| user["persona"] == persona)
        .unwrap_or_else(|| panic!("no {persona} in {users:?}"))
}

/// A test's own authenticator with the secret that was told of a user's device.
fn phone(user: &Value, device: usize) -> Authenticator {
    Authenticator::from_base32(&text(&user["devices"][device]["secret"]))
}

/// Answers a session with the code of this moment.
async fn sign_in(app: &App<'_>, user: &Value, device: usize) -> Answer {
    let session = app.challenge(&text(&user["user_id"])).await;
    let code = phone(user, device).code_of(app.server.step().await);
    app.server.post("/2fa/verify/").json(json!({"session_id": session, "code": code})).await
}

#[tokio::test]
async fn each_persona_is_what_its_name_says() {
    let server = Server::start();
    let app = server.app(Enforcement::Admins).await;
    let users = seed(&app, json!({})).await;
    assert_eq!(users.len(), 9);
    let names: Vec<_> = users.iter().map(|user| text(&user["user_id"])).collect();
    assert_eq!(names[..2], ["seed-one-device", "seed-two-devices"]);
    let state = async |persona: &str| app.state(&text(&of(&users, persona)["user_id"])).await;

    let one = of(&users, "one_device");
    let answer = sign_in(&app, one, 0).await.ok();
    assert_eq!(answer["user"]["id"], "seed-one-device");
    let listed = server.get("/2fa/devices/").bearer(&answer.text("access_token")).await.ok();
    assert_eq!(listed["devices"][0]["id"], one["devices"][0]["id"]);
    assert_eq!((texts(&one["backup_codes"]).len(), texts(&one["used_backup_codes"]).len()), (10, 0));
    let uri = text(&one["devices"][0]["provisioning_uri"]);
    assert!(uri.contains(&text(&one["devices"][0]["secret"])), "{uri}");

    let two = of(&users, "two_devices");
    assert_eq!(
        (&two["devices"][0]["name"], &two["devices"][1]["name"]),
        (&json!("Old phone"), &json!("New phone"))
    );
    assert_eq!(
        (&two["devices"][0]["is_primary"], &two["devices"][1]["is_primary"]),
        (&json!(false), &json!(true))
    );
    let tokens = sign_in(&app, two, 1).await.ok();
    let listed = server.get("/2fa/devices/").bearer(&tokens.text("access_token")).await.ok();
    for (index, device) in listed["devices"].as_array().expect("a list").iter().enumerate() {
        for member in ["id", "name", "is_primary", "status"] {
            assert_eq!(device[member], two["devices"][index][member], "{member}");
        }
    }
    sign_in(&app, two, 0).await.ok();

    let few = of(&users, "few_backup_codes");
    assert_eq!((texts(&few["backup_codes"]).len(), texts(&few["used_backup_codes"]).len()), (3, 7));
    assert_eq!(state("few_backup_codes").await["backup_codes_remaining"], 3);
    let session = app.challenge("seed-few-backup-codes").await;
    let answer = async |code: &str| {
        let body = json!({"session_id": session, "backup_code": code});
        server.post("/2fa/verify/backup/").json(body).await
    };
    answer(&texts(&few["used_backup_codes"])[6]).await.refused(400, "INVALID_CODE");
    assert_eq!(answer(&texts(&few["backup_codes"])[0]).await.ok()["remaining_backup_codes"], 2);

    let throttled = sign_in(&app, of(&users, "throttled"), 0).await.refused(429, "ACCOUNT_THROTTLED");
    assert!((200..=240).contains(&throttled.retry_after()), "{throttled}");
    assert_eq!(state("throttled").await["locked"], false);

    let next_code = of(&users, "next_code");
    sign_in(&app, next_code, 0).await.refused(400, "NEXT_CODE_REQUIRED");
    let (session, step) = (app.challenge("seed-next-code").await, server.step().await);
    let (code, next) = (phone(next_code, 0).code_of(step - 1), phone(next_code, 0).code_of(step));
    let body = json!({"session_id": session, "code": code, "next_code": next});
    server.post("/2fa/verify/").json(body).await.ok();

    let locked = of(&users, "locked");
    assert_eq!(state("locked").await["locked"], true);
    sign_in(&app, locked, 0).await.refused(423, "ACCOUNT_LOCKED");
    app.post("/2fa/users/seed-locked/unlock/").await.ok();
    sign_in(&app, locked, 0).await.ok();

    let pending = of(&users, "pending_setup");
    assert_eq!((&pending["devices"][0]["status"], &pending["backup_codes"]), (&json!("pending"), &json!([])));
    let token = app.setup_token("seed-pending-setup").await;
    let code = phone(pending, 0).code_of(server.step().await);
    let body = json!({"device_id": pending["devices"][0]["id"], "code": code});
    let confirmed = server.post("/2fa/setup/confirm/").bearer(&token).json(body).await.ok();
    assert_eq!(confirmed.texts("backup_codes").len(), 10);

    let admin = of(&users, "admin");
    assert_eq!(state("admin").await["requires_2fa"], true);
    sign_in(&app, admin, 0).await.ok();

    let never = of(&users, "never_enrolled");
    assert_eq!((&never["devices"], &never["backup_codes"]), (&json!([]), &json!([])));
    assert_eq!(state("never_enrolled").await["has_2fa_enabled"], false);
    assert_eq!(app.open_session("seed-never-enrolled").await["requires_2fa"], false);
}

#[tokio::test]
async fn a_number_repeats_everything_and_seeding_again_resets() {
    let server = Server::start();
    let (app, other) = (server.app(Enforcement::Optional).await, server.app(Enforcement::Optional).await);
    let people = json!([{"user_id": "ann", "persona": "one_device"}, {"user_id": "bob", "devices": [{}]}]);
    let of_number = |number: u64| json!({"seed": number, "users": people});
    let first = seed(&app, of_number(7)).await;
    let tokens = sign_in(&app, &first[0], 0).await.ok();
    assert_eq!(seed(&app, of_number(7)).await, first, "the same users with the same secrets and codes");
    let devices = server.get("/2fa/devices/").bearer(&tokens.text("access_token")).await;
    devices.refused(401, "AUTH_REQUIRED");
    let refresh = json!({"refresh_token": tokens.text("refresh_token")});
    server.post("/2fa/token/refresh/").json(refresh).await.refused(401, "AUTH_REQUIRED");
    sign_in(&app, &first[0], 0).await.ok();

    assert_eq!(other.state("ann").await["has_2fa_enabled"], false, "it is of another application");
    assert_eq!(seed(&other, of_number(7)).await, first, "whatever the application is called");
    let default = seed(&app, json!({"users": people})).await;
    for (another, user) in default.iter().zip(&first) {
        assert_ne!(another["devices"][0]["secret"], user["devices"][0]["secret"]);
        assert_ne!(another["backup_codes"], user["backup_codes"]);
    }
    assert_eq!(seed(&app, of_number(1)).await, default);
}

#[tokio::test]
async fn users_are_described_freely() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
    let users = seed(
        &app,
        json!({"users": [
            {"user_id": "ann", "account_name": "ann@example.com", "backup_codes_left": 1,
             "devices": [{"secret": secret, "name": "Phone"}, {}]},
            {"user_id": "bob", "persona": "locked"},
            {"user_id": "new"}
        ]}),
    )
    .await;
    let (ann, bob, new) = (&users[0], &users[1], &users[2]);
    assert_eq!((&ann["devices"][0]["secret"], &ann["devices"][0]["name"]), (&json!(secret), &json!("Phone")));
    assert_eq!(
        (&ann["devices"][0]["is_primary"], &ann["devices"][1]["name"]),
        (&json!(true), &json!("Authenticator"))
    );
    assert_eq!(sign_in(&app, ann, 0).await.ok()["user"]["account_name"], "ann@example.com");
    sign_in(&app, ann, 1).await.ok();
    assert_eq!(app.state("ann").await["backup_codes_remaining"], 1);
    assert_eq!((&bob["user_id"], &app.state("bob").await["locked"]), (&json!("bob"), &json!(true)));
    assert_eq!((&new["persona"], &new["devices"]), (&Value::Null, &json!([])));
    let without = json!({"users": [{"user_id": "ann", "devices": [{}, {}]}]});
    let again = seed(&app, without).await;
    assert_eq!(
        again[0]["devices"][1]["secret"], ann["devices"][1]["secret"],
        "a secret that is given moves no other"
    );

    for (users, why) in [
        (json!([{"persona": "locked"}]), "no name"),
        (json!([{"user_id": ""}]), "an empty name"),
        (json!([{"user_id": "x", "persona": "nobody"}]), "an unknown persona"),
        (json!([{"user_id": "x", "persona": "locked", "devices": []}]), "both"),
        (json!([{"user_id": "x", "devices": [{"secret": "AAAA"}]}]), "a short secret"),
        (json!([{"user_id": "x", "devices": [{"secret": secret}, {"secret": secret}]}]), "one secret twice"),
        (json!([{"user_id": "x", "devices": vec![json!({}); 8]}]), "too many devices"),
        (json!([{"user_id": "x", "backup_codes_left": 1}]), "codes without a device"),
        (json!([{"user_id": "x", "devices": [{}], "backup_codes_left": 11}]), "too many codes"),
        (json!([{"user_id": "x"}, {"user_id": "x"}]), "one user twice"),
        (json!(vec![json!({"user_id": "x"}); 21]), "too many users"),
        (json!({}), "no list"),
    ] {
        let answer = app.post("/development/seed/").json(json!({"users": users})).await.invalid("users");
        assert!(!answer.body().contains("AAAA"), "{why}: {answer}");
    }
    app.post("/development/seed/").json(json!({"seed": -1})).await.invalid("seed");
    assert_eq!(app.state("x").await["has_2fa_enabled"], false, "nothing was made");
    server
        .post("/development/seed/")
        .bearer("sidekey_nobody")
        .json(json!({}))
        .await
        .refused(401, "AUTH_REQUIRED");
}

/// A server in development mode that makes the personas at its start.
fn seeding() -> Options {
    Options { arguments: vec!["--seed=3".to_owned()], ..Options::default() }
}

#[tokio::test]
async fn a_start_seeds_the_demo_application_and_writes_down_what_a_test_needs() {
    let server = Server::with(seeding());
    let file = server.data().join("development-seed.json");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).expect("a file").permissions());
    assert_eq!(mode & 0o777, 0o600);
    let written = std::fs::read_to_string(&file).expect("text");
    let told: Value = serde_json::from_str(&written).expect("JSON");
    let users = told["users"].as_array().expect("a list").clone();
    let answer = server.post("/development/seed/").json(json!({"seed": 3})).await.ok();
    assert_eq!(answer.json, told, "as the request without a key gives it");

    let one = of(&users, "one_device");
    let mut browser = Browser::new(&server);
    browser.visit("/demo/").await.ok();
    for user in &users {
        assert!(browser.html.contains(&format!("value=\"{}\"", text(&user["user_id"]))), "{}", browser.html);
    }
    let page =
        browser.post("/demo/", &[("action", "sign-in"), ("user_id", "seed-one-device")]).await.expect(303);
    let url = page.header("location").to_owned();
    browser.visit(&url).await.ok();
    let code = phone(one, 0).code_of(server.step().await);
    browser.post("/2fa/challenge/", &[("action", "code"), ("code", &code)]).await.expect(303);

    let Stopped { log, banner, .. } = server.stop();
    assert!(banner.contains("development-seed.json"), "{banner}");
    for secret in texts(&one["backup_codes"]).into_iter().chain([text(&one["devices"][0]["secret"])]) {
        assert!(!log.contains(&secret) && !banner.contains(&secret), "a secret is in the log or the banner");
    }
}

#[tokio::test]
async fn real_accounts_are_never_seeded() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, key) = (folder.path().join("data"), folder.path().join("master.key"));
    let key_text = key.to_str().expect("UTF-8");
    command::run(["keys", "generate", "--out", key_text]).await.ok();
    let production = |more: &[&str]| Options {
        development: false,
        arguments: [&["--master-key-file", key_text], more].concat().into_iter().map(str::to_owned).collect(),
        data: Some(data.clone()),
        ..Options::default()
    };
    let Err((status, log)) = Server::try_with(production(&["--seed=1"])) else { panic!("it has started") };
    assert!(!status.success() && log.contains("--development"), "{log}");

    let server = Server::with(production(&[]));
    let app = server.app(Enforcement::Optional).await;
    for body in [json!({}), json!({"users": [{"user_id": "seed-one-device", "devices": [{}]}]})] {
        app.post("/development/seed/").json(body.clone()).await.refused(404, "NOT_FOUND");
        server.post("/development/seed/").json(body).await.refused(404, "NOT_FOUND");
    }
    assert_eq!(app.state("seed-one-device").await["devices"], 0);
    drop(app);
    server.stop();

    let development = Options { development: true, ..production(&["--seed"]) };
    let Err((status, log)) = Server::try_with(development) else { panic!("it has started") };
    assert!(!status.success() && log.contains("without `--development`"), "{log}");
    assert!(!data.join("development-seed.json").exists());
}
