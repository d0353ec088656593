//! The one thread that writes: group commit, compare-and-set, one sync.
//!
//! It takes everything that waits, checks what each batch expects, applies the rest as one sled batch, flushes, syncs
//! its own descriptor of the database file, and only then answers. There is no delay to collect more: while one group
//! syncs, the next one gathers.
//!
//! A write or sync that fails is not tried again. After a failed `fsync` the kernel may have dropped the dirty pages
//! and marked them clean, so that a second one would succeed over lost data. The thread answers nobody, marks the
//! engine as failed and ends; the state on disk is known again when a new process has read it.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot, watch};

use super::engine::{Batch, CommitError, StoreError, Version, Write};
use super::keys::Key;
use super::record;

/// Most batches that one sync answers for.
const MAX_GROUP: usize = 4_096;
/// A group takes no further batch once its values have this many bytes.
const MAX_GROUP_BYTES: usize = 16 << 20;
/// Most batches that wait; who comes then waits for a place.
const MAX_QUEUE: usize = 16_384;

/// Makes everything durable that the database has written to its file so far.
pub(super) type SyncStep = Box<dyn FnMut() -> io::Result<()> + Send>;

/// What the thread works on.
pub(super) struct Disk {
    pub(super) db: ::sled::Db,
    pub(super) sync: SyncStep,
    /// The version of the last commit; each group takes the next one.
    pub(super) version: u64,
    /// The sequence number of the last audit entry, 0 before the first.
    pub(super) sequence: u64,
}

