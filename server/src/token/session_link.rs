//! The link that hands a session over to a browser.
//!
//! A link has 256 random bits, and the session's id is their MAC under the store's pepper: whoever has the link can be led to the
//! session, whoever has the id cannot make the link, and neither is stored.

use data_encoding::BASE64URL_NOPAD;

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
