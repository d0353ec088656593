//! The hosted pages over HTTP, without scripts: who gets in by a link, what a form must carry, and what leaves with the browser.

use futures_util::future::join_all;
use sidekey_tests::app::AFTER;
use sidekey_tests::{Answer, App, Authenticator, Browser, Enforcement, Options, Server, json};

/// Where an application gets its browsers back, without the one-time code.
fn code_in(answer: &Answer) -> String {
    let location = answer.header("location");
    let code = location.strip_prefix(&format!("{AFTER}?code="));
    code.unwrap_or_else(|| panic!("{answer}: no code")).to_owned()
}

async fn opened(app: &App<'_>, user: &str) -> Answer {
    let body = json!({"user_id": user, "account_name": format!("{user}@example.com"), "return_url": AFTER});
    app.open_with(body).await.expect(201)
}

/// The address of a challenge that returns to the application.
async fn verify_url(app: &App<'_>, user: &str) -> String {
    opened(app, user).await.text("verify_url")
}

/// A browser on the page of a challenge.
async fn challenged<'s>(app: &App<'s>, user: &str) -> Browser<'s> {
    let mut browser = Browser::new(app.server);
    browser.visit(&verify_url(app, user).await).await.ok();
    browser
}

async fn exchange(app: &App<'_>, code: &str) -> Answer {
    app.post("/2fa/token/").json(json!({"code": code})).await
}

#[tokio::test]
async fn a_link_becomes_a_cookie_once() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    app.enrol("ann").await;
    let url = verify_url(&app, "ann").await;
    let head =
        server.call("HEAD".parse().expect("a method"), url.strip_prefix(&server.url("")).expect("ours"));
    assert_eq!(head.await.status, 200, "a look at the head uses nothing up");

    let mut first = Browser::new(&server);
    let answer = first.get(&url).await.expect(303);
    assert_eq!(answer.header("location"), server.url("/2fa/challenge/"));
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("sidekey-session="), "{cookie}");
    for attribute in ["Path=/", "HttpOnly", "SameSite=Lax"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    first.visit(&url).await.ok();
    assert_eq!(first.heading(), "Type your code", "the browser that has it may come again");

    let mut second = Browser::new(&server);
    second.get(&url).await.expect(400);
    assert_eq!(second.heading(), "This link has been used");
    assert!(second.cookies.is_empty());
    assert!(second.html.contains(AFTER), "it leads back to the application");
    second.get("/2fa/challenge/?link=AAAA").await.expect(400);
    second.get("/2fa/challenge/").await.ok();
    assert_eq!(second.heading(), "Sign in first");
}

#[tokio::test]
async fn of_many_browsers_with_one_link_one_gets_in() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    app.enrol("ann").await;
    let url = verify_url(&app, "ann").await;
    let taken = join_all((0..20).map(|_| async {
        let mut browser = Browser::new(&server);
        browser.get(&url).await.status
    }))
    .await;
    assert_eq!(taken.iter().filter(|status| **status == 303).count(), 1, "{taken:?}");
}

#[tokio::test]
async fn cookies_are_for_this_host_and_for_tls_where_there_is_tls() {
    let arguments = vec!["--public-url".to_string(), "https://login.example".to_string()];
    let server = Server::with(Options { arguments, ..Options::default() });
    let app = server.app(Enforcement::Optional).await;
    app.enrol("ann").await;
    let url = verify_url(&app, "ann").await;
    let path = url.strip_prefix("https://login.example").expect("the public URL");
    let answer = server.get(path).await.expect(303);
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Host-sidekey-session=") && cookie.contains("; Secure"), "{cookie}");
    assert!(!cookie.contains("Domain"), "{cookie}");
}

#[tokio::test]
async fn a_right_code_leads_back_with_a_code_that_counts_once() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let mut browser = challenged(&app, "ann").await;
    let wrong = user.wrong_code().await;
    let again = browser.post("/2fa/challenge/", &[("action", "code"), ("code", &wrong)]).await.expect(400);
    assert!(again.body().contains("Attempts left: 4."), "{again}");
    let right = user.fresh_code().await;
    let answer = browser.post("/2fa/challenge/", &[("action", "code"), ("code", &right)]).await.expect(303);
    assert!(answer.header("content-security-policy").contains("form-action 'self'"), "{answer}");
    let code = code_in(&answer);
    let tokens = exchange(&app, &code).await.ok();
    assert_eq!(tokens["user"], json!({"id": "ann", "account_name": "ann@example.com"}));
    let access = tokens.text("access_token");
    server.get("/2fa/devices/").bearer(&access).await.ok();
    exchange(&app, &code).await.refused(400, "INVALID_CODE");
    server.get("/2fa/devices/").bearer(&access).await.refused(401, "AUTH_REQUIRED");
}

