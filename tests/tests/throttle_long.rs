//! Rule 3 over weeks: two codes after twenty failures in thirty days, and the lock after a hundred in a row.

use sidekey_tests::{Answer, Browser, Enforcement, Server, User, json};

const DAY: u64 = 86_400;

async fn answer_two(user: &User<'_>, session: &str, code: &str, next: &str) -> Answer {
    let body = json!({"session_id": session, "code": code, "next_code": next});
    user.server().post("/2fa/verify/").json(body).await
}

/// Twenty-one failures, with successes between them so that no row is longer than four.
async fn fail_twenty_one_times(user: &mut User<'_>) {
    for _ in 0..5 {
        let session = user.challenge().await;
        for code in user.phone.wrong_codes(user.server(), 4).await {
            user.answer(&session, &code).await.refused(400, "INVALID_CODE");
        }
        user.sign_in().await;
    }
    let wrong = user.wrong_code().await;
    user.answer(&user.challenge().await, &wrong).await.refused(400, "INVALID_CODE");
}

#[tokio::test]
async fn after_over_twenty_failures_in_thirty_days_an_answer_needs_two_consecutive_codes() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    fail_twenty_one_times(&mut user).await;
    let mut browser = Browser::new(&server);
    browser.visit(&app.open_session("ann").await.text("verify_url")).await.ok();
    assert!(browser.html.contains("Please type two codes in a row"), "{}", browser.html);
    let session = user.challenge().await;
    let (code, next) = user.phone.two_fresh_codes(&server).await;
    let refusal = user.answer(&session, &code).await.refused(400, "NEXT_CODE_REQUIRED");
    assert!(!refusal.has("access_token"), "{refusal}");
    answer_two(&user, &session, &code, "12345").await.invalid("next_code");
    let answer = answer_two(&user, &session, &code, &next).await.ok();
    assert_eq!(answer["user"]["id"], "ann");
    // Both are used up now.
    let again = user.challenge().await;
    answer_two(&user, &again, &code, &next).await.refused(400, "INVALID_CODE");
}

#[tokio::test]
async fn twenty_failures_do_not_yet_need_two_codes() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    for _ in 0..5 {
        let session = user.challenge().await;
        for code in user.phone.wrong_codes(&server, 4).await {
            user.answer(&session, &code).await.refused(400, "INVALID_CODE");
        }
        user.sign_in().await;
    }
    user.sign_in().await;
}

#[tokio::test]
async fn two_codes_must_be_of_consecutive_steps_and_in_order() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    fail_twenty_one_times(&mut user).await;
    server.advance(120).await;
    let step = server.next_step().await;
    let session = user.challenge().await;
    let of = |s| user.phone.code_of(s);
    let wrong = user.wrong_code().await;
    answer_two(&user, &session, &of(step), &of(step - 1)).await.refused(400, "INVALID_CODE");
    answer_two(&user, &session, &of(step), &wrong).await.refused(400, "INVALID_CODE");
    answer_two(&user, &session, &wrong, &of(step)).await.refused(400, "INVALID_CODE");
    answer_two(&user, &session, &of(step - 1), &of(step)).await.ok();
}

#[tokio::test]
async fn the_two_codes_are_asked_for_at_every_endpoint_that_judges_one() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    fail_twenty_one_times(&mut user).await;
    let (code, next) = user.phone.two_fresh_codes(&server).await;
    let path = format!("/2fa/devices/{}/", user.device);
    for call in
        [user.post("/2fa/disable/"), user.post("/2fa/backup-codes/regenerate/"), user.call("DELETE", &path)]
    {
        call.json(json!({"code": code})).await.refused(400, "NEXT_CODE_REQUIRED");
    }
    let body = json!({"code": code, "next_code": next});
    user.post("/2fa/backup-codes/regenerate/").json(body).await.ok();
}

#[tokio::test]
async fn thirty_days_later_one_code_is_enough_again() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    fail_twenty_one_times(&mut user).await;
    server.advance(31 * DAY).await;
    user.sign_in().await;
}

#[tokio::test]
async fn backup_codes_need_no_second_code_after_twenty_failures() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    fail_twenty_one_times(&mut user).await;
    let code = user.backup_codes[0].clone();
    user.answer_with_backup(&user.challenge().await, &code).await.ok();
}

/// A hundred failures in a row, each after the longest wait.
async fn lock(user: &User<'_>) {
    for n in 1..=100 {
        let wrong = user.phone.wrong_codes(user.server(), 2).await;
        let session = user.challenge().await;
        let answer = answer_two(user, &session, &wrong[0], &wrong[1]).await;
        assert_eq!(answer["code"], "INVALID_CODE", "failure {n}: {answer}");
        assert_eq!(user.app.state(&user.id).await["locked"], n == 100, "after {n} failures");
        if n >= 5 {
            user.server().advance(3600).await;
        }
    }
}

#[tokio::test]
async fn a_hundred_failures_in_a_row_lock_totp_until_the_app_unlocks_it() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    lock(&user).await;
    let mut browser = Browser::new(&server);
    browser.visit(&app.open_session("ann").await.text("verify_url")).await.ok();
    assert!(browser.html.contains("codes from the app are no longer accepted"), "{}", browser.html);
    assert!(browser.html.contains("<details class=\"other\" open>"), "a backup code is asked for");
    let (code, next) = user.phone.two_fresh_codes(&server).await;
    answer_two(&user, &user.challenge().await, &code, &next).await.refused(423, "ACCOUNT_LOCKED");
    server.advance(60 * DAY).await;
    let (code, next) = user.phone.two_fresh_codes(&server).await;
    answer_two(&user, &user.challenge().await, &code, &next).await.refused(423, "ACCOUNT_LOCKED");
    app.post("/2fa/users/ann/unlock/").await.ok();
    assert_eq!(app.state("ann").await["locked"], false);
    answer_two(&user, &user.challenge().await, &code, &next).await.ok();
}

#[tokio::test]
async fn a_backup_code_unlocks_totp() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    lock(&user).await;
    let backup = user.backup_codes[0].clone();
    user.answer_with_backup(&user.challenge().await, &backup).await.ok();
    assert_eq!(app.state("ann").await["locked"], false);
    let (code, next) = user.phone.two_fresh_codes(&server).await;
    answer_two(&user, &user.challenge().await, &code, &next).await.ok();
}
