//! Requests that come again because their answer was lost: with the same `Idempotency-Key` they do nothing twice, and without one they are
//! what they were.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use sidekey_tests::app::AFTER;
use sidekey_tests::client::Call;
use sidekey_tests::{
    Answer, App, Authenticator, Browser, Enforcement, Options, Server, User, Value, json, jwt,
};

const KEY: &str = "\"8e03978e-40d5-43e8-bc93-6894a57f9324\"";
const OTHER_KEY: &str = "another-one";

/// A server that has the same public URL after a restart, so that its links and tokens can be compared.
fn lasting() -> Server {
    let arguments = ["--public-url", "https://login.example"].map(str::to_owned).to_vec();
    Server::with(Options { arguments, ..Options::default() })
}

fn open(server: &Server, api_key: &str, key: &str, body: &Value) -> Call {
    server.post("/2fa/sessions/").bearer(api_key).header("idempotency-key", key).json(body.clone())
}

/// What an answer leads to; two answers that lead to the same differ in access tokens and remaining seconds only.
#[track_caller]
fn led_to(answer: &Answer) -> Value {
    let mut members = answer.json.clone();
    for name in ["access_token", "expires_in"] {
        members.as_object_mut().expect("an object").remove(name);
    }
    members
}

/// How often something stands in the user's own history.
async fn told(user: &User<'_>, event: &str) -> usize {
    let entries = user.get("/2fa/activity/?limit=100").await.ok();
    let entries = entries["activity"].as_array().expect("a list").clone();
    entries.iter().filter(|entry| entry["event"] == event).count()
}

async fn trusted_token(user: &mut User<'_>) -> String {
    let (session, code) = (user.challenge().await, user.fresh_code().await);
    let body = json!({"session_id": session, "code": code, "trust_device": true});
    user.server().post("/2fa/verify/").json(body).await.ok().text("trusted_browser_token")
}

/// A one-time code that a hosted page brings to the application.
async fn return_code(user: &mut User<'_>) -> String {
    let body = json!({"user_id": user.id, "return_url": AFTER});
    let opened = user.app.open_with(body).await.expect(201);
    let mut browser = Browser::new(user.server());
    browser.visit(&opened.text("verify_url")).await.ok();
    let code = user.fresh_code().await;
    let answer = browser.post("/2fa/challenge/", &[("action", "code"), ("code", &code)]).await.expect(303);
    let location = answer.header("location");
    location.strip_prefix(&format!("{AFTER}?code=")).expect("a code").to_owned()
}

fn exchange(server: &Server, api_key: &str, key: &str, code: &str) -> Call {
    let call = server.post("/2fa/token/").bearer(api_key).json(json!({"code": code}));
    if key.is_empty() { call } else { call.header("idempotency-key", key) }
}

async fn action_token(user: &mut User<'_>) -> String {
    let body = json!({"user_id": user.id, "action": "transfer", "resource": "invoice 4711"});
    let session = user.app.open_with(body).await.expect(201).text("session_id");
    let code = user.fresh_code().await;
    user.answer(&session, &code).await.ok().text("action_token")
}

fn spend(server: &Server, api_key: &str, key: &str, token: &str, resource: &str) -> Call {
    let body = json!({"action_token": token, "action": "transfer", "resource": resource});
    let call = server.post("/2fa/token/spend/").bearer(api_key).json(body);
    if key.is_empty() { call } else { call.header("idempotency-key", key) }
}

#[tokio::test]
async fn a_session_is_opened_once_and_found_again_for_as_long_as_it_lives() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let body = json!({"user_id": "ann", "return_url": AFTER, "account_name": "ann@example.com"});
    let before = told(&user, "session_opened").await;
    let calls =
        join_all((0..30).map(|_| async { open(&server, &app.key, KEY, &body).await.expect(201) })).await;
    let first = led_to(&calls[0]);
    assert!(calls.iter().all(|call| led_to(call) == first), "{calls:?}");
    assert_eq!(told(&user, "session_opened").await, before + 1);

    server.advance(200).await;
    let late = open(&server, &app.key, KEY, &body).await.expect(201);
    assert_eq!(led_to(&late), first);
    assert!((90..=100).contains(&late.number("expires_in")), "what is left of it: {late}");
    let code = user.fresh_code().await;
    user.answer(&late.text("session_id"), &code).await.ok();
    let answered = open(&server, &app.key, KEY, &body).await.expect(201);
    assert_eq!(led_to(&answered), first, "answered or not, it is that session");
    user.answer(&answered.text("session_id"), &code).await.refused(409, "SESSION_ALREADY_VERIFIED");

    server.advance(100).await;
    open(&server, &app.key, KEY, &body).await.invalid("idempotency_key");
    let next = open(&server, &app.key, OTHER_KEY, &body).await.expect(201);
    assert_ne!(led_to(&next), first);
}

