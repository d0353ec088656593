//! What each command that works on a store is told: where the store is, and its master key. The one place that decides between a data
//! folder and a database.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;

use super::master_key::GivenKey;
use super::{Failure, listed};
use crate::config::{DATA, ServeSettings, StoreChoice, StoreSettings};
use crate::store::postgres::connect::Options;
use crate::store::{Engine as _, OpenError, PostgresEngine, StoreId, shared};

/// Most connections of a command.
const CONNECTIONS: usize = 4;

#[derive(Debug, Args)]
pub(super) struct Common {
    /// The server's data folder [default: ./data]
    #[arg(long, env = "SIDEKEY_DATA", value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The server's file of settings: its data folder, key file and database count where nothing else is said
    #[arg(long, env = "SIDEKEY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    key: GivenKey,
    #[command(flatten)]
    database: Database,
    /// Take a database that may lose what it acknowledges, as `serve --development` does
    #[arg(long, env = "SIDEKEY_DEVELOPMENT")]
    development: bool,
}

/// Those of [`StoreSettings`] that commands have a use for.
#[derive(Args, Clone, Debug, Default)]
struct Database {
    /// What keeps everything, `sled` or `postgres`; by default the data folder says it
    #[arg(long = "store-engine", env = "SIDEKEY_STORE_ENGINE", value_name = "ENGINE")]
    engine: Option<String>,
    /// Address of the database without a password
    #[arg(long = "store-url", env = "SIDEKEY_STORE_URL", value_name = "URL")]
    url: Option<String>,
    /// File with the address of the database, password included
    #[arg(long = "store-url-file", env = "SIDEKEY_STORE_URL_FILE", value_name = "FILE")]
    url_file: Option<PathBuf>,
    /// PEM file with the certificates that the database's own is signed by; default: those of the system
    #[arg(long = "store-ca-file", env = "SIDEKEY_STORE_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// TLS to the database, `require` or `disable`, this only on the same machine; default: `require`, but for sockets
    #[arg(long = "store-tls", env = "SIDEKEY_STORE_TLS", value_name = "WHEN")]
    tls: Option<String>,
}

impl From<Database> for StoreSettings {
    fn from(Database { engine, url, url_file, ca_file, tls }: Database) -> Self {
        Self { engine, url, url_file, ca_file, tls, ..Self::default() }
    }
}

/// The same, with what the file says.
#[derive(Debug)]
pub(super) struct Given {
    /// The data folder.
    pub(super) data: PathBuf,
    /// Whether JSON is printed.
    pub(super) json: bool,
    /// The master key.
    pub(super) key: GivenKey,
    store: StoreSettings,
    development: bool,
}

/// What keeps the store.
#[derive(Debug)]
pub(super) enum Place {
    /// The data folder.
    Folder,
    /// A database.
    Database(Box<Options>),
}

/// What is typed, and what the file says where that is silent.
///
/// # Errors
/// The file cannot be read.
pub(super) fn said(
    config: Option<PathBuf>,
    data: Option<PathBuf>,
    key: GivenKey,
    store: StoreSettings,
    development: bool,
) -> Result<ServeSettings, Failure> {
    let typed = ServeSettings {
        config,
        data,
        master_key_file: key.master_key_file,
        store,
        development: development.then_some(true),
        ..ServeSettings::default()
    };
    typed.with_file().map_err(|mistakes| listed(&mistakes))
}

impl Common {
    /// Reads the file, if one is named.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn read(self) -> Result<Given, Failure> {
        let Self { data, config, json, key, database, development } = self;
        let said = said(config, data, key, database.into(), development)?;
        let data = said.data.unwrap_or_else(|| DATA.into());
        if said.store.engine.as_deref() == Some("postgres") {
            // A server that runs on the folder would answer for another store.
            shared::check_has_no_store(&data).map_err(Failure::settings)?;
        }
        Ok(Given {
            data,
            json,
            key: GivenKey { master_key_file: said.master_key_file },
            store: said.store,
            development: said.development.unwrap_or(false),
        })
    }
}

impl Given {
    /// Whether there is no data folder, which may be right where the store is in a database.
    pub(super) fn is_folder_missing(&self) -> bool {
        matches!(self.data.metadata(), Err(error) if error.kind() == ErrorKind::NotFound)
    }

    /// Passes where there is something to work on.
    ///
    /// # Errors
    /// There is neither a folder nor a database.
    pub(super) fn check_is_there(&self) -> Result<(), Failure> {
        if self.is_folder_missing() && matches!(self.place()?, Place::Folder) {
            return Err(no_folder(&self.data));
        }
        Ok(())
    }

