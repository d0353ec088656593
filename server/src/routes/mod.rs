//! From a request to its operation and back.
//!
//! - this file: the server as a warp filter;
//! - `table`: every route, and who may ask for it;
//! - `matching`: how a request finds its row;
//! - `answering`: what every request goes through;
//! - `dispatch`: which operation stands behind which endpoint;
//! - `described`: how it describes itself.

mod answering;
mod described;
mod dispatch;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod matching;
mod table;

use std::{convert::Infallible, sync::Arc};

use futures_util::StreamExt as _;
use warp::{Buf, Filter, Reply as _, path::FullPath};

use crate::{
    context::Context,
    http::{BodyStream, Code, Problem, Reply},
    listener::PeerAddr,
};
use answering::{Place, answer};
pub(crate) use described::described;
pub(crate) use table::Access;

/// The server as a warp filter.
pub fn filter(
    context: Arc<Context>,
) -> impl Filter<Extract = (warp::reply::Response,), Error = Infallible> + Clone + Send + Sync + 'static {
    warp::any()
        .and(warp::method())
        .and(warp::path::full())
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<PeerAddr>())
        .and(warp::body::stream())
        .then(move |method, path: FullPath, query, headers, peer: Option<PeerAddr>, body| {
            let context = Arc::clone(&context);
            let body: BodyStream = Box::pin(whole_chunks(body));
            let peer = peer.map(|peer| peer.0.ip());
            async move {
                let place = Place { path: path.as_str(), query };
                sent(answer(&context, method, place, headers, peer, body).await)
            }
        })
        .or_else(|_| async {
            let problem = Problem::new(Code::Internal).into_reply();
            Ok::<_, Infallible>((sent(problem),))
        })
}

/// A reply as warp sends it.
fn sent(reply: Reply) -> warp::reply::Response {
    match reply.into_parts() {
        (response, None) => response.map(Into::into),
        (response, Some(mut chunks)) => {
            let chunks = futures_util::stream::poll_fn(move |context| chunks.poll_recv(context));
            response.map(|_| warp::reply::stream(chunks).into_response().into_body())
        }
    }
}

/// warp's body as chunks of bytes; what went wrong is of no use to anybody.
fn whole_chunks<B: Buf>(
    body: impl futures_util::Stream<Item = Result<B, warp::Error>> + Send + 'static,
) -> impl futures_util::Stream<Item = Result<bytes::Bytes, ()>> + Send {
    body.map(|chunk| {
        chunk.map_err(drop).map(|mut chunk| {
            let length = chunk.remaining();
            chunk.copy_to_bytes(length)
        })
    })
}
