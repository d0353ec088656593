//! `[[protect]]` and `[sign_in]`: which requests to an application need a second factor (see [`sidekey_core::protect`]), and where
//! browsers go that have no login.
//!
//! ```toml
//! [sign_in]
//! shop = "/login/"          # the application's own login; a path of the protected host, or a URL
//!
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

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sidekey_core::{
    id::AppId,
    protect::{Demand, Rule, Rules, path::CanonicalPath},
};

use crate::apps::ReturnUrl;

/// The most rules that a file may have.
const MAX_RULES: usize = 1_000;

/// The shortest `max_age`, in seconds: with a shorter one, a second factor is too old before the page is there that it was given for.
const MIN_MAX_AGE: u64 = 30;

/// What is asked of requests that a proxy holds back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// The rules.
    pub rules: Rules,
    /// Where an application's own login is: a path of the protected host, or an absolute URL.
    pub sign_in: BTreeMap<AppId, String>,
}

/// One rule as it is typed.
#[derive(Clone, Debug, Deserialize, Serialize)]
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

/// What a file says of protection.
///
/// # Errors
/// All mistakes, one sentence each.
pub(super) fn protection(
    typed: &[ProtectSettings],
    sign_in: &BTreeMap<String, String>,
) -> Result<Protection, Vec<String>> {
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
    let mut places = BTreeMap::new();
    for (app, place) in sign_in {
        match (AppId::parse(app), is_place(place)) {
            (Ok(app), true) => drop(places.insert(app, place.clone())),
            (Ok(_), false) => mistakes.push(format!(
                "`[sign_in]`: `{app}` must be a path such as /login/ or an http or https URL, not `{place}`"
            )),
            (Err(error), _) => mistakes.push(format!("`[sign_in]`: `{app}` is no app: {error}")),
        }
    }
    let idle = places.keys().find(|app| !rules.iter().any(|rule| rule.app == **app));
    if let Some(app) = idle.filter(|_| mistakes.is_empty()) {
        mistakes.push(format!("`[sign_in]` names `{app}`, for which there is no rule `[[protect]]`"));
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let rules = Rules::new(rules).map_err(|clash| {
        vec![format!("two rules `[[protect]]` speak of the same requests below `{}`", clash.path.as_str())]
    })?;
    Ok(Protection { rules, sign_in: places })
}

/// Whether a text is a canonical path, or an absolute URL.
fn is_place(text: &str) -> bool {
    CanonicalPath::parse(text).is_ok() || ReturnUrl::parse(text).is_ok()
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
            (false, Some(0..MIN_MAX_AGE)) => {
                return Err(format!("`max_age` must be at least {MIN_MAX_AGE} seconds"));
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Protection, Vec<String>> {
        #[derive(Deserialize)]
        struct File {
            #[serde(default)]
            protect: Vec<ProtectSettings>,
            #[serde(default)]
            sign_in: BTreeMap<String, String>,
        }
        let file: File = toml::from_str(text).unwrap();
        protection(&file.protect, &file.sign_in)
    }

    #[test]
    fn rules_are_read_as_they_are_meant() {
        let text = r#"
            [sign_in]
            shop = "/login/"
            [[protect]]
            app = "shop"
            host = "App.Example"
            path = "/api/terminal/"
            methods = ["POST"]
            max_age = 3600
            [[protect]]
            app = "shop"
            path = "/assets/"
            public = true
        "#;
        let Protection { rules, sign_in } = read(text).unwrap();
        let rules: Vec<&Rule> = rules.iter().collect();
        assert_eq!(rules[0].host.as_deref(), Some("app.example"));
        assert_eq!(rules[0].demand, Demand::SecondFactor { max_age: Some(3_600) });
        assert_eq!((rules[1].host.as_deref(), rules[1].demand), (None, Demand::Nothing));
        assert_eq!(sign_in[&AppId::parse("shop").unwrap()], "/login/");
    }

    #[test]
    fn every_mistake_is_named() {
        let rule = |line: &str| format!("[[protect]]\napp = \"shop\"\n{line}\n");
        let text = [
            rule("path = \"admin\""),
            rule("path = \"/a/../b\""),
            rule("path = \"/a?b\""),
            rule("path = \"/\"\nhost = \"a.example:8443\""),
            rule("path = \"/\"\nhost = \"a.example/\""),
            rule("path = \"/\"\nmethods = [\"get\"]"),
            rule("path = \"/\"\npublic = true\nmax_age = 1"),
            rule("path = \"/\"\nmax_age = 29"),
            "[[protect]]\napp = \"no app\"\npath = \"/\"\n".to_owned(),
        ];
        let mistakes = read(&text.concat()).unwrap_err();
        assert_eq!(mistakes.len(), text.len(), "{mistakes:?}");
        for (index, mistake) in mistakes.iter().enumerate() {
            assert!(mistake.starts_with(&format!("rule {} ", index + 1)), "{mistake}");
        }
    }

    #[test]
    fn rules_that_contradict_and_logins_that_nobody_needs_are_mistakes() {
        let twice = "[[protect]]\napp = \"a\"\npath = \"/x\"\n[[protect]]\napp = \"b\"\npath = \"/x/\"\n";
        assert!(read(twice).unwrap_err()[0].contains("`/x"));
        let rule = "[[protect]]\napp = \"shop\"\npath = \"/\"\n[sign_in]\n";
        assert!(read(&format!("{rule}bank = \"/login/\"")).unwrap_err()[0].contains("`bank`"));
        for place in ["login", "//evil.example/", "javascript:x", "/a/../b"] {
            let mistakes = read(&format!("{rule}shop = \"{place}\"")).unwrap_err();
            assert!(mistakes[0].contains("[sign_in]"), "{mistakes:?}");
        }
        assert!(read(&format!("{rule}shop = \"https://login.example/in?x=1\"")).is_ok());
    }
}
