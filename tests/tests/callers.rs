//! Who may call what: every route with every wrong credential, and tenants that share nothing.

use sidekey_tests::client::Call;
use sidekey_tests::openapi::{Operation, operations};
use sidekey_tests::{App, Enforcement, Server, User, Value, json};

/// Every operation that wants a credential, as `/openapi.json` has them.
async fn guarded(server: &Server) -> Vec<Operation> {
    let mut all = operations(server).await;
    all.retain(|operation| !operation.credentials.is_empty());
    assert!(all.len() >= 20, "{all:?}");
    all
}

/// A call about things of this user that there are, so that nothing but the credential can be at fault.
fn call(operation: &Operation, user: &User<'_>, session: &str) -> Call {
    operation.call(user.server(), |parameter| match parameter {
        "user_id" => user.id.clone(),
        "session_id" => session.to_owned(),
        "id" => user.device.clone(),
        other => panic!("what is `{other}`?"),
    })
}

#[tokio::test]
async fn no_credential_and_an_invalid_one_get_the_same_401_on_every_route() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let session = user.challenge().await;
    for operation in guarded(&server).await {
        let bare = call(&operation, &user, &session).await.refused(401, "AUTH_REQUIRED");
        assert!(
            !bare.header("www-authenticate").contains("error="),
            "RFC 6750 §3: no error code here: {bare}"
        );
        for credential in [
            "Bearer x",
            "Bearer ",
            "Bearer",
            "Basic YW5uOnNlY3JldA==",
            &format!("Bearer sidekey_{}", "A".repeat(43)),
            &format!("Bearer enroll_{}", "A".repeat(43)),
            &format!("Bearer {}x", app.key),
            &app.key,
        ] {
            let refusal = call(&operation, &user, &session).header("authorization", credential).await;
            let refusal = refusal.refused(401, "AUTH_REQUIRED");
            assert!(refusal.header("www-authenticate").starts_with("Bearer"), "{refusal}");
        }
    }
    assert_eq!(app.state("ann").await["has_2fa_enabled"], true, "none of that did anything");
}

#[tokio::test]
async fn the_scheme_bearer_is_known_in_any_case() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let call = server.get("/2fa/users/ann/").header("authorization", &format!("bearer {}", app.key));
    call.await.ok();
}

#[tokio::test]
async fn a_valid_credential_of_the_wrong_kind_gets_403_on_every_route() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let strict = server.app(Enforcement::Required).await;
    let user = app.enrol("ann").await;
    let session = user.challenge().await;
    let enrollment = strict.open_session("bob").await.text("enrollment_token");
    let kinds = [("api_key", &app.key), ("access_token", &user.access), ("enrollment_token", &enrollment)];
    let mut refused = [0; 3];
    for operation in guarded(&server).await {
        for (place, (kind, credential)) in kinds.iter().enumerate() {
            if !operation.credentials.iter().any(|accepted| accepted == kind) {
                call(&operation, &user, &session).bearer(credential).await.refused(403, "FORBIDDEN");
                refused[place] += 1;
            }
        }
    }
    assert!(refused.iter().all(|count| *count >= 5), "{refused:?}");
    assert_eq!(app.state("ann").await["has_2fa_enabled"], true, "none of that did anything");
}

#[tokio::test]
async fn a_revoked_key_is_dead_at_once_and_the_others_live() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let second = server.command(["key", "create", "--app", &app.id]).await;
    let text =
        |name: &str| second[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {second}")).to_string();
    assert_ne!(text("key_id"), app.key_id);
    server.get("/2fa/users/ann/").bearer(&text("api_key")).await.ok();
    let data = server.data().to_str().expect("UTF-8");
    let revoke = ["key", "revoke", "--app", &app.id, &app.key_id, "--data", data];
    sidekey_tests::command::run(revoke).await.ok();
    app.get("/2fa/users/ann/").await.refused(401, "AUTH_REQUIRED");
    app.open_with(json!({"user_id": "ann"})).await.refused(401, "AUTH_REQUIRED");
    server.get("/2fa/users/ann/").bearer(&text("api_key")).await.ok();
}

#[tokio::test]
async fn two_apps_with_the_same_user_id_share_nothing() {
    let server = Server::start();
    let (one, two) = (server.app(Enforcement::Optional).await, server.app(Enforcement::Optional).await);
    let ann = one.enrol("ann").await;
    assert_eq!(two.state("ann").await["has_2fa_enabled"], false);
    assert_eq!(two.open_session("ann").await["requires_2fa"], false);
    let twin = two.enrol("ann").await;
    assert_ne!(ann.phone.secret(), twin.phone.secret());
    let list = |answer: sidekey_tests::Answer| answer["devices"].as_array().expect("a list").len();
    assert_eq!(list(ann.get("/2fa/devices/").await.ok()), 1);
    let path = format!("/2fa/devices/{}/", ann.device);
    let unknown = format!("/2fa/devices/{}/", "0".repeat(32));
    let foreign = twin.call("DELETE", &path).await.refused(404, "DEVICE_NOT_FOUND");
    assert_eq!(foreign.json, twin.call("DELETE", &unknown).await.json);
    server.call("DELETE".parse().expect("a method"), "/2fa/users/ann/").bearer(&two.key).await.ok();
    assert_eq!(one.state("ann").await["has_2fa_enabled"], true);
}

