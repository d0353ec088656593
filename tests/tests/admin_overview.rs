//! What the admin area tells of the server: charts, the audit trail, what happens as it happens, settings.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use sidekey_tests::command::run;
use sidekey_tests::{Enforcement, Operator, Options, Server, Value, eventually, json};

/// A stream that takes longer to say something hangs.
const LIMIT: Duration = Duration::from_mins(1);

/// The overview once it has counted everything.
async fn overview(ann: &mut Operator<'_>, query: &str) -> String {
    let counted = async || {
        ann.get(&format!("/admin/{query}")).await.ok();
        Some(ann.browser.html.clone()).filter(|html| !html.contains("not counted yet"))
    };
    eventually(|| "everything is counted", counted).await
}

/// The sentence below the heading of a chart.
fn described(html: &str, chart: &str) -> String {
    let after =
        html.split(&format!("id=\"{chart}-desc\">")).nth(1).unwrap_or_else(|| panic!("no {chart}: {html}"));
    after.split('<').next().unwrap().to_owned()
}

#[tokio::test]
async fn the_overview_counts_what_happened_and_says_it_without_pictures_too() {
    let server = Server::start();
    let mut ann = Operator::create(&server, "ann", "viewer").await;
    let before = overview(&mut ann, "").await;
    assert_eq!(described(&before, "enrolments"), "Nothing in this time.");
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("bob").await;
    app.enrol("cat").await;
    let session = user.challenge().await;
    let wrong = server.post("/2fa/verify/").json(json!({"session_id": session, "code": "000000"})).await;
    assert_eq!(wrong["code"], "INVALID_CODE");
    let day = overview(&mut ann, "").await;
    assert!(described(&day, "enrolments").starts_with("2 in all, at most 2 ("), "{day}");
    assert!(described(&day, "failures").starts_with("1 in all"));
    assert!(described(&day, "latency").starts_with("Latest: Median "));
    assert_eq!(described(&day, "throttled"), "Nothing in this time.");
    let table = day.split("Enrolments as a table").nth(2).unwrap();
    assert!(table.split("</table>").next().unwrap().contains("<td>2</td>"), "{table}");
    // It comes without a script, and holds no style that the policy would refuse.
    assert!(!day.contains("<script") && !day.contains("style="));

    // A day later it is no part of the last 24 hours any more, but of the last 30 days, also for another process.
    server.advance(86_400).await;
    let server = server.restart();
    let mut ann = Operator::create(&server, "eve", "viewer").await;
    assert_eq!(described(&overview(&mut ann, "").await, "enrolments"), "Nothing in this time.");
    let month = overview(&mut ann, "?days=30").await;
    assert!(described(&month, "enrolments").starts_with("2 in all, at most 2 ("), "{month}");
}

#[tokio::test]
async fn nothing_is_counted_twice_after_a_crash() {
    let mut server = Server::start();
    Operator::make(&server, "ann", "viewer").await;
    for round in 0..3 {
        let app = server.app(Enforcement::Optional).await;
        app.enrol(&format!("user-{round}")).await;
        drop(app);
        server = server.crash();
    }
    let mut ann = Operator::create(&server, "bob", "viewer").await;
    let html = overview(&mut ann, "").await;
    assert!(described(&html, "enrolments").starts_with("3 in all"), "{html}");
}

