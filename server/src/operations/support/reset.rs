//! An operator resets a user's second factor, so that the user can enrol anew.

use sidekey_core::id::AccountId;

use super::transact;
use crate::{caller::Support, context::Context, entropy::Entropy, http::Problem};

/// Removes every device, backup code, failure and trusted browser of the user, and ends every login.
///
/// # Errors
/// There is no such user, or the store is not available.
pub async fn reset(context: &Context, support: &Support, user: &AccountId) -> Result<(), Problem> {
    transact(context, support, user, |helping| {
        helping.account.reset(&mut Entropy, helping.events);
        helping.browsers.clear();
        Ok(())
    })
    .await
}
