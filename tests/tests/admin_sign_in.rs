//! Signing in to the admin area over HTTP, without scripts: both factors, what is counted, when a session ends.

use sidekey_tests::operator::{PASSWORD, give_password};
use sidekey_tests::{Browser, Operator, Options, Server, command};

const SIGN_IN: &str = "Sign in to the admin area";

/// What a browser is shown at `/admin/`.
async fn shown(browser: &mut Browser<'_>) -> String {
    browser.visit("/admin/").await.ok();
    browser.heading()
}

#[tokio::test]
async fn without_operators_the_page_says_how_the_first_is_made() {
    let server = Server::start();
    let mut browser = Browser::new(&server);
    browser.visit("/admin/").await.ok();
    assert!(browser.html.contains("sidekey admin create"));
    Operator::make(&server, "ann", "admin").await;
    assert_eq!(shown(&mut browser).await, SIGN_IN);
}

#[tokio::test]
async fn the_admin_area_can_be_left_out() {
    let options = Options { arguments: vec!["--admin=false".to_owned()], ..Options::default() };
    let server = Server::with(options);
    for path in ["/admin/", "/admin/sign-in/", "/admin/operators/"] {
        server.get(path).await.expect(404);
    }
}

#[tokio::test]
async fn an_unknown_name_looks_like_a_wrong_password() {
    let server = Server::start();
    Operator::make(&server, "ann", "admin").await;
    let mut pages = Vec::new();
    for (name, password) in [("ann", "wrong horse battery"), ("bob", PASSWORD), ("", ""), ("a b", PASSWORD)] {
        let mut browser = Browser::new(&server);
        give_password(&mut browser, name, password).await.expect(403);
        assert!(browser.cookies.is_empty());
        pages.push(browser.html.replace(&format!("value=\"{name}\""), "value=\"\""));
    }
    assert!(pages.iter().all(|page| *page == pages[0]), "{pages:?}");
}

#[tokio::test]
async fn an_address_tries_some_passwords_in_a_row_and_then_waits() {
    let arguments = ["--trusted-proxy", "127.0.0.1"].map(String::from).to_vec();
    let server = Server::with(Options { arguments, ..Options::default() });
    let attempt = async |address: &str| {
        let form = "name=bob&password=correct+horse+battery";
        let call = server.post("/admin/sign-in/").header("x-forwarded-for", address);
        call.body("application/x-www-form-urlencoded", form).await
    };
    let mut tried = 0;
    let refused = loop {
        let answer = attempt("203.0.113.7").await;
        if answer.status == 429 {
            break answer;
        }
        answer.expect(403);
        tried += 1;
        assert!(tried < 200, "never refused");
    };
    assert!(tried >= 20, "{tried}");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    attempt("203.0.113.8").await.expect(403);
}

#[tokio::test]
async fn wrong_passwords_are_counted_and_a_restart_forgets_none() {
    let server = Server::start();
    Operator::make(&server, "ann", "admin").await;
    for _ in 0..5 {
        give_password(&mut Browser::new(&server), "ann", "wrong horse battery").await.expect(403);
    }
    let server = server.restart();
    give_password(&mut Browser::new(&server), "ann", PASSWORD).await.expect(403);
    server.advance(31).await;
    give_password(&mut Browser::new(&server), "ann", PASSWORD).await.expect(303);
    Operator::with_password(&server, &["admin", "reset-password", "ann"], "another horse battery").await;
    give_password(&mut Browser::new(&server), "ann", PASSWORD).await.expect(403);
    give_password(&mut Browser::new(&server), "Ann", "another horse battery").await.expect(303);
}

