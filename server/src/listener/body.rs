//! A request body with a deadline: warp waits for a half-sent one without end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Sleep;

use super::exchange::{Exchange, Phase};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of one request; it fails with `TimedOut` when it is not complete `limit` after the first wait for it.
#[derive(Debug)]
pub(super) struct TimedBody {
    inner: Incoming,
    exchange: Arc<Exchange>,
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl TimedBody {
    pub(super) fn new(inner: Incoming, exchange: Arc<Exchange>, limit: Duration) -> Self {
        Self { inner, exchange, limit, timer: None }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            this.exchange.enter(Phase::Working);
            return Poll::Ready(frame.map(|result| result.map_err(Into::into)));
        }
        this.exchange.enter(Phase::ReadingBody);
        let limit = this.limit;
        let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        if timer.as_mut().poll(cx).is_ready() {
            this.exchange.enter(Phase::Working);
            return Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::TimedOut).into())));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
