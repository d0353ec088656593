//! What development mode makes at start: the demo application and its API key, kept in a file.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rand_core::CryptoRng;
use sidekey_core::id::AppId;
use sidekey_core::policy::Enforcement;
use sidekey_core::time::UnixTime;

use crate::apps::{ApiKey, AppError, Apps, NewApp};
use crate::audit::{Actor, Origin};
use crate::store::{Batch, CommitError, Engine, Key};

/// The id of the demo application.
pub const DEMO_APP: &str = "demo";

/// The file in the data folder that keeps its API key between starts.
pub const KEY_FILE: &str = "development-api-key";

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

/// Binds the store to the mode that it is first served in: a folder of development is none for real accounts, nor the
/// other way round.
///
/// # Errors
/// It belongs to the other mode, or the store fails.
pub async fn bind_mode(engine: &dyn Engine, development: bool) -> Result<(), ModeError> {
    let key = Key::meta("mode");
    let mode = [u8::from(development)];
    match engine.get(&key).await.map_err(CommitError::from)? {
        Some(record) if record.value == mode => Ok(()),
        Some(_) if development => Err(ModeError::Production),
        Some(_) => Err(ModeError::Development),
        None => {
            let mut batch = Batch::new();
            batch.expect(key.clone(), None).put(key, mode.to_vec());
            Ok(engine.commit(batch).await?)
        }
    }
}

/// Why the demo application is not there.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// It cannot be made.
    #[error(transparent)]
    App(#[from] AppError),
    /// Its key cannot be kept.
    #[error("cannot keep the demo application's key in `{KEY_FILE}`: {0}")]
    File(#[from] io::Error),
}

/// The demo application's API key: the one in the file if it is valid, else a new one.
///
/// # Errors
/// When the store or the file fails.
pub async fn demo_key(
    apps: &Apps,
    data: &Path,
    now: UnixTime,
    rng: &mut (impl CryptoRng + Send),
) -> Result<ApiKey, DemoError> {
    let origin = Origin::local(Actor::Server, now);
    let id = AppId::parse(DEMO_APP).map_err(|_| AppError::InvalidName)?;
    let path = data.join(KEY_FILE);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let key = ApiKey::from_text(text.trim().to_owned());
            let app = apps.authenticate(key.expose()).await.map_err(AppError::from)?;
            if app.is_some_and(|app| app.id == id) {
                return Ok(key);
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let key = if apps.find(&id).await.map_err(AppError::from)?.is_some() {
        apps.create_key(&id, &origin, rng).await?
    } else {
        let enforcement = Enforcement::Required { grace_seconds: 0 };
        let name = "Demo application".to_owned();
        apps.create(NewApp { id: Some(id), name, enforcement }, &origin, rng).await?.1
    };
    write_private(&path, key.api_key.expose())?;
    Ok(key.api_key)
}

/// Replaces a file in one step, so that a crash leaves the old or the new one.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    fs::rename(&part, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::context::testing::context;
    use crate::entropy::Entropy;

    #[tokio::test]
    async fn a_store_stays_in_its_mode() {
        let now = UnixTime::from_secs(1_790_000_000);
        let (_folder, context) = context(now, &[]).await;
        bind_mode(&*context.engine, true).await.unwrap();
        bind_mode(&*context.engine, true).await.unwrap();
        assert!(matches!(bind_mode(&*context.engine, false).await, Err(ModeError::Development)));
    }

    #[tokio::test]
    async fn the_key_stays_the_same_until_its_file_is_lost() {
        let now = UnixTime::from_secs(1_790_000_000);
        let (folder, context) = context(now, &[]).await;
        let (apps, data) = (&context.apps, folder.path());
        let first = demo_key(apps, data, now, &mut Entropy).await.unwrap();
        let mode = fs::metadata(data.join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = demo_key(apps, data, now, &mut Entropy).await.unwrap();
        assert_eq!(first.expose(), again.expose());

        fs::write(data.join(KEY_FILE), "sidekey_nonsense").unwrap();
        let other = demo_key(apps, data, now, &mut Entropy).await.unwrap();
        assert_ne!(first.expose(), other.expose());
        let app = apps.authenticate(other.expose()).await.unwrap().unwrap();
        assert_eq!(app.enforcement, Enforcement::Required { grace_seconds: 0 });
        assert_eq!(apps.list().await.unwrap().len(), 1);
    }
}
