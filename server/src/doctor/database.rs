//! The database, where the store is in one: whether it can be worked on, its clock, and who else has what it acknowledges.

use super::{Finding, Level};
use crate::store::StoreError;
use crate::store::postgres::connect::Options;
use crate::store::postgres::health::{self, Health, SKEW, Standbys};
use crate::store::sweep::CLOCKS_APART;

const DATABASE: &str = "database";
const CLOCK: &str = "clock of the database";
const STANDBY: &str = "standby";

/// Looks at it.
pub async fn look(options: &Options) -> Vec<Finding> {
    match health::look(options).await {
        Ok(health) => vec![of_store(&health), of_clock(health.skew), of_standbys(health.standbys)],
        Err(error) => vec![Finding::bad(
            DATABASE,
            Level::Problem,
            sentence(&error),
            "Correct `[store]` or the database: every request gets 503 as long as it is so.",
        )],
    }
}

/// An error as a sentence.
fn sentence(error: &StoreError) -> String {
    format!("It cannot be worked on: {error}.")
}

fn of_store(health: &Health) -> Finding {
    match &health.store {
        Some(Ok(_)) => Finding::good(DATABASE, "It has a store of this version."),
        Some(Err(error)) => Finding::bad(
            DATABASE,
            Level::Problem,
            sentence(error),
            "What it says; a server of this version brings older tables up by itself where its user may.",
        ),
        None => Finding::untold(DATABASE, "It has no store yet: the first server that starts makes it."),
    }
}

fn of_clock(skew: u64) -> Finding {
    let found = format!("It and this machine's are {skew} s apart.");
    let remedy = "Let both, and those of all servers, be kept by chrony or systemd-timesyncd.";
    match skew {
        0..=SKEW => Finding::good(CLOCK, found),
        CLOCKS_APART.. => Finding::bad(
            CLOCK,
            Level::Problem,
            format!("{found} One server may take away what another one still judges by."),
            remedy,
        ),
        _ => Finding::bad(
            CLOCK,
            Level::Warning,
            format!("{found} Codes that are right may be refused."),
            remedy,
        ),
    }
}

fn of_standbys(standbys: Standbys) -> Finding {
    match standbys {
        Standbys::None => Finding::bad(
            STANDBY,
            Level::Warning,
            "The database has no synchronous standby: with its disk, what was acknowledged is lost.",
            "Name one in `synchronous_standby_names`, or take backups that are as fresh as you need.",
        ),
        Standbys::Named { connected: 0 } => Finding::bad(
            STANDBY,
            Level::Problem,
            "Synchronous standbys are named and none is connected: every change waits for one.",
            "Bring the standby back, or name another one in `synchronous_standby_names`.",
        ),
        Standbys::Named { connected } => Finding::good(
            STANDBY,
            format!(
                "Changes wait for synchronous standbys (`synchronous_standby_names`); connected: {connected}."
            ),
        ),
        Standbys::Untold => {
            Finding::untold(STANDBY, "The database does not say whether it has a synchronous standby.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_judged_by_what_they_break() {
        let level = |skew| of_clock(skew).level;
        assert_eq!((level(0), level(SKEW)), (Level::Good, Level::Good));
        assert_eq!((level(SKEW + 1), level(CLOCKS_APART - 1)), (Level::Warning, Level::Warning));
        assert_eq!(level(CLOCKS_APART), Level::Problem);
        assert!(of_clock(42).found.contains("42 s apart"));
    }

    #[test]
    fn a_standby_that_is_named_and_away_is_a_problem_and_none_a_warning() {
        let level = |standbys| of_standbys(standbys).level;
        assert_eq!(level(Standbys::None), Level::Warning);
        assert_eq!(level(Standbys::Named { connected: 0 }), Level::Problem);
        assert_eq!(level(Standbys::Named { connected: 2 }), Level::Good);
        assert_eq!(level(Standbys::Untold), Level::Note);
    }

    #[tokio::test]
    async fn a_database_that_is_away_is_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("host={} user=a dbname=b", folder.path().display());
        let options = Options { config: address.parse().unwrap(), tls: None, pool_size: 1, volatile: false };
        let found = look(&options).await;
        assert!(found.len() == 1 && found[0].level == Level::Problem, "{found:?}");
    }
}
