//! `GET /2fa/devices/`: the devices of the user.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::shown::Device;
use crate::{
    caller::user,
    context::Context,
    http::{Call, Problem, Reply},
    openapi::{Operation, Tag},
};

/// The devices of a user.
#[derive(Serialize, ToSchema)]
struct Devices {
    /// Active ones first, then disabled ones, then pending ones.
    devices: Vec<Device>,
    /// Whether there is a device, active or disabled.
    has_2fa_enabled: bool,
}

pub(crate) fn described() -> Operation {
    Operation::new("listDevices", Tag::Devices, "List the user's devices").answers::<Devices>(
        "The devices; no secret.",
        json!({
            "devices": [{
                "id": "11293aa031761f07451eb24bc8d556fe",
                "name": "Phone",
                "is_primary": true,
                "status": "active",
                "created_at": "2026-11-22T18:58:46Z",
                "confirmed_at": "2026-11-22T18:58:46Z",
                "last_used_at": "2026-11-22T18:59:00Z",
            }],
            "has_2fa_enabled": true,
        }),
    )
}

/// Lists active devices, then disabled ones, then pending ones.
///
/// # Errors
/// No valid access token, or one without a second factor where there is a device.
pub async fn run(context: &Context, call: Call) -> Result<Reply, Problem> {
    let user = user(context, &call).await?;
    let now = context.clock.now();
    let account = user.account(context, now).await?;
    Ok(Reply::ok(&Devices { devices: Device::all(&account, now), has_2fa_enabled: account.is_protected() }))
}
