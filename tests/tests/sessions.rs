//! Opening, asking about and expiring sessions: what each policy answers.

use sidekey_tests::{Answer, Enforcement, Options, Server, clock, json, jwt};

fn assert_let_in(answer: &Answer) {
    assert_eq!(answer["requires_2fa"], false, "{answer}");
    assert_eq!(answer["token_type"], "Bearer", "{answer}");
    assert_eq!(answer["expires_in"], 900, "{answer}");
    assert!(!answer.text("access_token").is_empty() && !answer.text("refresh_token").is_empty());
    assert!(!answer.has("session_id"), "{answer}");
}

/// The link in an address of this page.
fn link_of<'a>(url: &'a str, page: &str) -> &'a str {
    let (_, link) = url.split_once(&format!("{page}?link=")).expect("a link");
    link
}

fn assert_must_enrol(answer: &Answer) {
    assert_eq!(answer["requires_2fa"], true, "{answer}");
    assert_eq!(answer["requires_enrollment"], true, "{answer}");
    assert!(answer.text("enrollment_token").starts_with("enroll_"), "{answer}");
    let url = answer.text("enroll_url");
    assert_eq!(link_of(&url, "/2fa/enroll/").len(), 43, "256 bits in base64url");
    assert!(!url.contains(&answer.text("session_id")), "{url}");
    assert!(!answer.has("access_token") && !answer.has("refresh_token"), "{answer}");
}

#[tokio::test]
async fn a_user_with_a_device_is_challenged_under_every_policy() {
    let server = Server::start();
    for policy in [
        Enforcement::Optional,
        Enforcement::Encouraged,
        Enforcement::Required,
        Enforcement::RequiredAfter(7),
        Enforcement::Admins,
    ] {
        let app = server.app(policy).await;
        app.enrol("ann").await;
        let answer = app.open_session("ann").await;
        assert_eq!(answer["requires_2fa"], true, "{policy:?}: {answer}");
        assert_eq!(answer["expires_in"], 300);
        assert_eq!(answer["methods"], json!(["totp", "backup_code"]));
        let id = answer.text("session_id");
        assert_eq!(id.len(), 43, "256 bits in base64url");
        assert_ne!(link_of(&answer.text("verify_url"), "/2fa/challenge/"), id, "a link is no session id");
        for absent in ["access_token", "refresh_token", "enrollment_token", "requires_enrollment"] {
            assert!(!answer.has(absent), "{policy:?}: {answer}");
        }
    }
}

#[tokio::test]
async fn an_optional_second_factor_lets_a_user_without_a_device_in() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let answer = app.open_session("ann").await;
    assert_let_in(&answer);
    assert_eq!(answer["should_enroll"], false);
    assert!(!answer.has("enroll_by"), "{answer}");
}

#[tokio::test]
async fn an_encouraged_second_factor_lets_in_and_asks_to_enrol() {
    let server = Server::start();
    let app = server.app(Enforcement::Encouraged).await;
    let answer = app.open_session("ann").await;
    assert_let_in(&answer);
    assert_eq!(answer["should_enroll"], true);
}

#[tokio::test]
async fn a_required_second_factor_with_grace_lets_in_until_the_day_it_names() {
    let server = Server::start();
    let app = server.app(Enforcement::RequiredAfter(3)).await;
    let answer = app.open_session("ann").await;
    assert_let_in(&answer);
    assert_eq!(answer["should_enroll"], true);
    let by = clock::unix(&answer.text("enroll_by"));
    let now = server.now().await;
    assert!((now + 3 * 86_400 - 60..=now + 3 * 86_400).contains(&by), "enroll_by {by}, now {now}");
    server.advance(by - now - 60).await;
    let later = app.open_session("ann").await;
    assert_let_in(&later);
    assert_eq!(later["enroll_by"], answer["enroll_by"], "another login does not extend the grace");
    server.advance(61).await;
    assert_must_enrol(&app.open_session("ann").await);
}

#[tokio::test]
async fn a_required_second_factor_without_grace_demands_enrolment_at_once() {
    let server = Server::start();
    let app = server.app(Enforcement::Required).await;
    assert_must_enrol(&app.open_session("ann").await);
}

