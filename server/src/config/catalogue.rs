//! Every setting of `serve`: what it is about, how it is named, what it is by default. Flags, variables and texts are those of the
//! command line, so that nothing is told twice.

use std::fmt::Write as _;

use clap::{Args as _, Command};

use super::{
    AUDIT_MAX_ENTRIES, AUDIT_RETENTION_DAYS, DATA, ISSUER, LISTEN, LOG_LEVEL, RATE_BURST, RATE_LIMIT,
    ServeSettings,
};

/// What a file may say besides settings of one value, and whether that is read again while the server runs.
pub const TABLES: [(&str, bool); 4] =
    [("sign_in", true), ("protect", true), ("tracing", false), ("notify", false)];

/// The same as a commented file.
const TABLES_OF_A_FILE: &str = r#"
# Forward-auth: where an application's own login is (a path of the protected host, or a URL), and what a proxy's requests need.
# `sidekey protect check` tries the rules out. What no rule speaks of does not pass.
#[sign_in]
#shop = "/login/"
#
#[[protect]]
#app = "shop"
#path = "/"
#
#[[protect]]
#app = "shop"
#path = "/api/terminal/"
#host = "app.example.com"
#methods = ["POST"]
#max_age = 3600
#
#[[protect]]
#app = "shop"
#path = "/login/"
#public = true

# OpenTelemetry traces, over OTLP/HTTP.
#[tracing]
#otlp_endpoint = "http://127.0.0.1:4318/v1/traces"
#sample = 0.1
#traceparent_from = ["10.0.0.0/8"]

# Who is told of what happens; `sidekey outbox` shows what was not delivered.
#[[notify]]
#name = "siem"
#events = ["answer_refused", "account_locked"]
#[notify.webhook]
#url = "https://siem.example.com/sidekey"
#secret_file = "/etc/sidekey/siem.secret"
#
#[[notify]]
#name = "ops"
#[notify.telegram]
#chat_id = "-1001234567890"
#token_file = "/etc/sidekey/telegram.token"
#
#[[notify]]
#name = "owners"
#[notify.mail]
#smtp = "smtps://mail.example.com"
#user = "sidekey"
#password_file = "/etc/sidekey/mail.password"
#from = "Sidekey <no-reply@example.com>"
#to_owner = true
#language = "de"   # of owners who have seen no page in any; default: en
#
#[[notify]]
#name = "log"
#[notify.syslog]
#address = "unix:///dev/log"
"#;

/// One setting.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Its key in the file.
    pub key: String,
    /// Its flag, with the hyphens.
    pub flag: String,
    /// Its variable of the environment.
    pub variable: String,
    /// What it is about.
    pub about: String,
    /// What it is where nobody says anything; `None`: nothing, or it depends.
    pub default: Option<toml::Value>,
}

/// All settings that have one value, in the order of the command line.
pub fn settings() -> Vec<Setting> {
    let command = ServeSettings::augment_args(Command::new("serve"));
    // What is for one start, and no setting of a file.
    let is_setting = |id: &str| id != "config" && id != "seed";
    let named = command.get_arguments().filter(|argument| is_setting(argument.get_id().as_str()));
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    named
        .map(|argument| Setting {
            key: argument.get_id().to_string(),
            flag: format!("--{}", text(argument.get_long())),
            variable: text(argument.get_env().and_then(|name| name.to_str())),
            about: argument.get_help().map(ToString::to_string).unwrap_or_default(),
            default: default(argument.get_id().as_str()),
        })
        .collect()
}

fn default(key: &str) -> Option<toml::Value> {
    let number = |number: u64| i64::try_from(number).ok().map(toml::Value::from);
    match key {
        "listen" => Some(LISTEN.into()),
        "data" => Some(DATA.into()),
        "development" => Some(false.into()),
        "base_path" => Some("".into()),
        "issuer" => Some(ISSUER.into()),
        "trusted_proxies" => Some(toml::Value::Array(Vec::new())),
        "rate_limit" => number(RATE_LIMIT.into()),
        "rate_burst" => number(RATE_BURST.into()),
        "audit_retention_days" => number(AUDIT_RETENTION_DAYS.into()),
        "audit_max_entries" => number(AUDIT_MAX_ENTRIES),
        "admin" => Some(true.into()),
        "log_level" => Some(LOG_LEVEL.into()),
        "store.engine" => Some("sled".into()),
        "store.cache_mb" => number(super::store::CACHE_MB.into()),
        "store.check_at_start" => Some(super::store::FULL.into()),
        "store.pool_size" => number(super::store::POOL_SIZE.into()),
        _ => None,
    }
}

