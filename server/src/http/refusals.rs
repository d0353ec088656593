//! The one place where a refusal of core becomes HTTP.

use sidekey_core::{
    account::{
        BackupRefusal, ConfirmRefusal, KeyRefusal, Refusal, RemoveRefusal, SecondFactorNeeded, TooManyDevices,
    },
    action::NotApproved,
    refresh::RefreshRefusal,
    session::{AnswerRefusal, Closed, EnrollRefusal},
};

use super::{Code, IDEMPOTENCY_KEY, Problem, rate_limit};
use crate::{
    backup_code_hash::HashError, import::apply::ImportError, limit::TooMany, store::StoreError,
    token::SigningFailed,
};

/// Seconds after which a client may try again while the store is away.
const UNAVAILABLE_RETRY: u64 = 5;
/// The same while too many wait for a slow hash.
const BUSY_RETRY: u64 = 2;

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotEnabled => Self::new(Code::NotEnabled),
            Refusal::Malformed => Self::field("code", "must have the digits that the authenticator shows"),
            Refusal::Wrong => Self::new(Code::InvalidCode),
            Refusal::Throttled { seconds } => Self::new(Code::AccountThrottled).retry_after(seconds),
            Refusal::NeedsNextCode => Self::new(Code::NextCodeRequired),
            Refusal::Locked => Self::new(Code::AccountLocked),
        }
    }
}

impl From<BackupRefusal> for Problem {
    fn from(refusal: BackupRefusal) -> Self {
        match refusal {
            BackupRefusal::NotEnabled => Self::new(Code::NotEnabled),
            BackupRefusal::Wrong => Self::new(Code::InvalidCode),
            BackupRefusal::Throttled { seconds } => Self::new(Code::AccountThrottled).retry_after(seconds),
        }
    }
}

impl From<Closed> for Problem {
    fn from(closed: Closed) -> Self {
        Self::new(match closed {
            Closed::Expired => Code::SessionExpired,
            Closed::Failed => Code::MaxAttemptsExceeded,
            Closed::Verified => Code::SessionAlreadyVerified,
        })
    }
}

impl<R: Into<Problem>> From<AnswerRefusal<R>> for Problem {
    fn from(refusal: AnswerRefusal<R>) -> Self {
        match refusal {
            AnswerRefusal::Closed(closed) => closed.into(),
            AnswerRefusal::Refused(refusal) => refusal.into(),
            AnswerRefusal::Wrong { attempts_remaining: 0 } => Closed::Failed.into(),
            AnswerRefusal::Wrong { attempts_remaining } => {
                Self::new(Code::InvalidCode).with("attempts_remaining", attempts_remaining)
            }
        }
    }
}

impl From<ConfirmRefusal> for Problem {
    fn from(refusal: ConfirmRefusal) -> Self {
        match refusal {
            ConfirmRefusal::NotFound => Self::new(Code::DeviceNotFound),
            ConfirmRefusal::Expired => Self::new(Code::SetupExpired),
            ConfirmRefusal::Code(refusal) => refusal.into(),
        }
    }
}

impl From<EnrollRefusal> for Problem {
    fn from(refusal: EnrollRefusal) -> Self {
        match refusal {
            EnrollRefusal::Closed(closed) => closed.into(),
            EnrollRefusal::SecondFactorNeeded(needed) => needed.into(),
            EnrollRefusal::Confirm(refusal) => refusal.into(),
        }
    }
}

impl From<RemoveRefusal> for Problem {
    fn from(refusal: RemoveRefusal) -> Self {
        match refusal {
            RemoveRefusal::NotFound => Self::new(Code::DeviceNotFound),
            RemoveRefusal::CodeRequired => Self::new(Code::CodeRequired),
            RemoveRefusal::Code(refusal) => refusal.into(),
        }
    }
}

impl From<TooManyDevices> for Problem {
    fn from(_: TooManyDevices) -> Self {
        Self::malformed("The account has as many devices as it may have. Remove one first.")
    }
}

impl From<SecondFactorNeeded> for Problem {
    fn from(needed: SecondFactorNeeded) -> Self {
        Self::second_factor_required(needed.max_age)
    }
}

impl From<RefreshRefusal> for Problem {
    fn from(refusal: RefreshRefusal) -> Self {
        match refusal {
            // Alike for whoever holds the token: what has become of it is the owner's to know.
            RefreshRefusal::Dead | RefreshRefusal::Reused => Self::credentials_invalid(),
            RefreshRefusal::SecondFactorNeeded => Self::second_factor_required(None),
        }
    }
}

impl From<NotApproved> for Problem {
    fn from(_: NotApproved) -> Self {
        Self::new(Code::InvalidCode)
    }
}

impl From<KeyRefusal> for Problem {
    /// The draft of the header would have 422 for the first of them; the contract has 400 for whatever is malformed.
    fn from(refusal: KeyRefusal) -> Self {
        Self::field(
            IDEMPOTENCY_KEY,
            match refusal {
                KeyRefusal::AnotherRequest => "is that of another request: make a new one for each",
                KeyRefusal::Over => "is that of a request whose answer is not given any more: send a new one",
            },
        )
    }
}

impl From<HashError> for Problem {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Self::new(Code::Unavailable).retry_after(BUSY_RETRY),
            HashError::Failed => Self::new(Code::Internal),
        }
    }
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Store(error) => error.into(),
            ImportError::Hash(error) => error.into(),
        }
    }
}

impl From<SigningFailed> for Problem {
    fn from(error: SigningFailed) -> Self {
        tracing::error!(%error, "a token cannot be signed");
        Self::new(Code::Internal)
    }
}

impl From<TooMany> for Problem {
    fn from(TooMany { seconds, level }: TooMany) -> Self {
        let problem = Self::new(Code::RateLimited).retry_after(seconds);
        let headers = level.map(rate_limit).into_iter().flatten();
        headers.fold(problem, |problem, (name, value)| problem.with_header(name, value))
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store failed");
        match error {
            StoreError::Damaged { .. } => Self::new(Code::Internal),
            StoreError::Unavailable(_) => Self::new(Code::Unavailable).retry_after(UNAVAILABLE_RETRY),
        }
    }
}
