//! A look through all accounts for those that an operator means.
//!
//! Keys have hashes of user ids only, and no index has names, which an application may change at every login. So whoever looks for a part
//! of a name reads accounts, a bounded number at once, and goes on where that ended. No secret is opened for it.

use sidekey_core::account::Account;
use sidekey_core::id::AppId;

use super::codec::decode;
use super::{Key, Kind, Store, StoreError};
use crate::keyring::Sealed;

/// Accounts that are read at once.
const PAGE: usize = 1_000;
/// Pages that one look reads at most.
const PAGES: usize = 20;
/// Accounts that one look finds at most.
pub const MAX_FOUND: usize = 50;

/// What a look has found.
#[derive(Debug)]
pub struct Search {
    /// The accounts that fit.
    pub found: Vec<Account<Sealed>>,
    /// How many were read.
    pub looked_at: usize,
    /// Where to go on; `None`: these were all.
    pub next: Option<Key>,
}

impl Store {
    /// Looks for accounts of applications that fit, after the one with that key, until there are [`MAX_FOUND`] or many thousand have been read. Operators'
    /// own accounts are none of them. It is no snapshot: each account is as it is when it is read.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn search(
        &self,
        after: Option<Key>,
        fits: impl Fn(&Account<Sealed>) -> bool + Send,
    ) -> Result<Search, StoreError> {
        let (prefix, operators) = (Key::of(Kind::Account), AppId::operators());
        let mut search =
            Search { found: Vec::new(), looked_at: 0, next: after.filter(|key| key.is(Kind::Account)) };
        for _ in 0..PAGES {
            let page = self.engine().scan(&prefix, search.next.as_ref(), PAGE).await?;
            let is_last = page.len() < PAGE;
            for (key, record) in page {
                if search.found.len() == MAX_FOUND {
                    return Ok(search);
                }
                let account: Account<Sealed> = decode(&key, &record.value)?;
                search.next = Some(key);
                if account.id.app == operators {
                    continue;
                }
                search.looked_at += 1;
                if fits(&account) {
                    search.found.push(account);
                }
            }
            if is_last {
                search.next = None;
                break;
            }
        }
        Ok(search)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use sidekey_core::id::{AccountId, AppId, UserId};
    use sidekey_core::time::UnixTime;
    use tempfile::TempDir;

    use super::*;
    use crate::entropy::Entropy;
    use crate::keyring::{Keyring, MasterKey};
    use crate::store::codec::{account_key, encode_account};
    use crate::store::{Batch, Engine as _, SledEngine, sled::Options};
    use crate::swap::Swap;

    const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

    async fn filled(users: usize) -> (TempDir, Store) {
        let folder = TempDir::new().unwrap();
        let engine = SledEngine::open(folder.path(), &Options::new([7; 16])).unwrap();
        let keyring = Keyring::new(MasterKey::generate(&mut Entropy));
        let of = |number: usize| AccountId {
            app: AppId::parse(if number.is_multiple_of(2) { "shop" } else { "bank" }).unwrap(),
            user: UserId::parse(&format!("user-{number}")).unwrap(),
        };
        let numbers: Vec<_> = (0..users).collect();
        for some in numbers.chunks(1_000) {
            let mut batch = Batch::new();
            batch.decided_at(NOW);
            for number in some {
                let account = Account::new(of(*number), NOW, &mut Entropy);
                batch.put(account_key(&account.id), encode_account(&keyring, account).unwrap());
            }
            engine.commit(batch).await.unwrap();
        }
        (folder, Store::new(Arc::new(engine), Arc::new(Swap::new(keyring))))
    }

    #[tokio::test]
    async fn everything_that_fits_is_found_once_however_often_the_look_goes_on() {
        let (_folder, store) = filled(2_500).await;
        let fits = |account: &Account<Sealed>| account.id.user.as_str().ends_with('7');
        let (mut seen, mut after, mut looked_at) = (BTreeSet::new(), None, 0);
        loop {
            let search = store.search(after, fits).await.unwrap();
            assert!(search.found.len() <= MAX_FOUND);
            looked_at += search.looked_at;
            for account in &search.found {
                assert!(seen.insert(account.id.clone()), "{:?} twice", account.id);
            }
            after = search.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!((seen.len(), looked_at), (250, 2_500));
    }

    #[tokio::test]
    async fn operators_are_not_among_those_who_are_found() {
        let (_folder, store) = filled(2).await;
        let id = AccountId { app: AppId::operators(), user: UserId::parse("user-7").unwrap() };
        let keyring = Keyring::new(MasterKey::generate(&mut Entropy));
        let mut batch = Batch::new();
        batch.decided_at(NOW);
        let account = Account::new(id.clone(), NOW, &mut Entropy);
        batch.put(account_key(&id), encode_account(&keyring, account).unwrap());
        store.engine().commit(batch).await.unwrap();
        let search = store.search(None, |_| true).await.unwrap();
        assert_eq!((search.found.len(), search.looked_at, search.next), (2, 2, None));
        assert!(search.found.iter().all(|account| account.id != id));
    }

    #[tokio::test]
    async fn one_look_reads_a_bounded_number_and_says_where_to_go_on() {
        let (_folder, store) = filled(PAGE * PAGES + 1).await;
        let nobody = |_: &Account<Sealed>| false;
        let first = store.search(None, nobody).await.unwrap();
        assert_eq!(first.looked_at, PAGE * PAGES);
        let rest = store.search(first.next, nobody).await.unwrap();
        assert_eq!((rest.looked_at, rest.next), (1, None));
        let elsewhere = store.search(Some(Key::meta("store")), nobody).await.unwrap();
        assert_eq!(elsewhere.looked_at, PAGE * PAGES, "a place that is none is the beginning");
    }
}
