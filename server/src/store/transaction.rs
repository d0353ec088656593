//! One request, one transaction: load what it is about, let a rule of core decide, store what changed together with the
//! audit entries of what happened, durably, and only then let the outcome out.
//!
//! A decision may run more than once: where another operation was quicker, it is made again on what that one left.

use std::collections::BTreeMap;
use std::sync::Arc;

use sidekey_core::{
    account::Account,
    action::Spent,
    event::Event,
    id::{AccountId, LoginId},
    refresh::Family,
    retry::KeyUse,
    session::Session,
    time::UnixTime,
    trusted_browser::{MAX_BROWSERS, TrustedBrowser},
};

use super::{
    Batch, CommitError, Engine, Key, Record, StoreError, Version,
    codec::{
        account_key, browser_key, decode, decode_account, decode_spent, encode, encode_account, encode_spent,
        enrollment_token_key, family_key, key_use_key, session_key, spent_token_key,
    },
    language,
    logins::{self, Logins},
};
use crate::{
    audit::{Entry, Origin},
    keyring::{Keyring, fence},
    metering,
    swap::Swap,
    telemetry::SPANS,
};

/// How often a decision is made again before the store counts as too busy. The account's lock keeps most others out; those that take
/// none (a sweep, a rotation of master keys, the commit of a client that has hung up) come once each.
const ATTEMPTS: usize = 32;

/// How long a session is kept, in seconds: an hour, so that a host that asks late still learns what became of it.
const SESSION_KEPT: u64 = 3_600;

/// Typed access to accounts, sessions and logins.
#[derive(Clone)]
pub struct Store {
    engine: Arc<dyn Engine>,
    keyring: Arc<Swap<Keyring>>,
}

/// What a transaction is about: always an account, and what else is to be loaded.
#[derive(Clone, Debug)]
pub struct Subject {
    account: AccountId,
    session: Option<[u8; 32]>,
    login: Option<LoginId>,
    browsers: bool,
    spent_token: Option<(LoginId, UnixTime)>,
    request_key: Option<[u8; 32]>,
}

/// What was loaded, and may be changed: `None` is not there, and what is set to `None` is removed.
#[derive(Debug, Default)]
pub struct State {
    /// The account.
    pub account: Option<Account>,
    /// The session.
    pub session: Option<Session>,
    /// The refresh tokens of the login.
    pub family: Option<Family>,
    /// The browsers that the account trusts.
    pub browsers: Vec<TrustedBrowser>,
    /// That the token of the approval was spent, and by which request. It stays so.
    pub spent: Option<Spent>,
    /// That the request's key opened something, and what that is named by.
    pub key_use: Option<KeyUse>,
    /// A login that starts now: its refresh tokens are new.
    pub started: Option<Family>,
    /// The hash of a token that is to lead to the session from now on.
    pub enrollment_token: Option<[u8; 32]>,
    /// What happened: an audit entry each.
    pub events: Vec<Event>,
}

impl Subject {
    /// An account.
    pub fn account(account: AccountId) -> Self {
        Self { account, session: None, login: None, browsers: false, spent_token: None, request_key: None }
    }

    /// And the session with this hash of its id.
    #[must_use]
    pub fn with_session(self, id_hash: [u8; 32]) -> Self {
        Self { session: Some(id_hash), ..self }
    }

    /// And the refresh tokens of this login.
    #[must_use]
    pub fn with_login(self, login: LoginId) -> Self {
        Self { login: Some(login), ..self }
    }

    /// And the browsers that the account trusts.
    #[must_use]
    pub fn with_browsers(self) -> Self {
        Self { browsers: true, ..self }
    }

    /// And whether a token of the approval with this id was spent, which is remembered until none of them is in force.
    #[must_use]
    pub fn with_spent_token(self, approval: LoginId, until: UnixTime) -> Self {
        Self { spent_token: Some((approval, until)), ..self }
    }

    /// And whether the idempotency key with this MAC was used, which is remembered for as long as that counts.
    #[must_use]
    pub fn with_request_key(self, mac: [u8; 32]) -> Self {
        Self { request_key: Some(mac), ..self }
    }

    fn account_key(&self) -> Key {
        account_key(&self.account)
    }

    fn session_key(&self) -> Option<Key> {
        self.session.as_ref().map(session_key)
    }

    fn spent_token_key(&self) -> Option<Key> {
        self.spent_token.map(|(approval, _)| spent_token_key(self.account.app.as_str(), approval))
    }

