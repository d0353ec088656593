//! `config check`, `show` and `default`: what `serve` would go by, without starting it.

use std::path::Path;

use clap::parser::ValueSource;
use clap::{ArgMatches, Subcommand};
use serde_json::{Value, json};

use super::{Failure, listed, output::print};
use crate::config::ServeSettings;
use crate::config::catalogue::{self, Setting};
use crate::keyring::{SourceError, sources};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigVerb {
    /// Check what `serve` would go by with these flags, this environment and this file; exit code 2 with every mistake
    Check(Box<ServeSettings>),
    /// Show every setting that `serve` would go by and where it comes from; keys are named, never shown
    Show {
        #[command(flatten)]
        serve: Box<ServeSettings>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a file of settings in which everything is explained and nothing is set
    Default,
}

impl ConfigVerb {
    /// Runs it.
    ///
    /// # Errors
    /// The settings have mistakes.
    pub(super) fn run(self, matches: &ArgMatches) -> Result<(), Failure> {
        match self {
            Self::Check(serve) => check(*serve),
            Self::Show { serve, json } => {
                let given = matches.subcommand().and_then(|(_, matches)| matches.subcommand());
                show(*serve, json, |key| given.and_then(|(_, matches)| matches.value_source(key)))
            }
            Self::Default => print(catalogue::commented_file().trim_end()),
        }
    }
}

fn check(serve: ServeSettings) -> Result<(), Failure> {
    let key = key_of(serve.clone().with_file().as_ref().unwrap_or(&serve));
    match (serve.check(), key) {
        (Ok(_), Ok(_)) => print("The settings are right."),
        (checked, key) => {
            let mut mistakes = checked.err().unwrap_or_default();
            mistakes.extend(key.err());
            Err(listed(&mistakes))
        }
    }
}

/// Where the master key comes from; development mode makes its own.
fn key_of(settings: &ServeSettings) -> Result<String, String> {
    match sources::given(settings.master_key_file.as_deref()).map_err(|error| error.to_string())? {
        Some((_, origin)) => Ok(origin.to_string()),
        None if settings.development == Some(true) => {
            Ok("the data folder, made in development mode".to_owned())
        }
        None => {
            let data = settings.data.as_deref().unwrap_or(Path::new(crate::config::DATA));
            Err(SourceError::none_for(data).to_string())
        }
    }
}

/// A setting as it is in force.
struct InForce {
    setting: Setting,
    value: Option<toml::Value>,
    source: String,
}

fn show(
    serve: ServeSettings,
    as_json: bool,
    source: impl Fn(&str) -> Option<ValueSource>,
) -> Result<(), Failure> {
    let file = serve.config.clone();
    let merged = serve.with_file().map_err(|mistakes| listed(&mistakes))?;
    let said = toml::Table::try_from(&merged).map_err(Failure::runtime)?;
    let in_force: Vec<_> = catalogue::settings()
        .into_iter()
        .map(|setting| in_force(setting, &said, file.as_deref(), &source))
        .collect();
    let key = key_of(&merged);
    let rules = catalogue::TABLES.map(|(key, _)| (key, said.get(key).filter(|value| !is_empty(value))));
    if as_json {
        let mut all: serde_json::Map<_, _> = in_force
            .into_iter()
            .map(|InForce { setting, value, source }| {
                (setting.key, json!({ "value": value, "source": source }))
            })
            .collect();
        for (key, value) in rules {
            all.insert(key.to_owned(), json!({ "value": value, "source": "file" }));
        }
        all.insert(
            "master_key".to_owned(),
            json!({ "source": key.as_ref().ok(), "mistake": key.as_ref().err() }),
        );
        return print(&Value::Object(all).to_string());
    }
    let found = key.map_or_else(|mistake| format!("none: {mistake}"), |origin| format!("from {origin}"));
    let mut lines = table(&in_force);
    lines.push(format!("# master key {found}"));
    let rules: toml::Table =
        rules.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.clone()))).collect();
    if !rules.is_empty() {
        lines.push(format!("\n{}", toml::to_string(&rules).map_err(Failure::runtime)?.trim_end()));
    }
    print(&lines.join("\n"))
}

fn in_force(
    setting: Setting,
    said: &toml::Table,
    file: Option<&Path>,
    source: impl Fn(&str) -> Option<ValueSource>,
) -> InForce {
    // `table.key` is a key in a table.
    let value = match setting.key.split_once('.') {
        Some((table, key)) => said.get(table).and_then(|table| table.get(key)),
        None => said.get(&setting.key),
    };
    let value = value.filter(|value| !is_empty(value)).cloned();
    let source = match (source(&setting.key), &value, file) {
        (Some(ValueSource::CommandLine), ..) => setting.flag.clone(),
        (Some(ValueSource::EnvVariable), ..) => setting.variable.clone(),
        (_, Some(_), Some(file)) => file.display().to_string(),
        _ => "default".to_owned(),
    };
    InForce { value: value.or_else(|| setting.default.clone()), setting, source }
}

fn is_empty(value: &toml::Value) -> bool {
    match value {
        toml::Value::Array(list) => list.is_empty(),
        toml::Value::Table(table) => table.is_empty(),
        _ => false,
    }
}

/// Lines of a file of settings, with where each comes from.
fn table(in_force: &[InForce]) -> Vec<String> {
    let lines: Vec<_> = in_force
        .iter()
        .map(|InForce { setting, value, source }| match value {
            Some(value) => (format!("{} = {value}", setting.key), source),
            None => (format!("#{}", setting.key), source),
        })
        .collect();
    let width = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or_default();
    lines.into_iter().map(|(line, source)| format!("{line:width$}  # {source}")).collect()
}
