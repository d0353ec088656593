//! `[[protect]]`: which requests to an application need a second factor (see [`sidekey_core::protect`]).
//!
//! ```toml
//! [[protect]]
//! app = "shop"
//! path = "/api/terminal/"   # this path and everything below
//! host = "app.example.com"  # default: any host
//! methods = ["POST"]        # default: all methods
//! max_age = 3600            # seconds since the second factor; default: any age
//!
//! [[protect]]
//! app = "shop"
//! path = "/assets/"
//! public = true             # no login is asked for
//! ```

use serde::Deserialize;
use sidekey_core::{
    id::AppId,
    protect::{Demand, Rule, Rules, path::CanonicalPath},
};

/// The most rules that a file may have.
const MAX_RULES: usize = 1_000;

/// One rule as it is typed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProtectSettings {
    app: String,
    path: String,
    host: Option<String>,
    #[serde(default)]
    methods: Vec<String>,
    max_age: Option<u64>,
    #[serde(default)]
    public: bool,
}

/// The rules of a file.
///
/// # Errors
/// All mistakes, one sentence each.
pub(super) fn rules(typed: &[ProtectSettings]) -> Result<Rules, Vec<String>> {
    if typed.len() > MAX_RULES {
        return Err(vec![format!("there are more than {MAX_RULES} rules `[[protect]]`")]);
    }
    let mut mistakes = Vec::new();
    let mut rules = Vec::with_capacity(typed.len());
    for (index, rule) in typed.iter().enumerate() {
        match rule.read() {
            Ok(rule) => rules.push(rule),
            Err(mistake) => mistakes.push(format!("rule {} of `[[protect]]`: {mistake}", index + 1)),
        }
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    Rules::new(rules).map_err(|clash| {
        vec![format!("two rules `[[protect]]` speak of the same requests below `{}`", clash.path.as_str())]
    })
}

impl ProtectSettings {
    fn read(&self) -> Result<Rule, String> {
        let app = AppId::parse(&self.app).map_err(|error| format!("`app`: {error}"))?;
        let path = CanonicalPath::parse(&self.path)
            .ok()
            .filter(|path| path.as_str().len() == self.path.len())
            .ok_or_else(|| {
                format!(
                    "`path` must begin with `/` and have no query, `//`, `.`, `..` or `;`, not `{}`",
                    self.path
                )
            })?;
        let host = self.host.as_deref().map(host).transpose()?;
        let methods = self.methods.iter().map(|name| method(name)).collect::<Result<_, _>>()?;
        let demand = match (self.public, self.max_age) {
            (true, Some(_)) => return Err("`public` and `max_age` contradict each other".to_owned()),
            (true, None) => Demand::Nothing,
            (false, max_age) => Demand::SecondFactor { max_age },
        };
        Ok(Rule { app, host, path, methods, demand })
    }
}

fn host(typed: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'[' | b']');
    let has_port = !typed.ends_with(']') && typed.contains(':');
    let is_host = !typed.is_empty() && !has_port && typed.bytes().all(|byte| plain(byte) || byte == b':');
    if is_host {
        Ok(typed.to_ascii_lowercase())
    } else {
        Err(format!("`host` must be a name without a port, not `{typed}`"))
    }
}

fn method(typed: &str) -> Result<String, String> {
    let is_method = !typed.is_empty() && typed.bytes().all(|byte| byte.is_ascii_uppercase());
    if is_method {
        Ok(typed.to_owned())
    } else {
        Err(format!("`methods` are names such as \"GET\", not `{typed}`"))
    }
}
