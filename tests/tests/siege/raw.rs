//! Connections of an attacker: whatever happens to them is an outcome, not an error.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Between two bytes of a slow client.
const TRICKLE: Duration = Duration::from_secs(1);
/// What is enough to see of the answers to one connection.
const KEEP: usize = 1 << 20;

/// A new connection; refused and reset ones are tried again, because the queue of the kernel may be full for a while.
pub(crate) async fn connect(address: &str) -> TcpStream {
    loop {
        match TcpStream::connect(address).await {
            Ok(stream) => return stream,
            Err(error) => {
                let passing = [std::io::ErrorKind::ConnectionReset, std::io::ErrorKind::TimedOut];
                assert!(passing.contains(&error.kind()), "no connection: {error}");
            }
        }
    }
}

/// Sends bytes while reading, then reads to the end of the connection; what was answered, the beginning of it.
pub(crate) async fn send(address: &str, bytes: &[u8]) -> String {
    let stream = connect(address).await;
    let (mut from, mut to) = stream.into_split();
    let write = async {
        // A server that has heard enough closes: a broken pipe is an outcome.
        let _ = to.write_all(bytes).await;
        to
    };
    let (_to, answer) = tokio::join!(write, read_to_end(&mut from));
    answer
}

/// Sends the beginning, then a byte a second until the server closes; what was answered.
pub(crate) async fn trickle(address: &str, beginning: &[u8], byte: u8) -> String {
    let (mut from, mut to) = connect(address).await.into_split();
    let _ = to.write_all(beginning).await;
    let drip = async {
        while to.write_all(&[byte]).await.is_ok() {
            tokio::time::sleep(TRICKLE).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = drip => unreachable!("it never ends"),
        answer = read_to_end(&mut from) => answer,
    }
}

/// Sends the beginning, then the same again and again until the server closes or `most` bytes are gone; the number of bytes that
/// left and what was answered.
pub(crate) async fn flood(address: &str, beginning: &[u8], again: &[u8], most: usize) -> (usize, String) {
    let (mut from, mut to) = connect(address).await.into_split();
    let write = async {
        let mut sent = 0;
        let _ = to.write_all(beginning).await;
        while sent < most && to.write_all(again).await.is_ok() {
            sent += again.len();
        }
        let _ = to.shutdown().await;
        sent
    };
    tokio::join!(write, read_to_end(&mut from))
}

async fn read_to_end(from: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut answer = Vec::new();
    let mut buffer = [0; 8192];
    while let Ok(count) = from.read(&mut buffer).await {
        if count == 0 {
            break;
        }
        if answer.len() < KEEP {
            answer.extend_from_slice(&buffer[..count]);
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// A request with a JSON body.
pub(crate) fn post(path: &str, fields: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The status codes of the answers, in order. An answer begins where the body of the one before it ends, and no body holds this.
pub(crate) fn statuses(answers: &str) -> Vec<u16> {
    answers.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.get(..3)?.parse().ok()).collect()
}
