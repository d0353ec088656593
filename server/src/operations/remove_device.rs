//! `DELETE /2fa/devices/{id}/`: removes a device; the last active one needs a code and turns 2FA off.

use serde_json::json;
use sidekey_core::{account::Removed, device::Answer, id::DeviceId, login::FRESH};
use utoipa::ToSchema;

use crate::{
    caller::{Acting, Demand, User, user},
    context::Context,
    entropy::Entropy,
    http::{Call, Code, Problem, Reply},
    openapi::{Operation, Tag, schemas},
};

/// A code, which is needed for the last active device only.
#[derive(Debug, ToSchema)]
pub struct OptionalCodeAnswer {
    /// Needed for the last active device.
    pub code: Option<schemas::Code>,
    /// The code of the step after that of `code`; where `NEXT_CODE_REQUIRED` asks for it.
    pub next_code: Option<schemas::Code>,
}

pub(crate) fn described() -> Operation {
    Operation::new("removeDevice", Tag::Devices, "Remove a device")
        .telling(
            "Removing an active or disabled device needs a second factor that is at most 600 s old; removing the last active \
             one needs `code` as well and turns 2FA off, disabled devices included. A pending device needs neither. The body may be left out.",
        )
        .of("id", "The device.")
        .may_take::<OptionalCodeAnswer>(json!({ "code": "123456" }))
        .answers::<schemas::Message>("It is removed.", json!({ "message": "The device was removed." }))
        .refuses(&[
            Code::InvalidCode,
            Code::CodeRequired,
            Code::NextCodeRequired,
            Code::DeviceNotFound,
            Code::AccountLocked,
            Code::AccountThrottled,
        ])
}

/// Removes a device.
///
/// # Errors
/// No valid access token, no fresh second factor for a confirmed device, no such device, or a code that is missing or does not count.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let user = user(context, &call).await?;
    let answer = call.optional_fields().await?.optional_answer()?;
    let id = call.name.as_deref().and_then(DeviceId::parse);
    let removed = remove(context, &user, id, answer.as_ref()).await?;
    let message = match removed {
        Removed::Device => "The device was removed.",
        Removed::LastDevice => "The last device was removed and two-factor authentication turned off.",
    };
    Ok(Reply::ok(&schemas::Message { message }))
}

/// Removes a device of the user's.
///
/// # Errors
/// No fresh second factor for a confirmed device, no such device, or a code that is missing or does not count.
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
        if account.has_device(id) {
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
