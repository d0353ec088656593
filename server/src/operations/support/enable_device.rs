//! An operator enables a disabled device of a user's again.

use sidekey_core::id::{AccountId, DeviceId};

use super::transact;
use crate::{
    caller::Support,
    context::Context,
    http::{Code, Problem},
};

/// Enables a disabled device.
///
/// # Errors
/// There is no such user or disabled device, or the store is not available.
pub async fn enable(
    context: &Context,
    support: &Support,
    user: &AccountId,
    device: Option<DeviceId>,
) -> Result<(), Problem> {
    transact(context, support, user, |helping| {
        let is_done = device.is_some_and(|device| helping.account.enable_device(device, helping.events));
        if is_done { Ok(()) } else { Err(Problem::new(Code::DeviceNotFound)) }
    })
    .await
}
