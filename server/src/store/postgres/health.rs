//! What a look at the database tells, for `sidekey doctor`. It changes nothing.

use sidekey_core::time::UnixTime;

use super::connect::{Options, has_synchronous_standby};
use super::connections::Connections;
use super::error::unavailable;
use super::schema;
use crate::clock::Clock;
use crate::store::engine::{StoreError, StoreId};

/// Seconds by which the clocks may differ without a warning.
pub const SKEW: u64 = 5;

/// What was seen.
#[derive(Debug)]
pub struct Health {
    /// Which store it is, or why this program cannot work on it; `None`: there is none.
    pub store: Option<Result<StoreId, StoreError>>,
    /// By how many seconds the clock of the database and that of this machine differ, what the way there took left out.
    pub skew: u64,
    /// Its standbys.
    pub standbys: Standbys,
}

/// Who has what is acknowledged besides the database that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standbys {
    /// Nobody: none is named.
    None,
    /// Some are named, and so many standbys of any kind are connected. Which of them are waited for, only some users are told.
    Named {
        /// How many.
        connected: u64,
    },
    /// The server does not say.
    Untold,
}

/// Looks.
///
/// # Errors
/// The database cannot be reached, or would lose what it acknowledges.
pub async fn look(options: &Options) -> Result<Health, StoreError> {
    let connections = Connections::new(options.pool(1)?);
    let client = connections.lend().await?;
    let clock = Clock::system();
    let before = clock.now();
    let asked = "SELECT floor(extract(epoch FROM clock_timestamp()))::bigint";
    let row = client.query_one(asked, &[]).await.map_err(|error| unavailable(&error))?;
    let after = clock.now();
    let theirs = UnixTime::from_secs(u64::try_from(row.get::<_, i64>(0)).unwrap_or_default());
    let standbys = match has_synchronous_standby(&client).await {
        Some(true) => {
            let count = client.query_opt("SELECT count(*) FROM pg_catalog.pg_stat_replication", &[]).await;
            count.ok().flatten().map_or(Standbys::Untold, |row| Standbys::Named {
                connected: u64::try_from(row.get::<_, i64>(0)).unwrap_or_default(),
            })
        }
        Some(false) => Standbys::None,
        None => Standbys::Untold,
    };
    let found = schema::find(&client).await.map_err(|error| unavailable(&error))?;
    drop(client);
    connections.close();
    let store = found.map(|found| found.check());
    Ok(Health { store, skew: apart(before, theirs, after), standbys })
}

/// By how much a time differs from all those between two others.
pub(super) fn apart(before: UnixTime, theirs: UnixTime, after: UnixTime) -> u64 {
    theirs.since(after).max(before.since(theirs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::PostgresEngine;
    use crate::store::postgres::testing::database;

    #[test]
    fn what_the_answer_took_is_no_difference() {
        let apart = |before, theirs, after| {
            let [before, theirs, after] = [before, theirs, after].map(UnixTime::from_secs);
            apart(before, theirs, after)
        };
        assert_eq!(apart(100, 104, 108), 0);
        assert_eq!((apart(100, 93, 101), apart(100, 111, 101)), (7, 10));
    }

    #[tokio::test]
    async fn an_empty_database_and_one_with_a_store_are_told_apart() {
        let options = database().await;
        let health = look(&options).await.unwrap();
        assert!(health.store.is_none());
        assert!(health.skew <= 1, "the same machine: {health:?}");
        assert_eq!(health.standbys, Standbys::None);
        drop(PostgresEngine::open(&options, [7; 16]).await.unwrap());
        assert_eq!(look(&options).await.unwrap().store, Some(Ok([7; 16])));
    }
}
