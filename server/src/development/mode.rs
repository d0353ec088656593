//! A store belongs to the mode that it is first served in.

use crate::store::{Batch, CommitError, Engine, Key};

/// Why a store is not served in the mode that was asked for. The texts are for the operator.
#[derive(Debug, thiserror::Error)]
pub enum ModeError {
    /// Real accounts lie in it.
    #[error(
        "this data folder has been served without `--development`, and development mode would let anybody into it: \
         give another folder with `--data`"
    )]
    Production,
    /// Anybody has been let into it.
    #[error(
        "this data folder was made in development mode, where anybody can sign in and move the clock: \
         start with a new folder, `--data`"
    )]
    Development,
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] CommitError),
}

/// Whether the store may be served in a mode: the same or, where it has not been served yet, any.
///
/// # Errors
/// It belongs to the other mode, or the store cannot be read.
pub async fn check(engine: &dyn Engine, development: bool) -> Result<(), ModeError> {
    is_bound(engine, development).await.map(drop)
}

/// Binds the store to the mode that it is first served in: a folder of development is none for real accounts, nor the
/// other way round.
///
/// # Errors
/// It belongs to the other mode, or the store fails.
pub async fn bind(engine: &dyn Engine, development: bool) -> Result<(), ModeError> {
    if is_bound(engine, development).await? {
        return Ok(());
    }
    let mut batch = Batch::new();
    batch.expect(key(), None).put(key(), vec![u8::from(development)]);
    Ok(engine.commit(batch).await?)
}

/// Whether the store is bound to a mode already; to the other one is an error.
async fn is_bound(engine: &dyn Engine, development: bool) -> Result<bool, ModeError> {
    match engine.get(&key()).await.map_err(CommitError::from)? {
        Some(record) if record.value == [u8::from(development)] => Ok(true),
        Some(_) if development => Err(ModeError::Production),
        Some(_) => Err(ModeError::Development),
        None => Ok(false),
    }
}

fn key() -> Key {
    Key::meta("mode")
}

#[cfg(test)]
mod tests {
    use sidekey_core::time::UnixTime;

    use super::*;
    use crate::context::testing::context;

    #[tokio::test]
    async fn a_store_stays_in_its_mode() {
        let now = UnixTime::from_secs(1_790_000_000);
        let (_folder, context) = context(now, &[]).await;
        check(&*context.engine, false).await.unwrap();
        bind(&*context.engine, true).await.unwrap();
        check(&*context.engine, true).await.unwrap();
        bind(&*context.engine, true).await.unwrap();
        assert!(matches!(check(&*context.engine, false).await, Err(ModeError::Development)));
        assert!(matches!(bind(&*context.engine, false).await, Err(ModeError::Development)));
    }
}
