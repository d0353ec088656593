//! The language of an account: a record of its own beside the account, written only when another language is shown, so that no login pays
//! for it and an older format needs no change. Mail to owners reads it.

use sidekey_core::id::AccountId;

use super::transaction::Store;
use super::{Batch, CommitError, Key, Kind, StoreError, codec};

/// Longest tag that is kept, in bytes: those of our languages have two or a few more (RFC 5646 §4.4.1).
const MAX_TAG: usize = 35;

/// Where the language of an account is stored.
pub(super) fn key(account: &AccountId) -> Key {
    Key::of(Kind::Language).key(&codec::account_key(account))
}

/// Reads a record: the language's tag.
///
/// # Errors
/// It is none.
pub(super) fn read(key: &Key, bytes: &[u8]) -> Result<String, StoreError> {
    let is_tag = |tag: &&str| {
        (1..=MAX_TAG).contains(&tag.len())
            && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let tag = std::str::from_utf8(bytes).ok().filter(is_tag);
    tag.map(str::to_owned).ok_or_else(|| codec::damaged(key, "it is no language"))
}

impl Store {
    /// The tag of the language that the pages of an account were last shown in.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn language(&self, account: &AccountId) -> Result<Option<String>, StoreError> {
        let key = key(account);
        self.engine().get(&key).await?.map(|record| read(&key, &record.value)).transpose()
    }

    /// Notes that the pages of an account are shown in this language, if that is news.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn note_language(&self, account: &AccountId, tag: &str) -> Result<(), StoreError> {
        let key = key(account);
        let known = self.engine().get(&key).await?;
        if known.as_ref().is_some_and(|record| record.value == tag.as_bytes()) {
            return Ok(());
        }
        let account = codec::account_key(account);
        // An account that is erased in between must leave nothing.
        let Some(owner) = self.engine().get(&account).await? else { return Ok(()) };
        let mut batch = Batch::new();
        batch.expect(account, Some(owner.version));
        batch.expect(key.clone(), known.map(|record| record.version)).put(key, tag.as_bytes().to_vec());
        match self.engine().commit(batch).await {
            // Something else happened to the account: the next page notes it.
            Ok(()) | Err(CommitError::Conflict(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
