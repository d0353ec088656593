//! Laravel Fortify: the columns `two_factor_secret`, `two_factor_recovery_codes` and `two_factor_confirmed_at` of the table of users, as
//! CSV or JSON.
//!
//! Seen in laravel/fortify, `src/Actions/EnableTwoFactorAuthentication.php`, `src/RecoveryCode.php`, `src/TwoFactorAuthenticatable.php`
//! and `src/Http/Requests/TwoFactorLoginRequest.php`: both columns are encrypted by Laravel; the secret is base32 of
//! `secret-length` characters, by default 16, which are 80 bits and too few here; the codes are a JSON list of texts of which case counts,
//! and a used one is replaced by another. Codes are those of `Google2FA`: SHA-1, six digits, 30 seconds.
//!
//! Seen in `Illuminate/Encryption/Encrypter.php` 8.83: base64 of `{"iv", "value", "mac", "tag"}`, AES in CBC mode with an HMAC-SHA-256 over
//! the base64 texts of `iv` and `value`, or in GCM mode with a tag; the plain text is PHP-serialized; the key is `APP_KEY`, and
//! `APP_PREVIOUS_KEYS` open what is older.

mod envelope;

use sidekey_core::import::{CodeForm, CodesRefusal, DeviceRefusal, ImportedDevice, RecoveryCodes, Typing};
use sidekey_core::totp::TotpParams;

use self::envelope::Keys;
use super::json::Json;
use super::parts::{People, of_base32, texts};
use super::table::{Row, rows};
use super::{Gathered, ImportError, Note, Refusal, Source, SourceFile, SourceOptions};

/// The columns that mean something.
const COLUMNS: &[&str] = &[
    "id",
    "user_id",
    "email",
    "username",
    "two_factor_secret",
    "two_factor_recovery_codes",
    "two_factor_confirmed_at",
];

/// Reads the table.
///
/// # Errors
/// A file has no column `two_factor_secret`, or what is in it does not open.
pub(super) fn read(files: &[SourceFile], options: &SourceOptions) -> Result<Source, ImportError> {
    let keys = options.source_key.as_ref().map(|text| Keys::parse(text));
    let (mut gathered, mut people) = (Gathered::default(), People::default());
    let (mut opened, mut closed) = (0_usize, None);
    let mut unconfirmed = 0_usize;
    for row in rows(files, COLUMNS)? {
        let Some(place) = row.place(files) else { continue };
        if !row.has("two_factor_secret") {
            return Err(ImportError::NoColumn { place, column: "two_factor_secret" });
        }
        let Some(secret) = row.text("two_factor_secret") else { continue };
        let Some(keys) = &keys else { return Err(ImportError::KeyNeeded(place)) };
        let Some(name) = row.id(&["id", "user_id"]) else {
            gathered.refuse(place, Refusal::Missing("id"));
            continue;
        };
        people.name(name.clone(), row.text("email"), row.text("username"));
        let Some(user) = gathered.user(&name, place.clone()) else { continue };
        people.tell(user);
        let Some(secret) = keys.open(secret) else {
            closed.get_or_insert(place);
            user.add(Err(DeviceRefusal::SecretUnreadable));
            continue;
        };
        opened += 1;
        let device = device(&secret, &row, options.params);
        unconfirmed += usize::from(device == Err(DeviceRefusal::Unconfirmed));
        user.add(device);
        if let Some(codes) = row.text("two_factor_recovery_codes") {
            user.recover_with(recovery(keys, codes));
        }
    }
    match closed {
        Some(place) if opened == 0 => return Err(ImportError::WrongKey(place)),
        _ => {}
    }
    let mut notes = Vec::new();
    if unconfirmed > 0 {
        notes.push(Note(format!(
            "{unconfirmed} users have no `two_factor_confirmed_at`: if `confirm` is off in config/fortify.php, leave that column out"
        )));
    }
    Ok(Source { users: gathered.into_reads(), notes })
}

fn device(secret: &str, row: &Row, params: TotpParams) -> Result<ImportedDevice, DeviceRefusal> {
    if row.has("two_factor_confirmed_at") && row.get("two_factor_confirmed_at").is_none() {
        return Err(DeviceRefusal::Unconfirmed);
    }
    let mut device = of_base32(Some(secret), params)?;
    device.created_at = row.get("two_factor_confirmed_at").and_then(super::moment::moment);
    Ok(device)
}

fn recovery(keys: &Keys, sealed: &str) -> Result<RecoveryCodes, CodesRefusal> {
    let text = keys.open(sealed).ok_or(CodesRefusal::Locked)?;
    let list = Json::parse(text.as_bytes()).ok_or(CodesRefusal::Malformed)?;
    RecoveryCodes::new(CodeForm::Text(Typing::ANY_SEPARATORS), texts(&list).ok_or(CodesRefusal::Malformed)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::testing::{file, fixture, key, user};

    #[test]
    fn laravels_own_encrypter_is_read() {
        for name in ["fortify.csv", "fortify.json"] {
            let source = read(&[fixture(name)], &key("fortify.key")).unwrap();
            let ann = user(&source, "1");
            assert_eq!(ann.devices[0].secret.expose(), b"12345678901234567890");
            assert_eq!(ann.devices[0].created_at.unwrap().as_secs(), 1_714_564_800);
            assert_eq!(ann.account_name.as_ref().unwrap().as_str(), "ann@example.com");
            let codes = ann.recovery.as_ref().unwrap();
            assert_eq!(codes.codes()[0].expose(), "aB3dE6gH9jK2mN5pQ8sT", "case counts");
            assert_eq!(user(&source, "2").left_out, [DeviceRefusal::SecretTooShort], "Fortify's default");
            assert_eq!(user(&source, "3").left_out, [DeviceRefusal::Unconfirmed]);
            assert_eq!(user(&source, "5").devices.len(), 1, "the key before");
            assert_eq!(user(&source, "6").left_out, [DeviceRefusal::SecretUnreadable], "a changed byte");
            assert_eq!(source.users.len(), 5, "dan never turned it on");
            assert!(source.notes[0].0.contains("two_factor_confirmed_at"));
        }
        let gcm = read(&[fixture("fortify-gcm.json")], &key("fortify.key")).unwrap();
        assert_eq!(user(&gcm, "1").recovery.as_ref().unwrap().codes().len(), 3);
        let small = read(&[fixture("fortify-aes-128.json")], &key("fortify-aes-128.key")).unwrap();
        assert_eq!(user(&small, "1").devices.len(), 1);
    }

    #[test]
    fn a_missing_or_wrong_key_is_said_at_once() {
        let files = [fixture("fortify.json")];
        let error = read(&files, &SourceOptions::default()).unwrap_err();
        assert!(matches!(error, ImportError::KeyNeeded(_)), "{error}");
        let error = read(&files, &key("fortify-aes-128.key")).unwrap_err();
        assert!(matches!(error, ImportError::WrongKey(_)), "{error}");
        let error = read(&[file("users.csv", "id,email\n1,a@b\n")], &key("fortify.key")).unwrap_err();
        assert_eq!(error.to_string(), "users.csv, row 1: there is no column `two_factor_secret`");
    }
}
