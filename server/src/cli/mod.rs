//! The command line of `sidekey`.
//!
//! - this file: the commands, and how each ends;
//! - [`admin`]: the operators of the admin area;
//! - [`app`]: what is typed after `app`;
//! - [`given`]: where the store is, and its key;
//! - [`operate`]: how a command reaches the running server, or the store where there is none;
//! - [`reply`]: what came of it, as JSON and for people;
//! - [`output`]: what is written to standard output;
//! - [`maintain`]: `verify`, `backup`, `restore` and `migrate`;
//! - [`audit`]: the audit trail;
//! - [`config`]: `config check`, `show` and `default`;
//! - [`doctor`]: what stands around the server;
//! - [`outbox`]: what was not delivered;
//! - [`protect`]: `protect check`;
//! - [`progress`]: how far a long command is, on a terminal;
//! - [`import`], [`export`]: users of another product, and users for one;
//! - [`keys`]: `keys generate`, `add` and `list`;
//! - [`rotate`]: `keys rotate`, `drop`, `rotate-jwt` and `list-jwt`;
//! - [`master_key`]: the key of commands that work without a server;
//! - [`store`]: `store copy` and `undo`;
//! - [`shell`]: completions and man pages, made from what is written here.

mod admin;
mod app;
mod audit;
mod config;
mod doctor;
mod export;
mod given;
mod import;
mod keys;
mod maintain;
mod master_key;
mod operate;
mod outbox;
mod output;
mod progress;
mod protect;
mod reply;
mod rotate;
mod shell;
mod store;
#[cfg(test)]
mod tests;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use sidekey_core::id::AppId;

use self::given::Common;
use crate::config::{ServeSettings, StoreSettings};
use crate::hardening;
use crate::keyring::KeyId;
use crate::serve;
use crate::token::JWKS_MAX_AGE;

/// A TOTP second factor beside any application.
#[derive(Debug, Parser)]
#[command(name = "sidekey", version, arg_required_else_help = true)]
struct Sidekey {
    #[command(subcommand)]
    command: Subject,
}

