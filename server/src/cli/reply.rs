//! What came of a command, as JSON and for people.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sidekey_core::policy::Enforcement;
use zeroize::Zeroizing;

use super::output::{counted, counted_as};
use super::{admin, app, outbox, rotate};
use crate::apps::KeyShown;
use crate::apps::settings::{DAY, word};
use crate::control::{AppLine, KeyLine, Reply};
use crate::http::rfc3339;
use crate::maintenance::backup::Summary;
use crate::maintenance::check::Report;
use crate::store::FORMAT;

/// A reply as one JSON value.
pub(super) fn to_json(reply: Reply) -> Value {
    match reply {
        Reply::AppCreated { app_id, name, key } => json!({
            "app_id": app_id, "name": name, "key_id": key.key_id, "api_key": key.api_key.expose(),
        }),
        Reply::Apps(apps) => apps.iter().map(app_to_json).collect(),
        Reply::App(app) => json!(app.shown()),
        Reply::KeyCreated(key) => json!({ "key_id": key.key_id, "api_key": key.api_key.expose() }),
        Reply::Keys(keys) => keys.iter().map(key_to_json).collect(),
        Reply::KeyRevoked { key_id } => json!({ "key_id": key_id, "revoked": true }),
        Reply::MasterKeysRotated { key_id, resealed, unused } => {
            json!({ "key_id": key_id, "resealed": resealed, "unused": unused })
        }
        Reply::MasterKeysRead { source, keys } => json!({ "source": source, "keys": keys }),
        Reply::MasterKeyUse { values, noted, sealing } => {
            json!({ "values": values, "noted": noted, "sealing": sealing })
        }
        Reply::SigningKeys(keys) => rotate::signing_keys_to_json(&keys),
        Reply::UsersImported { lines } => json!(lines),
        Reply::Exported { users } => json!({ "users": users }),
        Reply::BackedUp(summary) => json!(summary),
        Reply::Verified(report) => json!(report),
        Reply::LetGo => json!({ "let_go": true }),
        Reply::OutboxStanding(all) => json!(all),
        Reply::OutboxLetters { letters, .. } => json!(letters),
        Reply::OutboxChanged { count } => json!({ "changed": count }),
        Reply::Status(status) => json!(status),
        Reply::ProbeBegun { url, .. } => json!({ "url": url }),
        Reply::ProbeEnded { seen } => json!(seen),
        Reply::AuditTold { entries } => json!({ "entries": entries }),
        Reply::Operators(operators) => admin::listed_as_json(&operators),
        Reply::OperatorChanged { name, done } => json!({ "name": name, "done": done }),
    }
}

fn key_to_json(key: &KeyShown) -> Value {
    let KeyShown { key_id, created_at, revoked_at } = key;
    json!({ "key_id": key_id, "created_at": rfc3339(*created_at), "revoked_at": revoked_at.map(rfc3339) })
}

fn key_shown(key: &KeyShown) -> String {
    let KeyShown { key_id, created_at, revoked_at } = key;
    let revoked = revoked_at.map_or_else(String::new, |at| format!(", revoked {}", rfc3339(at)));
    format!("{key_id}  made {}{revoked}", rfc3339(*created_at))
}

fn app_to_json(app: &AppLine) -> Value {
    let mut value = json!({
        "app_id": app.app_id, "name": app.name, "enforcement": word(app.enforcement),
    });
    if let Enforcement::Required { grace_seconds } = app.enforcement
        && let Some(members) = value.as_object_mut()
    {
        members.insert("grace_days".to_owned(), json!(grace_seconds / DAY));
    }
    value
}

/// A reply for people.
pub(super) fn to_text(reply: Reply) -> Zeroizing<String> {
    Zeroizing::new(match reply {
        Reply::AppCreated { app_id, name, key } => {
            format!("Application {app_id} ({name})\n{}", key_to_text(&key))
        }
        Reply::Apps(apps) if apps.is_empty() => {
            "There is no application yet; make one with `sidekey app create --name NAME`.".to_owned()
        }
        Reply::Apps(apps) => table(&apps),
        Reply::App(app) => app::shown(&app),
        Reply::KeyCreated(key) => key_to_text(&key),
        Reply::Keys(keys) if keys.is_empty() => {
            "There is no API key; make one with `sidekey key create`.".to_owned()
        }
        Reply::Keys(keys) => keys.iter().map(key_shown).collect::<Vec<_>>().join("\n"),
        Reply::KeyRevoked { key_id } => format!("Key {key_id} is worthless from now on."),
        Reply::MasterKeysRotated { key_id, resealed, .. } => {
            format!("Everything is sealed with key {key_id}: {resealed} records were sealed anew.")
        }
        Reply::MasterKeysRead { source, keys } => format!("Keys of {source}: {}", keys.join(", ")),
        Reply::MasterKeyUse { values, .. } => {
            let lines = values.iter().map(|(id, count)| format!("{id}  seals {count} values"));
            lines.collect::<Vec<_>>().join("\n")
        }
        Reply::SigningKeys(keys) => rotate::signing_keys(&keys),
        Reply::UsersImported { lines } => {
            let lines = lines.iter().map(|line| format!("{}  {:?}", line.user_id, line.outcome));
            lines.collect::<Vec<_>>().join("\n")
        }
        Reply::Exported { users } => format!("Exported {users} users."),
        Reply::LetGo => "The server has let its store go.".to_owned(),
        Reply::BackedUp(summary) => backed_up(&summary),
        Reply::Verified(report) => verified(&report),
        Reply::OutboxStanding(all) => outbox::standing(&all),
        Reply::OutboxLetters { letters, behind } => outbox::letters(&letters, &behind),
        Reply::OutboxChanged { count } => outbox::changed(count),
        Reply::Status(status) => format!("Version {}", status.version),
        Reply::ProbeBegun { url, .. } => format!("A request to `{url}` is watched for."),
        Reply::ProbeEnded { seen } => {
            seen.map_or_else(|| "It did not come.".to_owned(), |seen| format!("It came from {}.", seen.peer))
        }
        Reply::AuditTold { entries } => format!("{entries} audit entries"),
        Reply::Operators(operators) => admin::listed(&operators),
        Reply::OperatorChanged { name, done } => admin::changed(&name, &done),
    })
}

