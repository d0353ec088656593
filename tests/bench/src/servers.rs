//! The processes that are measured: Sidekey's server on a store of its own, and the ceiling.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde_json::Value;

use crate::clock;
use crate::connection::{Connection, Request};
use crate::failure::{Failure, Outcome};

/// A start, or a stop, that takes longer has failed.
const LIMIT: Duration = Duration::from_mins(2);
/// Between two looks whether a server answers.
const LOOK: Duration = Duration::from_micros(500);
/// The application of the users.
const APP: &str = "bench";

/// A process that ends with this value.
pub struct Process(Child);

impl Process {
    /// Its id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The ceiling: this program once more, as a server.
///
/// # Errors
/// It does not start.
pub fn ceiling() -> Outcome<(Process, SocketAddr)> {
    let failed = || "cannot start the ceiling";
    let program = std::env::current_exe().map_err(Failure::because(failed()))?;
    let mut child = Command::new(program)
        .arg("ceiling")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Failure::because(failed()))?;
    let stdout = child.stdout.take();
    let process = Process(child);
    let mut line = String::new();
    if let Some(stdout) = stdout {
        BufReader::new(stdout).read_line(&mut line).map_err(Failure::because(failed()))?;
    }
    let address = line.trim().parse().map_err(Failure::because(failed()))?;
    Ok((process, address))
}

/// A store, its key, and the binary that serves it: with the default settings, behind a trusted proxy, which is the load client.
pub struct Site {
    binary: PathBuf,
    folder: PathBuf,
    address: SocketAddr,
    development: bool,
    /// Where the server keeps everything, if not in its folder.
    engine: Vec<String>,
    /// The API key of the application.
    pub api_key: String,
}

impl Site {
    /// Makes a store in a folder, in which there is nothing yet.
    ///
    /// # Errors
    /// The binary does not do it.
    pub fn make(binary: &Path, folder: &Path, development: bool) -> Outcome<Self> {
        let site = Self::begin(binary, folder, development, Vec::new())?;
        site.with_app()
    }

    /// Another one with the same binary, in a folder of this name within this one's.
    ///
    /// # Errors
    /// The folder cannot be made, or as [`Site::make`].
    pub fn another(&self, name: &str) -> Outcome<Self> {
        let folder = self.path(name);
        fs::create_dir(&folder).map_err(Failure::because(format!("cannot make `{}`", folder.display())))?;
        Self::make(&self.binary, &folder, self.development)
    }

    /// The same in an empty database, by the address that `store.url` takes.
    ///
    /// # Errors
    /// The binary does not do it.
    pub async fn make_in_database(binary: &Path, folder: &Path, url: &str) -> Outcome<Self> {
        let engine = ["--store-engine", "postgres", "--store-url", url].map(str::to_owned).to_vec();
        let site = Self::begin(binary, folder, false, engine)?;
        // What a database holds is made by the server that runs.
        let (server, _) = site.start().await?;
        let site = site.with_app()?;
        server.stop().await?;
        Ok(site)
    }

    fn begin(binary: &Path, folder: &Path, development: bool, engine: Vec<String>) -> Outcome<Self> {
        let site = Self {
            binary: binary.to_owned(),
            folder: folder.to_owned(),
            address: free_port()?,
            development,
            engine,
            api_key: String::new(),
        };
        let settings = format!("[[protect]]\napp = \"{APP}\"\npath = \"/\"\nmax_age = 86400\n");
        let written = fs::write(folder.join("settings.toml"), settings);
        written.map_err(Failure::because(format!("cannot write to `{}`", folder.display())))?;
        site.run(&["keys", "generate", "--out"], &[&site.path("master.key")])?;
        Ok(site)
    }

    fn with_app(mut self) -> Outcome<Self> {
        let app = ["app", "create", "--json", "--name", APP, "--id", APP, "--enforcement", "required"];
        let told: Value = serde_json::from_str(&self.with_store(&app)?)
            .map_err(Failure::because("`sidekey app create` printed something else"))?;
        let key = told.get("api_key").and_then(Value::as_str);
        key.ok_or_else(|| Failure::new("`sidekey app create` gave no key"))?.clone_into(&mut self.api_key);
        Ok(self)
    }