#[tokio::test]
async fn of_many_exchanges_of_one_code_one_succeeds() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let mut browser = challenged(&app, "ann").await;
    let right = user.fresh_code().await;
    let code = code_in(&browser.post("/2fa/challenge/", &[("action", "code"), ("code", &right)]).await);
    let outcomes = join_all((0..30).map(|_| async { exchange(&app, &code).await.status })).await;
    assert_eq!(outcomes.iter().filter(|status| **status == 200).count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|status| **status == 400).count(), 29, "{outcomes:?}");
}

#[tokio::test]
async fn a_code_is_for_its_application_and_for_a_minute() {
    let server = Server::start();
    let (app, other) = (server.app(Enforcement::Optional).await, server.app(Enforcement::Optional).await);
    let mut user = app.enrol("ann").await;
    let mut browser = challenged(&app, "ann").await;
    let right = user.fresh_code().await;
    let code = code_in(&browser.post("/2fa/challenge/", &[("action", "code"), ("code", &right)]).await);
    exchange(&other, &code).await.refused(400, "INVALID_CODE");
    server.post("/2fa/token/").json(json!({"code": code})).await.refused(401, "AUTH_REQUIRED");
    server.advance(60).await;
    exchange(&app, &code).await.refused(400, "INVALID_CODE");
    // Whoever is still at the page gets another one.
    browser.get("/2fa/challenge/").await.ok();
    assert_eq!(browser.heading(), "You are signed in");
    let next = code_in(&browser.post("/2fa/challenge/", &[("action", "continue")]).await);
    assert_ne!(next, code);
    exchange(&app, &code).await.refused(400, "INVALID_CODE");
    exchange(&app, &next).await.ok();
    browser.get("/2fa/challenge/").await.ok();
    let after = browser.post("/2fa/challenge/", &[("action", "continue")]).await.expect(303);
    assert_eq!(after.header("location"), AFTER, "a login yields its tokens once");
}

#[tokio::test]
async fn a_session_that_the_api_has_verified_yields_no_second_tokens() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let session = opened(&app, "ann").await;
    let mut browser = Browser::new(&server);
    browser.visit(&session.text("verify_url")).await.ok();
    let right = user.fresh_code().await;
    user.answer(&session.text("session_id"), &right).await.ok();
    let csrf = browser.hidden("csrf").expect("a token");
    let fields = [("action", "continue"), ("csrf", csrf.as_str())];
    let answer = browser.post_as_it_is("/2fa/challenge/", &fields, &[]).await.expect(303);
    assert_eq!(answer.header("location"), server.url("/2fa/challenge/"), "no login is signed in here");
    browser.get("/2fa/challenge/").await.ok();
    assert_eq!(browser.heading(), "You are signed in");
    assert!(browser.html.contains(&format!("href=\"{AFTER}\"")), "the way back, without a code");
}

/// What a browser may hold that knows the id of a session, which hosts let out to their pages, and does not come by its link.
fn forgeries(id: &str, of_another: &str) -> Vec<String> {
    let (_, mac) = of_another.split_once('.').expect("an id and its MAC");
    vec![id.to_owned(), format!("{id}."), format!("{id}.{id}"), format!("{id}.{mac}")]
}

#[tokio::test]
async fn an_id_makes_no_browser_the_one_that_was_handed_the_session() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let required = server.app(Enforcement::Required).await;
    app.enrol("ann").await;
    let of_another = challenged(&app, "ann").await.cookies["sidekey-session"].clone();
    let (challenge, enrolment) = (opened(&app, "ann").await, opened(&required, "bob").await);
    for (session, path) in [(challenge, "/2fa/challenge/"), (enrolment, "/2fa/enroll/")] {
        for cookie in forgeries(&session.text("session_id"), &of_another) {
            let mut thief = Browser::new(&server);
            thief.cookies.insert("sidekey-session".to_owned(), cookie);
            let page = thief.get(path).await.ok().body();
            assert_eq!(thief.heading(), "Sign in first");
            assert!(!page.contains("@example.com") && !page.contains("secret="));
            for action in ["continue", "saved", "code"] {
                let answer = thief.post(path, &[("action", action), ("saved", "yes")]).await.ok();
                assert!(answer.body().contains("Sign in first"), "{action}");
            }
        }
    }
    let mut thief = Browser::new(&server);
    thief.cookies.insert("sidekey-login".to_owned(), of_another);
    thief.get("/2fa/account/").await.ok();
    assert_eq!(thief.heading(), "You are signed out");
}

