//! How a command is carried out: by the running server, or by this process on the store, in the data folder or in a database.
//!
//! - [`run`]: one command whose reply is all that is printed;
//! - [`carry_out`]: one command whose parts and reply the caller looks at;
//! - [`Series`]: several on one opened store;
//! - [`reach`]: only the way there, for what works on the files themselves.

use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::given::{Common, Given, Place};
use super::{Failure, block_on, reply};
use crate::apps::Apps;
use crate::backup_code_hash::BackupCodeHasher;
use crate::clock::Clock;
use crate::control::{Authority, Command, Needs, Reply, Work, socket};
use crate::entropy;
use crate::maintenance::Part;
use crate::store::sled::Options;
use crate::store::{Engine, OpenError, PostgresEngine, SledEngine};

/// Attempts to reach a server that has the store open and does not answer yet: it may just be starting.
const ATTEMPTS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// Carries out a command and prints its reply.
///
/// # Errors
/// When the command is refused, or neither a server nor the store can be reached.
pub(super) fn run(command: Command, common: Common) -> Result<(), Failure> {
    let given = common.read()?;
    let was_missing = given.is_folder_missing();
    let reply = block_on(carry_out(command, &given, &mut |_| Ok(())))?;
    if was_missing && !given.is_folder_missing() {
        // Perhaps on purpose, and perhaps the server's lies elsewhere and will never know what was made here.
        eprintln!(
            "note: there was no data folder `{}`: it was made, and no server has used it yet",
            given.data.display()
        );
    }
    let mut text =
        if given.json { Zeroizing::new(reply::to_json(reply).to_string()) } else { reply::to_text(reply) };
    text.push('\n');
    io::stdout().write_all(text.as_bytes()).map_err(Failure::runtime)
}

/// Carries out a command, on the running server or here; what comes out before the reply goes to `take`.
///
/// # Errors
/// As [`run`]; or `take` fails.
pub(super) async fn carry_out(command: Command, given: &Given, take: Take<'_>) -> Result<Reply, Failure> {
    let mut series = Series::new(given);
    let reply = series.carry_out(command, take).await;
    series.end().await.and(reply)
}

fn open(data: &Path) -> Result<SledEngine, OpenError> {
    SledEngine::open(data, &Options::new(entropy::random()))
}

/// Commands of one kind, one after another: on the running server, or on the store, which is opened once.
pub(super) struct Series<'a> {
    given: &'a Given,
    alone: Option<Alone>,
}

impl<'a> Series<'a> {
    pub(super) fn new(given: &'a Given) -> Self {
        Self { given, alone: None }
    }

    /// Carries out the next one.
    ///
    /// # Errors
    /// As [`carry_out`].
    pub(super) async fn carry_out(&mut self, command: Command, take: Take<'_>) -> Result<Reply, Failure> {
        let Self { given, alone } = self;
        if let Some(alone) = alone {
            return alone.carry_out(command, take).await;
        }
        if !matches!(command, Command::CreateApp(_)) {
            given.check_is_there()?;
        }
        let engine: Arc<dyn Engine> = match reach(&command, given, take, || open(&given.data)).await? {
            Reached::Server(reply) => return Ok(reply),
            Reached::Folder(engine) => Arc::new(engine),
            Reached::Database(engine) => Arc::new(engine),
        };
        let opened = alone.insert(Alone::begin(engine, &command, given).await?);
        opened.carry_out(command, take).await
    }

    /// Closes the store, if it was opened.
    ///
    /// # Errors
    /// It fails.
    pub(super) async fn end(self) -> Result<(), Failure> {
        match self.alone {
            Some(alone) => alone.end().await,
            None => Ok(()),
        }
    }
}

/// Takes what comes out before a reply.
pub(super) type Take<'a> = &'a mut dyn FnMut(Part) -> Result<(), String>;

/// Who has the store.
pub(super) enum Reached<T> {
    /// A server, and it has carried the command out.
    Server(Reply),
    /// This process, in the data folder.
    Folder(T),
    /// A database, on which this process works beside others.
    Database(PostgresEngine),
}

/// Asks the running server, or opens the store if there is none.
///
/// # Errors
/// The server refused, or neither a server nor the store can be reached.
pub(super) async fn reach<T>(
    command: &Command,
    given: &Given,
    take: Take<'_>,
    mut open: impl FnMut() -> Result<T, OpenError>,
) -> Result<Reached<T>, Failure> {
    let data = &given.data;
    for _ in 0..ATTEMPTS {
        if let Some(reply) = socket::ask(data, command, &mut *take).await.map_err(Failure::Runtime)? {
            return Ok(Reached::Server(reply));
        }
        if let Place::Database(options) = given.place()? {
            return Ok(Reached::Database(given.open_database(&options).await?));
        }
        if data.exists() {
            check_owner(data)?;
        }
        match open() {
            Ok(opened) => return Ok(Reached::Folder(opened)),
            Err(OpenError::Locked { .. }) => tokio::time::sleep(PAUSE).await,
            Err(error) => return Err(Failure::runtime(error)),
        }
    }
    Err(Failure::Runtime(format!(
        "the data folder `{}` is in use by a server that does not answer on its control socket",
        data.display()
    )))
}

