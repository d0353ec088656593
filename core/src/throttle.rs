//! The failure budget of an account (NIST SP 800-63B-4 §3.2.2, ASVS 5.0 §6.5, contract rule 3).
//!
//! Guessing is what a six-digit code has to fear. The numbers: four failures in a row are free; from the fifth on the
//! account waits 30 s, doubling to an hour; over 20 failures within 30 days an answer needs two consecutive codes, which
//! makes guessing hopeless and locks nobody out; at 100 in a row TOTP is locked until somebody with a right to do so unlocks it.
//!
//! The budget belongs to the account, never to a session, an address or a device, and it is asked *before* a code is judged:
//! [`Throttle::gate`] comes first, then the judgement, then [`Throttle::failed`] or [`Throttle::succeeded`], all within one
//! transaction. That is the invariant the caller keeps; parallel guesses then cannot overtake it.

use crate::time::UnixTime;

/// Failures in a row that cost no wait.
pub const FREE_FAILURES: u32 = 4;
/// The first wait, in seconds.
pub const FIRST_WAIT: u64 = 30;
/// The longest wait, in seconds.
pub const LONGEST_WAIT: u64 = 3_600;
/// Failures within [`WINDOW`] that are allowed before two consecutive codes are asked for.
pub const FAILURES_PER_WINDOW: usize = 20;
/// The rolling window, in seconds: 30 days.
pub const WINDOW: u64 = 30 * 86_400;
/// Failures in a row that lock TOTP.
pub const LOCK_AFTER: u32 = 100;

/// What an account's failures have been. Bounded in size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Throttle {
    in_a_row: u32,
    wait_until: Option<UnixTime>,
    /// Times of the latest failures, oldest first, at most one more than [`FAILURES_PER_WINDOW`].
    recent: Vec<UnixTime>,
}

/// What a failure leads to, besides the refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// Nothing yet.
    None,
    /// The account waits from now on, until the time given.
    Throttled {
        /// When the next answer is judged.
        until: UnixTime,
        /// Whether this is the failure at which the owner is told.
        first: bool,
    },
    /// TOTP is locked from now on.
    Locked,
}

/// Whether and how an answer may be judged now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It may.
    Open,
    /// It may, if it brings the codes of two consecutive steps.
    NeedsNextCode,
    /// It may not: nothing is judged or counted for this many more seconds.
    Wait {
        /// Whole seconds until [`Gate::Open`], at least 1.
        seconds: u64,
    },
    /// It may not before an unlock.
    Locked,
}

impl Throttle {
    /// Whether and how an answer may be judged at `now`.
    pub fn gate(&self, now: UnixTime) -> Gate {
        if self.is_locked() {
            return Gate::Locked;
        }
        match self.wait_until {
            Some(until) if now < until => Gate::Wait { seconds: until.since(now) },
            _ if self.recent_failures(now) > FAILURES_PER_WINDOW => Gate::NeedsNextCode,
            _ => Gate::Open,
        }
    }

    /// Counts a wrong answer.
    pub fn failed(&mut self, now: UnixTime) -> Consequence {
        self.count(now);
        if self.is_locked() { Consequence::Locked } else { self.wait(now) }
    }

    /// Counts a wrong answer of a kind that is never locked: the waits go on for ever, and [`Throttle::waits_until`] is all that
    /// its caller asks.
    pub fn failed_without_lock(&mut self, now: UnixTime) -> Consequence {
        self.count(now);
        self.wait(now)
    }

    fn count(&mut self, now: UnixTime) {
        self.in_a_row = self.in_a_row.saturating_add(1);
        if self.recent.len() > FAILURES_PER_WINDOW {
            self.recent.remove(0);
        }
        self.recent.push(now);
    }

    fn wait(&mut self, now: UnixTime) -> Consequence {
        match wait_after(self.in_a_row) {
            0 => Consequence::None,
            seconds => {
                let until = now.plus(seconds);
                self.wait_until = Some(until);
                Consequence::Throttled { until, first: self.in_a_row == FREE_FAILURES + 1 }
            }
        }
    }

    /// A right answer ends the row. It does not empty the window: a victim's own logins must not refill a guesser's budget.
    pub fn succeeded(&mut self) {
        self.in_a_row = 0;
        self.wait_until = None;
    }

    /// Ends the row and the window: the app or an operator has unlocked the account.
    pub fn unlock(&mut self) {
        *self = Self::default();
    }

    /// Lifts the lock and the wait: a backup code was used.
    pub fn release(&mut self) {
        self.succeeded();
    }

    /// Whether TOTP is locked.
    pub fn is_locked(&self) -> bool {
        self.in_a_row >= LOCK_AFTER
    }

    /// Until when answers wait, if they do at `now`.
    pub fn waits_until(&self, now: UnixTime) -> Option<UnixTime> {
        self.wait_until.filter(|until| now < *until)
    }

    fn recent_failures(&self, now: UnixTime) -> usize {
        self.recent.iter().filter(|at| now.since(**at) < WINDOW).count()
    }
}

/// Seconds to wait after this many failures in a row.
fn wait_after(in_a_row: u32) -> u64 {
    match in_a_row.checked_sub(FREE_FAILURES + 1) {
        None => 0,
        Some(doublings) => {
            FIRST_WAIT.checked_shl(doublings.min(16)).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT)
        }
    }
}

#[cfg(test)]
mod tests;
