//! A collector of syslog messages is told of what happens: in datagrams, over a socket of the machine, and over TCP.

use std::fs;

use sidekey_tests::{Enforcement, Options, Server, in_time};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, UdpSocket, UnixDatagram};

fn serving(folder: &TempDir, address: &str) -> Server {
    let settings = folder.path().join("sidekey.toml");
    let notify = format!(
        "[[notify]]\nname = \"log\"\nevents = [\"answer_refused\"]\n[notify.syslog]\naddress = \"{address}\"\n"
    );
    fs::write(&settings, notify).unwrap();
    Server::with(Options {
        arguments: vec!["--config".to_owned(), settings.to_str().unwrap().to_owned()],
        data: Some(folder.path().join("data")),
        ..Options::default()
    })
}

/// Has an answer of a user refused.
async fn refused(server: &Server, user: &str) {
    let app = server.app(Enforcement::Optional).await;
    let ann = app.enrol(user).await;
    let session = ann.challenge().await;
    let code = ann.wrong_code().await;
    ann.answer(&session, &code).await.refused(400, "INVALID_CODE");
}

#[track_caller]
fn assert_is_refusal(message: &[u8], user: &str) {
    let message = String::from_utf8(message.to_vec()).unwrap();
    // authpriv (10) and warning (4), version 1.
    assert!(message.starts_with("<84>1 20"), "{message}");
    assert!(message.contains(" answer_refused [sidekey@32473 sequence=\""), "{message}");
    assert!(message.contains(&format!(" user=\"{user}\" ")), "{message}");
    assert!(!message.contains('\n'), "{message}");
}

#[tokio::test]
async fn over_udp_a_message_is_a_datagram() {
    let (folder, socket) = (TempDir::new().unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let server = serving(&folder, &format!("udp://{}", socket.local_addr().unwrap()));
    refused(&server, "a\\\"] b").await;
    let mut buffer = vec![0; 65_536];
    let got = in_time(|| server.log(), socket.recv(&mut buffer)).await;
    assert_is_refusal(&buffer[..got.unwrap()], r#"a\\\"\] b"#);
}

#[tokio::test]
async fn a_socket_of_the_machine_that_is_not_there_yet_is_told_later() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("log");
    let server = serving(&folder, &format!("unix://{}", path.display()));
    refused(&server, "ann").await;
    server.logged("takes nothing").await;
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut buffer = vec![0; 65_536];
    let got = in_time(|| server.log(), socket.recv(&mut buffer)).await;
    assert_is_refusal(&buffer[..got.unwrap()], "ann");
}

#[tokio::test]
async fn over_tcp_a_message_has_its_length_before_it() {
    let (folder, listener) = (TempDir::new().unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let server = serving(&folder, &format!("tcp://{}", listener.local_addr().unwrap()));
    refused(&server, "änn").await;
    let told = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        all
    };
    let all = in_time(|| server.log(), told).await;
    let blank = all.iter().position(|byte| *byte == b' ').unwrap();
    let (length, message) = (std::str::from_utf8(&all[..blank]).unwrap(), &all[blank + 1..]);
    assert_eq!(length.parse::<usize>().unwrap(), message.len(), "in octets, not in characters");
    assert_is_refusal(message, "änn");
}
