//! Rule 1: one right answer, once; whatever the session, the endpoint or the number of requests at once.

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use sidekey_tests::{Answer, Enforcement, Server, json};

/// Connections that a race keeps busy at once.
const PARALLEL: usize = 200;

#[tokio::test]
async fn a_code_that_was_accepted_is_refused_in_every_other_session() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let (first, second) = (user.challenge().await, user.challenge().await);
    let code = user.fresh_code().await;
    user.answer(&first, &code).await.ok();
    let refusal = user.answer(&second, &code).await.refused(400, "INVALID_CODE");
    assert_eq!(refusal["attempts_remaining"], 4, "a replay is a failure");
    let shaped = format!("{} {}", &code[..3], &code[3..]);
    user.answer(&second, &shaped).await.refused(400, "INVALID_CODE");
    user.answer(&second, &format!("-{code}-")).await.refused(400, "INVALID_CODE");
    user.answer(&user.challenge().await, &code).await.refused(400, "INVALID_CODE");
}

#[tokio::test]
async fn a_code_of_an_older_step_is_refused_after_a_newer_one() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    server.advance(120).await;
    let step = server.next_step().await;
    user.answer(&user.challenge().await, &user.phone.code_of(step)).await.ok();
    let older = user.phone.code_of(step - 1);
    user.answer(&user.challenge().await, &older).await.refused(400, "INVALID_CODE");
}

#[tokio::test]
async fn a_then_b_then_a_again_is_refused() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    server.advance(120).await;
    let step = server.next_step().await;
    let (a, b) = (user.phone.code_of(step), user.phone.code_of(step + 1));
    user.answer(&user.challenge().await, &a).await.ok();
    user.answer(&user.challenge().await, &b).await.ok();
    user.answer(&user.challenge().await, &a).await.refused(400, "INVALID_CODE");
    user.answer(&user.challenge().await, &b).await.refused(400, "INVALID_CODE");
}

#[tokio::test]
async fn a_code_used_at_one_endpoint_is_used_at_all_of_them() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let code = user.fresh_code().await;
    let with_code = || json!({"code": code});
    user.post("/2fa/backup-codes/regenerate/").json(with_code()).await.ok();
    user.post("/2fa/backup-codes/regenerate/").json(with_code()).await.refused(400, "INVALID_CODE");
    user.post("/2fa/disable/").json(with_code()).await.refused(400, "INVALID_CODE");
    let path = format!("/2fa/devices/{}/", user.device);
    user.call("DELETE", &path).json(with_code()).await.refused(400, "INVALID_CODE");
    user.answer(&user.challenge().await, &code).await.refused(400, "INVALID_CODE");
}

#[tokio::test]
async fn two_devices_keep_their_own_steps() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let (tablet, _) = user.add_device("tablet").await;
    server.advance(120).await;
    let step = server.next_step().await;
    for phone in [&user.phone, &tablet] {
        let code = phone.code_of(step);
        user.answer(&user.challenge().await, &code).await.ok();
        user.answer(&user.challenge().await, &code).await.refused(400, "INVALID_CODE");
    }
}

#[tokio::test]
async fn a_used_code_stays_used_after_a_crash() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let (first, second) = (user.challenge().await, user.challenge().await);
    // Within the enrolment's step plus one, so that real time accepts the code again after the restart.
    let code = user.phone.code_of(server.step().await + 1);
    user.phone.skip(&server).await;
    user.answer(&first, &code).await.ok();
    drop(user);
    drop(app);
    let server = server.crash();
    let body = json!({"session_id": second, "code": code});
    server.post("/2fa/verify/").json(body).await.refused(400, "INVALID_CODE");
    let body = json!({"session_id": first, "code": code});
    server.post("/2fa/verify/").json(body).await.refused(409, "SESSION_ALREADY_VERIFIED");
}

/// The answers with a success, after a look at the others: each is a refusal that the contract has for a replay.
fn successes(answers: &[Answer], refusals: &[&str]) -> usize {
    let refused = |a: &&Answer| a.status != 200;
    for answer in answers.iter().filter(refused) {
        assert!(refusals.contains(&answer["code"].as_str().unwrap_or_default()), "{answer}");
    }
    answers.iter().filter(|a| a.status == 200).count()
}

