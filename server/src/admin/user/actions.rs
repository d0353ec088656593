//! What the forms of the page ask for.

use sidekey_core::id::DeviceId;

use super::{address, named};
use crate::admin::{done, reason};
use crate::caller::Operator;
use crate::context::Context;
use crate::http::{Code, Problem};
use crate::operations::support::{
    disable_device, enable_device, remove_device, reset, revoke_sessions, unlock,
};
use crate::pages::{Form, Shown};

/// Does what a form asks for, and leads back to the page.
///
/// # Errors
/// The operator may not or gives no reason, there is no such user or device, or the store is not available.
pub(in crate::admin) async fn post(
    context: &Context,
    operator: &Operator,
    form: &Form,
) -> Result<Shown, Problem> {
    let support = operator.support(reason(form)?)?;
    let user = named(form.text("app"), form.text("user"))?;
    let device = DeviceId::parse(form.text("device"));
    let said = match form.text("action") {
        "disable-device" => {
            disable_device::disable(context, &support, &user, device).await?;
            "The device is disabled: no code of it counts."
        }
        "enable-device" => {
            enable_device::enable(context, &support, &user, device).await?;
            "The device is enabled: its codes count again."
        }
        "remove-device" => {
            remove_device::remove(context, &support, &user, device).await?;
            "The device is removed."
        }
        "unlock" => {
            unlock::unlock(context, &support, &user).await?;
            "The user is unlocked: nothing waits any more."
        }
        "revoke-sessions" => {
            revoke_sessions::revoke(context, &support, &user).await?;
            "Every login is ended, and no browser is trusted."
        }
        "reset" => {
            reset::reset(context, &support, &user).await?;
            "The second factor is reset: the user can enrol anew."
        }
        _ => return Err(Problem::new(Code::Validation)),
    };
    Ok(done(context, &address(&user), said))
}
