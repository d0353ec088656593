//! Apps and API keys as they are stored: postcard, under keys that start with the app where there is one.

use data_encoding::HEXLOWER;
use rand_core::CryptoRng;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sidekey_core::colour::Colour;
use sidekey_core::id::AppId;
use sidekey_core::policy::Enforcement;
use sidekey_core::time::UnixTime;

use super::{Logo, ReturnUrls};
use crate::store::{Key, Kind, Record, StoreError};

/// A host application. New settings are added at the end.
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
    /// Where it lets its users be sent back to.
    pub return_urls: ReturnUrls,
    /// The colour of its buttons.
    pub accent_color: Option<Colour>,
    /// Its logo.
    pub logo: Option<Logo>,
}

impl App {
    /// An app with nothing set but what every app has.
    pub(crate) fn new(id: AppId, name: String, enforcement: Enforcement, created_at: UnixTime) -> Self {
        let return_urls = ReturnUrls::default();
        Self { id, name, enforcement, created_at, return_urls, accent_color: None, logo: None }
    }
}

/// An app as it was stored before it had settings.
#[derive(Serialize, Deserialize)]
pub(super) struct AppV1 {
    id: AppId,
    name: String,
    enforcement: Enforcement,
    created_at: UnixTime,
}

/// Under [`Kind::App`]. Variants of the stored types are only ever added, at the end.
#[derive(Serialize, Deserialize)]
enum StoredApp {
    V1(AppV1),
    V2(App),
}

pub(super) fn encode_app(place: &Key, app: &App) -> Result<Vec<u8>, StoreError> {
    encode(place, &StoredApp::V2(app.clone()))
}

pub(super) fn decode_app(place: &Key, record: &Record) -> Result<App, StoreError> {
    Ok(match decode(place, record)? {
        StoredApp::V1(AppV1 { id, name, enforcement, created_at }) => {
            App::new(id, name, enforcement, created_at)
        }
        StoredApp::V2(app) => app,
    })
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
        Some(Kind::App) => app_place(&decode_app(place, record)?.id) == *place,
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
    fn an_app_from_before_it_had_settings_is_read() {
        let id = AppId::parse("shop").unwrap();
        let (name, enforcement, created_at) =
            ("Shop".to_owned(), Enforcement::Encouraged, UnixTime::from_secs(7));
        let place = app_place(&id);
        let old = AppV1 { id: id.clone(), name: name.clone(), enforcement, created_at };
        let value = encode(&place, &StoredApp::V1(old)).unwrap();
        let record = Record { version: crate::store::Version::of_test(1), value };
        let app = decode_app(&place, &record).unwrap();
        assert_eq!(app, App::new(id, name, enforcement, created_at));
        assert!(check(&place, &record).is_ok());
    }

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
