//! `verify`, `backup`, `restore` and `migrate`.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::given::{Common, Given, Place};
use super::master_key::GivenKey;
use super::operate::{Reached, Take, carry_out, reach};
use super::output::{counted, print};
use super::progress::Progress;
use super::reply::{backed_up, verified};
use super::{Failure, block_on};
use crate::clock::Clock;
use crate::config::{StoreChoice, StoreSettings};
use crate::control::{Command, Reply};
use crate::entropy::Entropy;
use crate::http::rfc3339;
use crate::keyring::{Keyring, unlock};
use crate::maintenance::Part;
use crate::maintenance::backup::{BackupFile, Summary};
use crate::maintenance::check::{Report, check_engine, check_store};
use crate::maintenance::migrate::{self, MigrateError, Outcome};
use crate::maintenance::restore::{self, RestoreError, Restored};
use crate::store::postgres::connect::Options;
use crate::store::postgres::moving::{self, MoveError};
use crate::store::postgres::upgrade::{self, UpgradeError, Upgraded, VERSION};
use crate::store::{Engine as _, FORMAT, Inspection, OpenError, PostgresEngine, StoreError, shared};

/// Checks the store, through the running server or here, and prints what is wrong.
///
/// # Errors
/// Something is wrong, or the store cannot be looked at.
pub(super) fn verify(common: Common) -> Result<(), Failure> {
    let given = common.read()?;
    given.check_is_there()?;
    let Given { data, json, key, .. } = &given;
    let mut progress = Progress::new("Checking");
    let keyring = key.load(Some(data))?.map(Arc::new);
    let mut take = |part| {
        show(&mut progress, &part);
        Ok(())
    };
    let (report, is_in_database) = block_on(async {
        match reach(&Command::Verify, &given, &mut take, || Inspection::open(data)).await? {
            Reached::Server(Reply::Verified(report)) => Ok((report, shared::is_of_database(data))),
            Reached::Server(_) => Err(Failure::another_version()),
            Reached::Folder(store) => {
                // It only shows how far it is.
                let mut show = |done, total| drop(take(Part::Progress { done, total }));
                Ok((check_store(&store, keyring, &mut show).map_err(Failure::runtime)?, false))
            }
            Reached::Database(engine) => {
                let report = check_database(&engine, keyring, &mut take).await;
                engine.close().await.map_err(Failure::runtime)?;
                Ok((report.map_err(Failure::runtime)?, true))
            }
        }
    })?;
    drop(progress);
    let text = if *json { json!(report).to_string() } else { verified(&report) };
    print(&text)?;
    if report.is_good() {
        return Ok(());
    }
    let count = counted(report.findings.len() as u64 + report.unlisted, "finding");
    Err(Failure::Runtime(if is_in_database {
        format!(
            "the store in the database is damaged ({count}): keep a copy of the database, and restore a backup into an empty one with \
             `sidekey restore --from BACKUP --store-engine postgres --store-url-file FILE`"
        )
    } else {
        format!(
            "the store in `{}` is damaged ({count}): keep a copy of the folder, and restore a backup with \
             `sidekey restore --from BACKUP --data NEW_FOLDER`",
            data.display(),
        )
    }))
}

/// Checks a store in a database, beside the servers that work on it.
async fn check_database(
    engine: &PostgresEngine,
    keyring: Option<Arc<Keyring>>,
    take: Take<'_>,
) -> Result<Report, StoreError> {
    if let Some(keyring) = &keyring {
        // The head is shown sealed over what has no number yet. Where it cannot be, the check finds the reason.
        let _ = unlock(engine, keyring, &mut Entropy).await;
    }
    let (tell, mut told) = mpsc::channel(1);
    let progress = move |done, total| drop(tell.blocking_send(Part::Progress { done, total }));
    let shown = async {
        while let Some(part) = told.recv().await {
            // It only shows how far it is.
            let _ = take(part);
        }
    };
    tokio::join!(check_engine(engine, keyring, progress), shown).0
}

