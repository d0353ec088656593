//! Users of other products become users of an app, in batches that the command line sends one after another.

use sidekey_core::id::AppId;
use tokio::sync::mpsc;

use super::{Authority, CommandError, KeyError, Reply};
use crate::apps::AppError;
use crate::audit::Origin;
use crate::import::WireUser;
use crate::import::apply::Importer;
use crate::maintenance::Part;
use crate::store::Store;

/// Takes over a batch of users.
pub(super) async fn import_users(
    authority: &Authority,
    app: &AppId,
    users: &[WireUser],
    dry_run: bool,
    origin: &Origin,
    parts: &mpsc::Sender<Part>,
) -> Result<Reply, CommandError> {
    let Authority { engine, keys, hasher, apps, clock, .. } = authority;
    let (keys, hasher) = keys.as_ref().zip(hasher.as_ref()).ok_or(KeyError::NoKeys)?;
    if apps.find(app).await?.is_none() {
        return Err(AppError::UnknownApp(app.clone()).into());
    }
    let store = Store::new(std::sync::Arc::clone(engine), keys.shared());
    let importer = Importer { store: &store, hasher, clock, app, origin, dry_run };
    let total = users.len() as u64;
    // Whoever waits hears of each user: the hashes of one may take a second. Nobody need listen.
    let told = |done: usize| drop(parts.try_send(Part::Progress { done: done as u64, total }));
    let lines = importer.take_over(users, told).await;
    Ok(Reply::UsersImported { lines: lines.map_err(CommandError::ImportBrokenOff)? })
}