#[tokio::test]
async fn a_crash_forgets_no_key() {
    let server = lasting();
    let app = server.app(Enforcement::Required).await;
    app.enrol("ann").await;
    let api_key = app.key.clone();
    drop(app);
    let (known, new) = (json!({"user_id": "ann"}), json!({"user_id": "new"}));
    let challenge = open(&server, &api_key, KEY, &known).await.expect(201);
    let enrolment = open(&server, &api_key, OTHER_KEY, &new).await.expect(201);
    let server = server.crash();
    assert_eq!(led_to(&open(&server, &api_key, KEY, &known).await.expect(201)), led_to(&challenge));
    let again = open(&server, &api_key, OTHER_KEY, &new).await.expect(201);
    assert_eq!(led_to(&again), led_to(&enrolment));
    server.post("/2fa/setup/").bearer(&again.text("enrollment_token")).json(json!({})).await.ok();
    let server = server.restart();
    assert_eq!(led_to(&open(&server, &api_key, KEY, &known).await.expect(201)), led_to(&challenge));
}

#[tokio::test]
async fn a_key_belongs_to_one_request_of_one_application() {
    let server = Server::start();
    let (app, other) = (server.app(Enforcement::Optional).await, server.app(Enforcement::Optional).await);
    for app in [&app, &other] {
        for user in ["ann", "bob"] {
            app.enrol(user).await;
        }
    }
    let body = json!({"user_id": "ann", "return_url": AFTER});
    let first = open(&server, &app.key, KEY, &body).await.expect(201);
    for another in [
        json!({"user_id": "bob", "return_url": AFTER}),
        json!({"user_id": "new", "return_url": AFTER}),
        json!({"user_id": "ann"}),
        json!({"user_id": "ann", "return_url": AFTER, "remember_me": true}),
        json!({"user_id": "ann", "return_url": AFTER, "account_name": "bob@example.com"}),
        json!({"user_id": "ann", "return_url": AFTER, "action": "transfer"}),
    ] {
        let refused = open(&server, &app.key, KEY, &another).await.invalid("idempotency_key");
        assert!(!refused.body().contains("8e03978e"), "no error repeats what was sent: {refused}");
    }
    assert_eq!(app.state("new").await["requires_2fa"], false, "nothing was made for the refused one");
    let foreign = open(&server, &other.key, KEY, &body).await.expect(201);
    assert_ne!(led_to(&foreign), led_to(&first), "another application's key is another key");
    assert_eq!(app.session_status(&first.text("session_id")).await, "pending");
    let elsewhere = format!("/2fa/sessions/{}/", first.text("session_id"));
    other.get(&elsewhere).await.refused(404, "SESSION_NOT_FOUND");

    let asked = json!({"user_id": "ann", "action": "transfer", "resource": "invoice 4711"});
    let approval = open(&server, &app.key, OTHER_KEY, &asked).await.expect(201);
    let again = open(&server, &app.key, OTHER_KEY, &asked).await.expect(201);
    assert_eq!(led_to(&again), led_to(&approval));
    let another = json!({"user_id": "ann", "action": "transfer", "resource": "invoice 4712"});
    open(&server, &app.key, OTHER_KEY, &another).await.invalid("idempotency_key");
}

