//! django-allauth: the table `mfa_authenticator`, as CSV or JSON, or a fixture of `manage.py dumpdata mfa`.
//!
//! Seen in django-allauth 65.21.1, `mfa/totp/internal/auth.py`, `mfa/recovery_codes/internal/auth.py` and `mfa/adapter.py`:
//!
//! - `totp` has `{"secret": base32}`: SHA-1, and digits and period by the settings `MFA_TOTP_DIGITS` and `MFA_TOTP_PERIOD`.
//! - `recovery_codes` has `{"seed": …, "used_mask": …}`, from which the codes are derived, or `{"migrated_codes": […]}`. Of the
//!   former punctuation and blanks do not count, and they are digits; of the latter everything does. `MFA_RECOVERY_CODE_COUNT` and
//!   `MFA_RECOVERY_CODE_DIGITS` say how many there are and how long.
//! - Both may have been encrypted by an adapter of the application's own (`MFA_ADAPTER`). That nobody can read here.

use aws_lc_rs::hmac;
use sidekey_core::import::{
    CodeForm, CodesRefusal, DeviceRefusal, ImportedDevice, MAX_CODES, RecoveryCodes, Typing,
};
use sidekey_core::totp::TotpParams;
use zeroize::Zeroizing;

use super::json::Json;
use super::parts::{People, described, of_base32, texts};
use super::table::{Row, rows};
use super::{Gathered, ImportError, Note, Refusal, Source, SourceFile, SourceOptions};

/// The columns that mean something.
const COLUMNS: &[&str] =
    &["id", "user", "user_id", "type", "data", "created_at", "last_used_at", "username", "email"];

/// How allauth derives its recovery codes: its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoverySettings {
    /// `MFA_RECOVERY_CODE_COUNT`
    pub count: u8,
    /// `MFA_RECOVERY_CODE_DIGITS`
    pub digits: u8,
}

impl RecoverySettings {
    /// More digits than these no number here holds.
    pub const MAX_DIGITS: u8 = 32;
}

impl Default for RecoverySettings {
    fn default() -> Self {
        Self { count: 10, digits: 8 }
    }
}

/// Reads the table.
///
/// # Errors
/// A file is not of this table.
pub(super) fn read(files: &[SourceFile], options: &SourceOptions) -> Result<Source, ImportError> {
    let (mut gathered, mut people) = (Gathered::default(), People::default());
    let mut encrypted = 0_usize;
    for row in rows(files, COLUMNS)? {
        let Some(place) = row.place(files) else { continue };
        if people.take(&row) || row.model.as_deref().is_some_and(|model| model != "mfa.authenticator") {
            continue;
        }
        let (Some(kind), true) = (row.text("type"), row.has("data")) else {
            return Err(ImportError::NoColumn {
                place,
                column: if row.has("type") { "data" } else { "type" },
            });
        };
        let Some(user) = row.id(&["user", "user_id"]) else {
            gathered.refuse(place, Refusal::Missing("user_id"));
            continue;
        };
        let Some(user) = gathered.user(&user, place) else { continue };
        let data = row.get("data").and_then(Json::unfolded);
        match (kind, data) {
            ("totp", data) => {
                let device = device(data.as_deref(), &row, options.params);
                encrypted += usize::from(device == Err(DeviceRefusal::SecretUnreadable));
                user.add(device);
            }
            ("recovery_codes", Some(data)) => user.recover_with(recovery(&data, options.recovery)),
            ("recovery_codes", None) => user.recover_with(Err(CodesRefusal::Malformed)),
            // Security keys and passkeys.
            _ => user.add(Err(DeviceRefusal::OtherKind)),
        }
    }
    let mut notes = Vec::new();
    if encrypted > 0 {
        notes.push(Note(format!(
            "the secrets of {encrypted} users are not base32: if an adapter of the application's own (MFA_ADAPTER) encrypts them, \
             export what its `decrypt` gives"
        )));
    }
    let mut users = gathered.into_reads();
    users.iter_mut().filter_map(|read| read.outcome.as_mut().ok()).for_each(|user| people.tell(user));
    Ok(Source { users, notes })
}

fn device(data: Option<&Json>, row: &Row, params: TotpParams) -> Result<ImportedDevice, DeviceRefusal> {
    let secret = data.and_then(|data| data.get("secret")).and_then(Json::text);
    Ok(described(of_base32(secret, params)?, &|name| row.get(name)))
}

fn recovery(data: &Json, settings: RecoverySettings) -> Result<RecoveryCodes, CodesRefusal> {
    let form = CodeForm::Text(Typing::ANY_SEPARATORS);
    if let Some(codes) = data.get("migrated_codes") {
        return RecoveryCodes::new(form, texts(codes).ok_or(CodesRefusal::Malformed)?);
    }
    let seed = data.get("seed").and_then(Json::text).ok_or(CodesRefusal::Malformed)?;
    // What `secrets.token_hex` gives; anything else is what an adapter made of it.
    if !seed.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(CodesRefusal::Locked);
    }
    let used = data.get("used_mask").and_then(Json::int).ok_or(CodesRefusal::Malformed)?;
    let is_left = |index: &usize| *index < 63 && used >> index & 1 == 0;
    if usize::from(settings.count) > 63 {
        return Err(CodesRefusal::TooMany);
    }
    let derived = derive(seed, settings);
    let left = derived.iter().enumerate().filter(|(index, _)| is_left(index)).map(|(_, code)| code);
    RecoveryCodes::new(form, left.take(MAX_CODES + 1))
}

