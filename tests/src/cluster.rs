//! A real `PostgreSQL`, in which servers under test keep everything where `SIDEKEY_TEST_ENGINE` is `postgres`.
//!
//! One for all tests of a process, in a temporary folder, on a socket only.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

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

    /// Runs a statement, and gives what it says.
    pub fn run_sql(&self, database: &str, sql: &str) -> String {
        let output = Command::new(self.programs.join("psql"))
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "sidekey",
                "-d",
                database,
                "-c",
                sql,
            ])
            .arg("-h")
            .arg(&self.folder)
            .output()
            .expect("psql can be run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Stops the server without a warning to anybody, as a crash would.
    pub fn crash(&self) {
        self.control(&["stop", "-m", "immediate"]);
    }

    /// Starts it again after [`crash`](Self::crash).
    pub fn start_again(&self) {
        self.control(&["start"]);
    }

    /// One of its own.
    pub fn start() -> Self {
        let folder =
            tempfile::Builder::new().prefix("sidekey-pg").tempdir().expect("a temporary folder can be made");
        let server = Self { programs: programs(), folder: folder.keep() };
        if is_root() {
            let owned = Command::new("chown").arg("postgres").arg(&server.folder).status();
            assert!(owned.expect("chown can be run").success(), "there is no user `postgres`");
        }
        let made = server
            .command("initdb")
            .args(["--no-sync", "-U", "sidekey", "-A", "trust", "-D"])
            .arg(server.folder.join("data"))
            .output()
            .expect("initdb can be run");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let settings = format!(
            "\nunix_socket_directories = '{}'\nlisten_addresses = ''\nfsync = off\nmax_connections = 400\n",
            server.folder.display()
        );
        let file = server.folder.join("data/postgresql.conf");
        let before = fs::read_to_string(&file).expect("initdb has written its settings");
        fs::write(&file, before + &settings).expect("the settings can be written");
        server.start_again();
        server.stop_afterwards();
        server
    }

    fn control(&self, arguments: &[&str]) {
        let status = self
            .command("pg_ctl")
            .args(arguments)
            .args(["-w", "-D"])
            .arg(self.folder.join("data"))
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
