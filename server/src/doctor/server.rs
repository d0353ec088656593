//! The running server, asked over its control socket.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Finding, Level};
use crate::control::{Command, Reply, socket};
use crate::keyring::sources;

const SERVER: &str = "server";
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
                    "Restart the server, or use the command of its version.",
                )
            }];
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
        Ok(None) => vec![Finding::untold(SERVER, format!("No server runs on `{}`.", data.display()))],
        Err(error) => vec![Finding::bad(
            SERVER,
            Level::Warning,
            format!("It runs and does not answer on its control socket: {error}."),
            "Run this as the server's user; see its log.",
        )],
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
