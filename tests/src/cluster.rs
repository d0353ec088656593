//! A real `PostgreSQL` in a temporary folder, on a socket only.
//!
//! One for all tests of a process, in which servers under test keep everything where `SIDEKEY_TEST_ENGINE` is `postgres`; and
//! others that lose power, wait for a standby, or hand over to it.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::wait::eventually_blocking;

/// Where a data folder remembers its database.
const NOTE: &str = "test-database";

/// Whether servers are tested over a database.
pub fn is_wanted() -> bool {
    std::env::var("SIDEKEY_TEST_ENGINE").is_ok_and(|engine| engine == "postgres")
}

/// The arguments of `serve` for the database of a data folder: the one that it had, or a new one.
pub fn arguments(data: &Path) -> [String; 4] {
    let note = data.join(NOTE);
    let database = fs::read_to_string(&note).unwrap_or_else(|_| {
        let database = Postgres::of_process().database();
        DirBuilder::new().recursive(true).mode(0o700).create(data).expect("the data folder can be made");
        fs::write(note, &database).expect("the data folder takes a file");
        database
    });
    ["--store-engine", "postgres", "--store-url", &database].map(str::to_owned)
}

/// A running database server.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    folder: PathBuf,
    environment: Vec<(String, String)>,
}

/// All processes of a database server, stopped where they are until this goes.
#[derive(Debug)]
pub struct Frozen(Vec<u32>);

impl Drop for Frozen {
    fn drop(&mut self) {
        signal("-CONT", &self.0);
    }
}