#[tokio::test]
async fn administrators_only_means_administrators_only() {
    let server = Server::start();
    let app = server.app(Enforcement::Admins).await;
    assert_must_enrol(&app.open_with(json!({"user_id": "root", "is_admin": true})).await.expect(201));
    let user = app.open_with(json!({"user_id": "ann", "is_admin": false})).await.expect(201);
    assert_let_in(&user);
    assert_eq!(user["should_enroll"], false);
    assert_let_in(&app.open_session("bob").await);
}

#[tokio::test]
async fn only_the_user_id_is_required_and_every_field_is_checked() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    app.open_with(json!({"user_id": "7"})).await.expect(201);
    app.open_with(json!({"user_id": "ü".repeat(127), "unknown": {"field": [1]}})).await.expect(201);
    app.open_with(json!({})).await.invalid("user_id");
    for bad in ["", "a\u{0}b", "a\nb", "\u{7f}", &"x".repeat(256), &"ü".repeat(128)] {
        app.open_with(json!({"user_id": bad})).await.invalid("user_id");
    }
    for bad in [json!(42), json!(null), json!(["a"]), json!({})] {
        app.open_with(json!({"user_id": bad})).await.refused(400, "VALIDATION_ERROR");
    }
    app.open_with(json!({"user_id": "7", "remember_me": "yes"})).await.refused(400, "VALIDATION_ERROR");
    for bad in [
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.example/",
        "https://",
        "not a url",
        "https://a\nb",
    ] {
        app.open_with(json!({"user_id": "7", "return_url": bad})).await.invalid("return_url");
    }
}

#[tokio::test]
async fn a_whole_login_may_carry_every_documented_field() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    app.open_with(json!({
        "user_id": "42", "account_name": "ann@example.com", "ip_address": "203.0.113.7", "user_agent": "Browser/1.0",
        "remember_me": true, "is_admin": false, "return_url": "https://app.example/after"
    }))
    .await
    .expect(201);
    app.open_with(json!({"user_id": "42", "ip_address": "2001:db8::1"})).await.expect(201);
}

#[tokio::test]
async fn a_users_token_opens_a_step_up_session_for_that_user() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    server.advance(700).await;
    let opened = user.post("/2fa/sessions/").json(json!({"user_id": "bob"})).await.expect(201);
    assert_eq!(opened["requires_2fa"], true);
    assert_eq!(opened["methods"], json!(["totp", "backup_code"]));
    let code = user.fresh_code().await;
    let answer = user.answer(&opened.text("session_id"), &code).await.ok();
    assert_eq!(answer["user"]["id"], "ann", "whatever the body says, it is the token's user");
    let now = server.now().await;
    let auth_time = jwt::claims(&answer.text("access_token"))["auth_time"].as_u64().expect("a time");
    assert!(auth_time + 60 > now && auth_time <= now);
}

#[tokio::test]
async fn a_session_can_be_asked_for_its_status() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let session = user.challenge().await;
    assert_eq!(app.session_status(&session).await, "pending");
    let code = user.fresh_code().await;
    user.answer(&session, &code).await.ok();
    assert_eq!(app.session_status(&session).await, "verified");

    let session = user.challenge().await;
    for code in user.phone.wrong_codes(&server, 5).await {
        user.answer(&session, &code).await;
    }
    assert_eq!(app.session_status(&session).await, "failed");

    let session = user.challenge().await;
    server.advance(301).await;
    assert_eq!(app.session_status(&session).await, "expired");
}

#[tokio::test]
async fn a_session_lives_for_five_minutes() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let (early, late) = (user.challenge().await, user.challenge().await);
    server.advance(240).await;
    let code = user.fresh_code().await;
    user.answer(&early, &code).await.ok();
    server.advance(60).await;
    let code = user.fresh_code().await;
    user.answer(&late, &code).await.refused(400, "SESSION_EXPIRED");
    let backup = user.backup_codes[0].clone();
    user.answer_with_backup(&late, &backup).await.refused(400, "SESSION_EXPIRED");
    let session = user.challenge().await;
    user.answer(&session, &code).await.ok(); // the refusals used nothing up
    let session = user.challenge().await;
    user.answer_with_backup(&session, &backup).await.ok();
}

