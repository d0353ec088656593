//! `[[notify]]`: who is told of what happens (see [`crate::notify`] and [`crate::outbox`]).
//!
//! ```toml
//! [[notify]]
//! name = "siem"                                  # its own; the store remembers by it how far it is
//! events = ["answer_refused", "account_locked"]  # default: all
//! apps = ["shop"]                                # default: all, and the server itself
//! [notify.webhook]
//! url = "https://siem.example.com/sidekey"
//! secret_file = "/etc/sidekey/siem.secret"       # whsec_…, the newest first, one a line
//! private = false                                # whether it may lead into one's own networks
//!
//! [[notify]]
//! name = "ops"
//! [notify.telegram]
//! chat_id = "-1001234567890"
//! token_file = "/etc/sidekey/telegram.token"
//! # api = "https://bots.example.com"             # a Bot API server of one's own; http:// with private = true
//!
//! [[notify]]
//! name = "owners"
//! [notify.mail]
//! smtp = "smtps://mail.example.com"              # or smtp://… with STARTTLS; private = true: in the clear, on this machine
//! user = "sidekey"                               # with it, password_file
//! password_file = "/etc/sidekey/mail.password"
//! from = "Sidekey <no-reply@example.com>"
//! to_owner = true                                # or to = ["ops@example.com"]
//! language = "de"                                # of owners who have seen no page in any; default: en
//!
//! [[notify]]
//! name = "log"
//! [notify.syslog]
//! address = "unix:///dev/log"                    # or udp://HOST:PORT, tcp://HOST:PORT
//! enterprise = 32473                             # the number in the name of the structured data
//! ```

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sidekey_core::id::AppId;
use zeroize::Zeroizing;

use crate::audit::EVENT_NAMES;
use crate::notify::Deliver;
use crate::notify::mail::server::Login;
use crate::notify::mail::{self, Mail, To};
use crate::notify::rule::Rule;
use crate::notify::syslog::{self, Collector, Syslog};
use crate::notify::telegram::{self, Telegram, Token};
use crate::notify::webhook::{Secrets, Webhook};
use crate::outbox::{Destination, Name};
use crate::pages::locale::{self, Locale};

/// Most destinations.
const MAX_DESTINATIONS: usize = 100;
/// Most bytes of a file with a secret.
const MAX_SECRET: u64 = 4_096;

/// A destination as it is typed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NotifySettings {
    name: String,
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    apps: Vec<String>,
    webhook: Option<WebhookSettings>,
    telegram: Option<TelegramSettings>,
    mail: Option<MailSettings>,
    syslog: Option<SyslogSettings>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WebhookSettings {
    url: String,
    secret_file: PathBuf,
    #[serde(default)]
    private: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct TelegramSettings {
    chat_id: String,
    token_file: PathBuf,
    api: Option<String>,
    #[serde(default)]
    private: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct MailSettings {
    smtp: String,
    user: Option<String>,
    password_file: Option<PathBuf>,
    from: String,
    #[serde(default)]
    to: Vec<String>,
    #[serde(default)]
    to_owner: bool,
    language: Option<String>,
    #[serde(default)]
    private: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SyslogSettings {
    address: String,
    enterprise: Option<u32>,
}

impl MailSettings {
    fn read(&self, files: &mut Files) -> Result<Mail, String> {
        let login = match (&self.user, &self.password_file) {
            (None, None) => None,
            (Some(user), Some(path)) => {
                let text = files.secret(path)?;
                let password = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
                if password.is_empty() || password.contains(['\r', '\n', '\0']) {
                    return Err(format!("`{}` must hold a password, on one line", path.display()));
                }
                Some(Login { user: user.clone(), password })
            }
            _ => return Err("`user` and `password_file` go together".to_owned()),
        };
        let to = match (self.to.is_empty(), self.to_owner) {
            (false, false) if self.language.is_some() => {
                return Err("`language` is for `to_owner = true`: operators read plain facts".to_owned());
            }
            (false, false) => To::operators(&self.to)?,
            (true, true) => To::Owner(self.language()?),
            _ => return Err("it needs one of `to` and `to_owner = true`".to_owned()),
        };
        let transport = mail::server::transport(&self.smtp, login.as_ref(), self.private)?;
        Ok(Mail::new(transport, mail::mailbox("from", &self.from)?, to))
    }

    /// That of owners who have seen no page in any.
    fn language(&self) -> Result<&'static Locale, String> {
        let Some(tag) = &self.language else { return Ok(locale::english()) };
        let spoken = || locale::tags().collect::<Vec<_>>().join(", ");
        locale::first_of(std::iter::once(tag.as_str()))
            .ok_or_else(|| format!("`language`: `{}` is none of {}", tag.escape_debug(), spoken()))
    }
}

/// What stood in the files with secrets, to be compared with what stands there later. It shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Fingerprint(…)")
    }
}

