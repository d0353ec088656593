//! A disk that fails while the server works: from the first write or sync on that fails nothing is acknowledged any more, the
//! process ends with exit code 1, and what was acknowledged before is there when the disk works again.
//!
//! The disk is `tests/faults/faults.c`, an `LD_PRELOAD` library in C.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use sidekey_tests::native;
use sidekey_tests::{Authenticator, Enforcement, Options, Server, json};
use tempfile::TempDir;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_string()
}

/// The failing disk, compiled once a run.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libfaults.so");
        native::compile("faults", &["faults.c"], &output, &["-shared", "-fPIC", "-ldl"]);
        output
    })
}

/// A new login of Ann.
async fn fresh_token(server: &Server, key: &str, phone: &mut Authenticator) -> String {
    let body = json!({"user_id": "ann"});
    let opened = server.post("/2fa/sessions/").bearer(key).json(body).await.expect(201);
    let answer = json!({"session_id": opened.text("session_id"), "code": phone.fresh_code(server).await});
    server.post("/2fa/verify/").json(answer).await.ok().text("access_token")
}

/// Runs a server whose disk begins to fail, and gives its log.
async fn fails(file: &str, what: &str, error: i32) -> String {
    let folder = TempDir::new().expect("a folder can be made");
    let (data, switch) = (folder.path().join("data"), folder.path().join("switch"));
    let environment =
        [("LD_PRELOAD", text(library())), ("FAULTS_FILE", file.into()), ("FAULTS_SWITCH", text(&switch))];
    let environment = environment.map(|(name, value)| (name.to_string(), value)).to_vec();
    let server = Server::with(Options { environment, data: Some(data.clone()), ..Options::default() });
    let app = server.app(Enforcement::Required).await;
    let user = app.enrol("ann").await;
    let (key, access, device) = (app.key.clone(), user.access.clone(), user.device.clone());
    let mut phone = user.phone.clone();

    std::fs::write(&switch, format!("{what} {error}")).expect("written");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client can be made");
    let url = server.url(&format!("/2fa/devices/{device}/"));
    let (mut refused, mut acknowledged, mut unsure) = (0, None, None);
    for number in 0.. {
        assert!(number < 100_000, "the server goes on: {}", server.log());
        let body = json!({"name": format!("Phone {number}")});
        // Without an answer the server is gone.
        let Ok(answer) = client.patch(&url).bearer_auth(&access).json(&body).send().await else {
            unsure.get_or_insert(number);
            break;
        };
        let status = match answer.status().as_u16() {
            // The account's bucket is empty: what the application does is not counted, and writes as well.
            429 => {
                let open = client.post(server.url("/2fa/sessions/")).bearer_auth(&key);
                let Ok(answer) = open.json(&json!({"user_id": "bob"})).send().await else { break };
                answer.status().as_u16()
            }
            200 => {
                acknowledged = Some(number);
                200
            }
            status => {
                unsure.get_or_insert(number);
                status
            }
        };
        if status == 503 {
            refused += 1;
        } else {
            assert!(
                matches!(status, 200 | 201) && file == "/head",
                "{status}, though nothing can be durable"
            );
        }
    }
    // It has ended by itself: the signal finds nobody any more.
    let stopped = server.stop();
    assert_eq!(stopped.status.code(), Some(1), "{}", stopped.log);
    println!("{file} {what} {error}: refused {refused}, then gone");

    std::fs::remove_file(&switch).expect("removed");
    let server = Server::with(Options { data: Some(data), ..Options::default() });
    assert_eq!(server.get("/2fa/users/ann/").bearer(&key).await.ok()["has_2fa_enabled"], true);
    // It has the last name that was acknowledged, or the one with which the disk failed.
    let token = fresh_token(&server, &key, &mut phone).await;
    let listed = server.get("/2fa/devices/").bearer(&token).await.ok();
    let name = listed["devices"][0]["name"].as_str().expect("a name").to_owned();
    if let Some(last) = acknowledged {
        let possible = [last, unsure.unwrap_or(last)].map(|number| format!("Phone {number}"));
        assert!(possible.contains(&name), "{name}, after {last} was acknowledged");
    } else {
        assert_ne!(file, "/head", "a failing head lets changes through before it is noticed");
    }
    stopped.log
}

#[tokio::test]
async fn a_failing_write_ends_the_server() {
    for error in [EIO, ENOSPC] {
        let log = fails("/sled/db", "write", error).await;
        assert!(log.contains("the store has failed"), "{log}");
    }
}

#[tokio::test]
async fn a_failing_sync_ends_the_server() {
    for error in [EIO, ENOSPC] {
        let log = fails("/sled/db", "sync", error).await;
        assert!(log.contains("a sync failed"), "{log}");
    }
}

#[tokio::test]
async fn a_failing_head_file_ends_the_server() {
    for (what, error) in [("write", ENOSPC), ("sync", EIO)] {
        let log = fails("/head", what, error).await;
        assert!(log.contains("the file `head` could not be written"), "{log}");
    }
}
