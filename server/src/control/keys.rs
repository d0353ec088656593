//! Commands about keys: master keys, and those that sign access tokens.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Authority, CommandError, Reply};
use crate::audit::Origin;
use crate::entropy::Entropy;
use crate::keyring::{self, KeyId};
use crate::maintenance::Part;
use crate::master_keys::rotation::{self, Progress};
use crate::master_keys::{self, MasterKeys, ReloadError};
use crate::token::{self, Signer, SignerError};

/// Why a command about keys was not carried out. The texts are for the operator.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The keys could not be read anew.
    #[error(transparent)]
    Reload(#[from] ReloadError),
    /// Not everything could be sealed anew.
    #[error(transparent)]
    Rotation(#[from] rotation::RotationError),
    /// The signing keys were not rotated.
    #[error(transparent)]
    Signing(#[from] token::rotation::RotationError),
    /// The operator means another key than the server.
    #[error(
        "key `{wanted}` was meant, but the server takes its keys from {place}, where `{first}` comes first{}",
        remedy(place)
    )]
    AnotherFirst {
        /// The first key of the file that the operator named.
        wanted: String,
        /// The first key of the server's.
        first: KeyId,
        /// Where those come from.
        place: keyring::Origin,
    },
    /// Nobody has handed a master key over.
    #[error("this needs the store's master key")]
    NoKeys,
    /// A key of the store would seal what leaves it.
    #[error(
        "a master key never leaves with an export: make a key for it with `sidekey keys generate --out FILE`"
    )]
    MasterKeyOfExport,
}

impl From<SignerError> for KeyError {
    fn from(error: SignerError) -> Self {
        Self::Signing(error.into())
    }
}

/// A file is read anew; the others stay as they were when the process was started.
fn remedy(place: &keyring::Origin) -> &'static str {
    match place {
        keyring::Origin::File(_) => "",
        keyring::Origin::Credential(_) | keyring::Origin::Environment => {
            ": put the new key there too, and restart the server"
        }
    }
}

/// Reads the master keys anew and seals everything with the first of them. Told is how far it is.
pub(super) async fn rotate_master_keys(
    authority: &Authority,
    wanted: Option<String>,
    origin: &Origin,
    parts: &mpsc::Sender<Part>,
) -> Result<Reply, CommandError> {
    let keys = keys(authority)?;
    let keyring = keys.reload(origin).await.map_err(KeyError::from)?;
    if let Some(wanted) = wanted.filter(|wanted| *wanted != keyring.sealing().to_string()) {
        let (first, place) = (keyring.sealing(), keys.source().clone());
        return Err(KeyError::AnotherFirst { wanted, first, place }.into());
    }
    drop(keyring);
    loop {
        match keys.rotate_on(origin, &mut Entropy).await.map_err(KeyError::from)? {
            Progress::UnderWay { done, total, .. } => {
                // Whether anybody still watches or not, it goes on.
                let _ = parts.send(Part::Progress { done, total }).await;
            }
            Progress::Finished { key_id, resealed, unused } => {
                tracing::info!(key_id, resealed, "everything is sealed with one master key");
                return Ok(Reply::MasterKeysRotated { key_id, resealed, unused });
            }
        }
    }
}

/// Reads the master keys anew.
pub(super) async fn reload_master_keys(
    authority: &Authority,
    origin: &Origin,
) -> Result<Reply, CommandError> {
    let keys = keys(authority)?;
    let keyring = keys.reload(origin).await.map_err(KeyError::from)?;
    tracing::info!(source = %keys.source(), sealing = %keyring.sealing(), "master keys read anew");
    let ids = keyring.ids().map(|id| id.to_string()).collect();
    Ok(Reply::MasterKeysRead { source: keys.source().to_string(), keys: ids })
}

/// Counts what is sealed with which key.
pub(super) async fn master_key_use(
    authority: &Authority,
    parts: &mpsc::Sender<Part>,
) -> Result<Reply, CommandError> {
    let (mut values, mut records, mut after) = (BTreeMap::new(), 0, None);
    loop {
        let part = master_keys::uses(&*authority.engine, after.as_deref()).await?;
        for (id, count) in part.values {
            *values.entry(id).or_default() += count;
        }
        records += part.records;
        let _ = parts.send(Part::Progress { done: records, total: 0 }).await;
        after = part.next;
        if after.is_none() {
            let sealing = authority.keys.as_ref().map(|keys| keys.current().sealing().to_string());
            return Ok(Reply::MasterKeyUse { values, noted: part.noted, sealing });
        }
    }
}

/// Makes the next signing key; a running server takes it up at once.
pub(super) async fn rotate_signing_keys(
    authority: &Authority,
    overlap: u64,
    origin: &Origin,
) -> Result<Reply, CommandError> {
    let Authority { engine, signer, .. } = authority;
    let keyring = keys(authority)?.current();
    if signer.is_none() {
        // A store that no server has opened yet has no key that could be followed by another.
        let made = Signer::load_or_create(&**engine, &keyring, origin.at, &mut Entropy).await;
        made.map_err(KeyError::from)?;
    }
    let rotated = token::rotation::rotate(&**engine, &keyring, overlap, origin, &mut Entropy).await;
    let keys = rotated.map_err(KeyError::from)?;
    if let Some(signer) = signer {
        signer.reload(&**engine, &keyring).await.map_err(KeyError::from)?;
    }
    tracing::info!(overlap, "the next signing key is published");
    Ok(Reply::SigningKeys(keys))
}

/// Lists the signing keys.
pub(super) async fn list_signing_keys(authority: &Authority) -> Result<Reply, CommandError> {
    let keys = token::rotation::list(&*authority.engine, authority.clock.now()).await;
    Ok(Reply::SigningKeys(keys.map_err(KeyError::from)?))
}

fn keys(authority: &Authority) -> Result<&Arc<MasterKeys>, KeyError> {
    authority.keys.as_ref().ok_or(KeyError::NoKeys)
}
