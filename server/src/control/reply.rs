//! What comes of a command.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sidekey_core::id::AppId;
use sidekey_core::policy::Enforcement;

use crate::apps::{ApiKey, App, KeyShown};
use crate::import::apply::Line;
use crate::maintenance::backup::Summary;
use crate::maintenance::check::Report;
use crate::operators::{OperatorLine, OperatorName};
use crate::outbox::Name;
use crate::outbox::orders::{Letter, Standing};
use crate::probe::Seen;
use crate::token::rotation::KeyStatus;

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
    /// An app's settings.
    App(Box<App>),
    /// A new key.
    KeyCreated(KeyLine),
    /// All keys of an app, the oldest first.
    Keys(Vec<KeyShown>),
    /// A key that is worthless now.
    KeyRevoked {
        /// Its name.
        key_id: String,
    },
    /// Everything is sealed with one master key.
    MasterKeysRotated {
        /// Its id.
        key_id: String,
        /// How many records were sealed anew.
        resealed: u64,
        /// Keys that nothing is sealed with any more.
        unused: Vec<String>,
    },
    /// The master keys that are used from now on.
    MasterKeysRead {
        /// Where they come from.
        source: String,
        /// Their ids, the sealing one first.
        keys: Vec<String>,
    },
    /// What is sealed with which master key.
    MasterKeyUse {
        /// Values by key id.
        values: BTreeMap<String, u64>,
        /// The keys that something may be sealed with.
        noted: Vec<String>,
        /// The key that a running server seals with.
        sealing: Option<String>,
    },
    /// The keys that sign access tokens, in the order in which they do.
    SigningKeys(Vec<KeyStatus>),
    /// What became of each user, in the order of the list.
    UsersImported {
        /// A line each.
        lines: Vec<Line>,
    },
    /// A whole export.
    Exported {
        /// How many users.
        users: u64,
    },
    /// A whole backup.
    BackedUp(Summary),
    /// What a check has found.
    Verified(Report),
    /// The folder is marked, and the server ends.
    LetGo,
    /// How the destinations of events stand.
    OutboxStanding(BTreeMap<Name, Standing>),
    /// What was not delivered.
    OutboxLetters {
        /// The events that were not.
        letters: Vec<Letter>,
        /// How far behind the destinations are that were asked about.
        behind: BTreeMap<Name, u64>,
    },
    /// So many letters, or records of a destination, were changed.
    OutboxChanged {
        /// How many.
        count: u64,
    },
    /// How the server stands.
    Status(Status),
    /// A request with this marker is watched for.
    ProbeBegun {
        /// What it has to carry.
        marker: String,
        /// The public URL below which it is to be sent, with the base path.
        url: String,
        /// Whether the operator has named that public URL, or it is the address listened on.
        is_named: bool,
    },
    /// By which way a request came.
    ProbeEnded {
        /// `None`: it did not come.
        seen: Option<Seen>,
    },
    /// The end of the audit entries that were asked for.
    AuditTold {
        /// How many there were.
        entries: u64,
    },
    /// All operators by name.
    Operators(Vec<OperatorLine>),
    /// An operator is different from now on.
    OperatorChanged {
        /// Their name.
        name: OperatorName,
        /// What was done, in a word.
        done: String,
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

/// How a server stands.
#[derive(Debug, Serialize, Deserialize)]
pub struct Status {
    /// Its version.
    pub version: String,
    /// Whether its store takes changes.
    pub is_healthy: bool,
    /// How many seconds the system's time is behind the time that it shows.
    pub behind: u64,
    /// The format of its store; `None`: it is of a version that does not tell.
    #[serde(default)]
    pub format: Option<u16>,
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
