//! `store copy` and `store undo`: the store moves between a data folder and a database.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::Failure;
use super::given::{self, no_folder};
use super::master_key::GivenKey;
use super::output::{counted, counted_as, print};
use super::progress::Progress;
use crate::clock::Clock;
use crate::config::{StoreChoice, StoreSettings};
use crate::maintenance::copy::{self, Copied, CopyError, Outcome, TakenBack, to_database, to_folder};
use crate::store::OpenError;
use crate::store::postgres::connect::Options;
use crate::store::postgres::moving::{MoveError, Place};

/// What keeps a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum EngineName {
    /// A data folder
    Sled,
    /// A database
    Postgres,
}

impl EngineName {
    fn word(self) -> &'static str {
        match self {
            Self::Sled => "sled",
            Self::Postgres => "postgres",
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum StoreVerb {
    /// Move the store from a data folder to a database, or back: it is served from the one or the other, never from both
    Copy {
        /// Where the store is
        #[arg(long, value_name = "ENGINE")]
        from: EngineName,
        /// Where it goes; nothing may be there
        #[arg(long, value_name = "ENGINE")]
        to: EngineName,
        /// Only look and count; nothing is changed
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        places: Places,
    },
    /// Take a copy back that was begun and has not ended: the store is served from where it was
    Undo {
        #[command(flatten)]
        places: Places,
    },
}

/// The folder and the database.
#[derive(Debug, Args)]
pub(super) struct Places {
    /// The data folder whose store it is, or becomes
    #[arg(long, env = "SIDEKEY_DATA", default_value = "./data", value_name = "FOLDER")]
    data: PathBuf,
    /// A server's file of settings: its database and key file count where nothing else is said; its data folder does not
    #[arg(long, env = "SIDEKEY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    store: StoreSettings,
    /// Take a database that may lose what it acknowledges, as `serve --development` does
    #[arg(long, env = "SIDEKEY_DEVELOPMENT")]
    development: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    key: GivenKey,
}

impl Places {
    /// With what the file says.
    fn read(self) -> Result<Self, Failure> {
        // Not the data folder: that of the servers of a database has no store, and takes none.
        let said = given::said(self.config, None, self.key, self.store, self.development)?;
        Ok(Self {
            data: self.data,
            config: None,
            store: said.store,
            development: said.development.unwrap_or(false),
            json: self.json,
            key: GivenKey { master_key_file: said.master_key_file },
        })
    }

    fn database(&self) -> Result<Box<Options>, Failure> {
        let store = StoreSettings { engine: Some("postgres".to_owned()), ..self.store.clone() };
        match store.check(self.development).map_err(Failure::Settings)? {
            StoreChoice::Postgres(options) => Ok(options),
            StoreChoice::Sled { .. } => Err(failed(CopyError::DatabaseNeeded)),
        }
    }

    fn names_database(&self) -> bool {
        self.store.url.is_some() || self.store.url_file.is_some()
    }

    fn connect(&self, runtime: &Runtime) -> Result<Place, Failure> {
        let options = self.database()?;
        runtime.block_on(Place::connect(&options)).map_err(Failure::runtime)
    }
}

impl StoreVerb {
    /// Runs it.
    ///
    /// # Errors
    /// The store does not move; what to do is told.
    pub(super) fn run(self) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(Failure::runtime)?;
        match self {
            Self::Copy { from, to, .. } if from == to => Err(Failure::settings(
                "`--from` and `--to` name the same engine; copy folders with `cp`, and only while no server runs",
            )),
            Self::Copy { from, to, dry_run: true, places } => look(from, to, &places.read()?, &runtime),
            Self::Copy { from, to, dry_run: false, places } => make(from, to, &places.read()?, &runtime),
            Self::Undo { places } => undo(&places.read()?, &runtime),
        }
    }
}

fn make(from: EngineName, to: EngineName, places: &Places, runtime: &Runtime) -> Result<(), Failure> {
    let Places { data, json, key, .. } = places;
    if from == EngineName::Sled && !data.exists() {
        return Err(no_folder(data));
    }
    let place = places.connect(runtime)?;
    let keyring = key.load(Some(data))?.map(Arc::new);
    let mut progress = Progress::new("Copying");
    let mut show = |done, total| progress.show(done, total);
    let (keyring, now, handle) = (keyring.as_ref(), Clock::system().now(), runtime.handle());
    let outcome = match to {
        EngineName::Postgres => to_database::to_database(data, place, keyring, now, handle, &mut show),
        EngineName::Sled => to_folder::to_folder(data, place, keyring, now, handle, &mut show),
    };
    drop(progress);
    let outcome = outcome.map_err(failed)?;
    print(&if *json { told(from, to, &outcome).to_string() } else { recounted(to, &outcome, data) })
}

fn look(from: EngineName, to: EngineName, places: &Places, runtime: &Runtime) -> Result<(), Failure> {
    let Places { data, json, key, .. } = places;
    if from == EngineName::Sled && !data.exists() {
        return Err(no_folder(data));
    }
    let place = places.connect(runtime)?;
    let (records, audit_entries) = if from == EngineName::Sled {
        let keyring = key.load(Some(data))?.map(Arc::new);
        let mut progress = Progress::new("Checking");
        let mut show = |done, total| progress.show(done, total);
        let report = to_database::look(data, &place, keyring.as_ref(), runtime.handle(), &mut show);
        let report = report.map_err(failed)?;
        if let Some(finding) = report.findings.into_iter().next() {
            return Err(failed(CopyError::Damaged(finding)));
        }
        let tally = report.tally;
        (tally.records.saturating_sub(tally.audit_entries), tally.audit_entries)
    } else {
        runtime.block_on(to_folder::look(data, &place)).map_err(failed)?
    };
    print(&if *json {
        json!({
            "from": from.word(), "to": to.word(), "dry_run": true, "records": records, "audit_entries": audit_entries,
        })
        .to_string()
    } else {
        format!(
            "Would copy {} and {}. Nothing was changed.",
            counted(records, "record"),
            counted_as(audit_entries, "audit entry", "audit entries")
        )
    })
}

fn undo(places: &Places, runtime: &Runtime) -> Result<(), Failure> {
    let Places { data, json, .. } = places;
    let place = if places.names_database() { Some(places.connect(runtime)?) } else { None };
    let back = copy::undo(data, place, runtime.handle()).map_err(failed)?;
    print(&match (back, *json) {
        (TakenBack::Folder, true) => json!({ "served_from": "sled" }).to_string(),
        (TakenBack::Database, true) => json!({ "served_from": "postgres" }).to_string(),
        (TakenBack::Folder, false) => format!(
            "The store in `{}` may be served again. What was copied to the database is worthless; another copy goes on from it.",
            data.display()
        ),
        (TakenBack::Database, false) => {
            "The store in the database is served again: its servers go on by themselves. The folder that it was being copied to is \
             worthless and can be removed."
                .to_owned()
        }
    })
}

fn failed(error: CopyError) -> Failure {
    match error {
        CopyError::KeyNeeded
        | CopyError::Unlock(_)
        | CopyError::DatabaseNeeded
        | CopyError::NothingMoves
        | CopyError::OtherDatabase(_)
        | CopyError::NotOfDatabase(_)
        | CopyError::Folder(
            OpenError::NotEmpty { .. } | OpenError::NotAFolder { .. } | OpenError::NoStore { .. },
        )
        | CopyError::Move(MoveError::NotEmpty(_) | MoveError::NoStore) => Failure::settings(error),
        error => Failure::runtime(error),
    }
}

fn told(from: EngineName, to: EngineName, outcome: &Outcome) -> Value {
    let Outcome::Moved(Copied { store, tally, records, digest, chain }) = outcome else {
        return json!({ "from": from.word(), "to": to.word(), "dry_run": false, "was_complete": true });
    };
    json!({
        "from": from.word(),
        "to": to.word(),
        "dry_run": false,
        "was_complete": false,
        "store": HEXLOWER.encode(store),
        "records": records,
        "audit_entries": tally.audit_entries,
        "apps": tally.apps,
        "accounts": tally.accounts,
        "secrets": tally.secrets,
        "digest": digest,
        "chain": chain,
    })
}

fn recounted(to: EngineName, outcome: &Outcome, data: &Path) -> String {
    let data = data.display();
    let copied = match outcome {
        Outcome::WasMoved => {
            "An earlier run had copied everything, and was cut short before it could say so.".to_owned()
        }
        Outcome::Moved(Copied { tally, records, digest, chain, .. }) => format!(
            "Copied {} and {}: {}, {} with {}. All of it was read back: digest {digest}, chain of the audit log {chain}.",
            counted(*records, "record"),
            counted_as(tally.audit_entries, "audit entry", "audit entries"),
            counted(tally.apps, "app"),
            counted(tally.accounts, "account"),
            counted(tally.secrets, "secret"),
        ),
    };
    let next = match to {
        EngineName::Postgres => format!(
            "The store is in the database now, and `{data}` is never served again. Start servers with `store.engine = \"postgres\"`,\n\
             the same master key, and other data folders. Logins, sessions and tokens go on."
        ),
        EngineName::Sled => format!(
            "The store is in `{data}` now, and the database is never served again. Start one server with `--data {data}` and the\n\
             same master key. Logins, sessions and tokens go on."
        ),
    };
    format!("{copied}\n{next}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maintenance::check::Tally;

    #[test]
    fn the_database_and_the_key_may_stand_in_a_file_of_settings_and_the_folder_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "data = \"/srv/servers\"\nmaster_key_file = \"/etc/key\"\n\
                    [store]\nengine = \"postgres\"\nurl = \"host=/run/postgresql user=a dbname=b\"\n";
        std::fs::write(file.path(), text).unwrap();
        let places = |store| Places {
            data: "/srv/old".into(),
            config: Some(file.path().into()),
            store,
            development: false,
            json: true,
            key: GivenKey::default(),
        };
        let read = places(StoreSettings::default()).read().unwrap();
        assert!(read.names_database() && read.json);
        assert_eq!(read.database().unwrap().config.get_dbname(), Some("b"));
        assert_eq!(read.key.master_key_file.as_deref(), Some(Path::new("/etc/key")));
        assert_eq!(read.data, Path::new("/srv/old"));
        let url = Some("host=/run/postgresql user=a dbname=c".to_owned());
        let read = places(StoreSettings { url, ..StoreSettings::default() }).read().unwrap();
        assert_eq!(read.database().unwrap().config.get_dbname(), Some("c"), "what is typed counts first");
    }

    #[test]
    fn what_was_copied_is_told_with_its_sums_and_where_it_is_served_from_now_on() {
        let tally = Tally { records: 9, apps: 1, accounts: 2, secrets: 2, audit_entries: 3 };
        let (digest, chain) = ("aa".to_owned(), "bb".to_owned());
        let outcome = Outcome::Moved(Copied { store: [7; 16], tally, records: 6, digest, chain });
        let text = recounted(EngineName::Postgres, &outcome, Path::new("/old"));
        assert!(
            text.starts_with("Copied 6 records and 3 audit entries: 1 app, 2 accounts with 2 secrets."),
            "{text}"
        );
        assert!(text.contains("`/old` is never served again"), "{text}");
        let json = told(EngineName::Sled, EngineName::Postgres, &outcome);
        assert_eq!((json["store"].as_str(), json["digest"].as_str()), (Some(&*"07".repeat(16)), Some("aa")));
        let again = told(EngineName::Postgres, EngineName::Sled, &Outcome::WasMoved);
        assert_eq!((&again["was_complete"], &again["to"]), (&json!(true), &json!("sled")));
        let back = recounted(EngineName::Sled, &Outcome::WasMoved, Path::new("/new"));
        assert!(back.contains("the database is never served again"), "{back}");
    }
}
