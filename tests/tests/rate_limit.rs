//! Rule 3, last sentence: a token bucket per client address, for load protection only.

use futures_util::future::join_all;
use sidekey_tests::client::Call;
use sidekey_tests::{Enforcement, Options, Server, json};

/// A server behind a proxy on this machine, so that a test can come from any address.
fn server(burst: &str) -> Server {
    let flags = ["--trusted-proxy", "127.0.0.1", "--rate-limit", "1", "--rate-burst", burst];
    Server::with(Options { arguments: flags.map(String::from).to_vec(), ..Options::default() })
}

/// An answer to a session that there is not.
fn knock(server: &Server, address: &str) -> Call {
    let body = json!({"session_id": "A".repeat(43), "code": "123456"});
    server.post("/2fa/verify/").header("x-forwarded-for", address).json(body)
}

/// How many requests from an address pass before one is refused; buckets fill meanwhile, by one a second.
async fn passing(server: &Server, address: &str) -> usize {
    for count in 0..60 {
        let answer = knock(server, address).await;
        if answer.status == 429 {
            answer.refused(429, "RATE_LIMITED");
            return count;
        }
        answer.refused(404, "SESSION_NOT_FOUND");
    }
    panic!("{address} is never refused");
}

#[tokio::test]
async fn a_burst_beyond_the_bucket_is_refused_and_another_address_is_not_affected() {
    let server = server("20");
    assert!(passing(&server, "203.0.113.7").await >= 20);
    assert!(passing(&server, "203.0.113.7").await < 20, "the bucket was empty");
    assert!(passing(&server, "203.0.113.8").await >= 20);
    assert!(passing(&server, "::ffff:203.0.113.8").await < 20, "the same address in IPv6");
}

#[tokio::test]
async fn answers_tell_how_much_of_the_bucket_is_left() {
    let server = server("20");
    let first = knock(&server, "203.0.113.7").await;
    assert_eq!(first.header("ratelimit-policy"), r#""address";q=20;w=20"#);
    assert_eq!(first.header("ratelimit"), r#""address";r=19;t=1"#);
    passing(&server, "203.0.113.7").await;
    let refused = knock(&server, "203.0.113.7").await;
    if refused.status == 429 {
        assert_eq!(refused.header("ratelimit"), r#""address";r=0;t=20"#);
    }
    let health = server.get("/healthz").header("x-forwarded-for", "203.0.113.7").await;
    assert!(
        !health.headers.contains_key("ratelimit"),
        "what takes nothing from the bucket tells nothing of it"
    );
}

#[tokio::test]
async fn a_network_of_ipv6_counts_as_one_address() {
    let server = server("20");
    assert!(passing(&server, "2001:db8:1:2::1").await >= 20);
    assert!(passing(&server, "2001:db8:1:2:8000::9").await < 20);
    assert!(passing(&server, "2001:db8:1:3::1").await >= 20);
}

#[tokio::test]
async fn what_is_refused_by_address_costs_neither_the_session_nor_the_account_anything() {
    let server = server("2");
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let session = user.challenge().await;
    let wrong = user.phone.wrong_codes(&server, 60).await;
    let from = async |address: &str, code: &str| {
        let body = json!({"session_id": session, "code": code});
        server.post("/2fa/verify/").header("x-forwarded-for", address).json(body).await
    };
    // The bucket fills by one a second meanwhile: of those that come at once after the first refusal one may pass.
    let mut judged = 0;
    loop {
        let answer = from("203.0.113.7", &wrong[judged]).await;
        if answer.status == 429 {
            break drop(answer.refused(429, "RATE_LIMITED"));
        }
        judged += 1;
        let left = answer.refused(400, "INVALID_CODE").number("attempts_remaining");
        assert_eq!(left, 5 - judged as u64, "only what is judged counts");
        assert!(judged < 4, "never refused");
    }
    assert!(judged >= 2, "{judged} answers passed a bucket of two");
    let at_once = join_all(wrong[4..14].iter().map(|code| from("203.0.113.7", code))).await;
    judged += at_once.iter().filter(|answer| answer.status == 400).count();
    assert!(at_once.iter().any(|answer| answer["code"] == "RATE_LIMITED"));
    let last = from("203.0.113.9", &wrong[20]).await.refused(400, "INVALID_CODE");
    assert_eq!(
        last.number("attempts_remaining"),
        4 - judged as u64,
        "what was refused cost the session nothing"
    );
    let code = user.fresh_code().await;
    from("203.0.113.8", &code).await.ok();
}

#[tokio::test]
async fn whoever_proves_something_is_not_limited_by_address() {
    let server = server("1");
    let app = server.app(Enforcement::Optional).await;
    let address = "203.0.113.7";
    passing(&server, address).await;
    for _ in 0..10 {
        app.get("/2fa/users/ann/").header("x-forwarded-for", address).await.ok();
        app.post("/2fa/sessions/")
            .header("x-forwarded-for", address)
            .json(json!({"user_id": "ann"}))
            .await
            .expect(201);
        server.get("/.well-known/jwks.json").header("x-forwarded-for", address).await.ok();
    }
}

#[tokio::test]
async fn what_a_user_changes_is_limited_by_address_and_what_they_read_is_not() {
    let server = server("1");
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    for (method, path) in [
        ("POST", "sessions/"),
        ("POST", "setup/"),
        ("POST", "setup/confirm/"),
        ("PATCH", "devices/x/"),
        ("DELETE", "devices/x/"),
        ("POST", "disable/"),
        ("POST", "backup-codes/regenerate/"),
    ] {
        let address = format!("203.0.113.{}", method.len() + path.len());
        passing(&server, &address).await;
        let mut refused = false;
        for _ in 0..20 {
            let call = user.call(method, &format!("/2fa/{path}")).header("x-forwarded-for", &address);
            refused |= call.json(json!({})).await["code"] == "RATE_LIMITED";
            user.get("/2fa/devices/").header("x-forwarded-for", &address).await.ok();
        }
        assert!(refused, "{method} {path}");
    }
}

#[tokio::test]
async fn an_accounts_tokens_cannot_be_used_to_write_without_end_and_the_owner_still_gets_in() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let (mut ann, bob) = (app.enrol("ann").await, app.enrol("bob").await);
    let mut opened = 0;
    let refused = loop {
        let answer = ann.post("/2fa/sessions/").json(json!({})).await;
        if answer.status == 429 {
            break answer.refused(429, "RATE_LIMITED");
        }
        answer.expect(201);
        opened += 1;
        assert!(opened < 300, "never refused");
    };
    assert!(opened >= 100 && (1..=3).contains(&refused.retry_after()), "{opened}: {refused}");
    let refresh =
        async |token: &str| server.post("/2fa/token/refresh/").json(json!({"refresh_token": token})).await;
    // Every three seconds one passes again.
    let emptied = async || while ann.post("/2fa/sessions/").json(json!({})).await.status != 429 {};
    emptied().await;
    refresh(&ann.refresh).await.refused(429, "RATE_LIMITED");
    emptied().await;
    ann.post("/2fa/setup/").json(json!({})).await.refused(429, "RATE_LIMITED");
    bob.post("/2fa/sessions/").json(json!({})).await.expect(201);
    refresh(&bob.refresh).await.ok();
    refresh(&bob.refresh).await.refused(401, "AUTH_REQUIRED");

    ann.sign_in().await;
    ann.get("/2fa/devices/").await.ok();
}

#[tokio::test]
async fn a_login_that_has_ended_cannot_keep_the_owner_waiting() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut ann = app.enrol("ann").await;
    let refresh =
        async |token: &str| server.post("/2fa/token/refresh/").json(json!({"refresh_token": token})).await;
    let stolen = ann.refresh.clone();
    ann.post("/2fa/sign-out/").await.ok();
    ann.sign_in().await;
    // More than the account's bucket holds.
    for _ in 0..150 {
        refresh(&stolen).await.refused(401, "AUTH_REQUIRED");
    }
    refresh(&ann.refresh).await.ok();
}

#[tokio::test]
async fn an_account_keeps_its_newest_logins() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut tokens = Vec::new();
    for _ in 0..34 {
        tokens.push(app.open_session("ann").await.text("refresh_token"));
    }
    let refresh =
        async |token: &str| server.post("/2fa/token/refresh/").json(json!({"refresh_token": token})).await;
    for token in &tokens[..2] {
        refresh(token).await.refused(401, "AUTH_REQUIRED");
    }
    for token in &tokens[2..] {
        refresh(token).await.ok();
    }
}

