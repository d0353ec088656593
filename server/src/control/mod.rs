//! What an operator may do from the command line, with a running server or without one.
//!
//! - this file: [`Command`], [`Reply`] and [`execute`], the same on both ways;
//! - [`socket`]: the way to a running server, which holds the lock on the store.

pub mod socket;

use serde::{Deserialize, Serialize};
use sidekey_core::id::AppId;
use sidekey_core::policy::Enforcement;

use crate::apps::{ApiKey, AppError, Apps, NewApp};
use crate::audit::{Actor, Origin};
use crate::clock::Clock;
use crate::entropy::Entropy;

/// An order to the server.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Makes an app and its first API key.
    CreateApp(NewApp),
    /// Lists all apps.
    ListApps,
    /// Gives an app one more API key.
    CreateKey {
        /// Its id.
        app: AppId,
    },
    /// Makes an API key worthless.
    RevokeKey {
        /// The app's id.
        app: AppId,
        /// The key's name.
        key_id: String,
    },
}

impl Command {
    /// Whether it writes, which a store without a running server takes with its master key only.
    pub fn changes_the_store(&self) -> bool {
        !matches!(self, Self::ListApps)
    }
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// A new app.
    AppCreated {
        /// Its id.
        app_id: AppId,
        /// Its name.
        name: String,
        /// Its first key.
        #[serde(flatten)]
        key: KeyLine,
    },
    /// All apps by id.
    Apps(Vec<AppLine>),
    /// A new key.
    KeyCreated(KeyLine),
    /// A key that is worthless now.
    KeyRevoked {
        /// Its name.
        key_id: String,
    },
}

/// A new API key, the only time that its text is told.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeyLine {
    /// Its name.
    pub key_id: String,
    /// Its text.
    #[serde(with = "exposed")]
    pub api_key: ApiKey,
}

/// An app in the list.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppLine {
    /// Its id.
    pub app_id: AppId,
    /// Its name.
    pub name: String,
    /// What it demands of its users.
    pub enforcement: Enforcement,
}

/// An API key leaves the process in a reply, and nowhere else.
mod exposed {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::apps::ApiKey;

    pub(super) fn serialize<S: Serializer>(key: &ApiKey, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(key.expose())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ApiKey, D::Error> {
        String::deserialize(deserializer).map(ApiKey::from_text)
    }
}

/// The right to change apps and keys. Whoever can open the data folder has it.
#[derive(Clone, Debug)]
pub struct Authority {
    /// The apps; in a running server the same value that its requests use, or a revoked key would live on.
    pub apps: Apps,
    /// The time.
    pub clock: Clock,
}

/// Carries out a command.
///
/// # Errors
/// When the command cannot be done, or the store fails; the text is for the operator.
pub async fn execute(authority: &Authority, command: Command) -> Result<Reply, AppError> {
    let Authority { apps, clock } = authority;
    let origin = Origin::local(Actor::Operator, clock.now());
    match command {
        Command::CreateApp(new) => {
            let (app, key) = apps.create(new, &origin, &mut Entropy).await?;
            let key = KeyLine { key_id: key.key_id, api_key: key.api_key };
            Ok(Reply::AppCreated { app_id: app.id, name: app.name, key })
        }
        Command::ListApps => {
            let apps = apps.list().await?.into_iter();
            let line = |app: crate::apps::App| AppLine {
                app_id: app.id,
                name: app.name,
                enforcement: app.enforcement,
            };
            Ok(Reply::Apps(apps.map(line).collect()))
        }
        Command::CreateKey { app } => {
            let key = apps.create_key(&app, &origin, &mut Entropy).await?;
            Ok(Reply::KeyCreated(KeyLine { key_id: key.key_id, api_key: key.api_key }))
        }
        Command::RevokeKey { app, key_id } => {
            apps.revoke_key(&app, &key_id, &origin).await?;
            Ok(Reply::KeyRevoked { key_id })
        }
    }
}
