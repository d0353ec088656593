//! The people who run the server: their passwords, roles and sessions in the admin area.
//!
//! - this file: [`Operators`], all that is done with them;
//! - `name`: what they are called, and their roles;
//! - `password`: what they type first;
//! - `record`: how they are stored;
//! - `session`: browsers that they have signed in with;
//! - `sign_in`: a password, judged and counted.
//!
//! The second factor of an operator is an account like any other, under an app id that nobody can name
//! ([`AppId::operators`](sidekey_core::id::AppId::operators)): replay, throttling and backup codes are the rules of core.

mod name;
mod password;
mod record;
mod session;
mod sign_in;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sidekey_core::throttle::Throttle;
use sidekey_core::time::UnixTime;

pub use name::{InvalidOperatorName, OperatorName, Role};
pub use password::{InvalidPassword, MIN_CHARS, Password, PasswordHash};
pub use record::{AdminSession, Operator, Stage, account_of, check as check_record};
pub use session::{IDLE, LIFETIME, NewSession, hash_of_cookie};
pub use sign_in::SignInRefusal;

use crate::audit::{Entry, Origin, ServerEvent};
use crate::entropy::random;
use crate::store::codec::{account_key, has_active_device};
use crate::store::{Batch, CommitError, Engine, Key, StoreError, Version};

/// Most operators.
const MAX_OPERATORS: usize = 1_000;

/// Seconds for which a password alone lets an operator without a device connect one: a day.
pub const ENROL_WINDOW: u64 = 86_400;

/// How often a change is made again where another one was quicker.
const ATTEMPTS: usize = 32;

/// Why a change of operators is refused. The texts are for whoever asked.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// There is no such operator.
    #[error("there is no operator `{0}`; `sidekey admin list` shows all of them")]
    Unknown(OperatorName),
    /// The name is taken.
    #[error("there is an operator `{0}` already")]
    Exists(OperatorName),
    /// There are as many as there can be.
    #[error("there are {MAX_OPERATORS} operators already")]
    TooMany,
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store cannot be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// An operator as others see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorLine {
    /// Their name.
    pub name: OperatorName,
    /// What they may do.
    pub role: Role,
    /// When they were made.
    pub created_at: UnixTime,
    /// Until when the password alone lets them connect a device, where they have none.
    pub enrol_until: UnixTime,
    /// Whether they have a second factor.
    pub has_device: bool,
}

/// The operators of a store.
#[derive(Clone)]
pub struct Operators {
    engine: Arc<dyn Engine>,
}

/// A change of one operator.
enum Change {
    Role(Role),
    Password(PasswordHash),
    ResetSecondFactor,
}