/// Makes a backup, through the running server or here.
///
/// # Errors
/// There is a file of that name, the store is damaged, or the file cannot be written.
pub(super) fn backup(out: &Path, common: Common) -> Result<(), Failure> {
    let given = common.read()?;
    given.check_is_there()?;
    let mut file = BackupFile::create(out).map_err(Failure::runtime)?;
    let mut progress = Progress::new("Writing");
    let mut take = |part| {
        show(&mut progress, &part);
        match part {
            Part::Data(bytes) => file.write(&bytes).map_err(|error| error.to_string()),
            Part::Progress { .. } => Ok(()),
        }
    };
    let reply = block_on(carry_out(Command::Backup, &given, &mut take))?;
    let Reply::BackedUp(summary) = reply else { return Err(Failure::another_version()) };
    let bytes = file.finish().map_err(Failure::runtime)?;
    drop(progress);
    let file = out.display();
    print(&if given.json {
        let Summary { records, audit_entries } = summary;
        json!({ "file": out, "bytes": bytes, "records": records, "audit_entries": audit_entries }).to_string()
    } else {
        format!(
            "{}\nIt is in `{file}` ({bytes} bytes), has been read back, and holds no master key.",
            backed_up(&summary)
        )
    })
}

/// Makes a new data folder from a backup, or a store in a database.
///
/// # Errors
/// The folder or database is not empty, the backup is damaged or not this key's, or something cannot be written.
pub(super) fn restore(
    from: &Path,
    data: Option<&Path>,
    store: &StoreSettings,
    development: bool,
    json: bool,
    key: &GivenKey,
) -> Result<(), Failure> {
    let choice = store.check(development).map_err(Failure::Settings)?;
    let keyring = Arc::new(key.require(None)?);
    let mut progress = Progress::new("Restoring");
    let mut show = |done, total| progress.show(done, total);
    let now = Clock::system().now();
    let (restored, to) = match (choice, data) {
        (StoreChoice::Postgres(options), None) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            let runtime = runtime.map_err(Failure::runtime)?;
            let place = runtime.block_on(moving::Place::connect(&options)).map_err(Failure::runtime)?;
            let handle = runtime.handle();
            (restore::restore_to_database(from, place, &keyring, now, &mut Entropy, handle, &mut show), None)
        }
        (StoreChoice::Postgres(_), Some(_)) => {
            return Err(Failure::settings(
                "`--data` names a folder and `--store-engine postgres` a database: a backup is restored into one of them",
            ));
        }
        (StoreChoice::Sled { .. }, Some(data)) => {
            (restore::restore(from, data, &keyring, now, &mut Entropy, &mut show), Some(data))
        }
        (StoreChoice::Sled { .. }, None) => {
            return Err(Failure::settings("this needs the new data folder: name it with `--data FOLDER`"));
        }
    };
    drop(progress);
    let restored = restored.map_err(|error| match error {
        RestoreError::Folder(OpenError::NotEmpty { .. } | OpenError::NotAFolder { .. })
        | RestoreError::Database(MoveError::NotEmpty(_))
        | RestoreError::Unlock(_) => Failure::settings(error),
        error => Failure::runtime(error),
    })?;
    print(&if json { told(&restored).to_string() } else { recounted(&restored, from, to) })
}

fn told(restored: &Restored) -> Value {
    json!({
        "backup_of": rfc3339(restored.begun_at),
        "restored_at": rfc3339(restored.now),
        "apps": restored.tally.apps,
        "accounts": restored.tally.accounts,
        "secrets": restored.tally.secrets,
        "audit_entries": restored.tally.audit_entries,
    })
}

fn recounted(restored: &Restored, from: &Path, data: Option<&Path>) -> String {
    let Restored { begun_at, now, tally } = restored;
    let from = from.display();
    let (to, start) = match data.map(Path::display) {
        Some(data) => (format!("`{data}`"), format!("--data {data}")),
        None => ("the database".to_owned(), "--store-engine postgres --data NEW_FOLDER".to_owned()),
    };
    let (apps, accounts) = (counted(tally.apps, "app"), counted(tally.accounts, "account"));
    let secrets = counted(tally.secrets, "secret");
    let (begun_at, now) = (rfc3339(*begun_at), rfc3339(*now));
    [
        format!("Restored `{from}`, the state of {begun_at}, to {to}: {apps}, {accounts} with {secrets}."),
        String::new(),
        format!("A new epoch begins at {now}, because nobody knows what was used since the backup:"),
        "- Everybody has to sign in again: sessions, access and refresh tokens are dead.".to_owned(),
        "- Authenticators work from the step after the next on, about a minute from now; earlier codes are refused.".to_owned(),
        "- Backup codes are all gone, for any of them may have been used. Tell users to make new ones.".to_owned(),
        "- What was changed since the backup is undone: devices that were added are missing, devices that were".to_owned(),
        "  removed and API keys that were revoked are valid again. Remove and revoke them once more.".to_owned(),
        String::new(),
        format!("Everything has been checked. Start with: sidekey serve {start} --master-key-file FILE"),
    ]
    .join("\n")
}

