//! Forward-auth behind real proxies, with the very files of `examples/forward-auth`: who gets to a page and to an application, by which
//! way, and what a client cannot pretend.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::header::HeaderMap;
use sidekey_tests::{App, Options, Server, json};
use tempfile::TempDir;
use tokio::net::TcpStream;

/// A proxy that takes longer to listen has failed.
const START_LIMIT: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nginx,
    Caddy,
    Haproxy,
    Traefik,
    Envoy,
}

impl Kind {
    /// The last two come as packages of Python, which are there for this platform only (tests/requirements.txt).
    const ALL: &[Self] = if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        &[Self::Nginx, Self::Caddy, Self::Haproxy, Self::Traefik, Self::Envoy]
    } else {
        &[Self::Nginx, Self::Caddy, Self::Haproxy]
    };

    /// What stands for the application where the proxy serves nothing itself.
    fn application(self, folder: &Path) -> Option<Command> {
        let mut command = Command::new("python3");
        command.arg("application.py").current_dir(folder);
        matches!(self, Self::Traefik | Self::Envoy).then_some(command)
    }

    fn command(self, folder: &Path) -> Command {
        let (program, arguments): (_, &[&str]) = match self {
            // The workers of a root's nginx would be somebody who cannot read the folder.
            Self::Nginx if is_root() => {
                ("nginx", &["-p", ".", "-c", "nginx.conf", "-g", "daemon off; user root;"])
            }
            Self::Nginx => ("nginx", &["-p", ".", "-c", "nginx.conf", "-g", "daemon off;"]),
            Self::Caddy => ("caddy", &["run", "--config", "Caddyfile", "--adapter", "caddyfile"]),
            Self::Haproxy => ("haproxy", &["-db", "-f", "haproxy.cfg"]),
            Self::Traefik => ("traefik", &["--configFile=traefik.yml"]),
            // Several of them run at once here.
            Self::Envoy => ("envoy", &["-c", "envoy.yaml", "--disable-hot-restart"]),
        };
        let mut command = Command::new(installed(program));
        command.args(arguments).current_dir(folder).env("HOME", folder);
        command
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Beside the tests' Python, on the path, or where Debian puts servers and the path of ordinary users does not lead.
fn installed(program: &str) -> PathBuf {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&paths).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let python = std::env::var_os("SIDEKEY_PYTHON").map(PathBuf::from);
    let ours = python.as_deref().and_then(Path::parent).map(Path::to_owned);
    let found =
        ours.into_iter().chain(folders).map(|folder| folder.join(program)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{program} is not there: `cargo xtask test --only setup` gets it"))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// A proxy over a copy of the example, and the server behind it.
struct Proxy {
    server: Server,
    child: Child,
    application: Option<Child>,
    origin: String,
    http: reqwest::Client,
    _folder: TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // nginx takes its workers along only if it is asked.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
        if let Some(application) = &mut self.application {
            let _ = application.kill();
            let _ = application.wait();
        }
    }
}

impl Proxy {
    async fn start(kind: Kind) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/forward-auth");
        let (port, application) = (free_port(), free_port());
        let here = |text: String| ported(&ported(&text, 8090, port), 8091, application);
        copy(&example, folder.path(), &here);
        let settings = folder.path().join("sidekey.toml");
        let arguments = vec!["--config".to_owned(), settings.to_str().expect("UTF-8").to_owned()];
        let server = Server::with(Options { arguments, ..Options::default() });
        let (_, theirs) = server.address().rsplit_once(':').expect("a port");
        let theirs: u16 = theirs.parse().expect("a port");
        let there = |text: String| ported(&text, 8080, theirs);
        copy(folder.path(), folder.path(), &there);
        let mut command = kind.command(folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("the proxy can be started");
        let behind = kind.application(folder.path());
        let behind = behind.map(|mut command| command.spawn().expect("the application can be started"));
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let http = http.build().expect("a client without TLS can be made");
        let origin = format!("http://127.0.0.1:{port}");
        let proxy = Self { server, child, application: behind, origin, http, _folder: folder };
        let listens = async {
            for port in [port, application] {
                while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        };
        tokio::time::timeout(START_LIMIT, listens)
            .await
            .unwrap_or_else(|_| panic!("{kind:?} does not listen"));
        proxy
    }

    async fn app(&self) -> App<'_> {
        let home = format!("{}/", self.origin);
        let arguments = ["app", "create", "--name", "Site", "--id", "site", "--return-url", &home];
        let made = self.server.command(arguments).await;
        let text = |name: &str| made[name].as_str().expect("a text").to_owned();
        App { server: &self.server, id: text("app_id"), key: text("api_key"), key_id: text("key_id") }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Seen {
        let request = self.http.get(format!("{}{path}", self.origin));
        Seen::of(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    }
}

/// The text with another port of this machine, however the proxies' files write it.
fn ported(text: &str, from: u16, to: u16) -> String {
    text.replace(&format!("127.0.0.1:{from}"), &format!("127.0.0.1:{to}"))
        .replace(&format!("port_value: {from}"), &format!("port_value: {to}"))
}

/// Copies the files of a folder, each through `change`.
fn copy(from: &Path, to: &Path, change: &dyn Fn(String) -> String) {
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            fs::create_dir_all(&target).expect("a folder can be made");
            copy(&path, &target, change);
        } else {
            fs::write(target, change(fs::read_to_string(&path).expect("a text")))
                .expect("a file can be written");
        }
    }
}

/// An answer as a client of the proxy sees it.
struct Seen {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Seen {
    async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.expect("the proxy answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: response.text().await.expect("a text") }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A browser in front of the proxy.
struct Visitor<'p> {
    proxy: &'p Proxy,
    cookies: BTreeMap<String, String>,
    path: String,
    page: String,
}

impl<'p> Visitor<'p> {
    fn new(proxy: &'p Proxy) -> Self {
        Self { proxy, cookies: BTreeMap::new(), path: String::new(), page: String::new() }
    }

    /// Follows a link and its redirects, none of which leads elsewhere.
    async fn visit(&mut self, path: &str) -> u16 {
        let request = self.proxy.http.get(format!("{}{path}", self.proxy.origin));
        self.path = path.to_owned();
        self.follow(request).await
    }

    /// Posts a form of the page, with its token.
    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> u16 {
        let hidden = |name: &str| {
            let (_, rest) = self.page.split_once(&format!("name=\"{name}\" value=\""))?;
            rest.split('"').next().map(|value| format!("{name}={}", value.replace('/', "%2F")))
        };
        let typed = fields.iter().map(|(name, value)| format!("{name}={value}"));
        let body: Vec<String> = typed.chain(hidden("csrf")).chain(hidden("to")).collect();
        let request = self.proxy.http.post(format!("{}{path}", self.proxy.origin));
        let request =
            request.header("content-type", "application/x-www-form-urlencoded").body(body.join("&"));
        self.follow(request).await
    }

    async fn follow(&mut self, mut request: reqwest::RequestBuilder) -> u16 {
        for _ in 0..8 {
            let cookies: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let headers =
                [("accept", "text/html"), ("sec-fetch-mode", "navigate"), ("sec-fetch-site", "same-origin")];
            let with = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            let seen = Seen::of(with.header("cookie", cookies.join("; "))).await;
            for line in seen.headers.get_all("set-cookie") {
                let (pair, _) = line.to_str().expect("ASCII").split_once(';').expect("attributes");
                let (name, value) = pair.split_once('=').expect("a value");
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
            if !matches!(seen.status, 302 | 303) {
                self.page = seen.body;
                return seen.status;
            }
            let location = seen.header("location");
            let path = location.strip_prefix(&self.proxy.origin);
            let path = path.unwrap_or_else(|| panic!("led elsewhere: {location}"));
            path.clone_into(&mut self.path);
            request = self.proxy.http.get(location);
        }
        panic!("led in circles: {}", self.path)
    }

    fn heading(&self) -> &str {
        let rest = self.page.split_once("<h1").and_then(|(_, rest)| rest.split_once('>'));
        rest.and_then(|(_, rest)| rest.split('<').next()).unwrap_or_default()
    }
}

/// From an anonymous visit to the page, and to one that asks for a younger second factor.
async fn a_person_gets_in(kind: Kind) {
    let proxy = Proxy::start(kind).await;
    let app = proxy.app().await;
    let mut user = app.enrol("ann").await;
    let mut ann = Visitor::new(&proxy);
    assert_eq!(ann.visit("/terminal/?x=y").await, 200, "{kind:?}");
    assert_eq!((ann.heading(), ann.path.as_str()), ("Sign in", "/login.html?next=%2Fterminal%2F%3Fx%3Dy"));

    let home = format!("{}/", proxy.origin);
    let opened = app.open_with(json!({"user_id": "ann", "return_url": home})).await.expect(201);
    let link = opened.text("verify_url");
    assert_eq!(ann.visit(link.strip_prefix(&proxy.origin).expect("the proxy's address")).await, 200);
    let code = user.fresh_code().await;
    assert_eq!(ann.post("/2fa/challenge/", &[("action", "code"), ("code", &code)]).await, 200);
    assert_eq!(ann.heading(), "Members only", "{kind:?}");
    assert_eq!(ann.visit("/terminal/").await, 200);
    assert_eq!(ann.heading(), "The terminal");

    proxy.server.advance(3_601).await;
    assert_eq!(ann.visit("/").await, 200);
    assert_eq!(ann.heading(), "Members only", "any second factor will do here");
    assert_eq!(ann.visit("/terminal/").await, 200);
    assert!(ann.path.starts_with("/2fa/step-up/"), "{kind:?}: {}", ann.path);
    let code = user.fresh_code().await;
    assert_eq!(ann.post("/2fa/step-up/", &[("action", "confirm"), ("code", &code)]).await, 200);
    assert_eq!((ann.heading(), ann.path.as_str()), ("The terminal", "/terminal/"), "{kind:?}");
    assert_eq!(ann.visit("/hello/").await, 200);
    assert_eq!(ann.page, "Hello ann\n");
}

/// What programs get, and that no header of a client survives.
async fn a_program_gets_in(kind: Kind) {
    let proxy = Proxy::start(kind).await;
    let app = proxy.app().await;
    let user = app.enrol("ann").await;
    let bearer = format!("Bearer {}", user.access);
    let ours = ("authorization", bearer.as_str());
    let hello =
        proxy.get("/hello/", &[ours, ("remote-user", "root"), ("x-forwarded-uri", "/login.html")]).await;
    assert_eq!((hello.status, hello.body.as_str()), (200, "Hello ann\n"), "{kind:?}");

    let pretended =
        [("remote-user", "root"), ("x-forwarded-uri", "/login.html"), ("x-forwarded-method", "GET")];
    for path in ["/hello/", "/", "/terminal/"] {
        let refused = proxy.get(path, &pretended).await;
        assert_eq!(refused.status, 401, "{kind:?} {path}");
        assert!(refused.header("www-authenticate").starts_with("Bearer"), "{kind:?}: {:?}", refused.headers);
    }
    for path in ["/login.html", "/login.html?x=y"] {
        let public = proxy.get(path, &[]).await;
        assert_eq!(public.status, 200, "{kind:?} {path}");
    }
    for path in [
        "/login.html%2f..%2fterminal/",
        "/%2e%2e/terminal/",
        "/login.html;/terminal/",
        "/%74erminal/",
        "//terminal/",
    ] {
        let refused = raw(&proxy, path, Some(&bearer)).await;
        // Traefik tidies what it can before it asks, and passes on what it has asked about.
        let tidied = kind == Kind::Traefik && refused == 200;
        assert!(tidied || [400, 403].contains(&refused), "{kind:?} {path}: {refused}");
        let anonymous = raw(&proxy, path, None).await;
        assert!([400, 401, 403].contains(&anonymous), "{kind:?} {path}: {anonymous}");
    }
    for path in [
        "/login.html/../terminal/",
        "/login.html/%2e%2e/terminal/",
        "/2fa/../terminal/",
        "/2fa/%2e%2e/hello/",
    ] {
        let around = raw(&proxy, path, None).await;
        assert!([400, 401, 403, 404].contains(&around), "{kind:?} {path}: {around}");
    }
    proxy.server.advance(3_601).await;
    let body = json!({"refresh_token": user.refresh});
    let access = proxy.server.post("/2fa/token/refresh/").json(body).await.ok().text("access_token");
    let bearer = format!("Bearer {access}");
    let ours = ("authorization", bearer.as_str());
    assert_eq!(proxy.get("/hello/", &[ours]).await.status, 200);
    let too_old = proxy.get("/terminal/", &[ours]).await;
    assert_eq!(too_old.status, 401, "{kind:?}");
    let challenge = too_old.header("www-authenticate");
    assert!(challenge.contains("insufficient_user_authentication"), "{kind:?}: {challenge}");
}

/// The status for a target that an HTTP client would tidy up before it sends it.
async fn raw(proxy: &Proxy, target: &str, bearer: Option<&str>) -> u16 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = proxy.origin.strip_prefix("http://").expect("http");
    let mut stream = TcpStream::connect(address).await.expect("the proxy listens");
    let bearer = bearer.map(|bearer| format!("Authorization: {bearer}\r\n")).unwrap_or_default();
    let head = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n{bearer}Connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("it takes the request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers");
    answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("no status: {answer}"))
}

#[tokio::test]
async fn a_person_is_led_to_the_login_to_the_code_and_to_the_page() {
    for &kind in Kind::ALL {
        a_person_gets_in(kind).await;
    }
}

#[tokio::test]
async fn a_program_passes_with_a_token_and_pretends_nothing() {
    for &kind in Kind::ALL {
        a_program_gets_in(kind).await;
    }
}

#[tokio::test]
async fn nothing_passes_while_sidekey_does_not_answer() {
    for &kind in Kind::ALL {
        let proxy = Proxy::start(kind).await;
        let app = proxy.app().await;
        let user = app.enrol("ann").await;
        let bearer = format!("Bearer {}", user.access);
        assert_eq!(proxy.get("/hello/", &[("authorization", &bearer)]).await.status, 200, "{kind:?}");
        let killed = Command::new("kill").args(["-KILL", &proxy.server.pid().to_string()]).status();
        assert!(killed.is_ok_and(|status| status.success()));
        for path in ["/hello/", "/", "/login.html"] {
            let refused = proxy.get(path, &[("authorization", &bearer)]).await.status;
            assert!(refused == 403 || refused >= 500, "{kind:?} {path}: {refused}");
        }
    }
}
