//! Forward-auth: whether a request that a proxy holds back may pass, who is believed, and where a browser goes that may not.
//! Real proxies are in `proxies.rs`.

use std::io::Write as _;

use sidekey_tests::client::Call;
use sidekey_tests::{Answer, App, Browser, Enforcement, Options, Server, User, command, json, wire};

const RULES: &str = r#"
    [[protect]]
    app = "example"
    path = "/"

    [[protect]]
    app = "example"
    path = "/terminal/"
    max_age = 3600

    [[protect]]
    app = "example"
    path = "/assets/"
    methods = ["GET", "HEAD"]
    public = true

    [[protect]]
    app = "example"
    host = "only.example"
    path = "/open/"
    public = true
"#;

const IDENTITY: [&str; 4] = ["remote-user", "remote-app", "remote-2fa-method", "remote-2fa-at"];

/// A server with these settings in its file, believing this proxy.
fn server(settings: &str, proxy: &str) -> Server {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    file.write_all(settings.as_bytes()).expect("it can be written");
    let config = file.path().to_str().expect("UTF-8").to_owned();
    let arguments = vec!["--config".to_owned(), config, "--trusted-proxy".to_owned(), proxy.to_owned()];
    Server::with(Options { arguments, ..Options::default() })
}

/// Asks as a proxy does.
fn ask(server: &Server, method: &str, path: &str) -> Call {
    ask_for(server, "127.0.0.1", method, path)
}

fn ask_for(server: &Server, host: &str, method: &str, path: &str) -> Call {
    let call = server.get("/2fa/authz/").header("x-forwarded-host", host);
    call.header("x-forwarded-method", method).header("x-forwarded-uri", path)
}

fn cookies(browser: &Browser<'_>) -> String {
    browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}

/// A browser that has signed in on the hosted pages.
async fn signed_in<'s>(app: &App<'s>, user: &mut User<'s>) -> Browser<'s> {
    let opened = app.open_session(&user.id).await;
    let mut browser = Browser::new(app.server);
    browser.visit(&opened.text("verify_url")).await.ok();
    let code = user.fresh_code().await;
    browser.post("/2fa/challenge/", &[("action", "code"), ("code", &code)]).await.expect(303);
    browser
}

