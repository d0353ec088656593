//! The work in the background: what is new in the trail is counted, and what is too old goes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sidekey_core::id::AppId;

use super::KEPT;
use super::record::{self, Counts, Hour, counts_bytes, cursor, cursor_key, key};
use crate::audit::Outline;
use crate::clock::Clock;
use crate::store::engine::{MAX_SCAN, MAX_WRITES};
use crate::store::{Batch, CommitError, Engine, Key, Kind, StoreError};

/// Entries of the trail that are counted by one commit.
const PAGE: usize = MAX_SCAN;
// Each may be of an hour of its own: an expectation and a write each, and the cursor's.
const _: () = assert!(2 * PAGE + 2 <= MAX_WRITES);
/// Hours that one commit removes.
const SWEPT_AT_ONCE: usize = 500;
/// Between two looks at the trail when there is nothing to do.
const IDLE: Duration = Duration::from_secs(1);
/// After an error of the store.
const TROUBLE: Duration = Duration::from_secs(5);

/// The worker. Several processes may have one each on the same store: the cursor lets one of them through.
pub struct Worker {
    engine: Arc<dyn Engine>,
    clock: Clock,
    /// The hour in which the last sweep was.
    swept: Option<Hour>,
}

/// How a round went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// There may be more to do at once.
    Moved,
    /// Everything that was there is counted. What has come since waits for a pause: under load, counting a few entries at once would be
    /// a commit beside each group of logins.
    Idle,
}

impl Worker {
    /// A worker that has done nothing yet.
    pub fn new(engine: Arc<dyn Engine>, clock: Clock) -> Self {
        Self { engine, clock, swept: None }
    }

    /// Works for as long as it is polled.
    pub async fn run(mut self) {
        loop {
            let pause = match self.round().await {
                Ok(Round::Moved) => continue,
                Ok(Round::Idle) => IDLE,
                Err(error) => {
                    tracing::warn!(%error, "what happened cannot be counted");
                    TROUBLE
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Counts the next entries; where there are none, removes what is too old, once in an hour.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn round(&mut self) -> Result<Round, StoreError> {
        let now = Hour::of(self.clock.now());
        let round = self.count(now).await?;
        if round == Round::Idle && self.swept != Some(now) {
            self.sweep(now).await?;
            self.swept = Some(now);
        }
        Ok(round)
    }

    async fn count(&self, now: Hour) -> Result<Round, StoreError> {
        let place = cursor_key();
        let stored = self.engine.get(&place).await?;
        let at = stored.as_ref().map_or(Ok(0), |stored| cursor(&place, &stored.value))?;
        let log = self.engine.audit_log();
        if stored.is_some() && at + 1 < *log.start() {
            let (from, to) = (at + 1, *log.start() - 1);
            tracing::warn!(from, to, "events were removed from the audit trail before they were counted");
        }
        let page = self.engine.scan(&Key::of(Kind::Audit), Some(&Key::audit(at)), PAGE).await?;
        let Some(last) = page.last().and_then(|(key, _)| key.audit_sequence()) else {
            return Ok(Round::Idle);
        };
        let mut counted: BTreeMap<Hour, Counts> = BTreeMap::new();
        for (key, entry) in &page {
            let Some(Outline { at, app, event, .. }) = Outline::read(&entry.value) else {
                tracing::error!(entry = %key, "an audit entry cannot be read, and is not counted");
                continue;
            };
            // The second factors of operators are theirs, and no login of an application.
            let is_of_operators = app.as_deref() == Some(AppId::operators().as_str());
            if Hour::of(at) > now.before(KEPT) && !is_of_operators {
                counted.entry(Hour::of(at)).or_default().add(event.name);
            }
        }
        let mut batch = Batch::new();
        batch.expect(place.clone(), stored.map(|stored| stored.version));
        batch.put(place, last.to_be_bytes().to_vec());
        for (hour, more) in counted {
            let place = key(hour);
            let stored = self.engine.get(&place).await?;
            let mut counts =
                stored.as_ref().map_or(Ok(Counts::default()), |s| record::counts(&place, &s.value))?;
            counts.merge(&more);
            batch.expect(place.clone(), stored.map(|stored| stored.version));
            batch.put(place, counts_bytes(&counts));
        }
        self.commit(batch).await?;
        Ok(if page.len() < PAGE { Round::Idle } else { Round::Moved })
    }

    /// Removes the hours that are past their time.
    async fn sweep(&self, now: Hour) -> Result<(), StoreError> {
        loop {
            let page = self.engine.scan(&Key::of(Kind::Statistics), None, SWEPT_AT_ONCE).await?;
            let mut batch = Batch::new();
            for (place, stored) in page {
                if record::hour(&place).is_some_and(|hour| hour <= now.before(KEPT)) {
                    batch.expect(place.clone(), Some(stored.version)).delete(place);
                }
            }
            if batch.is_empty() {
                return Ok(());
            }
            self.commit(batch).await?;
        }
    }

    /// Where another process was quicker, the next round goes on from what that one has counted.
    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        match self.engine.commit(batch).await {
            Ok(()) | Err(CommitError::Conflict(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
