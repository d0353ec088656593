//! Devices: list, rename, make primary, remove.

use sidekey_tests::{Authenticator, Enforcement, Server, User, clock, json};

async fn remove(user: &User<'_>, id: &str) -> sidekey_tests::Answer {
    user.call("DELETE", &format!("/2fa/devices/{id}/")).await
}

async fn change(user: &User<'_>, id: &str, body: sidekey_tests::Value) -> sidekey_tests::Answer {
    user.call("PATCH", &format!("/2fa/devices/{id}/")).json(body).await
}

#[tokio::test]
async fn the_list_shows_every_device_and_no_secret() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    user.sign_in().await;
    let (_, tablet) = user.add_device("Küche <b>").await;
    user.post("/2fa/setup/").json(json!({"device_name": "pending one"})).await.ok();
    let answer = user.get("/2fa/devices/").await.ok();
    assert_eq!(answer["has_2fa_enabled"], true);
    let devices = answer["devices"].as_array().expect("a list");
    assert_eq!(devices.len(), 3, "{answer}");
    let mut expected = ["id", "name", "is_primary", "status", "created_at", "confirmed_at", "last_used_at"];
    expected.sort_unstable();
    for device in devices {
        let mut names: Vec<&String> = device.as_object().expect("an object").keys().collect();
        names.sort();
        assert_eq!(names, expected);
        assert!(clock::unix(device["created_at"].as_str().expect("a time")) <= server.now().await);
    }
    let by_id =
        |id: &str| devices.iter().find(|d| d["id"] == id).unwrap_or_else(|| panic!("no {id} in {answer}"));
    let first = by_id(&user.device);
    assert_eq!(first["status"], "active");
    assert_eq!(first["is_primary"], true);
    assert!(
        first["confirmed_at"].is_string() && first["last_used_at"].is_string() && first["name"].is_string()
    );
    let second = by_id(&tablet);
    assert_eq!(second["name"], "Küche <b>");
    assert_eq!(second["is_primary"], false);
    let pending = devices.iter().find(|d| d["name"] == "pending one").expect("the pending device");
    assert_eq!(pending["status"], "pending");
    assert!(pending["confirmed_at"].is_null() && pending["last_used_at"].is_null());
}

#[tokio::test]
async fn a_user_without_a_device_has_an_empty_list() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let token = app.setup_token("ann").await;
    let answer = server.get("/2fa/devices/").bearer(&token).await.ok();
    assert_eq!(answer.json, json!({"devices": [], "has_2fa_enabled": false}));
}

#[tokio::test]
async fn a_device_can_be_renamed_within_the_limits_of_a_name() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    change(&user, &user.device, json!({"name": "My phone"})).await.ok();
    let name = user.get("/2fa/devices/").await.ok()["devices"][0]["name"].clone();
    assert_eq!(name, "My phone");
    change(&user, &user.device, json!({"name": "x".repeat(101)})).await.invalid("name");
    change(&user, &user.device, json!({"name": 5})).await.refused(400, "VALIDATION_ERROR");
    assert_eq!(user.get("/2fa/devices/").await.ok()["devices"][0]["name"], name);
}

#[tokio::test]
async fn exactly_one_device_is_the_primary_one() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let (_, tablet) = user.add_device("tablet").await;
    change(&user, &tablet, json!({"is_primary": true})).await.ok();
    let primaries = |answer: sidekey_tests::Answer| -> Vec<String> {
        let devices = answer["devices"].as_array().expect("a list");
        let primary = devices.iter().filter(|d| d["is_primary"] == true);
        primary.map(|d| d["id"].as_str().expect("an id").to_string()).collect()
    };
    assert_eq!(primaries(user.get("/2fa/devices/").await.ok()), [tablet.as_str()]);
    // Once the primary device is gone, the other one is it.
    user.sign_in().await;
    remove(&user, &tablet).await.ok();
    assert_eq!(primaries(user.get("/2fa/devices/").await.ok()), [user.device.as_str()]);
}

