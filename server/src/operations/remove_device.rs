//! `DELETE /2fa/devices/{id}/`: removes a device; the last active one needs a code and turns 2FA off.

use serde_json::json;
use sidekey_core::{account::Removed, device::Answer, id::DeviceId, login::FRESH};

use crate::{
    caller::{Acting, Demand, User, user},
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
    let removed = remove(context, &user, id, answer.as_ref()).await?;
    let message = match removed {
        Removed::Device => "The device was removed.",
        Removed::LastDevice => "The last device was removed and two-factor authentication turned off.",
    };
    Ok(Reply::ok(&json!({ "message": message })))
}

/// Removes a device of the user's.
///
/// # Errors
/// No fresh second factor for an active device, no such device, or a code that is missing or does not count.
pub async fn remove(
    context: &Context,
    user: &User,
    id: Option<DeviceId>,
    answer: Option<&Answer>,
) -> Result<Removed, Problem> {
    let now = context.clock.now();
    user.transact(context, user.subject(), Demand::SecondFactor, now, |acting| {
        let Acting { account, family, events, .. } = acting;
        let id = id.ok_or_else(|| Problem::new(Code::DeviceNotFound))?;
        if account.active_device(id).is_some() {
            account.require_second_factor(user.second_factor, Some(FRESH), now)?;
        }
        let removed = account.remove_device(id, answer, now, &mut Entropy, events)?;
        if removed == Removed::LastDevice {
            family.turned_off(account);
        }
        Ok(removed)
    })
    .await
}
