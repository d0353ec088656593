//! Keycloak: the table `credential`, as CSV or JSON, or an export of a realm (`kc.sh export`) with its users.
//!
//! Seen in keycloak/keycloak, `server-spi/…/models/credential/OTPCredentialModel.java`, `dto/OTPCredentialData.java`,
//! `dto/RecoveryAuthnCodes*.java`, `models/utils/RecoveryAuthnCodesUtils.java` and
//! `RecoveryAuthnCodesFormAuthenticator.java`:
//!
//! - `otp`: the secret is the text itself, in UTF-8, where `secretEncoding` is missing, and base32 where it is `BASE32`.
//! - `recovery-authn-codes`: the base64 of SHA-512 over each code, of which hyphens do not count and case does. The algorithm was called
//!   `RS512` before 26.2, and was the same. Keycloak takes them in their order only; here any of those left counts.

use std::collections::HashMap;

use sidekey_core::id::{DeviceName, UserId};
use sidekey_core::import::{CodeForm, CodesRefusal, DeviceRefusal, ImportedDevice, RecoveryCodes, Typing};
use sidekey_core::secret::Secret;
use sidekey_core::totp::TotpParams;
use zeroize::Zeroizing;

use super::json::Json;
use super::moment::moment;
use super::parts::{People, algorithm, of_base32, params};
use super::table::rows;
use super::{Gathered, ImportError, Place, Refusal, Source, SourceFile, Unit};

/// The columns that mean something.
const COLUMNS: &[&str] = &[
    "users",
    "federatedUsers",
    "type",
    "user_id",
    "userId",
    "user_label",
    "userLabel",
    "created_date",
    "createdDate",
    "secret_data",
    "secretData",
    "credential_data",
    "credentialData",
    "priority",
];

/// Reads the table or the export.
///
/// # Errors
/// A file is neither.
pub(super) fn read(files: &[SourceFile]) -> Result<Source, ImportError> {
    let mut reader = Reader::default();
    for row in rows(files, COLUMNS)? {
        let Some(place) = row.place(files) else { continue };
        let lists = ["users", "federatedUsers"].map(|name| row.get(name).and_then(Json::list));
        if lists.iter().any(Option::is_some) {
            lists.into_iter().flatten().for_each(|users| reader.export(users, &place));
            continue;
        }
        if !row.has("type") || !(row.has("secret_data") || row.has("secretData")) {
            return Err(ImportError::NoColumn { place, column: "secret_data" });
        }
        let kind = row.text("type").unwrap_or_default();
        // Passwords are the application's.
        if kind == "password" || kind == "password-history" {
            continue;
        }
        let Some(user) = row.id(&["user_id", "userId"]) else {
            reader.gathered.refuse(place, Refusal::Missing("user_id"));
            continue;
        };
        let get = |names: [&str; 2]| names.into_iter().find_map(|name| row.get(name));
        reader.credential(
            &user,
            place,
            &Credential {
                kind,
                label: get(["user_label", "userLabel"]).and_then(Json::text),
                created: get(["created_date", "createdDate"]),
                secret: get(["secret_data", "secretData"]),
                data: get(["credential_data", "credentialData"]),
                priority: row.int("priority"),
            },
        );
    }
    Ok(Source { users: reader.finish(), notes: Vec::new() })
}

/// A credential, wherever it stands.
struct Credential<'a> {
    kind: &'a str,
    label: Option<&'a str>,
    created: Option<&'a Json>,
    secret: Option<&'a Json>,
    data: Option<&'a Json>,
    priority: Option<i64>,
}

#[derive(Default)]
struct Reader {
    gathered: Gathered,
    people: People,
    /// The lowest priority of a user's devices, which Keycloak asks for first, and the device that has it.
    preferred: HashMap<UserId, (i64, usize)>,
}

impl Reader {
    /// The users of an export; a place among them is that of the user.
    fn export(&mut self, users: &[Json], file: &Place) {
        for (index, user) in users.iter().enumerate() {
            let Some(credentials) = user.get("credentials").and_then(Json::list) else { continue };
            let place = file.within(Unit::Entry, index + 1);
            let text = |name| user.get(name).and_then(Json::text);
            let Some(id) = text("id") else {
                self.gathered.refuse(place, Refusal::Missing("id"));
                continue;
            };
            self.people.name(id.to_owned(), text("email"), text("username"));
            for credential in credentials {
                let text = |name| credential.get(name).and_then(Json::text);
                let kind = text("type").unwrap_or_default();
                if kind == "password" || kind == "password-history" {
                    continue;
                }
                self.credential(
                    id,
                    place.clone(),
                    &Credential {
                        kind,
                        label: text("userLabel"),
                        created: credential.get("createdDate"),
                        secret: credential.get("secretData"),
                        data: credential.get("credentialData"),
                        priority: credential.get("priority").and_then(Json::int),
                    },
                );
            }
        }
    }

