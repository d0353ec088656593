//! A small commit each second, confirmed as every commit is: it shows that commits succeed, and that what can be read is safe.
//!
//! **Why reads rest on it.** A row can be seen when its commit was confirmed by the standbys, but for two cases: the database was
//! started anew while commits waited for a standby, or somebody ended such a wait by hand. Then it can be seen, and a standby that
//! is promoted lacks it. The log of a database is one sequence: a confirmed commit proves that everything before it is where it
//! has to be. So each new connection makes one before it is used, which covers the first case, because no connection
//! outlives the database; and where the commits of this task are not confirmed, nothing is read either, which bounds the
//! second one to seconds.
//!
//! **It vouches for one server, the one that its connection leads to.** Another one may have been left, because it hung, and wake up
//! with connections that were made before. So the pulse has a connection of its own, and whenever that is a new one, all
//! connections for requests are made anew too, from the same host on ([`Turns`]).

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sidekey_core::time::UnixTime;
use tokio_postgres::{Client, Error, SimpleQueryMessage};

use super::Shared;
use super::connect::has_synchronous_standby;
use super::connections::Connections;
use super::error::sentence;
use super::health::{SKEW, apart};
use super::hosts::Turns;
use crate::clock::Clock;
use crate::store::engine::StoreError;

/// Between two.
const EVERY: Duration = Duration::from_secs(1);
/// A commit that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// Failures in a row after which nothing is read any more; the first one shows in `/readyz`.
const MOST_FAILURES: u32 = 2;
/// Nothing is read either when the last commit that was confirmed is older: the task may hang where it should fail.
const LONGEST: Duration = Duration::from_secs(10);
/// Between two looks at the standbys, in pulses.
const STANDBYS_EVERY: u32 = 60;
/// Rows that processes share among them.
pub(super) const ROWS: u8 = 64;

/// What was seen last, so that only changes are told.
#[derive(Default)]
struct Seen {
    has_standby: Option<bool>,
    is_skewed: bool,
}

/// Commits; the database's time.
pub(super) async fn beat(client: &Client, slot: u8) -> Result<UnixTime, Error> {
    let sql = format!(
        "BEGIN READ WRITE; \
         INSERT INTO pulse (slot, at) VALUES ({slot}, clock_timestamp()) ON CONFLICT (slot) DO UPDATE SET at = excluded.at; \
         COMMIT; SELECT floor(extract(epoch FROM clock_timestamp()))::bigint"
    );
    let answers = client.simple_query(&sql).await?;
    let seconds = answers.iter().find_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    });
    Ok(UnixTime::from_secs(seconds.unwrap_or_default()))
}

/// What the pulses have told so far.
#[derive(Debug)]
pub(super) struct Confirmed {
    /// In a row that were not.
    failures: AtomicU32,
    /// When the last one that was had begun.
    last: Mutex<Instant>,
}

impl Confirmed {
    /// A commit that had begun at this time was confirmed.
    pub(super) fn at(begun: Instant) -> Self {
        Self { failures: AtomicU32::new(0), last: Mutex::new(begun) }
    }

    /// Another one was.
    fn note(&self, begun: Instant) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = begun;
        if self.failures.swap(0, Ordering::Relaxed) > 0 {
            tracing::info!("the store is available again");
        }
    }

    /// One was not.
    fn fail(&self, reason: &StoreError) {
        let before = self.failures.load(Ordering::Relaxed);
        self.failures.store(before.saturating_add(1), Ordering::Relaxed);
        if before == 0 {
            tracing::error!(%reason, "the store is not available");
        }
    }

    /// Whether what can be read is known to be safe.
    pub(super) fn vouches(&self, now: Instant) -> bool {
        self.failures.load(Ordering::Relaxed) < MOST_FAILURES && self.is_recent(now)
    }

    /// Whether the last one was, lately.
    pub(super) fn is_good(&self, now: Instant) -> bool {
        self.failures.load(Ordering::Relaxed) == 0 && self.is_recent(now)
    }

    fn is_recent(&self, now: Instant) -> bool {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        now.saturating_duration_since(last) <= LONGEST
    }
}

