//! `doctor`: looks at everything around the server, and says what to do.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::output::print;
use super::{Failure, block_on, listed};
use crate::clock::Clock;
use crate::config::{ServeSettings, StoreChoice};
use crate::doctor::{Finding, Level, backups, database, folder, machine, server, settings, told, way_in};

/// The settings of the server, and what else to look at.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    serve: Box<ServeSettings>,
    /// Folder with backups, of which the newest is looked at
    #[arg(long, env = "SIDEKEY_BACKUPS", value_name = "FOLDER")]
    backups: Option<PathBuf>,
    /// Days that the newest backup may be old
    #[arg(long, default_value_t = 2, value_name = "DAYS")]
    backup_days: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl DoctorArgs {
    /// Runs it.
    ///
    /// # Errors
    /// There is a problem.
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self { serve, backups: folder_of_backups, backup_days, json } = self;
        let given = serve.clone().with_file().map_err(|mistakes| listed(&mistakes))?;
        let data = given.data.clone().unwrap_or_else(|| crate::config::DATA.into());
        let (key_file, development) = (given.master_key_file.as_deref(), given.development == Some(true));
        let now = Clock::system().now();

        let (right, mut findings) = settings(&serve);
        let (destinations, proxies, store) = right.map_or_else(Default::default, |settings| {
            (settings.destinations, settings.trusted_proxies, Some(settings.store_choice))
        });
        findings.extend(folder::data(&data));
        findings.push(folder::master_key(key_file, &data, development));
        findings.extend(machine::clock(now));
        findings.push(machine::disk(&data));
        findings.push(machine::open_files());
        findings.extend(block_on(async {
            let mut findings = server::running(&data).await;
            if let Some(StoreChoice::Postgres(options)) = &store {
                findings.extend(database::look(options).await);
            }
            findings.extend(server::keys_in_use(&data, key_file).await);
            findings.extend(way_in::look(&data, &proxies).await);
            findings.extend(told::destinations(&data, &destinations).await);
            Ok(findings)
        })?);
        findings.push(backups::newest(folder_of_backups.as_deref(), backup_days, now));

        print(&if json { json!({ "findings": findings }).to_string() } else { lines(&findings) })?;
        let problems = findings.iter().filter(|finding| finding.level == Level::Problem).count();
        match problems {
            0 => Ok(()),
            1 => Err(Failure::Runtime("1 problem was found".to_owned())),
            several => Err(Failure::Runtime(format!("{several} problems were found"))),
        }
    }
}

/// The findings as lines, the worst last, where the eye is.
fn lines(findings: &[Finding]) -> String {
    let mut sorted: Vec<_> = findings.iter().collect();
    sorted.sort_by_key(|finding| finding.level);
    let each = sorted.into_iter().map(|finding| {
        let Finding { check, level, found, remedy } = finding;
        let word = match level {
            Level::Good => "good",
            Level::Note => "note",
            Level::Warning => "WARNING",
            Level::Problem => "PROBLEM",
        };
        let remedy = remedy.as_ref().map_or_else(String::new, |remedy| format!("\n{:9}→ {remedy}", ""));
        format!("{word:7}  {check}: {found}{remedy}")
    });
    each.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_stands_last_with_its_remedy() {
        let findings = [
            Finding::bad("disk", Level::Problem, "Full.", "Make room."),
            Finding::good("settings", "Right."),
            Finding::untold("clock", "Unknown."),
        ];
        assert_eq!(
            lines(&findings),
            "good     settings: Right.\nnote     clock: Unknown.\nPROBLEM  disk: Full.\n         → Make room."
        );
    }
}
