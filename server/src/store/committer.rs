//! The one thread that writes: group commit, compare-and-set, one sync.
//!
//! It takes everything that waits, checks what each batch expects, applies the rest as one sled batch together with the
//! [`Head`], flushes, syncs its own descriptor of the database file, and only then answers. There is no delay to collect more:
//! while one group syncs, the next one gathers.
//!
//! A write or sync that fails is not tried again. After a failed `fsync` the kernel may have dropped the dirty pages
//! and marked them clean, so that a second one would succeed over lost data. The thread answers nobody, marks the
//! engine as failed and ends; the state on disk is known again when a new process has read it.

use std::io;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot, watch};

use super::engine::{Batch, CommitError, StoreError, StoreId, Version};
use super::group::Group;
use super::head::{Head, HeadKey};
use super::head_file::HeadFile;
use super::keys::Key;
use super::record::{self, Header};
use super::retention;
use super::walk::{self, Drift, Visitor};
use crate::clock::Clock;
use crate::metering;

/// Most batches that one sync answers for.
const MAX_GROUP: usize = 4_096;
/// A group takes no further batch once its values have this many bytes.
const MAX_GROUP_BYTES: usize = 16 << 20;
/// Most batches that wait; who comes then waits for a place.
const MAX_QUEUE: usize = 16_384;

/// Gives a batch to the database.
pub(super) type WriteStep = Box<dyn FnMut(&::sled::Db, ::sled::Batch) -> io::Result<()> + Send>;
/// Makes everything durable that the database has written to its file so far.
pub(super) type SyncStep = Box<dyn FnMut() -> io::Result<()> + Send>;

/// How a group reaches the disk, in two steps so that tests can make each of them fail.
pub(super) struct Steps {
    pub(super) write: WriteStep,
    pub(super) sync: SyncStep,
}

/// What the thread works on.
pub(super) struct Disk {
    pub(super) db: ::sled::Db,
    pub(super) steps: Steps,
    pub(super) store: StoreId,
    /// The version of the last commit; each group takes the next one.
    pub(super) version: u64,
    /// What the store holds.
    pub(super) head: Head,
    /// The key of the head's seal, once it was handed over.
    pub(super) key: Option<HeadKey>,
}

/// The handle on the thread.
pub(super) struct Committer {
    sender: mpsc::Sender<Message>,
    progress: Arc<Progress>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

enum Message {
    Commit(Request),
    Seal {
        key: HeadKey,
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
    /// Begins to note changes for a walk.
    Follow {
        drift: Arc<Drift>,
        reply: oneshot::Sender<Result<Head, StoreError>>,
    },
    /// Ends it.
    Settle {
        reply: oneshot::Sender<Result<Head, StoreError>>,
    },
    Authenticate {
        hash: [u8; 32],
        reply: oneshot::Sender<Option<[u8; 32]>>,
    },
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
    /// The numbers of the audit entries that are kept.
    audit: RangeInclusive<u64>,
}

impl State {
    fn unavailable(&self) -> Option<StoreError> {
        let reason = self.failure.clone().or_else(|| self.closed.then(|| "it is closed".to_owned()))?;
        Some(StoreError::Unavailable(reason))
    }
}

impl Progress {
    fn unavailable(&self) -> StoreError {
        let reason = || StoreError::Unavailable("it is closing".to_owned());
        self.state.borrow().unavailable().unwrap_or_else(reason)
    }
}

impl Committer {
    /// Starts the thread. Errors: the system has no thread to give.
    pub(super) fn start(disk: Disk, head_file: HeadFile) -> io::Result<Self> {
        let audit = disk.head.audit_log();
        let state = State { durable: disk.version, failure: None, closed: false, audit };
        let progress =
            Arc::new(Progress { state: watch::Sender::new(state), deleted: AtomicU64::new(disk.version) });
        let (sender, receiver) = mpsc::channel(MAX_QUEUE);
        let progress_of_worker = Arc::clone(&progress);
        let worker = Worker {
            disk,
            head_file,
            follower: None,
            walk: Weak::new(),
            receiver,
            progress: progress_of_worker,
        };
        let thread = std::thread::Builder::new().name("committer".to_owned()).spawn(move || worker.run())?;
        Ok(Self { sender, progress, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    /// Hands a batch over and waits until it is durable or refused.
    pub(super) async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        let (reply, answer) = oneshot::channel();
        let request = Message::Commit(Request { batch, reply });
        // Without a receiver the thread has failed or was closed.
        self.sender.send(request).await.map_err(|_| self.unavailable())?;
        self.answered(answer).await?
    }

    /// Hands the key of the head's seal over and waits for the verdict.
    pub(super) async fn seal(&self, key: HeadKey) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.sender.send(Message::Seal { key, reply }).await.map_err(|_| self.unavailable())?;
        self.answered(answer).await?
    }

    /// Walks over everything, see [`walk`](super::walk).
    pub(super) async fn walk(
        &self,
        db: ::sled::Db,
        mut visitor: Box<dyn Visitor>,
    ) -> Result<Head, StoreError> {
        let (sender, progress) = (self.sender.clone(), Arc::clone(&self.progress));
        let walk = move || {
            let ask = |message, answer: oneshot::Receiver<Result<Head, StoreError>>| {
                let unavailable = || progress.unavailable();
                sender.blocking_send(message).map_err(|_| unavailable())?;
                answer.blocking_recv().unwrap_or_else(|_| Err(unavailable()))
            };
            let begin = |drift| {
                let (reply, answer) = oneshot::channel();
                ask(Message::Follow { drift, reply }, answer)
            };
            let end = || {
                let (reply, answer) = oneshot::channel();
                ask(Message::Settle { reply }, answer)
            };
            walk::walk(&db, &mut *visitor, begin, end)
        };
        // sled panics on some kinds of damage.
        let outcome = tokio::task::spawn_blocking(walk).await;
        outcome.unwrap_or_else(|_| {
            Err(StoreError::Unavailable("the database could not be read through".to_owned()))
        })
    }

    /// See [`Engine::authenticate`](super::Engine::authenticate).
    pub(super) async fn authenticate(&self, hash: [u8; 32]) -> Result<Option<[u8; 32]>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.sender.send(Message::Authenticate { hash, reply }).await.map_err(|_| self.unavailable())?;
        self.answered(answer).await
    }

