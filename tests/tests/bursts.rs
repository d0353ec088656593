//! Rules 1 and 3 where the work is slow (new sets of backup codes, hashes of typed ones): many at once, and clients that hang up.

use futures_util::future::join_all;
use sidekey_tests::{Answer, Authenticator, Enforcement, Server, User, Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const RENEW: &str = "/2fa/backup-codes/regenerate/";
const WRONG: &str = "INVALID_CODE";
const WAIT: &str = "ACCOUNT_THROTTLED";
/// Wrong codes that are judged in a row before the account waits.
const BUDGET: usize = 5;

/// What one hash of a backup code takes, in KiB.
const HASH_MEMORY: u64 = 19 * 1024;
/// What else a server may take for a burst of requests, in KiB.
const SPARE_MEMORY: u64 = 96 * 1024;
/// Threads that tokio starts for other blocking work.
const SPARE_THREADS: u64 = 16;

async fn renew(user: &User<'_>, code: &str) -> Answer {
    user.post(RENEW).json(json!({"code": code})).await
}

/// How many answers have this code.
fn count(answers: &[Answer], code: &str) -> usize {
    answers.iter().filter(|answer| answer["code"] == code).count()
}

/// A refusal without the seconds left of the wait, which pass while the burst lasts.
fn timeless(answer: &Answer) -> Value {
    let mut body = answer.json.clone();
    body["retry_after"] = json!(null);
    body
}

#[tokio::test]
async fn a_right_code_in_a_burst_of_wrong_ones_for_new_backup_codes_is_accepted_or_not_judged() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    for (n, place) in [0, 1, 4, 100, 200].into_iter().enumerate() {
        let user = app.enrol(&format!("user-{n}")).await;
        let mut codes = user.phone.wrong_codes(&server, 200).await;
        // A code of the next step is still right when the account has waited.
        let right = user.phone.code_of(server.next_step().await + 1);
        codes.insert(place, right.clone());
        let mut answers = join_all(codes.iter().map(|code| renew(&user, code))).await;
        let about_right = answers.remove(place);
        assert_eq!(count(&answers, WRONG) + count(&answers, WAIT), 200, "a wrong code is nothing else");
        let wait = answers.iter().find(|answer| answer["code"] == WAIT).expect("195 at least");
        if about_right.status == 200 {
            // It may have ended the row when four had been judged.
            let judged = count(&answers, WRONG);
            assert!((BUDGET..2 * BUDGET).contains(&judged), "{judged} wrong codes were judged");
        } else {
            let about_right = about_right.refused(429, WAIT);
            assert_eq!(timeless(&about_right), timeless(wait), "nothing tells it from a wrong one");
            assert_eq!(count(&answers, WRONG), BUDGET);
            server.advance(30).await;
            renew(&user, &right).await.ok();
        }
        assert_eq!(app.state(&user.id).await["backup_codes_remaining"], 10);
    }
}

#[tokio::test]
async fn wrong_codes_for_new_backup_codes_get_no_more_than_the_budget_judged_in_any_later_burst() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    for (seconds, budget) in [(0, BUDGET), (30, 1), (60, 1)] {
        server.advance(seconds).await;
        let codes = user.phone.wrong_codes(&server, 200).await;
        let answers = join_all(codes.iter().map(|code| renew(&user, code))).await;
        assert_eq!((count(&answers, WRONG), count(&answers, WAIT)), (budget, 200 - budget));
    }
}

#[tokio::test]
async fn one_code_asked_for_new_backup_codes_many_times_at_once_gives_one_set() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    for n in 0..3 {
        let mut user = app.enrol(&format!("user-{n}")).await;
        let old = user.backup_codes[0].clone();
        let code = user.fresh_code().await;
        let answers = join_all((0..40).map(|_| renew(&user, &code))).await;
        let (sets, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
        assert_eq!(sets.len(), 1, "{sets:?}");
        assert_eq!((count(&refused, WRONG), count(&refused, WAIT)), (BUDGET, 39 - BUDGET));
        let shown = sets[0].texts("backup_codes");
        assert_eq!(app.state(&user.id).await["backup_codes_remaining"], 10);
        user.answer_with_backup(&user.challenge().await, &old).await.refused(400, WRONG);
        user.answer_with_backup(&user.challenge().await, &shown[9]).await.ok();
    }
}

