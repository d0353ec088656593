//! `DELETE /2fa/devices/{id}/`: removes a device; the last active one needs a code and turns 2FA off.

use serde_json::json;
use sidekey_core::{account::Removed, id::DeviceId, login::FRESH};

use crate::{
    caller::user,
    context::Context,
    entropy::Entropy,
    http::{Call, Code, Problem, Reply},
};

/// Removes a device.
///
/// # Errors
/// No valid access token, no fresh second factor for an active device, no such device, or a code that is missing or does not count.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let user = user(context, &call).await?;
    let answer = call.optional_fields().await?.optional_answer()?;
    let id = call.name.as_deref().and_then(DeviceId::parse);
    let now = context.clock.now();
    let removed = context
        .store
        .transact(user.subject(), &user.origin, now, |state| {
            user.admit(state.account.as_ref(), state.family.as_ref(), None, now)?;
            let not_found = || Problem::new(Code::DeviceNotFound);
            let (account, id) = state.account.as_mut().zip(id).ok_or_else(not_found)?;
            if account.active_device(id).is_some() {
                user.admit(Some(account), state.family.as_ref(), Some(FRESH), now)?;
            }
            let removed = account.remove_device(id, answer.as_ref(), now, &mut Entropy, &mut state.events)?;
            if let (Removed::LastDevice, Some(family)) = (removed, &mut state.family) {
                family.turned_off(account);
            }
            Ok::<_, Problem>(removed)
        })
        .await??;
    let message = match removed {
        Removed::Device => "The device was removed.",
        Removed::LastDevice => "The last device was removed and two-factor authentication turned off.",
    };
    Ok(Reply::ok(&json!({ "message": message })))
}
