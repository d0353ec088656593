//! What must never be seen: in a log, an error, the trail that users read, or the data folder.

use std::path::Path;

use data_encoding::{BASE32_NOPAD, BASE64, HEXLOWER};
use sidekey_tests::app::AFTER;
use sidekey_tests::{Answer, App, Browser, Enforcement, Options, Server, Stopped, User, Value, json};

/// Everything secret that one journey brought up.
#[derive(Default)]
struct Secrets {
    /// Long texts, which no log holds by chance.
    texts: Vec<String>,
    /// Codes of six digits, right and wrong.
    codes: Vec<String>,
    /// Secrets as raw bytes.
    raw: Vec<Vec<u8>>,
    /// Error answers.
    errors: Vec<Answer>,
    /// All that users read of their trail.
    activity: String,
    /// What the data folder may not hold in the clear: all texts but those of JWTs, whose key is elsewhere.
    stored: Vec<String>,
}

impl Secrets {
    fn secret(&mut self, raw: &[u8]) {
        self.raw.push(raw.to_vec());
        let forms = [BASE32_NOPAD.encode(raw), HEXLOWER.encode(raw), BASE64.encode(raw)];
        self.texts.extend(forms.clone());
        self.stored.extend(forms);
    }

    fn text(&mut self, text: &str) -> String {
        self.texts.push(text.to_string());
        self.stored.push(text.to_string());
        text.to_string()
    }

    fn backup_code(&mut self, code: &str) {
        for form in [
            code.to_string(),
            code.replace('-', ""),
            code.to_lowercase(),
            code.replace('-', "").to_lowercase(),
        ] {
            self.text(&form);
        }
    }

    fn tokens(&mut self, answer: &Answer) {
        for name in ["access_token", "refresh_token", "enrollment_token", "session_id"] {
            if answer.has(name) {
                self.text(&answer.text(name));
            }
        }
    }

    fn cookies(&mut self, browser: &Browser<'_>) {
        for (name, value) in &browser.cookies {
            // The language is told, not kept secret.
            if name != "sidekey-language" {
                self.text(value);
            }
        }
    }

    fn error(&mut self, answer: Answer) {
        assert!(answer.status >= 400, "{answer}");
        self.errors.push(answer);
    }
}

/// Everything a user and an app do, with every kind of refusal in between.
async fn journey(server: &Server) -> Secrets {
    let mut seen = Secrets::default();
    let app = server.app(Enforcement::Required).await;
    seen.text(&app.key);
    let opened = app.open_session("ann").await;
    seen.tokens(&opened);
    let mut user = app.enrol("ann").await;
    seen.secret(user.phone.secret());
    seen.text(&user.access.clone());
    seen.text(&user.refresh.clone());
    for code in user.backup_codes.clone() {
        seen.backup_code(&code);
    }
    let session = seen.text(&user.challenge().await);
    let wrong = user.wrong_code().await;
    seen.codes.push(wrong.clone());
    seen.error(user.answer(&session, &wrong).await);
    seen.error(user.answer(&session, "12345678").await);
    let code = user.fresh_code().await;
    seen.codes.push(code.clone());
    let answer = user.answer(&session, &code).await.ok();
    seen.tokens(&answer);
    user.access = answer.text("access_token");
    seen.error(user.answer(&session, &code).await);
    let session = seen.text(&user.challenge().await);
    seen.error(user.answer(&session, &code).await);
    let backup = user.backup_codes[0].clone();
    let session = seen.text(&user.challenge().await);
    let answer = user.answer_with_backup(&session, &backup).await.ok();
    seen.tokens(&answer);
    let session = seen.text(&user.challenge().await);
    seen.error(user.answer_with_backup(&session, &backup).await);
    let refresh = json!({"refresh_token": answer.text("refresh_token")});
    seen.tokens(&server.post("/2fa/token/refresh/").json(refresh.clone()).await.ok());
    seen.error(server.post("/2fa/token/refresh/").json(refresh).await);
    let pending = user.post("/2fa/setup/").json(json!({"device_name": "tablet"})).await.ok();
    let tablet = sidekey_tests::Authenticator::from_base32(&pending.text("secret"));
    seen.secret(tablet.secret());
    let bad = tablet.wrong_code(server).await;
    seen.codes.push(bad.clone());
    let body = json!({"device_id": pending.text("device_id"), "code": bad});
    seen.error(user.post("/2fa/setup/confirm/").json(body).await);
    let code = user.fresh_code().await;
    seen.codes.push(code.clone());
    let renewed = user.post("/2fa/backup-codes/regenerate/").json(json!({"code": code})).await.ok();
    for code in renewed.texts("backup_codes") {
        seen.backup_code(&code);
    }
    seen.error(user.post("/2fa/disable/").json(json!({"code": code})).await);
    // Secrets where they do not belong: a client's mistake must not put them into the log.
    let (key, access, secret) = (&app.key, &user.access, BASE32_NOPAD.encode(user.phone.secret()));
    seen.error(server.get(&format!("/2fa/nothing/{key}/")).await);
    seen.error(
        server.get(&format!("/2fa/sessions/{session}/?token={access}&secret={secret}")).bearer(access).await,
    );
    seen.error(server.post("/2fa/verify/").body("application/json", format!("{{\"code\": {key}")).await);
    seen.error(
        server.get("/2fa/devices/").bearer(key).header("user-agent", key).header("referer", key).await,
    );
    app.get(&format!("/2fa/sessions/{session}/")).await.ok();
    on_pages(&app, &mut user, &mut seen).await;
    trusted(&app, &mut user, &mut seen).await;
    seen.activity = user.get("/2fa/activity/?limit=100").await.ok().body();
    seen
}

