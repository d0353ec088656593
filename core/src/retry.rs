//! Requests that come again because their answer was lost.
//!
//! A client gives a request a key of its own, random and new for each, and sends the same one when it repeats it (the header
//! `Idempotency-Key`, draft-ietf-httpapi-idempotency-key-header-07). Of a request that may be answered again, a hash of its key is kept with
//! what it did; nothing of the answer is, which can be made again. Without a key, a repetition cannot be told from somebody else who has what
//! was sent.

use crate::time::UnixTime;

/// How long a client that lost an answer may ask for it again, in seconds.
pub const WINDOW: u64 = 10;

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
}
