//! Bytes on a socket, for what an HTTP client refuses to send.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::answer::Answer;
use crate::server::Server;

/// The server answers well within this time, or hangs.
const LIMIT: Duration = Duration::from_secs(30);

/// Sends a request line and header lines (without the empty one), `Host` and `Connection: close` added, then the
/// body as it is; gives the checked answer.
pub async fn exchange(server: &Server, head: &str, body: &[u8]) -> Answer {
    let (line, fields) = head.split_once('\n').unwrap_or((head, ""));
    let mut bytes = format!("{line}\r\nHost: {}\r\nConnection: close\r\n", server.address());
    for field in fields.lines() {
        bytes.push_str(field);
        bytes.push_str("\r\n");
    }
    bytes.push_str("\r\n");
    let mut bytes = bytes.into_bytes();
    bytes.extend_from_slice(body);
    let raw = raw(server, &bytes).await;
    parse(head, &raw)
}

/// Sends bytes and reads to the end of the connection.
pub async fn raw(server: &Server, bytes: &[u8]) -> Vec<u8> {
    tokio::time::timeout(LIMIT, async {
        let mut stream = TcpStream::connect(server.address()).await.expect("the server accepts");
        // The server may answer and close before it has read all: a broken pipe is no failure then.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let mut buffer = [0; 8192];
        while let Ok(n) = stream.read(&mut buffer).await {
            if n == 0 {
                break;
            }
            answer.extend_from_slice(&buffer[..n]);
        }
        answer
    })
    .await
    .unwrap_or_else(|_| panic!("no end of the answer within {LIMIT:?}"))
}

fn parse(head: &str, raw: &[u8]) -> Answer {
    let label = head.lines().next().unwrap_or_default().to_string();
    let text = String::from_utf8_lossy(raw).into_owned();
    let end = text.find("\r\n\r\n").unwrap_or_else(|| panic!("{label}: no answer, but `{text}`"));
    let mut lines = text[..end].lines();
    let status = lines.next().and_then(|l| l.split(' ').nth(1)).and_then(|s| s.parse().ok());
    let status = status.unwrap_or_else(|| panic!("{label}: no status line in `{text}`"));
    let headers: HeaderMap = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| {
            (
                HeaderName::from_bytes(name.as_bytes()).expect("a name"),
                HeaderValue::from_str(value).expect("a value"),
            )
        })
        .collect();
    let mut body = raw[end + 4..].to_vec();
    if headers.get("transfer-encoding").is_some_and(|v| v == "chunked") {
        body = unchunked(&body);
    }
    let is_head = label.starts_with("HEAD ");
    assert!(!is_head || body.is_empty(), "{label}: a body in the answer to HEAD");
    Answer::checked(label, status, headers, body, is_head)
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|w| w == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).ok().and_then(|s| usize::from_str_radix(s, 16).ok());
        let size = size.expect("a chunk's size");
        if size == 0 {
            break;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 2 + size + 2..];
    }
    body
}
