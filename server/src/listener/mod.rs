//! The accept loop: warp's filters behind hyper, with the limits that warp 0.4's own server lacks.
//!
//! - `limits`: all of them, with their values;
//! - `admission`: how many connections one client may have;
//! - `stream`: deadlines for request heads and for taking answers, and a close that loses no answer;
//! - `exchange`: tells an idle connection from a half-sent request;
//! - `body`: a deadline for request bodies;
//! - `guard`: what the filter must not see, and what becomes of its panics;
//! - `descriptors`: the system's limit of open files.

mod admission;
mod body;
mod descriptors;
mod exchange;
mod guard;
mod limits;
mod stream;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioTimer;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use warp::{Filter, Reply};

use admission::{Admission, Seat};
use body::TimedBody;
pub use descriptors::raise_descriptor_limit;
use exchange::{Exchange, Phase};
pub use limits::Limits;
use stream::Stream;

use crate::metering::{self, OpenConnection};

/// The other end of the connection, put into every request's extensions; read it with `warp::ext::get`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

/// Between two looks at a connection that should end; an answer gets at least this long to leave.
const SHUTDOWN_TICK: Duration = Duration::from_millis(200);

/// The pause after a failed accept: long enough for descriptors to come free, short enough for nobody to notice.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Opens the port. The error is a sentence with the remedy, for the person who started the server.
///
/// # Errors
/// When the address is in use, is not this machine's, or needs privileges.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| bind_failure(address, &error))
}

fn bind_failure(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let port = address.port().checked_add(1).unwrap_or(8080);
            let other = SocketAddr::new(address.ip(), port);
            format!(
                "another program listens on {address} already; stop it, or choose another port: `--listen {other}`"
            )
        }
        io::ErrorKind::PermissionDenied => format!(
            "no permission to listen on {address}; choose a port above 1023: `--listen {}`",
            SocketAddr::new(address.ip(), 8080)
        ),
        io::ErrorKind::AddrNotAvailable => format!(
            "{} is no address of this machine; listen on all of them with `--listen 0.0.0.0:{}`",
            address.ip(),
            address.port()
        ),
        _ => format!("cannot listen on {address}: {error}"),
    }
}

/// Serves the filter until `stop` is ready, then lets requests in flight finish, at most `limits.shutdown` long.
/// Requests whose head or body is incomplete at that time are cut off.
pub async fn serve<F>(listener: TcpListener, filter: F, limits: Limits, stop: impl Future<Output = ()> + Send)
where
    F: Filter<Error = Infallible> + Clone + Send + Sync + 'static,
    F::Extract: Reply,
{
    let permits = Arc::new(Semaphore::new(limits.connections));
    let admission = Admission::new(limits.connections_per_client, limits.exempt.clone());
    let limits = Arc::new(limits);
    let (stopping, _) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let next = async {
            // The permit comes first, so that a connection beyond the cap stays in the kernel's queue.
            let permit = Arc::clone(&permits).acquire_owned().await.ok();
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            () = &mut stop => break,
            next = next => next,
        };
        // Those that have ended; their outcome was noted when they did.
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) => {
                let Some(seat) = admission.admit(peer.ip()) else {
                    // No line a refusal above debug level: whoever does this would write the log.
                    tracing::debug!(address = %peer.ip(), "refused a connection: its client has too many");
                    metering::connection_refused();
                    continue;
                };
                let peer = Peer { address: peer, idle: idle_limit(&limits, &permits, &seat) };
                let connection =
                    serve_connection(stream, peer, filter.clone(), Arc::clone(&limits), stopping.subscribe());
                let open = OpenConnection::begin();
                connections.spawn(async move {
                    connection.await;
                    drop((open, seat, permit));
                });
            }
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                // EMFILE, ENFILE, ENOBUFS, ENOMEM: the queued connection would fail again at once.
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    stopping.send_replace(true);
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.shutdown, finished).await.is_err() {
        tracing::warn!(abandoned = connections.len(), "requests in flight did not finish in time");
        connections.shutdown().await;
    }
}

/// The client gave up before it was accepted; the next accept works.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Idle connections are a comfort for those who come again, and are cut short when they could keep others out.
fn idle_limit(limits: &Limits, permits: &Semaphore, seat: &Seat) -> Duration {
    let pressed = permits.available_permits() < limits.connections / 2;
    if pressed && !seat.is_exempt() { limits.pressed_idle } else { limits.idle }
}

/// The other end of a connection.
struct Peer {
    address: SocketAddr,
    /// How long it may stay without a request.
    idle: Duration,
}

async fn serve_connection<F>(
    stream: TcpStream,
    peer: Peer,
    filter: F,
    limits: Arc<Limits>,
    mut stopping: watch::Receiver<bool>,
) where
    F: Filter<Error = Infallible> + Clone + Send + Sync + 'static,
    F::Extract: Reply,
{
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY refused");
    }
    let exchange = Arc::new(Exchange::default());
    let routes = TowerToHyperService::new(warp::service(filter));
    let service = service_fn(|request: Request<Incoming>| {
        exchange.begin();
        let mut request = request.map(|body| TimedBody::new(body, Arc::clone(&exchange), limits.body));
        request.extensions_mut().insert(PeerAddr(peer.address));
        let (routes, exchange) = (routes.clone(), Arc::clone(&exchange));
        async move {
            let answer = match guard::refusal(&request) {
                Some(refusal) => Ok(refusal),
                None => guard::guarded(async { routes.call(request).await }).await,
            };
            exchange.enter(Phase::AwaitingHead);
            answer
        }
    });
    let stream = Stream::new(stream, Arc::clone(&exchange), &limits);
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(peer.idle)
            .max_header_size(limits.head_bytes)
            .serve_connection(stream, service)
    );
    tokio::select! {
        outcome = connection.as_mut() => return note_end(outcome),
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
    connection.as_mut().graceful_shutdown();
    finish(connection, &exchange).await;
}

/// Drives a connection that shall take no further request, until it has ended or waits for nothing but its client.
async fn finish<C>(mut connection: Pin<&mut C>, exchange: &Exchange)
where
    C: Future<Output = hyper::Result<()>>,
{
    // Two looks in a row, so that an answer that has just been made is not cut before it is written.
    let mut waiting_looks = 0;
    while waiting_looks < 2 {
        match tokio::time::timeout(SHUTDOWN_TICK, poll_fn(|cx| connection.as_mut().poll(cx))).await {
            Ok(outcome) => return note_end(outcome),
            Err(_) if exchange.phase() == Phase::Working => waiting_looks = 0,
            Err(_) => waiting_looks += 1,
        }
    }
}

fn note_end(outcome: hyper::Result<()>) {
    if let Err(error) = outcome {
        tracing::debug!(%error, "connection ended early");
    }
}

/// Ready when the process is told to stop (SIGTERM, SIGINT).
///
/// # Errors
/// When the signal handlers cannot be installed.
pub fn stop_signal() -> io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
