//! django-otp: the tables `otp_totp_totpdevice`, `otp_static_staticdevice`, `otp_static_statictoken` and `otp_hotp_hotpdevice`, as
//! CSV or JSON, or a fixture of `manage.py dumpdata otp_totp otp_static`.
//!
//! Seen in django-otp 1.7.5, `plugins/otp_totp/models.py` and `plugins/otp_static/models.py`: the key is hex; the counter of a code is
//! `(time - t0) // step + drift`, and `last_t` the last one that was accepted; SHA-1 only. Static tokens are plain and compared as they
//! are; a used one is deleted.

use std::collections::{HashMap, HashSet};

use data_encoding::HEXLOWER_PERMISSIVE;
use sidekey_core::import::{CodeForm, DeviceRefusal, ImportedDevice, RecoveryCodes, Typing};
use sidekey_core::secret::Secret;
use sidekey_core::time::Step;
use sidekey_core::totp::TotpParams;
use zeroize::Zeroizing;

use super::parts::{People, described, params};
use super::table::{Row, rows};
use super::{Gathered, ImportError, Note, Refusal, Source, SourceFile};

/// The columns that mean something.
const COLUMNS: &[&str] = &[
    "id",
    "user",
    "user_id",
    "name",
    "confirmed",
    "key",
    "step",
    "t0",
    "digits",
    "drift",
    "last_t",
    "counter",
    "created_at",
    "last_used_at",
    "device",
    "device_id",
    "token",
    "username",
    "email",
];

/// What a row is of.
enum Kind {
    Totp,
    Hotp,
    StaticDevice,
    StaticToken,
}

/// Reads the tables, in any order.
///
/// # Errors
/// A file is none of these tables.
pub(super) fn read(files: &[SourceFile]) -> Result<Source, ImportError> {
    let (mut gathered, mut people) = (Gathered::default(), People::default());
    let (mut owners, mut tokens) = (HashMap::new(), Vec::new());
    let mut slow_or_fast = 0_usize;
    for row in rows(files, COLUMNS)? {
        let Some(place) = row.place(files) else { continue };
        if people.take(&row) {
            continue;
        }
        let Some(kind) = kind(&row) else {
            match row.model {
                Some(_) => continue,
                None => return Err(ImportError::NoColumn { place, column: "key" }),
            }
        };
        if matches!(kind, Kind::StaticToken) {
            tokens.push(row);
            continue;
        }
        let Some(user) = row.id(&["user", "user_id"]) else {
            gathered.refuse(place, Refusal::Missing("user_id"));
            continue;
        };
        match kind {
            Kind::StaticDevice => {
                if row.flag("confirmed") != Some(false)
                    && let Some(id) = row.id(&["id"])
                {
                    owners.insert(id, user);
                }
            }
            Kind::Hotp => {
                if let Some(user) = gathered.user(&user, place) {
                    user.add(Err(DeviceRefusal::Hotp));
                }
            }
            _ => {
                slow_or_fast += usize::from(row.int("drift").is_some_and(|drift| drift.unsigned_abs() > 1));
                if let Some(user) = gathered.user(&user, place) {
                    user.add(device(&row));
                    people.tell(user);
                }
            }
        }
    }
    let mut notes = recover(&mut gathered, &owners, &tokens);
    if slow_or_fast > 0 {
        notes.push(Note(format!(
            "the clocks of {slow_or_fast} devices are more than one step off, which django-otp made up for and nobody does here: \
             their codes are right once the clocks are"
        )));
    }
    Ok(Source { users: named(gathered, &people), notes })
}

fn kind(row: &Row) -> Option<Kind> {
    match row.model.as_deref() {
        Some("otp_totp.totpdevice") => Some(Kind::Totp),
        Some("otp_hotp.hotpdevice") => Some(Kind::Hotp),
        Some("otp_static.staticdevice") => Some(Kind::StaticDevice),
        Some("otp_static.statictoken") => Some(Kind::StaticToken),
        None if row.has("key") && row.has("counter") => Some(Kind::Hotp),
        None if row.has("key") => Some(Kind::Totp),
        None if row.has("token") => Some(Kind::StaticToken),
        None if row.has("confirmed") => Some(Kind::StaticDevice),
        _ => None,
    }
}

fn device(row: &Row) -> Result<ImportedDevice, DeviceRefusal> {
    if row.flag("confirmed") == Some(false) {
        return Err(DeviceRefusal::Unconfirmed);
    }
    // Another start moves every code, and steps are counted from 1970 here.
    if row.int("t0").unwrap_or(0) != 0 {
        return Err(DeviceRefusal::Start);
    }
    let params = params(row.int("digits"), row.int("step"), TotpParams::default())?;
    let key = row.text("key").ok_or(DeviceRefusal::SecretUnreadable)?;
    let key = HEXLOWER_PERMISSIVE.decode(key.as_bytes()).map_err(|_| DeviceRefusal::SecretUnreadable)?;
    let mut device =
        described(ImportedDevice::new(Secret::from_bytes(Zeroizing::new(key))?, params)?, &|name| {
            row.get(name)
        });
    device.last_step = row.int("last_t").and_then(|last| u64::try_from(last).ok()).map(Step::new);
    Ok(device)
}

