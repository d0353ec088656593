//! Old audit entries make room: those past their time, and the oldest of too many.
//!
//! They go from the old end, in small commits. Each moves the base of the head ([`Head::base`](super::head::Head::base)) past
//! what it removes, so that the kept log can be verified from there on whenever it is interrupted. What is about to go is told in
//! the trail with the first of these commits: nothing is removed untold.

use std::ops::RangeInclusive;

use sidekey_core::time::UnixTime;

use super::engine::{CommitError, MAX_TRIM, Record, StoreError};
use super::keys::{Key, Kind};
use super::{Batch, Store};
use crate::audit::{self, Actor, Entry, Origin, ServerEvent};
use crate::clock::Clock;

/// Seconds that the oldest entry is late before any goes: so removals are told of once an hour and not every minute.
const PATIENCE: u64 = 3_600;
/// Entries that one commit removes while others are to get on: the larger, the longer the logins of its group wait.
const AT_ONCE: u64 = 100;
/// Where more than this part of the log is to go, it goes as fast as it can: more comes than would go otherwise, or the settings are new.
const MUCH: u64 = 50;

/// How much of the audit log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Seconds that an entry is kept; `None`: as long as there is room.
    pub seconds: Option<u64>,
    /// Most entries that are kept, but for a hundredth more until the next removal; `None`: any number.
    pub entries: Option<u64>,
}

/// Removes what is over at `now`; how many entries went.
///
/// # Errors
/// The store is not available, or an entry that is to go is damaged: none is removed that cannot be accounted for.
pub async fn trim(store: &Store, retention: Retention, now: UnixTime) -> Result<u64, StoreError> {
    // Over a database, entries get their numbers after their commits, and whoever scans the log waits for that.
    let first = store.engine().scan(&Key::of(Kind::Audit), None, 1).await?;
    let Some((_, oldest)) = first.first() else { return Ok(0) };
    let log = store.engine().audit_log();
    let Some(up_to) = last_to_go(store, &log, time_of(oldest), retention, now).await? else { return Ok(0) };
    let mut first = *log.start();
    let event = ServerEvent::AuditTrimmed { first, last: up_to, last_at: time_at(store, up_to).await? };
    let mut telling = Some(Entry::of_server(None, &Origin::local(Actor::Server, now), &event).to_bytes());
    let is_much = up_to - first > (log.end() - log.start()) / MUCH;
    let at_once = if is_much { MAX_TRIM } else { AT_ONCE };
    while first <= up_to {
        let begun = Clock::instant();
        let last = up_to.min(first.saturating_add(at_once - 1));
        let mut batch = Batch::new();
        batch.decided_at(now).trim(first..=last);
        telling.take().into_iter().for_each(|entry| {
            batch.append(entry);
        });
        match store.engine().commit(batch).await {
            Ok(()) => first = last.saturating_add(1),
            // Somebody else removes them, or a backup reads them: the next sweep looks again.
            Err(CommitError::Conflict(_)) => break,
            Err(error) => return Err(error.into()),
        }
        if !is_much && first <= up_to {
            // Half of the time is for what others commit.
            tokio::time::sleep(begun.elapsed()).await;
        }
    }
    Ok(first.saturating_sub(*log.start()))
}

/// The number of the last entry that is to go, if any is.
async fn last_to_go(
    store: &Store,
    log: &RangeInclusive<u64>,
    oldest: UnixTime,
    retention: Retention,
    now: UnixTime,
) -> Result<Option<u64>, StoreError> {
    if log.is_empty() {
        return Ok(None);
    }
    let kept = (log.end() - log.start()).saturating_add(1);
    let too_many =
        retention.entries.filter(|most| kept > most.saturating_add(most / 100)).map(|most| log.end() - most);
    let too_old = match retention.seconds {
        Some(seconds) if oldest.plus(seconds).plus(PATIENCE) <= now => {
            Some(last_over(store, log, seconds, now).await?)
        }
        _ => None,
    };
    Ok(too_many.max(too_old))
}

/// The last entry that is over, of which the first one is: times only grow along the log, but for requests that were under way
/// at once.
async fn last_over(
    store: &Store,
    log: &RangeInclusive<u64>,
    seconds: u64,
    now: UnixTime,
) -> Result<u64, StoreError> {
    let (mut over, mut kept) = (*log.start(), log.end().saturating_add(1));
    while over + 1 < kept {
        let middle = over.midpoint(kept);
        let is_over = time_at(store, middle).await?.plus(seconds) <= now;
        if is_over { over = middle } else { kept = middle }
    }
    Ok(over)
}

/// When the entry with this number was made; one that is not there is as old as can be.
async fn time_at(store: &Store, number: u64) -> Result<UnixTime, StoreError> {
    let record = store.engine().get(&Key::audit(number)).await?;
    Ok(record.as_ref().map_or(UnixTime::default(), time_of))
}

/// The same of one that was read; one without a time is as old as can be.
fn time_of(record: &Record) -> UnixTime {
    audit::made_at(&record.value).unwrap_or_default()
}