    fn credential(&mut self, user: &str, place: Place, credential: &Credential<'_>) {
        let Some(user) = self.gathered.user(user, place) else { return };
        match credential.kind {
            "otp" => {
                let device = credential.device();
                if let (Ok(_), Some(priority)) = (&device, credential.priority) {
                    let this = (priority, user.devices.len());
                    let best = self.preferred.entry(user.user.clone()).or_insert(this);
                    *best = this.min(*best);
                }
                user.add(device);
            }
            "recovery-authn-codes" => user.recover_with(credential.recovery()),
            _ => user.add(Err(DeviceRefusal::OtherKind)),
        }
    }

    fn finish(self) -> Vec<super::Read> {
        let mut reads = self.gathered.into_reads();
        for user in reads.iter_mut().filter_map(|read| read.outcome.as_mut().ok()) {
            self.people.tell(user);
            if let Some((_, index)) = self.preferred.get(&user.user)
                && let Some(device) = user.devices.get_mut(*index)
            {
                device.is_primary = true;
            }
        }
        reads
    }
}

impl Credential<'_> {
    fn device(&self) -> Result<ImportedDevice, DeviceRefusal> {
        let unreadable = DeviceRefusal::SecretUnreadable;
        let data = self.data.and_then(Json::unfolded).ok_or(unreadable)?;
        let text = |name| data.get(name).and_then(Json::text);
        match text("subType") {
            Some("totp") => {}
            Some("hotp") => return Err(DeviceRefusal::Hotp),
            _ => return Err(DeviceRefusal::OtherKind),
        }
        let int = |name| data.get(name).and_then(Json::int);
        let mut params = params(int("digits"), int("period"), TotpParams::default())?;
        if let Some(name) = text("algorithm") {
            params.algorithm = algorithm(name)?;
        }
        let secret = self.secret.and_then(Json::unfolded).ok_or(unreadable)?;
        let value = secret.get("value").and_then(Json::text).ok_or(unreadable)?;
        let mut device = match text("secretEncoding") {
            None => {
                ImportedDevice::new(Secret::from_bytes(Zeroizing::new(value.as_bytes().to_vec()))?, params)?
            }
            Some(encoding) if encoding.eq_ignore_ascii_case("BASE32") => of_base32(Some(value), params)?,
            Some(_) => return Err(unreadable),
        };
        device.name = self.label.and_then(|label| DeviceName::parse(label).ok());
        device.created_at = self.created.and_then(moment);
        Ok(device)
    }

    fn recovery(&self) -> Result<RecoveryCodes, CodesRefusal> {
        let malformed = CodesRefusal::Malformed;
        let data = self.data.and_then(Json::unfolded).ok_or(malformed)?;
        let is_once = data.get("hashIterations").and_then(Json::int).unwrap_or(1) <= 1;
        if !is_once || !matches!(data.get("algorithm").and_then(Json::text), Some("SHA-512" | "RS512")) {
            return Err(CodesRefusal::SaltedHash("another algorithm than SHA-512"));
        }
        let secret = self.secret.and_then(Json::unfolded).ok_or(malformed)?;
        let codes = secret.get("codes").and_then(Json::list).ok_or(malformed)?;
        let hashes = codes.iter().map(|code| code.get("encodedHashedValue").and_then(Json::text));
        let hashes: Option<Vec<&str>> = hashes.collect();
        RecoveryCodes::new(CodeForm::Sha512(Typing::ANY_SEPARATORS), hashes.ok_or(malformed)?)
    }
}

#[cfg(test)]
mod tests {
    use sidekey_core::id::AccountName;
    use sidekey_core::totp::Algorithm;

    use super::*;
    use crate::import::parts::texts;
    use crate::import::testing::{file, fixture, user};

    const ANN: &str = "00000001-0000-4000-8000-000000000000";
    const BOB: &str = "00000002-0000-4000-8000-000000000000";
    const CLEO: &str = "00000003-0000-4000-8000-000000000000";

