//! Many requests at once on connections of their own, each with what became of it.

use std::collections::HashMap;

use serde_json::Value;
use sidekey_tests::{App, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::raw;

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Fate {
    /// A whole answer: status and body.
    Answered(u16, Value),
    /// The connection was closed or refused without a byte of an answer.
    Closed,
}

/// A request whose bytes are known.
#[derive(Clone, Debug)]
pub(crate) struct Request(pub(crate) Vec<u8>);

impl Request {
    /// Opens a session for a user.
    pub(crate) fn open(app: &App<'_>, user: &str) -> Self {
        let key = format!("Authorization: Bearer {}\r\nConnection: close\r\n", app.key);
        Self(raw::post("/2fa/sessions/", &key, &json!({"user_id": user}).to_string()))
    }

    /// Answers a session.
    pub(crate) fn verify(session: &str, code: &str) -> Self {
        let body = json!({"session_id": session, "code": code});
        Self(raw::post("/2fa/verify/", "Connection: close\r\n", &body.to_string()))
    }

    /// Sends it. An answer that breaks off is a failure of the server.
    pub(crate) async fn send(&self, address: &str) -> Fate {
        let Ok(mut stream) = tokio::net::TcpStream::connect(address).await else { return Fate::Closed };
        let _ = stream.write_all(&self.0).await;
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(count) = stream.read(&mut buffer).await {
            if count == 0 {
                break;
            }
            answer.extend_from_slice(&buffer[..count]);
        }
        whole(&answer)
    }
}

fn whole(answer: &[u8]) -> Fate {
    if answer.is_empty() {
        return Fate::Closed;
    }
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("half a head: {text}"));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.get(9..12)?.parse().ok());
    let fields: HashMap<String, &str> = lines
        .filter_map(|l| l.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect();
    assert_eq!(fields["content-length"], body.len().to_string(), "half a body: {text}");
    Fate::Answered(status.expect("a status line"), serde_json::from_str(body).expect("JSON"))
}