#[tokio::test]
async fn of_two_users_with_one_key_at_once_one_gets_a_session() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    for user in ["ann", "bob"] {
        app.enrol(user).await;
    }
    for round in 0..5 {
        let key = format!("round-{round}");
        let bodies = ["ann", "bob"].map(|user| json!({"user_id": user}));
        let calls = (0..30).map(|n| open(&server, &app.key, &key, &bodies[n % 2]));
        let answers = join_all(calls.map(|call| async { call.await })).await;
        let opened: BTreeSet<_> = answers
            .iter()
            .filter(|answer| answer.status == 201)
            .map(|answer| led_to(answer).to_string())
            .collect();
        assert_eq!(opened.len(), 1, "{opened:?}");
        assert_eq!(answers.iter().filter(|answer| answer.status == 400).count(), 15);
    }
}

#[tokio::test]
async fn requests_with_one_key_at_once_open_one_session_while_the_clock_moves() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    app.enrol("ann").await;
    let body = json!({"user_id": "ann"});
    for round in 0..10 {
        let key = format!("round-{round}");
        let last_second = 599 - server.now().await % 600;
        server.advance(last_second).await;
        let calls = join_all((0..30).map(|n| {
            let call = open(&server, &app.key, &key, &body);
            let server = &server;
            async move {
                if n == 15 {
                    server.advance(1).await;
                }
                led_to(&call.await.expect(201)).to_string()
            }
        }));
        let opened: BTreeSet<_> = calls.await.into_iter().collect();
        assert_eq!(opened.len(), 1, "{opened:?}");
    }
}

#[tokio::test]
async fn who_is_let_in_without_a_session_logs_in_once() {
    let server = Server::start();
    let app = server.app(Enforcement::Encouraged).await;
    let body = json!({"user_id": "new"});
    let calls =
        join_all((0..30).map(|_| async { open(&server, &app.key, KEY, &body).await.expect(201) })).await;
    let first = &calls[0];
    assert_eq!((&first["requires_2fa"], &first["should_enroll"]), (&json!(false), &json!(true)));
    assert!(calls.iter().all(|call| led_to(call) == led_to(first)));
    let sid = |answer: &Answer| jwt::claims(&answer.text("access_token"))["sid"].clone();
    assert!(calls.iter().all(|call| sid(call) == sid(first)), "the access tokens are of one login");

    let api_key = app.key.clone();
    drop(app);
    let server = server.crash();
    let again = open(&server, &api_key, KEY, &body).await.expect(201);
    assert_eq!(led_to(&again), led_to(first));
    let refresh = json!({"refresh_token": first.text("refresh_token")});
    server.post("/2fa/token/refresh/").json(refresh).await.ok();
    open(&server, &api_key, KEY, &body).await.invalid("idempotency_key");

    open(&server, &api_key, OTHER_KEY, &body).await.expect(201);
    server.advance(11).await;
    open(&server, &api_key, OTHER_KEY, &body).await.invalid("idempotency_key");
    open(&server, &api_key, "a-third-one", &body).await.expect(201);
}

#[tokio::test]
async fn a_key_that_comes_again_much_later_opens_something_of_another_name() {
    let server = lasting();
    let app = server.app(Enforcement::Encouraged).await;
    let mut ann = app.enrol("ann").await;
    let body = json!({"user_id": "ann"});
    let session = open(&server, &app.key, KEY, &body).await.expect(201).text("session_id");
    server.advance(1_200).await;
    let later = open(&server, &app.key, KEY, &body).await.expect(201).text("session_id");
    assert_ne!(later, session);
    let code = ann.fresh_code().await;
    assert_eq!(ann.answer(&session, &code).await["code"], "SESSION_EXPIRED");
    ann.answer(&later, &code).await.ok();

    let body = json!({"user_id": "new"});
    let tokens = open(&server, &app.key, OTHER_KEY, &body).await.expect(201).text("refresh_token");
    // By then the login is over, and swept.
    server.advance(8 * 86_400).await;
    let later = open(&server, &app.key, OTHER_KEY, &body).await.expect(201).text("refresh_token");
    assert_ne!(later, tokens);
    let refresh = |token: String| server.post("/2fa/token/refresh/").json(json!({"refresh_token": token}));
    assert_eq!(refresh(tokens).await.status, 401);
    refresh(later).await.ok();
}

