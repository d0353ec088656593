//! The one thread that writes: group commit, compare-and-set, one sync.
//!
//! It takes everything that waits, checks what each batch expects, applies the rest as one sled batch together with the
//! [`Head`], flushes, syncs its own descriptor of the database file, and only then answers. There is no delay to collect more:
//! while one group syncs, the next one gathers.
//!
//! A write or sync that fails is not tried again. After a failed `fsync` the kernel may have dropped the dirty pages
//! and marked them clean, so that a second one would succeed over lost data. The thread answers nobody, marks the
//! engine as failed and ends; the state on disk is known again when a new process has read it.
//!
//! - this file: the handle on the thread, which every operation shares;
//! - `worker`: the thread;
//! - `disk`: what it works on.

mod disk;
mod worker;

use std::io;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot, watch};

use super::engine::{Batch, CommitError, StoreError, Version};
use super::head::{Head, HeadKey};
use super::head_file::HeadFile;
use super::late_survey::{self, LateSurvey};
use super::walk::{self, Drift, Visitor};
use crate::telemetry::SPANS;
use worker::Worker;

pub(super) use disk::{Disk, Steps};

/// Most batches that wait; who comes then waits for a place.
const MAX_QUEUE: usize = 16_384;

/// The handle on the thread.
pub(super) struct Committer {
    sender: mpsc::Sender<Message>,
    progress: Arc<Progress>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
    /// The survey that the start has put off.
    survey: LateSurvey,
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
        drift: Arc<Drift>,
        reply: oneshot::Sender<Result<Head, StoreError>>,
    },
    Authenticate {
        hash: [u8; 32],
        reply: oneshot::Sender<Option<[u8; 32]>>,
    },
    /// All records have been compared with the head: nothing is missing, or what is wrong, with the remedy.
    Looked(Result<(), String>),
    Close,
}

struct Request {
    batch: Batch,
    reply: oneshot::Sender<Result<(), CommitError>>,
}

/// What readers and waiters learn from the thread. The two are apart because everybody who commits waits for the end, and must not
/// be woken by each group that is another's.
struct Progress {
    durable: watch::Sender<Durable>,
    end: watch::Sender<Option<End>>,
    /// The version of the last group that deleted something, set before it is applied.
    deleted: AtomicU64,
    /// Whether all records have been compared with the head in this run.
    looked: watch::Sender<bool>,
}

/// What is on disk.
#[derive(Clone, Debug)]
struct Durable {
    /// Everything up to this version.
    version: u64,
    /// The numbers of the audit entries that are kept.
    audit: RangeInclusive<u64>,
}

/// Why the thread commits nothing more.
#[derive(Clone, Debug)]
enum End {
    Failed(String),
    Closed,
}

impl From<&End> for StoreError {
    fn from(end: &End) -> Self {
        Self::Unavailable(match end {
            End::Failed(reason) => reason.clone(),
            End::Closed => "it is closed".to_owned(),
        })
    }
}

impl Progress {
    fn unavailable(&self) -> StoreError {
        let closing = || StoreError::Unavailable("it is closing".to_owned());
        self.end.borrow().as_ref().map_or_else(closing, StoreError::from)
    }

    fn failure(&self) -> Option<String> {
        match &*self.end.borrow() {
            Some(End::Failed(reason)) => Some(reason.clone()),
            Some(End::Closed) | None => None,
        }
    }
}

impl Committer {
    /// Starts the thread; `looked` says whether all records have been compared with the head. Errors: the system has no thread to give.
    pub(super) fn start(disk: Disk, head_file: HeadFile, looked: bool) -> io::Result<Self> {
        let audit = disk.head.audit_log();
        let progress = Arc::new(Progress {
            durable: watch::Sender::new(Durable { version: disk.version, audit }),
            end: watch::Sender::new(None),
            deleted: AtomicU64::new(disk.version),
            looked: watch::Sender::new(looked),
        });
        let (sender, receiver) = mpsc::channel(MAX_QUEUE);
        let progress_of_worker = Arc::clone(&progress);
        let worker = Worker {
            disk,
            head_file,
            followers: Vec::new(),
            walk: Weak::new(),
            receiver,
            progress: progress_of_worker,
        };
        let thread = std::thread::Builder::new().name("committer".to_owned()).spawn(move || worker.run())?;
        let survey = LateSurvey::default();
        Ok(Self { sender, progress, thread: Arc::new(Mutex::new(Some(thread))), survey })
    }

