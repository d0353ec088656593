//! Sealing everything anew with the first master key, while the server runs.
//!
//! ```text
//! count    how much there is, and what it is sealed with
//! reseal   every record that another key seals, each by compare-and-set
//! check    count again; nothing may be left
//! ```
//!
//! It goes step by step, each over a page of records, and how far it has come is stored (`meta/master-key-rotation`). So it can
//! be cut short at any point: what has been sealed anew stays so, and the next step goes on from there. A record that an
//! operation changes meanwhile is left as that operation has it, which has sealed it with the first key too.
//!
//! What makes the check final: from before it begins nothing is sealed with another key any more, by nobody.
//!
//! - In this process [`MasterKeys::reload`](super::MasterKeys::reload) sees to it.
//! - Every other process that shares the store passes a fence with each commit that seals ([`fence`]). The batch that makes the first
//!   cursor puts it up, and each count begins when every commit that was under way has come to its end
//!   ([`Engine::settled`]): what passed before the fence stood is counted, and nothing passes afterwards. No clock is asked.
//! - Whoever takes another first key into use, which no mere start does, takes down fence and cursor in one batch, and the rotation begins anew. So while there is
//!   a cursor the fence stands; and the batch that ends the rotation, which drops the other keys, expects all three records.

use futures_util::future::join_all;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use super::in_use::{self, InUse};
use super::sealed_records::{Tally, count, page, resealed};
use crate::audit::{Entry, Origin, ServerEvent};
use crate::keyring::{KeyId, Keyring, fence};
use crate::store::engine::MAX_SCAN;
use crate::store::{Batch, CommitError, Engine, Key, Record, StoreError, Version};

/// Records of one step, whose commits share one sync.
const AT_ONCE: usize = 256;
/// Attempts on a record that others keep changing. One that is never caught is sealed anew by those others.
const ATTEMPTS: usize = 8;
/// Rounds after which somebody else must be at work with another key.
const MAX_ROUNDS: u32 = 4;

/// What is stored between steps, postcard-encoded. Variants are only ever added, at the end.
#[derive(Serialize, Deserialize)]
enum Stored {
    V1(Cursor),
}

#[derive(Clone, Serialize, Deserialize)]
struct Cursor {
    /// The key to seal with.
    to: [u8; 4],
    phase: Phase,
    /// How often records have been sealed anew from the first to the last.
    rounds: u32,
    /// The last record that was looked at in this phase.
    after: Option<Vec<u8>>,
    /// How many were, in this phase.
    done: u64,
    /// How many there are.
    total: u64,
    resealed: u64,
    tally: Vec<([u8; 4], u64)>,
}

/// What a step works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// It counts what there is.
    Count,
    /// It seals anew.
    Reseal,
    /// It looks whether anything is left.
    Check,
}

/// How far a rotation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more to do.
    UnderWay {
        /// What comes next.
        phase: Phase,
        /// Records that were looked at in this phase.
        done: u64,
        /// Records that there are; 0 as long as they are being counted.
        total: u64,
    },
    /// Everything is sealed with one key.
    Finished {
        /// That key.
        key_id: String,
        /// Records that were sealed anew.
        resealed: u64,
        /// Keys of the keyring that nothing is sealed with any more.
        unused: Vec<String>,
    },
}

/// Why nothing more is sealed anew.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RotationError {
    /// Somebody goes on sealing with another key.
    #[error("{0} values are sealed with other keys again and again: does another server use this store?")]
    NeverDone(u64),
    /// Another server of the store has taken another key into use meanwhile.
    #[error(
        "another server of this store has begun to seal with key `{0}`: give all of them the same key file, have each of them read it \
         again, and start once more"
    )]
    AnotherKey(KeyId),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store cannot be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

pub(super) fn place() -> Key {
    Key::meta("master-key-rotation")
}

fn damaged() -> StoreError {
    StoreError::Damaged { key: place().to_string(), damage: "its fields cannot be read" }
}