#[tokio::test]
async fn a_key_brings_back_no_login_that_is_gone() {
    let server = lasting();
    let app = server.app(Enforcement::Optional).await;
    let refresh = |token: &str| server.post("/2fa/token/refresh/").json(json!({"refresh_token": token}));
    let erase = || server.call("DELETE".parse().expect("a method"), "/2fa/users/ann/").bearer(&app.key);

    let body = json!({"user_id": "ann"});
    let erased = open(&server, &app.key, KEY, &body).await.expect(201).text("refresh_token");
    erase().await.ok();
    open(&server, &app.key, KEY, &body).await.invalid("idempotency_key");
    app.enrol("ann").await;
    open(&server, &app.key, KEY, &body).await.invalid("idempotency_key");
    refresh(&erased).await.refused(401, "AUTH_REQUIRED");

    let body = json!({"user_id": "bob"});
    let spent = open(&server, &app.key, OTHER_KEY, &body).await.expect(201).text("refresh_token");
    let living = refresh(&spent).await.ok().text("refresh_token");
    for _ in 0..32 {
        app.open_with(json!({"user_id": "bob"})).await.expect(201);
    }
    refresh(&living).await.refused(401, "AUTH_REQUIRED");
    open(&server, &app.key, OTHER_KEY, &body).await.invalid("idempotency_key");
    refresh(&spent).await.refused(401, "AUTH_REQUIRED");

    // From now on the keys are new ones.
    server.advance(1_200).await;
    let later = open(&server, &app.key, OTHER_KEY, &body).await.expect(201).text("refresh_token");
    assert!(later != spent && later != living);
    for gone in [erased, spent, living] {
        refresh(&gone).await.refused(401, "AUTH_REQUIRED");
    }
    refresh(&later).await.ok();
}

#[tokio::test]
async fn a_session_from_before_the_account_was_turned_off_or_erased_is_answered_no_more() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let body = json!({"user_id": "ann"});
    open(&server, &app.key, KEY, &body).await.expect(201);
    let code = json!({"code": user.fresh_code().await});
    user.post("/2fa/disable/").json(code).await.ok();
    open(&server, &app.key, KEY, &body).await.invalid("idempotency_key");
    open(&server, &app.key, OTHER_KEY, &body).await.expect(201);

    app.enrol("bob").await;
    let body = json!({"user_id": "bob"});
    open(&server, &app.key, "a-third-one", &body).await.expect(201);
    server.call("DELETE".parse().expect("a method"), "/2fa/users/bob/").bearer(&app.key).await.ok();
    open(&server, &app.key, "a-third-one", &body).await.invalid("idempotency_key");
    open(&server, &app.key, "a-fourth-one", &body).await.expect(201);
}

#[tokio::test]
async fn a_trusted_browser_keeps_its_trust_when_an_answer_is_lost() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let token = trusted_token(&mut user).await;
    let body = json!({"user_id": "ann", "trusted_browser_token": token});
    let calls =
        join_all((0..30).map(|_| async { open(&server, &app.key, KEY, &body).await.expect(201) })).await;
    let next = calls[0].text("trusted_browser_token");
    assert!(calls.iter().all(|call| led_to(call) == led_to(&calls[0])), "{calls:?}");
    assert_eq!(told(&user, "trusted_browser_used").await, 1);

    let unspared = open(&server, &app.key, OTHER_KEY, &body).await.expect(201);
    assert_eq!(unspared["requires_2fa"], true, "another key is another login");
    let body = json!({"user_id": "ann", "trusted_browser_token": next});
    open(&server, &app.key, KEY, &body).await.invalid("idempotency_key");
    let later = open(&server, &app.key, "the-next-login", &body).await.expect(201);
    assert_eq!(later["requires_2fa"], false, "the successor was not spent by that");
}

#[tokio::test]
async fn ten_seconds_later_a_spent_token_of_a_trusted_browser_is_a_theft() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let token = trusted_token(&mut user).await;
    let body = json!({"user_id": "ann", "trusted_browser_token": token});
    let next = open(&server, &app.key, KEY, &body).await.expect(201).text("trusted_browser_token");
    server.advance(11).await;
    open(&server, &app.key, KEY, &body).await.invalid("idempotency_key");
    assert_eq!(told(&user, "trusted_browser_reused").await, 1);
    let body = json!({"user_id": "ann", "trusted_browser_token": next});
    let challenged = open(&server, &app.key, OTHER_KEY, &body).await.expect(201);
    assert_eq!(challenged["requires_2fa"], true, "the trust has ended");
}