#[tokio::test]
async fn a_program_passes_with_an_access_token_and_the_application_learns_who_it_is() {
    let server = server(RULES, "127.0.0.1");
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    for method in ["GET", "HEAD", "POST", "OPTIONS", "PROPFIND"] {
        let answer = ask(&server, method, "/x?y=z").bearer(&user.access).await.ok();
        assert_eq!(answer.header("remote-user"), "ann");
        assert_eq!(answer.header("remote-app"), app.id);
        assert_eq!(answer.header("remote-2fa-method"), "otp");
        assert!(answer.header("remote-2fa-at").ends_with('Z'), "{answer}");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    let refused = ask(&server, "GET", "/x").await.refused(401, "AUTH_REQUIRED");
    assert!(!refused.header("www-authenticate").contains("error"), "{refused}");
    let refused = ask(&server, "GET", "/x").bearer("nonsense").await.refused(401, "AUTH_REQUIRED");
    assert!(refused.header("www-authenticate").contains("invalid_token"), "{refused}");
    ask(&server, "GET", "/x").bearer(&app.key).await.refused(401, "AUTH_REQUIRED");
}

#[tokio::test]
async fn a_user_id_travels_in_a_header_without_loss() {
    let server = server(RULES, "127.0.0.1");
    let app = server.app(Enforcement::Optional).await;
    for (user, shown) in [("ann@example.com", "ann@example.com"), ("zoë b%20", "zo%C3%AB%20b%2520")] {
        let body = json!({"user_id": user});
        let token = app.open_with(body).await.expect(201).text("access_token");
        let setup = server.post("/2fa/setup/").bearer(&token).await.ok();
        let mut phone = sidekey_tests::Authenticator::from_base32(&setup.text("secret"));
        let code = phone.fresh_code(&server).await;
        let body = json!({"device_id": setup.text("device_id"), "code": code});
        let done = server.post("/2fa/setup/confirm/").bearer(&token).json(body).await.ok();
        let answer = ask(&server, "GET", "/").bearer(&done.text("access_token")).await.ok();
        assert_eq!(answer.header("remote-user"), shown);
    }
}

#[tokio::test]
async fn the_most_precise_rule_decides_and_without_one_nobody_passes() {
    let server = server(RULES, "127.0.0.1");
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let public = ask(&server, "GET", "/assets/style.css").bearer(&user.access).await.ok();
    for name in IDENTITY {
        assert!(public.headers.contains_key(name), "{public}: a client's own header would pass");
        assert_eq!(public.header(name), "", "{public}");
    }
    ask(&server, "POST", "/assets/style.css").await.refused(401, "AUTH_REQUIRED");
    ask(&server, "GET", "/assetsx").await.refused(401, "AUTH_REQUIRED");
    ask_for(&server, "only.example:8443", "GET", "/open/x").await.ok();
    ask_for(&server, "other.example", "GET", "/open/x").await.refused(401, "AUTH_REQUIRED");

    let narrow = "[[protect]]\napp = \"example\"\nhost = \"app.example\"\npath = \"/admin/\"\n";
    let narrow = self::server(narrow, "127.0.0.1");
    let user = narrow.app(Enforcement::Optional).await.enrol("ann").await;
    ask_for(&narrow, "app.example", "GET", "/admin/").bearer(&user.access).await.ok();
    for (host, path) in [("app.example", "/"), ("other.example", "/admin/")] {
        let refused = ask_for(&narrow, host, "GET", path).bearer(&user.access).await;
        assert!(refused.refused(403, "FORBIDDEN").text("detail").contains("[[protect]]"));
    }
}

#[tokio::test]
async fn a_second_factor_that_is_too_old_is_asked_for_again() {
    let server = server(RULES, "127.0.0.1");
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    ask(&server, "POST", "/terminal/7").bearer(&user.access).await.ok();
    server.advance(3_601).await;
    let refreshed =
        server.post("/2fa/token/refresh/").json(json!({"refresh_token": user.refresh})).await.ok();
    let access = refreshed.text("access_token");
    let refused = ask(&server, "POST", "/terminal/7").bearer(&access).await.refused(401, "2FA_REQUIRED");
    assert_eq!(refused["max_age"], 3_600);
    let challenge = refused.header("www-authenticate");
    assert!(challenge.contains("insufficient_user_authentication"), "{challenge}");
    assert!(challenge.contains("max_age=\"3600\""), "{challenge}");
    ask(&server, "POST", "/elsewhere").bearer(&access).await.ok();
    user.sign_in().await;
    ask(&server, "POST", "/terminal/7").bearer(&user.access).await.ok();
}

#[tokio::test]
async fn a_login_that_has_ended_or_is_another_applications_does_not_pass() {
    let server = server(RULES, "127.0.0.1");
    let app = server.app(Enforcement::Optional).await;
    let other = server.app(Enforcement::Optional).await;
    assert_ne!(app.id, other.id);
    let stranger = other.enrol("ann").await;
    ask(&server, "GET", "/").bearer(&stranger.access).await.refused(401, "AUTH_REQUIRED");

    let user = app.enrol("ann").await;
    ask(&server, "GET", "/").bearer(&user.access).await.ok();
    server.post("/2fa/token/revoke/").json(json!({"token": user.refresh})).await.ok();
    ask(&server, "GET", "/").bearer(&user.access).await.refused(401, "AUTH_REQUIRED");

    let mut bob = app.enrol("bob").await;
    let code = bob.fresh_code().await;
    bob.post("/2fa/disable/").json(json!({"code": code})).await.ok();
    ask(&server, "GET", "/").bearer(&bob.access).await.refused(401, "AUTH_REQUIRED");

    let without = app.open_session("eve").await.text("access_token");
    ask(&server, "GET", "/").bearer(&without).await.refused(401, "2FA_REQUIRED");
}

#[tokio::test]
async fn only_a_configured_proxy_is_believed() {
    let server = server(RULES, "192.0.2.1");
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let refused = ask(&server, "GET", "/assets/x").bearer(&user.access).await.refused(403, "FORBIDDEN");
    assert!(refused.text("detail").contains("--trusted-proxy"), "{refused}");
    // That somebody says to come by way of the proxy does not make them the proxy.
    let call = ask(&server, "GET", "/assets/x").header("x-forwarded-for", "192.0.2.1");
    call.bearer(&user.access).await.refused(403, "FORBIDDEN");
    // Read to its end: a line may come later than the answer that it tells of.
    assert!(server.stop().log.contains("no `--trusted-proxy`"));
}

#[tokio::test]
async fn a_description_that_can_be_read_in_two_ways_is_refused() {
    let server = server(RULES, "127.0.0.1");
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    for path in [
        "/assets/../terminal/",
        "/assets/%2e%2e/terminal/",
        "/assets/..%2fterminal/",
        "/assets/%252e%252e/terminal/",
        "/assets/..;/terminal/",
        "/assets//terminal/",
        "/assets/.\\terminal/",
        "http://127.0.0.1/assets/",
        "//evil.example/assets/",
        "*",
        "",
    ] {
        ask(&server, "GET", path).bearer(&user.access).await.refused(403, "FORBIDDEN");
    }
    for method in ["get", "GET, POST", ""] {
        ask(&server, method, "/assets/x").bearer(&user.access).await.refused(403, "FORBIDDEN");
    }
    let all =
        [("x-forwarded-method", "GET"), ("x-forwarded-host", "127.0.0.1"), ("x-forwarded-uri", "/assets/x")];
    for (name, value) in all {
        let rest = all.iter().filter(|(other, _)| *other != name);
        let lines: Vec<String> = rest.map(|(name, value)| format!("{name}: {value}")).collect();
        let missing =
            wire::exchange(&server, &format!("GET /2fa/authz/ HTTP/1.1\n{}", lines.join("\n")), b"").await;
        assert!(missing.refused(403, "FORBIDDEN").text("detail").contains(name));
        let twice =
            format!("GET /2fa/authz/ HTTP/1.1\n{}\n{name}: {value}\n{name}: {value}", lines.join("\n"));
        let twice = wire::exchange(&server, &twice, b"").await;
        assert!(twice.refused(403, "FORBIDDEN").text("detail").contains("twice"));
    }
    ask(&server, "GET", "/assets/x").await.ok();
}

#[tokio::test]
async fn two_credentials_in_one_request_are_none() {
    let server = server(RULES, "127.0.0.1");
    let app = server.app(Enforcement::Optional).await;
    let (ann, bob) = (app.enrol("ann").await, app.enrol("bob").await);
    let call = ask(&server, "GET", "/").bearer(&ann.access).bearer(&bob.access);
    call.await.refused(401, "AUTH_REQUIRED");
    let other = server.app(Enforcement::Optional).await;
    let mut ann = ann;
    let browser = signed_in(&app, &mut ann).await;
    let login = format!("sidekey-login={}", browser.cookies["sidekey-login"]);
    ask(&server, "GET", "/").header("cookie", &login).await.ok();
    ask(&server, "GET", "/")
        .header("cookie", &format!("{login}; {login}"))
        .await
        .refused(401, "AUTH_REQUIRED");
    let mut stranger = other.enrol("ann").await;
    let foreign = signed_in(&other, &mut stranger).await;
    ask(&server, "GET", "/").header("cookie", &cookies(&foreign)).await.refused(401, "AUTH_REQUIRED");
}

#[tokio::test]
async fn what_passes_leaves_no_trace_on_disk_and_what_does_not_is_counted() {
    let server = server(RULES, "127.0.0.1");
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let entries = async || server.command(["verify"]).await["tally"]["audit_entries"].clone();
    let before = entries().await;
    assert!(before.as_u64().is_some_and(|count| count > 0), "{before}");
    for _ in 0..5 {
        ask(&server, "GET", "/").bearer(&user.access).await.ok();
        ask(&server, "GET", "/").await.refused(401, "AUTH_REQUIRED");
    }
    assert_eq!(entries().await, before);
    let metrics = server.get("/metrics").await.ok().body();
    assert!(metrics.contains("sidekey_forward_auth_refused_total{reason=\"signed_out\"} 5"), "{metrics}");
}

#[tokio::test]
async fn a_request_is_asked_about_by_get() {
    let server = server(RULES, "127.0.0.1");
    server.post("/2fa/authz/").await.refused(405, "METHOD_NOT_ALLOWED");
}

#[tokio::test]
async fn envoy_sends_the_request_itself_below_a_prefix() {
    let server = server(RULES, "127.0.0.1");
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let call =
            |path: &str| server.call(method.parse().expect("a method"), &format!("/2fa/authz/envoy{path}"));
        call("/").bearer(&user.access).await.ok();
        call("/a/b/?c=d").bearer(&user.access).await.ok();
        call("/a/b").await.refused(401, "AUTH_REQUIRED");
    }
    server.get("/2fa/authz/envoy/assets/x").await.ok();
    server.post("/2fa/authz/envoy/assets/x").await.refused(401, "AUTH_REQUIRED");
    let raw = wire::exchange(&server, "GET /2fa/authz/envoy/assets/..%2fterminal HTTP/1.1", b"").await;
    raw.refused(403, "FORBIDDEN");
    let raw = wire::exchange(&server, "GET /2fa/authz/envoy/assets//terminal HTTP/1.1", b"").await;
    raw.refused(403, "FORBIDDEN");
}