#[tokio::test]
async fn only_the_browser_that_holds_the_login_gets_its_code_again() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let mut browser = challenged(&app, "ann").await;
    let mut thief = browser.clone();
    let right = user.fresh_code().await;
    let code = code_in(&browser.post("/2fa/challenge/", &[("action", "code"), ("code", &right)]).await);
    for (path, action) in
        [("/2fa/challenge/", "continue"), ("/2fa/enroll/", "continue"), ("/2fa/enroll/", "saved")]
    {
        let csrf = thief.hidden("csrf").expect("a token");
        let fields = [("action", action), ("saved", "yes"), ("csrf", csrf.as_str())];
        let answer = thief.post_as_it_is(path, &fields, &[]).await.expect(303);
        assert_eq!(answer.header("location"), server.url(path), "{path} {action}");
    }
    exchange(&app, &code).await.ok();
}

#[tokio::test]
async fn a_form_counts_for_the_browser_that_it_was_shown_to() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let mut browser = challenged(&app, "ann").await;
    let foreign = challenged(&app, "ann").await.hidden("csrf").expect("a token");
    let own = browser.hidden("csrf").expect("a token");
    let code = user.fresh_code().await;
    for (csrf, headers) in [
        ("", vec![]),
        (foreign.as_str(), vec![]),
        (own.as_str(), vec![("sec-fetch-site", "cross-site")]),
        (own.as_str(), vec![("sec-fetch-site", "same-site")]),
        (own.as_str(), vec![("origin", "https://evil.example")]),
    ] {
        let fields = [("action", "code"), ("code", code.as_str()), ("csrf", csrf)];
        let answer = browser.post_as_it_is("/2fa/challenge/", &fields, &headers).await;
        assert_eq!(answer.status, 403, "{headers:?}: {answer}");
    }
    let origin = server.url("");
    let fields = [("action", "code"), ("code", code.as_str()), ("csrf", own.as_str())];
    let answer = browser.post_as_it_is("/2fa/challenge/", &fields, &[("origin", &origin)]).await;
    answer.expect(303);
}

#[tokio::test]
async fn an_application_cannot_be_told_to_send_its_users_elsewhere() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let mut browser = challenged(&app, "ann").await;
    let code = user.fresh_code().await;
    let fields = [("action", "code"), ("code", &code), ("return_url", "https://evil.example/")];
    let answer = browser.post("/2fa/challenge/?return_url=https://evil.example/", &fields).await.expect(303);
    code_in(&answer);
    for path in
        ["/2fa/account/?next=https://evil.example/", "/2fa/challenge/?return_url=https://evil.example/"]
    {
        let answer = browser.get(path).await;
        assert!(!answer.body().contains("evil.example"), "{path}");
        assert!(!answer.header("location").contains("evil.example"), "{path}");
    }
}

