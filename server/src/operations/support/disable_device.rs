//! An operator disables a device of a user's.

use sidekey_core::id::{AccountId, DeviceId};

use super::transact;
use crate::{
    caller::Support,
    context::Context,
    http::{Code, Problem},
};

/// Disables an active device: no code of it counts from now on, and 2FA stays on. Logins and trusted browsers go on.
///
/// # Errors
/// There is no such user or active device, or the store is not available.
pub async fn disable(
    context: &Context,
    support: &Support,
    user: &AccountId,
    device: Option<DeviceId>,
) -> Result<(), Problem> {
    transact(context, support, user, |helping| {
        let is_done =
            device.is_some_and(|device| helping.account.disable_device(device, helping.now, helping.events));
        if is_done { Ok(()) } else { Err(Problem::new(Code::DeviceNotFound)) }
    })
    .await
}