#[tokio::test]
async fn of_fifty_users_with_two_hundred_parallel_sessions_and_one_code_each_exactly_fifty_get_in() {
    const USERS: usize = 50;
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let enrolments = (0..USERS).map(|n| {
        let app = &app;
        async move { app.enrol(&format!("user-{n}")).await }
    });
    let users: Vec<_> = stream::iter(enrolments).buffer_unordered(8).collect().await;
    let sessions: Vec<(usize, String)> = stream::iter((0..USERS * PARALLEL).map(|n| {
        let user = &users[n % USERS];
        async move { (n % USERS, user.challenge().await) }
    }))
    .buffer_unordered(PARALLEL)
    .collect()
    .await;
    server.advance(60).await;
    let step = server.next_step().await;
    // User by user, so that all of one user's answers are under way at once.
    let mut by_user = vec![Vec::new(); USERS];
    for (user, session) in sessions {
        by_user[user].push(session);
    }
    let mut total = 0;
    for (user, sessions) in users.iter().zip(&by_user) {
        let code = user.phone.code_of(step);
        let answers = join_all(sessions.iter().map(|session| user.answer(session, &code))).await;
        assert_eq!(answers.len(), PARALLEL);
        let in_ = successes(&answers, &["INVALID_CODE", "ACCOUNT_THROTTLED"]);
        assert_eq!(in_, 1, "{}", user.id);
        total += in_;
    }
    assert_eq!(total, USERS);
}

#[tokio::test]
async fn one_session_answered_many_times_at_once_gives_one_pair_of_tokens() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let session = user.challenge().await;
    let code = user.fresh_code().await;
    let answers = join_all((0..PARALLEL).map(|_| user.answer(&session, &code))).await;
    assert_eq!(successes(&answers, &["SESSION_ALREADY_VERIFIED"]), 1);
}

#[tokio::test]
async fn a_code_sent_to_every_endpoint_at_once_is_accepted_by_one() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let sessions = [user.challenge().await, user.challenge().await];
    let code = user.fresh_code().await;
    let body = json!({"code": code});
    let (one, two, three) = tokio::join!(
        user.answer(&sessions[0], &code),
        user.answer(&sessions[1], &code),
        user.post("/2fa/backup-codes/regenerate/").json(body),
    );
    assert_eq!(successes(&[one, two, three], &["INVALID_CODE"]), 1);
}

#[tokio::test]
async fn a_backup_code_answered_in_many_sessions_at_once_opens_one() {
    const USERS: usize = 10;
    const SESSIONS: usize = 20;
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    for n in 0..USERS {
        let user = app.enrol(&format!("user-{n}")).await;
        let sessions = join_all((0..SESSIONS).map(|_| user.challenge())).await;
        let code = &user.backup_codes[n];
        let answers = join_all(sessions.iter().map(|session| user.answer_with_backup(session, code))).await;
        assert_eq!(successes(&answers, &["INVALID_CODE", "ACCOUNT_THROTTLED"]), 1, "{}", user.id);
        assert_eq!(app.state(&user.id).await["backup_codes_remaining"], 9);
    }
}

#[tokio::test]
async fn a_refresh_token_used_many_times_at_once_has_at_most_one_successor() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    for n in 0..5 {
        let user = app.enrol(&format!("user-{n}")).await;
        let body = json!({"refresh_token": user.refresh});
        let answers =
            join_all((0..50).map(|_| async { server.post("/2fa/token/refresh/").json(body.clone()).await }))
                .await;
        assert_eq!(successes(&answers, &["AUTH_REQUIRED"]), 1);
        let heir = answers.iter().find(|a| a.status == 200).expect("one").text("refresh_token");
        // The others were uses of a spent token: the family is dead.
        server
            .post("/2fa/token/refresh/")
            .json(json!({"refresh_token": heir}))
            .await
            .refused(401, "AUTH_REQUIRED");
    }
}

#[tokio::test]
async fn a_pending_device_confirmed_many_times_at_once_is_confirmed_once() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let token = app.setup_token("ann").await;
    let setup = server.post("/2fa/setup/").bearer(&token).json(json!({})).await.ok();
    let mut phone = sidekey_tests::Authenticator::from_base32(&setup.text("secret"));
    let code = phone.fresh_code(&server).await;
    let body = json!({"device_id": setup.text("device_id"), "code": code});
    let answers = join_all(
        (0..20).map(|_| async { server.post("/2fa/setup/confirm/").bearer(&token).json(body.clone()).await }),
    )
    .await;
    assert_eq!(answers.iter().filter(|a| a.status == 200).count(), 1);
    let state = app.state("ann").await;
    assert_eq!(state["devices"], 1);
    assert_eq!(state["backup_codes_remaining"], 10);
}
