//! Where a connection stands: waiting for a request, reading its body, or working on it.
//!
//! hyper 1.12 knows one timeout between a finished answer and the next complete request head, so it cannot tell an
//! idle client from one that sends a head byte by byte. [`Stream`](super::stream::Stream) sees the bytes and [`Exchange`]
//! the requests; together they cut the second kind early and let the first kind stay connected.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

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

    pub(super) fn heads(&self) -> u64 {
        self.heads.load(Ordering::Relaxed)
    }
}
