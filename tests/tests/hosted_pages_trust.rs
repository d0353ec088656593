//! Trusted browsers, recent activity and signing out everywhere on the hosted pages, without scripts.

use sidekey_tests::app::AFTER;
use sidekey_tests::{Answer, App, Browser, Enforcement, Server, User, json};

const DAY: u64 = 86_400;
const COOKIE: &str = "sidekey-browser-";
const CHALLENGE: &str = "/2fa/challenge/";

async fn verify_url(app: &App<'_>, user: &str) -> String {
    let body = json!({"user_id": user, "return_url": AFTER});
    app.open_with(body).await.expect(201).text("verify_url")
}

/// The tokens of the login with which a browser was led back.
async fn led_back(app: &App<'_>, answer: &Answer) -> Answer {
    let location = answer.header("location");
    let code = location.strip_prefix(&format!("{AFTER}?code="));
    let code = code.unwrap_or_else(|| panic!("{answer}: not led back"));
    app.post("/2fa/token/").json(json!({"code": code})).await.ok()
}

/// The tokens of trust that a browser keeps, one for each account.
fn kept(browser: &Browser<'_>) -> Vec<String> {
    let cookies = browser.cookies.iter().filter(|(name, _)| name.starts_with(COOKIE));
    cookies.map(|(_, value)| value.clone()).collect()
}

/// Signs in by the page, with the box ticked.
async fn trusting<'s>(app: &App<'s>, user: &mut User<'s>) -> (Browser<'s>, Answer) {
    let mut browser = Browser::new(app.server);
    let answer = trust(app, user, &mut browser).await;
    (browser, answer)
}

/// The same in a browser that has been here before.
async fn trust<'s>(app: &App<'s>, user: &mut User<'s>, browser: &mut Browser<'s>) -> Answer {
    let id = user.id.clone();
    browser.visit(&verify_url(app, &id).await).await.ok();
    let code = user.fresh_code().await;
    let fields = [("action", "code"), ("code", code.as_str()), ("trust", "yes")];
    let answer = browser.post(CHALLENGE, &fields).await.expect(303);
    led_back(app, &answer).await
}

/// Follows a new link: what it leads to, without following that.
async fn comes_again(app: &App<'_>, browser: &mut Browser<'_>) -> Answer {
    browser.get(&verify_url(app, "ann").await).await.expect(303)
}

fn is_challenged(server: &Server, answer: &Answer) -> bool {
    answer.header("location") == server.url(CHALLENGE)
}

#[tokio::test]
async fn a_trusted_browser_goes_straight_back_with_each_token_once() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let (mut browser, first) = trusting(&app, &mut user).await;
    let given = sidekey_tests::jwt::claims(&first.text("access_token"))["auth_time"].clone();
    server.advance(DAY).await;
    let thief = browser.clone();

    let before = kept(&browser);
    let answer = comes_again(&app, &mut browser).await;
    let tokens = led_back(&app, &answer).await;
    let claims = sidekey_tests::jwt::claims(&tokens.text("access_token"));
    assert_eq!(claims["auth_time"], given, "the login tells when the code was given");
    assert_ne!(kept(&browser), before);
    browser.get("/2fa/account/").await.ok();
    assert_eq!(browser.heading(), "Two-factor authentication");
    led_back(&app, &comes_again(&app, &mut browser).await).await;

    let mut thief = thief;
    assert!(is_challenged(&server, &comes_again(&app, &mut thief).await), "a spent token spares nothing");
    thief.get(CHALLENGE).await.ok();
    assert_eq!(thief.heading(), "Type your code");
    assert!(is_challenged(&server, &comes_again(&app, &mut browser).await), "the theft has ended the trust");
}

#[tokio::test]
async fn trust_is_asked_for_and_lasts_thirty_days() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let mut browser = Browser::new(&server);
    browser.visit(&verify_url(&app, "ann").await).await.ok();
    let code = user.fresh_code().await;
    browser.post(CHALLENGE, &[("action", "code"), ("code", &code)]).await.expect(303);
    assert!(kept(&browser).is_empty());
    assert!(is_challenged(&server, &comes_again(&app, &mut browser).await));

    let code = user.fresh_code().await;
    browser.get(CHALLENGE).await.ok();
    let fields = [("action", "code"), ("code", code.as_str()), ("trust", "yes")];
    let answer = browser.post(CHALLENGE, &fields).await.expect(303);
    let lines: Vec<_> =
        answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).collect();
    let line = lines.iter().find(|line| line.starts_with(COOKIE)).expect("a cookie");
    assert!(line.contains("HttpOnly") && line.contains("Max-Age=2592000"), "{line}");
    server.advance(30 * DAY).await;
    assert!(is_challenged(&server, &comes_again(&app, &mut browser).await));
}

