//! The work for one destination: what is due again and what is new in the audit trail, told together, and settled by how that went.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sidekey_core::time::UnixTime;

use super::delivery::{Delivery, Line, Outcome, lines, show_an_outage};
use super::record::{Parked, cursor, cursor_key, parked, parked_bytes, parked_key, place};
use super::{Destination, schedule};
use crate::clock::Clock;
use crate::metering;
use crate::notify::owner::Owners;
use crate::notify::{Notice, Subject, Undelivered};
use crate::store::engine::MAX_SCAN;
use crate::store::{Batch, CommitError, Engine, Key, Kind, StoreError, Version};

/// Entries of the trail that are looked at in one go, and most that are due in one.
const PAGE: usize = 256;
/// Most entries that wait one by one; with more, the destination counts as one that takes nothing.
pub const MAX_PARKED: usize = 10_000;
/// Most entries about one user that wait; what comes after them are dead letters at once.
const MAX_PARKED_OF_ONE: usize = 1_000;
/// After so many failures a message holds up those that come after it about the same user no longer: somebody who can write what a
/// receiver refuses into one event, such as a user agent, must not keep the next ones from being told.
const HOLDS_UP: u8 = 3;
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

/// What waits of a destination.
#[derive(Default)]
struct Waiting {
    /// What is tried again now.
    due: Vec<Due>,
    /// Those of whom something holds up what comes after it, with the number of all that wait of them.
    held_up: HashMap<Subject, usize>,
    /// All that are no dead letters.
    count: usize,
}

/// An entry that is tried again.
struct Due {
    subject: Subject,
    sequence: u64,
    parked: Parked,
    version: Version,
}

/// What is new in the trail.
struct News {
    /// The cursor, as it was read.
    cursor: (Key, Version),
    /// The number of the last entry that was looked at.
    last: u64,
    /// The number of the last entry that is too old to wait for a destination that takes nothing.
    given_up: Option<u64>,
    /// What waits behind something else.
    held: Vec<Line>,
    /// What may be told.
    free: Vec<Line>,
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

    /// Tells what is due again and the next entries of the trail.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn round(&mut self) -> Result<Round, StoreError> {
        // Two processes that tell the same would tell it twice, and not in its order.
        let (engine, task) = (Arc::clone(&self.engine), format!("outbox {}", self.destination.name));
        let Some(_lead) = engine.lead(&task).await? else { return Ok(Round::Idle) };
        let Some((at, cursor)) = self.cursor().await? else {
            return self.begin().await;
        };
        let mut waiting = self.waiting().await?;
        metering::outbox_waits(&self.destination.name, waiting.count);
        let again = self.due_lines(&mut waiting.due).await?;
        let mut news = self.news(at, cursor, &waiting).await?;
        if waiting.due.is_empty() && news.is_none() {
            return Ok(Round::Idle);
        }

        let free = news.as_mut().map(|news| std::mem::take(&mut news.free)).unwrap_or_default();
        let number_of_due = again.len();
        let delivery = Delivery { destination: &self.destination, clock: &self.clock, owners: &*self.owners };
        let lines = again.into_iter().chain(free).collect();
        let mut of_due = delivery.of_all(lines, self.failures).await;
        let of_new = of_due.split_off(number_of_due);

