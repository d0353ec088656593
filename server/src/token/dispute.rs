//! The link of a mail to an owner, by which they say that what it tells of was not their doing.
//!
//! `base64url(number of the event, MAC)`, the MAC under the store's pepper over the event and the account's birth: so it counts for one event
//! of one life of one account, tells nothing of either, and nothing of it is stored. That it was used is a record under another MAC of it.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use sidekey_core::{
    id::{Incarnation, LoginId},
    time::UnixTime,
};
use subtle::ConstantTimeEq;

use crate::{keyring::Pepper, notify::Notice};

/// How long a link counts, in seconds from the event on: a week, because mail is not read at once.
pub const LIFETIME: u64 = 7 * 24 * 3_600;

const SEQUENCE_BYTES: usize = 8;
const MAC_BYTES: usize = 32;
/// The length of the text.
const TEXT_BYTES: usize = 54;

/// What stands in a link.
#[derive(Clone, PartialEq, Eq)]
pub struct DisputeToken(String);

impl DisputeToken {
    /// That of an event of an account with this birth; `None` for an event that is about no account.
    pub fn of(pepper: &Pepper, notice: &Notice, birth: Incarnation) -> Option<Self> {
        let sequence = notice.sequence.to_be_bytes();
        let mut bytes = Vec::with_capacity(SEQUENCE_BYTES + MAC_BYTES);
        bytes.extend_from_slice(&sequence);
        bytes.extend_from_slice(&mac(pepper, notice, birth)?);
        Some(Self(BASE64URL_NOPAD.encode(&bytes)))
    }

    /// The number of the event that a text names, whether it is one of ours or not.
    pub fn sequence(text: &str) -> Option<u64> {
        if text.len() != TEXT_BYTES {
            return None;
        }
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (sequence, _) = bytes.split_first_chunk::<SEQUENCE_BYTES>()?;
        Some(u64::from_be_bytes(*sequence))
    }

    /// Whether a text is this token.
    pub fn is(&self, text: &str) -> bool {
        self.0.as_bytes().ct_eq(text.as_bytes()).into()
    }

    /// Under which name it is noted that it was used.
    pub fn spent_as(&self, pepper: &Pepper) -> LoginId {
        // Half of the MAC: an id has 128 bits.
        let mut id = [0; 16];
        id.iter_mut()
            .zip(pepper.mac("owner-dispute-used", &[self.0.as_bytes()]))
            .for_each(|(to, from)| *to = from);
        LoginId::from_bytes(id)
    }

    /// It as text, for the link and for the cookie of the browser that followed it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DisputeToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DisputeToken(…)")
    }
}

/// From when on the link of an event counts no more.
pub fn ends_at(notice: &Notice) -> UnixTime {
    notice.at.plus(LIFETIME)
}

/// The request's id is random, so an event that has the number of another one, after a restore, has another MAC.
fn mac(pepper: &Pepper, notice: &Notice, birth: Incarnation) -> Option<[u8; MAC_BYTES]> {
    let (app, user) = (notice.app.as_deref()?, notice.user.as_deref()?);
    let request = notice.entry.get("request_id").and_then(serde_json::Value::as_str)?;
    let (sequence, at) = (notice.sequence.to_be_bytes(), notice.at.as_secs().to_be_bytes());
    let parts: [&[u8]; 7] = [
        app.as_bytes(),
        user.as_bytes(),
        birth.as_bytes(),
        &sequence,
        &at,
        notice.event.as_bytes(),
        request.as_bytes(),
    ];
    Some(pepper.mac("owner-dispute", &parts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Entropy;
    use crate::notify::testing::notice;

    #[test]
    fn a_token_counts_for_its_event_account_life_and_store_only() {
        let (pepper, other) = (Pepper::generate(&mut Entropy), Pepper::generate(&mut Entropy));
        let (birth, reborn) = (Incarnation::generate(&mut Entropy), Incarnation::generate(&mut Entropy));
        let of_ann = notice("ann");
        let token = DisputeToken::of(&pepper, &of_ann, birth).unwrap();
        assert_eq!(token.expose().len(), TEXT_BYTES);
        assert_eq!(DisputeToken::sequence(token.expose()), Some(of_ann.sequence));
        assert!(
            DisputeToken::of(&pepper, &of_ann, birth).unwrap().is(token.expose()),
            "the same at each attempt"
        );
        let mut later = of_ann.clone();
        later.sequence += 1;
        let mut of_another_request = of_ann.clone();
        of_another_request.entry.insert("request_id".to_owned(), "0".into());
        for other in [
            DisputeToken::of(&other, &of_ann, birth),
            DisputeToken::of(&pepper, &of_ann, reborn),
            DisputeToken::of(&pepper, &notice("bob"), birth),
            DisputeToken::of(&pepper, &later, birth),
            DisputeToken::of(&pepper, &of_another_request, birth),
        ] {
            let other = other.unwrap();
            assert!(!token.is(other.expose()));
            assert_ne!(other.spent_as(&pepper), token.spent_as(&pepper));
        }
        let mut of_the_server = of_ann;
        of_the_server.user = None;
        assert_eq!(DisputeToken::of(&pepper, &of_the_server, birth), None);
    }

    #[test]
    fn nothing_of_a_token_is_shown_or_read_where_it_is_none() {
        let pepper = Pepper::generate(&mut Entropy);
        let token = DisputeToken::of(&pepper, &notice("ann"), Incarnation::generate(&mut Entropy)).unwrap();
        assert_eq!(format!("{token:?}"), "DisputeToken(…)");
        for text in ["", "AAAA", &"A".repeat(53), &"!".repeat(54), &format!("{}A", token.expose())] {
            assert_eq!(DisputeToken::sequence(text), None, "{text}");
            assert!(!token.is(text));
        }
    }
}