/// Gives each user the tokens of all their static devices.
fn recover(gathered: &mut Gathered, owners: &HashMap<String, String>, tokens: &[Row]) -> Vec<Note> {
    let mut sets: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut strangers = 0_usize;
    for row in tokens {
        match (row.id(&["device", "device_id"]).and_then(|id| owners.get(&id)), row.text("token")) {
            (Some(user), Some(token)) => sets.entry(user).or_default().push(token),
            _ => strangers += 1,
        }
    }
    let mut without_device = HashSet::new();
    for (user, set) in sets {
        match gathered.known(user) {
            // Compared as they are; that a hyphen may be left out is ours.
            Some(known) => {
                known.recover_with(RecoveryCodes::new(CodeForm::Text(Typing::ANY_SEPARATORS), set));
            }
            None => {
                without_device.insert(user);
            }
        }
    }
    let mut notes = Vec::new();
    if strangers > 0 {
        notes.push(Note(format!(
            "{strangers} static tokens belong to no confirmed static device in these files: is the table \
             otp_static_staticdevice among them?"
        )));
    }
    if !without_device.is_empty() {
        let count = without_device.len();
        notes.push(Note(format!(
            "{count} users have static tokens and no TOTP device: nothing is taken over of them"
        )));
    }
    notes
}

fn named(gathered: Gathered, people: &People) -> Vec<super::Read> {
    let mut reads = gathered.into_reads();
    for user in reads.iter_mut().filter_map(|read| read.outcome.as_mut().ok()) {
        people.tell(user);
    }
    reads
}

#[cfg(test)]
mod tests {
    use sidekey_core::import::ReducedCode;

    use super::*;
    use crate::import::testing::{file, fixture, user};

    #[test]
    fn tables_and_fixtures_say_the_same() {
        let tables =
            ["django-otp-statictoken.csv", "django-otp-staticdevice.csv", "django-otp-totpdevice.csv"];
        let tables: Vec<_> = tables.into_iter().map(fixture).collect();
        for files in [tables, vec![fixture("django-otp.json")]] {
            let source = read(&files).unwrap();
            let ann = user(&source, "1");
            assert_eq!(ann.devices[0].secret.expose(), b"12345678901234567890");
            assert_eq!(ann.devices[0].last_step, Some(Step::new(57_160_000)));
            assert_eq!(ann.devices[0].name.as_ref().unwrap().as_str(), "Phone");
            assert_eq!(ann.devices[0].created_at.unwrap().as_secs(), 1_714_564_800);
            assert_eq!(ann.devices[0].last_used_at.unwrap().as_secs(), 1_715_169_600);
            let codes: Vec<_> =
                ann.recovery.as_ref().unwrap().codes().iter().map(ReducedCode::expose).collect();
            assert_eq!(codes, ["bq7cw4ra", "k5uhg2tn"], "the third was used");
            let bob = user(&source, "2");
            assert_eq!(
                (bob.devices[0].params.digits.count(), bob.devices[0].params.period.seconds()),
                (8, 60)
            );
            assert_eq!(
                (bob.devices[0].last_step, &bob.left_out[..]),
                (None, &[DeviceRefusal::Unconfirmed][..])
            );
            assert_eq!(user(&source, "3").left_out, [DeviceRefusal::Start]);
            assert_eq!(source.notes, []);
        }
        let all = read(&[fixture("django-otp.json")]).unwrap();
        assert_eq!(user(&all, "4").left_out, [DeviceRefusal::Hotp]);
        let named = read(&[fixture("django-otp-with-users.json")]).unwrap();
        assert_eq!(user(&named, "1").account_name.as_ref().unwrap().as_str(), "ann@example.com");
    }

    #[test]
    fn what_is_half_there_is_said() {
        let alone =
            read(&[fixture("django-otp-totpdevice.csv"), fixture("django-otp-statictoken.csv")]).unwrap();
        assert!(user(&alone, "1").recovery.is_none());
        assert!(alone.notes[0].0.starts_with("2 static tokens belong to no confirmed"), "{:?}", alone.notes);
        let wrong = read(&[file("users.csv", "id,shoe_size\n1,42\n")]).unwrap_err();
        assert_eq!(wrong.to_string(), "users.csv, row 1: there is no column `key`");
        let source = read(&[file(
            "t.csv",
            "key,step,t0,digits,drift,last_t,user_id,confirmed\n\
             zz,30,0,6,0,-1,1,1\n\
             3132333435363738393031323334353637383930,30,0,6,-7,-1,2,1\n\
             3132333435363738393031323334353637383930,30,0,6,0,-1,,1\n\
             31323334,30,0,6,0,-1,3,1\n\
             3132333435363738393031323334353637383930,300,0,6,0,-1,4,1\n\
             ,30,0,6,0,-1,5,1\n",
        )])
        .unwrap();
        assert_eq!(user(&source, "1").left_out, [DeviceRefusal::SecretUnreadable]);
        assert_eq!(user(&source, "2").devices.len(), 1);
        assert!(source.notes[0].0.starts_with("the clocks of 1 devices"));
        assert_eq!(source.users[2].outcome, Err(Refusal::Missing("user_id")));
        assert_eq!(user(&source, "3").left_out, [DeviceRefusal::SecretTooShort]);
        assert_eq!(user(&source, "4").left_out, [DeviceRefusal::Period]);
        assert_eq!(user(&source, "5").left_out, [DeviceRefusal::SecretUnreadable]);
    }
}
