//! Trusted browsers, and signing out everywhere.

use std::future::IntoFuture as _;

use sidekey_tests::{Answer, App, Enforcement, Server, User, json};

const DAY: u64 = 86_400;

/// Signs in with a fresh code and trusts the browser: its token.
async fn trust(user: &mut User<'_>) -> String {
    let session = user.challenge().await;
    let code = user.fresh_code().await;
    let body = json!({"session_id": session, "code": code, "trust_device": true});
    let answer = user.server().post("/2fa/verify/").json(body).await.ok();
    (user.access, user.refresh) = (answer.text("access_token"), answer.text("refresh_token"));
    answer.text("trusted_browser_token")
}

async fn open(app: &App<'_>, user: &str, token: &str) -> Answer {
    app.open_with(json!({"user_id": user, "trusted_browser_token": token})).await.expect(201)
}

/// Passes a login that was spared the challenge, and gives the next token.
#[track_caller]
fn spared(answer: &Answer) -> String {
    assert_eq!(answer["requires_2fa"], false, "challenged: {answer}");
    assert_eq!(answer["should_enroll"], false);
    answer.text("trusted_browser_token")
}

#[track_caller]
fn challenged(answer: &Answer) {
    assert_eq!(answer["requires_2fa"], true, "spared: {answer}");
    assert!(!answer.has("trusted_browser_token") && !answer.has("access_token"), "{answer}");
}

async fn listed(user: &User<'_>) -> Vec<sidekey_tests::Value> {
    user.get("/2fa/trusted-browsers/").await.ok()["trusted_browsers"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn a_trusted_browser_is_spared_the_code_and_its_logins_tell_when_the_last_one_was_given() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let token = trust(&mut user).await;
    let given = sidekey_tests::jwt::claims(&user.access)["auth_time"].clone();
    server.advance(DAY).await;
    let first = open(&app, "ann", &token).await;
    let next = spared(&first);
    assert_ne!(next, token);
    let claims = sidekey_tests::jwt::claims(&first.text("access_token"));
    assert_eq!((&claims["auth_time"], &claims["amr"]), (&given, &json!(["otp", "mfa"])));
    server.get("/2fa/devices/").bearer(&first.text("access_token")).await.ok();
    let setup = server.post("/2fa/setup/").bearer(&first.text("access_token")).json(json!({})).await;
    setup.refused(401, "2FA_REQUIRED");
    let server = {
        let (id, key) = (app.id.clone(), app.key.clone());
        drop((user, app));
        let server = server.restart();
        let body = json!({"user_id": "ann", "trusted_browser_token": next});
        let again = server.post("/2fa/sessions/").bearer(&key).json(body).await.expect(201);
        let last = spared(&again);
        assert_eq!(sidekey_tests::jwt::claims(&again.text("access_token"))["aud"], id);
        let body = json!({"user_id": "ann", "trusted_browser_token": last});
        spared(&server.post("/2fa/sessions/").bearer(&key).json(body).await.expect(201));
        server
    };
    assert!(!server.log().contains(&token) && !server.log().contains(&next));
}

#[tokio::test]
async fn only_who_asks_is_trusted_and_a_backup_code_never_does_it() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    assert!(!user.sign_in().await.has("trusted_browser_token"));
    let body = |session: String, code: &str| json!({"session_id": session, "backup_code": code, "trust_device": true});
    let body = body(user.challenge().await, &user.backup_codes[0]);
    let answer = server.post("/2fa/verify/backup/").json(body).await.ok();
    assert!(!answer.has("trusted_browser_token"), "{answer}");
    let (session, code) = (user.challenge().await, user.fresh_code().await);
    let wrong = json!({"session_id": session, "code": code, "trust_device": "yes"});
    server.post("/2fa/verify/").json(wrong).await.invalid("trust_device");
    assert!(listed(&user).await.is_empty());
}