#[tokio::test]
async fn a_newcomer_enrols_and_acknowledges_the_backup_codes() {
    let server = Server::start();
    let app = server.app(Enforcement::Required).await;
    let session = opened(&app, "ann").await;
    let mut browser = Browser::new(&server);
    browser.visit(&session.text("enroll_url")).await.ok();
    assert_eq!(browser.heading(), "Connect an authenticator app");
    let secret = |browser: &Browser| {
        let (_, rest) = browser.html.split_once("secret=").expect("the key");
        rest.split('&').next().expect("its end").to_owned()
    };
    let key = secret(&browser);
    let device = browser.hidden("device").expect("a device");
    browser.get("/2fa/enroll/").await.ok();
    assert_eq!(secret(&browser), key, "a reload keeps the secret");
    let mut phone = Authenticator::from_base32(&key);
    let wrong = phone.wrong_code(&server).await;
    let fields = [("action", "confirm"), ("device", &*device), ("code", &*wrong), ("name", "Phone")];
    browser.post("/2fa/enroll/", &fields).await.expect(400);
    assert_eq!(secret(&browser), key, "a wrong code keeps the secret");
    assert!(browser.html.contains("value=\"Phone\""), "and the name");

    let code = phone.fresh_code(&server).await;
    let fields = [("action", "confirm"), ("device", &*device), ("code", &*code)];
    let shown = browser.post("/2fa/enroll/", &fields).await.ok();
    assert_eq!(browser.heading(), "Keep your backup codes");
    assert!(
        shown.header("content-security-policy").contains("form-action 'self' https://app.example;"),
        "{shown}"
    );
    let codes = browser.hidden("codes").expect("ten codes");
    assert_eq!(codes.split(' ').count(), 10);
    let page = browser.clone();

    // The same form once more, as a reload posts it: they are not shown again.
    browser.post("/2fa/enroll/", &fields).await.ok();
    assert_eq!(browser.heading(), "This is already done");
    assert!(!browser.html.contains(codes.split(' ').next().expect("a code")));

    let mut browser = page;
    let file_csrf = browser.hidden("file_csrf").expect("a token");
    let fields = [("csrf", &*file_csrf), ("codes", &*codes)];
    let file = browser.post_as_it_is("/2fa/account/backup-codes/", &fields, &[]).await.ok();
    assert!(file.header("content-disposition").starts_with("attachment"), "{file}");
    assert!(codes.split(' ').all(|code| file.body().contains(code)));
    let fields = [("action", "saved"), ("codes", &*codes), ("file_csrf", &*file_csrf)];
    browser.post("/2fa/enroll/", &fields).await.expect(400);
    assert_eq!(browser.hidden("codes"), Some(codes.clone()), "an empty box loses nothing");
    let ticked = [("action", "saved"), ("saved", "yes"), ("codes", &*codes)];
    let answer = browser.post("/2fa/enroll/", &ticked).await.expect(303);
    exchange(&app, &code_in(&answer)).await.ok();
    assert_eq!(app.state("ann").await["devices"], 1);
}

#[tokio::test]
async fn a_session_that_is_over_leads_back_to_the_application() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let mut failed = challenged(&app, "ann").await;
    let mut late = challenged(&app, "ann").await;
    for _ in 0..4 {
        let wrong = user.wrong_code().await;
        failed.post("/2fa/challenge/", &[("action", "code"), ("code", &wrong)]).await.expect(400);
    }
    let wrong = user.wrong_code().await;
    failed.post("/2fa/challenge/", &[("action", "code"), ("code", &wrong)]).await.expect(403);
    assert_eq!(failed.heading(), "Sign in again");
    assert!(failed.html.contains(AFTER));
    late.get("/2fa/challenge/").await.ok();
    assert!(
        late.html.contains("data-wait=\""),
        "the account waits, and the page says so before anything is typed"
    );
    let waiting = late.post("/2fa/challenge/", &[("action", "code"), ("code", &wrong)]).await.expect(429);
    assert!(waiting.body().contains("data-wait=\""), "{waiting}");
    server.advance(300).await;
    late.get("/2fa/challenge/").await.expect(400);
    assert_eq!(late.heading(), "Sign in again");
    assert!(late.html.contains(AFTER));
}

#[tokio::test]
async fn malformed_wrong_and_missing_codes_are_told_apart() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let mut browser = challenged(&app, "ann").await;
    let wrong = user.wrong_code().await;
    for (fields, says) in [
        (vec![("action", "code"), ("code", "12345")], "not a whole code"),
        (vec![("action", "code"), ("code", "")], "not a whole code"),
        (vec![("action", "backup-code"), ("backup_code", "abc")], "not a whole backup code"),
        (vec![("action", "code"), ("code", &*wrong)], "wrong or was used before. Wait"),
        (
            vec![("action", "backup-code"), ("backup_code", "AAAA-BBBB-CCCC-DDDD")],
            "That backup code is wrong",
        ),
    ] {
        let answer = browser.post("/2fa/challenge/", &fields).await.expect(400);
        assert!(answer.body().contains(says), "{fields:?}: {answer}");
    }
    assert!(browser.html.contains("Attempts left: 3."), "malformed ones cost nothing");
}

