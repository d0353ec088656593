//! A gate between servers and their database: a TCP proxy that can be shut, fall silent, or swallow a commit or its answer.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the database is asked and answers for a commit, zero byte included: a simple query, and the tag of its completion
/// (`PostgreSQL`'s manual, 55.7, `Query` and `CommandComplete`).
const COMMIT: &[u8] = b"COMMIT\0";

/// What stands in the keys of everything that belongs to an app of [`App`](crate::App), and so in each transaction that a user's
/// request makes. Those that servers make for themselves pass.
const APP: &[u8] = b"example";

/// What becomes of what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It passes.
    Open,
    /// Each connection is ended, and so is each new one at once.
    Shut,
    /// Connections stay and can be made, and nothing passes.
    Stalled,
    /// A connection ends before the commit of something about an app passes: it never happens.
    LosesCommits,
    /// A connection ends between such a commit and its answer: it has happened, and nobody is told.
    LosesAnswers,
}

/// A gate, and the only way to a database for those who have its address.
pub struct Gatekeeper {
    port: u16,
    gate: watch::Sender<Gate>,
    lost: Arc<AtomicU64>,
    listener: JoinHandle<()>,
}

impl Gatekeeper {
    /// Before the database server whose socket is in this folder.
    pub async fn before(folder: &Path) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port can be had");
        let port = listener.local_addr().expect("it has an address").port();
        let (gate, _) = watch::channel(Gate::Open);
        let lost = Arc::<AtomicU64>::default();
        let passage =
            Passage { socket: folder.join(".s.PGSQL.5432"), gate: gate.subscribe(), lost: Arc::clone(&lost) };
        let listener = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(passage.clone().pass(client));
            }
        });
        Self { port, gate, lost, listener }
    }

    /// The address of a database that has this one without a gate.
    pub fn address(&self, database: &str) -> String {
        let rest = database.split_once(' ').map_or("", |(_, rest)| rest);
        format!("host=127.0.0.1 port={} {rest}", self.port)
    }

    /// From now on.
    pub fn set(&self, gate: Gate) {
        self.gate.send_replace(gate);
    }

    /// How many commits, or answers to one, were swallowed.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::SeqCst)
    }
}

impl Drop for Gatekeeper {
    fn drop(&mut self) {
        self.listener.abort();
        self.set(Gate::Shut);
    }
}

#[derive(Clone)]
struct Passage {
    socket: PathBuf,
    gate: watch::Receiver<Gate>,
    lost: Arc<AtomicU64>,
}

impl Passage {
    /// Both ends are closed when this ends.
    async fn pass(self, client: TcpStream) {
        if *self.gate.borrow() == Gate::Shut {
            return;
        }
        let Ok(database) = UnixStream::connect(&self.socket).await else { return };
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_database, mut to_database) = database.into_split();
        let committing = AtomicBool::new(false);
        let asks = async {
            let mut watch = Watch::of(APP);
            while let Some(bytes) = self.next(&mut from_client).await {
                if watch.sees_commit(&bytes) {
                    match self.now() {
                        Gate::LosesCommits => return self.lose(),
                        Gate::LosesAnswers => committing.store(true, Ordering::SeqCst),
                        _ => {}
                    }
                }
                if to_database.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        };
        let answers = async {
            let mut watch = Watch::of(b"");
            while let Some(bytes) = self.next(&mut from_database).await {
                if watch.sees_commit(&bytes) && committing.load(Ordering::SeqCst) {
                    return self.lose();
                }
                if to_client.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        };
        let mut gate = self.gate.clone();
        tokio::select! {
            () = asks => {}
            () = answers => {}
            _ = gate.wait_for(|gate| *gate == Gate::Shut) => {}
        }
    }

    fn now(&self) -> Gate {
        *self.gate.borrow()
    }

    fn lose(&self) {
        self.lost.fetch_add(1, Ordering::SeqCst);
    }

    /// What comes next, as soon as it may pass.
    async fn next(&self, from: &mut (impl tokio::io::AsyncRead + Unpin)) -> Option<Vec<u8>> {
        let mut bytes = vec![0; 16 * 1024];
        let length = from.read(&mut bytes).await.ok().filter(|length| *length > 0)?;
        bytes.truncate(length);
        self.gate.clone().wait_for(|gate| *gate != Gate::Stalled).await.ok()?;
        Some(bytes)
    }
}

/// Finds a commit of something in a stream, also where it is cut in two.
struct Watch {
    something: &'static [u8],
    /// Whether that was named since the last commit.
    is_named: bool,
    /// The end of what has passed, in which either may have begun.
    end: Vec<u8>,
}

impl Watch {
    fn of(something: &'static [u8]) -> Self {
        Self { something, is_named: something.is_empty(), end: Vec::new() }
    }

    fn sees_commit(&mut self, bytes: &[u8]) -> bool {
        let mut text = std::mem::take(&mut self.end);
        text.extend_from_slice(bytes);
        let mut seen = false;
        while let Some(at) = find(COMMIT, &text) {
            seen |= self.is_named || find(self.something, &text[..at]).is_some();
            self.is_named = self.something.is_empty();
            text.drain(..at + COMMIT.len());
        }
        self.is_named |= find(self.something, &text).is_some();
        self.end = text.split_off(text.len().saturating_sub(COMMIT.len().max(self.something.len()) - 1));
        seen
    }
}

fn find(what: &[u8], within: &[u8]) -> Option<usize> {
    within.windows(what.len().max(1)).position(|window| window.starts_with(what))
}

#[cfg(test)]
mod tests {
    use super::Watch;

    #[test]
    fn a_commit_is_seen_once_also_in_two_parts() {
        let mut watch = Watch::of(b"");
        let seen = [&b"BEGIN\0"[..], b"synchronous_commit\0", b"..COM", b"MIT\0..", b"..", b"Q\0COMMIT\0"];
        assert_eq!(seen.map(|bytes| watch.sees_commit(bytes)), [false, false, false, true, false, true]);
    }

    #[test]
    fn a_commit_counts_where_something_was_named_before_it() {
        let mut watch = Watch::of(b"app");
        let seen =
            [&b"COMMIT\0"[..], b"..ap", b"p..", b"COMMIT\0", b"COMMIT\0", b"app COMMIT\0", b"COMMIT\0app"];
        assert_eq!(
            seen.map(|bytes| watch.sees_commit(bytes)),
            [false, false, false, true, false, true, false]
        );
        assert!(watch.sees_commit(b"COMMIT\0"));
    }
}
