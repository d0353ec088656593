//! A walk over all records that a head counts which several threads share, of a database that nobody changes meanwhile.
//!
//! Nobody knows beforehand where a store has its records: most lie under few prefixes, and which ones is another matter in each
//! store. So the threads begin with the few ranges of [`walk::ranges`], and whoever finds others without work halves what
//! is left of the own range and gives the upper half away. A half may turn out to be nearly empty, and then the next one is
//! asked for; each costs a search or two.
//!
//! Ranges are only ever cut, at some key, into all that is below it and all that is not: whatever the key is, each record
//! belongs to one range.

use std::num::NonZero;
use std::ops::{Bound, RangeBounds as _};
use std::panic::resume_unwind;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::integrity::Unreadable;
use super::walk::{self, Range};

#[cfg(test)]
mod tests;

/// More threads wait for sled and the disk rather than for processors.
const MAX_THREADS: usize = 8;
/// Records that are looked at before the next look whether others have work.
const STRETCH: usize = 512;

/// How many threads a walk is shared among: as many as there are processors for this process, within reason.
pub(super) fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS)
}

/// Shows each record to one of the visitors, each of which has a thread of its own; in order to none of them.
///
/// # Errors
/// The database does not give its records.
pub(super) fn share<V: Send>(
    db: &::sled::Db,
    visitors: Vec<V>,
    look: impl Fn(&mut V, &[u8], &[u8]) + Sync,
) -> Result<Vec<V>, Unreadable> {
    let (work, look) = (Work::of(walk::ranges().into()), &look);
    let visit = |mut visitor: V| {
        while let Some(turn) = work.next() {
            turn.walk(db, |key, bytes| look(&mut visitor, key, bytes))?;
        }
        Ok(visitor)
    };
    thread::scope(|scope| {
        let visit = &visit;
        let threads: Vec<_> =
            visitors.into_iter().map(|visitor| scope.spawn(move || visit(visitor))).collect();
        // A panic goes on here, as if there were no threads: sled does on some kinds of damage.
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// What is left to be walked.
struct Work {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Ranges that nobody walks yet.
    waiting: Vec<Range>,
    at_work: usize,
    idle: usize,
    /// Somebody could not go on.
    is_given_up: bool,
}

impl Work {
    fn of(waiting: Vec<Range>) -> Self {
        Self {
            state: Mutex::new(State { waiting, at_work: 0, idle: 0, is_given_up: false }),
            changed: Condvar::new(),
        }
    }

    /// Waits for a range; `None` when there will be no more.
    fn next(&self) -> Option<Turn<'_>> {
        let mut state = self.lock();
        loop {
            if state.is_given_up {
                return None;
            }
            if let Some(range) = state.waiting.pop() {
                state.at_work += 1;
                return Some(Turn { work: self, range, is_done: false });
            }
            if state.at_work == 0 {
                return None;
            }
            state.idle += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// Whether there are more who wait than there is to do.
    fn is_wanted(&self) -> bool {
        let state = self.lock();
        state.idle > state.waiting.len()
    }

    fn give(&self, range: Range) {
        self.lock().waiting.push(range);
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A range that one thread walks.
struct Turn<'a> {
    work: &'a Work,
    range: Range,
    is_done: bool,
}

impl Turn<'_> {
    /// Walks what is not given away meanwhile.
    fn walk(mut self, db: &::sled::Db, mut look: impl FnMut(&[u8], &[u8])) -> Result<(), Unreadable> {
        let mut records = walk::records_of(db, self.range.clone());
        loop {
            let (mut last, mut count) = (None, 0);
            for entry in records.by_ref().take(STRETCH) {
                let (key, bytes) = entry?;
                look(&key, &bytes);
                (last, count) = (Some(key), count + 1);
            }
            let Some(last) = last.filter(|_| count == STRETCH) else { break };
            if self.work.is_wanted()
                && let Some(upper) = self.halve(db, &last)?
            {
                self.work.give(upper);
                records = walk::records_of(db, self.range.clone());
            }
        }
        self.is_done = true;
        Ok(())
    }

    /// Cuts what comes after the key in two, as far as keys tell, and returns the upper part.
    fn halve(&mut self, db: &::sled::Db, after: &[u8]) -> Result<Option<Range>, Unreadable> {
        self.range.0 = Bound::Excluded(after.to_vec());
        let Some(last) = db.range(self.range.clone()).next_back().transpose()? else { return Ok(None) };
        Ok(middle(after, &last.0).and_then(|middle| cut(&mut self.range, middle)))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.work.lock();
        state.at_work -= 1;
        state.is_given_up |= !self.is_done;
        self.work.changed.notify_all();
    }
}

/// Takes off everything from the key on; nothing where the range is above or below it.
fn cut(range: &mut Range, key: Vec<u8>) -> Option<Range> {
    if !range.contains(&key) {
        return None;
    }
    let end = std::mem::replace(&mut range.1, Bound::Excluded(key.clone()));
    Some((Bound::Included(key), end))
}

/// A key about half-way from one to a later one: ids are hashes for the most part, and spread evenly.
fn middle(from: &[u8], to: &[u8]) -> Option<Vec<u8>> {
    let common = from.iter().zip(to).take_while(|(from, to)| from == to).count();
    let number = |key: &[u8]| {
        let mut bytes = [0; 8];
        bytes.iter_mut().zip(key.iter().skip(common)).for_each(|(place, byte)| *place = *byte);
        u64::from_be_bytes(bytes)
    };
    let (low, high) = (number(from), number(to));
    let half = high.checked_sub(low)?.div_ceil(2);
    let key = [from.get(..common)?, &(low + half).to_be_bytes()].concat();
    (half > 0).then_some(key)
}