    fn key_use_key(&self) -> Option<Key> {
        self.request_key.as_ref().map(|mac| key_use_key(self.account.app.as_str(), mac))
    }

    fn family_key(&self) -> Option<Key> {
        self.login.map(|login| family_key(self.account.app.as_str(), login))
    }
}

impl Store {
    /// Typed access through an engine, with the keys that open secrets.
    pub fn new(engine: Arc<dyn Engine>, keyring: Arc<Swap<Keyring>>) -> Self {
        Self { engine, keyring }
    }

    /// Loads, decides, stores, and gives the outcome when everything is on disk. What `decide` changed is stored
    /// whatever its outcome is. `now` is the time that `decide` goes by: that of the audit entries, and the store never opens
    /// under an earlier one again.
    ///
    /// # Errors
    /// The store is not available; nobody knows then whether the change will be there after a restart.
    #[tracing::instrument(target = SPANS, name = "transaction", skip_all)]
    pub async fn transact<T>(
        &self,
        subject: Subject,
        origin: &Origin,
        now: UnixTime,
        mut decide: impl FnMut(&mut State) -> T + Send,
    ) -> Result<T, StoreError> {
        let origin = &Origin { at: now, ..origin.clone() };
        let account_key = subject.account_key();
        let _guard = self.engine.lock(&account_key).await;
        for _ in 0..ATTEMPTS {
            let mut loaded = self.load(&subject).await?;
            let mut state = loaded.state();
            let outcome = decide(&mut state);
            // Kept until the commit is done: who replaces the keyring waits for those who seal with the one before.
            let keyring = self.keyring.get();
            let logins = self.logins(&subject, &mut loaded, &state).await?;
            let events = state.events.clone();
            let batch = Self::batch(&keyring, &subject, &loaded, logins, state, origin)?;
            if batch.is_empty() {
                return Ok(outcome);
            }
            match self.engine.commit(batch).await {
                Ok(()) => {
                    events.iter().for_each(metering::happened);
                    return Ok(outcome);
                }
                Err(CommitError::Conflict(_)) => {}
                // Other keys have been read meanwhile.
                Err(CommitError::Fenced) if self.keyring.get().sealing() != keyring.sealing() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Unavailable("too many operations on one account at once".to_owned()))
    }

    /// The engine below, for what is no transaction of one account.
    pub(super) fn engine(&self) -> &dyn Engine {
        &*self.engine
    }

    /// The keys that open secrets now.
    pub(super) fn keyring(&self) -> Arc<Keyring> {
        self.keyring.get()
    }

    /// All that a decision needs, in one round trip but for the browsers. Those are looked at last: what ends trust changes the account,
    /// or a browser that is found, so that what is found is no older than the account that the commit expects.
    async fn load(&self, subject: &Subject) -> Result<Loaded, StoreError> {
        let account = subject.account_key();
        // A session may lead to a login. Where a read is no round trip, the list is read when one does.
        let may_start = subject.session.is_some() && self.engine.is_shared();
        let logins = may_start.then(|| logins::key(&subject.account));
        let others = [
            subject.session_key(),
            subject.family_key(),
            subject.spent_token_key(),
            subject.key_use_key(),
            logins.clone(),
        ];
        let keys: Vec<_> = std::iter::once(account.clone()).chain(others.into_iter().flatten()).collect();
        let records = self.engine.get_many(&keys).await?;
        let mut found: BTreeMap<_, _> = keys.into_iter().zip(records).collect();
        let keyring = self.keyring.get();
        let account =
            take(&mut found, Some(account), |key, record| decode_account(&keyring, key, &record.value))?;
        let session = take(&mut found, subject.session_key(), |key, record| decode(key, &record.value))?;
        let family = take(&mut found, subject.family_key(), |key, record| decode(key, &record.value))?;
        let spent =
            take(&mut found, subject.spent_token_key(), |key, record| decode_spent(key, &record.value))?;
        let key_use = take(&mut found, subject.key_use_key(), |key, record| decode(key, &record.value))?;
        let logins = logins.map(|key| {
            let record = found.remove(&key).flatten();
            (key, record)
        });
        let browsers =
            if subject.browsers { self.found_browsers(&subject.account).await? } else { Vec::new() };
        Ok(Loaded { account, session, family, browsers, spent, key_use, logins })
    }

    /// The browsers that an account trusts, and those whose trust is over and that are not swept yet.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn browsers(&self, account: &AccountId) -> Result<Vec<TrustedBrowser>, StoreError> {
        let found = self.found_browsers(account).await?;
        Ok(found.into_iter().filter_map(|found| found.value).collect())
    }

