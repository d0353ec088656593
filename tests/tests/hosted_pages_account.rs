//! The hosted account page over HTTP, without scripts: what it refuses, where it says so, and what it says once.

use sidekey_tests::{Authenticator, Browser, Enforcement, Server, User, json};

const ACCOUNT: &str = "/2fa/account/";
const DEVICE: &str = "/2fa/account/device/";

/// The authenticator of the setup that a browser shows.
fn shown_authenticator(browser: &Browser<'_>) -> Authenticator {
    let (_, rest) = browser.html.split_once("secret=").expect("the key");
    Authenticator::from_base32(rest.split('&').next().expect("its end"))
}

/// The ids of the devices that a user has, oldest first.
async fn devices(user: &User<'_>) -> Vec<String> {
    let answer = user.get("/2fa/devices/").await.ok();
    let devices = answer["devices"].as_array().expect("a list").iter();
    devices.map(|device| device["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn what_is_done_is_said_once_and_by_no_link() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let mut browser = Browser::on_account_page(&app, &user.access).await;
    browser.get("/2fa/account/?done=disabled").await.ok();
    assert!(!browser.html.contains("is off"), "a link makes the page say nothing");
    let fields = [("action", "rename"), ("device", user.device.as_str()), ("name", "Phone")];
    browser.post(ACCOUNT, &fields).await.expect(303);
    server.call("HEAD".parse().expect("a method"), ACCOUNT).await;
    browser.get(ACCOUNT).await.ok();
    assert!(browser.html.contains("The device has its new name."));
    browser.get(ACCOUNT).await.ok();
    assert!(!browser.html.contains("The device has its new name."));
}

#[tokio::test]
async fn a_refusal_whose_form_is_gone_is_said_above_the_others() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let (_, second) = user.add_device("Tablet").await;
    let mut browser = Browser::on_account_page(&app, &user.access).await;
    user.call("DELETE", &format!("/2fa/devices/{second}/")).json(json!({})).await.ok();
    for (action, name) in [("primary", ""), ("rename", "Mine"), ("remove", "")] {
        let fields = [("action", action), ("device", second.as_str()), ("name", name)];
        browser.post(ACCOUNT, &fields).await.expect(404);
        assert!(browser.html.contains("class=\"notice error\" role=\"alert\""), "{action}");
    }
    let code = user.fresh_code().await;
    user.post("/2fa/disable/").json(json!({"code": code})).await.ok();
    let mut browser = Browser::on_account_page(&app, &app.setup_token("ann").await).await;
    for action in ["renew", "disable"] {
        browser.post(ACCOUNT, &[("action", action), ("code", "123456")]).await.expect(400);
        assert!(browser.html.contains("class=\"notice error\" role=\"alert\""), "{action}");
    }
}

#[tokio::test]
async fn a_new_device_takes_the_place_of_the_old_one() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    user.add_device("Tablet").await;
    for is_gone in [false, true] {
        let mut browser = Browser::on_account_page(&app, &user.access).await;
        let old = devices(&user).await.pop().expect("a device");
        browser.get(&format!("{DEVICE}?replaces={old}")).await.ok();
        let mut phone = shown_authenticator(&browser);
        if is_gone {
            user.call("DELETE", &format!("/2fa/devices/{old}/")).json(json!({})).await.ok();
        }
        let code = phone.fresh_code(&server).await;
        let device = browser.hidden("device").expect("a pending device");
        let before = browser.cookies["sidekey-login"].clone();
        let fields = [("action", "confirm"), ("device", &*device), ("code", &*code), ("replaces", &*old)];
        browser.post(DEVICE, &fields).await.expect(303);
        assert_ne!(browser.cookies["sidekey-login"], before, "the login with the new device");
        browser.get(ACCOUNT).await.ok();
        assert!(
            browser.html.contains("The new device is connected, and the old one has been removed."),
            "{}",
            browser.html
        );
        let left = devices(&user).await;
        assert!(left.contains(&device) && !left.contains(&old), "{left:?}");
    }
}

#[tokio::test]
async fn with_as_many_devices_as_there_may_be_none_is_added() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    for n in 2..=7 {
        user.sign_in().await;
        user.add_device(&format!("Phone {n}")).await;
    }
    let mut browser = Browser::on_account_page(&app, &user.access).await;
    assert!(browser.html.contains("as many devices as an account can have"));
    assert!(!browser.html.contains(DEVICE), "no link to one more");
    let answer = browser.get(DEVICE).await.expect(303);
    assert_eq!(answer.header("location"), server.url(ACCOUNT));
}

#[tokio::test]
async fn after_twenty_failures_every_form_asks_for_two_codes() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    for _ in 0..21 {
        let wrong = user.wrong_code().await;
        let session = user.challenge().await;
        user.answer(&session, &wrong).await.expect(400);
        server.advance(3600).await;
    }
    let (code, next) = user.phone.two_fresh_codes(&server).await;
    let body = json!({"session_id": user.challenge().await, "code": code, "next_code": next});
    let access = server.post("/2fa/verify/").json(body).await.ok().text("access_token");
    let mut browser = Browser::on_account_page(&app, &access).await;
    browser.get(DEVICE).await.ok();
    assert_eq!(browser.heading(), "Connect an authenticator app");
    assert!(browser.html.contains("name=\"next_code\""));
}

#[tokio::test]
async fn a_page_that_refuses_says_when_to_come_back() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let mut browser = Browser::on_account_page(&app, &user.access).await;
    let wrong = user.wrong_code().await;
    for _ in 0..5 {
        browser.post(ACCOUNT, &[("action", "renew"), ("code", &wrong)]).await.expect(400);
    }
    let waiting = browser.post(ACCOUNT, &[("action", "renew"), ("code", &wrong)]).await;
    assert_eq!(waiting.expect(429).header("retry-after"), "30");
    // Read to its end: a line may come later than the answer that it tells of.
    assert!(server.stop().log.contains("ACCOUNT_THROTTLED"), "the log says why a page was refused");
}

#[tokio::test]
async fn a_link_to_another_account_is_asked_about_first() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let (ann, mallory) = (app.enrol("ann").await, app.enrol("mallory").await);
    let mut browser = Browser::on_account_page(&app, &ann.access).await;
    let of_ann = browser.cookies["sidekey-login"].clone();
    let link = mallory.post("/2fa/account/link/").await.ok().text("account_url");
    browser.get(&link).await.ok();
    assert_eq!(browser.heading(), "Switch to another account?");
    assert!(browser.html.contains("ann@example.com") && browser.html.contains("mallory@example.com"));
    assert_eq!(browser.cookies["sidekey-login"], of_ann);
    let hidden = browser.hidden("link").expect("the link");
    let fields = [("action", "switch"), ("link", hidden.as_str())];
    browser.clone().post_as_it_is(ACCOUNT, &fields, &[]).await.expect(403);
    browser.post(ACCOUNT, &fields).await.expect(303);
    browser.get(ACCOUNT).await.ok();
    assert!(browser.html.contains("mallory@example.com"));

    let mut late = Browser::on_account_page(&app, &ann.access).await;
    let used = late.get(&link).await.expect(404);
    assert!(!used.body().contains("mallory"), "a link that was used names nobody");
    let same = Browser::on_account_page(&app, &ann.access).await;
    assert_eq!(same.heading(), "Two-factor authentication", "the same account is not asked about");
}
