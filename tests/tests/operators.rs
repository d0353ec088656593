//! What an operator asks: which settings are in force, what is wrong around the server, what has happened, and how much of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sidekey_tests::command::{Finished, finish, run, sidekey};
use sidekey_tests::{Enforcement, Options, Server, Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A folder with a master key and a file of settings.
struct Setup {
    folder: TempDir,
}

impl Setup {
    async fn new(settings: &str) -> Self {
        let setup = Self { folder: TempDir::new().unwrap() };
        run(["keys", "generate", "--out", setup.path("master.key").to_str().unwrap()]).await.ok();
        setup.write(settings);
        setup
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Replaces the settings, besides which the file names the key and the data folder.
    fn write(&self, settings: &str) {
        let (key, data) = (self.text("master.key"), self.text("data"));
        let text = format!("master_key_file = \"{key}\"\ndata = \"{data}\"\n{settings}");
        fs::write(self.path("sidekey.toml"), text).unwrap();
    }

    async fn run<const N: usize>(&self, arguments: [&str; N]) -> Finished {
        run(arguments.into_iter().chain(["--config", &self.text("sidekey.toml")])).await
    }
}

#[tokio::test]
async fn every_mistake_in_the_settings_is_named_at_once() {
    let setup = Setup::new("listen = \"here\"\naudit_max_entries = 7\nlog_level = \"wran\"\n").await;
    let refused = setup.run(["config", "check"]).await.failed(2).stderr;
    for mistake in ["--listen", "--audit-max-entries", "--log-level"] {
        assert!(refused.contains(mistake), "{refused}");
    }
    fs::remove_file(setup.path("master.key")).unwrap();
    setup.write("listen = \"here\"\n");
    let refused = setup.run(["config", "check"]).await.failed(2).stderr;
    assert!(refused.contains("--listen") && refused.contains("master.key"), "{refused}");
    setup.write("lisen = \"127.0.0.1:8080\"\n");
    let refused = setup.run(["config", "check"]).await.failed(2).stderr;
    assert!(refused.contains("lisen"), "{refused}");
}

#[tokio::test]
async fn the_settings_in_force_are_told_with_where_they_come_from_and_no_key_is_shown() {
    let setup = Setup::new(&format!("issuer = \"Shop\"\n{RULE}[sign_in]\nshop = \"/login/\"\n")).await;
    setup.run(["config", "check"]).await.ok();
    let mut command = sidekey(["config", "show", "--json", "--rate-limit", "7", "--config"]);
    command.arg(setup.path("sidekey.toml")).env("SIDEKEY_AUDIT_RETENTION_DAYS", "30");
    let shown = finish(command).await.ok().json();
    let file = setup.text("sidekey.toml");
    for (key, value, source) in [
        ("issuer", json!("Shop"), file.as_str()),
        ("rate_limit", json!(7), "--rate-limit"),
        ("audit_retention_days", json!(30), "SIDEKEY_AUDIT_RETENTION_DAYS"),
        ("listen", json!("127.0.0.1:8080"), "default"),
        ("public_url", Value::Null, "default"),
    ] {
        assert_eq!(shown[key], json!({ "value": value, "source": source }), "{key}: {shown}");
    }
    assert_eq!(shown["sign_in"]["value"], json!({ "shop": "/login/" }));
    let text = setup.run(["config", "show"]).await.ok().stdout;
    let key = fs::read_to_string(setup.path("master.key")).unwrap();
    let key = key.lines().last().unwrap();
    assert!(!text.contains(key) && !shown.to_string().contains(key));
    assert!(text.contains(&format!("# master key from the file {}", setup.text("master.key"))), "{text}");
    // What is shown is a file of settings.
    fs::write(setup.path("shown.toml"), &text).unwrap();
    let again = run(["config", "show", "--json", "--config", &setup.text("shown.toml")]).await.ok().json();
    assert_eq!(again["issuer"]["value"], "Shop");
}

#[tokio::test]
async fn the_default_file_explains_everything_and_sets_nothing() {
    let setup = Setup::new("").await;
    let file = run(["config", "default"]).await.ok().stdout;
    fs::write(setup.path("default.toml"), &file).unwrap();
    let default = setup.text("default.toml");
    let shown = run(["config", "show", "--json", "--config", &default]).await.ok().json();
    for (key, setting) in shown.as_object().unwrap() {
        assert!(
            key == "master_key"
                || file.contains(&format!("\n#{key} = "))
                || file.contains(&format!("#[{key}]"))
                || file.contains(&format!("#[[{key}]]")),
            "{key}: {setting}"
        );
    }
}

/// Serves with the settings of a file, outside development mode.
fn serving(setup: &Setup) -> Server {
    Server::with(Options {
        development: false,
        arguments: vec!["--config".to_owned(), setup.text("sidekey.toml")],
        ..Options::default()
    })
}

const RULE: &str = "trusted_proxies = [\"127.0.0.1\"]\n[[protect]]\napp = \"shop\"\npath = \"/\"\n";

#[tokio::test]
async fn rules_change_while_the_server_runs_and_a_file_with_a_mistake_changes_nothing() {
    let setup = Setup::new(RULE).await;
    let server = serving(&setup);
    let asked = async || {
        let call = server.get("/2fa/authz/").header("x-forwarded-method", "GET");
        let call = call.header("x-forwarded-proto", "https").header("x-forwarded-host", "app.example");
        call.header("x-forwarded-uri", "/assets/logo.png").await.status
    };
    assert_eq!(asked().await, 401);
    setup.write(&format!("{RULE}[[protect]]\napp = \"shop\"\npath = \"/assets/\"\npublic = true\n"));
    server.reload().await;
    assert_eq!(asked().await, 200);
    setup.write("audit_max_entries = 7\n");
    let said = server.reload().await;
    assert!(said.contains("--audit-max-entries"), "{said}");
    assert_eq!(asked().await, 200, "the rules before go on");
    setup.write(&format!("issuer = \"Shop\"\nlog_level = \"debug\"\n{RULE}"));
    let said = server.reload().await;
    assert!(said.contains("restart") && said.contains("issuer"), "{said}");
    assert_eq!(asked().await, 401);
}

#[tokio::test]
async fn the_doctor_names_what_is_wrong_with_its_remedy() {
    use std::os::unix::fs::PermissionsExt as _;
    let setup = Setup::new("").await;
    let server = serving(&setup);
    let data = server.data().to_str().unwrap().to_owned();
    let looked = async |code: i32| {
        let finished = setup.run(["doctor", "--json", "--data", &data, "--backups", &setup.text("")]).await;
        assert_eq!(finished.code, Some(code), "{finished:?}");
        finished.json()["findings"].as_array().unwrap().clone()
    };
    let level = |findings: &[Value], check: &str| {
        let finding = findings.iter().find(|finding| finding["check"] == check);
        finding.unwrap_or_else(|| panic!("no {check} in {findings:?}"))["level"].clone()
    };
    let findings = looked(1).await;
    assert_eq!(level(&findings, "backups"), "problem", "there is none yet");
    server.command(["backup", "--out", &setup.text("today.backup")]).await;
    let findings = looked(0).await;
    for check in [
        "settings",
        "data folder",
        "master key",
        "server",
        "store format",
        "proxies",
        "master keys in use",
        "backups",
    ] {
        assert_eq!(level(&findings, check), "good", "{check}: {findings:?}");
    }
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    let findings = looked(1).await;
    assert_eq!(level(&findings, "data folder"), "problem");
    let text = setup.run(["doctor", "--data", &data]).await.failed(1).stdout;
    assert!(text.contains("PROBLEM  data folder: ") && text.contains("→ `chmod "), "{text}");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
    server.stop();
    let findings = looked(0).await;
    assert_eq!(level(&findings, "server"), "note", "none runs");
    assert_eq!(level(&findings, "store format"), "note", "nobody has it open");
}

/// A proxy on 127.0.0.1: passes each request on, one a connection, with `lines` below its first line; `/livez` is not for everybody.
async fn proxy(listener: TcpListener, upstream: String, lines: String) {
    while let Ok((mut client, _)) = listener.accept().await {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        if head.starts_with("GET /livez") {
            let refused = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            client.write_all(refused).await.unwrap();
            continue;
        }
        let (first, rest) = head.split_once("\r\n").unwrap();
        let mut server = TcpStream::connect(&upstream).await.unwrap();
        let passed_on = format!("{first}\r\n{lines}connection: close\r\n{rest}");
        server.write_all(passed_on.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        server.read_to_end(&mut answer).await.unwrap();
        client.write_all(&answer).await.unwrap();
    }
}

#[tokio::test]
async fn the_doctor_says_which_proxy_is_to_be_trusted() {
    let forwarded = "x-forwarded-for: 203.0.113.7\r\n";
    let two = "x-forwarded-for: 203.0.113.7, 10.1.0.9\r\n";
    for (trusted, lines, level, found, remedy) in [
        ("", forwarded, "problem", "came through 127.0.0.1, which is not among", "--trusted-proxy 127.0.0.1"),
        ("127.0.0.1", forwarded, "good", "taken to be 203.0.113.7", ""),
        ("127.0.0.1", "", "problem", "no `X-Forwarded-For`", "Let the proxy add it"),
        ("127.0.0.1", two, "problem", "came through 10.1.0.9, which is not", "--trusted-proxy 10.1.0.9"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let public_url = format!("http://{}", listener.local_addr().unwrap());
        let trusting = if trusted.is_empty() { String::new() } else { format!("\"{trusted}\"") };
        let settings = format!("public_url = \"{public_url}\"\ntrusted_proxies = [{trusting}]\n");
        let setup = Setup::new(&settings).await;
        let server = serving(&setup);
        let data = server.data().to_str().unwrap().to_owned();
        let looked = async || {
            let finished = setup.run(["doctor", "--json", "--data", &data]).await.json();
            let mut findings = finished["findings"].as_array().unwrap().iter();
            findings.find(|finding| finding["check"] == "proxies").unwrap().clone()
        };
        let upstream = server.address().trim_start_matches("http://").to_owned();
        let proxy = tokio::spawn(proxy(listener, upstream, lines.to_owned()));
        let finding = looked().await;
        assert_eq!(finding["level"], level, "{finding}");
        assert!(finding["found"].as_str().unwrap().contains(found), "{finding}");
        assert!(finding["remedy"].as_str().unwrap_or_default().contains(remedy), "{finding}");
        assert_eq!(finding["remedy"].is_null(), remedy.is_empty(), "{finding}");
        proxy.abort();
        assert!(proxy.await.unwrap_err().is_cancelled());
        let finding = looked().await;
        assert_eq!(finding["level"], "note", "{finding}");
        assert!(finding["found"].as_str().unwrap().contains("not reached from here"), "{finding}");
    }
}

#[tokio::test]
async fn the_audit_trail_is_read_and_exported_and_holds_no_secret() {
    let folder = TempDir::new().unwrap();
    let kept = Some(folder.path().join("data"));
    let server = Server::with(Options { data: kept, ..Options::default() });
    let app = server.app(Enforcement::Optional).await;
    let ann = app.enrol("ann").await;
    app.enrol("bob").await;
    let session = ann.challenge().await;
    let wrong = server.post("/2fa/verify/").json(json!({"session_id": session, "code": "000000"})).await;
    assert_eq!(wrong["code"], "INVALID_CODE", "{wrong}");

    let data = server.data().to_str().unwrap().to_owned();
    let asked = async |more: &[&str]| {
        let all = ["audit", "--data", &data, "--json"].into_iter().chain(more.iter().copied());
        let lines = run(all).await.ok().stdout;
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    };
    let all = asked(&[]).await;
    let numbers: Vec<_> = all.iter().map(|entry| entry["sequence"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "whole and in order");
    let of_ann = asked(&["--user", "ann", "--event", "answer_refused"]).await;
    assert_eq!(of_ann.len(), 1, "{of_ann:?}");
    assert_eq!((&of_ann[0]["app"], &of_ann[0]["event"]["type"]), (&json!(app.id), &json!("answer_refused")));
    assert_eq!(asked(&["--last", "3"]).await, all[all.len() - 3..]);
    assert!(asked(&["--until", "2020-01-01T00:00:00Z"]).await.is_empty());
    let lines = run(["audit", "--data", &data, "--last", "1"]).await.ok().stdout;
    assert!(lines.contains("answer_refused") && lines.contains(&format!("{}/ann", app.id)), "{lines}");

    let out = folder.path().join("audit.jsonl");
    run(["audit", "--data", &data, "--out", out.to_str().unwrap()]).await.ok();
    let exported = fs::read_to_string(&out).unwrap();
    assert_eq!(exported.lines().count(), all.len());
    for secret in [&session, &app.key, &ann.access, &ann.backup_codes[0]] {
        assert!(!exported.contains(secret.as_str()));
    }
    run(["audit", "--data", &data, "--out", out.to_str().unwrap()]).await.failed(2);
    run(["audit", "--data", &data, "--since", "yesterday"]).await.failed(2);
    let typo = run(["audit", "--data", &data, "--event", "answer_refuse"]).await.failed(2);
    assert!(typo.stderr.contains("no such event"), "{typo:?}");
    let none = folder.path().join("none.jsonl");
    let nobody =
        run(["audit", "--data", &data, "--app", "nobody", "--out", none.to_str().unwrap()]).await.failed(1);
    assert!(nobody.stderr.contains("no app `nobody`") && !none.exists(), "{nobody:?}");
    server.stop();
    assert_eq!(asked(&[]).await, all, "the same without a server");
}

/// The names of our own metrics in a text, without the endings of a histogram.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("sidekey_") || word.starts_with("process_"));
    let bare = |word: &str| {
        let ending = ["_bucket", "_sum", "_count"].into_iter().find_map(|ending| word.strip_suffix(ending));
        ending.unwrap_or(word).to_owned()
    };
    ours.map(bare).collect()
}

#[tokio::test]
async fn dashboard_and_alerts_ask_for_metrics_that_there_are() {
    let server = Server::with(Options {
        arguments: vec!["--trusted-proxy".to_owned(), "127.0.0.1".to_owned()],
        ..Options::default()
    });
    let app = server.app(Enforcement::Optional).await;
    app.enrol("ann").await;
    server.get("/2fa/authz/").await;
    let answer = server.get("/metrics").await.ok();
    let text = answer.body();
    let told = named(&text);
    assert!(text.contains("sidekey_events_total{event=\"device_confirmed\"} 1"), "{text}");
    assert!(
        text.contains("sidekey_store_healthy 1\n") && text.contains("sidekey_commit_seconds_bucket{le="),
        "{text}"
    );
    // Nobody was refused a connection here, and nobody is told of events: that is seen in `notify`.
    let quiet =
        |name: &str| name == "sidekey_connections_refused_total" || name.starts_with("sidekey_outbox_");
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/monitoring");
    for file in ["grafana.json", "alerts.yml"] {
        let asked = named(&fs::read_to_string(docs.join(file)).unwrap());
        assert!(asked.len() > 5, "{asked:?}");
        let missing: Vec<_> = asked.difference(&told).filter(|name| !quiet(name)).collect();
        assert!(missing.is_empty(), "{file} asks for {missing:?}");
    }
}
