//! The link that hands a session over to a browser.
//!
//! A link has 256 random bits, and the session's id is their MAC under the store's pepper: whoever has the link can be led to the
//! session, whoever has the id cannot make the link, and neither is stored. The browser that came by the link keeps the id with a MAC of its
//! own: the host lets the id out to its pages, and an id alone must not make a browser the one that was handed the session.

use data_encoding::BASE64URL_NOPAD;
use subtle::ConstantTimeEq;

use crate::{entropy::random, keyring::Pepper};

/// The parameter of the query that carries it.
pub const PARAMETER: &str = "link";

/// A new session's link and id.
#[derive(Clone)]
pub struct SessionLink {
    /// What stands in the link.
    pub link: String,
    /// The session's id, of which a hash is stored.
    pub id: String,
}

impl SessionLink {
    /// A fresh one.
    pub fn generate(pepper: &Pepper) -> Self {
        let link = BASE64URL_NOPAD.encode(&random::<32>());
        Self { id: session_id(pepper, &link), link }
    }
}

/// The id of the session that a link leads to. Any text leads somewhere, and one that we did not make to no session.
pub fn session_id(pepper: &Pepper, link: &str) -> String {
    BASE64URL_NOPAD.encode(&pepper.mac("session-link", &[link.as_bytes()]))
}

/// What the browser that was handed a session keeps of it: `id.MAC`.
pub fn held(pepper: &Pepper, id: &str) -> String {
    format!("{id}.{}", BASE64URL_NOPAD.encode(&mac(pepper, id)))
}

/// The id of the session that a browser was handed, if it was.
pub fn id_of_held(pepper: &Pepper, text: &str) -> Option<String> {
    let (id, given) = text.split_once('.')?;
    let given = BASE64URL_NOPAD.decode(given.as_bytes()).ok()?;
    let ours: bool = mac(pepper, id).ct_eq(&given).into();
    ours.then(|| id.to_owned())
}

fn mac(pepper: &Pepper, id: &str) -> [u8; 32] {
    pepper.mac("session-cookie", &[id.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Entropy;

    #[test]
    fn an_id_alone_makes_nobody_the_browser_that_was_handed_it() {
        let (pepper, other) = (Pepper::generate(&mut Entropy), Pepper::generate(&mut Entropy));
        let id = SessionLink::generate(&pepper).id;
        let text = held(&pepper, &id);
        assert_eq!(id_of_held(&pepper, &text).as_ref(), Some(&id));
        let (_, mac) = text.split_once('.').unwrap();
        let of_another = SessionLink::generate(&pepper).id;
        for forged in [
            id.clone(),
            format!("{id}."),
            format!("{id}.{id}"),
            format!("{of_another}.{mac}"),
            held(&other, &id),
        ] {
            assert_eq!(id_of_held(&pepper, &forged), None, "{forged}");
        }
    }
}