#[tokio::test]
async fn a_base_path_comes_before_everything_of_ours_and_nothing_of_the_application() {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    file.write_all(RULES.as_bytes()).expect("it can be written");
    let config = file.path().to_str().expect("UTF-8").to_owned();
    let arguments = ["--config", &config, "--trusted-proxy", "127.0.0.1"].map(str::to_owned).to_vec();
    let server = Server::with(Options { arguments, base_path: "/api".to_owned(), ..Options::default() });
    server.app(Enforcement::Optional).await;
    let answer = follow(&server, "/x", &Browser::new(&server)).await.expect(302);
    assert_eq!(location(&answer), server.url("/2fa/step-up/?to=%2Fx"));
    server.get("/2fa/authz/envoy/assets/x").await.ok();
    server.get("/2fa/authz/envoy/x").await.refused(401, "AUTH_REQUIRED");
}

#[tokio::test]
async fn rules_can_be_tried_out_without_a_server() {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    file.write_all(RULES.as_bytes()).expect("it can be written");
    let config = file.path().to_str().expect("UTF-8");
    let check = |path: &str| {
        let url = format!("https://only.example{path}");
        let config = config.to_owned();
        async move { command::run(["protect", "check", "--json", "--config", &config, "GET", &url]).await }
    };
    assert_eq!(check("/terminal/7").await.ok().json()["max_age"], 3_600);
    assert_eq!(check("/open/").await.ok().json()["public"], true);
    check("/a/../terminal/").await.failed(1);
}

