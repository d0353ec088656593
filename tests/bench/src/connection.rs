//! One kept-alive HTTP/1.1 connection, as cheap as a client can be that still reads every answer whole: it shares the
//! processors with the server that it measures.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::failure::{Failure, Outcome};

/// A server that has not answered after this time hangs.
const LIMIT: Duration = Duration::from_mins(1);
/// Header lines of an answer.
const MAX_HEADERS: usize = 48;

/// A connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    request: Vec<u8>,
}

/// An answer, read whole.
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    head: &'a [u8],
    /// Its body.
    pub body: &'a [u8],
}

/// A request.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// The path.
    pub path: &'a str,
    /// Header lines, each with its line end.
    pub headers: &'a str,
    /// The body, JSON; empty: none.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// A POST of JSON.
    pub fn post(path: &'a str, headers: &'a str, body: &'a [u8]) -> Self {
        Self { method: "POST", path, headers, body }
    }

    /// A GET.
    pub fn get(path: &'a str, headers: &'a str) -> Self {
        Self { method: "GET", path, headers, body: &[] }
    }
}

impl Connection {
    /// Opens one.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn open(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await.map_err(Failure::because("cannot connect"))?;
        stream.set_nodelay(true).map_err(Failure::because("cannot connect"))?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024), request: Vec::with_capacity(2 * 1024) })
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// The connection breaks, or what comes is no HTTP/1.1 answer with a `Content-Length`.
    pub async fn exchange(&mut self, request: Request<'_>) -> Outcome<Answer<'_>> {
        self.write(request);
        let broken =
            |error: std::io::Error| Failure::new(format!("{} {}: {error}", request.method, request.path));
        let read = async {
            self.stream.write_all(&self.request).await?;
            self.buffer.clear();
            loop {
                if let Some(parts) = parts(&self.buffer)
                    && self.buffer.len() >= parts.1 + parts.2
                {
                    return Ok(parts);
                }
                if self.stream.read_buf(&mut self.buffer).await? == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
            }
        };
        let read = tokio::time::timeout(LIMIT, read).await;
        let read = read.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        let (status, head, length) = read.map_err(broken)?;
        let (head, body) = self.buffer.split_at(head);
        if body.len() != length {
            return Err(Failure::new(format!("{} {}: more than one answer", request.method, request.path)));
        }
        Ok(Answer { status, head, body })
    }

    fn write(&mut self, request: Request<'_>) {
        let Request { method, path, headers, body } = request;
        let put = |bytes: &mut Vec<u8>, parts: &[&str]| {
            parts.iter().for_each(|part| bytes.extend_from_slice(part.as_bytes()));
        };
        let bytes = &mut self.request;
        bytes.clear();
        put(
            bytes,
            &[method, " ", path, " HTTP/1.1\r\nHost: app.example\r\nUser-Agent: sidekey-bench\r\n", headers],
        );
        if !body.is_empty() {
            let length = body.len().to_string();
            put(bytes, &["Content-Type: application/json\r\nContent-Length: ", &length, "\r\n"]);
        }
        put(bytes, &["\r\n"]);
        bytes.extend_from_slice(body);
    }
}

impl Answer<'_> {
    /// The body as JSON, if the status is this one.
    ///
    /// # Errors
    /// It is another one, or the body is something else.
    pub fn json<'d, T: Deserialize<'d>>(&'d self, what: &str, status: u16) -> Outcome<T> {
        self.expect(what, status)?;
        serde_json::from_slice(self.body).map_err(Failure::because(format!("{what}: an unknown answer")))
    }

    /// Checks the status.
    ///
    /// # Errors
    /// It is another one; the sentence has the answer's `code`, and nothing else of it.
    pub fn expect(&self, what: &str, status: u16) -> Outcome {
        if self.status == status {
            return Ok(());
        }
        Err(Failure::new(format!("{what}: {} {} and not {status}", self.status, self.problem())))
    }

    /// The `code` of a refusal; empty where there is none.
    pub fn problem(&self) -> String {
        #[derive(Deserialize)]
        struct Problem {
            code: String,
        }
        serde_json::from_slice(self.body).map_or_else(|_| String::new(), |Problem { code }| code)
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Response::new(&mut headers);
        parsed.parse(self.head).ok()?;
        let found = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok()
    }
}

/// Status, bytes of the head and bytes of the body of an answer whose head is there.
fn parts(bytes: &[u8]) -> Option<(u16, usize, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(head)) = parsed.parse(bytes) else { return None };
    let length = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"))?;
    let length = std::str::from_utf8(length.value).ok()?.parse().ok()?;
    Some((parsed.code?, head, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_when_its_head_is_whole() {
        let answer = b"HTTP/1.1 201 Created\r\nremote-user: u1\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(parts(answer), Some((201, answer.len() - 2, 2)));
        assert_eq!(parts(&answer[..40]), None);
        let (head, body) = answer.split_at(answer.len() - 2);
        let answer = Answer { status: 201, head, body };
        assert_eq!(answer.header("Remote-User"), Some("u1"));
        assert!(answer.json::<serde_json::Value>("it", 201).is_ok());
        assert_eq!(answer.expect("it", 200).unwrap_err().to_string(), "it: 201  and not 200");
    }
}
