//! Backup codes: answering with one, counting them, renewing them.

use sidekey_tests::{Enforcement, Server, json, jwt};

#[tokio::test]
async fn a_backup_code_signs_in_once_and_says_how_many_are_left() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let code = user.backup_codes[3].clone();
    let answer = user.answer_with_backup(&user.challenge().await, &code).await.ok();
    assert_eq!(answer["remaining_backup_codes"], 9);
    assert_eq!(answer["warning"], json!(null));
    assert!(answer.has("warning") && !answer.text("message").is_empty());
    assert_eq!(answer["user"], json!({"id": "ann", "account_name": "ann@example.com"}));
    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(answer["expires_in"], 900);
    assert_eq!(answer["persistent_session"], false);
    let again = user.answer_with_backup(&user.challenge().await, &code).await.refused(400, "INVALID_CODE");
    assert_eq!(again["attempts_remaining"], 4);
    assert_eq!(app.state("ann").await["backup_codes_remaining"], 9);
}

#[tokio::test]
async fn a_backup_code_spends_its_session() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let session = user.challenge().await;
    let (one, two) = (user.backup_codes[0].clone(), user.backup_codes[1].clone());
    user.answer_with_backup(&session, &one).await.ok();
    user.answer_with_backup(&session, &two).await.refused(409, "SESSION_ALREADY_VERIFIED");
    let code = user.fresh_code().await;
    user.answer(&session, &code).await.refused(409, "SESSION_ALREADY_VERIFIED");
    user.answer_with_backup(&user.challenge().await, &two).await.ok();
}

#[tokio::test]
async fn case_blanks_and_hyphens_in_a_backup_code_do_not_matter() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    for (n, code) in user.backup_codes.iter().take(4).enumerate() {
        let typed = match n {
            0 => code.to_lowercase(),
            1 => code.replace('-', ""),
            2 => code.replace('-', " "),
            _ => format!("  {} ", code.replace('-', " - ").to_lowercase()),
        };
        user.answer_with_backup(&user.challenge().await, &typed).await.ok();
        let shaped = code.replace('-', "").to_lowercase();
        user.answer_with_backup(&user.challenge().await, &shaped).await.refused(400, "INVALID_CODE");
    }
}

#[tokio::test]
async fn the_tokens_of_a_backup_code_never_say_otp() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let code = user.backup_codes[0].clone();
    let answer = user.answer_with_backup(&user.challenge().await, &code).await.ok();
    let claims = jwt::claims(&answer.text("access_token"));
    assert_eq!(claims["amr"], json!(["backup_code", "mfa"]));
    assert_eq!(claims["acr"], "urn:sidekey:acr:2fa");
    let refreshed = server
        .post("/2fa/token/refresh/")
        .json(json!({"refresh_token": answer.text("refresh_token")}))
        .await
        .ok();
    assert_eq!(jwt::claims(&refreshed.text("access_token"))["amr"], json!(["backup_code", "mfa"]));
}

#[tokio::test]
async fn the_last_three_come_with_a_warning_and_they_can_all_be_used() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    for (n, code) in user.backup_codes.clone().iter().enumerate() {
        let left = 9 - n;
        let answer = user.answer_with_backup(&user.challenge().await, code).await.ok();
        user.access = answer.text("access_token");
        assert_eq!(answer["remaining_backup_codes"], left);
        let status = user.get("/2fa/backup-codes/").await.ok();
        assert_eq!(status["remaining_count"], left);
        assert_eq!(status["total_generated"], 10);
        for answer in [&answer, &status] {
            assert_eq!(answer["warning"].is_string(), left <= 3, "{left} left: {answer}");
            assert_eq!(answer["warning"].is_null(), left > 3, "{left} left: {answer}");
        }
    }
    let unknown = "AAAA-BBBB-CCCC-DDDD";
    user.answer_with_backup(&user.challenge().await, unknown).await.refused(400, "INVALID_CODE");
    user.sign_in().await;
}

#[tokio::test]
async fn the_form_of_a_backup_code_is_checked_before_it_costs_an_attempt() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let session = user.challenge().await;
    let long = "A".repeat(5000);
    for bad in [
        "",
        "    ",
        "ABCD",
        "ABCD-EFGH-JKMN-PQR",
        "ABCD-EFGH-JKMN-PQRST",
        "ABCD-EFGH-JKMN-PQR!",
        "123456",
        &long,
    ] {
        user.answer_with_backup(&session, bad).await.invalid("backup_code");
    }
    for body in [json!({"session_id": session}), json!({"session_id": session, "backup_code": 7})] {
        server.post("/2fa/verify/backup/").json(body).await.refused(400, "VALIDATION_ERROR");
    }
    let refusal = user.answer_with_backup(&session, "ABCD-EFGH-JKMN-PQRS").await.refused(400, "INVALID_CODE");
    assert_eq!(refusal["attempts_remaining"], 4);
}

#[tokio::test]
async fn a_backup_code_of_another_user_or_app_opens_nothing() {
    let server = Server::start();
    let (app, other) = (server.app(Enforcement::Optional).await, server.app(Enforcement::Optional).await);
    let (ann, bob, twin) = (app.enrol("ann").await, app.enrol("bob").await, other.enrol("ann").await);
    for code in [&bob.backup_codes[0], &twin.backup_codes[0]] {
        ann.answer_with_backup(&ann.challenge().await, code).await.refused(400, "INVALID_CODE");
    }
    bob.answer_with_backup(&bob.challenge().await, &bob.backup_codes[0]).await.ok();
    twin.answer_with_backup(&twin.challenge().await, &twin.backup_codes[0]).await.ok();
}

#[tokio::test]
async fn the_count_is_shown_but_never_the_codes() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let status = user.get("/2fa/backup-codes/").await.ok();
    assert_eq!(status["remaining_count"], 10);
    assert_eq!(status["total_generated"], 10);
    assert!(status.has("warning") && status["warning"].is_null());
    for code in &user.backup_codes {
        assert!(!status.body().contains(code.as_str()));
    }
}

#[tokio::test]
async fn renewing_needs_a_code_and_kills_the_old_codes() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let renew = "/2fa/backup-codes/regenerate/";
    user.post(renew).json(json!({})).await.refused(400, "CODE_REQUIRED");
    user.post(renew).json(json!({"code": "12345"})).await.invalid("code");
    let wrong = user.wrong_code().await;
    user.post(renew).json(json!({"code": wrong})).await.refused(400, "INVALID_CODE");
    let old = user.backup_codes.clone();
    user.answer_with_backup(&user.challenge().await, &old[0]).await.ok();
    let code = user.fresh_code().await;
    let answer = user.post(renew).json(json!({"code": code})).await.ok();
    let new = answer.texts("backup_codes");
    assert_eq!(new.len(), 10);
    assert!(new.iter().all(|code| !old.contains(code)) && answer.has("warning"));
    assert_eq!(user.get("/2fa/backup-codes/").await.ok()["remaining_count"], 10);
    user.answer_with_backup(&user.challenge().await, &old[1]).await.refused(400, "INVALID_CODE");
    user.answer_with_backup(&user.challenge().await, &new[0]).await.ok();
}

#[tokio::test]
async fn a_user_without_a_device_has_no_backup_codes_to_renew() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let token = app.setup_token("ann").await;
    let renew = server.post("/2fa/backup-codes/regenerate/").bearer(&token).json(json!({"code": "123456"}));
    renew.await.refused(400, "2FA_NOT_ENABLED");
}
