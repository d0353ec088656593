//! The admin area's search for users, the page of one, and what operators do for them, over HTTP with forms.

use sidekey_tests::{App, Enforcement, Operator, Server, User, Value, json};

const USER: &str = "/admin/user/";

fn page_of(app: &App<'_>, user: &str) -> String {
    format!("{USER}?app={}&user={user}", app.id)
}

/// Posts a form of a user's page for a reason, and follows to the page that says what was done.
async fn act(operator: &mut Operator<'_>, user: &User<'_>, action: &str, device: &str) {
    operator.get(&page_of(&user.app, &user.id)).await.ok();
    let fields = [
        ("action", action),
        ("app", user.app.id.as_str()),
        ("user", user.id.as_str()),
        ("device", device),
        ("reason", "ticket 7"),
    ];
    let done = operator.post(USER, &fields).await.expect(303);
    operator.get(done.header("location")).await.ok();
    assert!(operator.browser.html.contains("role=\"status\""), "{action} says that it is done");
}

/// The newest entry of the trail about a user.
async fn newest(server: &Server, user: &User<'_>) -> Value {
    server.command(["audit", "--app", &user.app.id, "--user", &user.id, "--last", "1"]).await
}

async fn told(server: &Server, user: &User<'_>, event: &str) {
    let entry = newest(server, user).await;
    assert_eq!(entry["event"]["type"], event, "{entry}");
    assert_eq!(entry["actor"], json!({"kind": "operator", "name": "bob"}), "who");
    assert_eq!(entry["reason"], "ticket 7", "why");
    assert_eq!(entry["ip_address"], "127.0.0.1", "from where");
}

async fn statuses(user: &User<'_>) -> Vec<(String, String)> {
    let answer = user.get("/2fa/devices/").await.ok();
    let devices = answer["devices"].as_array().expect("a list").iter();
    let text = |device: &Value, name: &str| device[name].as_str().expect("a text").to_owned();
    devices.map(|device| (text(device, "id"), text(device, "status"))).collect()
}

#[tokio::test]
async fn a_disabled_device_accepts_no_code_lets_nobody_in_without_one_and_works_again_once_enabled() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut ann = app.enrol("ann").await;
    let mut bob = Operator::create(&server, "bob", "support").await;
    let device = ann.device.clone();
    act(&mut bob, &ann, "disable-device", &device).await;
    told(&server, &ann, "device_disabled").await;
    assert!(bob.browser.html.contains("Disabled"), "the page shows it");
    assert_eq!(statuses(&ann).await, [(device.clone(), "disabled".to_owned())]);
    assert_eq!(app.state("ann").await.ok()["has_2fa_enabled"], true);

    let opened = app.open_session("ann").await.expect(201);
    assert_eq!(opened["requires_2fa"], true, "no enrolment, and not let in: {opened}");
    assert!(!opened.has("enrollment_token") && !opened.has("access_token"));
    let session = opened.text("session_id");
    let code = ann.fresh_code().await;
    ann.answer(&session, &code).await.refused(400, "INVALID_CODE");
    let backup = ann.backup_codes[0].clone();
    let answer = ann.answer_with_backup(&session, &backup).await.ok();
    ann.access = answer.text("access_token");
    let (_, second) = ann.add_device("Tablet").await;
    assert_eq!(
        statuses(&ann).await,
        [(second, "active".to_owned()), (device.clone(), "disabled".to_owned())]
    );

    let refused = ann.answer(&ann.challenge().await, &code).await;
    refused.refused(400, "INVALID_CODE");
    act(&mut bob, &ann, "enable-device", &device).await;
    told(&server, &ann, "device_enabled").await;
    ann.sign_in().await;
}

#[tokio::test]
async fn an_owner_sees_what_an_operator_did_and_not_who_why_and_from_where() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let ann = app.enrol("ann").await;
    let mut bob = Operator::create(&server, "bob", "support").await;
    act(&mut bob, &ann, "disable-device", &ann.device.clone()).await;
    let seen = ann.get("/2fa/activity/?limit=1").await.ok();
    let entry = &seen["activity"][0];
    assert_eq!((&entry["event"], &entry["ip_address"]), (&json!("device_disabled"), &Value::Null));
    assert_eq!((&entry["device_id"], &entry["user_agent"]), (&json!(ann.device), &Value::Null));
    assert!(!seen.body().contains("ticket 7") && !seen.body().contains("bob"), "{seen}");
    let mut browser = sidekey_tests::Browser::on_account_page(&app, &ann.access).await;
    browser.visit("/2fa/account/").await.ok();
    assert!(browser.html.contains("The people who run this application have disabled it"));
    assert!(browser.html.contains("A device was disabled by an operator"));
    assert!(!browser.html.contains("ticket 7"));
}

