//! The users of an app with their devices, secrets included: handed over, in parts, to whoever may open the data folder.

use std::sync::Arc;

use sidekey_core::account::Account;
use sidekey_core::id::AppId;
use sidekey_core::import::{ImportedDevice, ImportedUser};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::{Authority, CommandError, KeyError, Reply};
use crate::apps::AppError;
use crate::audit::{Entry, Origin, ServerEvent};
use crate::import::WireUser;
use crate::maintenance::Part;
use crate::store::{Batch, Store};

/// Bytes of a user with two or three devices.
const USER: usize = 1_024;

/// Hands over all users that have an active device, JSON lines, to whoever seals them with other keys than the store. It is in the audit trail before the first of them leaves.
pub(super) async fn export(
    authority: &Authority,
    app: &AppId,
    sealed_with: &[String],
    origin: &Origin,
    parts: &mpsc::Sender<Part>,
) -> Result<Reply, CommandError> {
    let keys = authority.keys.as_ref().ok_or(KeyError::NoKeys)?;
    if keys.current().ids().any(|id| sealed_with.contains(&id.to_string())) {
        return Err(KeyError::MasterKeyOfExport.into());
    }
    if authority.apps.find(app).await?.is_none() {
        return Err(AppError::UnknownApp(app.clone()).into());
    }
    let mut batch = Batch::new();
    batch.decided_at(origin.at);
    batch.append(Entry::of_server(Some(app), origin, &ServerEvent::UsersExported).to_bytes());
    authority.engine.commit(batch).await.map_err(AppError::from)?;

    let store = Store::new(Arc::clone(&authority.engine), keys.shared());
    let gone = |_| CommandError::ExportBrokenOff;
    let (mut users, mut looked_at, mut after) = (0, 0, None);
    loop {
        let (page, last) = store.accounts(app, after.as_ref()).await?;
        looked_at += page.len() as u64;
        // Wide enough for most pages, so that no smaller one is left behind unwiped.
        let mut lines = Zeroizing::new(Vec::with_capacity(page.len() * USER));
        for user in page.iter().filter_map(exported) {
            users += 1;
            serde_json::to_writer(&mut *lines, &WireUser::of(&user))
                .map_err(|_| CommandError::ExportBrokenOff)?;
            lines.push(b'\n');
        }
        if !lines.is_empty() {
            parts.send(Part::Data(lines)).await.map_err(gone)?;
        }
        parts.send(Part::Progress { done: looked_at, total: 0 }).await.map_err(gone)?;
        if last.is_none() {
            return Ok(Reply::Exported { users });
        }
        after = last;
    }
}

/// The user with all that another store or product needs of them; `None` while no device is active. Disabled devices stay here: nobody else
/// knows that their codes do not count.
fn exported(account: &Account) -> Option<ImportedUser> {
    let mut user = ImportedUser::new(account.id.user.clone());
    user.account_name.clone_from(&account.name);
    for device in account.active_devices() {
        user.devices.push(ImportedDevice {
            name: Some(device.name.clone()),
            secret: device.secret.clone(),
            params: device.params,
            created_at: Some(device.created_at),
            last_used_at: device.last_used_at,
            last_step: Some(device.last_step),
            is_primary: account.is_primary(device.id),
        });
    }
    (!account.active_devices().is_empty()).then_some(user)
}