#[tokio::test]
async fn the_use_of_a_spent_token_ends_the_trust_of_that_browser_and_no_other() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let (stolen, other) = (trust(&mut user).await, trust(&mut user).await);
    let next = spared(&open(&app, "ann", &stolen).await);
    challenged(&open(&app, "ann", &stolen).await);
    assert_eq!(listed(&user).await.len(), 2, "a moment later, it may be a second tab");
    server.advance(11).await;
    challenged(&open(&app, "ann", &stolen).await);
    challenged(&open(&app, "ann", &next).await);
    assert_eq!(listed(&user).await.len(), 1);
    spared(&open(&app, "ann", &other).await);
    let events = user.get("/2fa/activity/").await.ok().body();
    for name in ["browser_trusted", "trusted_browser_used", "trusted_browser_reused"] {
        assert!(events.contains(name), "no {name} in {events}");
    }
}

#[tokio::test]
async fn of_many_logins_with_one_token_at_once_exactly_one_is_spared() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    for _ in 0..3 {
        let token = trust(&mut user).await;
        let body = json!({"user_id": "ann", "trusted_browser_token": token});
        let call = || app.post("/2fa/sessions/").json(body.clone()).into_future();
        let calls: Vec<_> = (0..32).map(|_| tokio::spawn(call())).collect();
        let mut spared = 0;
        for call in calls {
            spared += usize::from(call.await.expect("a task").expect(201)["requires_2fa"] == false);
        }
        assert_eq!(spared, 1);
    }
    assert_eq!(listed(&user).await.len(), 3, "logins at the same moment are no theft");
}

#[tokio::test]
async fn nobody_else_is_spared_by_it() {
    let server = Server::start();
    let (app, second) = (server.app(Enforcement::Optional).await, server.app(Enforcement::Optional).await);
    let mut user = app.enrol("ann").await;
    app.enrol("bob").await;
    second.enrol("ann").await;
    let token = trust(&mut user).await;
    challenged(&open(&app, "bob", &token).await);
    challenged(&open(&second, "ann", &token).await);
    let turned = if token.starts_with('A') { "B" } else { "A" };
    for bad in
        ["", "x", &token[1..], &format!("{turned}{}", &token[1..]), &format!("{token}x"), &"A".repeat(15_000)]
    {
        challenged(&open(&app, "ann", bad).await);
    }
    app.open_with(json!({"user_id": "ann", "trusted_browser_token": 7}))
        .await
        .invalid("trusted_browser_token");
    spared(&open(&app, "ann", &token).await);
}

#[tokio::test]
async fn trust_ends_after_thirty_days_and_the_record_is_swept() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let token = trust(&mut user).await;
    server.advance(29 * DAY).await;
    let next = spared(&open(&app, "ann", &token).await);
    server.advance(DAY).await;
    challenged(&open(&app, "ann", &next).await);
}

#[tokio::test]
async fn its_owner_sees_and_forgets_it() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let (token, kept) = (trust(&mut user).await, trust(&mut user).await);
    let all = listed(&user).await;
    assert_eq!(all.len(), 2);
    let rotated = spared(&open(&app, "ann", &token).await);
    let after = listed(&user).await;
    let one = after.iter().find(|one| one["last_used_at"].is_string()).expect("the one that was rotated");
    let id = one["id"].as_str().expect("an id").to_string();
    let mut bob = app.enrol("bob").await;
    trust(&mut bob).await;
    let path = format!("/2fa/trusted-browsers/{id}/");
    bob.call("DELETE", &path).await.refused(404, "NOT_FOUND");
    user.call("DELETE", "/2fa/trusted-browsers/nonsense/").await.refused(404, "NOT_FOUND");
    user.call("DELETE", &path).await.ok();
    user.call("DELETE", &path).await.refused(404, "NOT_FOUND");
    challenged(&open(&app, "ann", &rotated).await);
    spared(&open(&app, "ann", &kept).await);
}