#[tokio::test]
async fn the_trail_is_filtered_and_read_page_by_page() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    for number in 0..20 {
        app.enrol(&format!("user-{number}")).await;
    }
    let mut ann = Operator::create(&server, "ann", "viewer").await;
    ann.get("/admin/trail/?event=device_confirmed").await.ok();
    let html = &ann.browser.html;
    assert_eq!(html.matches("/user-").count(), 20, "{html}");
    assert!(html.find("user-19").unwrap() < html.find("user-3<").unwrap(), "newest first");
    ann.get(&format!("/admin/trail/?app={}&user=user-7", app.id)).await.ok();
    assert!(ann.browser.html.contains("/user-7<") && !ann.browser.html.contains("/user-8<"));

    ann.get("/admin/trail/").await.ok();
    let first = ann.browser.html.clone();
    assert_eq!(first.matches("class=\"entry\"").count(), 50);
    let older = first.split("href=\"/admin/trail/?before=").nth(1).unwrap().split('"').next().unwrap();
    ann.get(&format!("/admin/trail/?before={older}")).await.ok();
    let second = ann.browser.html.clone();
    let numbers = |html: &str| -> Vec<u64> {
        html.split("Entry ").skip(1).map(|rest| rest.split(',').next().unwrap().parse().unwrap()).collect()
    };
    let (first, second) = (numbers(&first), numbers(&second));
    assert_eq!(first.last().unwrap() - 1, second[0], "{first:?} {second:?}");
    ann.get("/admin/trail/?since=2020-01-01T00:00&until=2020-01-02T00:00").await.ok();
    assert!(ann.browser.html.contains("No entry fits."));
    ann.get("/admin/trail/?since=yesterday").await.expect(400);
    // A viewer may look, and takes no file along.
    assert!(!ann.browser.html.contains("Download"));
    ann.get("/admin/trail/").await.ok();
    ann.post("/admin/trail/", &[("action", "download"), ("reason", "curious")]).await.expect(403);
}

#[tokio::test]
async fn a_download_proves_itself_and_is_told_in_the_trail_with_its_reason() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    app.enrol("bob").await;
    app.enrol("cat").await;
    let mut ann = Operator::create(&server, "ann", "support").await;
    ann.get("/admin/trail/").await.ok();
    let fields = [("action", "download"), ("reason", "audit of November")];
    let refused = ann.post("/admin/trail/", &fields[..1]).await;
    assert_eq!(refused.status, 400, "without a reason");
    ann.get("/admin/trail/").await.ok();
    let answer = ann.post("/admin/trail/", &fields).await.ok();
    assert!(answer.header("content-disposition").starts_with("attachment; filename=\"sidekey-audit-"));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), answer.body()).unwrap();
    run(["audit", "check", file.path().to_str().unwrap()]).await.ok();
    let last =
        answer.body().lines().rev().nth(1).map(|line| serde_json::from_str::<Value>(line).unwrap()).unwrap();
    assert_eq!(last["event"]["type"], "audit_exported");
    assert_eq!((&last["reason"], &last["actor"]["name"]), (&json!("audit of November"), &json!("ann")));

    ann.get("/admin/trail/").await.ok();
    let of_users = [&fields[..], &[("app", &*app.id), ("event", "device_confirmed")]].concat();
    let some = ann.post("/admin/trail/", &of_users).await.ok().body();
    assert_eq!((some.lines().count(), some.contains("\"stored\"")), (2, false), "{some}");
}

