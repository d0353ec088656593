//! Who is told of what happens: webhooks as their reference implementation verifies them, and a Bot API.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use sidekey_tests::command::run;
use sidekey_tests::{Enforcement, Options, Server, Value, eventually, json};
use standardwebhooks::Webhook;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use warp::Filter as _;
use warp::http::{HeaderMap, StatusCode};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const TOKEN: &str = "123456:AAbbCCddEEffGGhhIIjjKKllMMnn";

/// What somebody was told.
#[derive(Clone)]
struct Told {
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Told {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Somebody who is told over HTTP, and answers as a test says, else with 200.
#[derive(Clone)]
struct Receiver {
    address: SocketAddr,
    told: Arc<Mutex<Vec<Told>>>,
    answers: Arc<Mutex<VecDeque<(u16, Value)>>>,
}

impl Receiver {
    async fn start() -> Self {
        let told: Arc<Mutex<Vec<Told>>> = Arc::default();
        let answers: Arc<Mutex<VecDeque<(u16, Value)>>> = Arc::default();
        let (keep, say) = (Arc::clone(&told), Arc::clone(&answers));
        let there = warp::head().map(|| StatusCode::METHOD_NOT_ALLOWED);
        let route = warp::post()
            .and(warp::path::full())
            .and(warp::header::headers_cloned())
            .and(warp::body::bytes())
            .map(move |path: warp::path::FullPath, headers, body: bytes::Bytes| {
                let path = path.as_str().to_owned();
                keep.lock().unwrap().push(Told { path, headers, body: body.to_vec() });
                let (status, answer) = say.lock().unwrap().pop_front().unwrap_or((200, json!({})));
                warp::reply::with_status(warp::reply::json(&answer), StatusCode::from_u16(status).unwrap())
            });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(warp::serve(there.or(route)).incoming(listener).run());
        Self { address, told, answers }
    }

    fn answers(&self, answers: impl IntoIterator<Item = (u16, Value)>) {
        self.answers.lock().unwrap().extend(answers);
    }

    /// Waits until it was told so much that `enough`, and gives all of it.
    async fn until(&self, server: &Server, enough: impl Fn(&[Told]) -> bool) -> Vec<Told> {
        let told = || self.told.lock().unwrap().clone();
        let what = || {
            let told = told();
            let bodies: Vec<_> = told.iter().map(|told| String::from_utf8_lossy(&told.body)).collect();
            format!("more than {bodies:#?}\n{}", server.log())
        };
        eventually(what, async || Some(told()).filter(|told| enough(told))).await
    }
}

fn secret_file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A folder for the settings and the data, and how to start a server on them.
fn options(folder: &TempDir, notify: &str) -> Options {
    let settings = folder.path().join("sidekey.toml");
    fs::write(&settings, notify).unwrap();
    Options {
        arguments: vec!["--config".to_owned(), settings.to_str().unwrap().to_owned()],
        data: Some(folder.path().join("data")),
        ..Options::default()
    }
}

fn webhook(folder: &TempDir, receiver: &Receiver, more: &str) -> String {
    let secrets = secret_file(folder.path(), "secret", &format!("{SECRET}\n{OLD_SECRET}\n"));
    format!(
        "[[notify]]\nname = \"siem\"\n{more}\n[notify.webhook]\nurl = \"http://{}/in\"\nsecret_file = \"{secrets}\"\nprivate = true\n",
        receiver.address
    )
}

/// Verifies a message with the reference implementation; the server's clock is the system's here.
fn verified(told: &Told, secret: &str) -> bool {
    Webhook::new(secret).unwrap().verify(&told.body, &told.headers).is_ok()
}

#[tokio::test]
async fn a_webhook_is_verified_by_the_reference_implementation_with_either_secret() {
    let (folder, receiver) = (TempDir::new().unwrap(), Receiver::start().await);
    let server = Server::with(options(&folder, &webhook(&folder, &receiver, "")));
    let app = server.app(Enforcement::Optional).await;
    let ann = app.enrol("ann").await;
    let told =
        receiver.until(&server, |told| told.iter().any(|t| t.json()["type"] == "device_confirmed")).await;
    let of_ann: Vec<_> = told.iter().filter(|told| told.json()["data"]["user"] == "ann").collect();
    let types: Vec<_> = of_ann.iter().map(|told| told.json()["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(types.first().map(String::as_str), Some("session_opened"), "{types:?}");
    for told in &told {
        assert!(verified(told, SECRET) && verified(told, OLD_SECRET));
        assert!(!verified(told, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
        let mut forged = told.clone();
        forged.body.push(b' ');
        assert!(!verified(&forged, SECRET));
        let text = String::from_utf8(told.body.clone()).unwrap();
        for private in [&app.key, &ann.access, &ann.refresh, &ann.backup_codes[0]] {
            assert!(!text.contains(private.as_str()), "{text}");
        }
    }
    let ids: BTreeSet<_> =
        told.iter().map(|told| told.headers["webhook-id"].to_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), told.len(), "each has its own");
    let metrics = server.get("/metrics").await.ok();
    for metric in [
        "sidekey_outbox_total{destination=\"siem\",outcome=\"delivered\"}",
        "sidekey_outbox_waiting{",
        "sidekey_outbox_behind{",
    ] {
        assert!(metrics.body().contains(metric), "{metric}");
    }
    assert!(!server.log().contains(SECRET) && !server.log().contains("MfKQ9r8G"));
}

#[tokio::test]
async fn what_a_crash_cut_short_is_told_after_it_and_a_rule_chooses() {
    let (folder, receiver) = (TempDir::new().unwrap(), Receiver::start().await);
    let rule = "events = [\"device_confirmed\", \"user_erased\"]";
    let server = Server::with(options(&folder, &webhook(&folder, &receiver, rule)));
    let app = server.app(Enforcement::Optional).await;
    let (id, key) = (app.id.clone(), app.key.clone());
    app.enrol("ann").await;
    receiver.until(&server, |told| !told.is_empty()).await;
    // It takes nothing while these happen, and the server is killed before they were told.
    receiver.answers((0..1_000).map(|_| (503, json!({}))));
    let users = ["bob", "cat", "dan"];
    for user in users {
        app.enrol(user).await;
    }
    let server = server.crash();
    receiver.answers.lock().unwrap().clear();
    let erased = server.call("DELETE".parse().unwrap(), "/2fa/users/bob/").bearer(&key).await;
    assert_eq!(erased.status, 200, "{erased}");
    let is_erased = |told: &Told| told.json()["type"] == "user_erased";
    let told = receiver.until(&server, |told| told.iter().any(is_erased)).await;
    for user in users {
        let of_user = |told: &&Told| told.json()["data"]["user"] == user;
        assert!(told.iter().any(|told| of_user(&told)), "{user}");
    }
    assert!(told.iter().all(|told| told.json()["data"]["app"] == id.as_str()));
    let types: BTreeSet<_> =
        told.iter().map(|told| told.json()["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(types, ["device_confirmed".to_owned(), "user_erased".to_owned()].into());
    let standing = server.command(["outbox", "status"]).await;
    assert_eq!((&standing["siem"]["waiting"], &standing["siem"]["dead"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn a_name_that_nobody_has_is_said_to_be_none_and_one_in_the_settings_is_not_forgotten() {
    let (folder, receiver) = (TempDir::new().unwrap(), Receiver::start().await);
    let server = Server::with(options(&folder, &webhook(&folder, &receiver, "")));
    let data = server.data().to_str().unwrap().to_owned();
    let asked = async |verb, name| {
        sidekey_tests::command::run(["outbox", verb, "--destination", name, "--data", &data]).await
    };
    for verb in ["list", "retry", "drop", "forget"] {
        let refused = asked(verb, "siam").await.failed(1);
        assert!(refused.stderr.contains("no destination `siam`"), "{verb}: {refused:?}");
    }
    let refused = asked("forget", "siem").await.failed(1);
    assert!(refused.stderr.contains("running server"), "{refused:?}");
    server.app(Enforcement::Optional).await;
    receiver.until(&server, |told| !told.is_empty()).await;
    server.stop();
    let server = Server::with(Options { data: Some(data.clone().into()), ..Options::default() });
    asked("forget", "siem").await.ok();
    assert_eq!(server.command(["outbox", "status"]).await, json!({}));
}

#[tokio::test]
async fn what_a_silent_destination_has_not_got_is_not_called_delivered() {
    let (folder, receiver) = (TempDir::new().unwrap(), Receiver::start().await);
    let server = Server::with(options(&folder, &webhook(&folder, &receiver, "")));
    receiver.answers(std::iter::repeat_n((503, json!({})), 1_000));
    server.app(Enforcement::Optional).await;
    receiver.until(&server, |told| !told.is_empty()).await;
    let data = server.data().to_str().unwrap();
    let said = sidekey_tests::command::run(["outbox", "list", "--data", data]).await.ok().stdout;
    assert!(said.contains("siem is") && said.contains("behind") && !said.contains("delivered"), "{said}");
}

#[tokio::test]
async fn a_refused_event_is_listed_tried_again_and_told_in_order() {
    let (folder, receiver) = (TempDir::new().unwrap(), Receiver::start().await);
    let rule = "events = [\"setup_started\", \"device_confirmed\"]";
    let server = Server::with(options(&folder, &webhook(&folder, &receiver, rule)));
    let app = server.app(Enforcement::Optional).await;
    receiver.answers([(400, json!({}))]);
    app.enrol("ann").await;
    let both = async || {
        let listed = server.command(["outbox", "list"]).await;
        Some(listed).filter(|listed| listed.as_array().unwrap().len() >= 2)
    };
    let listed = server.eventually("two events that wait", both).await;
    assert_eq!(
        (&listed[0]["event"], &listed[0]["attempts"]),
        (&json!("setup_started"), &json!(1)),
        "{listed}"
    );
    assert_eq!(listed[0]["reason"], "it answers 400");
    let sequence = listed[0]["sequence"].to_string();
    let revived = server.command(["outbox", "retry", "--destination", "siem", "--sequence", &sequence]).await;
    assert_eq!(revived["changed"], 1);
    let told = receiver.until(&server, |told| told.len() >= 3).await;
    let types: Vec<_> = told.iter().map(|told| told.json()["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(types, ["setup_started", "setup_started", "device_confirmed"]);
    assert_eq!(told[0].headers["webhook-id"], told[1].headers["webhook-id"], "a receiver knows it again");
    let data = server.data().to_str().unwrap().to_owned();
    server.stop();
    sidekey_tests::command::run(["verify", "--data", &data]).await.ok();
}

#[tokio::test]
async fn a_bot_api_is_told_in_plain_text_and_its_wait_is_kept() {
    let (folder, receiver) = (TempDir::new().unwrap(), Receiver::start().await);
    let token = secret_file(folder.path(), "token", TOKEN);
    let notify = format!(
        "[[notify]]\nname = \"ops\"\nevents = [\"device_confirmed\"]\n[notify.telegram]\nchat_id = \"-1001\"\ntoken_file = \"{token}\"\napi = \"http://{}\"\nprivate = true\n",
        receiver.address
    );
    let server = Server::with(options(&folder, &notify));
    let app = server.app(Enforcement::Optional).await;
    let busy = json!({"ok": false, "error_code": 429, "description": "Too Many Requests: retry after 1", "parameters": {"retry_after": 1}});
    receiver.answers([(429, busy)]);
    app.enrol("ann <b>bold</b> *x* _y_").await;
    let told = receiver.until(&server, |told| told.len() >= 2).await;
    assert_eq!(told[1].path, format!("/bot{TOKEN}/sendMessage"));
    let message = told[1].json();
    assert_eq!(message["chat_id"], "-1001");
    assert_eq!(message.get("parse_mode"), None);
    let text = message["text"].as_str().unwrap();
    assert!(text.starts_with(&format!("device confirmed: ann <b>bold</b> *x* _y_ of {}", app.id)), "{text}");
    let log = server.log();
    assert!(log.contains("Too Many Requests") && !log.contains("AAbbCC"), "{log}");
}

/// The findings of the doctor about those who are told, and what they say.
async fn doctor(folder: &TempDir, server: &Server) -> Vec<(String, String)> {
    let settings = folder.path().join("sidekey.toml");
    let arguments = ["doctor", "--json", "--development", "--config"].map(OsStr::new);
    let more = [settings.as_os_str(), OsStr::new("--data"), server.data().as_os_str()];
    let found = run(arguments.into_iter().chain(more)).await.json();
    let findings = found["findings"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    findings.filter(|f| f["check"] == "notify").map(|f| (text(&f["level"]), text(&f["found"]))).collect()
}

#[tokio::test]
async fn the_doctor_asks_webhooks_and_the_bot_api_without_telling_them_anything() {
    let (folder, hook, bot) = (TempDir::new().unwrap(), Receiver::start().await, Receiver::start().await);
    let token = secret_file(folder.path(), "token", TOKEN);
    let nothing = "events = [\"user_erased\"]";
    let notify = format!(
        "{}\n[[notify]]\nname = \"ops\"\n{nothing}\n[notify.telegram]\nchat_id = \"-1001\"\ntoken_file = \"{token}\"\napi = \"http://{}\"\nprivate = true\n",
        webhook(&folder, &hook, nothing),
        bot.address
    );
    let server = Server::with(options(&folder, &notify));
    let (good, problem) = ("good".to_owned(), "problem".to_owned());
    let levels = |found: &[(String, String)]| {
        [1, 3].map(|place: usize| found.get(place).map(|(level, _)| level.clone()).unwrap_or_default())
    };
    let found = doctor(&folder, &server).await;
    assert_eq!(levels(&found), [good.clone(), good.clone()], "{found:?}");
    let asked = bot.told.lock().unwrap().clone();
    assert_eq!((asked.len(), hook.told.lock().unwrap().len()), (1, 0), "nobody is told anything");
    assert_eq!(
        (&*asked[0].path, asked[0].json()),
        (&*format!("/bot{TOKEN}/getChat"), json!({"chat_id": "-1001"}))
    );

    bot.answers([(400, json!({"ok": false, "description": "Bad Request: chat not found"}))]);
    let found = doctor(&folder, &server).await;
    assert_eq!(levels(&found), [good, problem.clone()], "{found:?}");
    assert!(found[3].1.contains("chat not found") && !found[3].1.contains("AAbbCC"), "{found:?}");

    let elsewhere = notify.replace(&hook.address.to_string(), "127.0.0.1:9");
    fs::write(folder.path().join("sidekey.toml"), elsewhere).unwrap();
    let found = doctor(&folder, &server).await;
    assert_eq!(found[1].0, problem, "{found:?}");
}

/// A Bot API whose refusal never ends: what it says first is read, and no more.
#[tokio::test]
async fn the_reason_of_a_bot_api_is_read_so_far_and_no_further() {
    let folder = TempDir::new().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let head = "HTTP/1.1 400 Bad Request\r\ncontent-length: 1000000000\r\n\r\n{\"description\": \"chat not found\"}";
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(" ".repeat(32 * 1024).as_bytes()).await.unwrap();
            open.push(stream);
        }
    });
    let token = secret_file(folder.path(), "token", TOKEN);
    let notify = format!(
        "[[notify]]\nname = \"ops\"\nevents = [\"device_confirmed\"]\n[notify.telegram]\nchat_id = \"-1001\"\ntoken_file = \"{token}\"\napi = \"http://{address}\"\nprivate = true\n",
    );
    let server = Server::with(options(&folder, &notify));
    server.app(Enforcement::Optional).await.enrol("ann").await;
    server.logged("it answers 400").await;
    assert!(server.log().contains("it answers 400: chat not found"), "{}", server.log());
}

#[tokio::test]
async fn a_webhook_that_would_lead_into_ones_own_network_is_a_mistake_and_a_name_that_does_is_not_followed() {
    let (folder, receiver) = (TempDir::new().unwrap(), Receiver::start().await);
    let public = webhook(&folder, &receiver, "").replace("private = true", "private = false");
    let (_, refused) = Server::try_with(options(&folder, &public)).err().unwrap();
    assert!(refused.contains("https://"), "{refused}");
    let literal = public.replace("http://", "https://");
    let (_, refused) = Server::try_with(options(&folder, &literal)).err().unwrap();
    assert!(refused.contains("private = true"), "{refused}");
    let named = literal.replace("127.0.0.1", "localhost");
    let server = Server::with(options(&folder, &named));
    let app = server.app(Enforcement::Optional).await;
    app.open_session("ann").await;
    server.logged("no address that is reachable from everywhere").await;
    assert!(receiver.told.lock().unwrap().is_empty());
}
