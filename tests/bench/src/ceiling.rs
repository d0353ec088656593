//! The ceilings of the stack: warp behind the accept loop of Sidekey's server, with the same listener settings
//! (`server/src/listener`), and nothing to decide or to store.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use warp::reply::Response;
use warp::{Filter, Reply};

use crate::failure::{Failure, Outcome};

/// Answers GET with a fixed JSON.
pub const FIXED: &str = "/fixed/";
/// Answers POST with the JSON that it got.
pub const ECHO: &str = "/echo/";
/// What `FIXED` answers.
pub const STATUS: &str = r#"{"status":"ok"}"#;

/// As `Limits::default` of the server's listener.
const IDLE: Duration = Duration::from_secs(75);
const HEAD_BYTES: usize = 16 * 1024;
const BODY_BYTES: u64 = 16 * 1024;

/// Serves on a free port, whose address is printed, until the process is ended.
///
/// # Errors
/// There is no port to be had.
pub async fn serve() -> Outcome {
    let unavailable = "cannot listen";
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await;
    let listener = listener.map_err(Failure::because(unavailable))?;
    println!("{}", listener.local_addr().map_err(Failure::because(unavailable))?);
    let fixed = warp::get()
        .and(warp::path!("fixed"))
        .map(|| warp::reply::json(&json!({"status": "ok"})).into_response());
    let echo = warp::post()
        .and(warp::path!("echo"))
        .and(warp::body::content_length_limit(BODY_BYTES))
        .and(warp::body::json())
        .map(|body: Value| warp::reply::json(&body).into_response());
    let filter = fixed.or(echo).unify().recover(refused).unify();
    loop {
        let (stream, _) = listener.accept().await.map_err(Failure::because("cannot accept"))?;
        tokio::spawn(connection(stream, filter));
    }
}

async fn refused(_: warp::Rejection) -> Result<Response, Infallible> {
    Ok(warp::http::StatusCode::BAD_REQUEST.into_response())
}

async fn connection<F>(stream: TcpStream, filter: F)
where
    F: Filter<Extract = (Response,), Error = Infallible> + Clone + Send + Sync + 'static,
{
    // A refusal changes nothing here; the server only notes it.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(warp::service(filter));
    // A client that goes away is no failure.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_header_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
