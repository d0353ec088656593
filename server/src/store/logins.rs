//! The latest logins of each account: as many as are kept.
//!
//! A login lives for a week or a month, and nothing but its start tells how many there are. So an account has a list of the
//! newest, and a login that starts beyond it ends the one that started first. Nobody is ever kept from logging in by that.

use serde::{Deserialize, Serialize};
use sidekey_core::{
    id::{AccountId, LoginId},
    refresh::Family,
    time::UnixTime,
};

use super::codec::{decode, encode, family_key};
use super::{Batch, Key, Kind, Store, StoreError, Version};

/// Logins of an account that are kept.
pub const MAX_LOGINS: usize = 32;

/// Where the list of an account is stored.
pub(super) fn key(account: &AccountId) -> Key {
    Key::of(Kind::Logins).key(&super::codec::account_key(account))
}

/// The logins of an account that are kept, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Logins(Vec<Started>);

/// A login, and where the note of its end was put when it started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Started {
    login: LoginId,
    expires_at: UnixTime,
}

impl Store {
    /// The refresh tokens of the latest logins of an account, newest first: those that were ended but are still kept are among them.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn latest_logins(&self, account: &AccountId) -> Result<Vec<Family>, StoreError> {
        let key = key(account);
        let Some(record) = self.engine().get(&key).await? else { return Ok(Vec::new()) };
        let Logins(started) = decode(&key, &record.value)?;
        let mut families = Vec::with_capacity(started.len());
        for Started { login, .. } in started.into_iter().rev() {
            families.extend(self.family(&account.app, login).await?);
        }
        Ok(families)
    }
}

impl Logins {
    /// Adds to a batch that a login starts: its list, and the end of the login that falls out of it.
    pub(super) fn start(
        mut self,
        batch: &mut Batch,
        version: Option<Version>,
        family: &Family,
    ) -> Result<(), StoreError> {
        self.0.push(Started { login: family.login, expires_at: family.expires_at });
        let surplus = self.0.len().saturating_sub(MAX_LOGINS);
        for ended in self.0.drain(..surplus) {
            ended.end(batch, &family.account);
        }
        let key = key(&family.account);
        batch.expect(key.clone(), version).put(key, encode(&self)?);
        Ok(())
    }

    /// Adds to a batch that all of them end, with the account.
    pub(super) fn end(self, batch: &mut Batch, version: Option<Version>, account: &AccountId) {
        for login in self.0 {
            login.end(batch, account);
        }
        let key = key(account);
        batch.expect(key.clone(), version).delete(key);
    }
}

impl Started {
    /// The note of a login that was refreshed in its last days has moved; the sweep finds nothing behind it then.
    fn end(&self, batch: &mut Batch, account: &AccountId) {
        let key = family_key(account.app.as_str(), self.login);
        batch.delete(Key::expiry(self.expires_at, &key)).delete(key);
    }
}

#[cfg(test)]
mod tests {
    use sidekey_core::{
        account::Account,
        id::{AppId, UserId},
        login::Grant,
    };

    use super::*;
    use crate::{
        audit::{Actor, Origin},
        context::testing::context,
        entropy::Entropy,
        store::{Engine, State, Store, Subject},
    };

    const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

    async fn log_in(store: &Store, id: &AccountId) -> LoginId {
        let login = LoginId::generate(&mut Entropy);
        let decide = |state: &mut State| {
            let account = state.account.get_or_insert_with(|| Account::new(id.clone(), NOW, &mut Entropy));
            let grant = Grant { login, second_factor: None, remember_me: false };
            state.started = Some(Family::start(account, grant, NOW));
        };
        let origin = Origin::local(Actor::App, NOW);
        store.transact(Subject::account(id.clone()), &origin, NOW, decide).await.unwrap();
        login
    }

    async fn count(engine: &dyn Engine, kind: Kind) -> usize {
        engine.scan(&Key::of(kind), None, 1_000).await.unwrap().len()
    }

    #[tokio::test]
    async fn the_newest_logins_of_an_account_are_kept_and_all_end_with_it() {
        let (_folder, context) = context(NOW, &[]).await;
        let (store, engine) = (&context.store, &*context.engine);
        let of =
            |user: &str| AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse(user).unwrap() };
        let (ann, bob) = (of("ann"), of("bob"));
        let other = log_in(store, &bob).await;
        let notes = count(engine, Kind::Expiry).await - 1;
        let mut logins = Vec::new();
        for _ in 0..MAX_LOGINS + 5 {
            logins.push(log_in(store, &ann).await);
        }
        let (ended, kept) = logins.split_at(5);
        for login in ended {
            assert!(store.family(&ann.app, *login).await.unwrap().is_none());
        }
        let listed: Vec<_> =
            store.latest_logins(&ann).await.unwrap().iter().map(|family| family.login).collect();
        assert!(listed.iter().eq(kept.iter().rev()), "the newest first");
        for login in kept.iter().chain([&other]) {
            assert!(store.family(&ann.app, *login).await.unwrap().is_some());
        }
        assert_eq!(count(engine, Kind::Expiry).await - notes, MAX_LOGINS + 1, "their notes went as well");

        let erase = |state: &mut State| state.account = None;
        let origin = Origin::local(Actor::App, NOW);
        store.transact(Subject::account(ann.clone()), &origin, NOW, erase).await.unwrap();
        assert_eq!(count(engine, Kind::RefreshFamily).await, 1);
        assert_eq!(count(engine, Kind::Logins).await, 1);
        assert_eq!(count(engine, Kind::Expiry).await - notes, 1);
    }
}
