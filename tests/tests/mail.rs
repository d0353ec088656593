//! Owners and operators are told by mail: over SMTP as a server hears it, read by a MIME parser.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use mail_parser::MessageParser;
use sidekey_tests::command::run;
use sidekey_tests::{Browser, Enforcement, Options, Server, Value, eventually, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Where the link of a mail leads.
const DISPUTE: &str = "/2fa/dispute/";
const PASSWORD: &str = "correct horse battery";

/// A message as the server got it.
#[derive(Clone, Debug)]
struct Got {
    commands: Vec<String>,
    message: String,
}

impl Got {
    fn subject(&self) -> String {
        MessageParser::default().parse(self.message.as_bytes()).unwrap().subject().unwrap().to_owned()
    }

    fn recipients(&self) -> Vec<&str> {
        self.commands.iter().filter_map(|command| command.strip_prefix("RCPT TO:")).collect()
    }
}

/// An SMTP server (RFC 5321) without TLS that takes everything, unless a test says what it answers to recipients.
#[derive(Clone)]
struct Smtp {
    port: u16,
    got: Arc<Mutex<Vec<Got>>>,
    heard: Arc<Mutex<Vec<String>>>,
    to_recipients: Arc<Mutex<VecDeque<&'static str>>>,
}

impl Smtp {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let smtp = Self { port, got: Arc::default(), heard: Arc::default(), to_recipients: Arc::default() };
        let serving = smtp.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let smtp = serving.clone();
                // A client that hangs up in the middle is the end of its connection only.
                tokio::spawn(async move { smtp.speak(stream).await.ok() });
            }
        });
        smtp
    }

    async fn speak(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 mail.example.com ready\r\n").await?;
        let mut commands = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let command = line.trim_end_matches("\r\n").to_owned();
            assert!(line.ends_with("\r\n") && !command.contains(['\r', '\n']), "{line:?}");
            self.heard.lock().unwrap().push(command.clone());
            commands.push(command.clone());
            let verb = command.split(' ').next().unwrap().to_ascii_uppercase();
            let answer = match verb.as_str() {
                "EHLO" => "250-mail.example.com\r\n250 AUTH PLAIN",
                "AUTH" => "235 welcome",
                "RCPT" => self.to_recipients.lock().unwrap().pop_front().unwrap_or("250 taken"),
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").await?;
                    let mut message = String::new();
                    while !message.ends_with("\r\n.\r\n") {
                        if stream.read_line(&mut message).await? == 0 {
                            return Ok(());
                        }
                    }
                    self.got.lock().unwrap().push(Got { commands: std::mem::take(&mut commands), message });
                    "250 queued"
                }
                "QUIT" => {
                    stream.write_all(b"221 bye\r\n").await?;
                    return Ok(());
                }
                _ => "250 fine",
            };
            stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
    }

    /// Waits until it has so many messages that `enough`, and gives all of them.
    async fn until(&self, server: &Server, enough: impl Fn(&[Got]) -> bool) -> Vec<Got> {
        let got = || self.got.lock().unwrap().clone();
        let what = || format!("more messages than {:#?}\n{}", got(), server.log());
        eventually(what, async || Some(got()).filter(|got| enough(got))).await
    }
}

