//! Rule 3: the limit of a session and the waits of an account. The long budget is in `throttle_long.rs`.

use futures_util::future::join_all;
use sidekey_tests::{Answer, App, Authenticator, Enforcement, Server, User, clock, json};

const CODE: &str = "INVALID_CODE";
const WAIT: &str = "ACCOUNT_THROTTLED";

/// Fails this often in new sessions of at most four answers each.
async fn fail(user: &User<'_>, times: usize) {
    for codes in user.phone.wrong_codes(user.server(), times).await.chunks(4) {
        let session = user.challenge().await;
        for code in codes {
            user.answer(&session, code).await.refused(400, CODE);
        }
    }
}

/// Passes a refusal that asks to wait for about `seconds`, and gives the wait it names.
#[track_caller]
fn waits(answer: Answer, seconds: u64) -> u64 {
    let wait = answer.refused(429, WAIT).retry_after();
    assert!(wait <= seconds && wait + 25 > seconds, "asked to wait {wait} s, not about {seconds} s");
    wait
}

#[tokio::test]
async fn five_wrong_answers_end_a_session_for_a_right_code_too() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let session = user.challenge().await;
    let wrong = user.phone.wrong_codes(&server, 5).await;
    for (code, left) in wrong.iter().zip([4, 3, 2, 1]) {
        let refusal = user.answer(&session, code).await.refused(400, CODE);
        assert_eq!(refusal["attempts_remaining"], left);
    }
    user.answer(&session, &wrong[4]).await.refused(403, "MAX_ATTEMPTS_EXCEEDED");
    let code = user.fresh_code().await;
    user.answer(&session, &code).await.refused(403, "MAX_ATTEMPTS_EXCEEDED");
    server.advance(60).await;
    let code = user.fresh_code().await;
    user.answer(&session, &code).await.refused(403, "MAX_ATTEMPTS_EXCEEDED");
    let backup = user.backup_codes[0].clone();
    user.answer_with_backup(&session, &backup).await.refused(403, "MAX_ATTEMPTS_EXCEEDED");
    user.answer(&user.challenge().await, &code).await.ok(); // the code itself was not used up
}

#[tokio::test]
async fn wrong_codes_and_wrong_backup_codes_share_a_sessions_five_answers() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let session = user.challenge().await;
    let wrong = user.phone.wrong_codes(&server, 3).await;
    let backup = "ABCD-EFGH-JKMN-PQRS";
    let left = |answer: Answer| answer.refused(400, CODE).number("attempts_remaining");
    assert_eq!(left(user.answer(&session, &wrong[0]).await), 4);
    assert_eq!(left(user.answer_with_backup(&session, backup).await), 3);
    assert_eq!(left(user.answer(&session, &wrong[1]).await), 2);
    assert_eq!(left(user.answer_with_backup(&session, backup).await), 1);
    user.answer(&session, &wrong[2]).await.refused(403, "MAX_ATTEMPTS_EXCEEDED");
}

#[tokio::test]
async fn four_failures_in_a_row_are_free() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    fail(&user, 4).await;
    assert!(app.state("ann").await["throttled_until"].is_null());
    user.sign_in().await;
}

#[tokio::test]
async fn the_fifth_failure_starts_a_wait_of_thirty_seconds_over_all_sessions() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let opened_before = user.challenge().await;
    fail(&user, 5).await;
    let until = clock::unix(&app.state("ann").await.text("throttled_until"));
    let now = server.now().await;
    assert!(until > now && until <= now + 30, "throttled until {until}, now {now}");
    // A code of the next step stays right while the clock stands.
    let code = user.phone.code_of(server.step().await + 1);
    waits(user.answer(&opened_before, &code).await, 30);
    let wait = waits(user.answer(&user.challenge().await, &code).await, 30);
    server.advance(wait).await;
    assert!(app.state("ann").await["throttled_until"].is_null());
    user.phone.skip(&server).await;
    let code = user.fresh_code().await;
    user.answer(&opened_before, &code).await.ok();
}

#[tokio::test]
async fn nothing_is_judged_or_counted_while_the_account_waits() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    fail(&user, 5).await;
    let session = user.challenge().await;
    let code = user.phone.code_of(server.step().await + 1);
    let wrong = user.wrong_code().await;
    let mut wait = 0;
    for _ in 0..10 {
        wait = waits(user.answer(&session, &wrong).await, 30);
        waits(user.answer(&session, &code).await, 30);
    }
    server.advance(wait).await;
    let wrong = user.wrong_code().await;
    let refusal = user.answer(&session, &wrong).await.refused(400, CODE);
    assert_eq!(refusal["attempts_remaining"], 4, "twenty answers in the wait cost no attempt");
    waits(user.answer(&session, &wrong).await, 60);
}