/// What a setting without a default may look like.
fn example(key: &str) -> &'static str {
    match key {
        "public_url" => "https://login.example.com",
        "master_key_file" => "/etc/sidekey/master.key",
        "log" => "json",
        "store.url" => "postgres://sidekey@db.example.com/sidekey",
        "store.url_file" => "/etc/sidekey/store.url",
        "store.ca_file" => "/etc/sidekey/store-ca.pem",
        "store.tls" => "require",
        _ => "",
    }
}

/// A file of settings in which everything is explained and nothing is set.
pub fn commented_file() -> String {
    let mut text = String::from(
        "# Settings of `sidekey serve --config FILE`. Flags and environment variables count before this file.\n\
         # `sidekey config check --config FILE` names every mistake; `sidekey config show` tells what is in force.\n",
    );
    for Setting { key, variable, about, default, .. } in settings() {
        let value = default.unwrap_or_else(|| example(&key).into());
        // Writing to a string cannot fail.
        let _ = write!(text, "\n# {about} ({variable})\n#{key} = {value}\n");
    }
    text + TABLES_OF_A_FILE
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use clap::Parser;

    use super::*;
    use crate::config::Settings;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        serve: ServeSettings,
    }

    fn with_file(text: &str) -> Settings {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let flags = ["sidekey", "--config", file.path().to_str().unwrap()];
        Program::try_parse_from(flags).unwrap().serve.check().unwrap()
    }

    /// The lines that would be settings without their `#`, of those that `wanted` picks by their key.
    fn uncommented(text: &str, wanted: impl Fn(&str) -> bool) -> String {
        let is_explanation = |line: &str| line.starts_with("# ") || line == "#";
        let lines =
            text.lines().filter(|line| !is_explanation(line)).filter_map(|line| line.strip_prefix('#'));
        lines.filter(|line| wanted(line.split(' ').next().unwrap())).flat_map(|line| [line, "\n"]).collect()
    }

    #[test]
    fn the_commented_file_sets_nothing_and_its_defaults_are_those_of_the_server() {
        let untouched = format!("{:?}", with_file(""));
        let text = commented_file();
        assert_eq!(format!("{:?}", with_file(&text)), untouched);
        let with_default: Vec<_> = settings().into_iter().filter(|s| s.default.is_some()).collect();
        let defaults = uncommented(&text, |key| with_default.iter().any(|setting| setting.key == key));
        assert_eq!(defaults.lines().count(), with_default.len(), "{defaults}");
        assert_eq!(format!("{:?}", with_file(&defaults)), untouched);
    }

    #[test]
    fn every_line_of_the_commented_file_is_a_setting_that_may_be_made() {
        let text = uncommented(&commented_file(), |key| key != "trusted_proxies");
        // Its files are not on this machine; config/notify.rs reads such ones.
        let (text, _) = text.split_once("[[notify]]").unwrap();
        let settings = with_file(&format!("trusted_proxies = [\"10.0.0.1\"]\n{text}"));
        assert_eq!(settings.protection.rules.iter().count(), 3);
        assert_eq!(settings.public_url.unwrap().as_str(), "https://login.example.com");
    }

    #[test]
    fn every_setting_has_its_names_and_says_what_it_is_about() {
        for setting in settings() {
            assert!(setting.variable.starts_with("SIDEKEY_"), "{setting:?}");
            assert!(setting.flag.len() > 2 && setting.about.len() > 20, "{setting:?}");
            assert!(setting.default.is_some() || !example(&setting.key).is_empty(), "{setting:?}");
        }
    }
}