fn password_file(folder: &Path) -> String {
    let path = folder.join("password");
    fs::write(&path, format!("{PASSWORD}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A folder for the settings and the data, and how to start a server on them.
fn options(folder: &TempDir, rule: &str, mail: &str) -> Options {
    let settings = folder.path().join("sidekey.toml");
    let text = format!(
        "[[notify]]\nname = \"mail\"\n{rule}\n[notify.mail]\nfrom = \"Sidekey <no-reply@example.com>\"\n{mail}\n"
    );
    fs::write(&settings, text).unwrap();
    Options {
        arguments: vec!["--config".to_owned(), settings.to_str().unwrap().to_owned()],
        data: Some(folder.path().join("data")),
        ..Options::default()
    }
}

/// How the doctor finds those who are told, and their servers.
async fn doctor(folder: &TempDir, server: &Server) -> Vec<String> {
    let (settings, data) = (folder.path().join("sidekey.toml"), server.data().to_owned());
    let arguments = ["doctor", "--json", "--development", "--config"].map(OsStr::new);
    let more = [settings.as_os_str(), OsStr::new("--data"), data.as_os_str()];
    let found = run(arguments.into_iter().chain(more)).await.json();
    let findings = found["findings"].as_array().unwrap().iter();
    let told = findings.filter(|finding| finding["check"] == "notify");
    told.map(|finding| finding["level"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_owner_with_an_address_is_told_of_their_account_and_one_without_is_not() {
    let (folder, smtp) = (TempDir::new().unwrap(), Smtp::start().await);
    let password = password_file(folder.path());
    let mail = format!(
        "smtp = \"smtp://127.0.0.1:{}\"\nprivate = true\nuser = \"sidekey\"\npassword_file = \"{password}\"\nto_owner = true",
        smtp.port
    );
    let server = Server::with(options(&folder, "", &mail));
    let app = server.app(Enforcement::Optional).await;
    // The harness names an account `<user>@example.com`, which is no address with a blank in it.
    app.enrol("bob b").await;
    let mut ann = app.enrol("ann").await;
    let session = ann.challenge().await;
    ann.answer_with_backup(&session, &ann.backup_codes[0]).await.ok();
    let code = ann.fresh_code().await;
    ann.post("/2fa/disable/").json(json!({"code": code})).await.ok();
    let got = smtp.until(&server, |got| got.len() >= 3).await;
    let subjects: Vec<_> = got.iter().map(Got::subject).collect();
    for (subject, title) in subjects.iter().zip([
        ": Two-factor authentication is on",
        ": A backup code was used",
        ": Two-factor authentication is off",
    ]) {
        assert!(subject.ends_with(title), "{subjects:?}");
    }
    assert_eq!(subjects.len(), 3, "{subjects:?}");
    for got in &got {
        assert_eq!(got.recipients(), ["<ann@example.com>"]);
        assert!(got.commands.iter().any(|command| command.starts_with("AUTH PLAIN ")), "{got:?}");
        assert!(got.message.contains("multipart/alternative"), "{}", got.message);
        for private in [&app.key, &ann.access, &ann.refresh, &ann.backup_codes[0]] {
            assert!(!got.message.contains(private.as_str()), "{}", got.message);
        }
    }
    let standing = server.command(["outbox", "status"]).await;
    assert_eq!((&standing["mail"]["waiting"], &standing["mail"]["dead"]), (&json!(0), &json!(0)));
    assert!(!server.log().contains(PASSWORD));
    assert_eq!(doctor(&folder, &server).await, ["good", "good"]);
    assert_eq!(smtp.got.lock().unwrap().len(), 3, "the doctor sends nothing");
}

#[tokio::test]
async fn operators_are_told_of_the_rules_events_and_a_refused_recipient_is_listed() {
    let (folder, smtp) = (TempDir::new().unwrap(), Smtp::start().await);
    let mail = format!(
        "smtp = \"smtp://127.0.0.1:{}\"\nprivate = true\nto = [\"ops@example.com\", \"Night <night@example.com>\"]",
        smtp.port
    );
    let server = Server::with(options(&folder, "events = [\"device_confirmed\"]", &mail));
    let app = server.app(Enforcement::Optional).await;
    // The server is busy, then it takes nothing for the second one.
    smtp.to_recipients.lock().unwrap().extend(["451 later", "250 taken", "550 nobody here"]);
    app.enrol("a Bcc: eve@example.com").await;
    server.logged("takes nothing").await;
    let refused = async || {
        let listed = server.command(["outbox", "list"]).await;
        Some(listed).filter(|listed| !listed.as_array().unwrap().is_empty())
    };
    let listed = server.eventually("a message that was refused", refused).await;
    assert_eq!((&listed[0]["event"], &listed[0]["attempts"]), (&json!("device_confirmed"), &json!(1)));
    assert!(listed[0]["reason"].as_str().unwrap().contains("550"), "{listed}");
    server
        .command([
            "outbox",
            "retry",
            "--destination",
            "mail",
            "--sequence",
            &listed[0]["sequence"].to_string(),
        ])
        .await;
    let got = smtp.until(&server, |got| !got.is_empty()).await;
    assert_eq!(got[0].recipients(), ["<ops@example.com>", "<night@example.com>"]);
    assert!(
        got[0].subject().starts_with("device confirmed: a Bcc: eve@example.com of "),
        "{}",
        got[0].subject()
    );
    assert!(!got[0].message.contains("\r\nBcc:"), "{}", got[0].message);
}

#[tokio::test]
async fn nothing_is_said_to_a_server_without_starttls() {
    let (folder, smtp) = (TempDir::new().unwrap(), Smtp::start().await);
    let password = password_file(folder.path());
    let mail = format!(
        "smtp = \"smtp://127.0.0.1:{}\"\nuser = \"sidekey\"\npassword_file = \"{password}\"\nto = [\"ops@example.com\"]",
        smtp.port
    );
    let server = Server::with(options(&folder, "", &mail));
    server.app(Enforcement::Optional).await.open_session("ann").await;
    server.logged("STARTTLS is not supported").await;
    assert_eq!(doctor(&folder, &server).await[1], "problem");
    let heard = smtp.heard.lock().unwrap().clone();
    assert!(heard.iter().all(|command| command.starts_with("EHLO") || command == "QUIT"), "{heard:?}");
}

/// The link of a mail.
fn link(got: &Got) -> String {
    let read = MessageParser::default().parse(got.message.as_bytes()).unwrap();
    let plain = read.body_text(0).unwrap();
    plain
        .split_whitespace()
        .find(|word| word.starts_with("http"))
        .unwrap_or_else(|| panic!("{plain}"))
        .to_owned()
}

#[tokio::test]
async fn an_owner_ends_every_login_by_the_link_of_a_mail_once_and_no_scanner_does() {
    let (folder, smtp) = (TempDir::new().unwrap(), Smtp::start().await);
    let mail = format!("smtp = \"smtp://127.0.0.1:{}\"\nprivate = true\nto_owner = true", smtp.port);
    let server = Server::with(options(&folder, "", &mail));
    let app = server.app(Enforcement::Optional).await;
    let mut ann = app.enrol("ann").await;
    let bob = app.enrol("bob").await;
    let got = smtp.until(&server, |got| got.len() >= 2).await;
    let of = |name: &str| got.iter().find(|got| got.recipients()[0].contains(name)).expect("a mail");
    let (link, of_bob) = (link(of("ann@")), link(of("bob@")));
    let token = link.split_once("/2fa/dispute/?link=").expect("the page").1.to_owned();

    // Programs that follow the links of mails.
    let mut scanner = Browser::new(&server);
    server.call("HEAD".parse().unwrap(), link.strip_prefix(&server.url("")).unwrap()).await;
    scanner.visit(&link).await.ok();
    assert_eq!(scanner.heading(), "Was this not you?");
    let mut browser = Browser::new(&server);
    assert_eq!(
        browser.get(&link).await.header("location"),
        server.url(DISPUTE),
        "no link in the address that stays"
    );
    browser.get(DISPUTE).await.ok();
    assert!(browser.html.contains("An authenticator was connected to your account"), "{}", browser.html);
    assert!(!browser.html.contains(&token), "{}", browser.html);
    let forged = [("csrf", scanner.token(DISPUTE).unwrap())];
    let forged = forged.each_ref().map(|(name, value)| (*name, value.as_str()));
    browser.post_as_it_is(DISPUTE, &forged, &[("sec-fetch-site", "cross-site")]).await.expect(403);
    browser.post_as_it_is(DISPUTE, &[("csrf", "AAAA")], &[]).await.expect(403);
    Browser::new(&server).post_as_it_is(DISPUTE, &forged, &[]).await.expect(400);
    ann.get("/2fa/devices/").await.ok();

    // The token is good for nothing else.
    server.get("/2fa/devices/").bearer(&token).await.expect(401);
    server.post("/2fa/token/refresh/").json(json!({"refresh_token": token})).await.expect(401);
    let mut thief = Browser::new(&server);
    for cookie in ["sidekey-login", "sidekey-session"] {
        thief.cookies.insert(cookie.to_owned(), token.clone());
    }
    thief.get("/2fa/account/").await.ok();
    assert_eq!(thief.heading(), "You are signed out");

    browser.get(DISPUTE).await.ok();
    let form = [("csrf", browser.token(DISPUTE).unwrap())];
    let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
    browser.post(DISPUTE, &[]).await.expect(303);
    browser.get(DISPUTE).await.ok();
    assert_eq!(browser.heading(), "Every sign-in has ended");
    ann.get("/2fa/devices/").await.expect(401);
    server.post("/2fa/token/refresh/").json(json!({"refresh_token": ann.refresh})).await.expect(401);
    bob.get("/2fa/devices/").await.ok();
    let got = smtp.until(&server, |got| got.len() >= 3).await;
    assert!(got[2].subject().ends_with(": Signed out everywhere by a link"), "{}", got[2].subject());

    // Whoever repeats it ends nothing that came after.
    ann.sign_in().await;
    browser.post_as_it_is(DISPUTE, &form, &[]).await.expect(303);
    scanner.visit(&link).await.ok();
    assert_eq!(scanner.heading(), "Every sign-in has ended");
    ann.get("/2fa/devices/").await.ok();
    let told = audited(&server, "owner_disputed").await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0]["user"], &told[0]["actor"]["kind"]), (&json!("ann"), &json!("anonymous")));

    // Any other text leads to nothing, and so does a link after a week.
    let (start, end) = of_bob.split_at(of_bob.len() - 20);
    let wrong = format!("{start}{}{}", if end.starts_with('A') { 'B' } else { 'A' }, &end[1..]);
    for (nothing, seconds) in [(wrong, 0), (format!("{DISPUTE}?link=x"), 0), (of_bob, 7 * 24 * 3_600)] {
        server.advance(seconds).await;
        let mut late = Browser::new(&server);
        late.get(&nothing).await.expect(400);
        assert_eq!(late.heading(), "This link does not count", "{nothing}");
        late.post(DISPUTE, &[]).await.expect(400);
    }
    assert!(!server.log().contains(&token), "no token in the log");
}

#[tokio::test]
async fn an_owner_is_told_in_the_language_of_their_pages_and_nobody_else_chooses_it() {
    let (folder, smtp) = (TempDir::new().unwrap(), Smtp::start().await);
    let mail = format!(
        "smtp = \"smtp://127.0.0.1:{}\"\nprivate = true\nto_owner = true\nlanguage = \"fr\"",
        smtp.port
    );
    let server = Server::with(options(&folder, "", &mail));
    let app = server.app(Enforcement::Optional).await;
    let mut ann = app.enrol("ann").await;
    smtp.until(&server, |got| !got.is_empty()).await;
    let mut browser = Browser::on_account_page(&app, &ann.access).await;
    browser.get("/2fa/account/?ui_locales=de").await.ok();
    // Somebody who knows the password, and no more.
    let opened = app.open_session("ann").await.expect(201);
    let mut thief = Browser::new(&server);
    thief.visit(&format!("{}&ui_locales=ja", opened.text("verify_url"))).await.ok();
    thief.get("/2fa/challenge/?ui_locales=ja").await.ok();
    let code = ann.fresh_code().await;
    ann.post("/2fa/disable/").json(json!({"code": code})).await.ok();
    smtp.until(&server, |got| got.len() >= 2).await;
    server.call("DELETE".parse().unwrap(), "/2fa/users/ann/").bearer(&app.key).await.ok();
    app.enrol("ann").await;
    let got = smtp.until(&server, |got| got.len() >= 3).await;
    let subjects: Vec<_> = got.iter().map(Got::subject).collect();
    for (subject, title) in subjects.iter().zip([
        ": L’authentification à deux facteurs est activée",
        ": Die Zwei-Faktor-Authentifizierung ist ausgeschaltet",
        // Erased, with the language.
        ": L’authentification à deux facteurs est activée",
    ]) {
        assert!(subject.ends_with(title), "{subjects:?}");
    }
    let data = server.data().as_os_str();
    run([OsStr::new("verify"), OsStr::new("--data"), data]).await.ok();
}

/// The entries of an event in the audit trail.
async fn audited(server: &Server, event: &str) -> Vec<Value> {
    let data = server.data().as_os_str();
    let arguments = ["audit", "--json", "--event", event, "--data"].map(OsStr::new);
    let text = run(arguments.into_iter().chain([data])).await.ok().stdout;
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
