//! What an operator may do from the command line, with a running server or without one.
//!
//! - this file: [`Work`], which carries an order out, the same on both ways;
//! - `command`, `reply`: the orders, and what comes of them;
//! - `audit`: the audit trail;
//! - [`door`]: how a running server lets its store go;
//! - `import`, `export`: users of other products, and users for them;
//! - `keys`: those about master keys and signing keys;
//! - `operators`: those about the operators of the admin area;
//! - `outbox`: events that were not delivered;
//! - [`socket`]: the way to a running server, which holds the lock on the store.

mod audit;
mod command;
mod door;
mod export;
mod import;
mod keys;
mod operators;
mod outbox;
mod reply;
pub mod socket;

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::apps::{App, AppError, Apps};
use crate::audit::{Actor, Origin};
use crate::backup_code_hash::BackupCodeHasher;
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::import::apply::ImportError;
use crate::maintenance::Part;
use crate::maintenance::backup::{self, BackupError};
use crate::maintenance::check::{self};
use crate::master_keys::MasterKeys;
use crate::operators::OperatorError;
use crate::outbox::Name;
use crate::outbox::orders;
use crate::probe::Probes;
use crate::store::{Engine, FORMAT, StoreError};
use crate::token::Signer;
use crate::trail::query::QueryError;
pub use command::{Command, Needs};
pub use door::Door;
pub use keys::KeyError;
pub use outbox::OutboxError;
pub use reply::{AppLine, KeyLine, Reply, Status};

/// Parts that are made before the first of them is handed over.
const PARTS_AHEAD: usize = 4;

/// The right to change apps and keys, and to read everything as it is stored. Whoever can open the data folder has it.
#[derive(Clone)]
pub struct Authority {
    /// The records.
    pub engine: Arc<dyn Engine>,
    /// What is sealed in them is opened and sealed anew with these; only some commands need them.
    pub keys: Option<Arc<MasterKeys>>,
    /// Hashes backup codes; at hand where the keys are.
    pub hasher: Option<Arc<BackupCodeHasher>>,
    /// In a running server, what signs its access tokens.
    pub signer: Option<Arc<Signer>>,
    /// In a running server, whom it tells of events.
    pub destinations: Vec<Name>,
    /// In a running server, the requests of `sidekey doctor`.
    pub probes: Option<Arc<Probes>>,
    /// In a running server whose store is in its data folder, what lets the store go.
    pub door: Option<Arc<Door>>,
    /// The apps; in a running server the same value that its requests use, or a revoked key would live on.
    pub apps: Apps,
    /// The time.
    pub clock: Clock,
}

