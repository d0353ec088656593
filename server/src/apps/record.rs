//! Apps and API keys as they are stored: postcard, under keys that start with the app where there is one.

use data_encoding::HEXLOWER;
use rand_core::CryptoRng;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sidekey_core::id::AppId;
use sidekey_core::policy::Enforcement;
use sidekey_core::time::UnixTime;

use crate::store::{Key, Kind, Record, StoreError};

/// A host application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// The audience of its tokens.
    pub id: AppId,
    /// What people read.
    pub name: String,
    /// What it demands of its users.
    pub enforcement: Enforcement,
    /// When it was made.
    pub created_at: UnixTime,
}

/// Under [`Kind::App`]. Variants of the stored types are only ever added, at the end.
#[derive(Serialize, Deserialize)]
pub(super) enum StoredApp {
    V1(App),
}

/// Under [`Kind::ApiKey`]. A revoked key stays, so that it is known to have been one.
#[derive(Serialize, Deserialize)]
pub(super) enum StoredKey {
    V1 { key_id: String, app: AppId, created_at: UnixTime, revoked_at: Option<UnixTime> },
}

pub(super) fn apps_place() -> Key {
    Key::of(Kind::App)
}

pub(super) fn app_place(id: &AppId) -> Key {
    Key::of(Kind::App).part(id.as_str())
}

pub(super) fn key_place(hash: &[u8; 32]) -> Key {
    Key::of(Kind::ApiKey).fixed(hash)
}

/// Holds the hash of the key with this name.
pub(super) fn name_place(app: &AppId, key_id: &str) -> Key {
    names_place(app).part(key_id)
}

pub(super) fn names_place(app: &AppId) -> Key {
    Key::of(Kind::AppKey).part(app.as_str())
}

pub(super) fn encode<T: Serialize>(place: &Key, value: &T) -> Result<Vec<u8>, StoreError> {
    postcard::to_stdvec(value).map_err(|_| damaged(place, "cannot be encoded"))
}

pub(super) fn decode<T: DeserializeOwned>(place: &Key, record: &Record) -> Result<T, StoreError> {
    postcard::from_bytes(&record.value).map_err(|_| damaged(place, "cannot be decoded"))
}

/// Whether a record of this module is what its key says.
///
/// # Errors
/// It is not; the record is damaged.
pub fn check(place: &Key, record: &Record) -> Result<(), StoreError> {
    let is_there = match place.kind() {
        Some(Kind::App) => {
            let StoredApp::V1(app) = decode(place, record)?;
            app_place(&app.id) == *place
        }
        Some(Kind::ApiKey) => {
            let StoredKey::V1 { .. } = decode(place, record)?;
            true
        }
        Some(Kind::AppKey) => decode::<[u8; 32]>(place, record).is_ok(),
        _ => false,
    };
    if is_there { Ok(()) } else { Err(damaged(place, "it belongs under another key")) }
}

fn damaged(place: &Key, damage: &'static str) -> StoreError {
    StoreError::Damaged { key: place.to_string(), damage }
}

/// An id that resembles the name: its letters and digits in lower case, `-` for everything between them.
pub(super) fn id_of_name(name: &str) -> AppId {
    AppId::parse(&slug(name)).unwrap_or_else(|_| fallback())
}

/// The same with a random ending.
pub(super) fn varied(name: &str, rng: &mut impl CryptoRng) -> AppId {
    let mut ending = [0; 4];
    rng.fill_bytes(&mut ending);
    AppId::parse(&format!("{}-{}", slug(name), HEXLOWER.encode(&ending))).unwrap_or_else(|_| fallback())
}

/// At most 40 characters, so that an ending fits.
fn slug(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let joined = words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-");
    let short: String = joined.chars().take(40).collect();
    let trimmed = short.trim_end_matches('-');
    if trimmed.is_empty() { "app".to_owned() } else { trimmed.to_owned() }
}

#[expect(clippy::expect_used, reason = "a constant that a test parses")]
fn fallback() -> AppId {
    AppId::parse("app").expect("a valid id")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Entropy;

    #[test]
    fn an_id_resembles_the_name_and_is_always_one() {
        for (name, id) in [
            ("Example", "example"),
            ("My  Shop (EU)!", "my-shop-eu"),
            ("Żółć", "app"),
            ("--", "app"),
            (&"x".repeat(100), &"x".repeat(40)),
        ] {
            assert_eq!(id_of_name(name).as_str(), id);
            assert!(varied(name, &mut Entropy).as_str().starts_with(&format!("{id}-")));
        }
    }
}
