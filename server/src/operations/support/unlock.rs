//! An operator clears a user's failures.

use sidekey_core::id::AccountId;

use super::transact;
use crate::{caller::Support, context::Context, http::Problem};

/// Lifts the lock, the waits and the demand for two codes.
///
/// # Errors
/// There is no such user, or the store is not available.
pub async fn unlock(context: &Context, support: &Support, user: &AccountId) -> Result<(), Problem> {
    transact(context, support, user, |helping| {
        helping.account.unlock(helping.events);
        Ok(())
    })
    .await
}