/// The handle on the thread.
pub(super) struct Committer {
    sender: mpsc::Sender<Message>,
    progress: Arc<Progress>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

enum Message {
    Commit(Request),
    Close,
}

struct Request {
    batch: Batch,
    reply: oneshot::Sender<Result<(), CommitError>>,
}

/// What readers and waiters learn from the thread.
struct Progress {
    state: watch::Sender<State>,
    /// The version of the last group that deleted something, set before it is applied.
    deleted: AtomicU64,
}

#[derive(Clone, Debug)]
struct State {
    /// Everything up to this version is on disk.
    durable: u64,
    failure: Option<String>,
    closed: bool,
}

impl State {
    fn unavailable(&self) -> Option<StoreError> {
        let reason = self.failure.clone().or_else(|| self.closed.then(|| "it is closed".to_owned()))?;
        Some(StoreError::Unavailable(reason))
    }
}

impl Committer {
    /// Starts the thread. Errors: the system has no thread to give.
    pub(super) fn start(disk: Disk) -> io::Result<Self> {
        let state = State { durable: disk.version, failure: None, closed: false };
        let progress =
            Arc::new(Progress { state: watch::Sender::new(state), deleted: AtomicU64::new(disk.version) });
        let (sender, receiver) = mpsc::channel(MAX_QUEUE);
        let worker = Worker { disk, receiver, progress: Arc::clone(&progress) };
        let thread = std::thread::Builder::new().name("committer".to_owned()).spawn(move || worker.run())?;
        Ok(Self { sender, progress, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    /// Hands a batch over and waits until it is durable or refused.
    pub(super) async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        let (reply, answer) = oneshot::channel();
        let request = Message::Commit(Request { batch, reply });
        // Without a receiver the thread has failed or was closed, and so it has if it drops the request unanswered.
        self.sender.send(request).await.map_err(|_| self.unavailable())?;
        answer.await.unwrap_or_else(|_| Err(self.unavailable().into()))
    }

    /// Waits until a record of this version can no longer be lost.
    pub(super) async fn durable(&self, version: Version) -> Result<(), StoreError> {
        self.reached(version.0).await
    }

    /// Waits until no deletion that a reader may have seen can be taken back.
    pub(super) async fn deletions_durable(&self) -> Result<(), StoreError> {
        self.reached(self.progress.deleted.load(Ordering::SeqCst)).await
    }

    async fn reached(&self, version: u64) -> Result<(), StoreError> {
        if self.progress.state.borrow().durable >= version {
            return Ok(());
        }
        let mut state = self.progress.state.subscribe();
        let over = |state: &State| state.durable >= version || state.unavailable().is_some();
        let Ok(state) = state.wait_for(over).await else { return Err(self.unavailable()) };
        if state.durable >= version { Ok(()) } else { Err(self.unavailable()) }
    }

    /// Errors once the engine has failed or is closed: what sled shows then may not be on disk.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.progress.state.borrow().unavailable().map_or(Ok(()), Err)
    }

    fn unavailable(&self) -> StoreError {
        let reason = || StoreError::Unavailable("it is closing".to_owned());
        self.progress.state.borrow().unavailable().unwrap_or_else(reason)
    }

    /// Waits for a failure and returns its reason; a store that is closed in good order never fails.
    pub(super) async fn failed(&self) -> String {
        let mut state = self.progress.state.subscribe();
        if let Ok(state) = state.wait_for(|state| state.failure.is_some()).await
            && let Some(reason) = &state.failure
        {
            return reason.clone();
        }
        std::future::pending().await
    }

    /// Lets the thread finish what waits, and waits for its end.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        // A closed channel means that the thread has ended already.
        let _ = self.sender.send(Message::Close).await;
        let thread = Arc::clone(&self.thread);
        // Joining blocks; a failed join is the thread's own failure, which the state tells.
        let _ = tokio::task::spawn_blocking(move || join(&thread)).await;
        let failure = self.progress.state.borrow().failure.clone();
        failure.map_or(Ok(()), |reason| Err(StoreError::Unavailable(reason)))
    }
}

impl Drop for Committer {
    /// The lock on the data folder must outlive the thread, so dropping waits for it.
    fn drop(&mut self) {
        let (closed, _) = mpsc::channel(1);
        drop(std::mem::replace(&mut self.sender, closed));
        join(&self.thread);
    }
}

fn join(thread: &Mutex<Option<JoinHandle<()>>>) {
    let thread = thread.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(thread) = thread {
        // A panic of the thread has been reported as the engine's failure.
        let _ = thread.join();
    }
}

/// The engine has failed, and the reason has been told.
struct Failed;

struct Worker {
    disk: Disk,
    receiver: mpsc::Receiver<Message>,
    progress: Arc<Progress>,
}

impl Worker {
    fn run(mut self) {
        while let Some(Message::Commit(first)) = self.receiver.blocking_recv() {
            let (group, closing) = self.gather(first);
            if self.commit(group).is_err() {
                return;
            }
            if closing {
                break;
            }
        }
        match self.disk.make_durable() {
            Ok(()) => self.progress.state.send_modify(|state| state.closed = true),
            Err(reason) => self.fail(&reason),
        }
    }

    /// Everything that waits, up to the limits, and whether the order to close came after it.
    fn gather(&mut self, first: Request) -> (Vec<Request>, bool) {
        let mut bytes = first.batch.bytes();
        let mut group = vec![first];
        while group.len() < MAX_GROUP && bytes < MAX_GROUP_BYTES {
            match self.receiver.try_recv() {
                Ok(Message::Commit(request)) => {
                    bytes += request.batch.bytes();
                    group.push(request);
                }
                Ok(Message::Close) => return (group, true),
                Err(_) => break,
            }
        }
        (group, false)
    }

    /// Commits a group and answers it, or marks the engine as failed and answers nobody.
    fn commit(&mut self, group: Vec<Request>) -> Result<(), Failed> {
        let mut changes = Changes::new(Version(self.disk.version + 1), self.disk.sequence);
        let mut answers = Vec::with_capacity(group.len());
        for Request { batch, reply } in group {
            let checked = changes.check(&batch, &self.disk);
            if checked.is_ok() {
                changes.add(batch);
            }
            answers.push((reply, checked));
        }
        if changes.any
            && let Err(reason) = self.apply(changes)
        {
            // Before the waiters notice that nobody will answer, so that all of them learn why.
            self.fail(&reason);
            return Err(Failed);
        }
        for (reply, result) in answers {
            // Whoever went away meanwhile does not need the answer.
            let _ = reply.send(result);
        }
        Ok(())
    }