impl Operators {
    /// The operators in this store.
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine }
    }

    /// Whether there is any.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn is_any(&self) -> Result<bool, StoreError> {
        Ok(!self.engine.scan(&record::operators_place(), None, 1).await?.is_empty())
    }

    /// The operator of this name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn find(&self, name: &OperatorName) -> Result<Option<Operator>, StoreError> {
        Ok(self.read(name).await?.map(|(operator, _)| operator))
    }

    /// All operators by name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self) -> Result<Vec<OperatorLine>, StoreError> {
        let found = self.engine.scan(&record::operators_place(), None, MAX_OPERATORS).await?;
        let mut lines = Vec::with_capacity(found.len());
        for (place, stored) in &found {
            let Operator { name, role, created_at, enrol_until, .. } =
                record::decode_operator(place, stored)?;
            let account = self.account(&name).await?;
            let has_device = account.is_some_and(|(_, _, has_device)| has_device);
            lines.push(OperatorLine { name, role, created_at, enrol_until, has_device });
        }
        Ok(lines)
    }

    /// Makes an operator, who has a day to connect a device.
    ///
    /// # Errors
    /// The name is taken, there are too many, or the store fails.
    pub async fn create(
        &self,
        name: &OperatorName,
        role: Role,
        password: PasswordHash,
        origin: &Origin,
    ) -> Result<(), OperatorError> {
        if self.engine.scan(&record::operators_place(), None, MAX_OPERATORS).await?.len() >= MAX_OPERATORS {
            return Err(OperatorError::TooMany);
        }
        let place = record::operator_place(name);
        let operator = Operator {
            name: name.clone(),
            role,
            created_at: origin.at,
            enrol_until: origin.at.plus(ENROL_WINDOW),
            password,
            failures: Throttle::default(),
            generation: random(),
        };
        let event = ServerEvent::OperatorCreated { operator: name.to_string(), role: role.word().to_owned() };
        let mut batch = Batch::new();
        batch.decided_at(origin.at).expect(place.clone(), None);
        let value = record::encode_operator(&place, &operator)?;
        batch.put(place, value).append(Entry::of_server(None, origin, &event).to_bytes());
        match self.engine.commit(batch).await {
            Err(CommitError::Conflict(_)) => Err(OperatorError::Exists(name.clone())),
            outcome => Ok(outcome?),
        }
    }

    /// Gives an operator another role, and ends their sessions. The same role changes nothing.
    ///
    /// # Errors
    /// There is no such operator, or the store fails.
    pub async fn set_role(
        &self,
        name: &OperatorName,
        role: Role,
        origin: &Origin,
    ) -> Result<(), OperatorError> {
        self.change(name, &Change::Role(role), origin).await
    }

    /// Gives an operator another password, forgets the wrong ones, and ends their sessions.
    ///
    /// # Errors
    /// There is no such operator, or the store fails.
    pub async fn reset_password(
        &self,
        name: &OperatorName,
        password: PasswordHash,
        origin: &Origin,
    ) -> Result<(), OperatorError> {
        self.change(name, &Change::Password(password), origin).await
    }

    /// Takes away an operator's devices and backup codes, and ends their sessions. They have a day to connect a device anew.
    ///
    /// # Errors
    /// There is no such operator, or the store fails.
    pub async fn reset_second_factor(
        &self,
        name: &OperatorName,
        origin: &Origin,
    ) -> Result<(), OperatorError> {
        self.change(name, &Change::ResetSecondFactor, origin).await
    }

    async fn change(
        &self,
        name: &OperatorName,
        change: &Change,
        origin: &Origin,
    ) -> Result<(), OperatorError> {
        let place = record::operator_place(name);
        let _guard = self.engine.lock(&place).await;
        for _ in 0..ATTEMPTS {
            let (mut operator, version) =
                self.read(name).await?.ok_or_else(|| OperatorError::Unknown(name.clone()))?;
            let who = name.to_string();
            let mut batch = Batch::new();
            let event = match change {
                Change::Role(role) if *role == operator.role => return Ok(()),
                Change::Role(role) => {
                    operator.role = *role;
                    ServerEvent::OperatorRoleChanged { operator: who, role: role.word().to_owned() }
                }
                Change::Password(password) => {
                    operator.password = password.clone();
                    operator.failures.unlock();
                    ServerEvent::OperatorPasswordChanged { operator: who }
                }
                Change::ResetSecondFactor => {
                    operator.enrol_until = origin.at.plus(ENROL_WINDOW);
                    self.forget_account(name, &mut batch).await?;
                    ServerEvent::OperatorSecondFactorReset { operator: who }
                }
            };
            operator.generation = random();
            batch.decided_at(origin.at).expect(place.clone(), Some(version));
            batch.put(place.clone(), record::encode_operator(&place, &operator)?);
            batch.append(Entry::of_server(None, origin, &event).to_bytes());
            if self.settled(batch).await? {
                return Ok(());
            }
        }
        Err(busy().into())
    }

    /// Removes an operator with their second factor and sessions.
    ///
    /// # Errors
    /// There is no such operator, or the store fails.
    pub async fn remove(&self, name: &OperatorName, origin: &Origin) -> Result<(), OperatorError> {
        let place = record::operator_place(name);
        let _guard = self.engine.lock(&place).await;
        for _ in 0..ATTEMPTS {
            let (_, version) = self.read(name).await?.ok_or_else(|| OperatorError::Unknown(name.clone()))?;
            let mut batch = Batch::new();
            batch.decided_at(origin.at).expect(place.clone(), Some(version)).delete(place.clone());
            self.forget_account(name, &mut batch).await?;
            let event = ServerEvent::OperatorRemoved { operator: name.to_string() };
            batch.append(Entry::of_server(None, origin, &event).to_bytes());
            if self.settled(batch).await? {
                return Ok(());
            }
        }
        Err(busy().into())
    }

    /// Adds to a batch that the second factor of an operator goes.
    async fn forget_account(&self, name: &OperatorName, batch: &mut Batch) -> Result<(), StoreError> {
        let Ok(account) = account_of(name) else { return Ok(()) };
        let key = account_key(&account);
        match self.engine.get(&key).await? {
            Some(stored) => batch.expect(key.clone(), Some(stored.version)).delete(key),
            // Nor may one come to be at once.
            None => batch.expect(key, None),
        };
        Ok(())
    }

    /// Where the second factor of an operator is kept, if there is a record, and whether a device stands in it.
    async fn account(&self, name: &OperatorName) -> Result<Option<(Key, Version, bool)>, StoreError> {
        let Ok(account) = account_of(name) else { return Ok(None) };
        let key = account_key(&account);
        let Some(stored) = self.engine.get(&key).await? else { return Ok(None) };
        let has_device = has_active_device(&key, &stored.value)?;
        Ok(Some((key, stored.version, has_device)))
    }

    async fn read(&self, name: &OperatorName) -> Result<Option<(Operator, Version)>, StoreError> {
        let place = record::operator_place(name);
        let Some(stored) = self.engine.get(&place).await? else { return Ok(None) };
        Ok(Some((record::decode_operator(&place, &stored)?, stored.version)))
    }

    /// Makes a change; `false`: another one was quicker, and this one is to be decided anew.
    async fn settled(&self, batch: Batch) -> Result<bool, StoreError> {
        match self.engine.commit(batch).await {
            Ok(()) => Ok(true),
            Err(CommitError::Conflict(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn busy() -> StoreError {
    StoreError::Unavailable("too many operations on one operator at once".to_owned())
}

impl std::fmt::Debug for Operators {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Operators").finish_non_exhaustive()
    }
}