impl Postgres {
    /// The one of this process.
    pub fn of_process() -> &'static Self {
        static SERVER: OnceLock<Postgres> = OnceLock::new();
        SERVER.get_or_init(Self::start)
    }

    /// The address of a new database.
    pub fn database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.run_sql("postgres", &format!("CREATE DATABASE {name}"));
        format!("host={} user=sidekey dbname={name}", self.folder.display())
    }

    /// The folder of its socket.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// One of the programs that came with it.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// Runs a statement, and gives what it says.
    pub fn run_sql(&self, database: &str, sql: &str) -> String {
        let output = self.psql(database).args(["-c", sql]).output().expect("psql can be run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// A client that is connected as long as its input is open.
    pub fn psql(&self, database: &str) -> Command {
        let mut command = Command::new(self.programs.join("psql"));
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "sidekey", "-d", database]);
        command.arg("-h").arg(&self.folder);
        command
    }

    /// Stops the server without a warning to anybody, as a crash would.
    pub fn crash(&self) {
        self.control(&["stop", "-m", "immediate"]);
    }

    /// Stops the server as [`crash`](Self::crash), unless it has ended by itself, and starts it again.
    pub fn restart(&self) {
        let mut stop = self.command("pg_ctl");
        stop.args(["stop", "-m", "immediate", "-w", "-D"]).arg(self.data());
        // Whether there was one to be stopped does not matter.
        let _ = stop.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("pg_ctl can be run");
        self.start_again();
    }

    /// Starts it again after [`crash`](Self::crash).
    pub fn start_again(&self) {
        self.control(&["start"]);
    }

    /// One of its own, quick and careless: it syncs nothing.
    pub fn start() -> Self {
        Self::with(&["fsync = off", "max_connections = 400"], Vec::new())
    }

    /// One that is as careful as in earnest, with these settings and this environment.
    pub fn durable(settings: &[&str], environment: Vec<(String, String)>) -> Self {
        Self::with(settings, environment)
    }

    fn with(settings: &[&str], environment: Vec<(String, String)>) -> Self {
        let mut server = Self::in_new_folder();
        let made = server
            .command("initdb")
            .args(["--no-sync", "-U", "sidekey", "-A", "trust", "-D"])
            .arg(server.data())
            .output()
            .expect("initdb can be run");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server.environment = environment;
        server.set(settings);
        server.start_again();
        server.stop_afterwards();
        server
    }

    fn in_new_folder() -> Self {
        let folder =
            tempfile::Builder::new().prefix("sidekey-pg").tempdir().expect("a temporary folder can be made");
        let server = Self { programs: programs(), folder: folder.keep(), environment: Vec::new() };
        if is_root() {
            let owned = Command::new("chown").arg("postgres").arg(&server.folder).status();
            assert!(owned.expect("chown can be run").success(), "there is no user `postgres`");
        }
        server
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Adds settings, of which the last counts.
    fn set(&self, settings: &[&str]) {
        let file = self.data().join("postgresql.conf");
        let mut all = fs::read_to_string(&file).expect("initdb has written its settings");
        let place = format!("unix_socket_directories = '{}'", self.folder.display());
        for setting in [&[&place[..], "listen_addresses = ''"], settings].concat() {
            all.push('\n');
            all.push_str(setting);
        }
        all.push('\n');
        fs::write(&file, all).expect("the settings can be written");
    }

    /// A new standby that this one waits for from now on.
    pub fn standby(&self) -> Self {
        let standby = Self::in_new_folder();
        standby.stop_afterwards();
        standby.follow(self);
        standby
    }

    /// Becomes a standby that the other one waits for from now on: nothing is acknowledged that only one of the two has on its
    /// disk. What it had itself is lost.
    pub fn follow(&self, primary: &Self) {
        let _ = fs::remove_dir_all(self.data());
        let copied = self
            .command("pg_basebackup")
            .args(["-R", "--no-sync", "-c", "fast", "-U", "sidekey", "-h"])
            .arg(&primary.folder)
            .arg("-D")
            .arg(self.data())
            .output()
            .expect("pg_basebackup can be run");
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        self.set(&[]);
        self.start_again();
        // Only now, so that the standby has not the setting when it is a primary itself.
        primary.run_sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
        primary.run_sql("postgres", "SELECT pg_reload_conf()");
        primary.has_synchronous_standby();
    }

    /// Waits until a standby has all that is committed.
    pub fn has_synchronous_standby(&self) {
        self.wait_until("SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'");
    }

    /// Waits until this is true.
    pub fn wait_until(&self, sql: &str) {
        eventually_blocking(sql, || self.run_sql("postgres", sql) == "t");
    }

    /// Makes a standby the primary.
    pub fn promote(&self) {
        self.control(&["promote"]);
    }

    /// Kills all processes at once (SIGKILL), as if the machine were gone.
    pub fn kill(&self) {
        // First stopped, so that no new one appears meanwhile.
        let frozen = self.freeze();
        signal("-KILL", &frozen.0);
        let is_gone = |pid: &u32| {
            let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // After the name in brackets stands the state; nobody else may have to reap it.
            status.rsplit(") ").next().is_none_or(|rest| rest.is_empty() || rest.starts_with('Z'))
        };
        eventually_blocking("all processes are gone", || frozen.0.iter().all(is_gone));
        // A process that nobody has reaped yet would be taken for one that runs.
        for left in [self.data().join("postmaster.pid"), self.folder.join(".s.PGSQL.5432.lock")] {
            let _ = fs::remove_file(left);
        }
    }

    /// Stops all processes where they are (SIGSTOP): connections stay, and nothing answers.
    pub fn freeze(&self) -> Frozen {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).expect("the database server runs");
        let main: u32 =
            file.lines().next().and_then(|line| line.parse().ok()).expect("its first line is a number");
        signal("-STOP", &[main]);
        let children = children(main);
        signal("-STOP", &children);
        Frozen([vec![main], children].concat())
    }

    fn control(&self, arguments: &[&str]) {
        let status = self
            .command("pg_ctl")
            .envs(self.environment.clone())
            .args(arguments)
            .args(["-w", "-D"])
            .arg(self.data())
            .arg("-l")
            .arg(self.folder.join("log"))
            .stdout(Stdio::null())
            .status()
            .expect("pg_ctl can be run");
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        assert!(status.success(), "pg_ctl {arguments:?}: {log}");
    }

    /// `PostgreSQL` refuses to run as root, and Debian's package has made a user for it.
    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        if !is_root() {
            return Command::new(program);
        }
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    }

    /// Leaves a shell behind that stops the server when this process ends, however it does: the shell's input ends with it.
    fn stop_afterwards(&self) {
        let stop = self.command("pg_ctl");
        let words = std::iter::once(stop.get_program()).chain(stop.get_args());
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        let (stop, folder) = (words.join(" "), self.folder.display());
        let script =
            format!("read _; {stop} stop -m immediate -D {folder}/data >/dev/null 2>&1; rm -rf {folder}");
        let input = Command::new("setsid")
            .args(["sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("a shell can be started")
            .stdin;
        std::mem::forget(input);
    }
}

fn signal(name: &str, processes: &[u32]) {
    let numbers = processes.iter().map(ToString::to_string);
    // Those that have ended meanwhile are no mistake.
    let _ =
        Command::new("kill").arg(name).args(numbers).stderr(Stdio::null()).status().expect("kill can be run");
}

/// The processes that this one has started.
fn children(of: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("/proc can be read").filter_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let status = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let parent = status.rsplit(") ").next()?.split(' ').nth(1)?;
        (parent == of.to_string()).then_some(pid)
    });
    processes.collect()
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// The folder of the server's programs: Debian keeps them out of the path.
fn programs() -> PathBuf {
    let has_all =
        |folder: &PathBuf| ["initdb", "pg_ctl", "psql"].iter().all(|program| folder.join(program).exists());
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let debian = debian.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).filter(has_all).max();
    let path = || std::env::split_paths(&std::env::var_os("PATH")?).find(has_all);
    debian.or_else(path).expect(
        "PostgreSQL's server programs are needed: `cargo xtask test --only setup` gets them, or says how",
    )
}
