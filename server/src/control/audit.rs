//! The audit trail, for an operator who asks.

use tokio::sync::mpsc;

use super::{Authority, CommandError, Reply};
use crate::apps::AppError;
use crate::maintenance::Part;
use crate::trail::export::Stretch;
use crate::trail::query::{self, Query};

/// Sends the entries that fit. An app that there is not is a typing mistake, and must not read as "nothing happened".
pub(super) async fn audit(
    authority: &Authority,
    query: &Query,
    parts: &mpsc::Sender<Part>,
) -> Result<Reply, CommandError> {
    if let Some(app) = &query.app
        && authority.apps.find(app).await?.is_none()
    {
        return Err(AppError::UnknownApp(app.clone()).into());
    }
    let entries = query::find(&*authority.engine, query, parts).await?;
    Ok(Reply::AuditTold { entries })
}

/// Sends a stretch of the trail with its hashes.
pub(super) async fn export(
    authority: &Authority,
    stretch: Stretch,
    parts: &mpsc::Sender<Part>,
) -> Result<Reply, CommandError> {
    let entries = query::export(&*authority.engine, stretch, parts).await?;
    Ok(Reply::AuditTold { entries })
}
