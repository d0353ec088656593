//! `keys rotate`, `keys drop`, and `keys rotate-jwt`: one key follows another, through the running server or here.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::given::{Common, Given};
use super::operate::carry_out;
use super::output::print;
use super::progress::Progress;
use super::{Failure, block_on};
use crate::control::{Command, Reply, socket};
use crate::http::rfc3339;
use crate::keyring::{KeyId, file, sources};
use crate::maintenance::Part;
use crate::token::rotation::{KeyStatus, Phase};

/// Seals everything anew with the first master key. With `--json`, lines tell how far it is, and the last line what came of it.
///
/// # Errors
/// The keys cannot be used, or the store cannot be reached or fails; what has been sealed anew stays so.
pub(super) fn master_keys(common: Common) -> Result<(), Failure> {
    let given = common.read()?;
    let Given { data, json, key, .. } = &given;
    let command = Command::RotateMasterKeys { first: key.first_of_file()?.map(|id| id.to_string()) };
    let mut progress = Progress::new("Sealing anew");
    let mut take = |part| match part {
        Part::Progress { done, total } if *json => {
            print(&json!({ "done": done, "total": total }).to_string()).map_err(Failure::text)
        }
        Part::Progress { done, total } => {
            progress.show(done, total);
            Ok(())
        }
        Part::Data(_) => Ok(()),
    };
    let reply = block_on(carry_out(command, &given, &mut take))?;
    drop(progress);
    let Reply::MasterKeysRotated { key_id, resealed, unused } = reply else {
        return Err(Failure::another_version());
    };
    print(&if *json {
        json!({ "key_id": key_id, "resealed": resealed, "unused": unused }).to_string()
    } else {
        let file = key.master_key_file.as_deref().unwrap_or(Path::new("FILE"));
        rotated(&key_id, resealed, &unused, file, data)
    })
}

/// What came of a rotation, for people.
pub(super) fn rotated(key_id: &str, resealed: u64, unused: &[String], file: &Path, data: &Path) -> String {
    let mut text = match resealed {
        0 => format!("Everything is sealed with key {key_id}; nothing was left to do."),
        1 => format!("Everything is sealed with key {key_id}: 1 record was sealed anew."),
        records => format!("Everything is sealed with key {key_id}: {records} records were sealed anew."),
    };
    if unused.is_empty() {
        return text;
    }
    let _ = write!(
        text,
        "\nNot used any more: {}. Keep a copy for as long as there are backups from before: they are sealed with it.\n\
         To take one out of the key file:",
        unused.join(", ")
    );
    for id in unused {
        let _ =
            write!(text, "\n  sidekey keys drop {id} --file {} --data {}", file.display(), data.display());
    }
    text
}

/// Takes a master key out of a key file if nothing in the store is sealed with it.
///
/// # Errors
/// Something is, or the file cannot be changed.
pub(super) fn drop_key(id: KeyId, path: &Path, common: Common) -> Result<(), Failure> {
    let given = common.read()?;
    let Given { data, json, .. } = &given;
    let keyring = sources::load_file(path).map_err(Failure::settings)?;
    file::check_removable(path, &keyring, id).map_err(Failure::settings)?;
    let mut progress = Progress::new("Counting");
    let mut take = |part| {
        if let Part::Progress { done, total } = part {
            progress.show(done, total);
        }
        Ok(())
    };
    let reply = block_on(carry_out(Command::MasterKeyUse, &given, &mut take))?;
    drop(progress);
    let Reply::MasterKeyUse { values, noted, sealing } = reply else {
        return Err(Failure::another_version());
    };
    let name = id.to_string();
    if sealing.as_deref() == Some(&name) {
        return Err(still_needed(&name, "is the key that the running server seals with", data));
    }
    let count = values.get(&name).copied().unwrap_or_default();
    if count > 0 {
        return Err(still_needed(&name, &format!("is needed: {count} values are sealed with it"), data));
    }
    if noted.contains(&name) {
        return Err(still_needed(&name, "may still be in use", data));
    }
    let left = file::remove(path, id).map_err(Failure::runtime)?;
    let mut text = format!("Took key {name} out of {}.", path.display());
    // The server needs the file no more to go on; it should forget the key, though.
    if let Err(error) = block_on(async {
        socket::ask(data, &Command::ReloadMasterKeys, |_| Ok(())).await.map_err(Failure::Runtime)
    }) {
        let _ = write!(text, "\nThe running server still has it in memory: {}", error.text());
    }
    let keys: Vec<String> = left.ids().map(|id| id.to_string()).collect();
    print(&if *json { json!({ "dropped": name, "keys": keys }).to_string() } else { text })
}