/// What is in the query of an address of the pages or of the application.
fn parameter(url: &str) -> &str {
    let Some((_, value)) = url.split_once('=') else { panic!("{url} has no parameter") };
    value
}

/// A challenge on the pages with a wrong and a right code, the way back to the application, and the account page.
async fn on_pages(app: &App<'_>, user: &mut User<'_>, seen: &mut Secrets) {
    let opened = app.open_with(json!({"user_id": user.id, "return_url": AFTER})).await.expect(201);
    seen.tokens(&opened);
    let link = opened.text("verify_url");
    seen.text(parameter(&link));
    let mut browser = Browser::new(app.server);
    browser.visit(&link).await.ok();
    seen.cookies(&browser);
    seen.error(Browser::new(app.server).get(&link).await);
    let wrong = user.wrong_code().await;
    seen.error(browser.post("/2fa/challenge/", &[("action", "code"), ("code", &wrong)]).await);
    let right = user.fresh_code().await;
    let fields = [("action", "code"), ("code", &*right), ("trust", "yes")];
    let back = browser.post("/2fa/challenge/", &fields).await.expect(303);
    seen.codes.extend([wrong, right]);
    seen.cookies(&browser);
    let code = seen.text(parameter(back.header("location")));
    let exchange = json!({"code": code});
    seen.tokens(&app.post("/2fa/token/").json(exchange.clone()).await.ok());
    seen.error(app.post("/2fa/token/").json(exchange).await);

    let link = user.post("/2fa/account/link/").await.ok().text("account_url");
    seen.text(parameter(&link));
    let mut browser = Browser::new(app.server);
    browser.visit(&link).await.ok();
    assert!(browser.html.contains("ann@example.com"), "the account page is shown: {}", browser.html);
    seen.cookies(&browser);
    seen.error(Browser::new(app.server).get(&link).await);
}

/// A login that trusts its browser, and the next, which is spared the code.
async fn trusted(app: &App<'_>, user: &mut User<'_>, seen: &mut Secrets) {
    let (session, code) = (user.challenge().await, user.fresh_code().await);
    seen.text(&session);
    seen.codes.push(code.clone());
    let body = json!({"session_id": session, "code": code, "trust_device": true});
    let answer = app.server.post("/2fa/verify/").json(body).await.ok();
    seen.tokens(&answer);
    let token = seen.text(&answer.text("trusted_browser_token"));
    let body = json!({"user_id": user.id, "trusted_browser_token": token});
    let spared = app.open_with(body).await.expect(201);
    seen.tokens(&spared);
    seen.text(&spared.text("trusted_browser_token"));
}