    /// Waits for the thread's answer to a message. A message that is sent in the moment in which the thread ends may stay in the channel,
    /// neither answered nor dropped, so the end of the thread is waited for as well.
    async fn answered<T>(&self, answer: oneshot::Receiver<T>) -> Result<T, StoreError> {
        let mut state = self.progress.state.subscribe();
        tokio::select! {
            biased;
            answer = answer => answer.map_err(|_| self.unavailable()),
            _ = state.wait_for(|state| state.unavailable().is_some()) => Err(self.unavailable()),
        }
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

    /// The numbers of the audit entries that are kept, as far as they are on disk.
    pub(super) fn audit_log(&self) -> RangeInclusive<u64> {
        self.progress.state.borrow().audit.clone()
    }

    /// Errors once the engine has failed or is closed: what sled shows then may not be on disk.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.progress.state.borrow().unavailable().map_or(Ok(()), Err)
    }

    fn unavailable(&self) -> StoreError {
        self.progress.unavailable()
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
    head_file: HeadFile,
    /// The walk that is told of changes; it is over when nobody else holds it.
    follower: Option<Arc<Drift>>,
    /// The latest walk: it is going on as long as it holds this.
    walk: Weak<Drift>,
    receiver: mpsc::Receiver<Message>,
    progress: Arc<Progress>,
}

impl Worker {
    fn run(mut self) {
        while let Some(message) = self.receiver.blocking_recv() {
            match self.handle(message) {
                Ok(true) => {}
                Ok(false) => break,
                Err(Failed) => return,
            }
        }
        match self.disk.make_durable().and_then(|()| self.head_file.close()) {
            Ok(()) => self.progress.state.send_modify(|state| state.closed = true),
            Err(reason) => self.fail(&reason),
        }
    }

    /// Does what a message says, and what came after the commits that it brought along; whether to go on.
    fn handle(&mut self, message: Message) -> Result<bool, Failed> {
        let mut message = Some(message);
        while let Some(next) = message.take() {
            match next {
                Message::Commit(first) => {
                    let (requests, after) = self.gather(first);
                    self.commit(requests)?;
                    message = after;
                }
                Message::Seal { key, reply } => {
                    // Whoever went away meanwhile does not need the answer.
                    let _ = reply.send(self.disk.seal(key));
                }
                Message::Follow { drift, reply } => {
                    let _ = reply.send(self.follow(drift));
                }
                Message::Settle { reply } => {
                    self.follower = None;
                    let _ = reply.send(Ok(self.disk.head.clone()));
                }
                Message::Authenticate { hash, reply } => {
                    let Disk { key, store, .. } = &self.disk;
                    let _ = reply.send(key.as_ref().map(|key| key.authenticate(store, &hash)));
                }
                Message::Close => return Ok(false),
            }
        }
        Ok(true)
    }

    fn follow(&mut self, drift: Arc<Drift>) -> Result<Head, StoreError> {
        if self.follower.as_ref().is_some_and(|drift| Arc::strong_count(drift) > 1) {
            let reason = "another backup or check is under way: try again when it is done";
            return Err(StoreError::Unavailable(reason.to_owned()));
        }
        self.walk = Arc::downgrade(&drift);
        self.follower = Some(drift);
        Ok(self.disk.head.clone())
    }

    fn is_walked(&self) -> bool {
        self.walk.strong_count() > usize::from(self.follower.is_some())
    }

