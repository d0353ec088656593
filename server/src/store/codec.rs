//! Typed records: how accounts, sessions and refresh families become bytes.
//!
//! `postcard` of the core's types, an account's TOTP secrets sealed one by one. The additional data of a seal is
//! `format, app, user, device, field`, so that no secret can be moved to another device or user.

use postcard::{from_bytes, to_stdvec};
use serde::{Serialize, de::DeserializeOwned};
use sidekey_core::{
    account::Account,
    id::{AccountId, DeviceId, LoginId},
    secret::Secret,
};

use super::{Key, Kind, StoreError};
use crate::{
    entropy::Entropy,
    keyring::{Keyring, Sealed, associated_data},
};

/// Where an account is stored.
pub fn account_key(id: &AccountId) -> Key {
    Key::account(id.app.as_str(), id.user.as_str())
}

/// Where a session is stored: under the hash of its id, which is all that is kept of it.
pub fn session_key(id_hash: &[u8; 32]) -> Key {
    Key::of(Kind::Session).fixed(id_hash)
}

/// Where the session of an enrolment token is named.
pub fn enrollment_token_key(token_hash: &[u8; 32]) -> Key {
    Key::of(Kind::EnrollmentToken).fixed(token_hash)
}

/// Where the refresh tokens of a login are stored.
pub fn family_key(app: &str, login: LoginId) -> Key {
    Key::of(Kind::RefreshFamily).part(app).fixed(login.as_bytes())
}

/// Bytes of a record without secrets.
pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    to_stdvec(value).map_err(|error| StoreError::Unavailable(format!("a record cannot be written: {error}")))
}

/// A record without secrets.
pub(super) fn decode<T: DeserializeOwned>(key: &Key, bytes: &[u8]) -> Result<T, StoreError> {
    from_bytes(bytes).map_err(|_| damaged(key, "its fields cannot be read"))
}

/// Bytes of an account, its secrets sealed.
pub(super) fn encode_account(keyring: &Keyring, account: Account) -> Result<Vec<u8>, StoreError> {
    let id = account.id.clone();
    let sealed = account.try_map_secrets(|device, secret: Secret| {
        Ok::<_, StoreError>(keyring.seal(&additional_data(&id, device), secret.expose(), &mut Entropy))
    })?;
    encode::<Account<Sealed>>(&sealed)
}

/// An account, its secrets opened.
pub(super) fn decode_account(keyring: &Keyring, key: &Key, bytes: &[u8]) -> Result<Account, StoreError> {
    let sealed: Account<Sealed> = decode(key, bytes)?;
    let id = sealed.id.clone();
    sealed.try_map_secrets(|device, secret| {
        let bytes = keyring
            .open(&additional_data(&id, device), &secret)
            .map_err(|_| damaged(key, "a secret in it does not open with this master key"))?;
        Secret::from_bytes(bytes).map_err(|_| damaged(key, "a secret in it has a wrong length"))
    })
}

fn additional_data(id: &AccountId, device: DeviceId) -> Vec<u8> {
    associated_data(
        "totp-secret",
        &[id.app.as_str().as_bytes(), id.user.as_str().as_bytes(), device.as_bytes()],
    )
}

fn damaged(key: &Key, damage: &'static str) -> StoreError {
    StoreError::Damaged { key: key.to_string(), damage }
}
