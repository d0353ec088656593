use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use warp::Filter;
use warp::reply::Response;

use super::{Limits, PeerAddr, bind, bind_failure, serve};

/// Far longer than anything here takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(50);
const NEVER: Duration = Duration::from_hours(1);

/// More than the kernel buffers between two sockets.
const LARGE: usize = 64 * 1024 * 1024;

/// Limits of which none is reached unless a test says so.
fn generous() -> Limits {
    Limits {
        header: NEVER,
        body: NEVER,
        write: NEVER,
        idle: NEVER,
        pressed_idle: NEVER,
        linger: NEVER,
        shutdown: NEVER,
        ..Limits::default()
    }
}

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
    /// A request to `/slow` has begun.
    begun: Arc<Notify>,
    /// Lets a request to `/slow` finish.
    release: Arc<Notify>,
}

async fn start(limits: Limits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (begun, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (stop, stopped) = oneshot::channel::<()>();
    let filter = filter(Arc::clone(&begun), Arc::clone(&release));
    let running = tokio::spawn(serve(listener, filter, limits, async {
        let _ = stopped.await;
    }));
    Server { address, stop, running, begun, release }
}

fn filter(
    begun: Arc<Notify>,
    release: Arc<Notify>,
) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone + Send + Sync + 'static {
    let peer = warp::path("peer")
        .and(warp::ext::get::<PeerAddr>())
        .map(|PeerAddr(address)| Response::new(address.to_string().into()));
    let slow = warp::path("slow").then(move || {
        let (begun, release) = (Arc::clone(&begun), Arc::clone(&release));
        async move {
            begun.notify_one();
            release.notified().await;
            Response::new("finished".into())
        }
    });
    let echo =
        warp::path("echo").and(warp::body::bytes()).map(|bytes: bytes::Bytes| Response::new(bytes.into()));
    let large = warp::path("large").map(|| Response::new(vec![b'x'; LARGE].into()));
    let panics = warp::path("panics").map(|| -> Response { panic!("as this test wants it") });
    peer.or(slow)
        .unify()
        .or(large)
        .unify()
        .or(panics)
        .unify()
        .or(echo)
        .unify()
        .recover(|_| async {
            let mut response = Response::new("refused".into());
            *response.status_mut() = warp::http::StatusCode::BAD_REQUEST;
            Ok::<_, Infallible>(response)
        })
        .unify()
}

async fn patient<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("the server did not react")
}

/// Everything until the server closes the connection, errors of a cut connection included.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = patient(stream.read_to_end(&mut bytes)).await;
    String::from_utf8(bytes).unwrap()
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end.as_bytes()) {
        bytes.push(patient(stream.read_u8()).await.unwrap());
    }
    String::from_utf8(bytes).unwrap()
}

/// The answer to `/peer`.
async fn read_own_address(stream: &mut TcpStream) -> String {
    let address = stream.local_addr().unwrap().to_string();
    read_until(stream, &address).await
}