    async fn found_browsers(&self, account: &AccountId) -> Result<Vec<Found<TrustedBrowser>>, StoreError> {
        let prefix = Key::trusted_browsers(account.app.as_str(), account.user.as_str());
        // One more than there are at most would be a defect; it shows here as a browser that is not seen.
        let records = self.engine.scan(&prefix, None, MAX_BROWSERS).await?;
        let read = |(key, record): (Key, Record)| {
            let value = Some(decode(&key, &record.value)?);
            Ok(Found { version: Some(record.version), value, key })
        };
        records.into_iter().map(read).collect()
    }

    /// The list of the account's logins, if one starts or the account goes.
    async fn logins(
        &self,
        subject: &Subject,
        loaded: &mut Loaded,
        state: &State,
    ) -> Result<Option<Found<Logins>>, StoreError> {
        let goes =
            state.account.is_none() && loaded.account.as_ref().is_some_and(|found| found.value.is_some());
        if !goes && state.started.is_none() {
            return Ok(None);
        }
        let (key, record) = if let Some(found) = loaded.logins.take() {
            found
        } else {
            let key = logins::key(&subject.account);
            let record = self.engine.get(&key).await?;
            (key, record)
        };
        let value = record.as_ref().map(|record| decode(&key, &record.value)).transpose()?;
        Ok(Some(Found { version: record.map(|record| record.version), value, key }))
    }

    fn batch(
        keyring: &Keyring,
        subject: &Subject,
        loaded: &Loaded,
        logins: Option<Found<Logins>>,
        state: State,
        origin: &Origin,
    ) -> Result<Batch, StoreError> {
        let State { account, session, family, browsers, spent, key_use, started, enrollment_token, events } =
            state;
        let mut batch = Batch::new();
        batch.decided_at(origin.at);
        // The sweep notes the end of a login when it removes the session that names it: one write less while somebody waits.
        let is_named =
            |family: &Family| session.as_ref().is_some_and(|session| session.login == family.login);
        let needs_note = started.as_ref().is_some_and(|family| !is_named(family));
        if let (Some(session), Some(Found { key, value: None, .. })) = (&session, &loaded.session) {
            batch.put(Key::expiry(session.opened_at.plus(SESSION_KEPT), key), Vec::new());
        }
        write(&mut batch, loaded.account.as_ref(), account, |account| encode_account(keyring, account))?;
        if !batch.is_empty() {
            fence::pass(&mut batch, keyring);
        }
        write(&mut batch, loaded.session.as_ref(), session, |session| encode(&session))?;
        write(&mut batch, loaded.family.as_ref(), family, |family| encode(&family))?;
        if let Some(Found { version, value, .. }) = logins {
            let logins = value.unwrap_or_default();
            if let Some(family) = &started {
                logins.start(&mut batch, version, family)?;
            } else {
                logins.end(&mut batch, version, &subject.account);
                batch.delete(language::key(&subject.account));
            }
        }
        if let (Some(_), Some((_, until)), Some(Found { key, value: None, .. })) =
            (spent, subject.spent_token, &loaded.spent)
        {
            batch.put(Key::expiry(until, key), Vec::new());
        }
        write(&mut batch, loaded.spent.as_ref(), spent, encode_spent)?;
        if let (Some(used), Some(Found { key, value, .. })) = (&key_use, &loaded.key_use)
            && value.as_ref() != Some(used)
        {
            batch.put(Key::expiry(used.over_at(), key), Vec::new());
        }
        write(&mut batch, loaded.key_use.as_ref(), key_use, |used| encode(&used))?;
        write_browsers(&mut batch, subject, &loaded.browsers, browsers)?;
        if let Some(family) = started {
            let key = family_key(family.account.app.as_str(), family.login);
            if needs_note {
                batch.put(Key::expiry(family.expires_at, &key), Vec::new());
            }
            batch.expect(key.clone(), None).put(key, encode(&family)?);
        }
        if let Some(token_hash) = enrollment_token {
            let session = subject.session.as_ref().ok_or_else(undeclared)?;
            let key = enrollment_token_key(&token_hash);
            batch.put(Key::expiry(origin.at.plus(SESSION_KEPT), &key), Vec::new());
            batch.put(key, encode(session)?);
        }
        for event in &events {
            batch.append(Entry::new(&subject.account, origin, event).to_bytes());
        }
        if !batch.is_empty() {
            // The whole decision rests on what was loaded, so all of it must still be so.
            loaded.expectations().for_each(|(key, version)| {
                batch.expect(key, version);
            });
        }
        Ok(batch)
    }
}