/// Does the next piece of work.
///
/// # Errors
/// The store fails, or a record cannot be opened.
pub(super) async fn step(
    engine: &dyn Engine,
    keyring: &Keyring,
    origin: &Origin,
    rng: &mut (impl CryptoRng + Send),
) -> Result<Progress, RotationError> {
    let found = engine.get(&place()).await?;
    let version = found.as_ref().map(|record| record.version);
    let to = keyring.sealing();
    let fence = fence::read(engine).await?;
    // None, with a cursor: of a version that knew no fence.
    let found = found.filter(|_| fence.as_ref().is_some_and(|(only, _)| *only == to));
    let fence = fence.map(|(_, record)| record.version);
    let stored = match found {
        Some(record) => {
            let Stored::V1(cursor) = postcard::from_bytes(&record.value).map_err(|_| damaged())?;
            Some(cursor).filter(|cursor| cursor.to == to.to_bytes())
        }
        None => None,
    };
    let step = Step { engine, keyring, origin, version, fence };
    let outcome = match stored {
        None => step.begin().await,
        Some(cursor) => step.advance(cursor, rng).await,
    };
    match outcome {
        // Another command does the same, or the first key has just changed: the next step sees what there is then.
        Err(RotationError::Commit(CommitError::Conflict(_))) => {
            Ok(Progress::UnderWay { phase: Phase::Count, done: 0, total: 0 })
        }
        outcome => outcome,
    }
}

struct Step<'a> {
    engine: &'a dyn Engine,
    keyring: &'a Keyring,
    origin: &'a Origin,
    version: Option<Version>,
    fence: Option<Version>,
}