    /// Everything that waits, up to the limits or to a message of another kind.
    fn gather(&mut self, first: Request) -> (Vec<Request>, Option<Message>) {
        let mut bytes = first.batch.bytes();
        let mut requests = vec![first];
        while requests.len() < MAX_GROUP && bytes < MAX_GROUP_BYTES {
            match self.receiver.try_recv() {
                Ok(Message::Commit(request)) => {
                    bytes += request.batch.bytes();
                    requests.push(request);
                }
                Ok(other) => return (requests, Some(other)),
                Err(_) => break,
            }
        }
        (requests, None)
    }

    /// Commits a group and answers it, or marks the engine as failed and answers nobody.
    fn commit(&mut self, requests: Vec<Request>) -> Result<(), Failed> {
        let mut group = Group::new(Version(self.disk.version + 1));
        let mut answers = Vec::with_capacity(requests.len());
        for Request { batch, reply } in requests {
            let taken = if batch.trimmed.is_some() && self.is_walked() {
                Err(CommitError::Conflict("audit log".to_owned()))
            } else {
                self.disk.take(&mut group, batch)
            };
            answers.push((reply, taken));
        }
        if group.changes_something() {
            let begun = Clock::instant();
            if let Err(reason) = self.apply(group) {
                // Before the waiters notice that nobody will answer, so that all of them learn why.
                self.fail(&reason);
                return Err(Failed);
            }
            metering::committed(answers.len(), begun.elapsed());
        }
        for (reply, result) in answers {
            // Whoever went away meanwhile does not need the answer.
            let _ = reply.send(result);
        }
        Ok(())
    }

    fn apply(&mut self, group: Group) -> Result<(), String> {
        let version = group.version();
        if group.deletes() {
            self.progress.deleted.store(version.0, Ordering::SeqCst);
        }
        if let Some(drift) = self.follower.take_if(|drift| Arc::strong_count(drift) > 1) {
            group.changes().for_each(|(key, before, after)| drift.note(key.as_bytes(), before, after));
            self.follower = Some(drift);
        }
        let (mut writes, mut head) = group.finish(&self.disk.head);
        if let Some(key) = &self.disk.key {
            head.seal(&self.disk.store, key);
        }
        let bytes = head.encode();
        let key = Head::key();
        writes.insert(key.as_bytes(), record::encode(&key, version, &bytes));
        self.disk.write(writes)?;
        self.disk.make_durable()?;
        // Only now, so that the file never tells of what a power cut could take back.
        self.head_file.tell(bytes)?;
        self.progress.state.send_modify(|state| {
            state.durable = version.0;
            state.audit = head.audit_log();
        });
        (self.disk.version, self.disk.head) = (version.0, head);
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
    /// Applies records of the engine's own durably before there is a thread.
    pub(super) fn put_now(&mut self, records: &[(Key, &[u8])]) -> Result<(), String> {
        let mut writes = ::sled::Batch::default();
        for (key, value) in records {
            writes.insert(key.as_bytes(), record::encode(key, Version(self.version), value));
        }
        self.write(writes)?;
        self.make_durable()
    }

    /// Adds a batch to a group, or says why it is none of it.
    fn take(&self, group: &mut Group, batch: Batch) -> Result<(), CommitError> {
        if self.head.seal.is_some() && self.key.is_none() {
            return Err(CommitError::Sealed);
        }
        group.check(&batch, |key| self.header(key))?;
        if let Some(entries) = &batch.trimmed {
            if group.trims() || entries.start() != self.head.audit_log().start() {
                return Err(CommitError::Conflict("audit log".to_owned()));
            }
            group.trim(retention::cut(&self.db, self.head.base, entries)?);
        }
        group.add(batch);
        Ok(())
    }

    fn write(&mut self, writes: ::sled::Batch) -> Result<(), String> {
        (self.steps.write)(&self.db, writes).map_err(|error| format!("a write failed: {error}"))
    }

    /// sled's own flush does not sync the file and reports no sync error, hence the second step.
    fn make_durable(&mut self) -> Result<(), String> {
        self.db.flush().map_err(|error| format!("a flush failed: {error}"))?;
        (self.steps.sync)().map_err(|error| format!("a sync failed: {error}"))
    }

    fn header(&self, key: &Key) -> Result<Option<Header>, StoreError> {
        let unreadable = |error: ::sled::Error| StoreError::Unavailable(error.to_string());
        let Some(bytes) = self.db.get(key.as_bytes()).map_err(unreadable)? else { return Ok(None) };
        Ok(Some(record::check(key, &bytes)?.0))
    }

    /// Checks what was read by the key, and keeps the key for what will be written.
    fn seal(&mut self, key: HeadKey) -> Result<(), StoreError> {
        let damaged = |damage| StoreError::Damaged { key: Head::key().to_string(), damage };
        if self.head.seal.is_none() && self.header(&Key::meta("sentinel"))?.is_some() {
            return Err(damaged("its seal is gone"));
        }
        if self.head.seal.is_some() && !self.head.is_sealed_by(&self.store, &key) {
            return Err(damaged("its seal is not of this store and its master key"));
        }
        self.key = Some(key);
        Ok(())
    }
}