#[tokio::test]
async fn every_anonymous_endpoint_is_limited() {
    for path in ["verify/", "verify/backup/", "token/refresh/", "token/revoke/"] {
        let server = server("1");
        let call =
            || server.post(&format!("/2fa/{path}")).header("x-forwarded-for", "203.0.113.7").json(json!({}));
        let mut refused = false;
        for _ in 0..20 {
            refused |= call().await["code"] == "RATE_LIMITED";
        }
        assert!(refused, "{path}");
    }
}

#[tokio::test]
async fn development_spares_loopback_and_zero_turns_the_limit_off() {
    let spared = server("1");
    let off = Server::with(Options {
        arguments: ["--trusted-proxy", "127.0.0.1", "--rate-limit", "0"].map(String::from).to_vec(),
        ..Options::default()
    });
    for _ in 0..50 {
        knock(&spared, "127.0.0.1").await.refused(404, "SESSION_NOT_FOUND");
        knock(&spared, "::1").await.refused(404, "SESSION_NOT_FOUND");
        knock(&off, "203.0.113.7").await.refused(404, "SESSION_NOT_FOUND");
    }
}

#[tokio::test]
async fn links_and_pages_that_start_a_setup_count_and_looks_at_pages_do_not() {
    let server = server("5");
    let look = async |path: &str, address: &str| {
        let answers = (0..20).map(|_| server.get(path).header("x-forwarded-for", address));
        let mut refused = 0;
        for answer in answers {
            let answer = answer.await;
            if answer.status == 429 {
                assert!(answer.header("content-type").starts_with("text/html"), "{answer}");
                assert_eq!(answer.header("retry-after"), "1");
                refused += 1;
            }
        }
        refused > 0
    };
    assert!(look("/2fa/challenge/?link=AAAA", "203.0.113.1").await);
    assert!(look("/2fa/account/?link=AAAA", "203.0.113.2").await);
    assert!(look("/2fa/enroll/", "203.0.113.3").await);
    assert!(look("/2fa/account/device/", "203.0.113.4").await);
    for path in ["/2fa/challenge/", "/2fa/account/"] {
        assert!(!look(path, "203.0.113.5").await, "{path}");
    }
}