#[tokio::test]
async fn after_a_reset_everything_of_before_is_dead_and_the_user_enrols_anew() {
    let server = Server::start();
    let app = server.app(Enforcement::Required).await;
    let mut ann = app.enrol("ann").await;
    let session = ann.challenge().await;
    let code = ann.fresh_code().await;
    let body = json!({"session_id": session, "code": code, "trust_device": true});
    let trusted = server.post("/2fa/verify/").json(body).await.ok().text("trusted_browser_token");
    let open = ann.challenge().await;
    let mut bob = Operator::create(&server, "bob", "support").await;
    act(&mut bob, &ann, "reset", "").await;
    told(&server, &ann, "two_factor_reset").await;
    ann.get("/2fa/devices/").await.refused(401, "AUTH_REQUIRED");
    let refresh = json!({"refresh_token": ann.refresh});
    server.post("/2fa/token/refresh/").json(refresh).await.expect(401);
    let code = ann.fresh_code().await;
    ann.answer(&open, &code).await.refused(400, "SESSION_EXPIRED");
    let again = json!({"user_id": "ann", "trusted_browser_token": trusted});
    let opened = app.open_with(again).await.expect(201);
    assert_eq!(opened["requires_enrollment"], true, "{opened}");
    let mut anew = app.enrol("ann").await;
    anew.sign_in().await;
    let backup = ann.backup_codes[0].clone();
    anew.answer_with_backup(&anew.challenge().await, &backup).await.refused(400, "INVALID_CODE");
}

#[tokio::test]
async fn an_operator_unlocks_ends_logins_and_removes_devices_but_not_the_last() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut ann = app.enrol("ann").await;
    let mut bob = Operator::create(&server, "bob", "admin").await;
    for _ in 0..5 {
        let (session, wrong) = (ann.challenge().await, ann.wrong_code().await);
        ann.answer(&session, &wrong).await.refused(400, "INVALID_CODE");
    }
    bob.get(&page_of(&app, "ann")).await.ok();
    assert!(bob.browser.html.contains("Codes wait until"));
    act(&mut bob, &ann, "unlock", "").await;
    told(&server, &ann, "account_unlocked").await;
    assert!(bob.browser.html.contains("Nothing waits"));
    ann.sign_in().await;

    let (_, tablet) = ann.add_device("Tablet").await;
    act(&mut bob, &ann, "remove-device", &tablet).await;
    told(&server, &ann, "device_removed").await;
    let device = ann.device.clone();
    let last = [
        ("action", "remove-device"),
        ("app", app.id.as_str()),
        ("user", "ann"),
        ("device", device.as_str()),
        ("reason", "ticket 7"),
    ];
    assert!(!bob.browser.html.contains("Remove the device"), "the page does not offer it");
    bob.post(USER, &last).await.expect(400);
    assert!(bob.browser.html.contains("Reset the second factor instead"));

    act(&mut bob, &ann, "revoke-sessions", "").await;
    told(&server, &ann, "signed_out_everywhere").await;
    ann.get("/2fa/devices/").await.refused(401, "AUTH_REQUIRED");
    ann.sign_in().await;
}

#[tokio::test]
async fn a_viewer_looks_and_changes_nothing_and_nobody_does_without_a_reason() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let ann = app.enrol("ann").await;
    let before = newest(&server, &ann).await;
    let mut eve = Operator::create(&server, "eve", "viewer").await;
    let mut bob = Operator::create(&server, "bob", "support").await;
    let device = ann.device.clone();
    let fields = |action: &'static str, reason: &'static str| {
        [
            ("action", action),
            ("app", app.id.as_str()),
            ("user", "ann"),
            ("device", device.as_str()),
            ("reason", reason),
        ]
    };
    eve.get(&page_of(&app, "ann")).await.ok();
    assert!(!eve.browser.html.contains("name=\"reason\""), "a viewer is offered nothing");
    for action in ["disable-device", "remove-device", "unlock", "reset", "revoke-sessions"] {
        eve.get(&page_of(&app, "ann")).await.ok();
        eve.post(USER, &fields(action, "ticket 7")).await.expect(403);
        for reason in ["", "  ", "two\nlines"] {
            bob.get(&page_of(&app, "ann")).await.ok();
            bob.post(USER, &fields(action, reason)).await.expect(400);
        }
    }
    bob.get(&page_of(&app, "ann")).await.ok();
    bob.post(USER, &fields("erase", "ticket 7")).await.expect(400);
    bob.get(&page_of(&app, "ann")).await.ok();
    let foreign = [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")];
    let csrf = bob.browser.hidden("csrf").expect("a token");
    let mut posted = fields("reset", "ticket 7").to_vec();
    posted.push(("csrf", &csrf));
    bob.browser.post_as_it_is(USER, &posted, &foreign).await.expect(403);
    assert_eq!(newest(&server, &ann).await, before, "nothing has happened");
}