#[tokio::test]
async fn a_code_signs_in_once_and_so_does_a_backup_code() {
    let server = Server::start();
    let mut ann = Operator::create(&server, "ann", "admin").await;
    assert_eq!(ann.browser.heading(), "Overview");
    assert_eq!(ann.backup_codes.len(), 10);

    let used = ann.phone.fresh_code(&server).await;
    for (status, heading) in [(303, "Overview"), (400, "Second factor")] {
        ann.browser = Browser::new(&server);
        give_password(&mut ann.browser, "ann", PASSWORD).await.expect(303);
        ann.give_code(&used).await.expect(status);
        assert_eq!(shown(&mut ann.browser).await, heading);
    }
    let wrong = ann.phone.wrong_code(&server).await;
    ann.give_code(&wrong).await.expect(400);
    assert!(ann.browser.html.contains("role=\"alert\""));

    let backup_code = ann.backup_codes[3].clone();
    for status in [303, 400] {
        ann.browser = Browser::new(&server);
        give_password(&mut ann.browser, "ann", PASSWORD).await.expect(303);
        ann.browser.visit("/admin/").await.ok();
        let fields = [("backup_code", backup_code.as_str())];
        ann.post("/admin/second-factor/", &fields).await.expect(status);
    }
}

#[tokio::test]
async fn a_password_alone_opens_nothing_and_leads_on_afterwards() {
    let server = Server::start();
    let mut ann = Operator::create(&server, "ann", "admin").await;
    ann.browser = Browser::new(&server);
    let answer = ann.browser.get("/admin/operators/?a=b").await.expect(303);
    assert!(answer.header("location").ends_with("/admin/sign-in/?to=operators%2F%3Fa%3Db"));
    ann.get("/admin/operators/?a=b").await.ok();
    let fields = [("name", "ann"), ("password", PASSWORD), ("to", "operators/?a=b")];
    ann.post("/admin/sign-in/", &fields).await.expect(303);
    for path in ["/admin/", "/admin/operators/"] {
        let answer = ann.browser.get(path).await.expect(303);
        assert!(answer.header("location").contains("/admin/second-factor/"), "{answer}");
    }
    ann.get("/admin/second-factor/?to=operators/").await.ok();
    let code = ann.phone.fresh_code(&server).await;
    let half = ann.browser.clone();
    let fields = [("code", code.as_str()), ("to", "operators/")];
    let answer = ann.post("/admin/second-factor/", &fields).await.expect(303);
    assert!(answer.header("location").ends_with("/admin/operators/"));
    assert_ne!(half.cookies["sidekey-admin"], ann.browser.cookies["sidekey-admin"]);
    assert_eq!(shown(&mut half.clone()).await, SIGN_IN, "the cookie from before is worth nothing");
}

#[tokio::test]
async fn the_cookie_is_this_sites_alone_and_no_script_reads_it() {
    let server = Server::start();
    Operator::make(&server, "ann", "admin").await;
    let answer = give_password(&mut Browser::new(&server), "ann", PASSWORD).await.expect(303);
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("sidekey-admin="), "{cookie}");
    assert!(cookie.contains("; HttpOnly; SameSite=Strict") && cookie.contains("Path=/admin;"), "{cookie}");
}

#[tokio::test]
async fn a_session_ends_unused_with_the_day_and_with_every_change() {
    let server = Server::start();
    let mut ann = Operator::create(&server, "ann", "admin").await;
    for _ in 0..3 {
        server.advance(29 * 60).await;
        assert_eq!(shown(&mut ann.browser).await, "Overview");
    }
    server.advance(30 * 60 + 1).await;
    assert_eq!(shown(&mut ann.browser).await, SIGN_IN);

    ann.sign_in().await;
    for _ in 0..24 {
        server.advance(29 * 60).await;
        assert_eq!(shown(&mut ann.browser).await, "Overview");
    }
    server.advance(25 * 60).await;
    assert_eq!(shown(&mut ann.browser).await, SIGN_IN, "12 hours");

    for change in [["set-role", "ann", "viewer"], ["set-role", "ann", "admin"]] {
        ann.sign_in().await;
        server.command(["admin", change[0], change[1], change[2]]).await;
        assert_eq!(shown(&mut ann.browser).await, SIGN_IN);
    }
    ann.sign_in().await;
    Operator::with_password(&server, &["admin", "reset-password", "ann"], PASSWORD).await;
    assert_eq!(shown(&mut ann.browser).await, SIGN_IN);
    ann.sign_in().await;
    server.command(["admin", "reset-second-factor", "ann"]).await;
    assert_eq!(shown(&mut ann.browser).await, SIGN_IN);
    let mut ann = Operator::enrol(&server, "ann").await;
    server.command(["admin", "remove", "ann"]).await;
    assert_eq!(shown(&mut ann.browser).await, "There is no operator yet");
}