    /// Compares all records with the head while commits go on, in a thread of its own. `advice` makes of what is wrong what a
    /// refused start says. Errors: the system has no thread to give.
    pub(super) fn look_through(
        &mut self,
        db: ::sled::Db,
        advice: impl Fn(String) -> String + Send + 'static,
    ) -> io::Result<()> {
        let asking = self.asking();
        self.survey = LateSurvey::start(move |stop| {
            let begin = |drift| asking.ask(|reply| Message::Follow { drift, reply });
            let end = |drift| asking.ask(|reply| Message::Settle { drift, reply });
            if let Some(outcome) = late_survey::look_through(&db, stop, &begin, &end) {
                // Without a receiver the thread has failed or was closed.
                let _ = asking.sender.blocking_send(Message::Looked(outcome.map_err(&advice)));
            }
        })?;
        Ok(())
    }

    /// Whether all records have been compared with the head in this run.
    pub(super) fn looked(&self) -> bool {
        *self.progress.looked.borrow()
    }

    fn asking(&self) -> Asking {
        Asking { sender: self.sender.clone(), progress: Arc::clone(&self.progress) }
    }

    /// Hands a batch over and waits until it is durable or refused.
    #[tracing::instrument(target = SPANS, name = "commit", skip_all)]
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
        let asking = self.asking();
        let walk = move || {
            let begin = |drift| asking.ask(|reply| Message::Follow { drift, reply });
            let end = |drift| asking.ask(|reply| Message::Settle { drift, reply });
            walk::walk(&db, &mut *visitor, &begin, &end)
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
        let mut end = self.progress.end.subscribe();
        tokio::select! {
            biased;
            answer = answer => answer.map_err(|_| self.unavailable()),
            _ = end.wait_for(Option::is_some) => Err(self.unavailable()),
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
        if self.progress.durable.borrow().version >= version {
            return Ok(());
        }
        let (mut durable, mut end) = (self.progress.durable.subscribe(), self.progress.end.subscribe());
        tokio::select! {
            biased;
            reached = durable.wait_for(|durable| durable.version >= version) => {
                reached.map(drop).map_err(|_| self.unavailable())
            }
            _ = end.wait_for(Option::is_some) => Err(self.unavailable()),
        }
    }

    /// The numbers of the audit entries that are kept, as far as they are on disk.
    pub(super) fn audit_log(&self) -> RangeInclusive<u64> {
        self.progress.durable.borrow().audit.clone()
    }

    /// Errors once the engine has failed or is closed: what sled shows then may not be on disk.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.progress.end.borrow().as_ref().map_or(Ok(()), |end| Err(end.into()))
    }

    fn unavailable(&self) -> StoreError {
        self.progress.unavailable()
    }

    /// Waits for a failure and returns its reason; a store that is closed in good order never fails.
    pub(super) async fn failed(&self) -> String {
        let mut end = self.progress.end.subscribe();
        if end.wait_for(|end| matches!(end, Some(End::Failed(_)))).await.is_ok()
            && let Some(reason) = self.progress.failure()
        {
            return reason;
        }
        std::future::pending().await
    }

    /// Lets the thread finish what waits, and waits for its end.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        self.survey.stop();
        // A closed channel means that the thread has ended already.
        let _ = self.sender.send(Message::Close).await;
        let threads = [&self.thread, self.survey.thread()].map(Arc::clone);
        // Joining blocks; a failed join is the thread's own failure, which the state tells.
        let _ = tokio::task::spawn_blocking(move || threads.iter().for_each(|thread| join(thread))).await;
        self.progress.failure().map_or(Ok(()), |reason| Err(StoreError::Unavailable(reason)))
    }
}

impl Drop for Committer {
    /// The lock on the data folder must outlive the thread, so dropping waits for it.
    fn drop(&mut self) {
        self.survey.stop();
        let (closed, _) = mpsc::channel(1);
        drop(std::mem::replace(&mut self.sender, closed));
        join(&self.thread);
        join(self.survey.thread());
    }
}

/// What a walk, in a thread that may wait, asks the committer by.
struct Asking {
    sender: mpsc::Sender<Message>,
    progress: Arc<Progress>,
}

impl Asking {
    fn ask(
        &self,
        message: impl FnOnce(oneshot::Sender<Result<Head, StoreError>>) -> Message,
    ) -> Result<Head, StoreError> {
        let (reply, answer) = oneshot::channel();
        let unavailable = || self.progress.unavailable();
        self.sender.blocking_send(message(reply)).map_err(|_| unavailable())?;
        answer.blocking_recv().unwrap_or_else(|_| Err(unavailable()))
    }
}

fn join(thread: &Mutex<Option<JoinHandle<()>>>) {
    let thread = thread.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(thread) = thread {
        // A panic of the thread has been reported as the engine's failure.
        let _ = thread.join();
    }
}
