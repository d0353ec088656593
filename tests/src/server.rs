//! One running `sidekey serve`.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::app::{App, Enforcement};
use crate::client::Call;
use crate::{clock, cluster, command, eventually};

/// A start that takes longer has failed.
const START_LIMIT: Duration = Duration::from_mins(1);

/// How to start a server; `Options::default()` is development mode with a new data folder.
#[derive(Clone)]
pub struct Options {
    /// Starts with `--development`.
    pub development: bool,
    /// Further arguments of `serve`.
    pub arguments: Vec<String>,
    /// Variables of its environment.
    pub environment: Vec<(String, String)>,
    /// Prefix of every path (`--base-path`), else empty.
    pub base_path: String,
    /// An existing data folder; a new temporary one without.
    pub data: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            development: true,
            arguments: Vec::new(),
            environment: Vec::new(),
            base_path: String::new(),
            data: None,
        }
    }
}

impl Options {
    /// For servers that come one after the other over a data folder: with the same name, whatever their port, as it stands in
    /// every token.
    pub fn over(data: &Path) -> Self {
        let arguments = vec!["--public-url".to_string(), "http://sidekey.test".to_string()];
        Self { data: Some(data.to_path_buf()), arguments, ..Self::default() }
    }
}

/// A running server; it dies with this value, and so does its temporary data folder.
pub struct Server {
    child: Child,
    http: reqwest::Client,
    address: String,
    options: Options,
    folder: PathBuf,
    temporary: Option<TempDir>,
    stdout: Capture,
    stderr: Capture,
}

/// What a pipe has brought so far, and the thread that reads it to its end.
struct Capture {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

/// What a server that was stopped left.
#[derive(Debug)]
pub struct Stopped {
    /// How the process ended.
    pub status: ExitStatus,
    /// The whole log.
    pub log: String,
    /// All of standard output.
    pub banner: String,
}

impl Server {
    /// Starts a server in development mode with a data folder of its own.
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    /// Starts a server with these options.
    pub fn with(options: Options) -> Self {
        Self::try_with(options)
            .unwrap_or_else(|(status, logs)| panic!("the server ended ({status}) at start: {logs}"))
    }

    /// Starts a server, or gives how it ended and its standard error.
    ///
    /// # Errors
    /// When the process ends before it listens.
    pub fn try_with(options: Options) -> Result<Self, (ExitStatus, String)> {
        let temporary =
            options.data.is_none().then(|| TempDir::new().expect("a temporary folder can be made"));
        let folder = match (&options.data, &temporary) {
            (Some(path), _) => path.clone(),
            (None, Some(folder)) => folder.path().join("data"),
            (None, None) => unreachable!("one of the two is there"),
        };
        Self::spawn(options, folder, temporary)
    }

    fn spawn(
        options: Options,
        folder: PathBuf,
        temporary: Option<TempDir>,
    ) -> Result<Self, (ExitStatus, String)> {
        let mut command = Command::new(command::binary());
        command.args(["serve", "--listen", "127.0.0.1:0", "--log", "json", "--data"]).arg(&folder);
        if options.development {
            command.arg("--development");
        }
        if !options.base_path.is_empty() {
            command.args(["--base-path", &options.base_path]);
        }
        for name in command::foreign_variables() {
            command.env_remove(name);
        }
        if cluster::is_wanted() {
            command.args(cluster::arguments(&folder));
        }
        command.args(&options.arguments).envs(options.environment.clone());
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary can be started");
        let (tell, told) = mpsc::channel();
        let stdout = drain(child.stdout.take().expect("stdout is piped"), None);
        let stderr = drain(child.stderr.take().expect("stderr is piped"), Some(tell));
        // The channel closes when standard error does, that is, when the process ends.
        match told.recv_timeout(START_LIMIT) {
            Ok(address) => {
                let http = reqwest::Client::builder()
                    .no_proxy()
                    .redirect(reqwest::redirect::Policy::none())
                    .build()
                    .expect("a client without TLS can be made");
                Ok(Self { child, http, address, options, folder, temporary, stdout, stderr })
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let status = child.wait().expect("the child can be waited for");
                Err((status, stderr.text()))
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                child.kill().expect("the child can be killed");
                panic!("the server did not say `listening` within {START_LIMIT:?}: {}", stderr.text());
            }
        }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `http://127.0.0.1:PORT` and the base path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{}{path}", self.address, self.options.base_path)
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.folder
    }

    /// Standard error so far: the log.
    pub fn log(&self) -> String {
        self.stderr.text()
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A number that the kernel tells of the process in `/proc/PID/status`: a count, or KiB.
    pub fn vital(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))
            .unwrap_or_else(|e| panic!("the server is gone ({e}): {}", self.log()));
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no {name} in {status}"))
    }

    /// Asks the server to stop (SIGTERM), and waits until it has said its last.
    pub fn stop(mut self) -> Stopped {
        self.terminate();
        let status = self.child.wait().expect("the child can be waited for");
        Stopped { status, log: self.stderr.finish(), banner: self.stdout.finish() }
    }

    /// Stops the server and starts it again with the same data folder and options. Its clock goes on where the store's latest
    /// decision was, if that is ahead of real time.
    pub fn restart(mut self) -> Self {
        self.terminate();
        let _ = self.child.wait();
        self.again()
    }