/// Files that another user made here would keep the server from starting.
fn check_owner(data: &Path) -> Result<(), Failure> {
    let owner = std::fs::metadata(data)
        .map_err(|error| {
            Failure::Runtime(format!("cannot use the data folder `{}`: {error}", data.display()))
        })?
        .uid();
    if owner == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(Failure::Runtime(format!(
        "the data folder `{}` belongs to user {owner}: run this command as that user",
        data.display()
    )))
}

/// This process has the store open.
struct Alone {
    authority: Authority,
}

impl Alone {
    /// Opens what is sealed in it, as the command needs it.
    async fn begin(engine: Arc<dyn Engine>, command: &Command, given: &Given) -> Result<Self, Failure> {
        let Given { data, key, .. } = given;
        let clock = Clock::system();
        clock.not_before(engine.high_water());
        let (mut keys, mut hasher) = (None, None);
        match command.needs() {
            // The latest entries are numbered by whoever reads the trail, and the head is sealed anew then.
            Needs::Nothing
                if engine.is_shared() && matches!(command, Command::Audit(_) | Command::AuditExport(_)) =>
            {
                key.unlock(&*engine, data).await?;
            }
            Needs::Nothing => {}
            Needs::Unlocking => {
                key.unlock(&*engine, data).await?;
            }
            Needs::Keyring => {
                let (opened, pepper) = key.open(Arc::clone(&engine), data, clock.now()).await?;
                keys = Some(Arc::new(opened));
                hasher = Some(Arc::new(BackupCodeHasher::new(Arc::new(pepper))));
            }
        }
        let (apps, destinations) = (Apps::new(Arc::clone(&engine)), Vec::new());
        let (signer, probes, door) = (None, None, None);
        Ok(Self {
            authority: Authority { engine, keys, hasher, signer, destinations, probes, door, apps, clock },
        })
    }

    async fn carry_out(&self, command: Command, take: Take<'_>) -> Result<Reply, Failure> {
        let mut work = Work::begin(self.authority.clone(), command);
        while let Some(part) = work.next().await {
            take(part).map_err(Failure::Runtime)?;
        }
        work.outcome().await.map_err(Failure::runtime)
    }

    async fn end(self) -> Result<(), Failure> {
        let engine = self.authority.engine;
        let closed = engine.close().await.map_err(Failure::runtime);
        if closed.is_err() {
            // As `serve` does it: what has failed is not written once more.
            std::mem::forget(engine);
        }
        closed
    }
}

#[cfg(test)]
mod tests {
    use sidekey_core::id::AppId;
    use sidekey_core::policy::Enforcement;

    use super::*;
    use crate::apps::{NewApp, ReturnUrls};
    use crate::cli::master_key::GivenKey;
    use crate::control::AppLine;
    use crate::entropy::Entropy;
    use crate::keyring::{Keyring, MasterKey, sources, unlock};

    async fn carry_out(command: Command, data: &Path, key: &GivenKey) -> Result<Reply, Failure> {
        super::carry_out(command, &Given::of_folder(data, key.clone()), &mut |_| Ok(())).await
    }

    fn create() -> Command {
        Command::CreateApp(NewApp {
            id: None,
            name: "Shop".to_owned(),
            enforcement: Enforcement::Optional,
            return_urls: ReturnUrls::default(),
        })
    }

    #[tokio::test]
    async fn without_a_server_the_store_is_opened_and_closed_again() {
        let folder = tempfile::tempdir().unwrap();
        let (data, key) = (folder.path().join("data"), GivenKey::default());
        let refused = carry_out(Command::ListApps, &data, &key).await.unwrap_err();
        assert!(matches!(refused, Failure::Settings(text) if text.contains("no data folder")));
        carry_out(create(), &data, &key).await.unwrap();
        let reply = carry_out(Command::ListApps, &data, &key).await.unwrap();
        let Reply::Apps(apps) = reply else { panic!("no list") };
        let (app_id, name) = (AppId::parse("shop").unwrap(), "Shop".to_owned());
        assert_eq!(apps, [AppLine { app_id, name, enforcement: Enforcement::Optional }]);
    }

    #[tokio::test]
    async fn a_store_that_a_server_has_sealed_is_changed_with_its_key_only() {
        let folder = tempfile::tempdir().unwrap();
        let (data, file) = (folder.path().join("data"), folder.path().join("master.key"));
        let key = MasterKey::generate(&mut Entropy);
        sources::write_new(&file, &key).unwrap();
        let engine = SledEngine::open(&data, &Options::new([7; 16])).unwrap();
        unlock(&engine, &Keyring::new(key), &mut Entropy).await.unwrap();
        drop(engine);

        let without = GivenKey::default();
        let refused = carry_out(create(), &data, &without).await.unwrap_err();
        assert!(matches!(refused, Failure::Settings(text) if text.contains("--master-key-file")));
        assert!(
            matches!(carry_out(Command::ListApps, &data, &without).await, Ok(Reply::Apps(apps)) if apps.is_empty())
        );
        let with = GivenKey { master_key_file: Some(file) };
        assert!(matches!(carry_out(create(), &data, &with).await, Ok(Reply::AppCreated { .. })));
    }
}
