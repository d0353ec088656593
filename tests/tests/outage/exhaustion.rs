//! No connection is left: the pool's are all held, or the database takes no more.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Stdio};

use futures_util::future::join_all;
use sidekey_tests::Fleet;
use sidekey_tests::cluster::Postgres;
use sidekey_tests::gate::{Gate, Gatekeeper};

use super::{Ann, is_whole};

/// Somebody else who is connected to the database, until this goes.
struct Stranger(Child);

impl Stranger {
    /// Runs statements and stays; `None` where the database does not let it in.
    fn doing(postgres: &Postgres, database: &str, sql: &str) -> Option<Self> {
        let mut client = postgres.psql(database);
        client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut stranger = Self(client.spawn().expect("psql can be run"));
        let (input, output) = (stranger.0.stdin.as_mut()?, stranger.0.stdout.take()?);
        // One that was not let in does not listen.
        let _ = writeln!(input, "{sql}; SELECT 'done';");
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("its output can be read");
        (line.trim() == "done").then_some(stranger)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_whose_connections_all_wait_is_503_and_goes_on_afterwards() {
    let postgres = Postgres::of_process();
    let address = postgres.database();
    let name = address.rsplit('=').next().expect("the name is last");
    let fleet = Fleet::start(&address, 1, &["--store-pool-size", "2"]).await;
    let server = &fleet.servers[0];
    let ann = Ann::enrolled(server).await;
    let lock = "BEGIN; LOCK TABLE record IN ACCESS EXCLUSIVE MODE";
    let stranger = Stranger::doing(postgres, name, lock).expect("it can be locked");
    let answers = join_all((0..40).map(|number| ann.verify(server, number % 2))).await;
    for answer in answers {
        answer.refused(503, "UNAVAILABLE");
    }
    server.get("/healthz").await.ok();
    drop(stranger);
    fleet.is_ready().await;
    ann.code_is_good(server).await;
    is_whole(&fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_takes_no_more_connections_is_503_until_it_does() {
    let postgres = Postgres::durable(&["max_connections = 12"], Vec::new());
    let gate = Gatekeeper::before(postgres.folder()).await;
    let address = gate.address(&postgres.database());
    let further = ["--store-tls", "disable", "--store-pool-size", "2"];
    let fleet = Fleet::start(&address, 1, &further).await;
    let server = &fleet.servers[0];
    let ann = Ann::enrolled(server).await;
    // While the server's connections are gone, others take the room.
    gate.set(Gate::Shut);
    postgres.wait_until("SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'sidekey'");
    let strangers: Vec<Stranger> =
        std::iter::from_fn(|| Stranger::doing(&postgres, "postgres", "SELECT 1 WHERE false")).collect();
    assert!(!strangers.is_empty());
    gate.set(Gate::Open);
    ann.verify(server, 0).await.refused(503, "UNAVAILABLE");
    fleet.is_not_ready().await;
    drop(strangers);
    fleet.is_ready().await;
    ann.code_is_good(server).await;
    is_whole(&fleet).await;
}