    fn apply(&mut self, changes: Changes) -> Result<(), String> {
        if changes.deletes {
            self.progress.deleted.store(changes.version.0, Ordering::SeqCst);
        }
        self.disk.db.apply_batch(changes.writes).map_err(|error| format!("a write failed: {error}"))?;
        self.disk.make_durable()?;
        (self.disk.version, self.disk.sequence) = (changes.version.0, changes.sequence);
        self.progress.state.send_modify(|state| state.durable = changes.version.0);
        Ok(())
    }

    fn fail(&self, reason: &str) {
        tracing::error!(reason, "the store has failed and must not be used until the server has restarted");
        self.progress.state.send_modify(|state| state.failure = Some(reason.to_owned()));
    }
}

impl Drop for Worker {
    /// A panic inside sled must not leave an engine behind that looks healthy.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.fail("the committer stopped unexpectedly");
        }
    }
}

impl Disk {
    /// sled's own flush does not sync the file and reports no sync error, hence the second step.
    fn make_durable(&mut self) -> Result<(), String> {
        self.db.flush().map_err(|error| format!("a flush failed: {error}"))?;
        (self.sync)().map_err(|error| format!("a sync failed: {error}"))
    }

    /// Applies one change durably before there is a thread, for the store's own record.
    pub(super) fn put_now(&mut self, key: &Key, value: &[u8]) -> Result<(), String> {
        let bytes = record::encode(key, Version(self.version), value);
        self.db.insert(key.as_bytes(), bytes).map_err(|error| format!("a write failed: {error}"))?;
        self.make_durable()
    }

    fn version(&self, key: &Key) -> Result<Option<Version>, StoreError> {
        let unreadable = |error: ::sled::Error| StoreError::Unavailable(error.to_string());
        let Some(bytes) = self.db.get(key.as_bytes()).map_err(unreadable)? else { return Ok(None) };
        Ok(Some(record::decode(key, &bytes)?.version))
    }
}

/// What a group changes, as far as it has been put together.
struct Changes {
    version: Version,
    sequence: u64,
    writes: ::sled::Batch,
    /// What the batches so far leave under the keys that they touch.
    touched: HashMap<Key, Option<Version>>,
    any: bool,
    deletes: bool,
}

impl Changes {
    fn new(version: Version, sequence: u64) -> Self {
        let (writes, touched) = (::sled::Batch::default(), HashMap::new());
        Self { version, sequence, writes, touched, any: false, deletes: false }
    }

    /// Whether the state, with the earlier batches of the group, is what the batch expects.
    fn check(&self, batch: &Batch, disk: &Disk) -> Result<(), CommitError> {
        for (key, expected) in &batch.expected {
            let current = match self.touched.get(key) {
                Some(version) => *version,
                None => disk.version(key)?,
            };
            if current != *expected {
                return Err(CommitError::Conflict(key.to_string()));
            }
        }
        Ok(())
    }

    fn add(&mut self, batch: Batch) {
        self.any |= !batch.is_empty();
        for write in batch.writes {
            match write {
                Write::Put(key, value) => {
                    self.writes.insert(key.as_bytes(), record::encode(&key, self.version, &value));
                    self.touched.insert(key, Some(self.version));
                }
                Write::Delete(key) => {
                    self.writes.remove(key.as_bytes());
                    self.touched.insert(key, None);
                    self.deletes = true;
                }
            }
        }
        for entry in batch.appended {
            self.sequence += 1;
            let key = Key::audit(self.sequence);
            self.writes.insert(key.as_bytes(), record::encode(&key, self.version, &entry));
        }
    }
}
