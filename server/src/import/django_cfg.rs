//! django-cfg: the tables `django_cfg_totp_totpdevice` and `django_cfg_totp_backupcode`, as CSV or JSON, or a fixture of
//! `manage.py dumpdata django_cfg_totp.totpdevice django_cfg_totp.backupcode`.
//!
//! Seen in django-cfg 2.3.348, `apps/system/totp/models/` and `services/`: secrets are base32, codes SHA-1 with six digits and 30
//! seconds. Of backup codes the SHA-256 of the text in lower case, without the blanks around it, is kept as hex; used ones stay, marked.
//! What it keeps of the last code (`last_verified_code`) names no step: all codes up to that of the import count as used here.

use std::collections::HashMap;

use sidekey_core::import::{CodeForm, DeviceRefusal, Fold, ImportedDevice, RecoveryCodes, Typing};
use sidekey_core::totp::TotpParams;

use super::parts::{People, described, of_base32};
use super::table::{Row, rows};
use super::{Gathered, ImportError, Note, Refusal, Source, SourceFile};

/// The columns that mean something.
const COLUMNS: &[&str] = &[
    "id",
    "user",
    "user_id",
    "name",
    "secret",
    "status",
    "is_primary",
    "created_at",
    "last_used_at",
    "code_hash",
    "is_used",
    "username",
    "email",
];

/// `code.lower().strip()` before the hash.
const TYPING: Typing = Typing { fold: Fold::Lower, strip: false };

/// Reads the tables, in any order.
///
/// # Errors
/// A file is none of these tables.
pub(super) fn read(files: &[SourceFile]) -> Result<Source, ImportError> {
    let (mut gathered, mut people) = (Gathered::default(), People::default());
    let mut codes: HashMap<String, Vec<Row>> = HashMap::new();
    for row in rows(files, COLUMNS)? {
        let Some(place) = row.place(files) else { continue };
        if people.take(&row) {
            continue;
        }
        let is_device = match row.model.as_deref() {
            Some("django_cfg_totp.totpdevice") => true,
            Some("django_cfg_totp.backupcode") => false,
            Some(_) => continue,
            None if row.has("code_hash") => false,
            None if row.has("secret") && row.has("status") => true,
            None => return Err(ImportError::NoColumn { place, column: "secret" }),
        };
        let Some(name) = row.id(&["user", "user_id"]) else {
            gathered.refuse(place, Refusal::Missing("user_id"));
            continue;
        };
        if is_device {
            if let Some(user) = gathered.user(&name, place) {
                user.add(device(&row));
            }
        } else {
            codes.entry(name).or_default().push(row);
        }
    }
    let mut without_device = 0_usize;
    for (name, rows) in &codes {
        let unused = rows.iter().filter(|row| row.flag("is_used") == Some(false));
        match gathered.known(name) {
            Some(user) => {
                let hashes = unused.map(|row| row.text("code_hash").unwrap_or_default());
                user.recover_with(RecoveryCodes::new(CodeForm::Sha256(TYPING), hashes));
            }
            None => without_device += 1,
        }
    }
    let mut notes = Vec::new();
    if without_device > 0 {
        notes.push(Note(format!(
            "{without_device} users have backup codes and no device in these files: nothing is taken over of them"
        )));
    }
    let mut users = gathered.into_reads();
    users.iter_mut().filter_map(|read| read.outcome.as_mut().ok()).for_each(|user| people.tell(user));
    Ok(Source { users, notes })
}

fn device(row: &Row) -> Result<ImportedDevice, DeviceRefusal> {
    match row.text("status") {
        Some("active") => {}
        Some("disabled") => return Err(DeviceRefusal::Disabled),
        _ => return Err(DeviceRefusal::Unconfirmed),
    }
    let mut device = described(of_base32(row.text("secret"), TotpParams::default())?, &|name| row.get(name));
    device.is_primary = row.flag("is_primary") == Some(true);
    Ok(device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::json::Json;
    use crate::import::parts::texts;
    use crate::import::testing::{file, fixture, user};

    #[test]
    fn tables_and_fixtures_say_the_same() {
        let tables = vec![fixture("django-cfg-backupcode.csv"), fixture("django-cfg-totpdevice.csv")];
        for files in [tables, vec![fixture("django-cfg.json")]] {
            let source = read(&files).unwrap();
            let ann = user(&source, "1");
            let phone = ann.devices.iter().find(|device| device.is_primary).unwrap();
            assert_eq!(phone.secret.expose(), b"12345678901234567890");
            assert_eq!((phone.name.as_ref().unwrap().as_str(), ann.devices.len()), ("Phone", 2));
            assert!(phone.last_used_at.is_some());
            assert_eq!(user(&source, "2").left_out, [DeviceRefusal::Unconfirmed]);
            assert_eq!(user(&source, "3").left_out, [DeviceRefusal::Disabled]);
            let kept = ann.recovery.as_ref().unwrap();
            let json = Json::parse(&fixture("django-cfg-codes.json").bytes).unwrap();
            let unused = texts(json.get("unused").unwrap()).unwrap();
            assert_eq!(kept.codes().len(), unused.len());
            for code in unused {
                let typed = kept.form().reduce(&format!(" {} ", code.to_uppercase())).unwrap();
                assert!(kept.codes().contains(&typed), "as django-cfg judges it");
            }
        }
    }

    #[test]
    fn what_is_broken_is_said() {
        let codes = "user_id,code_hash,is_used\n1,zz,f\n2,,f\n";
        let devices =
            "user_id,secret,status\n1,GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ,active\n,x,active\n3,0189,active\n";
        let source = read(&[file("codes.csv", codes), file("devices.csv", devices)]).unwrap();
        assert!(user(&source, "1").recovery_left_out.is_some());
        assert_eq!(source.users[1].outcome, Err(Refusal::Missing("user_id")));
        assert_eq!(user(&source, "3").left_out, [DeviceRefusal::SecretUnreadable]);
        assert!(source.notes[0].0.starts_with("1 users have backup codes"));
        let wrong = read(&[file("a.csv", "id,name\n1,x\n")]).unwrap_err();
        assert_eq!(wrong.to_string(), "a.csv, row 1: there is no column `secret`");
    }
}