        let delivered: usize = of_due.iter().chain(&of_new).map(|outcome| outcome.delivered).sum();
        (0..delivered).for_each(|_| metering::outbox_told(&self.destination.name, "delivered"));
        let left = of_new.iter().map(|outcome| outcome.left.len()).sum::<usize>();
        let is_full = delivered == 0 && left > 0 && waiting.count + left > MAX_PARKED;
        let is_down = is_full || show_an_outage(of_due.iter().chain(&of_new));
        let pause = is_down.then(|| self.stand(of_due.iter().chain(&of_new)));
        if !is_down {
            self.failures = 0;
        }
        let settled = self.settle_due(waiting.due, of_due, is_down).await?;
        let moved = match news {
            Some(news) => self.settle_news(news, of_new, &waiting.held_up, is_down).await?,
            None => false,
        };
        Ok(match pause {
            Some(pause) if !moved && !settled => Round::Down(pause),
            _ => Round::Moved,
        })
    }

    /// How far the destination has been told, with the version of that record.
    async fn cursor(&self) -> Result<Option<(u64, Version)>, StoreError> {
        let key = cursor_key(&self.destination.name);
        let record = self.engine.get(&key).await?;
        record.map(|record| Ok((cursor(&key, &record.value)?, record.version))).transpose()
    }

    /// A new destination is told of what happens from now on.
    async fn begin(&self) -> Result<Round, StoreError> {
        let key = cursor_key(&self.destination.name);
        let mut batch = Batch::new();
        batch.expect(key.clone(), None).put(key, self.engine.audit_log().end().to_be_bytes().to_vec());
        self.commit(batch).await?;
        Ok(Round::Moved)
    }

    /// What waits.
    async fn waiting(&self) -> Result<Waiting, StoreError> {
        let name = &self.destination.name;
        let (prefix, now) = (cursor_key(name), self.clock.now());
        let (mut waiting, mut after) = (Waiting::default(), None);
        loop {
            let page = self.engine.scan(&prefix, after.as_ref(), MAX_SCAN).await?;
            for (key, record) in &page {
                let Some((subject, sequence)) = place(name, key) else { continue };
                let parked = parked(key, &record.value)?;
                if parked.is_dead {
                    continue;
                }
                waiting.count += 1;
                let is_behind = waiting.held_up.contains_key(&subject);
                if is_behind || parked.attempts < HOLDS_UP {
                    *waiting.held_up.entry(subject).or_default() += 1;
                }
                let version = record.version;
                if !is_behind && parked.next_at <= now && waiting.due.len() < PAGE {
                    waiting.due.push(Due { subject, sequence, parked, version });
                }
            }
            if page.len() < MAX_SCAN {
                return Ok(waiting);
            }
            after = page.last().map(|(key, _)| key.clone());
        }
    }

    /// A line for each entry that is due. One that is not in the trail any more is forgotten, and goes from `due` as well.
    async fn due_lines(&self, due: &mut Vec<Due>) -> Result<Vec<Line>, StoreError> {
        let (name, store) = (&self.destination.name, self.engine.id());
        let (mut lines, mut there, mut batch) = (Vec::new(), Vec::new(), Batch::new());
        for entry in due.drain(..) {
            let Due { subject, sequence, version, .. } = entry;
            let record = self.engine.get(&Key::audit(sequence)).await?;
            if let Some(notice) = record.and_then(|record| Notice::read(&store, sequence, &record.value)) {
                lines.push(Line { subject, notices: [notice].into() });
                there.push(entry);
            } else {
                tracing::error!(destination = %name, sequence, "an event was removed from the audit trail before it was told");
                let key = parked_key(name, &subject, sequence);
                batch.expect(key.clone(), Some(version)).delete(key);
            }
        }
        *due = there;
        self.commit(batch).await?;
        Ok(lines)
    }

    /// The entries after the cursor, if there are any.
    async fn news(&self, at: u64, version: Version, waiting: &Waiting) -> Result<Option<News>, StoreError> {
        let name = &self.destination.name;
        let log = self.engine.audit_log();
        let mut at = at;
        if at + 1 < *log.start() {
            let (from, to) = (at + 1, *log.start() - 1);
            tracing::error!(destination = %name, from, to, "events were removed from the audit trail before they were told");
            at = to;
        }
        let page = self.engine.scan(&Key::of(Kind::Audit), Some(&Key::audit(at)), PAGE).await?;
        let last = page.last().and_then(|(key, _)| key.audit_sequence());
        metering::outbox_behind(name, last.map_or(0, |_| log.end().saturating_sub(at)));
        let Some(last) = last else { return Ok(None) };
        let (store, now) = (self.engine.id(), self.clock.now());
        let read = page
            .iter()
            .filter_map(|(key, record)| Notice::read(&store, key.audit_sequence()?, &record.value));
        let read: Vec<_> = read.collect();
        let old = read.iter().take_while(|notice| is_too_old(notice, now));
        let given_up = old.last().map(|notice| notice.sequence);
        let wanted = read.into_iter().filter(|notice| self.destination.rule.fits(notice)).collect();
        let (held, free) =
            lines(wanted).into_iter().partition(|line| waiting.held_up.contains_key(&line.subject));
        Ok(Some(News { cursor: (cursor_key(name), version), last, given_up, held, free }))
    }

    /// Takes down how what was due went; whether anything changed by it. While the destination takes nothing, only what is too old
    /// ends: an outage is no fault of a message.
    async fn settle_due(
        &self,
        due: Vec<Due>,
        outcomes: Vec<Outcome>,
        is_down: bool,
    ) -> Result<bool, StoreError> {
        let (mut batch, now) = (Batch::new(), self.clock.now());
        for (Due { subject, sequence, parked, version }, outcome) in due.into_iter().zip(outcomes) {
            let key = parked_key(&self.destination.name, &subject, sequence);
            let after = match (outcome.left.front(), outcome.failure) {
                (None, _) => None,
                (Some(_), None) => continue,
                (Some(notice), Some(Undelivered::Unreachable { reason, .. })) if is_down => {
                    if !is_too_old(notice, now) {
                        continue;
                    }
                    Some(parked.failed(&reason, now).dead())
                }
                (Some(_), Some(failure)) => Some(parked.failed(failure.reason(), now)),
            };
            batch.expect(key.clone(), Some(version));
            match after {
                None => batch.delete(key),
                Some(parked) => {
                    self.note_failure(sequence, &parked);
                    batch.put(key, parked_bytes(&parked))
                }
            };
        }
        let anything = !batch.is_empty();
        self.commit(batch).await?;
        Ok(anything)
    }

    /// Moves the cursor, and parks what was not taken; whether it moved. While the destination takes nothing it stands, but for what is
    /// too old.
    async fn settle_news(
        &self,
        news: News,
        outcomes: Vec<Outcome>,
        held_up: &HashMap<Subject, usize>,
        is_down: bool,
    ) -> Result<bool, StoreError> {
        let News { cursor: (key, version), last, given_up, held, .. } = news;
        let Some(to) = (if is_down { given_up } else { Some(last) }) else { return Ok(false) };
        let (mut batch, now) = (Batch::new(), self.clock.now());
        batch.expect(key.clone(), Some(version)).put(key, to.to_be_bytes().to_vec());
        let mut park = |subject: &Subject, notice: &Notice, parked: &Parked| {
            let key = parked_key(&self.destination.name, subject, notice.sequence);
            batch.put(key, parked_bytes(parked));
        };
        for Line { subject, notices } in held {
            let room = MAX_PARKED_OF_ONE.saturating_sub(held_up.get(&subject).copied().unwrap_or_default());
            for (place, notice) in notices.iter().filter(|notice| notice.sequence <= to).enumerate() {
                let behind = Parked::behind(now);
                if place < room {
                    park(&subject, notice, &behind);
                } else {
                    let parked = behind.failed("too much about this user waits before it", now).dead();
                    self.note_failure(notice.sequence, &parked);
                    park(&subject, notice, &parked);
                }
            }
        }
        for Outcome { subject, left, failure, .. } in outcomes {
            let mut reason = failure;
            for notice in left.iter().filter(|notice| notice.sequence <= to) {
                let first = reason.take();
                let mut parked = match &first {
                    Some(failure) => Parked::behind(now).failed(failure.reason(), now),
                    None => Parked::behind(now),
                };
                if is_down {
                    parked = parked.dead();
                }
                if first.is_some() || parked.is_dead {
                    self.note_failure(notice.sequence, &parked);
                }
                park(&subject, notice, &parked);
            }
        }
        self.commit(batch).await?;
        Ok(true)
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

    /// The destination takes nothing: how long it is left alone, longer each time.
    fn stand<'a>(&mut self, outcomes: impl Iterator<Item = &'a Outcome>) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let failures: Vec<_> = outcomes.filter_map(|outcome| outcome.failure.as_ref()).collect();
        let asked = failures.iter().filter_map(|failure| match failure {
            Undelivered::Unreachable { wait, .. } => *wait,
            Undelivered::Refused { .. } => None,
        });
        let pause = schedule::pause(self.failures, asked.max());
        let (destination, reason) =
            (&self.destination.name, failures.first().map(|failure| failure.reason()));
        metering::outbox_told(destination, "failed");
        tracing::warn!(%destination, reason, again_in = pause.as_secs(), "a destination of events takes nothing");
        pause
    }

    /// Where an operator was quicker, the next round finds what they left: something may be told twice, and nothing never.
    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        match self.engine.commit(batch).await {
            Ok(()) | Err(CommitError::Conflict(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether it has waited for as long as a destination may take nothing.
fn is_too_old(notice: &Notice, now: UnixTime) -> bool {
    now.since(notice.at) >= schedule::GIVE_UP
}