#[tokio::test]
async fn a_first_device_confirmed_many_times_at_once_by_an_enrolment_session_gives_one_pair_of_tokens() {
    let server = Server::start();
    let app = server.app(Enforcement::Required).await;
    for n in 0..3 {
        let id = format!("user-{n}");
        let token = app.setup_token(&id).await;
        let setup = server.post("/2fa/setup/").bearer(&token).json(json!({})).await.ok();
        let code = Authenticator::from_base32(&setup.text("secret")).fresh_code(&server).await;
        let body = json!({"device_id": setup["device_id"], "code": code});
        let confirm = async || server.post("/2fa/setup/confirm/").bearer(&token).json(body.clone()).await;
        let answers = join_all((0..40).map(|_| confirm())).await;
        let (done, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
        assert_eq!(done.len(), 1, "{done:?}");
        assert_eq!(count(&refused, "AUTH_REQUIRED"), 39, "the session is spent: {refused:?}");
        assert_eq!(done[0].texts("backup_codes").len(), 10);
        let state = app.state(&id).await;
        assert_eq!((&state["devices"], &state["backup_codes_remaining"]), (&json!(1), &json!(10)));
    }
}

/// Sends an answer with a backup code and hangs up once the server has something to do; no answer is waited for.
async fn hang_up(server: &Server, session: &str, code: &str) {
    let body = json!({"session_id": session, "backup_code": code}).to_string();
    let request = format!(
        "POST /2fa/verify/backup/ HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        server.address(),
        body.len()
    );
    let mut stream = TcpStream::connect(server.address()).await.expect("the server accepts");
    stream.write_all(request.as_bytes()).await.expect("the server reads");
    server.get("/healthz").await.ok();
}

#[tokio::test]
async fn clients_that_hang_up_cost_no_more_than_those_that_wait_and_get_no_more_judged() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    // What a server in use has: a set and an attempt were hashed already.
    user.answer_with_backup(&user.challenge().await, &user.backup_codes[0]).await.ok();
    let (memory, threads) = (server.vital("VmRSS"), server.vital("Threads"));
    let sessions = join_all((0..60).map(|_| user.challenge())).await;
    let mut most_threads = 0;
    for session in &sessions {
        hang_up(&server, session, "ABCD-EFGH-JKMN-PQRS").await;
        most_threads = most_threads.max(server.vital("Threads"));
    }
    let processors = std::thread::available_parallelism().map_or(2, std::num::NonZero::get) as u64;
    let peak = server.vital("VmHWM");
    let allowed = memory + (processors + 1) * HASH_MEMORY + SPARE_MEMORY;
    assert!(peak <= allowed, "{peak} KiB at the most, {memory} KiB before");
    let allowed = threads + processors + 1 + SPARE_THREADS;
    assert!(most_threads <= allowed, "{most_threads} threads at the most, {threads} before");

    // Those who hung up had at most the budget judged: the wait is the first one.
    let mut judged = 0;
    let wait = loop {
        let answer = user.answer_with_backup(&user.challenge().await, "ABCD-EFGH-JKMN-PQRS").await;
        if answer.status == 429 {
            break answer.refused(429, WAIT).retry_after();
        }
        answer.refused(400, WRONG);
        judged += 1;
    };
    assert!(judged <= BUDGET && wait <= 30, "{judged} more were judged, then a wait of {wait} s");
    server.advance(30).await;
    user.answer_with_backup(&user.challenge().await, &user.backup_codes[1]).await.ok();
    assert_eq!(app.state("ann").await["backup_codes_remaining"], 8);
}