#[tokio::test]
async fn unknown_foreign_and_malformed_devices_answer_alike() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let (ann, bob) = (app.enrol("ann").await, app.enrol("bob").await);
    let unknown = "0".repeat(32);
    let mut bodies = Vec::new();
    for id in [bob.device.as_str(), unknown.as_str(), "x", "%00", &"a".repeat(300)] {
        bodies.push(remove(&ann, id).await.refused(404, "DEVICE_NOT_FOUND").json);
        change(&ann, id, json!({"name": "mine now"})).await.refused(404, "DEVICE_NOT_FOUND");
    }
    assert!(bodies.iter().all(|body| body == &bodies[0]), "{bodies:?}");
    assert_eq!(bob.get("/2fa/devices/").await.ok()["devices"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_pending_device_is_removed_without_a_code() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let token = app.setup_token("ann").await;
    let pending = server.post("/2fa/setup/").bearer(&token).json(json!({})).await.ok().text("device_id");
    let path = format!("/2fa/devices/{pending}/");
    let answer = server.call("DELETE".parse().expect("a method"), &path).bearer(&token).await.ok();
    assert!(!answer.text("message").is_empty());
    assert_eq!(server.get("/2fa/devices/").bearer(&token).await.ok()["devices"], json!([]));
}

#[tokio::test]
async fn cancelling_a_second_enrolment_leaves_the_first_device_working() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let pending = user.post("/2fa/setup/").json(json!({})).await.ok().text("device_id");
    remove(&user, &pending).await.ok();
    user.sign_in().await;
}

#[tokio::test]
async fn one_of_two_devices_is_removed_with_a_fresh_second_factor_and_no_code() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let (mut tablet, id) = user.add_device("tablet").await;
    server.advance(601).await;
    let refusal = remove(&user, &id).await.refused(401, "2FA_REQUIRED");
    assert_eq!(refusal["max_age"], 600);
    user.sign_in().await;
    remove(&user, &id).await.ok();
    let code = tablet.fresh_code(&server).await;
    user.answer(&user.challenge().await, &code).await.refused(400, "INVALID_CODE");
    user.sign_in().await;
    assert_eq!(user.get("/2fa/backup-codes/").await.ok()["remaining_count"], 10);
}

#[tokio::test]
async fn the_last_active_device_is_removed_only_with_a_code() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let id = user.device.clone();
    let path = format!("/2fa/devices/{id}/");
    remove(&user, &id).await.refused(400, "CODE_REQUIRED");
    let send = |user: &User<'_>, code: &str| user.call("DELETE", &path).json(json!({"code": code}));
    send(&user, "12345").await.invalid("code");
    let wrong = user.wrong_code().await;
    send(&user, &wrong).await.refused(400, "INVALID_CODE");
    assert_eq!(app.state("ann").await["has_2fa_enabled"], true);
    let code = user.fresh_code().await;
    assert!(!send(&user, &code).await.ok().text("message").is_empty());
    let state = app.state("ann").await;
    assert_eq!(state["has_2fa_enabled"], false);
    assert_eq!(state["backup_codes_remaining"], 0, "backup codes of no device open nothing");
    assert_eq!(app.open_session("ann").await["requires_2fa"], false);
}

#[tokio::test]
async fn a_pending_device_does_not_make_another_one_not_the_last() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    user.post("/2fa/setup/").json(json!({})).await.ok();
    remove(&user, &user.device).await.refused(400, "CODE_REQUIRED");
}

#[tokio::test]
async fn after_removing_the_last_device_the_next_one_is_a_first_device_again() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let path = format!("/2fa/devices/{}/", user.device);
    let code = user.fresh_code().await;
    user.call("DELETE", &path).json(json!({"code": code})).await.ok();
    let again = app.enrol("ann").await;
    assert_eq!(again.backup_codes.len(), 10);
    assert!(again.backup_codes.iter().all(|code| !user.backup_codes.contains(code)));
    let old: &Authenticator = &user.phone;
    assert_ne!(old.secret(), again.phone.secret());
}

#[tokio::test]
async fn a_token_without_second_factor_sees_no_devices_once_there_is_one() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let weak = app.setup_token("ann").await;
    let user = app.enrol("ann").await;
    server.get("/2fa/devices/").bearer(&weak).await.refused(401, "2FA_REQUIRED");
    server.get("/2fa/backup-codes/").bearer(&weak).await.refused(401, "2FA_REQUIRED");
    let path = format!("/2fa/devices/{}/", user.device);
    for method in ["PATCH", "DELETE"] {
        let method = method.parse().expect("a method");
        server
            .call(method, &path)
            .bearer(&weak)
            .json(json!({"name": "x"}))
            .await
            .refused(401, "2FA_REQUIRED");
    }
}

#[tokio::test]
async fn two_devices_removed_at_once_never_leave_none() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    for n in 0..5 {
        let user = app.enrol(&format!("user-{n}")).await;
        let (_, tablet) = user.add_device("tablet").await;
        let (one, two) = tokio::join!(remove(&user, &user.device), remove(&user, &tablet));
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400], "{one} {two}");
        let refused = if one.status == 400 { one } else { two };
        refused.refused(400, "CODE_REQUIRED");
        assert_eq!(app.state(&user.id).await["devices"], 1);
    }
}