/// The same question about something foreign and something unknown, with everything that may differ.
async fn same(app: &App<'_>, foreign: &str, unknown: &str) -> Value {
    let mut answers = Vec::new();
    for path in [foreign, unknown] {
        let answer = app.get(path).await;
        let mut names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
        names.sort();
        answers.push(json!([answer.status, names, answer.json]));
    }
    assert_eq!(answers[0], answers[1]);
    answers.remove(0)
}

#[tokio::test]
async fn a_foreign_name_answers_exactly_like_an_unknown_one() {
    let server = Server::start();
    let (one, two) = (server.app(Enforcement::Optional).await, server.app(Enforcement::Optional).await);
    let ann = one.enrol("ann").await;
    let session = ann.challenge().await;
    let unknown = "A".repeat(43);
    let answer = same(&two, &format!("/2fa/sessions/{session}/"), &format!("/2fa/sessions/{unknown}/")).await;
    assert_eq!(answer[0], 404);
    // A user of another app and one that nobody has are both simply never seen; the name is the asker's own.
    let (foreign, never) = (two.state("ann").await, two.state("xyz").await);
    let anonymous = |answer: &sidekey_tests::Answer| {
        let mut value = answer.json.clone();
        value["user_id"] = json!(null);
        value
    };
    assert_eq!(anonymous(&foreign), anonymous(&never));
    let introspect = |token: &str| two.post("/2fa/token/introspect/").json(json!({"token": token}));
    assert_eq!(introspect(&ann.access).await.ok().json, introspect("unknown").await.ok().json);
}

#[tokio::test]
async fn unlocking_or_deleting_a_user_never_seen_answers_the_same_as_for_a_known_one() {
    let server = Server::start();
    let (one, two) = (server.app(Enforcement::Optional).await, server.app(Enforcement::Optional).await);
    one.enrol("ann").await;
    for (method, suffix) in [("POST", "unlock/"), ("DELETE", "")] {
        let mut statuses = Vec::new();
        for user in ["ann", "xyz"] {
            let path = format!("/2fa/users/{user}/{suffix}");
            let answer = server.call(method.parse().expect("a method"), &path).bearer(&two.key).await;
            statuses.push(answer.status);
        }
        assert_eq!(statuses[0], statuses[1], "{method} {suffix}");
    }
    assert_eq!(one.state("ann").await["has_2fa_enabled"], true);
}

#[tokio::test]
async fn a_session_says_nothing_about_its_account_to_who_only_holds_the_id() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let session = user.challenge().await;
    let wrong = user.wrong_code().await;
    let refusal = user.answer(&session, &wrong).await.refused(400, "INVALID_CODE");
    assert!(!refusal.body().contains("ann"), "{refusal}");
    for device in [user.device.as_str(), &session] {
        assert!(!refusal.body().contains(device), "{refusal}");
    }
}

#[tokio::test]
async fn a_users_token_reaches_no_other_user() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let (ann, bob) = (app.enrol("ann").await, app.enrol("bob").await);
    let answer = ann.get("/2fa/devices/").await.ok();
    assert!(answer.body().contains(&ann.device) && !answer.body().contains(&bob.device));
    let pending = bob.post("/2fa/setup/").json(json!({})).await.ok();
    let mut phone = sidekey_tests::Authenticator::from_base32(&pending.text("secret"));
    let body = json!({"device_id": pending.text("device_id"), "code": phone.fresh_code(&server).await});
    ann.post("/2fa/setup/confirm/").json(body).await.refused(404, "DEVICE_NOT_FOUND");
}

/// A user who may do everything just now, with a session that waits for an answer.
async fn prepared<'s>(app: &App<'s>, number: usize) -> (User<'s>, String) {
    let user = app.enrol(&format!("user-{number}")).await;
    let session = user.challenge().await;
    (user, session)
}

// The bodies of requests are read member by member, and described beside it: nothing but this holds the two together.
#[tokio::test]
async fn every_member_of_a_body_that_is_described_is_read() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut read = 0;
    for (number, operation) in operations(&server).await.iter().enumerate() {
        let (user, session) = prepared(&app, number).await;
        for body in &operation.bodies {
            for member in &body.members {
                let mut sent = serde_json::Map::new();
                for name in &body.required {
                    let value = if name == "session_id" { session.as_str() } else { "123456" };
                    sent.insert(name.clone(), value.into());
                }
                // No member of any body is an object.
                sent.insert(member.clone(), json!({}));
                let is_of_host = operation.credentials.iter().any(|kind| kind == "api_key")
                    && (operation.credentials.len() == 1 || body.required.contains(&"user_id".to_owned()));
                let token = if is_of_host { &app.key } else { &user.access };
                let sent = call(operation, &user, &session).json(Value::Object(sent)).bearer(token);
                sent.await.invalid(member);
                read += 1;
            }
        }
    }
    assert!(read > 40, "{read} members");
}
