//! `sidekey doctor`: what stands between this server and a quiet night, each finding with its remedy.
//!
//! - this file: [`Finding`], and the settings;
//! - [`folder`]: who can read the data folder and the key file;
//! - [`machine`]: the clock, the disk, open files;
//! - [`server`]: the running server, its version, its store's format and its keys;
//! - [`way_in`]: the proxies between the public URL and the server;
//! - [`database`]: the database, where the store is in one;
//! - [`told`]: whether those who are told of events have got them;
//! - [`backups`]: how old the newest one is.
//!
//! It reads and changes nothing; one request is sent to the public URL. What cannot be told is said to be so: nothing is called good that was not looked at.

pub mod backups;
pub mod database;
pub mod folder;
pub mod machine;
pub mod server;
pub mod told;
pub mod way_in;

use serde::Serialize;

use crate::config::{ServeSettings, Settings};

/// How a finding stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Good,
    /// It could not be looked at, or is worth knowing.
    Note,
    /// It will be trouble one day.
    Warning,
    /// It is trouble now.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, such as `disk`.
    pub check: &'static str,
    /// How it stands.
    pub level: Level,
    /// What was found, in a sentence.
    pub found: String,
    /// What to do about it; nothing where it is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Finding {
    /// It is as it should be.
    pub fn good(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, level: Level::Good, found: found.into(), remedy: None }
    }

    /// It is not, and this is what to do.
    pub fn bad(
        check: &'static str,
        level: Level,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { check, level, found: found.into(), remedy: Some(remedy.into()) }
    }

    /// Nobody can tell.
    pub fn untold(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, level: Level::Note, found: found.into(), remedy: None }
    }
}

/// The settings, if they have no mistakes, and a finding for each mistake.
pub fn settings(given: &ServeSettings) -> (Option<Settings>, Vec<Finding>) {
    match given.clone().check() {
        Ok(settings) => {
            let mut findings = vec![Finding::good("settings", "The settings are right.")];
            if settings.development {
                findings.push(Finding::bad(
                    "settings",
                    Level::Warning,
                    "Development mode lets anybody sign in to the demo application.",
                    "Serve real users without `--development`, from a new data folder.",
                ));
            }
            (Some(settings), findings)
        }
        Err(mistakes) => {
            let remedy = "Correct it, and try with `sidekey config check`.";
            let finding = |mistake| Finding::bad("settings", Level::Problem, mistake, remedy);
            (None, mistakes.into_iter().map(finding).collect())
        }
    }
}