#[tokio::test]
async fn unknown_foreign_and_malformed_sessions_answer_alike() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let other = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let session = user.challenge().await;
    let unknown = "A".repeat(43);
    let long = "A".repeat(500);
    let mut bodies = Vec::new();
    for id in [session.as_str(), unknown.as_str(), "x", long.as_str(), "%00", "a.b"] {
        bodies.push(other.get(&format!("/2fa/sessions/{id}/")).await.refused(404, "SESSION_NOT_FOUND").json);
    }
    for body in &bodies {
        assert_eq!(body, &bodies[0]);
    }
    for id in [unknown.as_str(), "x", "", &long] {
        user.answer(id, "123456").await.refused(404, "SESSION_NOT_FOUND");
        user.answer_with_backup(id, "ABCD-EFGH-JKMN-PQRS").await.refused(404, "SESSION_NOT_FOUND");
    }
}

#[tokio::test]
async fn a_user_never_seen_has_the_same_shape_with_nothing_in_it() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    app.enrol("ann").await;
    let (seen, unseen) = (app.state("ann").await, app.state("nobody").await);
    let names = |answer: &Answer| {
        let mut names: Vec<String> = answer.json.as_object().expect("an object").keys().cloned().collect();
        names.sort();
        names
    };
    let mut expected = [
        "user_id",
        "has_2fa_enabled",
        "requires_2fa",
        "devices",
        "backup_codes_remaining",
        "throttled_until",
        "locked",
        "last_verified_at",
    ];
    expected.sort_unstable();
    assert_eq!(names(&seen), expected);
    assert_eq!(names(&unseen), expected);
    assert_eq!(seen["user_id"], "ann");
    assert_eq!(seen["has_2fa_enabled"], true);
    assert_eq!(seen["requires_2fa"], true);
    assert_eq!(seen["backup_codes_remaining"], 10);
    assert_eq!(seen["throttled_until"], json!(null));
    assert_eq!(seen["locked"], false);
    assert!(clock::unix(&seen.text("last_verified_at")) <= server.now().await);
    assert_eq!(seen["devices"], 1);
    assert_eq!(unseen["user_id"], "nobody");
    assert_eq!(unseen["has_2fa_enabled"], false);
    assert_eq!(unseen["requires_2fa"], false);
    assert_eq!(unseen["devices"], 0);
    assert_eq!(unseen["backup_codes_remaining"], 0);
    assert_eq!(unseen["last_verified_at"], json!(null));
}

#[tokio::test]
async fn a_user_id_may_hold_any_characters_and_is_found_again_percent_encoded() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    app.open_with(json!({"user_id": "a/b ü?#%2f"})).await.expect(201);
    let state = app.get("/2fa/users/a%2Fb%20%C3%BC%3F%23%252f/").await.ok();
    assert_eq!(state["user_id"], "a/b ü?#%2f");
}

#[tokio::test]
async fn deleting_a_user_removes_all_that_was_kept() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let session = user.challenge().await;
    server.call("DELETE".parse().expect("a method"), "/2fa/users/ann/").bearer(&app.key).await.ok();
    let state = app.state("ann").await;
    assert_eq!(state["has_2fa_enabled"], false);
    assert_eq!(state["devices"], 0);
    assert_let_in(&app.open_session("ann").await);
    server
        .post("/2fa/token/refresh/")
        .json(json!({"refresh_token": user.refresh}))
        .await
        .refused(401, "AUTH_REQUIRED");
    server.advance(30).await;
    let code = user.phone.code_of(server.step().await);
    let late = user.answer(&session, &code).await;
    assert!(late.status >= 400, "a session of a deleted user opens nothing: {late}");
}

