//! `PATCH /2fa/devices/{id}/`: another name, or the primary device.

use sidekey_core::id::{DeviceId, DeviceName};

use super::shown::Device;
use crate::{
    caller::user,
    context::Context,
    http::{Call, Code, Problem, Reply},
};

/// Renames a device, makes it the primary one, or both; answers the device.
///
/// # Errors
/// No valid access token, a malformed body, or no such device.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let user = user(context, &call).await?;
    let fields = call.fields().await?;
    let name = fields.optional("name", DeviceName::parse)?;
    let is_primary = fields.optional_flag("is_primary")?;
    if is_primary == Some(false) {
        return Err(Problem::field(
            "is_primary",
            "can only be set to true: make another device the primary one",
        ));
    }
    let id = call.name.as_deref().and_then(DeviceId::parse);
    let now = context.clock.now();
    let changed = context
        .store
        .transact(user.subject(), &user.origin, now, |state| {
            user.admit(state.account.as_ref(), state.family.as_ref(), None, now)?;
            let not_found = || Problem::new(Code::DeviceNotFound);
            let (account, id) = state.account.as_mut().zip(id).ok_or_else(not_found)?;
            if Device::one(account, id, now).is_none() {
                return Err(not_found());
            }
            if is_primary.is_some() && !account.make_primary(id, &mut state.events) {
                return Err(Problem::field("is_primary", "only an active device can be the primary one"));
            }
            if let Some(name) = name.clone() {
                account.rename_device(id, name, &mut state.events);
            }
            Device::one(account, id, now).ok_or_else(not_found)
        })
        .await??;
    Ok(Reply::ok(&changed))
}
