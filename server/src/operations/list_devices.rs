//! `GET /2fa/devices/`: the devices of the user.

use serde::Serialize;

use super::shown::Device;
use crate::{
    caller::user,
    context::Context,
    http::{Call, Problem, Reply},
};

#[derive(Serialize)]
struct Answer {
    devices: Vec<Device>,
    has_2fa_enabled: bool,
}

/// Lists active devices, then pending ones.
///
/// # Errors
/// No valid access token, or one without a second factor where there is a device.
pub async fn run(context: &Context, call: Call) -> Result<Reply, Problem> {
    let user = user(context, &call).await?;
    let now = context.clock.now();
    let account = user.account(context, now).await?;
    Ok(Reply::ok(&Answer {
        devices: Device::all(&account, now),
        has_2fa_enabled: account.has_active_device(),
    }))
}