#[tokio::test]
async fn everything_survives_a_restart() {
    // The issuer of tokens is the public address; without one, the port that a restart changes would be part of it.
    let arguments = vec!["--public-url".into(), "http://127.0.0.1:8080".into()];
    let server = Server::with(Options { arguments, ..Options::default() });
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let session = user.challenge().await;
    let (key, phone) = (app.key.clone(), user.phone.clone());
    let (access, refresh) = (user.access.clone(), user.refresh.clone());
    drop((app, user));
    let server = server.restart();
    let state = server.get("/2fa/users/ann/").bearer(&key).await.ok();
    assert_eq!(state["has_2fa_enabled"], true);
    server.get("/2fa/devices/").bearer(&access).await.ok();
    server.post("/2fa/token/refresh/").json(json!({"refresh_token": refresh})).await.ok();
    let mut phone = phone;
    let code = phone.fresh_code(&server).await;
    let body = json!({"session_id": session, "code": code});
    server.post("/2fa/verify/").json(body).await.ok();
}

#[tokio::test]
async fn turning_two_factors_on_and_off_starts_no_new_grace_period() {
    let server = Server::start();
    let app = server.app(Enforcement::RequiredAfter(3)).await;
    let first = app.open_session("ann").await;
    assert_let_in(&first);
    let by = clock::unix(&first.text("enroll_by"));
    server.advance(86_400).await;
    let mut user = app.enrol("ann").await;
    let code = user.fresh_code().await;
    user.post("/2fa/disable/").json(json!({"code": code})).await.ok();
    let again = app.open_session("ann").await;
    assert_let_in(&again);
    assert_eq!(again["enroll_by"], first["enroll_by"]);
    server.advance(by - server.now().await + 1).await;
    assert_must_enrol(&app.open_session("ann").await);
}

#[tokio::test]
async fn a_step_up_leads_to_pages_of_this_server_only() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let open = |url: &str| user.post("/2fa/sessions/").json(json!({"return_url": url}));
    let own = server.url("/2fa/account/?from=step-up");
    let origin = server.url("");
    for foreign in [
        "https://app.example/after",
        &origin.replace("http:", "https:"),
        &format!("{origin}0/"),
        &format!("{origin}.example/"),
        &format!("{origin}@app.example/"),
        "javascript:alert(1)",
    ] {
        open(foreign).await.invalid("return_url");
    }
    let session = open(&own).await.expect(201).text("session_id");
    let done = user.answer_with_backup(&session, &user.backup_codes[0]).await.ok();
    assert_eq!(done["return_url"], own.as_str());
}

#[tokio::test]
async fn whoever_comes_to_a_closed_session_is_told_the_way_back() {
    const BACK: &str = "https://app.example/after";
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let open = async || {
        let body = json!({"user_id": "ann", "return_url": BACK});
        app.open_with(body).await.expect(201).text("session_id")
    };
    let (verified, failed, expired) = (open().await, open().await, open().await);
    let without = user.challenge().await;
    let code = user.fresh_code().await;
    user.answer(&verified, &code).await.ok();
    let wrong = user.phone.wrong_codes(&server, 5).await;
    for code in &wrong[..4] {
        let refusal = user.answer(&failed, code).await.refused(400, "INVALID_CODE");
        assert!(!refusal.has("return_url"), "it is still open: {refusal}");
    }
    let fifth = user.answer(&failed, &wrong[4]).await.refused(403, "MAX_ATTEMPTS_EXCEEDED");
    assert_eq!(fifth["return_url"], BACK);
    let backup = "ABCD-EFGH-JKMN-PQRS";
    for (session, status, code) in
        [(&verified, 409, "SESSION_ALREADY_VERIFIED"), (&failed, 403, "MAX_ATTEMPTS_EXCEEDED")]
    {
        assert_eq!(user.answer(session, "123456").await.refused(status, code)["return_url"], BACK);
        assert_eq!(user.answer_with_backup(session, backup).await.refused(status, code)["return_url"], BACK);
    }
    server.advance(301).await;
    let refusal = user.answer(&expired, "123456").await.refused(400, "SESSION_EXPIRED");
    assert_eq!(refusal["return_url"], BACK);
    assert!(!user.answer(&without, "123456").await.refused(400, "SESSION_EXPIRED").has("return_url"));
}