/// All strings and numbers of a log line, apart from times and ids that the server made for the line itself.
fn values(value: &Value, name: &str, all: &mut Vec<String>) {
    let own =
        ["timestamp", "time", "request_id", "duration", "elapsed", "latency", "micros", "ms", "peer", "port"];
    match value {
        _ if own.iter().any(|part| name.contains(part)) => {}
        Value::Object(members) => members.iter().for_each(|(name, value)| values(value, name, all)),
        Value::Array(items) => items.iter().for_each(|value| values(value, name, all)),
        Value::String(text) => all.push(text.clone()),
        other => all.push(other.to_string()),
    }
}

fn assert_log_is_clean(log: &str, seen: &Secrets) {
    for secret in &seen.texts {
        assert!(!log.contains(secret.as_str()), "`{secret}` is in the log");
    }
    let mut all = Vec::new();
    for line in log.lines() {
        let line: Value =
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: a log line is not JSON: {line}"));
        values(&line, "", &mut all);
    }
    for code in &seen.codes {
        for text in &all {
            let found = text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == code);
            assert!(!found, "the code {code} is in the log: {text}");
        }
    }
}

fn folder_bytes(folder: &Path, bytes: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            folder_bytes(&path, bytes);
        } else if path.is_file() {
            bytes.push((path.display().to_string(), std::fs::read(&path).expect("a file can be read")));
        }
    }
}

#[tokio::test]
async fn no_secret_code_token_or_session_id_is_ever_logged_or_told_in_an_error() {
    let server = Server::start();
    let seen = journey(&server).await;
    for secret in &seen.texts {
        for error in &seen.errors {
            let told = format!("{} {:?}", error.body(), error.headers);
            assert!(!told.contains(secret.as_str()), "`{secret}` is in an error: {told}");
        }
    }
    for code in &seen.codes {
        assert!(seen.errors.iter().all(|error| !error.body().contains(code.as_str())));
    }
    let trail = &seen.activity;
    for secret in &seen.texts {
        assert!(!trail.contains(secret.as_str()), "`{secret}` is in the trail: {trail}");
    }
    // Six digits stand in many an id by chance, but not alone.
    for word in trail.split(|c: char| !c.is_ascii_alphanumeric()) {
        assert!(!seen.codes.iter().any(|code| code == word), "`{word}` is in the trail: {trail}");
    }
    assert!(trail.contains("trusted_browser_used"), "there is a trail: {trail}");
    let Stopped { log, banner, .. } = server.stop();
    for secret in &seen.texts {
        assert!(!banner.contains(secret.as_str()), "`{secret}` is on standard output");
    }
    assert!(log.lines().count() > 20, "there is a log to look at: {log}");
    assert_log_is_clean(&log, &seen);
}

#[tokio::test]
async fn not_even_the_most_talkative_log_holds_a_secret() {
    let environment = vec![
        ("SIDEKEY_LOG".to_string(), "trace".to_string()),
        ("RUST_BACKTRACE".to_string(), "1".to_string()),
    ];
    let server = Server::with(Options { environment, ..Options::default() });
    let seen = journey(&server).await;
    let log = server.stop().log;
    assert!(log.contains(r#""level":"TRACE""#) || log.contains(r#""level":"DEBUG""#), "it is talkative");
    assert_log_is_clean(&log, &seen);
}

#[tokio::test]
async fn the_data_folder_holds_no_secret_in_the_clear() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let data = folder.path().join("data");
    let server = Server::with(Options { data: Some(data.clone()), ..Options::default() });
    let seen = journey(&server).await;
    let running = {
        let mut bytes = Vec::new();
        folder_bytes(&data, &mut bytes);
        bytes
    };
    server.stop();
    let mut files = running;
    folder_bytes(&data, &mut files);
    let holds = |bytes: &[u8], needle: &[u8]| bytes.windows(needle.len()).any(|part| part == needle);
    // What is no secret is found by the same search.
    assert!(
        files.iter().any(|(_, bytes)| holds(bytes, b"ann@example.com")),
        "the search finds what is there"
    );
    for (name, bytes) in &files {
        for secret in &seen.stored {
            assert!(!holds(bytes, secret.as_bytes()), "`{secret}` is in {name}");
        }
        for secret in &seen.raw {
            assert!(!holds(bytes, secret), "a raw TOTP secret is in {name}");
        }
    }
}
