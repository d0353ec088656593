//! Records as they are now, for whoever looks at them and decides nothing that is stored.

use sidekey_core::{
    account::Account,
    id::{AccountId, AppId, LoginId},
    refresh::Family,
    retry::KeyUse,
    session::Session,
};

use super::{
    Key, Kind, Store, StoreError,
    codec::{
        account_key, decode, decode_account, enrollment_token_key, family_key, key_use_key, session_key,
        spent_token_key,
    },
};
use crate::keyring::Sealed;

/// Accounts that are read at once where all are.
const PAGE: usize = 200;

impl Store {
    /// The session with this hash of its id.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn session(&self, id_hash: &[u8; 32]) -> Result<Option<Session>, StoreError> {
        let key = session_key(id_hash);
        self.engine().get(&key).await?.map(|record| decode(&key, &record.value)).transpose()
    }

    /// The hash of the id of the session that an enrolment token belongs to.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn session_of_enrollment_token(
        &self,
        token_hash: &[u8; 32],
    ) -> Result<Option<[u8; 32]>, StoreError> {
        let key = enrollment_token_key(token_hash);
        self.engine().get(&key).await?.map(|record| decode(&key, &record.value)).transpose()
    }

    /// An account with its secrets, for whoever judges a code by them.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn account(&self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        let key = account_key(id);
        self.engine()
            .get(&key)
            .await?
            .map(|record| decode_account(&self.keyring(), &key, &record.value))
            .transpose()
    }

    /// An account whose secrets stay sealed, which is all that most need.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn sealed_account(&self, id: &AccountId) -> Result<Option<Account<Sealed>>, StoreError> {
        let key = account_key(id);
        self.engine().get(&key).await?.map(|record| decode(&key, &record.value)).transpose()
    }

    /// The refresh tokens of a login and the account, if both are there, in one round trip.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn login(
        &self,
        account: &AccountId,
        login: LoginId,
    ) -> Result<Option<(Family, Account<Sealed>)>, StoreError> {
        let keys = [family_key(account.app.as_str(), login), account_key(account)];
        let records = self.engine().get_many(&keys).await?;
        let ([family_key, account_key], [Some(family), Some(account)]) = (&keys, records.as_slice()) else {
            return Ok(None);
        };
        Ok(Some((decode(family_key, &family.value)?, decode(account_key, &account.value)?)))
    }

    /// The next accounts of an app, and after which one the following page goes on; `None`: this was the last. It is no snapshot:
    /// an account is as it is when its page is read.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn accounts(
        &self,
        app: &AppId,
        after: Option<&Key>,
    ) -> Result<(Vec<Account>, Option<Key>), StoreError> {
        let prefix = Key::of(Kind::Account).part(app.as_str());
        let page = self.engine().scan(&prefix, after, PAGE).await?;
        let last = page.last().map(|(key, _)| key.clone()).filter(|_| page.len() == PAGE);
        let keyring = self.keyring();
        let accounts = page.iter().map(|(key, record)| decode_account(&keyring, key, &record.value));
        Ok((accounts.collect::<Result<_, _>>()?, last))
    }

    /// The refresh tokens of a login.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn family(&self, app: &AppId, login: LoginId) -> Result<Option<Family>, StoreError> {
        let key = family_key(app.as_str(), login);
        self.engine().get(&key).await?.map(|record| decode(&key, &record.value)).transpose()
    }

    /// Whether something that counts once was spent, by the name that it has in [`Subject::with_spent_token`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn is_spent(&self, app: &AppId, id: LoginId) -> Result<bool, StoreError> {
        Ok(self.engine().get(&spent_token_key(app.as_str(), id)).await?.is_some())
    }

    /// That the idempotency key of an app's request with this MAC was used; it may be so long ago that it counts no more.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn key_use(&self, app: &AppId, mac: &[u8; 32]) -> Result<Option<KeyUse>, StoreError> {
        let key = key_use_key(app.as_str(), mac);
        self.engine().get(&key).await?.map(|record| decode(&key, &record.value)).transpose()
    }
}