#[tokio::test]
async fn an_exchange_gives_the_same_tokens_for_ten_seconds_and_until_they_are_refreshed() {
    let server = Server::start();
    let (app, other) = (server.app(Enforcement::Optional).await, server.app(Enforcement::Optional).await);
    let mut user = app.enrol("ann").await;
    let code = return_code(&mut user).await;
    let late = return_code(&mut user).await;
    let calls = join_all((0..30).map(|_| async { exchange(&server, &app.key, KEY, &code).await.ok() })).await;
    assert!(calls.iter().all(|call| led_to(call) == led_to(&calls[0])), "{calls:?}");
    exchange(&server, &other.key, KEY, &code).await.refused(400, "INVALID_CODE");
    let tokens = calls[0].clone();
    exchange(&server, &app.key, KEY, &late).await.ok();
    let api_key = app.key.clone();
    drop((app, other, user));

    let server = server.crash();
    assert_eq!(led_to(&exchange(&server, &api_key, KEY, &code).await.ok()), led_to(&tokens));
    let refresh = json!({"refresh_token": tokens.text("refresh_token")});
    let next = server.post("/2fa/token/refresh/").json(refresh).await.ok().text("refresh_token");
    exchange(&server, &api_key, KEY, &code).await.refused(400, "INVALID_CODE");
    let refresh = json!({"refresh_token": next});
    server.post("/2fa/token/refresh/").json(refresh).await.refused(401, "AUTH_REQUIRED");

    server.advance(11).await;
    exchange(&server, &api_key, KEY, &late).await.refused(400, "INVALID_CODE");
}

#[tokio::test]
async fn a_second_use_of_a_code_under_another_key_or_none_ends_the_login_as_before() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    for (first, second) in [(KEY, OTHER_KEY), (KEY, ""), ("", KEY), ("", "")] {
        let code = return_code(&mut user).await;
        let refresh = exchange(&server, &app.key, first, &code).await.ok().text("refresh_token");
        exchange(&server, &app.key, second, &code).await.refused(400, "INVALID_CODE");
        let refused = server.post("/2fa/token/refresh/").json(json!({"refresh_token": refresh})).await;
        refused.refused(401, "AUTH_REQUIRED");
        exchange(&server, &app.key, first, &code).await.refused(400, "INVALID_CODE");
    }
}

#[tokio::test]
async fn an_approved_action_is_spent_once_by_one_request() {
    let server = lasting();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let token = action_token(&mut user).await;
    let key = |n: usize| if n == 0 { String::new() } else { format!("worker-{}", n % 3) };
    let of = |key: String| {
        let (server, app, token) = (&server, &app, &token);
        async move { (spend(server, &app.key, &key, token, "invoice 4711").await, key) }
    };
    let answers = join_all((0..30).map(|n| of(key(n)))).await;
    let winners: BTreeSet<_> =
        answers.iter().filter(|(answer, _)| answer.status == 200).map(|(_, key)| key.clone()).collect();
    assert_eq!(winners.len(), 1, "one request spends it, however many keys there are: {winners:?}");
    let winner = winners.first().expect("one").clone();
    for (answer, key) in &answers {
        let is_again = *key == winner && !winner.is_empty();
        assert!(answer.status == 400 || is_again || winner.is_empty(), "{key}: {answer}");
        assert!(answer.status == 200 || !is_again, "{key}: {answer}");
    }
    assert_eq!(told(&user, "action_spent").await, 1);

    let token = action_token(&mut user).await;
    let api_key = app.key.clone();
    drop((user, app));
    let first = spend(&server, &api_key, KEY, &token, "invoice 4711").await.ok();
    let server = server.crash();
    assert_eq!(spend(&server, &api_key, KEY, &token, "invoice 4711").await.ok().json, first.json);
    spend(&server, &api_key, KEY, &token, "invoice 4712").await.refused(400, "INVALID_CODE");
    for key in [OTHER_KEY, ""] {
        spend(&server, &api_key, key, &token, "invoice 4711").await.refused(400, "INVALID_CODE");
    }
    spend(&server, &api_key, KEY, &token, "invoice 4711").await.ok();
    server.advance(11).await;
    spend(&server, &api_key, KEY, &token, "invoice 4711").await.refused(400, "INVALID_CODE");
}

