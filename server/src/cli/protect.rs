//! `protect check`: which rule of a file speaks of a request, and what it asks for. A dry run, without a server.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use http::Uri;
use serde_json::{Value, json};
use sidekey_core::protect::{Demand, Rule};

use super::{Failure, listed, output::print};
use crate::{config::protection_of, forwarded::Held};

#[derive(Debug, Subcommand)]
pub(super) enum ProtectVerb {
    /// Say which rule decides on a request, and what it asks for; exit code 1 if nobody would pass
    Check {
        /// The server's file of settings
        #[arg(long, env = "SIDEKEY_CONFIG", value_name = "FILE")]
        config: PathBuf,
        /// The request's method, in capital letters
        method: String,
        /// The request's URL
        url: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl ProtectVerb {
    /// Runs it.
    ///
    /// # Errors
    /// The file or the request cannot be read, or no rule speaks of the request.
    pub(super) fn run(&self) -> Result<(), Failure> {
        let Self::Check { config, method, url, json } = self;
        let found = check(config, method, url)?;
        if *json {
            print(&found.as_ref().map_or(Value::Null, to_json).to_string())?;
        } else if let Some(rule) = &found {
            print(&sentence(rule))?;
        }
        let nobody = "no rule `[[protect]]` speaks of this request, so nobody passes";
        found.map(drop).ok_or_else(|| Failure::Runtime(nobody.to_owned()))
    }
}

fn check(config: &Path, method: &str, url: &str) -> Result<Option<Rule>, Failure> {
    let protection = protection_of(config).map_err(|mistakes| listed(&mistakes))?;
    let uri: Uri = url.parse().map_err(|_| Failure::settings(format!("`{url}` is no URL")))?;
    let (Some(authority), Some(target)) = (uri.authority(), uri.path_and_query()) else {
        return Err(Failure::settings(format!(
            "`{url}` must have a host, such as https://app.example/admin/"
        )));
    };
    let held = Held::read(method, authority.as_str(), target.as_str());
    let held = held.map_err(|why| Failure::Runtime(format!("the request would be refused: {why}")))?;
    Ok(protection.rules.find(held.as_request()).cloned())
}

fn sentence(rule: &Rule) -> String {
    let host = rule.host.as_deref().unwrap_or("any host");
    let methods = if rule.methods.is_empty() { "all methods".to_owned() } else { rule.methods.join(", ") };
    let demand = match rule.demand {
        Demand::Nothing => "nothing: it is public".to_owned(),
        Demand::SecondFactor { max_age: None } => "a login with a second factor".to_owned(),
        Demand::SecondFactor { max_age: Some(seconds) } => {
            format!("a login with a second factor of the last {seconds} s")
        }
    };
    format!("{host}, {}, {methods}: asks users of `{}` for {demand}", rule.path.as_str(), rule.app)
}

fn to_json(rule: &Rule) -> Value {
    let max_age = match rule.demand {
        Demand::Nothing => None,
        Demand::SecondFactor { max_age } => max_age,
    };
    json!({
        "app": rule.app,
        "host": rule.host,
        "path": rule.path.as_str(),
        "methods": rule.methods,
        "public": rule.demand == Demand::Nothing,
        "max_age": max_age,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const RULES: &str = "[[protect]]\napp = \"shop\"\npath = \"/a/\"\n[[protect]]\napp = \"shop\"\npath = \"/a/b/\"\nmax_age = 60\n";

    fn asked(method: &str, url: &str) -> Result<Option<String>, Failure> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(RULES.as_bytes()).unwrap();
        Ok(check(file.path(), method, url)?.as_ref().map(sentence))
    }

    #[test]
    fn the_rule_that_would_decide_is_told() {
        let told = asked("POST", "https://app.example:8443/a/b/c?d").unwrap().unwrap();
        assert_eq!(
            told,
            "any host, /a/b/, all methods: asks users of `shop` for a login with a second factor of the last 60 s"
        );
        assert!(asked("GET", "https://app.example/a/x").unwrap().unwrap().contains("/a/, all"));
        assert_eq!(asked("GET", "https://app.example/").unwrap(), None);
    }

    #[test]
    fn what_would_be_refused_is_told() {
        let refused = asked("GET", "https://app.example/a/../b").unwrap_err();
        assert!(matches!(refused, Failure::Runtime(text) if text.contains("would be refused")));
        assert!(matches!(asked("GET", "/a/").unwrap_err(), Failure::Settings(_)));
    }
}
