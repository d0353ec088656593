//! Where a connection stands: waiting for a request, reading its body, or working on it.
//!
//! hyper 1.12 knows one timeout between a finished answer and the next complete request head, so it cannot tell an
//! idle client from one that sends a head byte by byte. [`Stream`] sees the bytes and [`Exchange`] the requests; together
//! they cut the second kind early and let the first kind stay connected.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// The phases of a connection, told by the service to the stream and to the shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// No request is being worked on; a head may have arrived in part.
    AwaitingHead = 0,
    /// The client owes the rest of a request body.
    ReadingBody = 1,
    /// The request is complete and its answer is being made.
    Working = 2,
}

/// Shared by the stream, the body and the service of one connection.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    phase: AtomicU8,
    heads: AtomicU64,
}

impl Exchange {
    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::AwaitingHead,
            1 => Phase::ReadingBody,
            _ => Phase::Working,
        }
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// A complete request head was parsed.
    pub(super) fn begin(&self) {
        self.heads.fetch_add(1, Ordering::Relaxed);
        self.enter(Phase::Working);
    }

    fn heads(&self) -> u64 {
        self.heads.load(Ordering::Relaxed)
    }
}

/// A TCP stream that fails with `TimedOut` when a request head that has begun stays incomplete for too long.
#[derive(Debug)]
pub(super) struct Stream {
    inner: TokioIo<TcpStream>,
    exchange: Arc<Exchange>,
    limit: Duration,
    /// The number of complete heads at the time the current, incomplete one began.
    begun_after: Option<u64>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Stream {
    /// A new connection owes its first head from the start, hence `begun_after: Some(0)`.
    pub(super) fn new(stream: TcpStream, exchange: Arc<Exchange>, limit: Duration) -> Self {
        Self { inner: TokioIo::new(stream), exchange, limit, begun_after: Some(0), timer: None }
    }

    fn forget_finished_head(&mut self) {
        if self.begun_after.is_some_and(|count| count != self.exchange.heads()) {
            self.begun_after = None;
            self.timer = None;
        }
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.forget_finished_head();
        let awaiting = this.exchange.phase() == Phase::AwaitingHead;
        if let Poll::Ready(outcome) = Pin::new(&mut this.inner).poll_read(cx, buffer) {
            if awaiting && this.begun_after.is_none() {
                this.begun_after = Some(this.exchange.heads());
            }
            return Poll::Ready(outcome);
        }
        if awaiting && this.begun_after.is_some() {
            // Made only here: a head that arrives in one piece, the usual case, costs no timer.
            let limit = this.limit;
            let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
            if timer.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "request head incomplete")));
            }
        }
        Poll::Pending
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }
}