#[tokio::test]
async fn whoever_signs_out_is_out() {
    let server = Server::start();
    let mut ann = Operator::create(&server, "ann", "viewer").await;
    let before = ann.browser.clone();
    ann.post("/admin/sign-out/", &[]).await.expect(303);
    for mut browser in [ann.browser, before] {
        assert_eq!(shown(&mut browser).await, SIGN_IN);
    }
}

#[tokio::test]
async fn a_password_connects_a_device_for_a_day_and_then_no_more() {
    let server = Server::start();
    Operator::make(&server, "ann", "admin").await;
    server.advance(86_400).await;
    let mut browser = Browser::new(&server);
    give_password(&mut browser, "ann", PASSWORD).await.expect(303);
    browser.visit("/admin/").await.expect(403);
    assert!(browser.html.contains("sidekey admin reset-second-factor ann"));
    browser.get("/admin/enrol/").await.expect(403);
    server.command(["admin", "reset-second-factor", "ann"]).await;
    Operator::enrol(&server, "ann").await;
    let listed = server.command(["admin", "list"]).await;
    assert_eq!((&listed[0]["name"], &listed[0]["has_device"]), (&"ann".into(), &true.into()));
}

#[tokio::test]
async fn a_wrong_first_code_shows_the_same_key_again() {
    let server = Server::start();
    Operator::make(&server, "ann", "admin").await;
    let mut browser = Browser::new(&server);
    give_password(&mut browser, "ann", PASSWORD).await.expect(303);
    browser.visit("/admin/").await.ok();
    let key = |html: &str| {
        html.split_once("secret=").and_then(|(_, rest)| rest.split('&').next().map(str::to_owned))
    };
    let (first, device) = (key(&browser.html), browser.hidden("device").expect("a device"));
    assert!(first.is_some());
    let fields = [("action", "confirm"), ("device", device.as_str()), ("code", "12345")];
    browser.post("/admin/enrol/", &fields).await.expect(400);
    assert_eq!(key(&browser.html), first);
    browser.post("/admin/enrol/", &[("action", "restart")]).await.ok();
    assert_ne!(key(&browser.html), first);
}

#[tokio::test]
async fn operators_are_made_without_a_server_too_and_nobody_is_made_twice() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let data = folder.path().join("data");
    let options = Options { data: Some(data.clone()), ..Options::default() };
    Server::with(options.clone()).stop();
    let data = data.to_str().expect("UTF-8").to_owned();
    let (file, short) = (folder.path().join("long"), folder.path().join("short"));
    std::fs::write(&file, format!("{PASSWORD}\n")).expect("written");
    std::fs::write(&short, "short").expect("written");
    let (file, short) = (file.to_str().expect("UTF-8"), short.to_str().expect("UTF-8"));
    let create = |name: &str, file: &str| {
        let arguments =
            ["admin", "create", name, "--role", "support", "--password-file", file, "--data", &data];
        command::run(arguments.map(str::to_owned))
    };
    assert!(create("ann", short).await.failed(2).stderr.contains("at least 12 characters"));
    create("ann", file).await.ok();
    assert!(create("ANN", file).await.failed(1).stderr.contains("already"));
    create("no spaces", file).await.failed(2);
    command::run(["app", "create", "--name", "X", "--id", "_operators", "--data", &data]).await.failed(2);

    let server = Server::with(options);
    let ann = Operator::enrol(&server, "ann").await;
    assert_eq!(ann.backup_codes.len(), 10);
    let listed = command::run(["admin", "list", "--data", &data]).await.ok();
    assert_eq!(listed.stdout, "ann  support\n");
}
