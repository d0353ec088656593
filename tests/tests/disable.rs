//! Turning the second factor off.

use sidekey_tests::{Authenticator, Enforcement, Server, json};

const PATH: &str = "/2fa/disable/";

#[tokio::test]
async fn a_code_turns_it_off_and_removes_devices_codes_and_refresh_tokens() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let first_refresh = user.refresh.clone();
    user.sign_in().await;
    user.add_device("tablet").await;
    let code = user.fresh_code().await;
    assert!(!user.post(PATH).json(json!({"code": code})).await.ok().text("message").is_empty());
    let state = app.state("ann").await;
    assert_eq!(state["has_2fa_enabled"], false);
    assert_eq!(state["devices"], 0);
    assert_eq!(state["backup_codes_remaining"], 0);
    for refresh in [first_refresh, user.refresh.clone()] {
        let body = json!({"refresh_token": refresh});
        server.post("/2fa/token/refresh/").json(body).await.refused(401, "AUTH_REQUIRED");
    }
    let devices = user.get("/2fa/devices/").await.ok();
    assert_eq!(devices["devices"], json!([]));
    assert_eq!(devices["has_2fa_enabled"], false);
    assert_eq!(app.open_session("ann").await["requires_2fa"], false);
}

#[tokio::test]
async fn a_backup_code_turns_it_off_too() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    user.post(PATH).json(json!({"backup_code": "ABCD-EFGH-JKMN-PQRS"})).await.refused(400, "INVALID_CODE");
    let code = user.backup_codes[9].to_lowercase();
    user.post(PATH).json(json!({"backup_code": code})).await.ok();
    assert_eq!(app.state("ann").await["has_2fa_enabled"], false);
}

#[tokio::test]
async fn it_always_needs_a_code_however_fresh_the_second_factor() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    user.sign_in().await;
    user.post(PATH).json(json!({})).await.refused(400, "CODE_REQUIRED");
    user.post(PATH).json(json!({"code": "1"})).await.invalid("code");
    user.post(PATH).json(json!({"backup_code": "A"})).await.invalid("backup_code");
    let wrong = user.wrong_code().await;
    let refusal = user.post(PATH).json(json!({"code": wrong})).await.refused(400, "INVALID_CODE");
    assert!(!refusal.has("attempts_remaining"), "no session is answered: {refusal}");
    assert_eq!(app.state("ann").await["has_2fa_enabled"], true);
}

#[tokio::test]
async fn without_a_device_there_is_nothing_to_turn_off() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let token = app.setup_token("ann").await;
    for body in [json!({"code": "123456"}), json!({"backup_code": "ABCD-EFGH-JKMN-PQRS"})] {
        server.post(PATH).bearer(&token).json(body).await.refused(400, "2FA_NOT_ENABLED");
    }
}

#[tokio::test]
async fn open_sessions_and_old_codes_are_dead_afterwards() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let session = user.challenge().await;
    let code = user.fresh_code().await;
    user.post(PATH).json(json!({"code": code})).await.ok();
    let backup = user.backup_codes[0].clone();
    let late = user.answer_with_backup(&session, &backup).await;
    assert!((400..500).contains(&late.status), "{late}");
    let fresh = app.enrol("ann").await;
    assert_ne!(fresh.phone.secret(), user.phone.secret());
    let old = user.fresh_code().await;
    fresh.answer(&fresh.challenge().await, &old).await.refused(400, "INVALID_CODE");
    fresh.answer_with_backup(&fresh.challenge().await, &backup).await.refused(400, "INVALID_CODE");
}

#[tokio::test]
async fn where_it_is_required_the_next_login_demands_enrolment() {
    let server = Server::start();
    let app = server.app(Enforcement::Required).await;
    let mut user = app.enrol("ann").await;
    let code = user.fresh_code().await;
    user.post(PATH).json(json!({"code": code})).await.ok();
    assert_eq!(app.open_session("ann").await["requires_enrollment"], true);
}