    #[test]
    fn tables_and_exports_say_the_same() {
        for name in ["keycloak-credential.csv", "keycloak-realm.json"] {
            let source = read(&[fixture(name)]).unwrap();
            let ann = user(&source, ANN);
            assert_eq!(ann.devices[0].secret.expose(), b"12345678901234567890", "the text itself");
            assert_eq!(ann.devices[0].name.as_ref().unwrap().as_str(), "Phone");
            assert_eq!(ann.devices[0].created_at.unwrap().as_secs(), 1_714_564_800);
            let bob = user(&source, BOB);
            assert_eq!(bob.devices[0].secret.expose(), b"abcdefghij1234567890", "base32");
            assert_eq!(bob.devices[0].params.algorithm, Algorithm::Sha256);
            assert_eq!(
                (bob.devices[0].params.digits.count(), bob.devices[1].params.period.seconds()),
                (8, 60)
            );
            assert_eq!(user(&source, CLEO).left_out, [DeviceRefusal::Hotp]);
            assert_eq!(source.users.len(), 3, "dan has a password only");
            let named = ann.account_name.as_ref().map(AccountName::as_str);
            assert_eq!(named, name.ends_with("json").then_some("ann@example.com"));
            let codes = fixture("keycloak-codes.json");
            let codes = Json::parse(&codes.bytes).unwrap();
            let codes = texts(&codes).unwrap();
            let kept = ann.recovery.as_ref().unwrap();
            for code in &codes {
                let shown = format!("{}-{}-{}", &code[..4], &code[4..8], &code[8..]);
                assert!(kept.codes().contains(&kept.form().reduce(&shown).unwrap()));
            }
            assert_eq!(bob.recovery.as_ref().unwrap().codes().len(), codes.len() - 1, "one was used");
        }
    }

    #[test]
    fn the_device_that_keycloak_asks_for_first_is_the_primary_one() {
        let row = |priority: u8, text: char| {
            let secret = text.to_string().repeat(20);
            format!(
                r#"{{"type":"otp","user_id":"u","priority":{priority},"secret_data":{{"value":"{secret}"}},"credential_data":{{"subType":"totp"}}}}"#
            )
        };
        let lines = [row(20, 'a'), row(10, 'b'), row(30, 'c')].join("\n");
        let source = read(&[file("credential.json", &lines)]).unwrap();
        let primary: Vec<_> = user(&source, "u").devices.iter().map(|device| device.is_primary).collect();
        assert_eq!(primary, [false, true, false]);
    }

    #[test]
    fn what_is_broken_is_said() {
        let row = |kind: &str, secret: &str, data: &str| {
            format!(r#"{{"type":"{kind}","user_id":"u","secretData":{secret},"credentialData":{data}}}"#)
        };
        let refused = |row: String| {
            let source = read(&[file("c.json", &row)]).unwrap();
            user(&source, "u").left_out[0]
        };
        let totp = r#"{"subType":"totp"}"#;
        for (secret, data, refusal) in [
            ("null", totp, DeviceRefusal::SecretUnreadable),
            (r#""{""#, totp, DeviceRefusal::SecretUnreadable),
            (r#"{"value":"short"}"#, totp, DeviceRefusal::SecretTooShort),
            ("{}", "{}", DeviceRefusal::OtherKind),
            ("{}", r#"{"subType":"totp","algorithm":"HmacMD5"}"#, DeviceRefusal::Algorithm),
            ("{}", r#"{"subType":"totp","digits":4}"#, DeviceRefusal::Digits),
            ("{}", r#"{"subType":"totp","period":300}"#, DeviceRefusal::Period),
            (
                r#"{"value":"x"}"#,
                r#"{"subType":"totp","secretEncoding":"BASE64"}"#,
                DeviceRefusal::SecretUnreadable,
            ),
        ] {
            assert_eq!(refused(row("otp", secret, data)), refusal, "{secret} {data}");
        }
        assert_eq!(refused(row("webauthn", "{}", "{}")), DeviceRefusal::OtherKind);
        let slow = row(
            "recovery-authn-codes",
            r#"{"codes":[]}"#,
            r#"{"hashIterations":27500,"algorithm":"pbkdf2"}"#,
        );
        let source = read(&[file("c.json", &slow)]).unwrap();
        assert!(matches!(user(&source, "u").recovery_left_out, Some(CodesRefusal::SaltedHash(_))));
        let wrong = read(&[file("c.csv", "id,name\n1,x\n")]).unwrap_err();
        assert_eq!(wrong.to_string(), "c.csv, row 1: there is no column `secret_data`");
    }
}