async fn connect(server: &Server, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_filter_learns_the_address_of_its_peer() {
    let server = start(generous()).await;
    let mut stream = connect(&server, "GET /peer HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    let own = stream.local_addr().unwrap().to_string();
    assert!(read_to_end(&mut stream).await.ends_with(&own));
}

#[tokio::test]
async fn a_half_sent_head_is_cut() {
    let server = start(Limits { header: SHORT, ..generous() }).await;
    let mut stream = connect(&server, "GET /peer HTTP/1.1\r\nhost:").await;
    assert_eq!(read_to_end(&mut stream).await, "");
}

#[tokio::test]
async fn a_connection_that_never_says_anything_is_cut() {
    let server = start(Limits { header: SHORT, ..generous() }).await;
    let mut stream = connect(&server, "").await;
    assert_eq!(read_to_end(&mut stream).await, "");
}

#[tokio::test]
async fn a_half_sent_head_after_a_request_is_cut_and_an_idle_connection_is_not() {
    let server = start(Limits { header: SHORT, ..generous() }).await;
    let mut stream = connect(&server, "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\none").await;
    read_until(&mut stream, "\r\n\r\none").await;
    tokio::time::sleep(SHORT * 4).await;
    stream.write_all(b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\ntwo").await.unwrap();
    read_until(&mut stream, "\r\n\r\ntwo").await;
    stream.write_all(b"POST /ec").await.unwrap();
    assert_eq!(read_to_end(&mut stream).await, "");
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_the_idle_limit() {
    let server = start(Limits { idle: SHORT, ..generous() }).await;
    let mut stream = connect(&server, "GET /peer HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_half_sent_body_is_refused() {
    let server = start(Limits { body: SHORT, ..generous() }).await;
    let mut stream =
        connect(&server, "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf").await;
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.ends_with("refused"), "{answer}");
}

#[tokio::test]
async fn what_is_not_http_gets_an_answer() {
    let server = start(generous()).await;
    let many = "x: y\r\n".repeat(150);
    for (request, status) in [
        ("GARBAGE\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/3.7\r\nhost: a\r\n\r\n".to_owned(), 400),
        ("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 5, 6\r\n\r\nhello".to_owned(), 400),
        (format!("GET /peer HTTP/1.1\r\nhost: a\r\n{many}\r\n"), 431),
    ] {
        let mut stream = connect(&server, &request).await;
        let answer = read_to_end(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
    }
}

#[tokio::test]
async fn a_head_beyond_the_limit_is_refused_and_the_answer_survives_the_close() {
    let server = start(generous()).await;
    let long = "x".repeat(2_000_000);
    for request in [
        format!("GET /peer HTTP/1.1\r\nhost: a\r\nlong: {long}\r\n\r\n"),
        format!("GET /peer/{long} HTTP/1.1\r\nhost: a\r\n\r\n"),
    ] {
        // Written to its end before a byte of the answer is read, which is when a reset would take the answer away.
        let mut stream = connect(&server, &request).await;
        let answer = read_to_end(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
}

#[tokio::test]
async fn a_target_that_is_no_path_is_refused_and_the_connection_goes_on() {
    let server = start(generous()).await;
    for target in ["CONNECT x:80", "GET x:80", "CONNECT /peer", "OPTIONS x"] {
        let mut stream = connect(&server, &format!("{target} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        let head = read_until(&mut stream, "\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 400 "), "{target}: {head}");
        assert!(head.contains("application/problem+json") && head.contains("x-request-id"), "{head}");
        let body = read_until(&mut stream, "}").await;
        assert!(body.contains("VALIDATION_ERROR"), "{body}");
        stream.write_all(b"GET /peer HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        read_own_address(&mut stream).await;
    }
}

#[tokio::test]
async fn a_panic_ends_its_request_and_not_the_connection() {
    let server = start(generous()).await;
    let mut stream = connect(&server, "GET /panics HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let answer = read_until(&mut stream, "}").await;
    assert!(answer.starts_with("HTTP/1.1 500 ") && answer.contains("INTERNAL"), "{answer}");
    stream.write_all(b"GET /peer HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    read_own_address(&mut stream).await;
}

#[tokio::test]
async fn a_client_that_takes_no_answer_is_cut() {
    let server = start(Limits { connections: 1, write: SHORT, ..generous() }).await;
    let request = "GET /large HTTP/1.1\r\nhost: a\r\n\r\n";
    let deaf = connect(&server, &request.repeat(3)).await;
    // Its place is free only when the first connection has ended.
    let mut next = connect(&server, "GET /peer HTTP/1.1\r\nhost: a\r\n\r\n").await;
    read_own_address(&mut next).await;
    drop(deaf);
}

#[tokio::test]
async fn a_client_that_does_not_close_after_its_last_answer_is_cut() {
    let server = start(Limits { connections: 1, linger: SHORT, ..generous() }).await;
    let mut first = connect(&server, "GET /peer HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(read_to_end(&mut first).await.starts_with("HTTP/1.1 200 "));
    let mut next = connect(&server, "GET /peer HTTP/1.1\r\nhost: a\r\n\r\n").await;
    read_own_address(&mut next).await;
    drop(first);
}

#[tokio::test]
async fn connections_beyond_a_clients_share_are_closed_and_a_freed_one_serves_again() {
    let server = start(Limits { connections_per_client: 1, ..generous() }).await;
    let request = "GET /peer HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut first = connect(&server, request).await;
    read_own_address(&mut first).await;
    let mut second = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(read_to_end(&mut second).await, "");
    drop(first);
    patient(async {
        loop {
            let mut next = TcpStream::connect(server.address).await.unwrap();
            let sent = next.write_all(request.as_bytes()).await;
            if sent.is_ok() && next.read_u8().await.is_ok() {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn exempt_peers_have_no_share() {
    let exempt = vec!["127.0.0.0/8".parse().unwrap()];
    let server = start(Limits { connections_per_client: 1, exempt, ..generous() }).await;
    let request = "GET /peer HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut first = connect(&server, request).await;
    let mut second = connect(&server, request).await;
    read_own_address(&mut first).await;
    read_own_address(&mut second).await;
}

#[tokio::test]
async fn idle_connections_that_arrive_under_pressure_are_closed_early() {
    let server = start(Limits { connections: 4, pressed_idle: SHORT, ..generous() }).await;
    let request = "GET /peer HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut early = connect(&server, request).await;
    read_own_address(&mut early).await;
    let mut second = connect(&server, request).await;
    read_own_address(&mut second).await;
    let mut third = connect(&server, request).await;
    assert!(read_to_end(&mut third).await.starts_with("HTTP/1.1 200 "));
    early.write_all(request.as_bytes()).await.unwrap();
    read_own_address(&mut early).await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = start(generous()).await;
    let request = |body: &str, more: &str| {
        format!("POST /echo HTTP/1.1\r\nhost: a\r\n{more}content-length: {}\r\n\r\n{body}", body.len())
    };
    let all = request("first", "") + &request("second", "") + &request("third", "connection: close\r\n");
    let mut stream = connect(&server, &all).await;
    let answers = read_to_end(&mut stream).await;
    let bodies: Vec<_> =
        answers.split("HTTP/1.1 200 OK").filter_map(|answer| answer.split("\r\n\r\n").nth(1)).collect();
    assert_eq!(bodies, ["first", "second", "third"]);
}

#[tokio::test]
async fn connections_beyond_the_cap_wait_for_their_turn() {
    let server = start(Limits { connections: 1, ..generous() }).await;
    let request = "GET /peer HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut first = connect(&server, request).await;
    read_own_address(&mut first).await;
    let mut second = connect(&server, request).await;
    assert!(tokio::time::timeout(SHORT, second.read_u8()).await.is_err());
    drop(first);
    read_own_address(&mut second).await;
}

#[tokio::test]
async fn stopping_lets_a_slow_request_finish_and_takes_no_new_one() {
    let server = start(generous()).await;
    let mut slow = connect(&server, "GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await;
    patient(server.begun.notified()).await;
    server.stop.send(()).unwrap();
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    server.release.notify_one();
    assert!(read_to_end(&mut slow).await.ends_with("finished"));
    patient(server.running).await.unwrap();
}

#[tokio::test]
async fn stopping_does_not_wait_for_half_sent_requests() {
    let server = start(generous()).await;
    let mut idle = connect(&server, "GET /peer HTTP/1.1\r\nhost: a\r\n\r\n").await;
    read_own_address(&mut idle).await;
    let half_head = connect(&server, "GET /peer HTTP/1.1\r\nhost:").await;
    let half_body = connect(&server, "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf").await;
    server.stop.send(()).unwrap();
    patient(server.running).await.unwrap();
    drop((idle, half_head, half_body));
}

#[tokio::test]
async fn stopping_abandons_a_request_that_takes_too_long() {
    let server = start(Limits { shutdown: SHORT, ..generous() }).await;
    let mut slow = connect(&server, "GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await;
    patient(server.begun.notified()).await;
    server.stop.send(()).unwrap();
    patient(server.running).await.unwrap();
    assert_eq!(read_to_end(&mut slow).await, "");
}

#[tokio::test]
async fn a_taken_port_is_explained_with_its_remedy() {
    let first = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let message = bind(first.local_addr().unwrap()).await.unwrap_err();
    assert!(
        message.contains("another program listens") && message.contains("--listen 127.0.0.1:"),
        "{message}"
    );
    let denied = bind_failure("127.0.0.1:80".parse().unwrap(), &std::io::ErrorKind::PermissionDenied.into());
    assert!(denied.contains("--listen 127.0.0.1:8080"), "{denied}");
}