struct Found<T> {
    key: Key,
    version: Option<Version>,
    value: Option<T>,
}

struct Loaded {
    account: Option<Found<Account>>,
    session: Option<Found<Session>>,
    family: Option<Found<Family>>,
    browsers: Vec<Found<TrustedBrowser>>,
    spent: Option<Found<Spent>>,
    key_use: Option<Found<KeyUse>>,
    /// The list of the account's logins as it is stored, for whoever writes it; no decision rests on it.
    logins: Option<(Key, Option<Record>)>,
}

/// What was found under a key, of all that was read.
fn take<T>(
    found: &mut BTreeMap<Key, Option<Record>>,
    key: Option<Key>,
    decode: impl FnOnce(&Key, &Record) -> Result<T, StoreError>,
) -> Result<Option<Found<T>>, StoreError> {
    let Some(key) = key else { return Ok(None) };
    let record = found.remove(&key).flatten();
    let value = record.as_ref().map(|record| decode(&key, record)).transpose()?;
    Ok(Some(Found { version: record.map(|record| record.version), value, key }))
}

impl Loaded {
    fn state(&self) -> State {
        State {
            account: self.account.as_ref().and_then(|found| found.value.clone()),
            session: self.session.as_ref().and_then(|found| found.value.clone()),
            family: self.family.as_ref().and_then(|found| found.value.clone()),
            browsers: self.browsers.iter().filter_map(|found| found.value.clone()).collect(),
            spent: self.spent.as_ref().and_then(|found| found.value),
            key_use: self.key_use.as_ref().and_then(|found| found.value),
            ..State::default()
        }
    }

    fn expectations(&self) -> impl Iterator<Item = (Key, Option<Version>)> {
        let account = self.account.as_ref().map(|found| (found.key.clone(), found.version));
        let session = self.session.as_ref().map(|found| (found.key.clone(), found.version));
        let family = self.family.as_ref().map(|found| (found.key.clone(), found.version));
        let browsers = self.browsers.iter().map(|found| (found.key.clone(), found.version));
        let spent = self.spent.as_ref().map(|found| (found.key.clone(), found.version));
        let key_use = self.key_use.as_ref().map(|found| (found.key.clone(), found.version));
        account.into_iter().chain(session).chain(family).chain(browsers).chain(spent).chain(key_use)
    }
}

/// Adds the writes that lead from the browsers that were found to those that are wanted.
fn write_browsers(
    batch: &mut Batch,
    subject: &Subject,
    found: &[Found<TrustedBrowser>],
    wanted: Vec<TrustedBrowser>,
) -> Result<(), StoreError> {
    if !subject.browsers {
        return if wanted.is_empty() { Ok(()) } else { Err(undeclared()) };
    }
    let is_wanted = |found: &Found<_>| wanted.iter().any(|browser| browser_key(browser) == found.key);
    for gone in found.iter().filter(|found| !is_wanted(found)) {
        batch.delete(gone.key.clone());
    }
    for browser in wanted {
        let key = browser_key(&browser);
        match found.iter().find(|found| found.key == key) {
            Some(found) if found.value.as_ref() == Some(&browser) => continue,
            Some(_) => {}
            None => {
                batch.expect(key.clone(), None);
                batch.put(Key::expiry(browser.expires_at(), &key), Vec::new());
            }
        }
        batch.put(key, encode(&browser)?);
    }
    Ok(())
}

/// A decision changed what its subject does not name: a defect of ours, and nothing of it may be acknowledged.
fn undeclared() -> StoreError {
    StoreError::Unavailable("a decision changed a state that it had not asked for".to_owned())
}

/// Adds the write that leads from what was found to what is wanted, if there is one.
fn write<T: PartialEq>(
    batch: &mut Batch,
    found: Option<&Found<T>>,
    wanted: Option<T>,
    encode: impl FnOnce(T) -> Result<Vec<u8>, StoreError>,
) -> Result<(), StoreError> {
    let Some(found) = found else {
        return if wanted.is_none() { Ok(()) } else { Err(undeclared()) };
    };
    if found.value == wanted {
        return Ok(());
    }
    match wanted {
        Some(value) => batch.put(found.key.clone(), encode(value)?),
        None => batch.delete(found.key.clone()),
    };
    Ok(())
}
