//! The server under a service manager: what it tells, and the socket that it is handed (`sd_notify(3)`, `sd_listen_fds(3)`).

use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;

use sidekey_tests::{Options, Server, command, in_time};
use tempfile::TempDir;
use tokio::net::UnixDatagram;

/// Hands its standard input to the program that is named behind it, as the only passed socket: the first one is descriptor 3.
const PASS: &str = r#"exec 3<&0; exec 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@""#;

/// The socket that a service manager listens on.
struct Manager {
    folder: TempDir,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        Self { folder, socket }
    }

    fn server(&self, further: &[(&str, &str)]) -> Server {
        let address = self.folder.path().join("notify").to_str().unwrap().to_owned();
        let mut environment = vec![("NOTIFY_SOCKET".to_owned(), address)];
        environment.extend(further.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Server::with(Options { environment, ..Options::default() })
    }

    /// The next message, as its lines.
    async fn told(&self) -> Vec<String> {
        let mut message = [0; 4096];
        let length = in_time(|| "a message to the service manager", self.socket.recv(&mut message));
        let length = length.await.unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap().lines().map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn it_is_told_of_the_start_each_reload_and_the_end() {
    let manager = Manager::new();
    let server = manager.server(&[]);
    assert_eq!(manager.told().await, ["READY=1"]);

    server.reload().await;
    let reloading = manager.told().await;
    assert_eq!(reloading[0], "RELOADING=1");
    let since: u64 = reloading[1].strip_prefix("MONOTONIC_USEC=").unwrap().parse().unwrap();
    assert!(since > 0, "{reloading:?}");
    assert_eq!(reloading.len(), 2, "{reloading:?}");
    assert_eq!(manager.told().await, ["READY=1"]);

    assert!(server.stop().status.success());
    assert_eq!(manager.told().await, ["STOPPING=1"]);
}

#[tokio::test]
async fn a_watchdog_hears_of_it_again_and_again_if_it_asks() {
    let manager = Manager::new();
    let _server = manager.server(&[("WATCHDOG_USEC", "200000")]);
    assert_eq!(manager.told().await, ["READY=1"]);
    for _ in 0..3 {
        assert_eq!(manager.told().await, ["WATCHDOG=1"]);
    }
}

#[tokio::test]
async fn nobody_at_the_other_end_keeps_no_server_from_serving() {
    let folder = TempDir::new().unwrap();
    let nobody = folder.path().join("nobody").to_str().unwrap().to_owned();
    let environment = vec![("NOTIFY_SOCKET".to_owned(), nobody)];
    let server = Server::with(Options { environment, ..Options::default() });
    server.get("/readyz").await.ok();
    assert!(server.stop().log.contains("the service manager cannot be told"));
}

#[tokio::test]
async fn a_passed_socket_counts_before_the_setting_and_answers_who_came_before_the_start() {
    let folder = TempDir::new().unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    // It waits in the kernel's queue until the server takes it.
    let early = tokio::spawn(reqwest::get(format!("http://{address}/readyz")));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = with_socket(socket.into(), &taken, folder.path()).spawn().unwrap();
    let answer = in_time(|| "an answer", early).await.unwrap().unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    drop(server);
}

#[tokio::test]
async fn a_passed_socket_that_takes_no_connections_is_a_mistake_of_the_unit() {
    let folder = TempDir::new().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let ended = command::finish(with_socket(socket.into(), &taken, folder.path())).await.failed(2);
    assert!(ended.stderr.contains("the socket unit needs one `ListenStream=ADDRESS:PORT`"), "{ended:?}");
}

#[tokio::test]
async fn development_mode_takes_no_socket_that_others_reach() {
    let folder = TempDir::new().unwrap();
    let socket = TcpListener::bind("0.0.0.0:0").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let ended = command::finish(with_socket(socket.into(), &taken, folder.path())).await.failed(2);
    assert!(ended.stderr.contains("development mode listens on this machine only"), "{ended:?}");
    assert!(!folder.path().join("data").exists());
}

/// A server with this socket, and a setting `listen` that would fail: another one has the port.
fn with_socket(socket: OwnedFd, taken: &TcpListener, folder: &Path) -> tokio::process::Command {
    let taken = taken.local_addr().unwrap().to_string();
    let mut server = tokio::process::Command::new("sh");
    server.args(["-c", PASS, "sh"]).arg(command::binary());
    server.args(["serve", "--development", "--listen", &taken, "--data"]).arg(folder.join("data"));
    for name in command::foreign_variables() {
        server.env_remove(name);
    }
    server.stdin(socket).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    server
}
