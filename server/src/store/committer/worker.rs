//! The thread itself: it gathers what waits, commits it as one group, and answers.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    thread,
};

use tokio::sync::mpsc;

use super::{Durable, End, Message, Progress, Request, disk::Disk};
use crate::{
    clock::Clock,
    metering,
    store::{
        engine::{StoreError, Version},
        group::Group,
        head::Head,
        head_file::HeadFile,
        record,
        trimmed::Trimmed,
        walk::Drift,
    },
};

/// Most batches that one sync answers for.
const MAX_GROUP: usize = 4_096;
/// A group takes no further batch once its values have this many bytes.
const MAX_GROUP_BYTES: usize = 16 << 20;

/// How often those who are ready to run are let go first, so that what they bring along shares the sync.
const YIELDS: usize = 4;

/// The engine has failed, and the reason has been told.
struct Failed;

pub(super) struct Worker {
    pub(super) disk: Disk,
    pub(super) head_file: HeadFile,
    /// The walks that are told of changes: a backup or check, and a survey; one is over when nobody else holds it.
    pub(super) followers: Vec<Arc<Drift>>,
    /// The latest walk: it is going on as long as it holds this.
    pub(super) walk: Weak<Drift>,
    pub(super) receiver: mpsc::Receiver<Message>,
    pub(super) progress: Arc<Progress>,
}

impl Worker {
    pub(super) fn run(mut self) {
        while let Some(message) = self.receiver.blocking_recv() {
            match self.handle(message) {
                Ok(true) => {}
                Ok(false) => break,
                Err(Failed) => return,
            }
        }
        let is_complete = *self.progress.looked.borrow();
        let close = |file: &mut HeadFile| if is_complete { file.close_with_note() } else { file.close() };
        match self.disk.make_durable().and_then(|()| close(&mut self.head_file)) {
            Ok(()) => {
                self.progress.end.send_replace(Some(End::Closed));
            }
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
                Message::Settle { drift, reply } => {
                    self.followers.retain(|follower| !Arc::ptr_eq(follower, &drift));
                    let _ = reply.send(Ok(self.disk.head.clone()));
                }
                Message::Authenticate { hash, reply } => {
                    let Disk { key, store, .. } = &self.disk;
                    let _ = reply.send(key.as_ref().map(|key| key.authenticate(store, &hash)));
                }
                Message::Looked(Ok(())) => {
                    self.progress.looked.send_replace(true);
                }
                Message::Looked(Err(reason)) => {
                    self.fail(&reason);
                    return Err(Failed);
                }
                Message::Close => return Ok(false),
            }
        }
        Ok(true)
    }

    fn follow(&mut self, drift: Arc<Drift>) -> Result<Head, StoreError> {
        self.forget_who_is_gone();
        if !drift.is_of_survey() {
            if self.followers.iter().any(|follower| !follower.is_of_survey()) {
                let reason = "another backup or check is under way: try again when it is done";
                return Err(StoreError::Unavailable(reason.to_owned()));
            }
            self.walk = Arc::downgrade(&drift);
        }
        self.followers.push(drift);
        Ok(self.disk.head.clone())
    }

    fn forget_who_is_gone(&mut self) {
        self.followers.retain(|follower| Arc::strong_count(follower) > 1);
    }

    /// Whether somebody reads the audit log: a survey does not.
    fn is_walked(&self) -> bool {
        let own = self.followers.iter().filter(|follower| !follower.is_of_survey()).count();
        self.walk.strong_count() > own
    }

    /// Everything that waits, up to the limits or to a message of another kind.
    ///
    /// A group costs the processors as much as several batches, whatever is in it. So where they are busy, whoever is about to bring one
    /// goes first; where one is free, or nobody brings anything, yielding takes no time.
    fn gather(&mut self, first: Request) -> (Vec<Request>, Option<Message>) {
        let mut bytes = first.batch.bytes();
        let mut requests = vec![first];
        let (mut yields, mut before) = (0, 0);
        while requests.len() < MAX_GROUP && bytes < MAX_GROUP_BYTES {
            match self.receiver.try_recv() {
                Ok(Message::Commit(request)) => {
                    bytes += request.batch.bytes();
                    requests.push(request);
                }
                Ok(other) => return (requests, Some(other)),
                Err(_) if yields < YIELDS && requests.len() > before => {
                    (yields, before) = (yields + 1, requests.len());
                    thread::yield_now();
                }
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
                Err(Trimmed::conflict())
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
        self.forget_who_is_gone();
        for drift in &self.followers {
            group.changes().for_each(|(key, before, after)| drift.note(key.as_bytes(), before, after));
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
        self.progress.durable.send_replace(Durable { version: version.0, audit: head.audit_log() });
        (self.disk.version, self.disk.head) = (version.0, head);
        Ok(())
    }

    fn fail(&self, reason: &str) {
        tracing::error!(reason, "the store has failed and must not be used until the server has restarted");
        self.progress.end.send_replace(Some(End::Failed(reason.to_owned())));
    }
}

impl Drop for Worker {
    /// A panic inside sled must not leave an engine behind that looks healthy.
    fn drop(&mut self) {
        if thread::panicking() {
            self.fail("the committer stopped unexpectedly");
        }
    }
}
