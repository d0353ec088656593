//! What one account's answers may be: a sequential model, and a search for an order of a concurrent history that it allows
//! (Wing and Gong, "Testing and Verifying Concurrent Objects", 1993; states that were seen are not searched again, as Lowe does).
//!
//! The model holds contract rules 1 and 3 as far as answers of one code reach: a step of a device counts once and only after
//! earlier ones, a session is spent by one right answer, failures in a row lead to a wait.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

/// Failures in a row from which on the account waits.
const WAIT_FROM: u8 = 5;
/// Wrong answers that a session takes.
const ATTEMPTS: u8 = 5;
/// Failures within the window beyond which one code is not enough.
const WINDOW_FAILURES: u8 = 20;
/// Answers that a history may hold: a bit each.
const LONGEST: usize = 128;

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The code of a device's time step.
    Code { device: usize, step: u64 },
    /// A code of no device near this time.
    Wrong,
}

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// 200.
    Accepted,
    /// `INVALID_CODE` with the attempts that remain.
    Invalid { remaining: u8 },
    /// `ACCOUNT_THROTTLED`.
    Throttled,
    /// `NEXT_CODE_REQUIRED`.
    NextCodeRequired,
    /// `SESSION_ALREADY_VERIFIED`.
    AlreadyVerified,
    /// `MAX_ATTEMPTS_EXCEEDED`.
    Failed,
}

/// One answer to a session. `begun` and `ended` are ranks in the order in which calls began and ended as their caller saw it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) begun: u64,
    pub(crate) ended: u64,
    /// Calls of a later round follow a wait that lifted the account's.
    pub(crate) round: usize,
    pub(crate) session: usize,
    pub(crate) sent: Sent,
    pub(crate) said: Said,
}

/// An account as the model has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Account {
    /// The last accepted step of each device.
    last: Vec<u64>,
    /// Each session: verified, failures.
    sessions: Vec<(bool, u8)>,
    in_a_row: u8,
    in_window: u8,
    waiting: bool,
    round: usize,
}

impl Account {
    /// The account after the call, if it may be answered as it was.
    fn after(&self, call: &Call) -> Option<Self> {
        let mut next = self.clone();
        if next.round != call.round {
            next.round = call.round;
            next.waiting = false;
        }
        let (verified, failures) = &mut next.sessions[call.session];
        let said = match call.sent {
            _ if *verified => Said::AlreadyVerified,
            _ if *failures >= ATTEMPTS => Said::Failed,
            _ if next.waiting => Said::Throttled,
            _ if next.in_window > WINDOW_FAILURES => Said::NextCodeRequired,
            Sent::Code { device, step } if step > next.last[device] => {
                *verified = true;
                next.last[device] = step;
                next.in_a_row = 0;
                Said::Accepted
            }
            Sent::Code { .. } | Sent::Wrong => {
                *failures += 1;
                next.in_a_row += 1;
                next.in_window += 1;
                next.waiting = next.in_a_row >= WAIT_FROM;
                match ATTEMPTS - *failures {
                    0 => Said::Failed,
                    remaining => Said::Invalid { remaining },
                }
            }
        };
        (said == call.said).then_some(next)
    }
}

/// Whether the calls can have happened one after the other, each between its begin and its end, on an account whose devices had
/// last accepted the steps `last`.
pub(crate) fn is_linearizable(last: &[u64], calls: &[Call]) -> bool {
    assert!(calls.len() <= LONGEST, "{} calls are too many to search", calls.len());
    let sessions = calls.iter().map(|call| call.session + 1).max().unwrap_or_default();
    let start = Account {
        last: last.to_vec(),
        sessions: vec![(false, 0); sessions],
        in_a_row: 0,
        in_window: 0,
        waiting: false,
        round: 0,
    };
    let mut open = vec![(0_u128, start)];
    let mut seen = HashSet::new();
    while let Some((done, account)) = open.pop() {
        let left = || calls.iter().enumerate().filter(move |(index, _)| done & (1 << index) == 0);
        // A call may come next unless another one had ended before it began.
        let Some(first_end) = left().map(|(_, call)| call.ended).min() else { return true };
        for (index, call) in left().filter(|(_, call)| call.begun < first_end) {
            if let Some(next) = account.after(call) {
                let node = (done | (1 << index), next);
                if seen.insert(node.clone()) {
                    open.push(node);
                }
            }
        }
    }
    false
}
