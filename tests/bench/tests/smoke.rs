//! The load client and the server go together: everything is done once, every answer is checked, and no number is looked at.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

#[test]
fn everything_is_measured_and_every_answer_is_right() {
    let server = std::env::var_os("SIDEKEY_BIN").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/release/sidekey"),
        PathBuf::from,
    );
    let folder = tempfile::TempDir::new().unwrap();
    let docs = folder.path().join("docs");
    std::fs::create_dir(&docs).unwrap();
    std::fs::copy(
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/performance.md"),
        docs.join("performance.md"),
    )
    .unwrap();

    let mut bench = Command::new(env!("CARGO_BIN_EXE_sidekey-bench"));
    bench
        .args(["run", "--smoke", "--server"])
        .arg(server)
        .arg("--folder")
        .arg(folder.path())
        .arg("--docs")
        .arg(&docs);
    let done = bench.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));

    let told: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("bench.json")).unwrap()).unwrap();
    let measured = told["measured"].as_array().unwrap();
    for kind in ["syncs", "fixed", "echo", "logins", "verifies", "decisions", "refreshes", "enrolments"] {
        let of_kind = measured.iter().filter(|measured| measured["kind"] == kind);
        assert!(
            of_kind.clone().count() > 0 && of_kind.clone().all(|m| m["done"].as_u64() > Some(0)),
            "{kind}: {told}"
        );
    }
    let accounts: Vec<_> =
        told["stores"].as_array().unwrap().iter().map(|store| &store["accounts"]).collect();
    assert_eq!(accounts, [0, 200, 1_500, 2_000], "empty, as small as most are, usual, large");
    let target = told["targets"].as_array().unwrap().iter();
    let memory = told["stores"][1]["memory_most"].as_f64().unwrap() / 1_000_000.0;
    let was: Vec<_> =
        target.filter(|t| t["what"] == "memory under load, small store").map(|t| &t["was"]).collect();
    assert_eq!(was, [&format!("{memory:.1} MB")], "that of the one as small as most are");
    let page = std::fs::read_to_string(docs.join("performance.md")).unwrap();
    assert!(page.contains("smoke run") && page.contains("| token refresh |"), "{page}");
    let chart = std::fs::read_to_string(docs.join("performance.svg")).unwrap();
    assert!(chart.starts_with("<svg") && chart.contains("forward-auth decision"), "{chart}");
    assert!(!folder.path().join("store").exists(), "it leaves no store behind");
}
