//! Requests that come again because their answer was lost.
//!
//! A client gives a request a key of its own, random and new for each, and sends the same one when it repeats it (the header
//! `Idempotency-Key`, draft-ietf-httpapi-idempotency-key-header-07). Of a request that may be answered again, a hash of its key is kept with
//! what it did; nothing of the answer is, which can be made again. Without a key, a repetition cannot be told from somebody else who has what
//! was sent.

use rand_core::CryptoRng;

use crate::time::UnixTime;

/// How long a client that lost an answer may ask for it again, in seconds.
pub const WINDOW: u64 = 10;
/// How long the key of a request that opens something is that request's own, in seconds: far longer than any of its answers is given
/// again. Afterwards it is a new one.
pub const KEY_COUNTS: u64 = 1_200;

/// That a key was used to open something, and by which seed what it opened was named.
///
/// The host names sessions and logins by the key and this seed, which is drawn anew for each use: whatever becomes of what was opened, nothing
/// is ever opened under the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct KeyUse {
    seed: [u8; 16],
    at: UnixTime,
}

impl KeyUse {
    /// A use of a key now.
    pub fn start(now: UnixTime, rng: &mut impl CryptoRng) -> Self {
        let mut seed = [0; 16];
        rng.fill_bytes(&mut seed);
        Self { seed, at: now }
    }

    /// What the names are made with.
    pub fn seed(&self) -> &[u8; 16] {
        &self.seed
    }

    /// From when on the key is a new one.
    pub fn over_at(&self) -> UnixTime {
        self.at.plus(KEY_COUNTS)
    }

    /// Whether the key is still that of the request that used it.
    pub fn counts(&self, now: UnixTime) -> bool {
        now < self.over_at()
    }
}

/// A request that had a key: what it did may be told once more to whoever sends the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Retry {
    key: [u8; 32],
    at: UnixTime,
}

impl Retry {
    /// Of a request at this time, by the hash of its key; one without a key is never answered again.
    pub fn of(key: Option<[u8; 32]>, at: UnixTime) -> Option<Self> {
        key.map(|key| Self { key, at })
    }

    /// Whether a request with this key is the same one again, within [`WINDOW`].
    pub fn is_again(self, key: Option<[u8; 32]>, now: UnixTime) -> bool {
        Some(self.key) == key && now.since(self.at) <= WINDOW
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

    #[test]
    fn the_same_key_counts_for_ten_seconds_and_no_other_does() {
        let retry = Retry::of(Some([1; 32]), NOW).unwrap();
        for (key, after, again) in [
            (Some([1; 32]), 0, true),
            (Some([1; 32]), 10, true),
            (Some([1; 32]), 11, false),
            (Some([2; 32]), 0, false),
            (None, 0, false),
        ] {
            assert_eq!(retry.is_again(key, NOW.plus(after)), again, "{key:?} {after}");
        }
        assert_eq!(Retry::of(None, NOW), None);
    }
    #[test]
    fn a_use_of_a_key_counts_for_twenty_minutes_and_each_has_a_seed_of_its_own() {
        let mut rng = StdRng::seed_from_u64(1);
        let used = KeyUse::start(NOW, &mut rng);
        for (after, counts) in [(0, true), (KEY_COUNTS - 1, true), (KEY_COUNTS, false)] {
            assert_eq!(used.counts(NOW.plus(after)), counts, "{after}");
        }
        assert_ne!(KeyUse::start(NOW, &mut rng).seed(), used.seed());
    }
}
