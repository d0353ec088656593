//! The bytes of records for `tests/fuzz`, without a store around them.

use serde::{Serialize, de::DeserializeOwned};
use sidekey_core::account::Account;

use super::{Key, StoreError, Version, codec, record};
use crate::keyring::Keyring;

/// The stored form of a record: its header with the checksum, and the value.
pub fn record(key: &Key, version: u64, value: &[u8]) -> Vec<u8> {
    record::encode(key, Version(version), value)
}

/// The value of a record without secrets.
///
/// # Errors
/// It cannot be written.
pub fn value<T: Serialize>(of: &T) -> Result<Vec<u8>, StoreError> {
    codec::encode(of)
}

/// The reverse of [`value`].
///
/// # Errors
/// It cannot be read.
pub fn read<T: DeserializeOwned>(key: &Key, value: &[u8]) -> Result<T, StoreError> {
    codec::decode(key, value)
}

/// The value of an account's record, its secrets sealed.
///
/// # Errors
/// It cannot be written.
pub fn account_value(keyring: &Keyring, account: Account) -> Result<Vec<u8>, StoreError> {
    codec::encode_account(keyring, account)
}

/// The reverse of [`account_value`].
///
/// # Errors
/// It cannot be read, or a secret does not open.
pub fn read_account(keyring: &Keyring, key: &Key, value: &[u8]) -> Result<Account, StoreError> {
    codec::decode_account(keyring, key, value)
}
