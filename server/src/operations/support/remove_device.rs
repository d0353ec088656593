//! An operator removes a device of a user's.

use sidekey_core::{
    account::NotRemoved,
    id::{AccountId, DeviceId},
};

use super::transact;
use crate::{
    caller::Support,
    context::Context,
    http::{Code, Problem},
};

/// Removes a device, active, disabled or pending. The last one that keeps 2FA on is not removed: a [reset](super::reset) says what that
/// does.
///
/// # Errors
/// There is no such user or device, it is the last one, or the store is not available.
pub async fn remove(
    context: &Context,
    support: &Support,
    user: &AccountId,
    device: Option<DeviceId>,
) -> Result<(), Problem> {
    transact(context, support, user, |helping| {
        let device = device.ok_or_else(|| Problem::new(Code::DeviceNotFound))?;
        helping.account.remove_device_for_owner(device, helping.now, helping.events).map_err(|refusal| {
            match refusal {
                NotRemoved::NotFound => Problem::new(Code::DeviceNotFound),
                NotRemoved::LastDevice => Problem::new(Code::Validation)
                    .saying("This is the only device. Reset the second factor instead."),
            }
        })
    })
    .await
}