/// Why a command was not carried out. The texts are for the operator.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// About apps and keys.
    #[error(transparent)]
    App(#[from] AppError),
    /// About master keys and signing keys.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// About a backup.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// About operators.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// Too many passwords are being tried.
    #[error("the server is busy with other passwords; try again")]
    Busy,
    /// About destinations of events.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The store is not available.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no running server.
    #[error("this is known while a server runs")]
    NoServer,
    /// Some users of a batch were not taken over.
    #[error("the import was broken off: {0}. Run it again: who was taken over stays so")]
    ImportBrokenOff(ImportError),
    /// About the audit trail.
    #[error(transparent)]
    Trail(#[from] QueryError),
    /// Nobody takes the users any more.
    #[error("the export was broken off")]
    ExportBrokenOff,
    /// The store is no data folder's.
    #[error("the server has no store in its data folder that it could let go")]
    NotInFolder,
    /// The folder cannot be marked.
    #[error("the data folder cannot be marked: {0}")]
    Mark(std::io::Error),
    /// There is a mistake in the program.
    #[error("the command stopped unexpectedly, see the server's log")]
    Panicked,
}

/// Carries out a command. What comes out before it is done goes to `parts`.
///
/// # Errors
/// When the command cannot be done, or the store fails; the text is for the operator.
pub async fn execute(
    authority: &Authority,
    command: Command,
    parts: mpsc::Sender<Part>,
) -> Result<Reply, CommandError> {
    let Authority { engine, keys, apps, clock, .. } = authority;
    let origin = Origin::local(Actor::Operator, clock.now());
    if let Some(outcome) = operators::execute(authority, &command, &origin).await {
        return outcome;
    }
    match command {
        Command::CreateApp(new) => {
            let (app, key) = apps.create(new, &origin, &mut Entropy).await?;
            let key = KeyLine { key_id: key.key_id, api_key: key.api_key };
            Ok(Reply::AppCreated { app_id: app.id, name: app.name, key })
        }
        Command::ListApps => {
            let apps = apps.list().await?.into_iter();
            let line = |app: App| AppLine { app_id: app.id, name: app.name, enforcement: app.enforcement };
            Ok(Reply::Apps(apps.map(line).collect()))
        }
        Command::ShowApp { app } => {
            let found = apps.find(&app).await?.ok_or(AppError::UnknownApp(app))?;
            Ok(Reply::App(Box::new((*found).clone())))
        }
        Command::ChangeApp { app, edits } => {
            Ok(Reply::App(Box::new(apps.change(&app, &edits, &origin).await?)))
        }
        Command::CreateKey { app } => {
            let key = apps.create_key(&app, &origin, &mut Entropy).await?;
            Ok(Reply::KeyCreated(KeyLine { key_id: key.key_id, api_key: key.api_key }))
        }
        Command::ListKeys { app } => Ok(Reply::Keys(apps.keys(&app).await?)),
        Command::RevokeKey { app, key_id } => {
            apps.revoke_key(&app, &key_id, &origin).await?;
            Ok(Reply::KeyRevoked { key_id })
        }
        Command::RotateMasterKeys { first } => {
            keys::rotate_master_keys(authority, first, &origin, &parts).await
        }
        Command::ReloadMasterKeys => keys::reload_master_keys(authority, &origin).await,
        Command::MasterKeyUse => keys::master_key_use(authority, &parts).await,
        Command::RotateSigningKeys { overlap } => {
            keys::rotate_signing_keys(authority, overlap, &origin).await
        }
        Command::ListSigningKeys => keys::list_signing_keys(authority).await,
        Command::ImportUsers { app, users, dry_run } => {
            import::import_users(authority, &app, &users, dry_run, &origin, &parts).await
        }
        Command::Export { app, sealed_with } => {
            export::export(authority, &app, &sealed_with, &origin, &parts).await
        }
        Command::Backup => Ok(Reply::BackedUp(backup::write(&**engine, clock.now(), parts).await?)),
        Command::OutboxStanding => Ok(Reply::OutboxStanding(orders::standing(&**engine).await?)),
        Command::OutboxLetters { destination } => outbox::letters(authority, destination.as_ref()).await,
        Command::OutboxRevive(chosen) => outbox::revive(authority, &chosen).await,
        Command::OutboxGiveUp(chosen) => outbox::give_up(authority, &chosen).await,
        Command::OutboxForget { destination } => outbox::forget(authority, &destination).await,
        Command::Status => Ok(Reply::Status(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            is_healthy: engine.is_healthy(),
            behind: clock.behind(),
            format: Some(FORMAT),
        })),
        Command::BeginProbe => {
            let probes = authority.probes.as_ref().ok_or(CommandError::NoServer)?;
            let (url, is_named) = (probes.url().to_owned(), probes.is_named());
            Ok(Reply::ProbeBegun { marker: probes.begin(Clock::instant()), url, is_named })
        }
        Command::EndProbe { marker } => {
            let probes = authority.probes.as_ref().ok_or(CommandError::NoServer)?;
            Ok(Reply::ProbeEnded { seen: probes.end(&marker, Clock::instant()) })
        }
        Command::Audit(query) => audit::audit(authority, &query, &parts).await,
        Command::AuditExport(stretch) => audit::export(authority, stretch, &parts).await,
        Command::CreateOperator { .. }
        | Command::ListOperators
        | Command::SetOperatorRole { .. }
        | Command::ResetOperatorPassword { .. }
        | Command::ResetOperatorSecondFactor { .. }
        | Command::RemoveOperator { .. } => Err(CommandError::Panicked),
        Command::LetGo(mark) => {
            let door = authority.door.as_ref().ok_or(CommandError::NotInFolder)?;
            door.let_go(&mark).map_err(CommandError::Mark)?;
            Ok(Reply::LetGo)
        }
        Command::Verify => {
            // Whether anybody still watches or not, the check goes on.
            let keyring = keys.as_ref().map(|keys| keys.current());
            let progress = move |done, total| drop(parts.blocking_send(Part::Progress { done, total }));
            Ok(Reply::Verified(check::check_engine(&**engine, keyring, progress).await?))
        }
    }
}

/// A command that is being carried out. It goes on when this is dropped, but for a backup or an export, which nobody takes then.
#[derive(Debug)]
pub struct Work {
    parts: mpsc::Receiver<Part>,
    outcome: JoinHandle<Result<Reply, CommandError>>,
}

impl Work {
    /// Begins a command.
    pub fn begin(authority: Authority, command: Command) -> Self {
        let (parts, waiting) = mpsc::channel(PARTS_AHEAD);
        let outcome = tokio::spawn(async move { execute(&authority, command, parts).await });
        Self { parts: waiting, outcome }
    }

    /// What comes out next; `None` when the command is done.
    pub async fn next(&mut self) -> Option<Part> {
        self.parts.recv().await
    }

    /// What came of it.
    ///
    /// # Errors
    /// As [`execute`].
    pub async fn outcome(self) -> Result<Reply, CommandError> {
        self.outcome.await.unwrap_or(Err(CommandError::Panicked))
    }
}