#[tokio::test]
async fn the_wait_doubles_up_to_an_hour() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    fail(&user, 5).await;
    for expected in [30, 60, 120, 240, 480, 960, 1920, 3600, 3600] {
        let session = user.challenge().await;
        let wait = waits(user.answer(&session, "000000").await, expected);
        server.advance(wait).await;
        let session = user.challenge().await;
        let wrong = user.wrong_code().await;
        user.answer(&session, &wrong).await.refused(400, CODE);
    }
    server.advance(3600).await;
    user.sign_in().await;
}

#[tokio::test]
async fn success_ends_the_row() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    for _ in 0..3 {
        fail(&user, 4).await;
        user.sign_in().await;
    }
    fail(&user, 4).await;
    user.sign_in().await;
}

#[tokio::test]
async fn the_budget_is_one_over_every_endpoint_that_judges_a_code() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let pending = user.post("/2fa/setup/").json(json!({})).await.ok();
    let tablet = Authenticator::from_base32(&pending.text("secret"));
    let pending = pending.text("device_id");
    let session = user.challenge().await;
    let path = format!("/2fa/devices/{}/", user.device);
    let wrong = user.phone.wrong_codes(&server, 5).await;
    let at_confirm = tablet.wrong_code(&server).await;
    user.post("/2fa/backup-codes/regenerate/").json(json!({"code": wrong[0]})).await.refused(400, CODE);
    user.post("/2fa/disable/").json(json!({"code": wrong[1]})).await.refused(400, CODE);
    user.call("DELETE", &path).json(json!({"code": wrong[2]})).await.refused(400, CODE);
    let confirm =
        |code: &str| user.post("/2fa/setup/confirm/").json(json!({"device_id": pending, "code": code}));
    confirm(&at_confirm).await.refused(400, CODE);
    user.answer(&session, &wrong[3]).await.refused(400, CODE);

    let right = user.phone.code_of(server.step().await + 1);
    let body = || json!({"code": right});
    waits(user.post("/2fa/backup-codes/regenerate/").json(body()).await, 30);
    waits(user.post("/2fa/disable/").json(body()).await, 30);
    waits(user.call("DELETE", &path).json(body()).await, 30);
    waits(confirm(&tablet.code_of(server.step().await)).await, 30);
    waits(user.answer(&session, &right).await, 30);
    assert_eq!(app.state("ann").await["has_2fa_enabled"], true);
}

#[tokio::test]
async fn a_first_enrolment_is_guessed_no_faster_than_a_login() {
    let server = Server::start();
    let app = server.app(Enforcement::Required).await;
    let token = app.setup_token("ann").await;
    let setup = server.post("/2fa/setup/").bearer(&token).json(json!({})).await.ok();
    let phone = Authenticator::from_base32(&setup.text("secret"));
    let confirm = |code: &str| {
        let body = json!({"device_id": setup["device_id"], "code": code});
        server.post("/2fa/setup/confirm/").bearer(&token).json(body)
    };
    for code in phone.wrong_codes(&server, 5).await {
        confirm(&code).await.refused(400, CODE);
    }
    let wait = waits(confirm(&phone.code_of(server.step().await)).await, 30);
    server.advance(wait).await;
    confirm(&phone.code_of(server.step().await)).await.ok();
}

#[tokio::test]
async fn parallel_wrong_guesses_never_get_more_than_the_budget_judged() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let judged = |answers: &[Answer]| answers.iter().filter(|a| a["code"] == CODE).count();
    let volley = async || {
        let sessions = join_all((0..100).map(|_| user.challenge())).await;
        let wrong = user.phone.wrong_codes(&server, 100).await;
        let answers = join_all(sessions.iter().zip(&wrong).map(|(s, code)| user.answer(s, code))).await;
        assert!(answers.iter().all(|a| a["code"] == CODE || a["code"] == WAIT));
        answers
    };
    assert_eq!(judged(&volley().await), 5);
    server.advance(30).await;
    assert_eq!(judged(&volley().await), 1);
    server.advance(60).await;
    assert_eq!(judged(&volley().await), 1);
}