/// Reads a stream until its text has this in it.
async fn read_until(response: &mut reqwest::Response, text: &mut String, wanted: &str) {
    let read = async {
        while !text.contains(wanted) {
            let chunk = response.chunk().await.unwrap().expect("the stream goes on");
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    };
    tokio::time::timeout(LIMIT, read).await.unwrap_or_else(|_| panic!("no {wanted} in {text}"));
}

/// Opens the stream of events with the operator's cookies.
async fn listen(ann: &Operator<'_>, query: &str, last: Option<u64>) -> reqwest::Response {
    let cookies: Vec<_> = ann.browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = ann.server().url(&format!("/admin/events/stream/{query}"));
    let request = client.get(url).header("cookie", cookies.join("; "));
    let request =
        last.into_iter().fold(request, |request, id| request.header("last-event-id", id.to_string()));
    request.send().await.unwrap()
}

#[tokio::test]
async fn what_happens_is_streamed_and_who_comes_back_misses_nothing() {
    let server = Server::start();
    let mut ann = Operator::create(&server, "ann", "viewer").await;
    ann.get("/admin/events/").await.ok();
    let path = ann.browser.html.split("data-stream=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let query = path.strip_prefix("/admin/events/stream/").unwrap();
    let app = server.app(Enforcement::Optional).await;
    // It happened after the page was made and before the stream was opened.
    app.enrol("bob").await;
    let mut stream = listen(&ann, query, None).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    assert_eq!(stream.headers()["cache-control"], "no-store");
    let mut text = String::new();
    read_until(&mut stream, &mut text, "\"type\":\"device_confirmed\"").await;
    assert!(text.starts_with(":\nretry: ") && text.contains("event: entry\nid: "), "{text}");
    let ids: Vec<u64> = text.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{ids:?}");
    app.enrol("cat").await;
    read_until(&mut stream, &mut text, "\"user\":\"cat\"").await;
    drop(stream);

    app.enrol("dan").await;
    let mut again = listen(&ann, query, ids.last().copied()).await;
    let mut missed = String::new();
    read_until(&mut again, &mut missed, "\"user\":\"dan\"").await;
    let first = missed.lines().find_map(|line| line.strip_prefix("id: ")?.parse::<u64>().ok()).unwrap();
    assert_eq!(first, ids.last().unwrap() + 1, "{missed}");
    assert!(missed.contains("\"user\":\"cat\""), "what came in between");

    // A server that stops does not wait for whoever listens.
    assert!(server.stop().status.success());
}

#[tokio::test]
async fn only_operators_listen_and_only_so_many_at_once() {
    let server = Server::start();
    let stranger = server.get("/admin/events/stream/").await;
    assert_eq!(stranger.status, 303);
    let ann = Operator::create(&server, "ann", "viewer").await;
    let mut open = Vec::new();
    for _ in 0..16 {
        let stream = listen(&ann, "", None).await;
        assert_eq!(stream.status(), 200);
        open.push(stream);
    }
    assert_eq!(listen(&ann, "", None).await.status(), 503);
    open.clear();
    let freed = async || (listen(&ann, "", None).await.status() == 200).then_some(());
    server.eventually("places come free", freed).await;
}

#[tokio::test]
async fn the_server_page_names_settings_and_their_places_and_no_secret() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("sidekey.toml");
    let secret = folder.path().join("siem.secret");
    std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let settings = format!(
        "issuer = \"Shop <1>\"\n[[notify]]\nname = \"siem\"\n[notify.webhook]\nurl = \"https://siem.example/hook\"\nsecret_file = \"{}\"\n",
        secret.display()
    );
    std::fs::write(&file, settings).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let server = Server::with(Options {
        arguments: vec!["--config".to_owned(), file.display().to_string()],
        ..Options::default()
    });
    let mut ann = Operator::create(&server, "ann", "admin").await;
    let listed = async || {
        ann.get("/admin/server/").await.ok();
        Some(ann.browser.html.clone()).filter(|html| html.contains("<code>siem</code>"))
    };
    let html = server.eventually("the destination is known", listed).await;
    assert!(html.contains("Shop &#60;1&#62;") || html.contains("Shop &lt;1&gt;"), "{html}");
    assert!(html.contains(&format!("({})", file.display())) && html.contains("--listen or SIDEKEY_LISTEN"));
    assert!(html.contains("siem.secret") && !html.contains("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));

    ann.post("/admin/server/", &[("action", "sweep"), ("reason", "before the audit")]).await.expect(303);
    ann.get("/admin/server/").await.ok();
    assert!(ann.browser.html.contains("Removed 0 records"), "{}", ann.browser.html);
    ann.get("/admin/trail/?event=swept").await.ok();
    assert!(ann.browser.html.contains("before the audit") && ann.browser.html.contains("operator ann"));
    let mut bob = Operator::create(&server, "bob", "support").await;
    bob.get("/admin/server/").await.ok();
    assert!(!bob.browser.html.contains("Sweep now"));
    bob.post("/admin/server/", &[("action", "sweep"), ("reason", "curious")]).await.expect(403);
}
