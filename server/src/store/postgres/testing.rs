//! A real `PostgreSQL` for tests: one server for all tests of a process, in a temporary folder, on a socket only.
//!
//! `SIDEKEY_TEST_POSTGRES` may name a running one instead, as a URL of somebody who may make databases.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio_postgres::{Config, NoTls};

use super::connect::Options;

/// The address of a server of this process, or of the one that the environment names.
fn server() -> &'static str {
    static SERVER: OnceLock<String> = OnceLock::new();
    SERVER.get_or_init(|| std::env::var("SIDEKEY_TEST_POSTGRES").unwrap_or_else(|_| start()))
}

/// A new, empty database on a server of its own, for tests that change the server's settings.
pub(crate) async fn database_of_its_own() -> Options {
    database_on(&start()).await
}

/// A new, empty database, and how to reach it.
pub(crate) async fn database() -> Options {
    database_on(server()).await
}

async fn database_on(server: &str) -> Options {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("unit_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut config: Config = server.parse().unwrap();
    let (client, connection) = config.connect(NoTls).await.expect("the server takes connections");
    let running = tokio::spawn(connection);
    client.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    drop(client);
    running.await.unwrap().unwrap();
    config.dbname(name);
    Options { config, tls: None, pool_size: 8, volatile: true }
}

/// The folder of the server's programs: Debian keeps them out of the path.
fn programs() -> PathBuf {
    let has_all = |folder: &PathBuf| ["initdb", "pg_ctl"].iter().all(|program| folder.join(program).exists());
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let debian = debian.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).filter(has_all).max();
    let path = || std::env::split_paths(&std::env::var_os("PATH")?).find(has_all);
    debian.or_else(path).expect(
        "PostgreSQL's server programs are needed for these tests: install Debian's `postgresql`, or name a running \
         server with SIDEKEY_TEST_POSTGRES",
    )
}

fn start() -> String {
    let programs = programs();
    let folder = tempfile::Builder::new().prefix("sidekey-pg").tempdir().unwrap().keep();
    // PostgreSQL refuses to run as root, and Debian's package has made a user for it.
    let is_root = rustix::process::geteuid().is_root();
    let run = |program: &str| {
        let program = programs.join(program);
        if !is_root {
            return Command::new(program);
        }
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    };
    if is_root {
        let owned = Command::new("chown").arg("postgres").arg(&folder).status().unwrap();
        assert!(owned.success(), "there is no user `postgres`");
    }
    let (data, log) = (folder.join("data"), folder.join("log"));
    let made =
        run("initdb").args(["--no-sync", "-U", "sidekey", "-A", "trust", "-D"]).arg(&data).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    // Nothing is promised to anybody here, so syncs are left out.
    let settings =
        format!("-k {} -c listen_addresses= -c fsync=off -c max_connections=200", folder.display());
    let started = run("pg_ctl")
        .args(["start", "-w", "-D"])
        .arg(&data)
        .arg("-l")
        .arg(&log)
        .args(["-o", &settings])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(started.success(), "{}", std::fs::read_to_string(&log).unwrap_or_default());
    stop_afterwards(&run("pg_ctl"), &data, &folder);
    format!("host={} user=sidekey dbname=postgres", folder.display())
}

/// Leaves a shell behind that stops the server when this process ends, however it does: the shell's input ends with it.
fn stop_afterwards(pg_ctl: &Command, data: &Path, folder: &Path) {
    let words = std::iter::once(pg_ctl.get_program()).chain(pg_ctl.get_args());
    let pg_ctl = words.map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ");
    let script = format!(
        "read _; {pg_ctl} stop -m immediate -D {} >/dev/null 2>&1; rm -rf {}",
        data.display(),
        folder.display()
    );
    let shell = Command::new("setsid")
        .args(["sh", "-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn();
    let mut input = shell.unwrap().stdin.unwrap();
    input.flush().unwrap();
    std::mem::forget(input);
}
