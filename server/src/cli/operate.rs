//! What the running server does, or this process when there is none: `app`, `key`, and `backup`.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sidekey_core::policy::Enforcement;
use zeroize::Zeroizing;

use super::given::{Common, Given, Place};
use super::maintain::block_on;
use super::{Failure, admin, app, maintain, outbox, rotate};
use crate::apps::settings::{DAY, word};
use crate::apps::{Apps, KeyShown};
use crate::backup_code_hash::BackupCodeHasher;
use crate::clock::Clock;
use crate::control::{AppLine, Authority, Command, KeyLine, Needs, Reply, Work, socket};
use crate::entropy;
use crate::http::rfc3339;
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
    let mut text = if given.json { Zeroizing::new(to_json(reply).to_string()) } else { to_text(reply) };
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

pub(super) fn no_folder(data: &Path) -> Failure {
    Failure::Settings(format!(
        "there is no data folder `{}`; name the server's with `--data FOLDER`",
        data.display()
    ))
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

fn to_json(reply: Reply) -> Value {
    match reply {
        Reply::AppCreated { app_id, name, key } => json!({
            "app_id": app_id, "name": name, "key_id": key.key_id, "api_key": key.api_key.expose(),
        }),
        Reply::Apps(apps) => apps.iter().map(app_to_json).collect(),
        Reply::App(app) => json!(app.shown()),
        Reply::KeyCreated(key) => json!({ "key_id": key.key_id, "api_key": key.api_key.expose() }),
        Reply::Keys(keys) => keys.iter().map(key_to_json).collect(),
        Reply::KeyRevoked { key_id } => json!({ "key_id": key_id, "revoked": true }),
        Reply::MasterKeysRotated { key_id, resealed, unused } => {
            json!({ "key_id": key_id, "resealed": resealed, "unused": unused })
        }
        Reply::MasterKeysRead { source, keys } => json!({ "source": source, "keys": keys }),
        Reply::MasterKeyUse { values, noted, sealing } => {
            json!({ "values": values, "noted": noted, "sealing": sealing })
        }
        Reply::SigningKeys(keys) => rotate::signing_keys_to_json(&keys),
        Reply::UsersImported { lines } => json!(lines),
        Reply::Exported { users } => json!({ "users": users }),
        Reply::BackedUp(summary) => json!(summary),
        Reply::Verified(report) => json!(report),
        Reply::LetGo => json!({ "let_go": true }),
        Reply::OutboxStanding(all) => json!(all),
        Reply::OutboxLetters { letters, .. } => json!(letters),
        Reply::OutboxChanged { count } => json!({ "changed": count }),
        Reply::Status(status) => json!(status),
        Reply::ProbeBegun { url, .. } => json!({ "url": url }),
        Reply::ProbeEnded { seen } => json!(seen),
        Reply::AuditTold { entries } => json!({ "entries": entries }),
        Reply::Operators(operators) => admin::listed_as_json(&operators),
        Reply::OperatorChanged { name, done } => json!({ "name": name, "done": done }),
    }
}

fn key_to_json(key: &KeyShown) -> Value {
    let KeyShown { key_id, created_at, revoked_at } = key;
    json!({ "key_id": key_id, "created_at": rfc3339(*created_at), "revoked_at": revoked_at.map(rfc3339) })
}

fn key_shown(key: &KeyShown) -> String {
    let KeyShown { key_id, created_at, revoked_at } = key;
    let revoked = revoked_at.map_or_else(String::new, |at| format!(", revoked {}", rfc3339(at)));
    format!("{key_id}  made {}{revoked}", rfc3339(*created_at))
}

fn app_to_json(app: &AppLine) -> Value {
    let mut value = json!({
        "app_id": app.app_id, "name": app.name, "enforcement": word(app.enforcement),
    });
    if let Enforcement::Required { grace_seconds } = app.enforcement
        && let Some(members) = value.as_object_mut()
    {
        members.insert("grace_days".to_owned(), json!(grace_seconds / DAY));
    }
    value
}

fn to_text(reply: Reply) -> Zeroizing<String> {
    Zeroizing::new(match reply {
        Reply::AppCreated { app_id, name, key } => {
            format!("Application {app_id} ({name})\n{}", key_to_text(&key))
        }
        Reply::Apps(apps) if apps.is_empty() => {
            "There is no application yet; make one with `sidekey app create --name NAME`.".to_owned()
        }
        Reply::Apps(apps) => table(&apps),
        Reply::App(app) => app::shown(&app),
        Reply::KeyCreated(key) => key_to_text(&key),
        Reply::Keys(keys) if keys.is_empty() => {
            "There is no API key; make one with `sidekey key create`.".to_owned()
        }
        Reply::Keys(keys) => keys.iter().map(key_shown).collect::<Vec<_>>().join("\n"),
        Reply::KeyRevoked { key_id } => format!("Key {key_id} is worthless from now on."),
        Reply::MasterKeysRotated { key_id, resealed, .. } => {
            format!("Everything is sealed with key {key_id}: {resealed} records were sealed anew.")
        }
        Reply::MasterKeysRead { source, keys } => format!("Keys of {source}: {}", keys.join(", ")),
        Reply::MasterKeyUse { values, .. } => {
            let lines = values.iter().map(|(id, count)| format!("{id}  seals {count} values"));
            lines.collect::<Vec<_>>().join("\n")
        }
        Reply::SigningKeys(keys) => rotate::signing_keys(&keys),
        Reply::UsersImported { lines } => {
            let lines = lines.iter().map(|line| format!("{}  {:?}", line.user_id, line.outcome));
            lines.collect::<Vec<_>>().join("\n")
        }
        Reply::Exported { users } => format!("Exported {users} users."),
        Reply::LetGo => "The server has let its store go.".to_owned(),
        Reply::BackedUp(summary) => maintain::backed_up(&summary),
        Reply::Verified(report) => maintain::verified(&report),
        Reply::OutboxStanding(all) => outbox::standing(&all),
        Reply::OutboxLetters { letters, behind } => outbox::letters(&letters, &behind),
        Reply::OutboxChanged { count } => outbox::changed(count),
        Reply::Status(status) => format!("Version {}", status.version),
        Reply::ProbeBegun { url, .. } => format!("A request to `{url}` is watched for."),
        Reply::ProbeEnded { seen } => {
            seen.map_or_else(|| "It did not come.".to_owned(), |seen| format!("It came from {}.", seen.peer))
        }
        Reply::AuditTold { entries } => format!("{entries} audit entries"),
        Reply::Operators(operators) => admin::listed(&operators),
        Reply::OperatorChanged { name, done } => admin::changed(&name, &done),
    })
}

fn key_to_text(key: &KeyLine) -> String {
    format!("Key id   {}\nAPI key  {}\nThe API key is shown only now.", key.key_id, key.api_key.expose())
}

fn table(apps: &[AppLine]) -> String {
    let width = apps.iter().map(|app| app.app_id.as_str().len()).max().unwrap_or_default();
    let mut text = String::new();
    for app in apps {
        if !text.is_empty() {
            text.push('\n');
        }
        let days = match app.enforcement {
            Enforcement::Required { grace_seconds } if grace_seconds > 0 => {
                format!(", {} days of grace", grace_seconds / DAY)
            }
            _ => String::new(),
        };
        let (id, name, word) = (app.app_id.as_str(), &app.name, word(app.enforcement));
        // Writing to a string cannot fail.
        let _ = write!(text, "{id:width$}  {name} ({word}{days})");
    }
    text
}

#[cfg(test)]
mod tests {
    use sidekey_core::id::AppId;

    use super::*;
    use crate::apps::{ApiKey, NewApp, ReturnUrls};
    use crate::cli::master_key::GivenKey;
    use crate::entropy::Entropy;
    use crate::keyring::{Keyring, MasterKey, sources, unlock};

    fn line(id: &str, enforcement: Enforcement) -> AppLine {
        AppLine { app_id: AppId::parse(id).unwrap(), name: "Shop".to_owned(), enforcement }
    }

    fn key() -> KeyLine {
        KeyLine { key_id: "k1".to_owned(), api_key: ApiKey::from_text("sidekey_x".to_owned()) }
    }

    #[test]
    fn json_has_the_documented_members() {
        let created =
            Reply::AppCreated { app_id: AppId::parse("shop").unwrap(), name: "Shop".to_owned(), key: key() };
        assert_eq!(
            to_json(created),
            json!({"app_id": "shop", "name": "Shop", "key_id": "k1", "api_key": "sidekey_x"})
        );
        assert_eq!(to_json(Reply::KeyCreated(key())), json!({"key_id": "k1", "api_key": "sidekey_x"}));
        let required = Enforcement::Required { grace_seconds: 7 * DAY };
        assert_eq!(
            to_json(Reply::Apps(vec![line("a", Enforcement::AdminsOnly), line("b", required)])),
            json!([
                {"app_id": "a", "name": "Shop", "enforcement": "admins"},
                {"app_id": "b", "name": "Shop", "enforcement": "required", "grace_days": 7},
            ])
        );
    }

    #[test]
    fn text_is_a_table() {
        let apps = vec![
            line("a", Enforcement::Optional),
            line("longer", Enforcement::Required { grace_seconds: DAY }),
        ];
        let text = to_text(Reply::Apps(apps));
        assert_eq!(*text, "a       Shop (optional)\nlonger  Shop (required, 1 days of grace)");
    }

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
        assert_eq!(apps, [line("shop", Enforcement::Optional)]);
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
