//! Logins and verifies over `PostgreSQL`, beside what pgbench gets out of the same server with a transaction of the same size.
//!
//! The server is one of the run's own, in a temporary folder and as careful as it comes: it syncs. Client, Sidekey and database
//! share the processors, and so do pgbench and the database.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;

use sidekey_tests::cluster::Postgres;
use tokio::process::Command;

use crate::failure::{Failure, Outcome};
use crate::machine::Machine;
use crate::plan::DATABASE;
use crate::report;
use crate::rounds::{self, Beside};
use crate::servers::Site;

/// What pgbench works on: rows as many and as large as accounts and their sessions, and a log.
const TABLES: &str =
    "CREATE TABLE record (key bytea PRIMARY KEY, version bigint NOT NULL, value bytea NOT NULL);
    CREATE TABLE log (subject bytea, place bigint, at bigint, entry bytea);
    INSERT INTO record SELECT decode(lpad(to_hex(n), 40, '0'), 'hex'), n, decode(repeat('5a', 300), 'hex')
        FROM generate_series(1, 120000) AS n;
    VACUUM ANALYZE record";
/// What a verify is to a database: two rows locked and looked at, two written, two added; in one round trip.
const SCRIPT: &str = "\\set account random(1, 60000)
\\set session random(60001, 120000)
\\startpipeline
BEGIN;
SELECT key, version FROM record WHERE key IN (decode(lpad(to_hex(:account::int), 40, '0'), 'hex'), decode(lpad(to_hex(:session::int), 40, '0'), 'hex')) ORDER BY key FOR UPDATE;
UPDATE record SET version = :session::int, value = decode(repeat('5b', 300), 'hex') WHERE key = decode(lpad(to_hex(:account::int), 40, '0'), 'hex');
UPDATE record SET version = :account::int, value = decode(repeat('5c', 100), 'hex') WHERE key = decode(lpad(to_hex(:session::int), 40, '0'), 'hex');
INSERT INTO log VALUES (decode(lpad(to_hex(:account::int), 40, '0'), 'hex'), 1, :session::int, decode(repeat('5d', 300), 'hex')), (decode(lpad(to_hex(:session::int), 40, '0'), 'hex'), 2, :account::int, decode(repeat('5d', 300), 'hex'));
COMMIT;
\\endpipeline
";
/// Around what is replaced in the documentation.
const MARKS: (&str, &str) =
    ("<!-- database: written by `cargo xtask bench postgres --write` -->\n", "<!-- end of database -->\n");

/// Measures, prints the table, and puts it into the folder of the documentation if one is given.
///
/// # Errors
/// A program is missing or fails, or an answer is not what it should be.
pub async fn run(binary: &Path, docs: Option<&Path>) -> Outcome {
    let folder = tempfile::tempdir().map_err(Failure::because("there is no temporary folder"))?;
    let machine = Machine::here(folder.path());
    eprintln!("starting PostgreSQL …");
    let (server, tables) = tokio::task::spawn_blocking(|| {
        let server = Postgres::durable(&["max_connections = 200", "shared_buffers = 512MB"], Vec::new());
        let tables = server.database();
        let name = tables.rsplit('=').next().unwrap_or_default().to_owned();
        // One statement each: VACUUM runs in no transaction.
        TABLES.split(";\n").for_each(|statement| drop(server.run_sql(&name, statement)));
        (server, name)
    })
    .await
    .map_err(Failure::because("PostgreSQL does not start"))?;
    let script = folder.path().join("transaction.sql");
    std::fs::write(&script, SCRIPT).map_err(Failure::because("cannot write pgbench's script"))?;
    let pgbench = async |connections: usize| pgbench(&server, &tables, &script, connections).await;

    let site = Site::make_in_database(binary, folder.path(), &server.database()).await?;
    let all = rounds::beside(DATABASE, &site, pgbench).await?;
    let table = markdown(&all, &machine);
    println!("{table}");
    docs.map_or(Ok(()), |docs| report::replace(&docs.join("performance.md"), MARKS, &table))
}

/// Transactions a second.
async fn pgbench(server: &Postgres, database: &str, script: &Path, connections: usize) -> Outcome<f64> {
    let (seconds, connections) = (DATABASE.stage.as_secs().to_string(), connections.to_string());
    let mut command = Command::new(server.program("pgbench"));
    command.args(["-n", "-M", "prepared", "-U", "sidekey", "-j", "1", "-c", &connections, "-T", &seconds]);
    command.arg("-h").arg(server.folder()).arg("-f").arg(script).arg(database);
    let output =
        command.stdin(Stdio::null()).output().await.map_err(Failure::because("cannot run pgbench"))?;
    let told = String::from_utf8_lossy(&output.stdout);
    let rate = told.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    let rate = rate.filter(|_| output.status.success());
    let rate = rate.ok_or_else(|| {
        Failure::new(format!("pgbench failed: {}", String::from_utf8_lossy(&output.stderr).trim()))
    })?;
    eprintln!("  pgbench    {connections:>4} connections  {rate:>9.0} a second");
    Ok(rate)
}

fn markdown(all: &[Beside], machine: &Machine) -> String {
    let noise =
        if machine.was_quiet() { "" } else { " **The machine was not quiet**, so only ratios count." };
    let mut text = format!(
        "{} × {}, {}, Linux {}, everything on one machine.{noise}\n\n\
         | connections | pgbench a second | logins a second | verifies a second | of pgbench | p50 ms | p99 ms |\n\
         |---:|---:|---:|---:|---:|---:|---:|\n",
        machine.processors, machine.processor, machine.file_system, machine.kernel
    );
    for Beside { connections, pgbench: [before, after], logins, verifies } in all {
        let pgbench = f64::midpoint(*before, *after);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {connections} | {pgbench:.0} | {:.0} | {:.0} | {:.2} | {:.2} | {:.2} |",
            logins.per_second,
            verifies.per_second,
            verifies.per_second / pgbench,
            verifies.p50_ms,
            verifies.p99_ms
        );
    }
    text
}
