//! Answering a session with a TOTP code.

use sidekey_tests::{App, Authenticator, Enforcement, Server, json, jwt};

#[tokio::test]
async fn a_right_code_signs_in_and_spends_the_session() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let session = user.challenge().await;
    let code = user.fresh_code().await;
    let answer = user.answer(&session, &code).await.ok();
    assert!(!answer.text("message").is_empty());
    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(answer["expires_in"], 900);
    assert_eq!(answer["user"], json!({"id": "ann", "account_name": "ann@example.com"}));
    assert_eq!(answer["persistent_session"], false);
    assert!(!answer.has("trusted_browser_token"), "nobody asked for it: {answer}");
    server.get("/2fa/devices/").bearer(&answer.text("access_token")).await.ok();

    user.answer(&session, &code).await.refused(409, "SESSION_ALREADY_VERIFIED");
    let next = user.fresh_code().await;
    user.answer(&session, &next).await.refused(409, "SESSION_ALREADY_VERIFIED");
    let backup = user.backup_codes[0].clone();
    user.answer_with_backup(&session, &backup).await.refused(409, "SESSION_ALREADY_VERIFIED");
    assert_eq!(app.state("ann").await["backup_codes_remaining"], 10, "the refusal used no backup code");
}

#[tokio::test]
async fn a_remembered_login_says_that_it_is_persistent() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let body = json!({"user_id": "ann", "account_name": "Ann", "remember_me": true});
    let session = app.open_with(body).await.expect(201).text("session_id");
    let code = user.fresh_code().await;
    let answer = user.answer(&session, &code).await.ok();
    assert_eq!(answer["persistent_session"], true);
    assert_eq!(answer["user"]["account_name"], "Ann");
}

#[tokio::test]
async fn a_login_with_a_return_url_gets_it_back() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let body = json!({"user_id": "ann", "return_url": "https://app.example/after"});
    let session = app.open_with(body).await.expect(201).text("session_id");
    let code = user.fresh_code().await;
    assert_eq!(user.answer(&session, &code).await.ok()["return_url"], "https://app.example/after");
}

/// A user who has not verified since long, and the step that began just now.
async fn at_a_new_step(app: &App<'_>) -> (Authenticator, u64) {
    let user = app.enrol("ann").await;
    app.server.advance(300).await;
    (user.phone, app.server.next_step().await)
}

#[tokio::test]
async fn the_step_before_and_the_step_after_are_accepted() {
    for offset in [-1_i64, 0, 1] {
        let server = Server::start();
        let app = server.app(Enforcement::Optional).await;
        let (phone, step) = at_a_new_step(&app).await;
        let session = app.challenge("ann").await;
        let code = phone.code_of(step.checked_add_signed(offset).expect("a step"));
        let body = json!({"session_id": session, "code": code});
        server.post("/2fa/verify/").json(body).await.ok();
    }
}

#[tokio::test]
async fn two_steps_away_is_too_far() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let (phone, step) = at_a_new_step(&app).await;
    let session = app.challenge("ann").await;
    for (far, left) in [(step - 2, 4), (step + 2, 3), (step - 3, 2)] {
        let body = json!({"session_id": session, "code": phone.code_of(far)});
        let refusal = server.post("/2fa/verify/").json(body).await.refused(400, "INVALID_CODE");
        assert_eq!(refusal["attempts_remaining"], left);
    }
}

#[tokio::test]
async fn blanks_and_hyphens_in_a_code_are_dropped() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    for (before, between, after) in [("", " ", ""), ("", "-", ""), ("  ", " - ", " ")] {
        let session = user.challenge().await;
        let code = user.fresh_code().await;
        let code = format!("{before}{}{between}{}{after}", &code[..3], &code[3..]);
        user.answer(&session, &code).await.ok();
    }
}

#[tokio::test]
async fn a_malformed_code_costs_no_attempt() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let session = user.challenge().await;
    let long = "1".repeat(5000);
    for bad in [
        "",
        "   ",
        "12345",
        "1234567",
        "12345x",
        "１２３４５６",
        "١٢٣٤٥٦",
        "-12345",
        "1e5000",
        "+12345",
        &long,
    ] {
        user.answer(&session, bad).await.invalid("code");
    }
    for body in [
        json!({"session_id": session}),
        json!({"session_id": session, "code": null}),
        json!({"session_id": session, "code": 123_456}),
        json!({"session_id": session, "code": ["123456"]}),
        json!({"session_id": session, "code": {"a": 1}}),
        json!({"session_id": session, "code": true}),
    ] {
        server.post("/2fa/verify/").json(body).await.refused(400, "VALIDATION_ERROR");
    }
    let wrong = user.wrong_code().await;
    assert_eq!(user.answer(&session, &wrong).await.refused(400, "INVALID_CODE")["attempts_remaining"], 4);
    let code = user.fresh_code().await;
    user.answer(&session, &code).await.ok();
}

#[tokio::test]
async fn a_session_id_must_be_a_string() {
    let server = Server::start();
    for body in
        [json!({"code": "123456"}), json!({"session_id": 7, "code": "123456"}), json!([]), json!("text")]
    {
        server.post("/2fa/verify/").json(body).await.refused(400, "VALIDATION_ERROR");
    }
}

#[tokio::test]
async fn a_code_with_a_leading_zero_is_digits_and_not_a_number() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let now = server.step().await;
    let step = (now + 2..now + 1000)
        .find(|&s| user.phone.code_of(s).starts_with('0'))
        .expect("one in ten starts with 0");
    server.advance((step - now) * 30).await;
    let code = user.phone.code_of(step);
    let session = user.challenge().await;
    user.answer(&session, code.trim_start_matches('0')).await.invalid("code");
    user.answer(&session, &code).await.ok();
}

#[tokio::test]
async fn an_enrolment_session_cannot_be_answered_with_a_code() {
    let server = Server::start();
    let app = server.app(Enforcement::Required).await;
    let opened = app.open_session("ann").await;
    let body = json!({"session_id": opened.text("session_id"), "code": "123456"});
    let refusal = server.post("/2fa/verify/").json(body).await;
    assert!((400..500).contains(&refusal.status), "{refusal}");
}

#[tokio::test]
async fn the_tokens_of_a_code_say_so() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let answer = user.sign_in().await;
    assert_eq!(jwt::claims(&answer.text("access_token"))["amr"], json!(["otp", "mfa"]));
}

#[tokio::test]
async fn a_session_opened_before_enrolment_was_lost_reports_no_second_factor() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let session = user.challenge().await;
    let code = user.fresh_code().await;
    user.post("/2fa/disable/").json(json!({"code": code})).await.ok();
    let code = user.fresh_code().await;
    let refusal = user.answer(&session, &code).await;
    assert!((400..500).contains(&refusal.status), "{refusal}");
}