/// Reads all destinations, and gives the fingerprint of their secrets along.
///
/// # Errors
/// All mistakes, one sentence each.
pub(super) fn destinations(
    typed: &[NotifySettings],
) -> Result<(Vec<Arc<Destination>>, Fingerprint), Vec<String>> {
    if typed.len() > MAX_DESTINATIONS {
        return Err(vec![format!("there are more than {MAX_DESTINATIONS} `[[notify]]`")]);
    }
    let mut mistakes = Vec::new();
    let mut names = BTreeSet::new();
    let mut files = Files::default();
    let mut destinations = Vec::with_capacity(typed.len());
    for settings in typed {
        let own = |mistake: &String| format!("`[[notify]]` `{}`: {mistake}", settings.name.escape_debug());
        match settings.read(&mut files) {
            Ok(destination) => destinations.push(Arc::new(destination)),
            Err(found) => mistakes.extend(found.iter().map(own)),
        }
        if !names.insert(settings.name.as_str()) {
            mistakes.push(own(&"there is another one of this name".to_owned()));
        }
    }
    if mistakes.is_empty() { Ok((destinations, files.fingerprint())) } else { Err(mistakes) }
}

impl NotifySettings {
    fn read(&self, files: &mut Files) -> Result<Destination, Vec<String>> {
        let mut mistakes = Vec::new();
        let name = Name::parse(&self.name).map_err(|mistake| mistakes.push(format!("`name`: {mistake}")));
        for event in self.events.iter().filter(|event| !EVENT_NAMES.contains(&event.as_str())) {
            mistakes.push(format!(
                "`events`: there is no event `{}`; docs/operations.md lists all, see \"Events\"",
                event.escape_debug()
            ));
        }
        for app in &self.apps {
            if let Err(error) = AppId::parse(app) {
                mistakes.push(format!("`apps`: `{}` is no app: {error}", app.escape_debug()));
            }
        }
        let rule =
            Rule { events: self.events.iter().cloned().collect(), apps: self.apps.iter().cloned().collect() };
        let way = self.way(files).map_err(|mistake| mistakes.push(mistake));
        match (name, way) {
            (Ok(name), Ok(way)) if mistakes.is_empty() => Ok(Destination { name, rule, way }),
            _ => Err(mistakes),
        }
    }

    fn way(&self, files: &mut Files) -> Result<Box<dyn Deliver>, String> {
        match (&self.webhook, &self.telegram, &self.mail, &self.syslog) {
            (Some(WebhookSettings { url, secret_file, private }), None, None, None) => {
                let text = files.secret(secret_file)?;
                let secrets =
                    Secrets::parse(&text).map_err(|error| format!("`{}`: {error}", secret_file.display()))?;
                Ok(Box::new(Webhook::new(url, secrets, *private)?))
            }
            (None, Some(TelegramSettings { chat_id, token_file, api, private }), None, None) => {
                let text = files.secret(token_file)?;
                let token =
                    Token::parse(&text).map_err(|error| format!("`{}`: {error}", token_file.display()))?;
                let api = api.as_deref().unwrap_or(telegram::API);
                Ok(Box::new(Telegram::new(api, &token, chat_id, *private)?))
            }
            (None, None, Some(mail), None) => Ok(Box::new(mail.read(files)?)),
            (None, None, None, Some(SyslogSettings { address, enterprise })) => {
                let collector = Collector::parse(address)?;
                Ok(Box::new(Syslog::new(collector, enterprise.unwrap_or(syslog::ENTERPRISE))))
            }
            _ => Err("it needs one of `[notify.webhook]`, `[notify.telegram]`, `[notify.mail]` and `[notify.syslog]`"
                .to_owned()),
        }
    }
}

/// The files with secrets that were read.
#[derive(Default)]
struct Files(Sha256);

impl Files {
    /// The text of a file that only its owner can read.
    fn secret(&mut self, path: &Path) -> Result<Zeroizing<String>, String> {
        let text = secret(path)?;
        self.0.update((text.len() as u64).to_be_bytes());
        self.0.update(text.as_bytes());
        Ok(text)
    }

    fn fingerprint(self) -> Fingerprint {
        Fingerprint(self.0.finalize().into())
    }
}