#[tokio::test]
async fn users_are_found_by_their_id_in_any_application_and_by_parts_of_their_names() {
    let server = Server::start();
    let (shop, bank) = (server.app(Enforcement::Optional).await, server.app(Enforcement::Optional).await);
    for (app, user, name) in [
        (&shop, "ann", "Ann@Example.com"),
        (&bank, "ann", "other@example.com"),
        (&bank, "joanna <b>", "jo@example.com"),
        (&shop, "carl", "carl@example.com"),
    ] {
        app.open_with(json!({"user_id": user, "account_name": name})).await.expect(201);
    }
    let mut bob = Operator::create(&server, "bob", "viewer").await;
    bob.get("/admin/users/?q=ann").await.ok();
    let html = bob.browser.html.clone();
    let (exact, found) = html.split_once("id=\"found\"").expect("both lists");
    assert!(exact.contains(&format!("app={}&#38;user=ann\"", shop.id)), "{exact}");
    assert!(exact.contains(&format!("app={}&#38;user=ann\"", bank.id)), "{exact}");
    assert!(found.contains("joanna &#60;b&#62;") && !found.contains("user=ann\"") && !found.contains("carl"));
    bob.get("/admin/users/?q=ANN%40EXAMPLE").await.ok();
    assert!(bob.browser.html.contains(&format!("app={}&#38;user=ann\"", shop.id)), "{}", bob.browser.html);
    assert!(!bob.browser.html.contains("id=\"exact\""), "nobody is called so");
    bob.get("/admin/users/?q=zzz").await.ok();
    assert!(bob.browser.html.contains("Nobody among the 4 accounts"), "operators are none of them");
    bob.get("/admin/users/").await.ok();
    assert!(bob.browser.html.contains("carl") && !bob.browser.html.contains("_operators"));
    for nobody in [
        format!("{USER}?app={}&user=nobody", shop.id),
        format!("{USER}?app=_operators&user=bob"),
        USER.to_owned(),
    ] {
        bob.get(&nobody).await.expect(404);
    }
}

#[tokio::test]
async fn a_search_goes_on_where_its_page_ended() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    for number in 0..60 {
        app.open_with(json!({"user_id": format!("user-{number}")})).await.expect(201);
    }
    let mut bob = Operator::create(&server, "bob", "viewer").await;
    let (mut path, mut seen, mut pages) = ("/admin/users/?q=USER-".to_owned(), Vec::new(), 0);
    loop {
        bob.get(&path).await.ok();
        pages += 1;
        let links = bob.browser.html.split("/admin/user/?").skip(1);
        seen.extend(links.map(|link| link.split('"').next().expect("its end").to_owned()));
        let Some((before, _)) = bob.browser.html.split_once("\">Search on</a>") else { break };
        let (_, link) = before.rsplit_once("href=\"").expect("a link");
        path = link.replace("&#38;", "&");
    }
    seen.sort();
    seen.dedup();
    assert_eq!((pages, seen.len()), (2, 60));
}

#[tokio::test]
async fn the_trail_of_a_user_is_read_page_by_page() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let ann = app.enrol("ann").await;
    for _ in 0..20 {
        ann.challenge().await;
    }
    let mut bob = Operator::create(&server, "bob", "viewer").await;
    bob.get(&page_of(&app, "ann")).await.ok();
    assert!(!bob.browser.html.contains("Device confirmed"), "it is older than the first page");
    let (before, _) = bob.browser.html.split_once("#trail\">Older</a>").expect("a link to older entries");
    let (_, link) = before.rsplit_once("href=\"").expect("its beginning");
    let older = link.replace("&#38;", "&");
    bob.get(&older).await.ok();
    let html = &bob.browser.html;
    assert!(html.contains("Device confirmed") && html.contains("by <bdi>user"), "{html}");
}
