//! `export`: the users of an app with their devices, in a sealed file; and such a file opened.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use sidekey_core::id::{AccountName, AppId, DeviceName};
use sidekey_core::import::{ImportedDevice, ImportedUser};
use sidekey_core::key_uri::KeyUri;
use sidekey_core::time::Step;

use super::given::{Common, Given};
use super::operate::carry_out;
use super::output::print;
use super::progress::Progress;
use super::{Failure, block_on, parse_app_id};
use crate::clock::Clock;
use crate::control::{Command, KeyError, Reply};
use crate::export::{About, Writer, read};
use crate::http::rfc3339;
use crate::import::WireUser;
use crate::keyring::{Keyring, sources};
use crate::maintenance::{Part, new_file::NewFile};

/// What is exported, and where to.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct ExportArgs {
    #[command(subcommand)]
    verb: Option<ExportVerb>,
    /// The application
    #[arg(long, required = true, value_parser = parse_app_id)]
    app: Option<AppId>,
    /// The file; an existing one is never replaced
    #[arg(long, required = true, value_name = "FILE")]
    out: Option<PathBuf>,
    /// File with the key that seals it, made by `sidekey keys generate`
    #[arg(long, required = true, value_name = "FILE")]
    export_key_file: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum ExportVerb {
    /// Write the devices of an export as JSON lines with key URIs to standard output, in plain
    Open {
        /// The export
        file: PathBuf,
        /// File with the key that seals it
        #[arg(long, value_name = "FILE")]
        export_key_file: PathBuf,
    },
}

impl ExportArgs {
    /// Runs it.
    ///
    /// # Errors
    /// There is a file of that name, the store cannot be reached, or the export is not whole.
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self { verb: Some(ExportVerb::Open { file, export_key_file }), .. } => {
                open(&file, &export_key_file)
            }
            Self { app: Some(app), out: Some(out), export_key_file: Some(key), common, .. } => {
                write(&app, &out, &key, common)
            }
            _ => Err(Failure::settings("`--app`, `--out` and `--export-key-file` are needed")),
        }
    }
}

/// Writes an export, through the running server or here.
fn write(app: &AppId, out: &Path, key_file: &Path, common: Common) -> Result<(), Failure> {
    let given = common.read()?;
    let Given { data, json, key, .. } = &given;
    let keyring = sources::load_file(key_file).map_err(Failure::settings)?;
    if key.load(Some(data))?.is_some_and(|master| master.ids().any(|id| keyring.has(id))) {
        return Err(Failure::settings(KeyError::MasterKeyOfExport));
    }
    let fails = |error: io::Error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Failure::Settings(format!("`{}` exists already: choose another name", out.display()))
        }
        _ => Failure::Runtime(format!("the export cannot be written to `{}`: {error}", out.display())),
    };
    let mut file = NewFile::create(out).map_err(fails)?;
    let about = About { app: app.clone(), exported_at: Clock::system().now() };
    let (mut writer, first) = Writer::new(&keyring, &about);
    file.write(&first).map_err(fails)?;
    let mut progress = Progress::new("Exporting");
    let mut take = |part| match part {
        Part::Progress { done, total } => {
            progress.show(done, total);
            Ok(())
        }
        Part::Data(lines) => file.write(&writer.users(&lines)).map_err(|error| error.to_string()),
    };
    // The server knows its master keys, also where none is given here.
    let sealed_with = keyring.ids().map(|id| id.to_string()).collect();
    let command = Command::Export { app: app.clone(), sealed_with };
    let reply = block_on(carry_out(command, &given, &mut take))?;
    drop(progress);
    let Reply::Exported { users } = reply else { return Err(Failure::another_version()) };
    let (last, written) = writer.end();
    file.write(&last).map_err(fails)?;
    let back = read(BufReader::new(file.written().map_err(fails)?), &keyring, |_, _| Ok(()));
    let is_whole = back.is_ok_and(|(found, count)| found == about && count == users) && written == users;
    if !is_whole {
        return Err(Failure::runtime("the export was written, but what was read back is something else"));
    }
    let bytes = file.keep().map_err(fails)?;
    let key_id = keyring.sealing().to_string();
    print(&if *json {
        json!({ "file": out, "bytes": bytes, "users": users, "key_id": key_id }).to_string()
    } else {
        let plural = if users == 1 { "" } else { "s" };
        format!(
            "Exported {users} user{plural} of `{app}` with all devices.\n\
             It is in `{}` ({bytes} bytes), sealed with key {key_id}, and has been read back.\n\
             Backup codes are in no export: this store keeps only hashes that are of use nowhere else.",
            out.display()
        )
    })
}

/// Writes what is in an export in plain. Nothing is written before the whole file has been checked.
fn open(path: &Path, key_file: &Path) -> Result<(), Failure> {
    let keyring = sources::load_file(key_file).map_err(Failure::settings)?;
    let fails = |error: &dyn std::fmt::Display| Failure::Runtime(format!("`{}`: {error}", path.display()));
    check(path, &keyring)?;
    eprintln!("sidekey: warning: the secrets of all devices follow in plain: keep them from everybody");
    let mut out = io::BufWriter::new(io::stdout().lock());
    let file = BufReader::new(File::open(path).map_err(|error| fails(&error))?);
    let written = read(file, &keyring, |about, lines| {
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let user: WireUser = serde_json::from_slice(line).map_err(|error| error.to_string())?;
            let user = user.parse().map_err(|error| error.to_string())?;
            for device in &user.devices {
                let line = zeroize::Zeroizing::new(shown(about, &user, device).to_string());
                writeln!(out, "{}", *line).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    });
    written.map_err(|error| fails(&error))?;
    out.flush().map_err(Failure::runtime)
}

fn check(path: &Path, keyring: &Keyring) -> Result<(), Failure> {
    let fails = |error: &dyn std::fmt::Display| Failure::Runtime(format!("`{}`: {error}", path.display()));
    let file = File::open(path).map_err(|error| fails(&error))?;
    read(BufReader::new(file), keyring, |_, _| Ok(())).map(drop).map_err(|error| fails(&error))
}

/// A device, as most products take it.
fn shown(about: &About, user: &ImportedUser, device: &ImportedDevice) -> serde_json::Value {
    let account = user.account_name.as_ref().map_or(user.user.as_str(), |name| name.as_str());
    // An account of blanks is all that a label cannot hold.
    let uri = KeyUri::new(Some(about.app.as_str()), account, device.secret.clone(), device.params);
    json!({
        "user_id": user.user.as_str(),
        "account_name": user.account_name.as_ref().map(AccountName::as_str),
        "key_uri": uri.ok().map(|uri| uri.to_string().to_string()),
        "name": device.name.as_ref().map(DeviceName::as_str),
        "is_primary": device.is_primary,
        "created_at": device.created_at.map(rfc3339),
        "last_used_at": device.last_used_at.map(rfc3339),
        "last_step": device.last_step.map(Step::number),
    })
}
