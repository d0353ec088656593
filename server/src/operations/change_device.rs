//! `PATCH /2fa/devices/{id}/`: another name, or the primary device.

use serde_json::{Value, json};
use sidekey_core::id::{DeviceId, DeviceName};
use utoipa::{
    ToSchema,
    openapi::{Object, ObjectBuilder, Type, schema::SchemaType},
};

use super::shown::Device;
use crate::{
    caller::{Acting, Demand, User, user},
    context::Context,
    http::{Call, Code, Problem, Reply},
    openapi::{Operation, Tag, schemas},
};

/// What is to change.
#[derive(Debug, ToSchema)]
pub struct ChangeDevice {
    /// Its new name.
    pub name: Option<schemas::DeviceName>,
    /// Makes an active device the primary one; `false` is refused.
    #[schema(schema_with = true_or_null)]
    pub is_primary: Option<bool>,
}

fn true_or_null() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::Array(vec![Type::Boolean, Type::Null]))
        .enum_values(Some([Value::Bool(true), Value::Null]))
        .description(Some("Makes an active device the primary one; `false` is refused."))
        .build()
}

pub(crate) fn described() -> Operation {
    Operation::new("changeDevice", Tag::Devices, "Rename a device, or make it the primary one")
        .of("id", "The device.")
        .takes::<ChangeDevice>(json!({ "name": "Work phone" }))
        .answers::<Device>(
            "The device as it is now.",
            json!({
                "id": "11293aa031761f07451eb24bc8d556fe",
                "name": "Work phone",
                "is_primary": true,
                "status": "active",
                "created_at": "2026-11-22T18:58:46Z",
                "confirmed_at": "2026-11-22T18:58:46Z",
                "last_used_at": "2026-11-22T18:59:00Z",
            }),
        )
        .refuses(&[Code::DeviceNotFound])
}

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
    Ok(Reply::ok(&change(context, &user, id, name, is_primary.is_some()).await?))
}

/// Renames a device of the user's, makes it the primary one, or both.
///
/// # Errors
/// The user may not or does it too often, there is no such device, or it is not active and cannot be the primary one.
pub(crate) async fn change(
    context: &Context,
    user: &User,
    id: Option<DeviceId>,
    name: Option<DeviceName>,
    make_primary: bool,
) -> Result<Device, Problem> {
    context.count_account(&user.account)?;
    let now = context.clock.now();
    user.transact(context, user.subject(), Demand::SecondFactor, now, |Acting { account, events, .. }| {
        let not_found = || Problem::new(Code::DeviceNotFound);
        let id = id.ok_or_else(not_found)?;
        if Device::one(account, id, now).is_none() {
            return Err(not_found());
        }
        if make_primary && !account.make_primary(id, events) {
            return Err(Problem::field("is_primary", "only an active device can be the primary one"));
        }
        if let Some(name) = name.clone() {
            account.rename_device(id, name, events);
        }
        Device::one(account, id, now).ok_or_else(not_found)
    })
    .await
}