#[tokio::test]
async fn a_trusted_browser_spares_nobody_else_and_no_step_up() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    app.enrol("bob").await;
    let (mut browser, tokens) = trusting(&app, &mut user).await;
    let of_bob = browser.get(&verify_url(&app, "bob").await).await.expect(303);
    assert!(is_challenged(&server, &of_bob));
    let step_up = server.post("/2fa/sessions/").bearer(&tokens.text("access_token")).json(json!({}));
    let url = step_up.await.expect(201).text("verify_url");
    assert!(is_challenged(&server, &browser.get(&url).await.expect(303)));
    browser.get(CHALLENGE).await.ok();
    assert_eq!(browser.heading(), "Confirm that it is you");
    assert!(!browser.html.contains("name=\"trust\""));
    led_back(&app, &comes_again(&app, &mut browser).await).await;
}

#[tokio::test]
async fn turning_off_ends_the_trust() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let (mut browser, _) = trusting(&app, &mut user).await;
    browser.get("/2fa/account/").await.ok();
    let code = user.fresh_code().await;
    browser.post("/2fa/account/", &[("action", "disable"), ("code", &code)]).await.expect(303);
    app.enrol("ann").await;
    assert!(is_challenged(&server, &comes_again(&app, &mut browser).await));
}

#[tokio::test]
async fn the_account_page_forgets_a_browser() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let (mut browser, _) = trusting(&app, &mut user).await;
    browser.get("/2fa/account/").await.ok();
    let id = browser.hidden("browser").expect("a trusted browser");
    let fields = [("action", "forget"), ("browser", id.as_str())];
    browser.post("/2fa/account/", &fields).await.expect(303);
    browser.get("/2fa/account/").await.ok();
    assert!(browser.html.contains("The browser is trusted no more."));
    assert_eq!(browser.hidden("browser"), None);
    assert!(browser.html.contains("A trusted browser was forgotten"));
    assert!(is_challenged(&server, &comes_again(&app, &mut browser).await));
}

#[tokio::test]
async fn signing_out_everywhere_ends_the_page_the_tokens_and_the_trust() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let (mut browser, tokens) = trusting(&app, &mut user).await;
    browser.get("/2fa/account/").await.ok();
    let mut other = browser.clone();
    browser.post("/2fa/account/", &[("action", "sign-out-everywhere")]).await.expect(303);
    for browser in [&mut browser, &mut other] {
        browser.get("/2fa/account/").await.ok();
        assert_eq!(browser.heading(), "You are signed out");
    }
    let refresh = json!({"refresh_token": tokens.text("refresh_token")});
    server.post("/2fa/token/refresh/").json(refresh).await.expect(401);
    assert!(is_challenged(&server, &comes_again(&app, &mut other).await));
}

#[tokio::test]
async fn recent_activity_tells_what_happened_and_no_secret() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let wrong = user.wrong_code().await;
    let session = user.challenge().await;
    user.answer(&session, &wrong).await.expect(400);
    let (mut browser, tokens) = trusting(&app, &mut user).await;
    browser.get("/2fa/account/").await.ok();
    for sentence in ["A wrong code was refused", "A code was accepted", "A browser was trusted", "127.0.0.1"]
    {
        assert!(browser.html.contains(sentence), "{sentence}");
    }
    for secret in [&tokens.text("access_token"), &tokens.text("refresh_token"), &kept(&browser)[0]] {
        assert!(!browser.html.contains(secret.as_str()));
    }
}

#[tokio::test]
async fn each_account_is_trusted_in_one_browser_by_itself_up_to_eight() {
    let server = Server::start();
    let (app, other) = (server.app(Enforcement::Optional).await, server.app(Enforcement::Optional).await);
    let (mut ann, mut elsewhere) = (app.enrol("ann").await, other.enrol("ann").await);
    let (mut browser, _) = trusting(&app, &mut ann).await;
    trust(&other, &mut elsewhere, &mut browser).await;
    assert_eq!(kept(&browser).len(), 2);
    for app in [&app, &other, &app] {
        let answer = comes_again(app, &mut browser).await;
        led_back(app, &answer).await;
    }
    for n in 0..8 {
        let mut user = app.enrol(&format!("user-{n}")).await;
        trust(&app, &mut user, &mut browser).await;
        assert!(kept(&browser).len() <= 8);
    }
    assert_eq!(kept(&browser).len(), 8);
}