#[tokio::test]
async fn the_account_page_opens_by_a_link_once_and_only_for_that_login() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let link = user.post("/2fa/account/link/").await.ok();
    assert_eq!(link["expires_in"], 60);
    let link = link.text("account_url");
    let mut browser = Browser::new(&server);
    browser.get(&link).await.expect(303);
    browser.get(&link).await.expect(303);
    browser.get("/2fa/account/").await.ok();
    assert!(browser.html.contains("ann@example.com"));
    Browser::new(&server).get(&link).await.expect(404);

    let sid = sidekey_tests::jwt::claims(&user.access)["sid"].as_str().expect("a login").to_owned();
    let late = app.post("/2fa/account/link/").json(json!({"sid": sid})).await.ok().text("account_url");
    let other = server.app(Enforcement::Optional).await;
    other.post("/2fa/account/link/").json(json!({"sid": sid})).await.refused(404, "SESSION_NOT_FOUND");
    server.advance(60).await;
    Browser::new(&server).get(&late).await.expect(404);

    server.post("/2fa/token/revoke/").json(json!({"refresh_token": user.refresh})).await.ok();
    browser.get("/2fa/account/").await.ok();
    assert_eq!(browser.heading(), "You are signed out", "with the login, its pages end");
}

#[tokio::test]
async fn what_needs_a_fresh_second_factor_asks_for_it_and_tells_no_token_of_it() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let mut browser = Browser::on_account_page(&app, &user.access).await;
    browser.get("/2fa/account/device/").await.ok();
    assert_eq!(browser.heading(), "Connect an authenticator app");
    let mut another = Browser::on_account_page(&app, &user.access).await;
    server.advance(601).await;
    browser.get("/2fa/account/device/").await.ok();
    assert_eq!(browser.heading(), "Confirm that it is you");
    let code = user.fresh_code().await;
    let fields = [("action", "confirm"), ("next", "device"), ("code", &*code)];
    let answer = browser.post("/2fa/account/", &fields).await.expect(303);
    assert_eq!(answer.header("location"), server.url("/2fa/account/device/"));
    browser.get("/2fa/account/device/").await.ok();
    assert_eq!(browser.heading(), "Connect an authenticator app");
    another.get("/2fa/account/device/").await.ok();
    assert_eq!(another.heading(), "Confirm that it is you", "it was proved in the other browser");
    user.post("/2fa/setup/").json(json!({})).await.refused(401, "2FA_REQUIRED");
    let body = json!({"refresh_token": user.refresh});
    let fresh = server.post("/2fa/token/refresh/").json(body).await.ok().text("access_token");
    server.post("/2fa/setup/").bearer(&fresh).json(json!({})).await.refused(401, "2FA_REQUIRED");
}

#[tokio::test]
async fn two_browsers_share_nothing() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let (ann, bob) = (app.enrol("ann").await, app.enrol("bob").await);
    let of_ann = Browser::on_account_page(&app, &ann.access).await;
    let mut of_bob = Browser::on_account_page(&app, &bob.access).await;
    let csrf = of_ann.hidden("csrf").expect("a token");
    let device = ann.device.as_str();
    let fields = [("action", "rename"), ("device", device), ("name", "Mine"), ("csrf", csrf.as_str())];
    of_bob.post_as_it_is("/2fa/account/", &fields, &[]).await.expect(403);
    of_bob.get("/2fa/account/").await.ok();
    let fields = [("action", "rename"), ("device", device), ("name", "Mine")];
    of_bob.post("/2fa/account/", &fields).await.expect(404);
    assert_ne!(ann.get("/2fa/devices/").await.ok()["devices"][0]["name"], "Mine");
}

#[tokio::test]
async fn pages_speak_the_language_that_the_application_asks_for() {
    let server = Server::start();
    let mut browser = Browser::new(&server);
    browser.get("/2fa/challenge/?ui_locales=xx+en-GB").await.ok();
    assert_eq!(browser.cookies.get("sidekey-language").map(String::as_str), Some("en"));
    assert!(browser.html.contains("<html lang=\"en\" dir=\"ltr\">"));
}

#[tokio::test]
async fn no_token_stands_in_an_address() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let session = opened(&app, "ann").await;
    let mut browser = Browser::new(&server);
    let answer = browser.get(&session.text("verify_url")).await.expect(303);
    assert!(!answer.header("location").contains('?'), "{answer}");
    browser.visit("/2fa/challenge/").await.ok();
    let code = user.fresh_code().await;
    let answer = browser.post("/2fa/challenge/", &[("action", "code"), ("code", &code)]).await.expect(303);
    let location = answer.header("location").to_owned();
    let tokens = exchange(&app, &code_in(&answer)).await.ok();
    for secret in [tokens.text("access_token"), tokens.text("refresh_token"), session.text("session_id")] {
        assert!(!location.contains(&secret), "{location}");
    }
}