/// Asks as a proxy does about a link that somebody follows.
fn follow(server: &Server, path: &str, browser: &Browser<'_>) -> Call {
    let call = ask(server, "GET", path).header("accept", "text/html,*/*;q=0.8");
    call.header("sec-fetch-mode", "navigate").header("cookie", &cookies(browser))
}

fn location(answer: &Answer) -> String {
    answer.header("location").to_owned()
}

#[tokio::test]
async fn a_browser_is_led_to_a_page_and_a_program_never() {
    let server = server(RULES, "127.0.0.1");
    server.app(Enforcement::Optional).await;
    let nobody = Browser::new(&server);
    let answer = follow(&server, "/terminal/?a=b&c", &nobody).await.expect(302);
    assert_eq!(location(&answer), server.url("/2fa/step-up/?to=%2Fterminal%2F%3Fa%3Db%26c"));
    let html = |call: Call| call.header("accept", "text/html");
    html(ask(&server, "POST", "/terminal/")).await.refused(401, "AUTH_REQUIRED");
    html(ask_for(&server, "app.example", "GET", "/x")).await.refused(401, "AUTH_REQUIRED");
    html(ask(&server, "GET", "/x").header("sec-fetch-mode", "cors")).await.refused(401, "AUTH_REQUIRED");
    html(ask(&server, "GET", "/x").header("x-requested-with", "XMLHttpRequest"))
        .await
        .refused(401, "AUTH_REQUIRED");
    let for_nginx = server.get("/2fa/authz/?redirect=header").header("accept", "text/html");
    let for_nginx = for_nginx.header("x-forwarded-host", "127.0.0.1").header("x-forwarded-method", "GET");
    let for_nginx = for_nginx.header("x-forwarded-uri", "/x").await.refused(401, "AUTH_REQUIRED");
    assert_eq!(location(&for_nginx), server.url("/2fa/step-up/?to=%2Fx"));
}

