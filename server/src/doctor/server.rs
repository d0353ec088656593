//! The running server, asked over its control socket.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Finding, Level};
use crate::control::{Command, Reply, socket};
use crate::keyring::sources;
use crate::store::FORMAT;

const SERVER: &str = "server";
const STORE: &str = "store format";
const KEYS: &str = "master keys in use";

/// Whether a server runs, in this version, with a store that takes changes and the time that the system has.
pub async fn running(data: &Path) -> Vec<Finding> {
    match socket::ask(data, &Command::Status, &mut |_| Ok(())).await {
        Ok(Some(Reply::Status(status))) => {
            let own = env!("CARGO_PKG_VERSION");
            let mut findings = vec![if status.version == own {
                Finding::good(SERVER, format!("It runs, version {own}."))
            } else {
                Finding::bad(
                    SERVER,
                    Level::Warning,
                    format!("Version {} runs, and this command is version {own}.", status.version),
                    "Restart the service after an upgrade, or use the command of its version.",
                )
            }];
            findings.push(format_of(status.format));
            if !status.is_healthy {
                findings.push(Finding::bad(
                    SERVER,
                    Level::Problem,
                    "Its store takes no changes any more.",
                    "See its log for the failure of the disk, mend that, and restart it.",
                ));
            }
            if status.behind > 0 {
                findings.push(Finding::bad(
                    "clock",
                    Level::Problem,
                    format!(
                        "The system's time is {} s behind the store's: new codes are refused.",
                        status.behind
                    ),
                    "Correct the system's time, or wait until it has caught up.",
                ));
            }
            findings
        }
        Ok(Some(_)) => vec![Finding::bad(
            SERVER,
            Level::Warning,
            "It answers in another way.",
            "Use the command of its version.",
        )],
        Ok(None) => vec![
            Finding::untold(SERVER, format!("No server runs on `{}`.", data.display())),
            // To open the database is to change files of it.
            Finding::bad(
                STORE,
                Level::Note,
                "It is known while the server runs.",
                "`sidekey verify` says whether this version reads the store; after an upgrade, `sidekey migrate` where it says so.",
            ),
        ],
        Err(error) => vec![Finding::bad(
            SERVER,
            Level::Warning,
            format!("It runs and does not answer on its control socket: {error}."),
            "Run this as the server's user; see its log.",
        )],
    }
}

/// Whether this program would serve a store of the format that the running server has.
fn format_of(running: Option<u16>) -> Finding {
    match running {
        None => Finding::untold(STORE, "The running server is of a version that does not tell it."),
        Some(FORMAT) => {
            Finding::good(STORE, format!("The store has format {FORMAT}, as this version writes."))
        }
        Some(older @ ..FORMAT) => Finding::bad(
            STORE,
            Level::Warning,
            format!("The store has format {older}, and this version serves format {FORMAT} alone."),
            "Before the restart into this version: `sidekey backup`, stop the server, copy the folder, `sidekey migrate`.",
        ),
        Some(newer) => Finding::bad(
            STORE,
            Level::Warning,
            format!("The store has format {newer}, and this version knows formats up to {FORMAT}."),
            "Use the version that runs, or a later one: there is no way back to this one.",
        ),
    }
}

/// Whether every master key that something is sealed with is at hand, and whether there are some that nothing is sealed with.
pub async fn keys_in_use(data: &Path, file: Option<&Path>) -> Option<Finding> {
    let reply = socket::ask(data, &Command::MasterKeyUse, &mut |_| Ok(())).await;
    let Ok(Some(Reply::MasterKeyUse { values, .. })) = reply else { return None };
    let (keyring, _) = sources::given(file).ok().flatten()?;
    let held: BTreeSet<_> = keyring.ids().map(|id| id.to_string()).collect();
    let used: BTreeSet<_> = values.into_iter().filter(|(_, count)| *count > 0).map(|(id, _)| id).collect();
    let missing: Vec<_> = used.difference(&held).cloned().collect();
    if !missing.is_empty() {
        return Some(Finding::bad(
            KEYS,
            Level::Problem,
            format!("Something is sealed with {}, which this key file lacks.", missing.join(", ")),
            "Put the line back below the others, or the next start fails.",
        ));
    }
    let sealing = keyring.sealing().to_string();
    if used.iter().any(|id| *id != sealing) {
        return Some(Finding::bad(
            KEYS,
            Level::Warning,
            "A rotation of the master keys is not finished: something is sealed with an old one.",
            "`sidekey keys rotate`",
        ));
    }
    Some(Finding::good(KEYS, format!("Everything is sealed with {sealing}.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_that_this_version_does_not_serve_has_its_remedy() {
        assert_eq!(format_of(Some(FORMAT)).level, Level::Good);
        assert_eq!(format_of(None).level, Level::Note);
        let (older, newer) = (format_of(Some(FORMAT - 1)), format_of(Some(FORMAT + 1)));
        assert_eq!((older.level, newer.level), (Level::Warning, Level::Warning));
        assert!(older.remedy.unwrap().contains("`sidekey migrate`"));
        assert!(newer.remedy.unwrap().contains("no way back"));
    }
}