#[tokio::test]
async fn a_token_without_second_factor_cannot_turn_it_off() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let weak = app.setup_token("ann").await;
    let mut user = app.enrol("ann").await;
    let code = user.fresh_code().await;
    server.post(PATH).bearer(&weak).json(json!({"code": code})).await.refused(401, "2FA_REQUIRED");
    user.post(PATH).json(json!({"code": code})).await.ok(); // the refusal judged nothing
}

#[tokio::test]
async fn a_second_factor_of_the_devices_before_does_not_count_for_new_ones() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    user.sign_in().await;
    let code = user.fresh_code().await;
    user.post(PATH).json(json!({"code": code})).await.ok();
    server.advance(30).await;
    app.enrol("ann").await;
    user.get("/2fa/devices/").await.refused(401, "2FA_REQUIRED");
    user.post("/2fa/setup/").json(json!({})).await.refused(401, "2FA_REQUIRED");
}

#[tokio::test]
async fn turning_off_and_on_again_refills_no_failure_budget() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let session = user.challenge().await;
    for code in user.phone.wrong_codes(&server, 4).await {
        user.answer(&session, &code).await.refused(400, "INVALID_CODE");
    }
    user.post(PATH).json(json!({"backup_code": user.backup_codes[0]})).await.ok();
    let token = app.setup_token("ann").await;
    let setup = server.post("/2fa/setup/").bearer(&token).json(json!({})).await.ok();
    let phone = Authenticator::from_base32(&setup.text("secret"));
    let body = |code: String| json!({"device_id": setup["device_id"], "code": code});
    let confirm = |code| server.post("/2fa/setup/confirm/").bearer(&token).json(body(code));
    let mut refusals = Vec::new();
    for code in phone.wrong_codes(&server, 6).await {
        refusals.push(confirm(code).await);
    }
    let waits = refusals.iter().filter(|answer| answer["code"] == "ACCOUNT_THROTTLED").count();
    assert!(waits >= 1, "five failures in a row, then a wait, whatever lies between: {refusals:?}");
}

#[tokio::test]
async fn of_the_logins_before_only_the_one_that_turned_it_off_may_set_up_again() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    for by_removal in [false, true] {
        let id = format!("user-{by_removal}");
        let weak = app.setup_token(&id).await;
        let mut user = app.enrol(&id).await;
        let strong = user.sign_in().await.text("access_token");
        user.sign_in().await;
        let body = json!({"code": user.fresh_code().await});
        if by_removal {
            user.call("DELETE", &format!("/2fa/devices/{}/", user.device)).json(body).await.ok();
        } else {
            user.post(PATH).json(body).await.ok();
        }
        let setup = user.post("/2fa/setup/").json(json!({})).await.ok();
        let mut phone = Authenticator::from_base32(&setup.text("secret"));
        let body = json!({"device_id": setup["device_id"], "code": phone.fresh_code(&server).await});
        for token in [&weak, &strong] {
            let post = |path| server.post(path).bearer(token);
            post("/2fa/setup/").json(json!({})).await.refused(401, "AUTH_REQUIRED");
            post("/2fa/setup/confirm/").json(body.clone()).await.refused(401, "AUTH_REQUIRED");
        }
        assert_eq!(app.state(&id).await["has_2fa_enabled"], false);
        user.post("/2fa/setup/confirm/").json(body).await.ok();
        assert_eq!(app.state(&id).await["has_2fa_enabled"], true);
    }
}

#[tokio::test]
async fn a_login_after_it_may_set_up_again() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let code = user.fresh_code().await;
    user.post(PATH).json(json!({"code": code})).await.ok();
    app.enrol("ann").await;
    assert_eq!(app.state("ann").await["has_2fa_enabled"], true);
}

#[tokio::test]
async fn an_open_session_is_told_as_expired_and_an_answered_one_as_verified() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let (open, answered) = (user.challenge().await, user.challenge().await);
    let code = user.fresh_code().await;
    user.answer(&answered, &code).await.ok();
    let code = user.fresh_code().await;
    user.post(PATH).json(json!({"code": code})).await.ok();
    assert_eq!(app.session_status(&open).await, "expired");
    assert_eq!(app.session_status(&answered).await, "verified");
}
