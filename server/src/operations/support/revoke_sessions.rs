//! An operator ends everything that a user is signed in by.

use sidekey_core::id::AccountId;

use super::transact;
use crate::{caller::Support, context::Context, http::Problem};

/// Ends every login of the user and the trust in every browser.
///
/// # Errors
/// There is no such user, or the store is not available.
pub async fn revoke(context: &Context, support: &Support, user: &AccountId) -> Result<(), Problem> {
    transact(context, support, user, |helping| {
        helping.account.sign_out_everywhere(helping.events);
        helping.browsers.clear();
        Ok(())
    })
    .await
}