    /// Where the store is: in a database if the settings say so, or the mark of the folder does and they say where.
    ///
    /// # Errors
    /// The settings have mistakes, name no address, or say something else than the folder.
    pub(super) fn place(&self) -> Result<Place, Failure> {
        let is_marked = shared::is_of_database(&self.data);
        let names_address = self.store.url.is_some() || self.store.url_file.is_some();
        let in_database = match self.store.engine.as_deref() {
            None if is_marked && !names_address => true,
            Some("sled") if is_marked => true,
            _ => false,
        };
        if in_database {
            return Err(Failure::settings(OpenError::InDatabase { folder: self.data.clone() }));
        }
        let engine = self.store.engine.clone().or_else(|| is_marked.then(|| "postgres".to_owned()));
        let store = StoreSettings { engine, ..self.store.clone() };
        match store.check(self.development).map_err(Failure::Settings)? {
            StoreChoice::Sled { .. } => Ok(Place::Folder),
            StoreChoice::Postgres(mut options) => {
                options.pool_size = options.pool_size.min(CONNECTIONS);
                Ok(Place::Database(options))
            }
        }
    }

    /// Opens the store in a database, beside the servers that work on it.
    ///
    /// # Errors
    /// It cannot be opened, or is not that of the data folder.
    pub(super) async fn open_database(&self, options: &Options) -> Result<PostgresEngine, Failure> {
        let engine = PostgresEngine::open_existing(options).await.map_err(Failure::runtime)?;
        self.check_goes_with(engine.id()).map_err(Failure::settings)?;
        Ok(engine)
    }

    /// Whether the data folder may go with a store in a database.
    ///
    /// # Errors
    /// It is another store's.
    pub(super) fn check_goes_with(&self, store: StoreId) -> Result<(), OpenError> {
        shared::check_goes_with(&self.data, store)
    }
}

/// There is no such data folder.
pub(super) fn no_folder(data: &Path) -> Failure {
    Failure::Settings(format!(
        "there is no data folder `{}`; name the server's with `--data FOLDER`",
        data.display()
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    impl Given {
        /// A folder without any settings.
        pub(in crate::cli) fn of_folder(data: &Path, key: GivenKey) -> Self {
            let store = StoreSettings::default();
            Self { data: data.to_owned(), json: false, key, store, development: false }
        }
    }

    fn settings(engine: Option<&str>, url: Option<&str>) -> StoreSettings {
        StoreSettings {
            engine: engine.map(str::to_owned),
            url: url.map(str::to_owned),
            ..StoreSettings::default()
        }
    }

    fn given(data: &Path, store: StoreSettings) -> Given {
        Given { store, ..Given::of_folder(data, GivenKey::default()) }
    }

    fn common(data: Option<&Path>, config: Option<&Path>, engine: Option<&str>) -> Common {
        let (data, config) = (data.map(Path::to_owned), config.map(Path::to_owned));
        let database = Database { engine: engine.map(str::to_owned), ..Database::default() };
        Common { data, config, json: false, key: GivenKey::default(), database, development: false }
    }

    const URL: &str = "host=/run/postgresql user=a dbname=b";

    #[test]
    fn the_mark_of_the_folder_or_the_settings_say_that_the_store_is_in_a_database() {
        let folder = tempfile::tempdir().unwrap();
        let place = |engine, url| given(folder.path(), settings(engine, url)).place();
        // An address alone does not: `serve` would not take it either.
        assert!(matches!(place(None, Some(URL)), Ok(Place::Folder)));
        assert!(matches!(place(Some("postgres"), Some(URL)), Ok(Place::Database(_))));
        drop(shared::SharedFolder::open(folder.path()).unwrap());
        assert!(matches!(place(None, Some(URL)), Ok(Place::Database(_))));
        for engine in [None, Some("sled")] {
            let refused = place(engine, None).unwrap_err().text();
            assert!(
                refused.contains("in a database") && refused.contains("--store-url-file FILE"),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_file_of_settings_says_what_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sidekey.toml");
        let text = format!(
            "data = \"/srv/sidekey\"\nmaster_key_file = \"/etc/key\"\ndevelopment = true\n\
             [store]\nengine = \"postgres\"\nurl = \"{URL}\"\n"
        );
        fs::write(&file, text).unwrap();
        let read = common(None, Some(&file), None).read().unwrap();
        assert_eq!(read.data, Path::new("/srv/sidekey"));
        assert_eq!(read.key.master_key_file.as_deref(), Some(Path::new("/etc/key")));
        assert!(matches!(read.place(), Ok(Place::Database(options)) if options.volatile));
        let data = folder.path().join("data");
        let read = common(Some(&data), Some(&file), Some("sled")).read().unwrap();
        assert!(matches!(read.place(), Ok(Place::Folder)));
        assert_eq!(read.data, data);
        // A server on a folder with a store of its own would answer for that one.
        fs::create_dir_all(data.join("sled")).unwrap();
        let refused = common(Some(&data), Some(&file), None).read().unwrap_err();
        assert!(refused.text().contains("name another folder"));
    }
}