#[tokio::test]
async fn parallel_wrong_guesses_at_one_session_get_five_judged() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let session = user.challenge().await;
    let wrong = user.phone.wrong_codes(&server, 60).await;
    let answers = join_all(wrong.iter().map(|code| user.answer(&session, code))).await;
    let mut left: Vec<u64> =
        answers.iter().filter(|a| a["code"] == CODE).map(|a| a.number("attempts_remaining")).collect();
    left.sort_unstable();
    assert_eq!(left, [1, 2, 3, 4], "each attempt was counted once");
    assert!(answers.iter().all(|a| a["code"] == CODE || a["code"] == "MAX_ATTEMPTS_EXCEEDED"));
}

#[tokio::test]
async fn backup_codes_still_open_the_door_for_a_throttled_owner() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    fail(&user, 5).await;
    waits(user.answer(&user.challenge().await, "000000").await, 30);
    let code = user.backup_codes[0].clone();
    user.answer_with_backup(&user.challenge().await, &code).await.ok();
}

#[tokio::test]
async fn backup_codes_have_a_budget_of_their_own_with_the_same_waits() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let wrong = "ABCD-EFGH-JKMN-PQRS";
    for times in [4, 1] {
        let session = user.challenge().await;
        for _ in 0..times {
            user.answer_with_backup(&session, wrong).await.refused(400, CODE);
        }
    }
    let right = user.backup_codes[0].clone();
    waits(user.answer_with_backup(&user.challenge().await, &right).await, 30);
    waits(user.post("/2fa/disable/").json(json!({"backup_code": right})).await, 30);
    let code = user.phone.code_of(server.step().await + 1);
    user.answer(&user.challenge().await, &code).await.ok(); // TOTP is not throttled by that
    server.advance(30).await;
    user.answer_with_backup(&user.challenge().await, wrong).await.refused(400, CODE);
    let wait = waits(user.answer_with_backup(&user.challenge().await, &right).await, 60);
    server.advance(wait).await;
    user.answer_with_backup(&user.challenge().await, &right).await.ok();
    server.advance(60).await;
    user.sign_in().await;
}

#[tokio::test]
async fn the_form_of_a_code_and_the_state_of_a_session_are_judged_before_the_wait() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let spent = user.challenge().await;
    let code = user.fresh_code().await;
    user.answer(&spent, &code).await.ok();
    let open = user.challenge().await;
    fail(&user, 5).await;
    user.answer(&open, "12345").await.invalid("code");
    user.answer(&spent, "123456").await.refused(409, "SESSION_ALREADY_VERIFIED");
    user.answer(&"A".repeat(43), "123456").await.refused(404, "SESSION_NOT_FOUND");
    waits(user.answer(&open, "123456").await, 30);
}

#[tokio::test]
async fn another_user_and_the_same_name_in_another_app_are_not_affected() {
    let server = Server::start();
    let (app, other) = (server.app(Enforcement::Optional).await, server.app(Enforcement::Optional).await);
    let (ann, bob, twin) = (app.enrol("ann").await, app.enrol("bob").await, other.enrol("ann").await);
    fail(&ann, 5).await;
    for user in [&bob, &twin] {
        let code = user.phone.code_of(server.step().await + 1);
        user.answer(&user.challenge().await, &code).await.ok();
    }
    waits(ann.answer(&ann.challenge().await, "000000").await, 30);
}

#[tokio::test]
async fn refused_answers_stay_counted_after_a_crash() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let (session, later) = (user.challenge().await, user.challenge().await);
    let wrong = user.phone.wrong_codes(&server, 5).await;
    for code in &wrong[..3] {
        user.answer(&session, code).await.refused(400, CODE);
    }
    drop((app, user));
    let server = server.crash();
    let answer =
        |id: &str, code: &str| server.post("/2fa/verify/").json(json!({"session_id": id, "code": code}));
    assert_eq!(answer(&session, &wrong[3]).await.refused(400, CODE)["attempts_remaining"], 1);
    answer(&session, &wrong[4]).await.refused(403, "MAX_ATTEMPTS_EXCEEDED");
    waits(answer(&later, &wrong[0]).await, 30);
}

#[tokio::test]
async fn the_app_ends_a_wait_by_unlocking() {
    let server = Server::start();
    let app: App<'_> = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    fail(&user, 5).await;
    app.post("/2fa/users/ann/unlock/").await.ok();
    assert!(app.state("ann").await["throttled_until"].is_null());
    let code = user.phone.code_of(server.step().await + 1);
    user.answer(&user.challenge().await, &code).await.ok();
}
