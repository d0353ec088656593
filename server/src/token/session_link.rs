//! The link that hands a session over to a browser.
//!
//! A link has 256 random bits, and the session's id is their MAC under the store's pepper: whoever has the link can be led to the
//! session, whoever has the id cannot make the link, and neither is stored. The browser that came by the link keeps the id with a MAC of its
//! own: the host lets the id out to its pages, and an id alone must not make a browser the one that was handed the session.
//!
//! The link of a request with an idempotency key is itself a MAC, of the key and of the seed that was drawn when the key was first used, so
//! that the same request finds the same session. A seed is drawn once and kept until its key is a new one ([`KeyUse`]): whether what was opened
//! is swept, erased or fell out of a list, nothing else is ever opened under its name, so that no id, link or refresh token of the past counts
//! again.

use data_encoding::BASE64URL_NOPAD;
use sidekey_core::{
    id::{AppId, LoginId},
    retry::KeyUse,
};
use subtle::ConstantTimeEq;

use crate::{
    entropy::{Entropy, random},
    http::IdempotencyKey,
    keyring::Pepper,
};

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

/// The names of what a request of a host opens.
pub struct Names {
    /// The session.
    pub session: SessionLink,
    /// The login that comes of it, or that is started in its place.
    pub login: LoginId,
}

impl Names {
    /// Fresh ones, for a request without a key.
    pub fn generate(pepper: &Pepper) -> Self {
        Self { session: SessionLink::generate(pepper), login: LoginId::generate(&mut Entropy) }
    }

    /// Those that this use of the key of a request of this app leads to: no easier to guess than fresh ones, whatever the key is.
    pub fn of_request(pepper: &Pepper, app: &AppId, key: &IdempotencyKey, used: &KeyUse) -> Self {
        let mac = |domain| {
            pepper.mac(domain, &[app.as_str().as_bytes(), key.as_str().as_bytes(), &used.seed()[..]])
        };
        let link = BASE64URL_NOPAD.encode(&mac("requested-session"));
        // Half of the MAC: an id has 128 bits.
        let mut login = [0; 16];
        login.iter_mut().zip(mac("requested-login")).for_each(|(to, from)| *to = from);
        let session = SessionLink { id: session_id(pepper, &link), link };
        Self { session, login: LoginId::from_bytes(login) }
    }
}

/// Under what it is stored that an app's key was used: nobody can tell the key from it, nor another app's.
pub fn mac_of_key(pepper: &Pepper, app: &AppId, key: &IdempotencyKey) -> [u8; 32] {
    pepper.mac("request-key", &[app.as_str().as_bytes(), key.as_str().as_bytes()])
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
    use sidekey_core::time::UnixTime;

    use super::*;
    use crate::entropy::Entropy;

    #[test]
    fn a_use_of_a_key_leads_to_the_same_names_in_its_own_app_and_store_only() {
        let (pepper, other) = (Pepper::generate(&mut Entropy), Pepper::generate(&mut Entropy));
        let [shop, bank] = ["shop", "bank"].map(|id| AppId::parse(id).unwrap());
        let [one, two] = ["1", "2"].map(|key| {
            let headers = [(http::HeaderName::from_static("idempotency-key"), key.parse().unwrap())];
            IdempotencyKey::read(&headers.into_iter().collect()).unwrap().unwrap()
        });
        let now = UnixTime::from_secs(1_790_000_000);
        let [used, used_again] = [(); 2].map(|()| KeyUse::start(now, &mut Entropy));
        let of = |pepper, app, key, used| {
            let Names { session, login } = match key {
                Some(key) => Names::of_request(pepper, app, key, used),
                None => Names::generate(pepper),
            };
            assert_eq!(session_id(pepper, &session.link), session.id, "the link leads to the session");
            (session.link, session.id, login)
        };
        let names = of(&pepper, &shop, Some(&one), &used);
        assert_eq!(of(&pepper, &shop, Some(&one), &used), names);
        assert_eq!(
            names.0.len(),
            SessionLink::generate(&pepper).link.len(),
            "nobody sees that there was a key"
        );
        for (pepper, app, key, used) in [
            (&pepper, &shop, Some(&two), &used),
            (&pepper, &bank, Some(&one), &used),
            (&other, &shop, Some(&one), &used),
            (&pepper, &shop, Some(&one), &used_again),
            (&pepper, &shop, None, &used),
        ] {
            let others = of(pepper, app, key, used);
            assert!(others.0 != names.0 && others.1 != names.1 && others.2 != names.2);
        }
        let place = mac_of_key(&pepper, &shop, &one);
        assert_eq!(mac_of_key(&pepper, &shop, &one), place);
        for (pepper, app, key) in [(&pepper, &shop, &two), (&pepper, &bank, &one), (&other, &shop, &one)] {
            assert_ne!(mac_of_key(pepper, app, key), place);
        }
    }

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
