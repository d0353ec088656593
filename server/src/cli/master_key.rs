//! The master key of commands that work on a store without a server: from the places that `serve` takes it from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use sidekey_core::time::UnixTime;

use super::Failure;
use crate::keyring::{KeyId, Keyring, Origin, UnlockError, sources, unlock};
use crate::master_keys::MasterKeys;
use crate::serve::DEVELOPMENT_KEY;
use crate::store::{Engine, Key};
use crate::{entropy::Entropy, keyring::Pepper};

#[derive(Args, Clone, Debug, Default)]
pub(super) struct GivenKey {
    /// File with the master key; the systemd credential and `SIDEKEY_MASTER_KEY` count too, as for `serve`
    #[arg(long, env = "SIDEKEY_MASTER_KEY_FILE", value_name = "FILE")]
    pub(super) master_key_file: Option<PathBuf>,
}

impl GivenKey {
    /// The keyring from the first place that has one, and last the key of development mode in the data folder.
    pub(super) fn load(&self, data: Option<&Path>) -> Result<Option<Keyring>, Failure> {
        Ok(self.find(data)?.map(|(keyring, _)| keyring))
    }

    /// The same with the place where it was found.
    fn find(&self, data: Option<&Path>) -> Result<Option<(Keyring, Origin)>, Failure> {
        if let Some(found) = sources::given(self.master_key_file.as_deref()).map_err(Failure::settings)? {
            return Ok(Some(found));
        }
        let development = data.map(|data| data.join(DEVELOPMENT_KEY)).filter(|path| path.is_file());
        let Some(path) = development else { return Ok(None) };
        let keyring = sources::load_file(&path).map_err(Failure::settings)?;
        Ok(Some((keyring, Origin::File(path))))
    }

    /// The keyring, which the command cannot do without.
    pub(super) fn require(&self, data: Option<&Path>) -> Result<Keyring, Failure> {
        self.load(data)?.ok_or_else(missing)
    }

    /// Opens a store to seal in it.
    pub(super) async fn open(
        &self,
        store: Arc<dyn Engine>,
        data: &Path,
        now: UnixTime,
    ) -> Result<(MasterKeys, Pepper), Failure> {
        let (keyring, origin) = self.find(Some(data))?.ok_or_else(missing)?;
        let opened = MasterKeys::open(store, keyring, origin, now, &mut Entropy).await;
        opened.map_err(not_opened)
    }

    /// The first key of the file that was named, if one was.
    pub(super) fn first_of_file(&self) -> Result<Option<KeyId>, Failure> {
        let file = self.master_key_file.as_deref().map(sources::load_file).transpose();
        Ok(file.map_err(Failure::settings)?.map(|keyring| keyring.sealing()))
    }

    /// Opens what is sealed in a store, so that it takes changes. A store that no server has opened yet has nothing sealed.
    pub(super) async fn unlock(&self, store: &dyn Engine, data: &Path) -> Result<Option<Pepper>, Failure> {
        if store.get(&Key::meta("sentinel")).await.map_err(Failure::runtime)?.is_none() {
            return Ok(None);
        }
        let Some((keyring, origin)) = self.find(Some(data))? else {
            return Err(Failure::settings(
                "the store has been sealed with a master key, and no server that has it runs on this data folder: start it, or name \
                 the key's file with `--master-key-file FILE`",
            ));
        };
        unlock(store, &keyring, &mut Entropy)
            .await
            .map(Some)
            .map_err(|error| not_opened(error.given_by(&origin)))
    }
}

fn missing() -> Failure {
    Failure::settings("this needs the store's master key: name its file with `--master-key-file FILE`")
}

fn not_opened(error: UnlockError) -> Failure {
    match error {
        UnlockError::WrongKey { .. } | UnlockError::MissingKey { .. } | UnlockError::NotedKey { .. } => {
            Failure::settings(error)
        }
        error => Failure::runtime(error),
    }
}