/// What docs/api.md says of requests that have no key.
#[tokio::test]
async fn a_repetition_without_a_key_tells_what_became_of_the_first() {
    let server = Server::start();
    let app = server.app(Enforcement::Required).await;
    let token = app.setup_token("new").await;
    let setup = server.post("/2fa/setup/").bearer(&token).json(json!({})).await.ok();
    let again = server.post("/2fa/setup/").bearer(&token).json(json!({})).await.ok();
    assert_eq!(again["secret"], setup["secret"]);
    let mut phone = Authenticator::from_base32(&setup.text("secret"));
    let confirm = json!({"device_id": setup.text("device_id"), "code": phone.fresh_code(&server).await});
    let confirm = async || server.post("/2fa/setup/confirm/").bearer(&token).json(confirm.clone()).await;
    confirm().await.ok();
    confirm().await.refused(401, "AUTH_REQUIRED");

    let mut user = app.enrol("ann").await;
    let (session, code) = (user.challenge().await, user.fresh_code().await);
    user.answer(&session, &code).await.ok();
    user.answer(&session, &code).await.refused(409, "SESSION_ALREADY_VERIFIED");
    for _ in 0..2 {
        app.post("/2fa/users/ann/unlock/").await.ok();
        let revoke = json!({"refresh_token": user.refresh});
        server.post("/2fa/token/revoke/").json(revoke).await.ok();
    }

    user.sign_in().await;
    let (_, tablet) = user.add_device("Tablet").await;
    let path = format!("/2fa/devices/{tablet}/");
    let renamed = user.call("PATCH", &path).json(json!({"name": "Slate"})).await.ok();
    assert_eq!(user.call("PATCH", &path).json(json!({"name": "Slate"})).await.ok().json, renamed.json);
    user.call("DELETE", &path).await.ok();
    user.call("DELETE", &path).await.refused(404, "DEVICE_NOT_FOUND");
    let first = user.post("/2fa/account/link/").await.ok().text("account_url");
    let second = user.post("/2fa/account/link/").await.ok().text("account_url");
    Browser::new(&server).get(&first).await.expect(404);
    Browser::new(&server).get(&second).await.expect(303);

    let code = json!({"code": user.fresh_code().await});
    user.post("/2fa/disable/").json(code.clone()).await.ok();
    user.post("/2fa/disable/").json(code).await.refused(400, "2FA_NOT_ENABLED");
    for _ in 0..2 {
        app.server.call("DELETE".parse().expect("a method"), "/2fa/users/ann/").bearer(&app.key).await.ok();
    }
    let bob = app.enrol("bob").await;
    bob.post("/2fa/sign-out/").await.ok();
    bob.post("/2fa/sign-out/").await.refused(401, "AUTH_REQUIRED");
}

#[tokio::test]
async fn what_is_no_key_is_refused_before_anything_is_spent() {
    let server = Server::start();
    let app: App<'_> = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let (code, token) = (return_code(&mut user).await, action_token(&mut user).await);
    for key in ["with blanks", &"k".repeat(256)] {
        open(&server, &app.key, key, &json!({"user_id": "ann"})).await.invalid("idempotency_key");
        exchange(&server, &app.key, key, &code).await.invalid("idempotency_key");
        spend(&server, &app.key, key, &token, "invoice 4711").await.invalid("idempotency_key");
        let refresh = server.post("/2fa/token/refresh/").header("idempotency-key", key);
        refresh.json(json!({"refresh_token": user.refresh})).await.invalid("idempotency_key");
    }
    let twice = exchange(&server, &app.key, KEY, &code).header("idempotency-key", OTHER_KEY);
    twice.await.invalid("idempotency_key");
    exchange(&server, &app.key, KEY, &code).await.ok();
    spend(&server, &app.key, KEY, &token, "invoice 4711").await.ok();
    server.post("/2fa/token/refresh/").json(json!({"refresh_token": user.refresh})).await.ok();
    assert!(!server.log().contains("8e03978e"), "no log tells a key");
}