/// Brings a store up to this program's format, or the tables that it is in up to this program's version.
///
/// # Errors
/// In a folder: a server runs, the store is damaged, or its key is missing. In a database: it cannot be used, or not be changed by this
/// user, or holds a newer version's store.
pub(super) fn migrate(common: Common) -> Result<(), Failure> {
    let given = common.read()?;
    given.check_is_there()?;
    if let Place::Database(options) = given.place()? {
        return migrate_tables(&given, &options);
    }
    let Given { data, json, key, .. } = &given;
    let mut progress = Progress::new("Migrating");
    let keyring = key.load(Some(data))?;
    let outcome = migrate::migrate(data, || keyring, &mut |done| progress.show(done, 0));
    drop(progress);
    let outcome = outcome.map_err(|error| match error {
        MigrateError::Open(OpenError::NoStore { .. }) | MigrateError::KeyNeeded | MigrateError::Unlock(_) => {
            Failure::settings(error)
        }
        MigrateError::Open(error) => Failure::runtime(error),
    })?;
    let from = match outcome {
        Outcome::NothingToDo => FORMAT,
        Outcome::Migrated { from } => from,
    };
    print(&match outcome {
        _ if *json => json!({ "from": from, "to": FORMAT }).to_string(),
        Outcome::NothingToDo => {
            format!("The store in `{}` has format {FORMAT}: there is nothing to do.", data.display())
        }
        Outcome::Migrated { from } => {
            let data = data.display();
            // What logins were in format 1 is not enough for those of later ones.
            let logins = if from == 1 { " Everybody has to sign in again." } else { "" };
            format!("Brought the store in `{data}` from format {from} to format {FORMAT}.{logins}")
        }
    })
}

fn migrate_tables(given: &Given, options: &Options) -> Result<(), Failure> {
    let is_right = |store| given.check_goes_with(store);
    let outcome = block_on(async {
        upgrade::migrate(options, is_right).await.map_err(|error| match error {
            UpgradeError::NoStore | UpgradeError::NotAllowed { .. } | UpgradeError::Folder(_) => {
                Failure::settings(error)
            }
            UpgradeError::Store(_) | UpgradeError::InUse => Failure::runtime(error),
        })
    })?;
    let (from, text) = match outcome {
        Upgraded::NothingToDo => {
            (VERSION, format!("The tables of the database have version {VERSION}: there is nothing to do."))
        }
        Upgraded::From(from) => {
            (from, format!("Brought the tables of the database from version {from} to version {VERSION}."))
        }
    };
    print(&if given.json { json!({ "from": from, "to": VERSION }).to_string() } else { text })
}

fn show(progress: &mut Progress, part: &Part) {
    if let Part::Progress { done, total } = part {
        progress.show(*done, *total);
    }
}

#[cfg(test)]
mod tests {
    use sidekey_core::time::UnixTime;

    use super::*;
    use crate::maintenance::check::Tally;

    const TALLY: Tally = Tally { records: 7, apps: 1, accounts: 2, secrets: 3, audit_entries: 1 };

    #[test]
    fn a_restore_says_what_is_dead() {
        let (begun_at, now) = (UnixTime::from_secs(1_790_000_000), UnixTime::from_secs(1_790_000_060));
        let restored = Restored { begun_at, now, tally: TALLY };
        let text = recounted(&restored, Path::new("backup"), Some(Path::new("new")));
        assert!(
            text.starts_with(
                "Restored `backup`, the state of 2026-09-21T14:13:20Z, to `new`: 1 app, 2 accounts"
            ),
            "{text}"
        );
        assert!(text.contains("\n  removed and API keys"), "{text}");
        let text = recounted(&restored, Path::new("backup"), None);
        assert!(
            text.contains("to the database: 1 app") && text.contains("--store-engine postgres"),
            "{text}"
        );
        assert_eq!(told(&restored)["restored_at"], "2026-09-21T14:14:20Z");
    }
}