    /// The folder of everything.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of the database.
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// What `sidekey verify` finds: nothing damaged, and so many accounts and entries of the audit trail.
    ///
    /// # Errors
    /// Something is damaged or missing.
    pub fn verify(&self) -> Outcome<Value> {
        let told = self.with_store(&["verify", "--json"])?;
        serde_json::from_str(&told).map_err(Failure::because("`sidekey verify` printed something else"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn with_store(&self, arguments: &[&str]) -> Outcome<String> {
        let (data, key) = (self.data(), self.path("master.key"));
        self.run(arguments, &[Path::new("--data"), &data, Path::new("--master-key-file"), &key])
    }

    fn run(&self, arguments: &[&str], paths: &[&Path]) -> Outcome<String> {
        let shown = format!("`sidekey {}`", arguments.first().unwrap_or(&""));
        let mut command = self.command();
        let output =
            command.args(arguments).args(paths).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.map_err(Failure::because(format!("cannot run {shown}")))?;
        if !output.status.success() {
            return Err(Failure::new(format!("{shown} failed ({})", output.status)));
        }
        String::from_utf8(output.stdout).map_err(Failure::because(format!("{shown} printed no text")))
    }

    /// The binary without the settings of whoever runs this.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        let is_setting = |name: &OsString| name.to_string_lossy().starts_with("SIDEKEY_");
        for name in std::env::vars_os().map(|(name, _)| name).filter(is_setting) {
            command.env_remove(name);
        }
        command
    }

    /// Starts the server, waits for its first answer, and tells how long that took.
    ///
    /// # Errors
    /// It does not answer in time; its log says why.
    pub async fn start(&self) -> Outcome<(Server, Duration)> {
        let log = self.path("server.log");
        let cannot = || format!("cannot start `{}`", self.binary.display());
        let errors = File::create(&log).map_err(Failure::because(cannot()))?;
        let address = self.address.to_string();
        let mut command = self.command();
        command.args(["serve", "--log", "json", "--trusted-proxy", "127.0.0.1", "--listen", &address]);
        command.args(["--public-url", &format!("http://{address}")]);
        command.arg("--data").arg(self.data()).arg("--master-key-file").arg(self.path("master.key"));
        command.arg("--config").arg(self.path("settings.toml")).args(&self.engine);
        if self.development {
            command.arg("--development");
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        let begun = clock::now();
        let mut process = Process(command.spawn().map_err(Failure::because(cannot()))?);
        while !is_ready(self.address).await {
            let ended = process.0.try_wait().map_err(Failure::because(cannot()))?;
            if ended.is_some() || begun.elapsed() > LIMIT {
                return Err(Failure::new(format!("{}: see `{}`", cannot(), log.display())));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok((Server { process, address: self.address, development: self.development }, begun.elapsed()))
    }
}

/// A running server.
pub struct Server {
    process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    development: bool,
}

impl Server {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until so many time steps have begun; in development mode the clock is moved instead.
    ///
    /// # Errors
    /// The clock cannot be moved.
    pub async fn pass(&self, steps: u64) -> Outcome {
        #[derive(Deserialize)]
        struct Moved {
            now: String,
        }
        if !self.development {
            for _ in 0..steps {
                clock::next_step().await;
            }
            return Ok(());
        }
        let body = format!(r#"{{"advance_seconds":{}}}"#, steps * clock::STEP);
        let mut connection = Connection::open(self.address).await?;
        let answer = connection.exchange(Request::post("/development/clock/", "", body.as_bytes())).await?;
        let Moved { now } = answer.json("the clock", 200)?;
        let now: jiff::Timestamp = now.parse().map_err(Failure::because("the clock"))?;
        clock::follow(u64::try_from(now.as_second()).unwrap_or_default());
        Ok(())
    }

    /// Waits until it has looked at all records, which a start after a stop in good order may put off, so that the next start is one
    /// of that kind as well.
    ///
    /// # Errors
    /// It ends before, or does not get through.
    pub async fn looked_through(&self) -> Outcome {
        let begun = clock::now();
        let mut connection = Connection::open(self.address).await?;
        while begun.elapsed() < LIMIT {
            let answer = connection.exchange(Request::get("/metrics", "")).await?;
            answer.expect("the metrics", 200)?;
            if String::from_utf8_lossy(answer.body).contains("\nsidekey_store_looked_through 1\n") {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(Failure::new("the server does not get through its store"))
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Errors
    /// It does not, or says that something has failed.
    pub async fn stop(mut self) -> Outcome {
        let cannot = "cannot stop the server";
        let pid = i32::try_from(self.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| Failure::new(cannot))?;
        kill_process(pid, Signal::TERM).map_err(Failure::because(cannot))?;
        let begun = clock::now();
        loop {
            match self.process.0.try_wait().map_err(Failure::because(cannot))? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    return Err(Failure::new(format!("the server ended with a failure ({status})")));
                }
                None if begun.elapsed() > LIMIT => return Err(Failure::new("the server does not stop")),
                None => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    }
}

async fn is_ready(address: SocketAddr) -> bool {
    let Ok(mut connection) = Connection::open(address).await else { return false };
    let answer = connection.exchange(Request::get("/readyz", "")).await;
    answer.is_ok_and(|answer| answer.status == 200)
}

/// A port that is free now.
fn free_port() -> Outcome<SocketAddr> {
    let listener =
        std::net::TcpListener::bind("127.0.0.1:0").map_err(Failure::because("there is no free port"))?;
    listener.local_addr().map_err(Failure::because("there is no free port"))
}