fn still_needed(id: &str, why: &str, data: &Path) -> Failure {
    let data = data.display();
    Failure::Runtime(format!("key `{id}` {why}; run `sidekey keys rotate --data {data}` first"))
}

/// Signing keys as JSON.
pub(super) fn signing_keys_to_json(keys: &[KeyStatus]) -> Value {
    let one = |key: &KeyStatus| {
        json!({
            "kid": key.kid,
            "phase": key.phase,
            "created_at": rfc3339(key.created_at),
            "signs_from": key.signs_from.map(rfc3339),
            "signs_until": key.signs_until.map(rfc3339),
            "removed_at": key.removed_at.map(rfc3339),
        })
    };
    json!({ "keys": keys.iter().map(one).collect::<Vec<_>>() })
}

/// Signing keys for people.
pub(super) fn signing_keys(keys: &[KeyStatus]) -> String {
    if keys.is_empty() {
        return "There is no signing key yet; the first start makes one.".to_owned();
    }
    let mut text = String::from("Keys that sign access tokens, in the order in which they do:");
    for key in keys {
        let time = |time: Option<_>| time.map(rfc3339).unwrap_or_default();
        let phase = match key.phase {
            Phase::Signing if key.signs_until.is_some() => format!("signs until {}", time(key.signs_until)),
            Phase::Signing => "signs".to_owned(),
            Phase::Next if key.signs_from.is_some() => {
                format!("is published, and signs from {}", time(key.signs_from))
            }
            Phase::Next => "is published, and does not sign yet".to_owned(),
            Phase::Retired => {
                format!(
                    "has signed; is published until {}, for the tokens that it has signed",
                    time(key.removed_at)
                )
            }
            Phase::Over => "is not used any more; the next sweep removes it".to_owned(),
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  {}  {phase}", key.kid);
    }
    text
}

#[cfg(test)]
mod tests {
    use sidekey_core::time::UnixTime;

    use super::*;

    fn key(kid: &str, phase: Phase) -> KeyStatus {
        let at = |seconds: u64| UnixTime::from_secs(1_790_000_000 + seconds);
        let (signs_from, signs_until, removed_at) = match phase {
            Phase::Next => (Some(at(300)), None, None),
            _ => (None, Some(at(300)), Some(at(1_260))),
        };
        KeyStatus { kid: kid.to_owned(), phase, created_at: at(0), signs_from, signs_until, removed_at }
    }

    #[test]
    fn signing_keys_tell_when_they_take_turns() {
        let keys = [key("old", Phase::Signing), key("new", Phase::Next)];
        let text = signing_keys(&keys);
        assert!(text.contains("old  signs until 2026-09-21T14:18:20Z"), "{text}");
        assert!(text.contains("new  is published, and signs from 2026-09-21T14:18:20Z"), "{text}");
        let json = signing_keys_to_json(&keys);
        assert_eq!(json["keys"][0]["phase"], "signing");
        assert_eq!(json["keys"][1]["signs_from"], "2026-09-21T14:18:20Z");
        assert_eq!(json["keys"][1]["removed_at"], Value::Null);
        assert!(signing_keys(&[]).contains("no signing key"));
        let after = signing_keys(&[key("old", Phase::Retired), key("older", Phase::Over)]);
        assert!(
            after.contains("published until 2026-09-21T14:34:20Z") && after.contains("next sweep"),
            "{after}"
        );
    }

    #[test]
    fn a_rotation_tells_what_can_go() {
        let text = rotated("aa", 2, &["bb".to_owned(), "cc".to_owned()], Path::new("k"), Path::new("/data"));
        assert!(text.contains("2 records were sealed anew") && text.contains("bb, cc"), "{text}");
        assert!(text.contains("sidekey keys drop cc --file k --data /data"), "{text}");
        let nothing = rotated("aa", 0, &[], Path::new("k"), Path::new("/data"));
        assert!(!nothing.contains("drop"), "{nothing}");
    }
}
