//! Operators and their sessions as they are stored: postcard.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sidekey_core::id::{AccountId, AppId, UserId};
use sidekey_core::throttle::Throttle;
use sidekey_core::time::UnixTime;

use super::{OperatorName, PasswordHash, Role};
use crate::http::{Code, Problem};
use crate::store::{Key, Kind, Record, StoreError};

/// Somebody who may sign in to the admin area.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// What they sign in with.
    pub name: OperatorName,
    /// What they may do.
    pub role: Role,
    /// When they were made.
    pub created_at: UnixTime,
    /// Until when the password alone lets them connect a device, where they have none.
    pub enrol_until: UnixTime,
    /// Their password.
    pub(super) password: PasswordHash,
    /// The wrong passwords so far.
    pub(super) failures: Throttle,
    /// What their sessions have to name. Drawn anew whenever all of them are to end.
    pub(super) generation: [u8; 16],
}

impl Operator {
    /// The account that their second factor is kept under.
    ///
    /// # Errors
    /// As [`account_of`].
    pub fn account(&self) -> Result<AccountId, Problem> {
        account_of(&self.name)
    }
}

/// The account that the second factor of an operator is kept under.
///
/// # Errors
/// Never: every name is a user's too.
pub fn account_of(name: &OperatorName) -> Result<AccountId, Problem> {
    let user = UserId::parse(name.as_str()).map_err(|_| Problem::new(Code::Internal))?;
    Ok(AccountId { app: AppId::operators(), user })
}

/// A browser that somebody has signed in with. It is found by the hash of its cookie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminSession {
    /// Who.
    pub operator: OperatorName,
    /// The operator's [`generation`](Operator::generation) when it began.
    pub(super) generation: [u8; 16],
    /// When it began.
    pub opened_at: UnixTime,
    /// When it was used, at most a minute late.
    pub(super) used_at: UnixTime,
    /// How far it has come.
    pub stage: Stage,
}

/// How far a sign-in has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// The password was right.
    Password,
    /// And so was the second factor, the last time at this one.
    SecondFactor(UnixTime),
}

/// Under [`Kind::Operator`]. Variants are only ever added, at the end.
#[derive(Serialize, Deserialize)]
enum StoredOperator {
    V1(Operator),
}

/// Under [`Kind::AdminSession`]. Variants are only ever added, at the end.
#[derive(Serialize, Deserialize)]
enum StoredSession {
    V1(AdminSession),
}

pub(super) fn operators_place() -> Key {
    Key::of(Kind::Operator)
}

pub(super) fn operator_place(name: &OperatorName) -> Key {
    operators_place().part(name.as_str())
}

pub(super) fn session_place(hash: &[u8; 32]) -> Key {
    Key::of(Kind::AdminSession).fixed(hash)
}

pub(super) fn encode_operator(place: &Key, operator: &Operator) -> Result<Vec<u8>, StoreError> {
    encode(place, &StoredOperator::V1(operator.clone()))
}

pub(super) fn decode_operator(place: &Key, record: &Record) -> Result<Operator, StoreError> {
    let StoredOperator::V1(operator) = decode(place, record)?;
    Ok(operator)
}

pub(super) fn encode_session(place: &Key, session: &AdminSession) -> Result<Vec<u8>, StoreError> {
    encode(place, &StoredSession::V1(session.clone()))
}

pub(super) fn decode_session(place: &Key, record: &Record) -> Result<AdminSession, StoreError> {
    let StoredSession::V1(session) = decode(place, record)?;
    Ok(session)
}

/// Whether a record of this module is what its key says.
///
/// # Errors
/// It is not; the record is damaged.
pub fn check(place: &Key, record: &Record) -> Result<(), StoreError> {
    match place.kind() {
        Some(Kind::AdminSession) => decode_session(place, record).map(drop),
        _ if operator_place(&decode_operator(place, record)?.name) == *place => Ok(()),
        _ => Err(damaged(place, "it belongs under another key")),
    }
}

fn encode<T: Serialize>(place: &Key, value: &T) -> Result<Vec<u8>, StoreError> {
    postcard::to_stdvec(value).map_err(|_| damaged(place, "cannot be encoded"))
}

fn decode<T: DeserializeOwned>(place: &Key, record: &Record) -> Result<T, StoreError> {
    postcard::from_bytes(&record.value).map_err(|_| damaged(place, "cannot be decoded"))
}

fn damaged(place: &Key, damage: &'static str) -> StoreError {
    StoreError::Damaged { key: place.to_string(), damage }
}
