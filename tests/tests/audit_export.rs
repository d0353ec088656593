//! An export of the audit trail that is checked where no server is: by `sidekey audit check`, and here once more by its documented
//! layout alone.

use std::fs;
use std::path::Path;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use sidekey_tests::command::{Finished, run};
use sidekey_tests::{Enforcement, Options, Server, Value};
use tempfile::TempDir;

/// A server that has enrolled these users.
async fn server_with(users: &[&str], data: &Path) -> Server {
    let server = Server::with(Options { data: Some(data.to_owned()), ..Options::default() });
    let app = server.app(Enforcement::Optional).await;
    for user in users {
        app.enrol(user).await;
    }
    server
}

async fn export(data: &Path, out: &Path, more: &[&str]) -> Finished {
    let (data, out) = (data.to_str().unwrap(), out.to_str().unwrap());
    let all = ["audit", "--data", data, "--with-hashes", "--out", out];
    run(all.into_iter().chain(more.iter().copied())).await
}

async fn check(files: &[&Path]) -> Finished {
    let files = files.iter().map(|file| file.to_str().unwrap());
    run(["audit", "check", "--json"].into_iter().chain(files)).await
}

/// The chain as docs/operations.md tells it.
fn chained(lines: &[Value]) -> String {
    let (first, entries) = (&lines[0], &lines[1..lines.len() - 1]);
    let mut hash = HEXLOWER.decode(first["hash"].as_str().unwrap().as_bytes()).unwrap();
    for (entry, number) in entries.iter().zip(first["after"].as_u64().unwrap() + 1..) {
        assert_eq!(entry["sequence"], number);
        let stored = entry["stored"].as_str().unwrap();
        hash = Sha256::new()
            .chain_update(&hash)
            .chain_update(number.to_be_bytes())
            .chain_update(stored)
            .finalize()
            .to_vec();
        assert_eq!(entry["hash"], HEXLOWER.encode(&hash));
    }
    HEXLOWER.encode(&hash)
}

fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn an_export_proves_itself_and_a_changed_one_is_found_out() {
    let folder = TempDir::new().unwrap();
    let (data, first) = (folder.path().join("data"), folder.path().join("first.jsonl"));
    let server = server_with(&["ann", "bob"], &data).await;
    export(&data, &first, &[]).await.ok();
    let told = lines(&first);
    let last = told.last().unwrap();
    assert_eq!((&told[0]["after"], last["hash"].as_str()), (&0.into(), Some(chained(&told).as_str())));
    assert_eq!(last["entries"], told.len() as u64 - 2);
    let checked = check(&[&first]).await.ok().json();
    assert_eq!((&checked[0]["hash"], &checked[0]["entries"]), (&last["hash"], &last["entries"]));

    let changed = folder.path().join("changed.jsonl");
    let text = fs::read_to_string(&first).unwrap();
    fs::write(&changed, text.replace("bob", "eve")).unwrap();
    let refused = check(&[&changed]).await.failed(1).stderr;
    assert!(refused.contains("was changed, or one before it"), "{refused}");
    fs::write(&changed, &text[..text.len() / 2]).unwrap();
    assert!(check(&[&changed]).await.failed(1).stderr.contains("cut short"));

    // What comes later goes on from there, also without a server.
    let app = server.app(Enforcement::Optional).await;
    app.enrol("cat").await;
    server.stop();
    let (second, all) = (folder.path().join("second.jsonl"), folder.path().join("all.jsonl"));
    let newest = (told.len() / 2).to_string();
    export(&data, &all, &[]).await.ok();
    export(&data, &second, &["--last", &newest]).await.ok();
    check(&[&first, &all]).await.ok();
    let all_told = lines(&all);
    assert_eq!(all_told.last().unwrap()["hash"], chained(&lines(&second)));
    let overlaps = check(&[&all, &second]).await;
    assert_eq!(overlaps.code, Some(0), "{overlaps:?}");
    assert!(check(&[&second, &first]).await.failed(1).stderr.contains("oldest first"));

    // An export has no holes, so it takes no filters.
    let refused = export(&data, &folder.path().join("none.jsonl"), &["--user", "ann"]).await.failed(2);
    assert!(refused.stderr.contains("--with-hashes"), "{}", refused.stderr);
}

#[tokio::test]
async fn an_export_begins_where_retention_has_left_the_trail() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let before = folder.path().join("before.jsonl");
    let server = server_with(&["ann"], &data).await;
    export(&data, &before, &[]).await.ok();
    // Past the time that entries are kept.
    server.advance(402 * 86_400).await;
    let app = server.app(Enforcement::Optional).await;
    app.enrol("bob").await;
    // A server sweeps as soon as it has started.
    let server = server.restart();
    let mut number = 0;
    let swept = async || {
        number += 1;
        let after = folder.path().join(format!("after-{number}.jsonl"));
        export(&data, &after, &[]).await.ok();
        Some(after).filter(|after| lines(after)[0]["after"] != 0)
    };
    let after = server.eventually("old entries go", swept).await;
    let told = lines(&after);
    assert_eq!(told[0]["after"], lines(&before).last().unwrap()["last"]);
    assert_eq!(told.last().unwrap()["hash"], chained(&told));
    check(&[&before, &after]).await.ok();
    let since = folder.path().join("since.jsonl");
    export(&data, &since, &["--since", "2000d"]).await.ok();
    assert_eq!(lines(&since).len(), told.len());
}