    /// Kills the server (SIGKILL) and starts it again with the same data folder and options.
    pub fn crash(mut self) -> Self {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.again()
    }

    fn again(mut self) -> Self {
        Self::spawn(self.options.clone(), self.folder.clone(), self.temporary.take()).unwrap_or_else(
            |(status, logs)| panic!("the server ended ({status}) at its second start: {logs}"),
        )
    }

    fn terminate(&self) {
        self.signal("-TERM");
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([name, &pid]).status().expect("kill can be run");
        assert!(status.success(), "the server was not there any more: {}", self.log());
    }

    /// Asks the server to read its settings again (SIGHUP), waits until it has, and gives what it said meanwhile.
    pub async fn reload(&self) -> String {
        // The last thing that it does, whatever comes of it.
        const DONE: &str = "read again";
        let before = self.log().len();
        self.signal("-HUP");
        let is_done =
            |said: &String| said.lines().any(|line| line.contains("master keys") && line.contains(DONE));
        let said = async || Some(self.log()[before..].to_owned()).filter(is_done);
        self.eventually("settings that are read again", said).await
    }

    /// Looks again and again until there is something, and gives it. When that takes too long, it fails, and shows the log.
    pub async fn eventually<T>(&self, what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
        eventually(|| format!("{what}; the log: {}", self.log()), look).await
    }

    /// Waits until the log has this text.
    pub async fn logged(&self, text: &str) {
        let is_there = async || self.log().contains(text).then_some(());
        self.eventually(&format!("`{text}` in the log"), is_there).await;
    }

    /// Waits until `/readyz` answers with this status.
    pub async fn readyz_says(&self, status: u16) {
        let is_said = async || (self.get("/readyz").await.status == status).then_some(());
        self.eventually(&format!("{status} of /readyz"), is_said).await;
    }

    /// A call of any method; the path is without the base path.
    pub fn call(&self, method: Method, path: &str) -> Call {
        Call::new(&self.http, method, self.url(path))
    }

    /// A GET call.
    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    /// A POST call without a body.
    pub fn post(&self, path: &str) -> Call {
        self.call(Method::POST, path)
    }

    /// The server's time, in Unix seconds.
    pub async fn now(&self) -> u64 {
        clock::unix(&self.get("/development/clock/").await.ok().text("now"))
    }

    /// The server's time step.
    pub async fn step(&self) -> u64 {
        self.now().await / clock::STEP
    }

    /// Moves the server's clock forward, and gives the new time.
    pub async fn advance(&self, seconds: u64) -> u64 {
        let answer = self.post("/development/clock/").json(json!({"advance_seconds": seconds})).await;
        clock::unix(&answer.ok().text("now"))
    }

    /// Moves the clock to the start of the next step, so that a step is not over before the test has used it;
    /// gives that step.
    pub async fn next_step(&self) -> u64 {
        let now = self.now().await;
        self.advance(clock::STEP - now % clock::STEP).await / clock::STEP
    }

    /// A new app with this enforcement.
    pub async fn app(&self, enforcement: Enforcement) -> App<'_> {
        App::create(self, enforcement).await
    }

    /// Runs `sidekey <arguments> --data <folder> --json` and gives what it printed.
    pub async fn command<const N: usize>(&self, arguments: [&str; N]) -> Value {
        let data = self.folder.to_str().expect("the temporary folder's name is UTF-8");
        let all = arguments.into_iter().chain(["--data", data, "--json"]);
        command::run(all).await.ok().json()
    }

    /// The entries of the audit trail that these arguments choose, one JSON object a line.
    pub async fn audit(&self, arguments: &[&str]) -> String {
        let data = self.folder.to_str().expect("the temporary folder's name is UTF-8");
        let mut all = vec!["audit", "--data", data, "--json"];
        all.extend(arguments);
        command::run(all).await.ok().stdout
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Capture {
    fn text(&self) -> String {
        self.text.lock().expect("no reader panicked").clone()
    }

    /// The whole text, once the other end is closed.
    fn finish(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("no reader panicked");
        }
        self.text()
    }
}

/// Reads a pipe to its end, so that it never fills, and tells the address of the `listening` line.
fn drain(pipe: impl Read + Send + 'static, mut tell: Option<mpsc::Sender<String>>) -> Capture {
    let text = Arc::new(Mutex::new(String::new()));
    let keep = Arc::clone(&text);
    let reader = std::thread::spawn(move || {
        let mut lines = BufReader::new(pipe);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let line_text = String::from_utf8_lossy(&line).into_owned();
            keep.lock().expect("no reader panicked").push_str(&line_text);
            if let Some(address) = listening(&line_text)
                && let Some(tell) = tell.take()
            {
                let _ = tell.send(address);
            }
            line.clear();
        }
    });
    Capture { text, reader: Some(reader) }
}

/// The address in the log line that says `listening`.
fn listening(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    // tracing's JSON puts the event's own members under `fields`, unless it is told to flatten them.
    let event = if line.get("fields").is_some() { &line["fields"] } else { &line };
    (event["message"] == "listening").then(|| event["address"].as_str().map(String::from))?
}
