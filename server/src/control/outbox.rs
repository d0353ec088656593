//! What an operator asks of the outbox. A name that nobody has is a typing mistake, and is said to be one.

use super::{Authority, CommandError, Reply};
use crate::outbox::Name;
use crate::outbox::orders::{self, Chosen};

/// Why an order about destinations is refused. The texts are for the operator.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// Nobody is told of events by this name.
    #[error("there is no destination `{0}`; `sidekey outbox status` shows all of them")]
    Unknown(Name),
    /// The server tells it of events.
    #[error(
        "`{0}` is a destination of the running server, and would lose what waits for it: take its `[[notify]]` out of the settings \
         and restart the server first"
    )]
    InUse(Name),
}

/// What was not delivered, and how far behind those are who were asked about.
pub(super) async fn letters(authority: &Authority, of: Option<&Name>) -> Result<Reply, CommandError> {
    if let Some(name) = of {
        known(authority, name).await?;
    }
    let letters = orders::letters(&*authority.engine, of).await?;
    let standing = orders::standing(&*authority.engine).await?.into_iter();
    let asked = standing.filter(|(name, _)| of.is_none_or(|of| of == name));
    Ok(Reply::OutboxLetters {
        letters,
        behind: asked.map(|(name, standing)| (name, standing.behind)).collect(),
    })
}

/// Has letters delivered again.
pub(super) async fn revive(authority: &Authority, chosen: &Chosen) -> Result<Reply, CommandError> {
    known(authority, &chosen.destination).await?;
    let count = orders::revive(&*authority.engine, chosen, authority.clock.now()).await?;
    Ok(Reply::OutboxChanged { count })
}

/// Gives letters up.
pub(super) async fn give_up(authority: &Authority, chosen: &Chosen) -> Result<Reply, CommandError> {
    known(authority, &chosen.destination).await?;
    Ok(Reply::OutboxChanged { count: orders::give_up(&*authority.engine, chosen).await? })
}

/// Forgets a destination, which the running server must not be about to tell.
pub(super) async fn forget(authority: &Authority, name: &Name) -> Result<Reply, CommandError> {
    if authority.destinations.contains(name) {
        return Err(OutboxError::InUse(name.clone()).into());
    }
    known(authority, name).await?;
    Ok(Reply::OutboxChanged { count: orders::forget(&*authority.engine, name).await? })
}

/// The store has a place for it, or the server tells it and will soon have made one.
async fn known(authority: &Authority, name: &Name) -> Result<(), CommandError> {
    if authority.destinations.contains(name) || orders::standing(&*authority.engine).await?.contains_key(name)
    {
        return Ok(());
    }
    Err(OutboxError::Unknown(name.clone()).into())
}