/// Beats for as long as it is polled, on connections for this alone.
pub(super) async fn run(shared: &Shared, own: &Connections, turns: &Turns, slot: u8, is_volatile: bool) {
    let (clock, mut seen) = (Clock::system(), Seen::default());
    for number in (0..STANDBYS_EVERY).cycle() {
        let looks = number == 0 && !is_volatile;
        let begun = Clock::instant();
        match once(own, slot, looks, &clock, &mut seen).await {
            Ok(is_new) => {
                turns.confirmed();
                if is_new {
                    // Before anything is read again.
                    shared.requests.renew(begun);
                    shared.tasks.renew(begun);
                }
                shared.confirmed.note(begun);
            }
            Err(reason) => {
                turns.unconfirmed();
                shared.confirmed.fail(&reason);
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Whether it was on a new connection.
async fn once(
    own: &Connections,
    slot: u8,
    looks: bool,
    clock: &Clock,
    seen: &mut Seen,
) -> Result<bool, StoreError> {
    let client = own.lend().await?;
    let is_new = client.is_new();
    let before = clock.now();
    // Connecting has its own limits, and may come past a host that hangs.
    let late = || StoreError::Unavailable("a commit was not confirmed in time".to_owned());
    let answer = tokio::time::timeout(PATIENCE, beat(&client, slot)).await.map_err(|_| late())?;
    let theirs = answer.map_err(|error| StoreError::Unavailable(sentence(&error)))?;
    let after = clock.now();
    let skew = apart(before, theirs, after);
    let was_skewed = std::mem::replace(&mut seen.is_skewed, skew > SKEW);
    if seen.is_skewed && !was_skewed {
        tracing::warn!(
            seconds = skew,
            "the clock of this machine and that of the database differ: set both, and those of all servers, with NTP"
        );
    } else if was_skewed && !seen.is_skewed {
        tracing::info!("the clocks of this machine and of the database agree again");
    }
    if looks {
        let asked = tokio::time::timeout(PATIENCE, has_synchronous_standby(&client)).await;
        match seen.standby(asked.map_err(|_| late())?) {
            Some(Standby::Missing) => tracing::warn!(
                "the database has no synchronous standby (`synchronous_standby_names` is empty): with its disk, what was acknowledged is lost"
            ),
            Some(Standby::Back) => tracing::info!("the database has a synchronous standby again"),
            None => {}
        }
    }
    client.give_back();
    Ok(is_new)
}

/// What is told of the standbys.
#[derive(Debug, PartialEq, Eq)]
enum Standby {
    Missing,
    Back,
}

impl Seen {
    /// Notes whether there is a standby; what is to be told of it. `None` for what nobody knows, which changes nothing.
    fn standby(&mut self, is_there: Option<bool>) -> Option<Standby> {
        let is_there = is_there?;
        match (is_there, self.has_standby.replace(is_there)) {
            (false, None | Some(true)) => Some(Standby::Missing),
            (true, Some(false)) => Some(Standby::Back),
            (true, None | Some(true)) | (false, Some(false)) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_without_a_standby_is_told_of_at_the_start_and_at_each_change() {
        let mut seen = Seen::default();
        let looks = [Some(false), Some(false), None, Some(false), Some(true), Some(true), Some(false)];
        let told = looks.map(|look| seen.standby(look));
        let (missing, back) = (Some(Standby::Missing), Some(Standby::Back));
        assert_eq!(told, [missing, None, None, None, back, None, Some(Standby::Missing)]);
    }

    #[test]
    fn nothing_is_vouched_for_after_two_failures_or_when_the_last_confirmation_is_old() {
        let begun = Clock::instant();
        let confirmed = Confirmed::at(begun);
        let lately = begun + LONGEST;
        let told = |now| (confirmed.is_good(now), confirmed.vouches(now));
        assert_eq!(told(lately), (true, true));
        assert_eq!(told(lately + EVERY), (false, false), "nothing has failed, and nothing was confirmed");
        let failure = StoreError::Unavailable("late".to_owned());
        confirmed.fail(&failure);
        assert_eq!(told(begun), (false, true));
        confirmed.fail(&failure);
        assert_eq!(told(begun), (false, false));
        confirmed.note(lately);
        assert_eq!(told(lately + LONGEST), (true, true));
    }

    #[test]
    fn a_database_that_has_one_from_the_start_is_not_told_to_have_it_again() {
        assert_eq!(Seen::default().standby(Some(true)), None);
    }
}
