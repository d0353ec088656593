//! What one connection, one client address, and all connections together may take.

use std::time::Duration;

use ipnet::IpNet;

/// The limits of a listener.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Open connections of the process; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Open connections of one client, an IPv4 address or an IPv6 /64; further ones are closed at once.
    pub connections_per_client: usize,
    /// Peers that stand for many clients, to whom `connections_per_client` and `pressed_idle` do not apply.
    pub exempt: Vec<IpNet>,
    /// From the first byte of a request head (or from the connection's start) to its last.
    pub header: Duration,
    /// From the first wait for a request body to its last byte.
    pub body: Duration,
    /// A client that takes no byte of its answer.
    pub write: Duration,
    /// A kept-alive connection without a request.
    pub idle: Duration,
    /// The same for a connection that arrives when more than half of `connections` are open.
    pub pressed_idle: Duration,
    /// From our last byte of a connection until it is closed over what the client still sends.
    pub linger: Duration,
    /// From the signal to stop until requests in flight are abandoned.
    pub shutdown: Duration,
    /// Bytes of a request head.
    pub head_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            // A quarter: no client alone keeps others out, and a whole office behind one address still fits.
            connections_per_client: 2_500,
            exempt: Vec::new(),
            header: Duration::from_secs(10),
            body: Duration::from_secs(10),
            write: Duration::from_secs(30),
            // Longer than the 60 s that nginx keeps upstream connections: the side that sends requests should be the
            // one that closes, or a request meets a closing connection.
            idle: Duration::from_secs(75),
            pressed_idle: Duration::from_secs(5),
            linger: Duration::from_secs(1),
            shutdown: Duration::from_secs(10),
            head_bytes: 16 * 1024,
        }
    }
}

impl Limits {
    /// File descriptors that a server with this many connections needs: one each, and some for the database, the
    /// control socket, the log and the runtime.
    pub fn descriptors(&self) -> u64 {
        const OTHERS: u64 = 256;
        u64::try_from(self.connections).unwrap_or(u64::MAX).saturating_add(OTHERS)
    }
}