fn key_to_text(key: &KeyLine) -> String {
    format!("Key id   {}\nAPI key  {}\nThe API key is shown only now.", key.key_id, key.api_key.expose())
}

fn table(apps: &[AppLine]) -> String {
    let width = apps.iter().map(|app| app.app_id.as_str().len()).max().unwrap_or_default();
    let mut text = String::new();
    for app in apps {
        if !text.is_empty() {
            text.push('\n');
        }
        let days = match app.enforcement {
            Enforcement::Required { grace_seconds } if grace_seconds > 0 => {
                format!(", {} days of grace", grace_seconds / DAY)
            }
            _ => String::new(),
        };
        let (id, name, word) = (app.app_id.as_str(), &app.name, word(app.enforcement));
        // Writing to a string cannot fail.
        let _ = write!(text, "{id:width$}  {name} ({word}{days})");
    }
    text
}

/// A report for people.
pub(super) fn verified(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{finding}");
    }
    if report.unlisted > 0 {
        let _ = writeln!(text, "and {} more findings", report.unlisted);
    }
    let tally = &report.tally;
    let _ = writeln!(
        text,
        "Checked {} of store format {}: {}, {} with {}, {}.",
        counted(tally.records, "record"),
        report.format,
        counted(tally.apps, "app"),
        counted(tally.accounts, "account"),
        counted(tally.secrets, "secret"),
        counted_as(tally.audit_entries, "audit entry", "audit entries"),
    );
    text.push_str(if report.with_key {
        "Every sealed secret was opened with the master key, and the seal of the whole store was checked with it."
    } else {
        "Sealed secrets were not opened and the seal was not checked: that needs the master key, `--master-key-file FILE`."
    });
    if report.format < FORMAT {
        let _ = write!(
            text,
            "\nWhether something is missing cannot be told in this format: run `sidekey migrate`."
        );
    }
    if report.is_good() {
        text.push_str("\nNothing is damaged and nothing is missing.");
    }
    text
}

/// A summary for people.
pub(super) fn backed_up(summary: &Summary) -> String {
    let entries = counted_as(summary.audit_entries, "audit entry", "audit entries");
    format!("Made a backup of {} and {entries}.", counted(summary.records, "record"))
}

#[cfg(test)]
mod tests {
    use sidekey_core::id::AppId;

    use super::*;
    use crate::apps::ApiKey;
    use crate::maintenance::check::Tally;
    use crate::store::integrity::Finding;
    use crate::store::{Key, Kind};

    fn line(id: &str, enforcement: Enforcement) -> AppLine {
        AppLine { app_id: AppId::parse(id).unwrap(), name: "Shop".to_owned(), enforcement }
    }

    fn key() -> KeyLine {
        KeyLine { key_id: "k1".to_owned(), api_key: ApiKey::from_text("sidekey_x".to_owned()) }
    }

    #[test]
    fn json_has_the_documented_members() {
        let created =
            Reply::AppCreated { app_id: AppId::parse("shop").unwrap(), name: "Shop".to_owned(), key: key() };
        assert_eq!(
            to_json(created),
            json!({"app_id": "shop", "name": "Shop", "key_id": "k1", "api_key": "sidekey_x"})
        );
        assert_eq!(to_json(Reply::KeyCreated(key())), json!({"key_id": "k1", "api_key": "sidekey_x"}));
        let required = Enforcement::Required { grace_seconds: 7 * DAY };
        assert_eq!(
            to_json(Reply::Apps(vec![line("a", Enforcement::AdminsOnly), line("b", required)])),
            json!([
                {"app_id": "a", "name": "Shop", "enforcement": "admins"},
                {"app_id": "b", "name": "Shop", "enforcement": "required", "grace_days": 7},
            ])
        );
    }

    #[test]
    fn text_is_a_table() {
        let apps = vec![
            line("a", Enforcement::Optional),
            line("longer", Enforcement::Required { grace_seconds: DAY }),
        ];
        let text = to_text(Reply::Apps(apps));
        assert_eq!(*text, "a       Shop (optional)\nlonger  Shop (required, 1 days of grace)");
    }

    #[test]
    fn a_report_tells_what_is_wrong_and_what_was_not_looked_at() {
        let tally = Tally { records: 7, apps: 1, accounts: 2, secrets: 3, audit_entries: 1 };
        let good = Report { format: FORMAT, tally, with_key: true, ..Report::default() };
        let text = verified(&good);
        assert!(
            text.starts_with(&format!(
                "Checked 7 records of store format {FORMAT}: 1 app, 2 accounts with 3 secrets, 1 audit entry."
            )),
            "{text}"
        );
        assert!(text.ends_with("Nothing is damaged and nothing is missing."), "{text}");

        let findings = vec![Finding::of_record(&Key::of(Kind::App), "wrong checksum")];
        let bad = Report { findings, unlisted: 2, with_key: false, format: 1, ..good };
        let text = verified(&bad);
        assert!(text.starts_with("record `\\x02`: wrong checksum\nand 2 more findings\n"), "{text}");
        for part in ["--master-key-file FILE", "run `sidekey migrate`"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("Nothing is damaged"));
    }
}
