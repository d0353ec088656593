//! A small commit each second, confirmed as every commit is: it shows that commits succeed, and that what can be read is safe.
//!
//! **Why reads rest on it.** A row can be seen when its commit was confirmed by the standbys, but for two cases: the database was
//! started anew while commits waited for a standby, or somebody ended such a wait by hand. Then it can be seen, and a standby that
//! is promoted lacks it. The log of a database is one sequence: a confirmed commit proves that everything before it is where it
//! has to be. So each new connection makes one before it is used, which covers the first case, because no connection
//! outlives the database; and where the commits of this task are not confirmed, nothing is read either, which bounds the
//! second one to seconds.

use std::time::Duration;

use sidekey_core::time::UnixTime;
use tokio_postgres::{Client, Error, SimpleQueryMessage};

use super::Shared;
use super::connect::has_synchronous_standby;
use super::error::sentence;
use crate::clock::Clock;
use crate::store::engine::StoreError;

/// Between two.
const EVERY: Duration = Duration::from_secs(1);
/// A commit that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// Failures in a row after which nothing is read any more; the first one shows in `/readyz`.
pub(super) const MOST_FAILURES: u32 = 2;
/// Between two looks at the standbys, in pulses.
const STANDBYS_EVERY: u32 = 60;
/// Seconds by which the clocks may differ without a warning.
const SKEW: u64 = 5;
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

/// Beats for as long as it is polled.
pub(super) async fn run(shared: &Shared, slot: u8, is_volatile: bool) {
    let (clock, mut seen) = (Clock::system(), Seen::default());
    for number in (0..STANDBYS_EVERY).cycle() {
        let looks = number == 0 && !is_volatile;
        let outcome = once(shared, slot, looks, &clock, &mut seen).await;
        shared.beaten(outcome.err().map(|error| error.to_string()));
        tokio::time::sleep(EVERY).await;
    }
}

async fn once(
    shared: &Shared,
    slot: u8,
    looks: bool,
    clock: &Clock,
    seen: &mut Seen,
) -> Result<(), StoreError> {
    let client = shared.tasks.lend().await?;
    let before = clock.now();
    // Connecting has its own limits, and may come past a host that hangs.
    let late = || StoreError::Unavailable("a commit was not confirmed in time".to_owned());
    let answer = tokio::time::timeout(PATIENCE, beat(&client, slot)).await.map_err(|_| late())?;
    let theirs = answer.map_err(|error| StoreError::Unavailable(sentence(&error)))?;
    let after = clock.now();
    let skew = theirs.since(after).max(before.since(theirs));
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
    Ok(())
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
    fn a_database_that_has_one_from_the_start_is_not_told_to_have_it_again() {
        assert_eq!(Seen::default().standby(Some(true)), None);
    }
}