/// The codes of a seed, used ones among them: a running HMAC-SHA1 over `␣␣0,␣␣1,…`, of whose digest the first bytes are taken as a
/// number, one byte for two digits.
fn derive(seed: &str, settings: RecoverySettings) -> Vec<Zeroizing<String>> {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, seed.as_bytes());
    let mut running = hmac::Context::with_key(&key);
    let digits = settings.digits.clamp(2, RecoverySettings::MAX_DIGITS);
    let mut codes = Vec::with_capacity(settings.count.into());
    for index in 0..settings.count {
        running.update(format!("{index:3},").as_bytes());
        let digest = running.clone().sign();
        let number = digest
            .as_ref()
            .iter()
            .take((digits / 2).into())
            .fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        let code = number % 10_u128.pow(digits.into());
        codes.push(Zeroizing::new(format!("{code:0width$}", width = usize::from(digits))));
    }
    codes
}

#[cfg(test)]
mod tests {
    use sidekey_core::import::ReducedCode;

    use super::*;
    use crate::import::testing::{file, fixture, user};

    #[test]
    fn codes_are_derived_as_allauth_derives_them() {
        let json = Json::parse(&fixture("django-allauth-unused.json").bytes).unwrap();
        let all = texts(json.get("all").unwrap()).unwrap().join(" ");
        let derived = derive(&"5eed".repeat(20), RecoverySettings::default());
        let derived: Vec<&str> = derived.iter().map(|code| code.as_str()).collect();
        assert_eq!(derived.join(" "), all);
        let unused = texts(json.get("unused").unwrap()).unwrap().join(" ");
        for name in ["django-allauth.csv", "django-allauth.json"] {
            let source = read(&[fixture(name)], &SourceOptions::default()).unwrap();
            let ann = user(&source, "1");
            let codes: Vec<_> =
                ann.recovery.as_ref().unwrap().codes().iter().map(ReducedCode::expose).collect();
            assert_eq!(codes.join(" "), unused, "{name}");
            assert_eq!(ann.devices[0].secret.expose(), b"12345678901234567890");
            assert_eq!(ann.devices[0].last_used_at.unwrap().as_secs(), 1_714_568_400);
            let bob = user(&source, "2").recovery.as_ref().unwrap();
            assert_eq!(bob.codes()[0].expose(), "AbcdEfgh1");
            assert_eq!(user(&source, "3").left_out, [DeviceRefusal::OtherKind]);
            assert_eq!(user(&source, "4").left_out, [DeviceRefusal::SecretUnreadable]);
            assert!(source.notes[0].0.contains("MFA_ADAPTER"));
        }
    }

    #[test]
    fn other_settings_derive_other_codes() {
        let derived = derive("00ff", RecoverySettings { count: 3, digits: 10 });
        assert!(derived.iter().all(|code| code.len() == 10));
        let long = derive("00ff", RecoverySettings { count: 1, digits: 200 });
        assert_eq!(long[0].len(), 32, "bounded");
    }

    #[test]
    fn what_is_broken_is_said_and_the_rest_goes_on() {
        let rows = r#"[
            {"user_id": 1, "type": "totp", "data": "no JSON"},
            {"user_id": 2, "type": "recovery_codes", "data": {"seed": "gAAAAAB-sealed", "used_mask": 0}},
            {"user_id": 3, "type": "recovery_codes", "data": {"seed": "00ff"}},
            {"user_id": 4, "type": "recovery_codes", "data": {"migrated_codes": ["short"]}},
            {"user_id": 5, "type": "recovery_codes", "data": {"seed": "00ff", "used_mask": 1023}},
            {"user_id": 6, "type": "recovery_codes", "data": null},
            {"user_id": 7, "type": "recovery_codes", "data": {"seed": "00ff", "used_mask": -1}}
        ]"#;
        let source = read(&[file("a.json", rows)], &SourceOptions::default()).unwrap();
        for (name, refusal) in [
            ("2", CodesRefusal::Locked),
            ("3", CodesRefusal::Malformed),
            ("4", CodesRefusal::TooShort),
            ("5", CodesRefusal::NoneLeft),
            ("6", CodesRefusal::Malformed),
            ("7", CodesRefusal::NoneLeft),
        ] {
            assert_eq!(user(&source, name).recovery_left_out, Some(refusal), "{name}");
        }
        assert_eq!(user(&source, "1").left_out, [DeviceRefusal::SecretUnreadable]);
        let wrong = read(&[file("a.csv", "id,type\n1,totp\n")], &SourceOptions::default()).unwrap_err();
        assert_eq!(wrong.to_string(), "a.csv, row 1: there is no column `data`");
    }
}
