//! The work for one destination: what is due again, then what is new in the audit trail.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use sidekey_core::time::UnixTime;

use super::record::{Parked, cursor, cursor_key, parked, parked_bytes, parked_key, place};
use super::{Destination, schedule};
use crate::clock::Clock;
use crate::metering;
use crate::notify::owner::Owners;
use crate::notify::{Notice, Subject, Surroundings, Undelivered};
use crate::store::engine::MAX_SCAN;
use crate::store::{Batch, CommitError, Engine, Key, Kind, StoreError, Version};

/// Entries of the trail that are looked at in one go.
const PAGE: usize = 256;
/// Users who are told of at once.
const AT_ONCE: usize = 8;
/// After a failure, so many are tried before the destination counts as reachable.
const PROBES: usize = 3;
/// Most entries that wait one by one; with more, the destination counts as one that takes nothing.
pub const MAX_PARKED: usize = 10_000;
/// Between two looks at the trail when there is nothing to do.
const IDLE: Duration = Duration::from_secs(1);
/// After an error of the store.
const TROUBLE: Duration = Duration::from_secs(5);

/// The worker of one destination.
pub struct Worker {
    engine: Arc<dyn Engine>,
    clock: Clock,
    owners: Arc<dyn Owners>,
    destination: Arc<Destination>,
    /// Failures in a row of the destination as a whole.
    failures: u32,
}

/// How a round went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// There may be more to do at once.
    Moved,
    /// There is nothing to do.
    Idle,
    /// The destination takes nothing; this long it is left alone.
    Down(Duration),
}

/// What is about one user, in its order.
struct Line {
    subject: Subject,
    notices: VecDeque<Notice>,
}

/// How a line went: what of it was not delivered, and why the first of that was not.
struct Outcome {
    subject: Subject,
    delivered: usize,
    left: VecDeque<Notice>,
    failure: Option<Undelivered>,
}

/// What waits of a destination.
struct Waiting {
    /// By user: the first that is no dead letter.
    first: HashMap<Subject, (u64, Parked, Version)>,
    /// All that are no dead letters.
    count: usize,
}

impl Worker {
    /// A worker that has done nothing yet.
    pub fn new(
        engine: Arc<dyn Engine>,
        clock: Clock,
        owners: Arc<dyn Owners>,
        destination: Arc<Destination>,
    ) -> Self {
        Self { engine, clock, owners, destination, failures: 0 }
    }

