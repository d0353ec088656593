//! The orders.

use serde::{Deserialize, Serialize};
use sidekey_core::id::AppId;

use crate::apps::{Edit, NewApp};
use crate::import::WireUser;
use crate::operators::{OperatorName, Password, Role};
use crate::outbox::Name;
use crate::outbox::orders::Chosen;
use crate::store::moving::Mark;
use crate::trail::export::Stretch;
use crate::trail::query::Query;

/// An order to the server.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Makes an app and its first API key.
    CreateApp(NewApp),
    /// Lists all apps.
    ListApps,
    /// Tells the settings of an app.
    ShowApp {
        /// Its id.
        app: AppId,
    },
    /// Changes settings of an app.
    ChangeApp {
        /// Its id.
        app: AppId,
        /// What becomes what.
        edits: Vec<Edit>,
    },
    /// Gives an app one more API key.
    CreateKey {
        /// Its id.
        app: AppId,
    },
    /// Lists the API keys of an app.
    ListKeys {
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
    /// Reads the master keys anew, and seals everything with the first of them.
    RotateMasterKeys {
        /// The key that the operator expects to be the first.
        first: Option<String>,
    },
    /// Reads the master keys anew.
    ReloadMasterKeys,
    /// Counts what is sealed with which master key.
    MasterKeyUse,
    /// Makes the next key that signs access tokens.
    RotateSigningKeys {
        /// Seconds until it signs.
        overlap: u64,
    },
    /// Lists the keys that sign access tokens.
    ListSigningKeys,
    /// Takes over users of another product.
    ImportUsers {
        /// Whose users they become.
        app: AppId,
        /// The users.
        users: Vec<WireUser>,
        /// Whether it is only told what would be done.
        dry_run: bool,
    },
    /// Hands over the users of an app with their devices, in parts.
    Export {
        /// The app.
        app: AppId,
        /// The ids of the keys that seal the export: no master key may be among them.
        sealed_with: Vec<String>,
    },
    /// Makes a backup, which comes in parts.
    Backup,
    /// Checks everything that is stored.
    Verify,
    /// Has the running server mark its data folder, whose store moves to a database, and end.
    LetGo(Mark),
    /// Tells how the destinations of events stand.
    OutboxStanding,
    /// Lists what was not delivered.
    OutboxLetters {
        /// To this destination; `None`: to any.
        destination: Option<Name>,
    },
    /// Has letters delivered again.
    OutboxRevive(Chosen),
    /// Gives letters up.
    OutboxGiveUp(Chosen),
    /// Forgets a destination.
    OutboxForget {
        /// Which.
        destination: Name,
    },
    /// Asks the running server how it stands.
    Status,
    /// Has the running server watch for one request to it.
    BeginProbe,
    /// Asks by which way that request came.
    EndProbe {
        /// What it carried.
        marker: String,
    },
    /// Reads the audit trail, which comes in parts.
    Audit(Query),
    /// Hands over a stretch of the audit trail with its hashes, in parts.
    AuditExport(Stretch),
    /// Makes an operator of the admin area.
    CreateOperator {
        /// Their name.
        name: OperatorName,
        /// What they may do.
        role: Role,
        /// What they sign in with.
        password: Password,
    },
    /// Lists all operators.
    ListOperators,
    /// Gives an operator another role.
    SetOperatorRole {
        /// Their name.
        name: OperatorName,
        /// What they may do from now on.
        role: Role,
    },
    /// Gives an operator another password.
    ResetOperatorPassword {
        /// Their name.
        name: OperatorName,
        /// What they sign in with from now on.
        password: Password,
    },
    /// Takes away an operator's devices and backup codes.
    ResetOperatorSecondFactor {
        /// Their name.
        name: OperatorName,
    },
    /// Removes an operator.
    RemoveOperator {
        /// Their name.
        name: OperatorName,
    },
}

/// What has to be at hand of the master key to carry out a command on a store that no server has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it is only looked at.
    Nothing,
    /// The store has to be opened with it, to be changed or to authenticate a backup.
    Unlocking,
    /// The keys themselves: something is sealed, opened or hashed.
    Keyring,
}

impl Command {
    /// What it needs of the master key.
    pub fn needs(&self) -> Needs {
        match self {
            Self::ListApps
            | Self::ShowApp { .. }
            | Self::ListKeys { .. }
            | Self::Verify
            | Self::MasterKeyUse
            | Self::ListSigningKeys
            | Self::Status
            | Self::BeginProbe
            | Self::EndProbe { .. }
            | Self::OutboxStanding
            | Self::OutboxLetters { .. }
            | Self::Audit(_)
            | Self::AuditExport(_)
            | Self::LetGo(_)
            | Self::ListOperators => Needs::Nothing,
            Self::CreateApp(_)
            | Self::ChangeApp { .. }
            | Self::CreateKey { .. }
            | Self::RevokeKey { .. }
            | Self::ReloadMasterKeys
            | Self::Backup
            | Self::OutboxRevive(_)
            | Self::OutboxGiveUp(_)
            | Self::OutboxForget { .. }
            | Self::SetOperatorRole { .. }
            | Self::ResetOperatorSecondFactor { .. }
            | Self::RemoveOperator { .. } => Needs::Unlocking,
            Self::RotateMasterKeys { .. }
            | Self::RotateSigningKeys { .. }
            | Self::ImportUsers { .. }
            | Self::Export { .. }
            | Self::CreateOperator { .. }
            | Self::ResetOperatorPassword { .. } => Needs::Keyring,
        }
    }
}
