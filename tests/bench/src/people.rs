//! The users and their authenticators. A secret is derived from the user's number, so that millions of users take no room here;
//! of each, the step of the latest code is kept, and no code is ever given twice.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use data_encoding::BASE32;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

use crate::clock;

/// Far from any common divisor with a number of users that a person would type: neighbours in time are none in the store.
const STRIDE: u64 = 1_000_003;

/// All users whose second factor is on.
pub struct People {
    /// The step of each one's latest code.
    latest: Vec<AtomicU32>,
    next: AtomicU64,
}

/// A user and their code.
pub struct Turn {
    /// Their number.
    pub user: u64,
    /// The code of the current step.
    pub code: String,
    step: u64,
}

impl Turn {
    /// Whether an earlier step had the same code, by chance: about once in a million steps. If that was the last one before, a server
    /// that takes no code twice refuses it.
    pub fn is_repeated(&self) -> bool {
        // A run is over within the hour.
        let earlier = self.step.saturating_sub(120)..self.step;
        let secret = secret(self.user);
        earlier.into_iter().any(|step| code(&secret, step) == self.code)
    }
}

/// What a user is called.
pub fn name(user: u64) -> String {
    format!("u{user}")
}

/// The secret of a user, as authenticators show it.
pub fn base32(user: u64) -> String {
    BASE32.encode(&secret(user))
}

fn secret(user: u64) -> [u8; 20] {
    hmac(b"sidekey-bench", &user.to_be_bytes())
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 20] {
    // A key of any length will do (RFC 2104 §2).
    Hmac::<Sha1>::new_from_slice(key)
        .map_or([0; 20], |mac| mac.chain_update(message).finalize().into_bytes().into())
}

/// The code of a secret for a step (RFC 4226 §5.3), six digits.
#[expect(clippy::indexing_slicing, reason = "an offset of at most 15 and four bytes, of 20")]
pub fn code(secret: &[u8], step: u64) -> String {
    let hash = hmac(secret, &step.to_be_bytes());
    let offset = usize::from(hash[19] & 15);
    let four = [hash[offset], hash[offset + 1], hash[offset + 2], hash[offset + 3]];
    let number = u32::from_be_bytes(four) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

impl People {
    /// So many users, who have given no code yet.
    pub fn new(count: u64) -> Self {
        Self { latest: (0..count).map(|_| AtomicU32::new(0)).collect(), next: AtomicU64::new(0) }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.latest.len() as u64
    }

    /// The next user; the same ones come again when all have had a turn.
    pub fn next(&self) -> u64 {
        self.after(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// The next user with the code of the current step; none if the next one has given it already.
    pub fn turn(&self) -> Option<Turn> {
        self.code_of(self.next())
    }

    /// The code of this user; none if they have given the one of the current step.
    pub fn code_of(&self, user: u64) -> Option<Turn> {
        let step = clock::step();
        let latest = self.latest.get(usize::try_from(user).ok()?)?;
        let before = latest.swap(u32::try_from(step).ok()?, Ordering::Relaxed);
        (u64::from(before) < step).then(|| Turn { user, code: code(&secret(user), step), step })
    }

    /// Whether so many users have a code to give, or all of them.
    pub fn are_ready(&self, wanted: u64) -> bool {
        let last = self.after(self.next.load(Ordering::Relaxed) + wanted.min(self.count()).saturating_sub(1));
        let used = usize::try_from(last).ok().and_then(|last| self.latest.get(last));
        used.is_none_or(|used| u64::from(used.load(Ordering::Relaxed)) < clock::step())
    }

    fn after(&self, turn: u64) -> u64 {
        turn.wrapping_mul(STRIDE) % self.count().max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_codes_are_those_of_rfc_6238_appendix_b() {
        for (time, wanted) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(code(b"12345678901234567890", time / clock::STEP), wanted);
        }
    }

    #[test]
    fn a_code_that_an_earlier_step_had_is_told() {
        // Found by trying: the codes of this user at 2026-11-23 20:01:30 and 20:02:30 are the same.
        let step = 1_795_464_150 / clock::STEP;
        let turn = |step| Turn { user: 59_733, code: code(&secret(59_733), step), step };
        assert!(turn(step).is_repeated());
        assert!(!turn(step - 2).is_repeated());
    }

    #[test]
    fn everybody_has_a_turn_and_no_code_is_given_twice() {
        let people = People::new(1_000);
        let users: HashSet<u64> = (0..1_000).map(|_| people.next()).collect();
        assert_eq!(users.len(), 1_000);
        let given: HashSet<_> = (0..20).filter_map(|_| people.code_of(7)).map(|turn| turn.code).collect();
        assert!((1..=2).contains(&given.len()), "one, or two where a step began meanwhile");
    }
}