impl Step<'_> {
    /// The commit of the first cursor comes after every one that was handed over before by this process, also after those that
    /// nobody waits for any more: what they have sealed is there when the walk begins.
    async fn begin(&self) -> Result<Progress, RotationError> {
        let to = self.keyring.sealing();
        let (noted, noted_as) = in_use::read(self.engine).await?.ok_or_else(damaged)?;
        if noted.sealing != to {
            return Err(RotationError::AnotherKey(noted.sealing));
        }
        let cursor = Cursor {
            to: to.to_bytes(),
            phase: Phase::Count,
            rounds: 0,
            after: None,
            done: 0,
            total: 0,
            resealed: 0,
            tally: Vec::new(),
        };
        let event = ServerEvent::MasterKeyRotationStarted { key_id: to.to_string() };
        let mut batch = Batch::new();
        batch
            .expect(in_use::place(), Some(noted_as.version))
            .expect(fence::place(), self.fence)
            .put(fence::place(), to.to_bytes().to_vec())
            .append(Entry::of_server(None, self.origin, &event).to_bytes());
        self.save_in(batch, cursor).await
    }

    async fn advance(
        &self,
        mut cursor: Cursor,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Progress, RotationError> {
        if cursor.phase != Phase::Reseal && cursor.after.is_none() {
            self.engine.settled().await?;
        }
        let limit = if cursor.phase == Phase::Reseal { AT_ONCE } else { MAX_SCAN };
        let after = cursor.after.as_deref().map(Key::from_bytes);
        let page = page(self.engine, after.as_ref(), limit).await?;
        cursor.done += page.records.len() as u64;
        cursor.after = page.records.last().map(|(place, _)| place.as_bytes().to_vec());
        if cursor.phase == Phase::Reseal {
            cursor.resealed += self.reseal(page.records, rng).await?;
        } else {
            let mut tally = cursor.tally();
            count(&page.records, &mut tally)?;
            cursor.tally = tally.into_iter().map(|(id, count)| (id.to_bytes(), count)).collect();
        }
        if page.is_last {
            return self.next_phase(cursor).await;
        }
        self.save_in(Batch::new(), cursor).await
    }

    async fn next_phase(&self, mut cursor: Cursor) -> Result<Progress, RotationError> {
        let to = self.keyring.sealing();
        if cursor.phase == Phase::Reseal {
            (cursor.phase, cursor.rounds) = (Phase::Check, cursor.rounds + 1);
        } else {
            let left = cursor.tally().into_iter().filter(|(id, _)| *id != to).map(|(_, count)| count).sum();
            if left == 0 {
                return self.finish(&cursor).await;
            }
            if cursor.rounds == MAX_ROUNDS {
                let mut batch = Batch::new();
                batch.expect(place(), self.version).delete(place());
                self.engine.commit(batch).await?;
                return Err(RotationError::NeverDone(left));
            }
            (cursor.phase, cursor.total) = (Phase::Reseal, cursor.done);
        }
        (cursor.after, cursor.done, cursor.tally) = (None, 0, Vec::new());
        self.save_in(Batch::new(), cursor).await
    }

    /// Seals records anew; how many.
    async fn reseal(
        &self,
        mut records: Vec<(Key, Record)>,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<u64, RotationError> {
        let mut count = 0;
        for _ in 0..ATTEMPTS {
            let mut places = Vec::new();
            let mut commits = Vec::new();
            for (place, record) in records {
                let Some(value) = resealed(self.engine, self.keyring, &place, &record, rng)? else {
                    continue;
                };
                let mut batch = Batch::new();
                batch.expect(place.clone(), Some(record.version)).put(place.clone(), value);
                fence::pass(&mut batch, self.keyring);
                places.push(place);
                // One batch each: an operation on one account is in the way of that one only.
                commits.push(self.engine.commit(batch));
            }
            let mut changed = Vec::new();
            for (place, outcome) in places.into_iter().zip(join_all(commits).await) {
                match outcome {
                    Ok(()) => count += 1,
                    Err(CommitError::Conflict(_)) => changed.push(place),
                    Err(error) => return Err(error.into()),
                }
            }
            records = Vec::new();
            for place in changed {
                if let Some(record) = self.engine.get(&place).await? {
                    records.push((place, record));
                }
            }
            if records.is_empty() {
                break;
            }
        }
        Ok(count)
    }

    async fn save_in(&self, mut batch: Batch, cursor: Cursor) -> Result<Progress, RotationError> {
        let progress = Progress::UnderWay { phase: cursor.phase, done: cursor.done, total: cursor.total };
        let value = postcard::to_stdvec(&Stored::V1(cursor)).map_err(|_| damaged())?;
        batch.decided_at(self.origin.at).expect(place(), self.version).put(place(), value);
        self.engine.commit(batch).await?;
        Ok(progress)
    }

    async fn finish(&self, cursor: &Cursor) -> Result<Progress, RotationError> {
        let to = self.keyring.sealing();
        let (key_id, resealed) = (to.to_string(), cursor.resealed);
        let noted = in_use::read(self.engine).await?;
        if let Some((noted, _)) = noted.as_ref().filter(|(noted, _)| noted.sealing != to) {
            return Err(RotationError::AnotherKey(noted.sealing));
        }
        let event = ServerEvent::MasterKeyRotationFinished { key_id: key_id.clone(), resealed };
        let mut batch = Batch::new();
        batch
            .decided_at(self.origin.at)
            .expect(place(), self.version)
            .delete(place())
            .expect(fence::place(), self.fence)
            .expect(in_use::place(), noted.map(|(_, record)| record.version))
            .put(in_use::place(), InUse::only(to).encode()?)
            .append(Entry::of_server(None, self.origin, &event).to_bytes());
        self.engine.commit(batch).await?;
        let unused = self.keyring.ids().filter(|id| *id != to).map(|id| id.to_string()).collect();
        Ok(Progress::Finished { key_id, resealed, unused })
    }
}

impl Cursor {
    fn tally(&self) -> Tally {
        self.tally.iter().map(|(id, count)| (KeyId::from_bytes(*id), *count)).collect()
    }
}
