//! What happened, by the hour: counted from the audit trail, so that no request pays for it.
//!
//! - [`record`]: what is kept: how far the trail is counted, and the counts of each hour;
//! - [`worker`]: the work in the background;
//! - [`latency`]: how long answers of this process took, in memory only.
//!
//! An entry is counted in the hour in which it happened, under the name that the trail has for it, and once: counts and cursor are
//! one commit. So a crash counts nothing twice and nothing never, and a restored store goes on with what its backup had counted.

pub mod latency;
pub mod record;
#[cfg(test)]
mod tests;
pub mod worker;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

pub use record::{Counts, Hour};

use crate::store::engine::MAX_SCAN;
use crate::store::{Engine, Key, Kind, StoreError};

/// Hours that counts are kept: 90 days.
pub const KEPT: u64 = 90 * 24;

/// What happened in these hours; one in which nothing did is not there.
///
/// # Errors
/// The store cannot be read.
pub async fn of_hours(
    engine: &dyn Engine,
    hours: RangeInclusive<Hour>,
) -> Result<BTreeMap<Hour, Counts>, StoreError> {
    let prefix = Key::of(Kind::Statistics);
    // The cursor sorts before every hour, and so is never among what comes after one.
    let mut after = record::key(hours.start().before(1));
    let mut found = BTreeMap::new();
    loop {
        let page = engine.scan(&prefix, Some(&after), MAX_SCAN).await?;
        for (key, stored) in &page {
            let Some(hour) = record::hour(key) else { continue };
            if hour > *hours.end() {
                return Ok(found);
            }
            if hours.contains(&hour) {
                found.insert(hour, record::counts(key, &stored.value)?);
            }
        }
        match page.into_iter().last() {
            Some((last, _)) => after = last,
            None => return Ok(found),
        }
    }
}

/// How many entries of the audit trail are still to be counted.
///
/// # Errors
/// The store cannot be read.
pub async fn behind(engine: &dyn Engine) -> Result<u64, StoreError> {
    let key = record::cursor_key();
    let log = engine.audit_log();
    let counted = match engine.get(&key).await? {
        Some(stored) => record::cursor(&key, &stored.value)?,
        None => 0,
    };
    // What was removed before it was counted is not waited for.
    let counted = counted.max(log.start().saturating_sub(1));
    Ok(log.end().saturating_sub(counted))
}