#[tokio::test]
async fn whoever_is_signed_in_gives_a_code_and_goes_on() {
    let server = server(RULES, "127.0.0.1");
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let mut browser = signed_in(&app, &mut user).await;
    let passed = follow(&server, "/terminal/7", &browser).await.ok();
    assert_eq!(passed.header("remote-user"), "ann");
    server.advance(3_601).await;
    let step_up = location(&follow(&server, "/terminal/7?x=y", &browser).await.expect(302));
    browser.visit(&step_up).await.ok();
    let wrong = user.wrong_code().await;
    let again =
        browser.post("/2fa/step-up/", &[("to", "/terminal/7?x=y"), ("code", &wrong)]).await.expect(400);
    assert!(again.body().contains("value=\"/terminal/7?x=y\""), "{again}");
    let code = user.fresh_code().await;
    let to = browser.hidden("to").expect("where it goes on to");
    let on = browser.post("/2fa/step-up/", &[("to", &to), ("code", &code)]).await.expect(303);
    assert_eq!(location(&on), server.url("/terminal/7?x=y"));
    follow(&server, "/terminal/7?x=y", &browser).await.ok();
    // Whoever comes back to the page has nothing left to prove.
    assert_eq!(location(&browser.get(&step_up).await.expect(303)), server.url("/terminal/7?x=y"));

    let body = json!({"refresh_token": user.refresh});
    let access = server.post("/2fa/token/refresh/").json(body).await.ok().text("access_token");
    server.post("/2fa/sign-out/").bearer(&access).json(json!({})).await.ok();
    follow(&server, "/x", &browser).await.expect(302);
}

#[tokio::test]
async fn a_step_up_needs_the_forms_own_token() {
    let server = server(RULES, "127.0.0.1");
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let mut browser = signed_in(&app, &mut user).await;
    server.advance(3_601).await;
    browser.visit("/2fa/step-up/?to=/terminal/").await.ok();
    let code = user.fresh_code().await;
    let fields = [("to", "/terminal/"), ("code", code.as_str())];
    browser.post_as_it_is("/2fa/step-up/", &fields, &[("sec-fetch-site", "same-origin")]).await.expect(403);
    browser.post_as_it_is("/2fa/step-up/", &fields, &[("sec-fetch-site", "cross-site")]).await.expect(403);
    follow(&server, "/terminal/", &browser).await.expect(302);
}

#[tokio::test]
async fn whoever_is_not_signed_in_is_led_to_the_applications_login() {
    let with_login = format!("{RULES}\n[sign_in]\nexample = \"/login/\"\n");
    let server = self::server(&with_login, "127.0.0.1");
    server.app(Enforcement::Optional).await;
    let mut browser = Browser::new(&server);
    let step_up = location(&follow(&server, "/terminal/?a=b", &browser).await.expect(302));
    let login = browser.get(&step_up).await.expect(303);
    assert_eq!(location(&login), server.url("/login/?next=%2Fterminal%2F%3Fa%3Db"));

    let without = self::server(RULES, "127.0.0.1");
    without.app(Enforcement::Optional).await;
    let mut browser = Browser::new(&without);
    browser.get("/2fa/step-up/?to=/terminal/").await.expect(401);
    assert_eq!(browser.heading(), "Sign in first");
}

#[tokio::test]
async fn a_step_up_leads_to_protected_paths_of_this_host_and_nowhere_else() {
    let server = server(RULES, "127.0.0.1");
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let mut browser = signed_in(&app, &mut user).await;
    for to in [
        "//evil.example/",
        "https://evil.example/",
        "/%5Cevil.example",
        "/\\evil.example",
        "/..//evil.example",
        "javascript:alert(1)",
        "evil.example",
        "/x%0d%0aSet-Cookie:a=b",
        "",
    ] {
        let encoded: Vec<String> = to.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = browser.get(&format!("/2fa/step-up/?to={}", encoded.concat())).await.expect(404);
        assert!(!answer.headers.contains_key("location"), "{answer}");
    }
    let unruled = self::server("[[protect]]\napp = \"example\"\npath = \"/a/\"\n", "127.0.0.1");
    unruled.app(Enforcement::Optional).await;
    Browser::new(&unruled).get("/2fa/step-up/?to=/b/").await.expect(404);
}

#[tokio::test]
async fn every_mistake_in_the_rules_is_told_at_start() {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    let text = "[[protect]]\napp = \"a\"\npath = \"x\"\n[[protect]]\napp = \"a\"\npath = \"/\"\nmethods = [\"get\"]\n";
    file.write_all(text.as_bytes()).expect("it can be written");
    let config = file.path().to_str().expect("UTF-8").to_owned();
    let options = Options { arguments: vec!["--config".to_owned(), config], ..Options::default() };
    let Err((status, told)) = Server::try_with(options) else { panic!("it has started") };
    assert_eq!(status.code(), Some(2));
    for part in ["rule 1 of", "rule 2 of", "trusted_proxies"] {
        assert!(told.contains(part), "{told}");
    }
}
