//! Settings that change while the server runs: read again from the file at SIGHUP.
//!
//! A file with a mistake changes nothing. What needs a restart is named in the log and stays as it is.

use std::sync::Arc;

use tokio::signal::unix::Signal;

use crate::audit::{Actor, Origin};
use crate::config::told::AllTold;
use crate::config::{Protection, ServeSettings, Settings};
use crate::context::Context;
use crate::logging::Logging;
use crate::master_keys::ReloadError;
use crate::serve::warn_of_unknown_apps;
use crate::service_manager;
use crate::store::retention::Retention;

/// The settings that are read again.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// What is asked of requests that a proxy holds back.
    pub protection: Protection,
    /// How much of the audit log is kept.
    pub audit_retention: Retention,
    /// What operators are told of the settings.
    pub told: AllTold,
}

impl Live {
    /// Those of the settings that are read again.
    pub fn of(settings: &Settings) -> Self {
        let (protection, told) = (settings.protection.clone(), settings.told.clone());
        Self { protection, audit_retention: settings.audit_retention, told }
    }
}

/// What it takes to read the settings again.
pub struct Reloading {
    /// The flags and variables that the server was started with, over which no file speaks.
    pub given: ServeSettings,
    /// The log, whose level is read again.
    pub logging: Logging,
}

impl Reloading {
    /// Reads the settings and the master keys again at each signal, for as long as the server runs.
    pub async fn at_each(self, mut signal: Signal, context: Arc<Context>) {
        while signal.recv().await.is_some() {
            service_manager::reloading();
            match self.given.clone().check() {
                Ok(settings) => {
                    self.logging.set(&settings.log_level);
                    take(&context, &settings);
                    warn_of_unknown_apps(&context).await;
                }
                Err(mistakes) => {
                    let mistakes = mistakes.join("; ");
                    tracing::error!(mistakes, "the settings were not read again: they have mistakes");
                }
            }
            let origin = Origin::local(Actor::Operator, context.clock.now());
            match context.master_keys.reload(&origin).await {
                Ok(keyring) => tracing::info!(keys = keyring.ids().count(), "master keys read again"),
                Err(error @ ReloadError::Busy) => tracing::warn!(%error, "master keys read again"),
                Err(error) => tracing::error!(%error, "the master keys were not read again"),
            }
            // Whatever came of it: the server goes on as it is.
            service_manager::ready();
        }
    }
}

/// Goes by these settings from now on, as far as that needs no restart.
fn take(context: &Context, settings: &Settings) {
    let changed = context.live.replace(Live::of(settings)) != context.live.get();
    tracing::info!(changed, "settings read again");
    let fixed = context.settings.fixed_that_differ(settings);
    if !fixed.is_empty() {
        let settings = fixed.join(", ");
        tracing::warn!(settings, "these settings have changed too, and count after a restart only");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use clap::Parser;
    use sidekey_core::time::UnixTime;

    use super::*;
    use crate::context::testing::context;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        serve: ServeSettings,
    }

    #[tokio::test]
    async fn what_needs_no_restart_counts_at_once_and_the_rest_is_named() {
        let (folder, context) = context(UnixTime::from_secs(1_790_000_000), &[]).await;
        let data = folder.path().to_str().unwrap();
        let flags =
            ["sidekey", "--development", "--data", data, "--audit-retention-days", "7", "--issuer", "Shop"];
        let settings = Program::try_parse_from(flags).unwrap().serve.check().unwrap();
        assert_eq!(context.settings.fixed_that_differ(&settings), ["issuer"]);
        take(&context, &settings);
        assert_eq!(context.live.get().audit_retention.seconds, Some(7 * 86_400));
        assert_eq!(context.settings.issuer, "Sidekey");
    }
    #[tokio::test]
    async fn another_secret_in_the_same_file_is_named_and_not_shown() {
        let (folder, _context) = context(UnixTime::from_secs(1_790_000_000), &[]).await;
        let (file, secret) = (folder.path().join("sidekey.toml"), folder.path().join("secret"));
        let hook = "name = \"siem\"\n[notify.webhook]\nurl = \"https://siem.example/\"";
        std::fs::write(&file, format!("[[notify]]\n{hook}\nsecret_file = \"{}\"\n", secret.display()))
            .unwrap();
        let read = |text: &str| {
            std::fs::write(&secret, text).unwrap();
            std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
            let flags = ["sidekey", "--development", "--config", file.to_str().unwrap()];
            Program::try_parse_from(flags).unwrap().serve.check().unwrap()
        };
        let before = read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
        assert!(before.fixed_that_differ(&read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")).is_empty());
        let after = read("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\n");
        assert_eq!(before.fixed_that_differ(&after), ["notify"]);
        assert!(!format!("{after:?}").contains("C2FV"));
    }
}