#[derive(Debug, Subcommand)]
enum Subject {
    /// Start the server
    Serve(Box<ServeSettings>),
    /// Host applications
    #[command(subcommand, arg_required_else_help = true)]
    App(app::AppVerb),
    /// API keys of a host application (for master keys see `keys`)
    #[command(subcommand, arg_required_else_help = true)]
    Key(KeyVerb),
    /// Master keys, and the keys that sign access tokens (for API keys see `key`)
    #[command(subcommand, arg_required_else_help = true)]
    Keys(KeysVerb),
    /// Settings of the server
    #[command(subcommand, arg_required_else_help = true)]
    Config(config::ConfigVerb),
    /// Rules of forward-auth
    #[command(subcommand, arg_required_else_help = true)]
    Protect(protect::ProtectVerb),
    /// Look at the clock, the disk, keys, permissions, backups and the running server, and say what to do
    Doctor(doctor::DoctorArgs),
    /// Operators of the admin area
    #[command(subcommand, arg_required_else_help = true)]
    Admin(admin::AdminVerb),
    /// Read the audit trail, or export it as JSON lines
    Audit(audit::AuditArgs),
    /// Take over users of another product with their second factor, while the server goes on
    Import(import::ImportArgs),
    /// Write the users of an application with their devices into a sealed file, while the server goes on
    Export(export::ExportArgs),
    /// Events on their way out: webhooks, Telegram, mail, syslog
    #[command(subcommand, arg_required_else_help = true)]
    Outbox(outbox::OutboxVerb),
    /// Check that everything stored can be read and nothing is missing
    Verify(Common),
    /// Write everything stored into one file, while the server goes on
    Backup {
        /// The file; an existing one is never replaced
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        common: Common,
    },
    /// Make a new data folder from a backup, or with `--store-engine postgres` a store in an empty database
    Restore {
        /// The backup
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// The new data folder: empty, or not there yet
        #[arg(long, value_name = "FOLDER")]
        data: Option<PathBuf>,
        #[command(flatten)]
        store: StoreSettings,
        /// Take a database that may lose what it acknowledges, as `serve --development` does
        #[arg(long, env = "SIDEKEY_DEVELOPMENT")]
        development: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        key: master_key::GivenKey,
    },
    /// Bring the store of an older version up to this one's format, or the tables of a database up to this one's version
    Migrate(Common),
    /// Where the store is: a data folder or a database
    #[command(subcommand, arg_required_else_help = true)]
    Store(store::StoreVerb),
    /// Print the completions of commands and options for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the man pages into a folder
    Man {
        /// The folder; pages of the same name are replaced
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum KeyVerb {
    /// Make one more API key, which is shown only now
    Create {
        /// The application
        #[arg(long, value_parser = parse_app_id)]
        app: AppId,
        #[command(flatten)]
        common: Common,
    },
    /// List the API keys by their ids, revoked ones too
    List {
        /// The application
        #[arg(long, value_parser = parse_app_id)]
        app: AppId,
        #[command(flatten)]
        common: Common,
    },
    /// Make an API key worthless, at once
    Revoke {
        /// The application
        #[arg(long, value_parser = parse_app_id)]
        app: AppId,
        /// The key's id
        key_id: String,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, Subcommand)]
enum KeysVerb {
    /// Make a master key in a new file that only you can read
    Generate {
        /// The file; an existing one is never overwritten
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Put a new master key first in a key file; the old ones stay
    Add(KeyFile),
    /// List the master keys of a key file by their ids
    List(KeyFile),
    /// Seal everything anew with the first master key, while the server goes on
    Rotate(Common),
    /// Take a master key that seals nothing any more out of a key file
    Drop {
        /// The key's id
        #[arg(value_parser = parse_key_id)]
        key_id: KeyId,
        /// The key file
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        common: Common,
    },
    /// Make the next key that signs access tokens
    RotateJwt {
        /// Seconds that it is published before it signs, so that every verifier knows it then: 300 to 2592000
        #[arg(long, default_value_t = JWKS_MAX_AGE, value_name = "SECONDS")]
        overlap: u64,
        #[command(flatten)]
        common: Common,
    },
    /// List the keys that sign access tokens
    ListJwt(Common),
}

#[derive(Debug, Args)]
struct KeyFile {
    /// The key file
    #[arg(long, env = "SIDEKEY_MASTER_KEY_FILE", value_name = "FILE")]
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn parse_app_id(text: &str) -> Result<AppId, String> {
    AppId::parse(text).map_err(|error| error.to_string())
}

fn parse_key_id(text: &str) -> Result<KeyId, String> {
    KeyId::parse(text).ok_or_else(|| "a master key's id has 8 hex digits".to_owned())
}

/// How a command fails. The text is for the person at the terminal.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// Something has to be typed or set differently: exit code 2.
    Settings(String),
    /// It did not work out: exit code 1.
    Runtime(String),
}

impl Failure {
    /// What is told.
    pub fn text(self) -> String {
        let (Self::Settings(text) | Self::Runtime(text)) = self;
        text
    }

    /// A failure at run time.
    pub fn runtime(error: impl std::fmt::Display) -> Self {
        Self::Runtime(error.to_string())
    }

    /// A mistake in the settings.
    pub fn settings(error: impl std::fmt::Display) -> Self {
        Self::Settings(error.to_string())
    }

    /// The server is another version.
    fn another_version() -> Self {
        Self::runtime("the server answers something else; use the `sidekey` of its own version")
    }
}

/// Runs what the command line says. Exit codes: 0 for success, 1 for a failure at run time, 2 for a mistake in the
/// arguments or settings (where clap itself exits).
pub fn main() -> ExitCode {
    let matches = Sidekey::command().get_matches();
    let Sidekey { command } = Sidekey::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    // Before the runtime starts its threads, and before any secret is read.
    let outcome = match hardening::harden() {
        Ok(()) => run(command, &matches),
        Err(error) => Err(Failure::Runtime(format!("the process cannot be hardened: {error}"))),
    };
    let (code, text) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Runtime(text)) => (1, text),
        Err(Failure::Settings(text)) => (2, text),
    };
    // Whether somebody reads it or not, the code tells.
    let _ = writeln!(io::stderr(), "sidekey: {text}");
    ExitCode::from(code)
}

fn run(command: Subject, matches: &ArgMatches) -> Result<(), Failure> {
    use crate::control::Command;
    match command {
        Subject::Serve(settings) => serve::run(*settings),
        Subject::App(verb) => verb.run(),
        Subject::Key(KeyVerb::Create { app, common }) => operate::run(Command::CreateKey { app }, common),
        Subject::Key(KeyVerb::List { app, common }) => operate::run(Command::ListKeys { app }, common),
        Subject::Key(KeyVerb::Revoke { app, key_id, common }) => {
            operate::run(Command::RevokeKey { app, key_id }, common)
        }
        Subject::Keys(verb) => verb.run(),
        Subject::Config(verb) => verb.run(matches),
        Subject::Protect(verb) => verb.run(),
        Subject::Doctor(doctor) => doctor.run(),
        Subject::Outbox(verb) => verb.run(),
        Subject::Admin(verb) => verb.run(),
        Subject::Audit(audit) => audit.run(),
        Subject::Import(arguments) => arguments.run(),
        Subject::Export(arguments) => arguments.run(),
        Subject::Verify(common) => maintain::verify(common),
        Subject::Backup { out, common } => maintain::backup(&out, common),
        Subject::Restore { from, data, store, development, json, key } => {
            maintain::restore(&from, data.as_deref(), &store, development, json, &key)
        }
        Subject::Migrate(common) => maintain::migrate(common),
        Subject::Store(verb) => verb.run(),
        Subject::Completions { shell } => shell::completions(shell),
        Subject::Man { out } => shell::man_pages(&out),
    }
}

impl KeysVerb {
    fn run(self) -> Result<(), Failure> {
        use crate::control::Command;
        match self {
            Self::Generate { out } => keys::generate(&out),
            Self::Add(KeyFile { file, json }) => keys::add(&file, json),
            Self::List(KeyFile { file, json }) => keys::list(&file, json),
            Self::Rotate(common) => rotate::master_keys(common),
            Self::Drop { key_id, file, common } => rotate::drop_key(key_id, &file, common),
            Self::RotateJwt { overlap, common } => {
                operate::run(Command::RotateSigningKeys { overlap }, common)
            }
            Self::ListJwt(common) => operate::run(Command::ListSigningKeys, common),
        }
    }
}

/// Runs work to its end.
///
/// # Errors
/// Those of the work.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    // With threads of its own, so that what blocks here keeps no connection to a database waiting.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(Failure::runtime)?.block_on(work)
}

/// All mistakes in one text.
pub fn listed(mistakes: &[String]) -> Failure {
    match mistakes {
        [one] => Failure::settings(one),
        several => Failure::Settings(format!("the settings have mistakes:\n  - {}", several.join("\n  - "))),
    }
}
