//! What the server's errors mean for a batch and for a read.

use deadpool_postgres::{HookError, PoolError};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::store::engine::StoreError;

/// What a failed statement of a commit tells of the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing was applied, because something is not as expected.
    Conflict,
    /// Nothing was applied, because of the fence.
    Fenced,
    /// Nothing was applied, and the same may succeed at once.
    Again,
    /// Nobody knows, or the server cannot do it now.
    Unavailable,
}

impl Verdict {
    /// Of an error before the commit was confirmed. All states that are named here end the transaction without an effect.
    pub(super) fn of(error: &Error) -> Self {
        let Some(state) = error.code() else { return Self::Unavailable };
        match *state {
            // The check of the expected versions divides by zero where one is not there, see `sql`.
            SqlState::DIVISION_BY_ZERO | SqlState::UNIQUE_VIOLATION => Self::Conflict,
            // 40001 and 40P01: `PostgreSQL`'s manual, 13.5.
            SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED => Self::Again,
            // Also 40003, statement completion unknown, which CockroachDB reports where it does not know.
            _ => Self::Unavailable,
        }
    }
}

/// Why a transaction that is made of several statements came to nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The same may succeed at once.
    Again(String),
    /// It would not.
    Store(StoreError),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match Verdict::of(&error) {
            Verdict::Unavailable | Verdict::Fenced => Self::Store(unavailable(&error)),
            // Also a key that was taken: of two that append about one subject at once, one comes second.
            Verdict::Again | Verdict::Conflict => Self::Again(sentence(&error)),
        }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Again(reason) => Self::Unavailable(reason),
            Trouble::Store(error) => error,
        }
    }
}

/// The store is not available, and why: the server's own sentence and its code, and none of the details, which may quote values.
pub(super) fn unavailable(error: &Error) -> StoreError {
    StoreError::Unavailable(sentence(error))
}

/// An error without the details that may quote values.
pub(super) fn sentence(error: &Error) -> String {
    if error.code() == Some(&SqlState::UNDEFINED_TABLE) {
        // It was there when the store was opened, see `moving`.
        return "the store is not in this database any more: it is being moved to a data folder, or has been"
            .to_owned();
    }
    if let Some(error) = error.as_db_error() {
        return format!("the database refuses: {} (SQLSTATE {})", error.message(), error.code().code());
    }
    if error.is_closed() {
        return "the connection to the database was lost".to_owned();
    }
    match std::error::Error::source(error) {
        Some(cause) => format!("the database cannot be asked: {cause}"),
        None => format!("the database cannot be asked: {error}"),
    }
}

/// As [`unavailable`], where there is no connection.
pub(super) fn unconnected(error: &PoolError) -> StoreError {
    StoreError::Unavailable(match error {
        PoolError::Timeout(_) => {
            "all connections to the database are in use, or it does not answer".to_owned()
        }
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => sentence(error),
        // The reason is one of our own sentences, see `connect`.
        PoolError::PostCreateHook(HookError::Message(reason)) => reason.to_string(),
        PoolError::Closed => "the store is closed".to_owned(),
        PoolError::NoRuntimeSpecified => "there is no runtime".to_owned(),
    })
}
