//! The database's disk fails: its write-ahead log can be written no more, or not be synced. It panics, and cannot come up again
//! until the disk is mended.
//!
//! The disk is `tests/faults/faults.c`, an `LD_PRELOAD` library in C.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sidekey_tests::cluster::Postgres;
use sidekey_tests::{Fleet, native};
use tempfile::TempDir;

use super::{Ann, is_whole};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// A folder that the database's user may look into, with the library.
fn prepared() -> TempDir {
    let open = std::fs::Permissions::from_mode(0o755);
    let folder = tempfile::Builder::new().permissions(open).tempdir().expect("a folder can be made");
    native::compile(
        "faults",
        &["faults.c"],
        &folder.path().join("libfaults.so"),
        &["-shared", "-fPIC", "-ldl"],
    );
    folder
}

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

async fn fails(what: &str, error: i32) {
    let folder = prepared();
    let switch = folder.path().join("switch");
    let environment = [
        ("LD_PRELOAD", text(&folder.path().join("libfaults.so"))),
        ("FAULTS_FILE", "/pg_wal/".to_owned()),
        ("FAULTS_SWITCH", text(&switch)),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let postgres = Postgres::durable(&[], environment);
    let fleet = Fleet::start(&postgres.database(), 1, &[]).await;
    let server = &fleet.servers[0];
    let ann = Ann::enrolled(server).await;
    std::fs::write(&switch, format!("{what} {error}")).expect("written");
    ann.verify(server, 0).await.refused(503, "UNAVAILABLE");
    fleet.is_not_ready().await;
    server.get("/healthz").await.ok();
    std::fs::remove_file(&switch).expect("removed");
    postgres.restart();
    fleet.is_ready().await;
    // What was written and not synced may be there, and nobody was told: it happened or not, and counts once.
    if ann.status(server, 0).await == "verified" {
        ann.code_is_used(server).await;
    } else {
        ann.code_is_good(server).await;
    }
    is_whole(&fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_503_until_there_is_room() {
    fails("write", ENOSPC).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_does_not_sync_is_503_until_it_does() {
    fails("sync", EIO).await;
}