fn secret(path: &Path) -> Result<Zeroizing<String>, String> {
    let unusable = |error: std::io::Error| format!("`{}` cannot be read: {error}", path.display());
    let metadata = fs::metadata(path).map_err(unusable)?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(format!("`{0}` can be read by others: `chmod 600 {0}`", path.display()));
    }
    if metadata.len() > MAX_SECRET {
        return Err(format!("`{}` has more than {MAX_SECRET} bytes", path.display()));
    }
    fs::read_to_string(path).map(Zeroizing::new).map_err(unusable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Arc<Destination>>, Vec<String>> {
        #[derive(Deserialize)]
        struct File {
            notify: Vec<NotifySettings>,
        }
        destinations(&toml::from_str::<File>(text).unwrap().notify).map(|(destinations, _)| destinations)
    }

    fn file(folder: &Path, name: &str, text: &str, mode: u32) -> String {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn destinations_are_read_with_their_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let secret = file(folder.path(), "a", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", 0o600);
        let token = file(folder.path(), "b", "123456:AAbbCCddEEffGGhhIIjjKKllMMnn\n", 0o600);
        let text = format!(
            "[[notify]]\nname = \"siem\"\nevents = [\"account_locked\"]\n[notify.webhook]\nurl = \"https://siem.example/\"\n\
             secret_file = \"{secret}\"\n[[notify]]\nname = \"ops\"\n[notify.telegram]\nchat_id = \"-1001\"\ntoken_file = \"{token}\"\n"
        );
        let read = read(&text).unwrap();
        assert_eq!(read.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["siem", "ops"]);
        let shown = format!("{read:?}");
        assert!(!shown.contains("MfKQ") && !shown.contains("AAbb"), "{shown}");
    }

    #[test]
    fn mail_is_read_with_its_password_and_whom_it_is_for() {
        let folder = tempfile::tempdir().unwrap();
        let password = file(folder.path(), "p", "geheim\n", 0o600);
        let open = file(folder.path(), "o", "geheim\n", 0o644);
        let mail = |rest: &str| {
            read(&format!(
                "[[notify]]\nname = \"mail\"\n[notify.mail]\nsmtp = \"smtps://mail.example.com\"\nfrom = \"a@example.com\"\n{rest}"
            ))
        };
        let login = |file: &str| format!("user = \"ann\"\npassword_file = \"{file}\"\n");
        let good = mail(&format!("{}to_owner = true", login(&password))).unwrap();
        assert!(!format!("{good:?}").contains("geheim"));
        assert!(mail("to = [\"ops@example.com\"]").is_ok());
        assert!(mail("to_owner = true\nlanguage = \"pt-BR\"").is_ok());
        for (rest, expected) in [
            (String::new(), "one of `to`"),
            ("to_owner = true\nto = [\"ops@example.com\"]".to_owned(), "one of `to`"),
            ("to = [\"ops\"]".to_owned(), "no e-mail address"),
            ("to_owner = true\nuser = \"ann\"".to_owned(), "go together"),
            (format!("to_owner = true\n{}", login(&open)), "chmod 600"),
            ("to_owner = true\nprivate = true".to_owned(), "this machine"),
            ("to_owner = true\nlanguage = \"tlh\"".to_owned(), "`tlh` is none of ar, de, en"),
            ("to = [\"ops@example.com\"]\nlanguage = \"de\"".to_owned(), "for `to_owner"),
        ] {
            let mistakes = mail(&rest).unwrap_err();
            assert!(mistakes[0].contains(expected) && !mistakes[0].contains("geheim"), "{mistakes:?}");
        }
    }

    #[test]
    fn a_bot_api_without_tls_is_one_of_ones_own_that_is_called_so() {
        let folder = tempfile::tempdir().unwrap();
        let token = file(folder.path(), "t", "123456:AAbbCCddEEffGGhhIIjjKKllMMnn\n", 0o600);
        let telegram = |rest: &str| {
            read(&format!(
                "[[notify]]\nname = \"ops\"\n[notify.telegram]\nchat_id = \"-1001\"\ntoken_file = \"{token}\"\n{rest}"
            ))
        };
        assert!(telegram("api = \"https://bots.example\"").is_ok());
        assert!(telegram("api = \"http://10.0.0.7:8081\"\nprivate = true").is_ok());
        for rest in ["api = \"http://10.0.0.7:8081\"", "api = \"http://bots.example\"\nprivate = false"] {
            let mistakes = telegram(rest).unwrap_err();
            assert!(mistakes[0].contains("private = true") && !mistakes[0].contains("AAbb"), "{mistakes:?}");
        }
        assert!(telegram("api = \"ftp://bots.example\"\nprivate = true").is_err());
    }

    #[test]
    fn every_mistake_is_named_and_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let open = file(folder.path(), "open", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 0o644);
        let bad = file(folder.path(), "bad", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 0o600);
        let hook = |secret: &str| {
            format!("[notify.webhook]\nurl = \"https://x.example/\"\nsecret_file = \"{secret}\"\n")
        };
        let text = [
            format!("[[notify]]\nname = \"a\"\n{}", hook(&open)),
            format!("[[notify]]\nname = \"b\"\n{}", hook(&bad)),
            format!("[[notify]]\nname = \"c\"\n{}", hook("/nowhere/secret")),
            format!("[[notify]]\nname = \"A\"\nevents = [\"locked\"]\napps = [\"no app\"]\n{}", hook(&open)),
            "[[notify]]\nname = \"d\"\n".to_owned(),
            "[[notify]]\nname = \"d\"\n".to_owned(),
        ];
        let mistakes = read(&text.concat()).unwrap_err();
        for expected in [
            "`a`: `",
            "chmod 600",
            "`b`: `",
            "whsec_",
            "/nowhere/secret",
            "`A`: `name`",
            "`A`: `events`",
            "`A`: `apps`",
            "needs one of",
            "another one",
        ] {
            assert!(mistakes.iter().any(|mistake| mistake.contains(expected)), "{expected}: {mistakes:#?}");
        }
        assert!(mistakes.iter().all(|mistake| !mistake.contains("MfKQ")), "{mistakes:#?}");
    }
}