#[tokio::test]
async fn turning_off_and_erasing_end_it() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    for erase in [false, true] {
        let name = if erase { "ann" } else { "bob" };
        let mut user = app.enrol(name).await;
        let token = trust(&mut user).await;
        if erase {
            let path = format!("/2fa/users/{name}/");
            server.call("DELETE".parse().expect("a method"), &path).bearer(&app.key).await.ok();
        } else {
            let code = user.fresh_code().await;
            user.post("/2fa/disable/").json(json!({"code": code})).await.ok();
        }
        let user = app.enrol(name).await;
        challenged(&open(&app, name, &token).await);
        assert!(listed(&user).await.is_empty());
    }
}

#[tokio::test]
async fn a_step_up_makes_no_browser_trusted() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let session = user.post("/2fa/sessions/").await.expect(201).text("session_id");
    let code = user.fresh_code().await;
    let body = json!({"session_id": session, "code": code, "trust_device": true});
    let answer = server.post("/2fa/verify/").json(body).await.ok();
    assert!(!answer.has("trusted_browser_token"), "{answer}");
    user.access = answer.text("access_token");
    assert!(listed(&user).await.is_empty());
}

#[tokio::test]
async fn no_account_trusts_more_than_twenty() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let first = trust(&mut user).await;
    let second = trust(&mut user).await;
    for _ in 0..19 {
        trust(&mut user).await;
    }
    assert_eq!(listed(&user).await.len(), 20);
    challenged(&open(&app, "ann", &first).await);
    spared(&open(&app, "ann", &second).await);
}

#[tokio::test]
async fn signing_out_everywhere_ends_every_login_and_every_trust_and_no_other_users() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let (mut user, mut bob) = (app.enrol("ann").await, app.enrol("bob").await);
    let (earlier, token) = (user.clone(), trust(&mut user).await);
    let of_bob = trust(&mut bob).await;
    let open_session = user.challenge().await;
    user.post("/2fa/sign-out/").await.ok();
    let code = user.fresh_code().await;
    user.answer(&open_session, &code).await.refused(400, "SESSION_EXPIRED");
    for login in [&earlier, &user] {
        login.get("/2fa/devices/").await.refused(401, "AUTH_REQUIRED");
        login.post("/2fa/setup/").json(json!({})).await.refused(401, "AUTH_REQUIRED");
        let body = json!({"refresh_token": login.refresh});
        server.post("/2fa/token/refresh/").json(body).await.refused(401, "AUTH_REQUIRED");
        let body = json!({"token": login.access});
        assert_eq!(app.post("/2fa/token/introspect/").json(body).await.ok()["active"], false);
    }
    user.post("/2fa/sign-out/").await.refused(401, "AUTH_REQUIRED");
    challenged(&open(&app, "ann", &token).await);
    bob.get("/2fa/devices/").await.ok();
    spared(&open(&app, "bob", &of_bob).await);
    user.sign_in().await;
    user.get("/2fa/devices/").await.ok();
    assert_eq!(app.state("ann").await["has_2fa_enabled"], true);
    let server = {
        let access = earlier.access.clone();
        drop((user, bob, earlier, app));
        let server = server.crash();
        server.get("/2fa/devices/").bearer(&access).await.refused(401, "AUTH_REQUIRED");
        server
    };
    drop(server);
}

#[tokio::test]
async fn a_login_that_is_remembered_lives_thirty_days_also_by_a_trusted_browser() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let token = trust(&mut user).await;
    let body = |remember: bool, token: &str| json!({"user_id": "ann", "remember_me": remember, "trusted_browser_token": token});
    let long = app.open_with(body(true, &token)).await.expect(201);
    let short = app.open_with(body(false, &spared(&long))).await.expect(201);
    server.advance(8 * DAY).await;
    let refresh = async |answer: &Answer| {
        server.post("/2fa/token/refresh/").json(json!({"refresh_token": answer.text("refresh_token")})).await
    };
    refresh(&short).await.refused(401, "AUTH_REQUIRED");
    let next = refresh(&long).await.ok();
    server.advance(29 * DAY).await;
    refresh(&next).await.ok();
}
