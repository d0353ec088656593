//! The settings as operators are told of them: what `sidekey config show` tells, of a server that runs.
//!
//! Keys, passwords and tokens are in files of their own; the settings only name these.

use std::fmt;

use super::ServeSettings;
use super::catalogue::{self, Setting, TABLES};

/// Settings that are read again while the server runs.
const LIVE: [&str; 3] = ["log_level", "audit_retention_days", "audit_max_entries"];

/// A setting that is in force.
#[derive(Clone, PartialEq, Eq)]
pub struct Told {
    /// Its key in the file.
    pub key: String,
    /// Its value as TOML; `None`: nothing is set.
    pub value: Option<String>,
    /// Where that comes from.
    pub source: String,
    /// What it is about.
    pub about: String,
}

/// All of them.
#[derive(Clone, Default, PartialEq)]
pub struct AllTold {
    settings: Vec<Told>,
    rules: toml::Table,
}

/// The value under a key, or under `table.key` in a table.
fn value_of<'t>(said: &'t toml::Table, key: &str) -> Option<&'t toml::Value> {
    match key.split_once('.') {
        Some((table, key)) => said.get(table)?.get(key),
        None => said.get(key),
    }
}

impl AllTold {
    /// Of what flags and environment say (`given`), and the same with the file.
    pub(super) fn of(given: &ServeSettings, merged: &ServeSettings) -> Self {
        let table = |settings| toml::Table::try_from(settings).unwrap_or_default();
        let (here, said) = (table(given), table(merged));
        let file = given.config.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
        let is_set =
            |table: &toml::Table, key: &str| value_of(table, key).is_some_and(|value| !is_empty(value));
        let told = |Setting { key, flag, variable, about, default }: Setting| {
            let source = if is_set(&here, &key) {
                format!("{flag} or {variable}")
            } else if is_set(&said, &key) {
                file.clone()
            } else {
                "default".to_owned()
            };
            let value = value_of(&said, &key).filter(|value| !is_empty(value)).cloned().or(default);
            Told { value: value.map(|value| value.to_string()), key, source, about }
        };
        let rules = TABLES.into_iter().filter_map(|(key, _)| Some((key.to_owned(), said.get(key)?.clone())));
        let mut rules: toml::Table = rules.filter(|(_, value)| !is_empty(value)).collect();
        rules.iter_mut().for_each(|(_, value)| shorten_addresses(value));
        Self { settings: catalogue::settings().into_iter().map(told).collect(), rules }
    }

    /// All settings, those that are read again as they were read last.
    pub fn with_live(&self, live: &Self) -> Vec<Told> {
        let newer = |told: &Told| {
            live.settings.iter().find(|other| other.key == told.key && LIVE.contains(&&*told.key))
        };
        self.settings.iter().map(|told| newer(told).unwrap_or(told).clone()).collect()
    }

    /// Tables of the file as TOML, those that are read again as they were read last.
    pub fn rules_with_live(&self, live: &Self) -> String {
        let in_force = TABLES.into_iter().filter_map(|(key, is_live)| {
            let rules = if is_live { &live.rules } else { &self.rules };
            Some((key.to_owned(), rules.get(key)?.clone()))
        });
        toml::to_string(&in_force.collect::<toml::Table>()).unwrap_or_default()
    }
}

/// Whoever knows the address of a webhook or a collector may be all that it asks for: where it is is told, and no more.
fn shorten_addresses(value: &mut toml::Value) {
    match value {
        toml::Value::Array(list) => list.iter_mut().for_each(shorten_addresses),
        toml::Value::Table(table) => table.iter_mut().for_each(|(key, value)| match value {
            toml::Value::String(text) if matches!(key.as_str(), "url" | "otlp_endpoint") => {
                let origin = reqwest::Url::parse(text).map(|url| url.origin().ascii_serialization());
                *text = format!("{}/…", origin.unwrap_or_default());
            }
            value => shorten_addresses(value),
        }),
        _ => {}
    }
}

fn is_empty(value: &toml::Value) -> bool {
    match value {
        toml::Value::Array(list) => list.is_empty(),
        toml::Value::Table(table) => table.is_empty(),
        _ => false,
    }
}

/// Where settings come from is no part of what they are: logs and comparisons have no use for it.
impl fmt::Debug for AllTold {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AllTold(…)")
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        serve: ServeSettings,
    }

    fn told(file: &std::path::Path, flags: &[&str]) -> AllTold {
        let file = ["sidekey", "--config", file.to_str().unwrap()];
        let given = Program::try_parse_from(file.iter().chain(flags)).unwrap().serve;
        given.check().unwrap().told
    }

    #[test]
    fn each_setting_says_where_it_comes_from_and_some_are_read_again() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            "issuer = \"Shop\"\nlog_level = \"info\"\ntrusted_proxies = [\"127.0.0.1\"]\n\
             [sign_in]\nshop = \"/login/\"\n[[protect]]\napp = \"shop\"\npath = \"/\"\n\
             [tracing]\notlp_endpoint = \"https://collector.example:4318/v1/traces?token=abc\"\n",
        )
        .unwrap();
        let at_start = told(file.path(), &["--rate-limit", "7"]);
        std::fs::write(file.path(), "issuer = \"Other\"\nlog_level = \"debug\"\n").unwrap();
        let live = told(file.path(), &["--rate-limit", "7"]);
        let all = at_start.with_live(&live);
        let of = |key: &str| {
            let told = all.iter().find(|told| told.key == key).unwrap();
            (told.value.clone().unwrap_or_default(), told.source.clone())
        };
        let path = file.path().display().to_string();
        assert_eq!(of("issuer"), ("\"Shop\"".to_owned(), path.clone()), "counts after a restart");
        assert_eq!(of("log_level"), ("\"debug\"".to_owned(), path));
        assert_eq!(of("rate_limit"), ("7".to_owned(), "--rate-limit or SIDEKEY_RATE_LIMIT".to_owned()));
        assert_eq!(of("public_url"), (String::new(), "default".to_owned()));
        assert!(at_start.rules_with_live(&at_start).contains("shop = \"/login/\""));
        let rules = at_start.rules_with_live(&live);
        assert!(!rules.contains("/login/"), "taken away: {rules}");
        assert!(rules.contains("otlp_endpoint = \"https://collector.example:4318/…\""), "{rules}");
    }
}