    /// Works for as long as it is polled.
    pub async fn run(mut self) {
        loop {
            let pause = match self.round().await {
                Ok(Round::Moved) => continue,
                Ok(Round::Idle) => IDLE,
                Ok(Round::Down(pause)) => pause,
                Err(error) => {
                    tracing::warn!(destination = %self.destination.name, %error, "the outbox cannot go on");
                    TROUBLE
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Does what is due, and tells of the next entries of the trail.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn round(&mut self) -> Result<Round, StoreError> {
        let now = self.clock.now();
        let waiting = self.waiting().await?;
        metering::outbox_waits(&self.destination.name, waiting.count);
        let retried = self.retry(&waiting, now).await?;
        let told = self.tell(&waiting, now).await?;
        Ok(match told {
            Round::Idle if retried => Round::Moved,
            told => told,
        })
    }

    /// What waits, user by user.
    async fn waiting(&self) -> Result<Waiting, StoreError> {
        let name = &self.destination.name;
        let prefix = cursor_key(name);
        let (mut first, mut count, mut after) = (HashMap::new(), 0, None);
        loop {
            let page = self.engine.scan(&prefix, after.as_ref(), MAX_SCAN).await?;
            for (key, record) in &page {
                let Some((subject, sequence)) = place(name, key) else { continue };
                let parked = parked(key, &record.value)?;
                if !parked.is_dead {
                    count += 1;
                    first.entry(subject).or_insert((sequence, parked, record.version));
                }
            }
            if page.len() < MAX_SCAN {
                return Ok(Waiting { first, count });
            }
            after = page.last().map(|(key, _)| key.clone());
        }
    }

    /// Tries once more what is due; whether anything was.
    async fn retry(&mut self, waiting: &Waiting, now: UnixTime) -> Result<bool, StoreError> {
        let name = &self.destination.name;
        let due = waiting.first.iter().filter(|(_, (_, parked, _))| parked.next_at <= now);
        let with = Surroundings { now, owners: &*self.owners };
        let mut batch = Batch::new();
        for (subject, (sequence, parked, version)) in due.take(PAGE) {
            let key = parked_key(name, subject, *sequence);
            let Some(notice) = self.notice(*sequence).await? else {
                tracing::error!(destination = %name, sequence, "an event was removed from the audit trail before it was told");
                batch.expect(key.clone(), Some(*version)).delete(key);
                continue;
            };
            match self.destination.way.deliver(&notice, &with).await {
                Ok(()) => {
                    metering::outbox_told(name, "delivered");
                    batch.expect(key.clone(), Some(*version)).delete(key);
                }
                Err(failure) => {
                    let parked = parked.clone().failed(failure.reason(), now);
                    self.note_failure(*sequence, &parked);
                    batch.expect(key.clone(), Some(*version)).put(key, parked_bytes(&parked));
                }
            }
        }
        let anything = !batch.is_empty();
        self.commit(batch).await?;
        Ok(anything)
    }

    fn note_failure(&self, sequence: u64, parked: &Parked) {
        let (destination, reason) = (&self.destination.name, &parked.reason);
        metering::outbox_told(destination, if parked.is_dead { "dead" } else { "failed" });
        if parked.is_dead {
            tracing::error!(%destination, sequence, reason, "an event is a dead letter: see `sidekey outbox list`");
        } else {
            tracing::warn!(%destination, sequence, reason, attempts = parked.attempts, "an event was not taken");
        }
    }

    /// Tells of the entries after the cursor.
    async fn tell(&mut self, waiting: &Waiting, now: UnixTime) -> Result<Round, StoreError> {
        let destination = Arc::clone(&self.destination);
        let key = cursor_key(&destination.name);
        let log = self.engine.audit_log();
        let Some(record) = self.engine.get(&key).await? else {
            // A new destination is told of what happens from now on.
            let mut batch = Batch::new();
            batch.expect(key.clone(), None).put(key, log.end().to_be_bytes().to_vec());
            self.commit(batch).await?;
            return Ok(Round::Moved);
        };
        let mut at = cursor(&key, &record.value)?;
        if at + 1 < *log.start() {
            let (from, to) = (at + 1, *log.start() - 1);
            tracing::error!(destination = %destination.name, from, to, "events were removed from the audit trail before they were told");
            at = to;
        }
        let page = self.engine.scan(&Key::of(Kind::Audit), Some(&Key::audit(at)), PAGE).await?;
        let Some(last) = page.last().and_then(|(key, _)| key.audit_sequence()) else {
            metering::outbox_behind(&destination.name, 0);
            return Ok(Round::Idle);
        };
        metering::outbox_behind(&destination.name, log.end().saturating_sub(at));
        let store = self.engine.id();
        let read = page
            .iter()
            .filter_map(|(key, record)| Notice::read(&store, key.audit_sequence()?, &record.value));
        let wanted: Vec<_> = read.filter(|notice| destination.rule.fits(notice)).collect();
        let oldest = wanted.first().map(|notice| notice.at);
        let (held, free): (Vec<_>, Vec<_>) =
            lines(wanted).into_iter().partition(|line| waiting.first.contains_key(&line.subject));

        let outcomes = self.deliver_all(free, now).await;
        let delivered: usize = outcomes.iter().map(|outcome| outcome.delivered).sum();
        (0..delivered).for_each(|_| metering::outbox_told(&destination.name, "delivered"));
        let parked_now = outcomes.iter().map(|o| o.left.len()).sum::<usize>()
            + held.iter().map(|l| l.notices.len()).sum::<usize>();
        let is_down = delivered == 0 && outcomes.iter().any(is_unreachable)
            || waiting.count + parked_now > MAX_PARKED && parked_now > 0 && delivered == 0;
        let has_time = oldest.is_some_and(|at| now.since(at) < schedule::GIVE_UP);
        if is_down && has_time {
            return Ok(self.stand(&outcomes));
        }
        self.failures = 0;
        let mut batch = Batch::new();
        batch.expect(key.clone(), Some(record.version)).put(key, last.to_be_bytes().to_vec());
        for line in held {
            for notice in line.notices {
                let key = parked_key(&destination.name, &line.subject, notice.sequence);
                batch.put(key, parked_bytes(&Parked::behind(now)));
            }
        }
        for Outcome { subject, left, failure, .. } in outcomes {
            let mut reason = failure;
            for notice in left {
                let first = reason.take();
                let mut parked = match &first {
                    Some(failure) => Parked::behind(now).failed(failure.reason(), now),
                    None => Parked::behind(now),
                };
                if is_down {
                    parked = parked.dead();
                }
                if first.is_some() {
                    self.note_failure(notice.sequence, &parked);
                }
                batch.put(parked_key(&destination.name, &subject, notice.sequence), parked_bytes(&parked));
            }
        }
        self.commit(batch).await?;
        Ok(Round::Moved)
    }

    /// The destination takes nothing: its cursor stands, and the next attempt comes later each time.
    fn stand(&mut self, outcomes: &[Outcome]) -> Round {
        self.failures = self.failures.saturating_add(1);
        let failures: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.failure.as_ref()).collect();
        let asked = failures.iter().filter_map(|failure| match failure {
            Undelivered::Unreachable { wait, .. } => *wait,
            Undelivered::Refused { .. } => None,
        });
        let pause = schedule::pause(self.failures, asked.max());
        let (destination, reason) =
            (&self.destination.name, failures.first().map(|failure| failure.reason()));
        metering::outbox_told(destination, "failed");
        tracing::warn!(%destination, reason, again_in = pause.as_secs(), "a destination of events takes nothing");
        Round::Down(pause)
    }

    /// Delivers lines side by side, each in its order up to its first failure. After a failure of the destination as a whole, a few
    /// are tried first, and the others only if it takes one of them.
    async fn deliver_all(&self, mut lines: Vec<Line>, now: UnixTime) -> Vec<Outcome> {
        let later =
            if self.failures > 0 && lines.len() > PROBES { lines.split_off(PROBES) } else { Vec::new() };
        let mut outcomes = self.deliver_side_by_side(lines, now).await;
        if outcomes.iter().any(|outcome| outcome.delivered > 0) || !outcomes.iter().any(is_unreachable) {
            outcomes.extend(self.deliver_side_by_side(later, now).await);
        } else {
            let untried = |line: Line| Outcome {
                subject: line.subject,
                delivered: 0,
                left: line.notices,
                failure: None,
            };
            outcomes.extend(later.into_iter().map(untried));
        }
        outcomes
    }

    async fn deliver_side_by_side(&self, lines: Vec<Line>, now: UnixTime) -> Vec<Outcome> {
        let way = &self.destination.way;
        let with = &Surroundings { now, owners: &*self.owners };
        let deliver = |line: Line| async move {
            let Line { subject, notices: mut left } = line;
            let mut delivered = 0;
            while let Some(notice) = left.front() {
                if let Err(failure) = way.deliver(notice, with).await {
                    return Outcome { subject, delivered, left, failure: Some(failure) };
                }
                left.pop_front();
                delivered += 1;
            }
            Outcome { subject, delivered, left, failure: None }
        };
        stream::iter(lines).map(deliver).buffered(AT_ONCE).collect().await
    }

    async fn notice(&self, sequence: u64) -> Result<Option<Notice>, StoreError> {
        let record = self.engine.get(&Key::audit(sequence)).await?;
        Ok(record.and_then(|record| Notice::read(&self.engine.id(), sequence, &record.value)))
    }

    /// Where an operator was quicker, the next round finds what they left: something may be told twice, and nothing never.
    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        match self.engine.commit(batch).await {
            Ok(()) | Err(CommitError::Conflict(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn is_unreachable(outcome: &Outcome) -> bool {
    matches!(outcome.failure, Some(Undelivered::Unreachable { .. }))
}

/// Notices by whom they are about, the order kept.
fn lines(notices: Vec<Notice>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut places: HashMap<Subject, usize> = HashMap::new();
    for notice in notices {
        let subject = notice.subject();
        let place = *places.entry(subject).or_insert_with(|| {
            lines.push(Line { subject, notices: VecDeque::new() });
            lines.len() - 1
        });
        if let Some(line) = lines.get_mut(place) {
            line.notices.push_back(notice);
        }
    }
    lines
}
