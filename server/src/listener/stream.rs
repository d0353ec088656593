//! A TCP stream with deadlines for its client: for the rest of a request head, for taking an answer, for closing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::exchange::{Exchange, Phase};
use super::limits::Limits;

/// What a client may send after our last byte.
const LINGER_BYTES: usize = 4 * 1024 * 1024;

type Timer = Option<Pin<Box<Sleep>>>;

/// A TCP stream that fails with `TimedOut` when a request head that has begun stays incomplete for too long, or when the
/// client takes no byte of an answer for too long.
#[derive(Debug)]
pub(super) struct Stream {
    inner: TokioIo<TcpStream>,
    exchange: Arc<Exchange>,
    head_limit: Duration,
    write_limit: Duration,
    linger_limit: Duration,
    /// The number of complete heads at the time the current, incomplete one began.
    begun_after: Option<u64>,
    head_timer: Timer,
    write_timer: Timer,
    /// Set once our side is shut: what the client may still send before the connection is closed over it.
    lingering: Option<Linger>,
}

#[derive(Debug)]
struct Linger {
    timer: Pin<Box<Sleep>>,
    bytes: usize,
}

impl Stream {
    /// A new connection owes its first head from the start, hence `begun_after: Some(0)`.
    pub(super) fn new(stream: TcpStream, exchange: Arc<Exchange>, limits: &Limits) -> Self {
        Self {
            inner: TokioIo::new(stream),
            exchange,
            head_limit: limits.header,
            write_limit: limits.write,
            linger_limit: limits.linger,
            begun_after: Some(0),
            head_timer: None,
            write_timer: None,
            lingering: None,
        }
    }

    fn forget_finished_head(&mut self) {
        if self.begun_after.is_some_and(|count| count != self.exchange.heads()) {
            self.begun_after = None;
            self.head_timer = None;
        }
    }

    /// Every byte taken starts the time anew; a write that need not wait costs no timer.
    fn in_time(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.write_timer = None;
            return written;
        }
        ready!(poll_timer(&mut self.write_timer, self.write_limit, cx));
        // Or the kernel would offer what it has buffered for many minutes more. A refusal changes nothing here.
        let _ = self.inner.inner().set_zero_linger();
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "answer not taken")))
    }

    /// Closing over unread bytes resets the connection, and a reset takes back the answer that the client has not read
    /// yet (RFC 9112 §9.6). So these bytes are read and thrown away first, within bounds.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(Linger { timer, bytes }) = &mut self.lingering else { return Poll::Ready(()) };
        let mut chunk = [0; 4096];
        while *bytes > 0 {
            let mut buffer = ReadBuf::new(&mut chunk);
            match Pin::new(self.inner.inner_mut()).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    *bytes = bytes.saturating_sub(buffer.filled().len());
                }
                // The client has closed as well, or is gone.
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return timer.as_mut().poll(cx),
            }
        }
        Poll::Ready(())
    }
}

fn poll_timer(timer: &mut Timer, limit: Duration, cx: &mut Context<'_>) -> Poll<()> {
    timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit))).as_mut().poll(cx)
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
            ready!(poll_timer(&mut this.head_timer, this.head_limit, cx));
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "request head incomplete")));
        }
        Poll::Pending
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.in_time(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TCP has nothing to flush: this never waits.
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
            let timer = Box::pin(tokio::time::sleep(this.linger_limit));
            this.lingering = Some(Linger { timer, bytes: LINGER_BYTES });
        }
        this.poll_linger(cx).map(Ok)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.in_time(cx, written)
    }
}
