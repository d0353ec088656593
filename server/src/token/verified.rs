//! Which tokens' signatures were found to be right, so that a token that comes with each request is not verified each time.
//!
//! That and nothing else is remembered, by the SHA-256 of the whole token: its type, its key, its issuer, its time and its claims are
//! read and judged anew whenever it comes, and so is what the store says of its login. A key's id is the thumbprint of the key, so a
//! signature that was right is right for as long as the key is one of ours.

use std::collections::HashSet;
use std::fmt;
use std::mem;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

/// Tokens of one generation, of which there are two: some 3 MB.
const MAX_TOKENS: usize = 32_768;

/// The hashes of the tokens that came last. One that is used stays.
#[derive(Debug, Default)]
pub(super) struct Verified(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashSet<[u8; 32]>,
    old: HashSet<[u8; 32]>,
}

impl Verified {
    /// Does `verify` unless this token has passed it before.
    ///
    /// # Errors
    /// Those of `verify`.
    pub(super) fn once<E>(&self, token: &str, verify: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if !self.knows(&hash) {
            verify()?;
            self.note(hash);
        }
        Ok(())
    }

    fn knows(&self, hash: &[u8; 32]) -> bool {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if generations.young.contains(hash) {
            return true;
        }
        let is_old = generations.old.remove(hash);
        if is_old {
            generations.add(*hash);
        }
        is_old
    }

    fn note(&self, hash: [u8; 32]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(hash);
    }
}

impl fmt::Debug for Generations {
    /// How many there are, and none of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.young.len() + self.old.len())
    }
}

impl Generations {
    fn add(&mut self, hash: [u8; 32]) {
        if self.young.len() >= MAX_TOKENS {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passed_is_known_and_what_did_not_is_asked_again() {
        let verified = Verified::default();
        assert_eq!(verified.once("a", || Err("wrong")), Err("wrong"));
        assert_eq!(verified.once("a", || Ok::<_, &str>(())), Ok(()));
        assert_eq!(verified.once("a", || Err("asked again")), Ok(()));
        assert_eq!(verified.once("b", || Err("another one")), Err("another one"));
    }

    #[test]
    fn what_is_shown_of_it_has_no_hash() {
        let verified = Verified::default();
        verified.once("a", || Ok::<_, ()>(())).unwrap();
        verified.once("b", || Ok::<_, ()>(())).unwrap();
        let shown = format!("{verified:?}");
        let a_hash: [u8; 32] = Sha256::digest(b"a").into();
        assert!(shown.contains("2 tokens") && !shown.contains(&format!("{a_hash:?}")), "{shown}");
    }

    #[test]
    fn the_tokens_that_came_last_are_kept_and_no_more_than_two_generations() {
        let verified = Verified::default();
        let token = |number: usize| number.to_string();
        verified.once("used", || Ok::<_, ()>(())).unwrap();
        for number in 0..4 * MAX_TOKENS {
            verified.once(&token(number), || Ok::<_, ()>(())).unwrap();
            if number % 1_000 == 0 {
                assert_eq!(verified.once("used", || Err(())), Ok(()), "{number}");
            }
        }
        let generations = verified.0.lock().unwrap();
        assert!(generations.young.len() <= MAX_TOKENS && generations.old.len() <= MAX_TOKENS);
        drop(generations);
        assert_eq!(verified.once(&token(0), || Err("forgotten")), Err("forgotten"));
        assert_eq!(verified.once(&token(4 * MAX_TOKENS - 1), || Err("the last one")), Ok(()));
    }
}
