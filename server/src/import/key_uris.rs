//! Key URIs: what most products export in one way or another.
//!
//! - Lines: one key URI each, whose label names the user.
//! - Tables, as CSV with a header, a JSON array or JSON lines: a row is a device, with the columns `user_id` and either `key_uri` or `secret`
//!   (base32); beside a secret `algorithm`, `digits` and `period`; and `account_name`, `name`, `created_at`, `last_used_at` and
//!   `backup_codes`, which are texts with commas or blanks between them.
//! - JSON objects as `POST /2fa/users/import/` takes them: a user each, with `devices` and `backup_codes`.

use sidekey_core::id::AccountName;
use sidekey_core::import::{
    CodeForm, CodesRefusal, DeviceRefusal, Fold, ImportedDevice, ImportedUser, RecoveryCodes, Typing,
};
use sidekey_core::key_uri::KeyUri;
use sidekey_core::time::Step;
use sidekey_core::totp::TotpParams;

use super::json::Json;
use super::parts::{algorithm, described, of_base32, params, texts};
use super::table::rows;
use super::{Gathered, ImportError, Refusal, Source, SourceFile, SourceOptions, Unit, UserFrom};

/// The columns that mean something.
const COLUMNS: &[&str] = &[
    "user_id",
    "account_name",
    "key_uri",
    "secret",
    "algorithm",
    "digits",
    "period",
    "name",
    "created_at",
    "last_used_at",
    "last_step",
    "is_primary",
    "devices",
    "backup_codes",
];

/// Reads key URIs. Empty lines count for nothing.
///
/// # Errors
/// A file is no text, or a table without the columns.
pub(super) fn read(files: &[SourceFile], options: &SourceOptions) -> Result<Source, ImportError> {
    let mut gathered = Gathered::default();
    for file in files {
        if is_lines(file.text()?) {
            lines(file, options, &mut gathered)?;
        } else {
            table(file, &mut gathered)?;
        }
    }
    Ok(Source { users: gathered.into_reads(), notes: Vec::new() })
}

/// Whether a text has a key URI in its first line that is not empty, which no header of a table begins like.
pub(super) fn is_lines(text: &str) -> bool {
    let first = text.lines().map(str::trim_start).find(|line| !line.is_empty());
    first
        .is_none_or(|line| line.split_once("://").is_some_and(|(scheme, _)| scheme.bytes().all(is_of_scheme)))
}

fn is_of_scheme(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'-'
}

fn lines(file: &SourceFile, options: &SourceOptions, gathered: &mut Gathered) -> Result<(), ImportError> {
    let lines = file.text()?.lines().enumerate();
    for (index, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let place = file.at(Unit::Line, index + 1);
        match KeyUri::parse(line.trim()) {
            Ok(uri) => {
                let account_name = AccountName::parse(uri.account()).ok();
                if let Some(user) = gathered.user(&user_of(&uri, options.user_from), place) {
                    user.account_name = user.account_name.take().or(account_name);
                    user.add(ImportedDevice::new(uri.secret().clone(), uri.params()));
                }
            }
            Err(error) => gathered.refuse(place, Refusal::KeyUri(error)),
        }
    }
    Ok(())
}

/// The user that a label names.
pub(super) fn user_of(uri: &KeyUri, from: UserFrom) -> String {
    match (from, uri.issuer()) {
        (UserFrom::IssuerAndAccount, Some(issuer)) => format!("{issuer}:{}", uri.account()),
        (UserFrom::Account | UserFrom::IssuerAndAccount, _) => uri.account().to_owned(),
    }
}

fn table(file: &SourceFile, gathered: &mut Gathered) -> Result<(), ImportError> {
    let file = std::slice::from_ref(file);
    for row in rows(file, COLUMNS)? {
        let Some(place) = row.place(file) else { continue };
        if !row.has("user_id") {
            return Err(ImportError::NoColumn { place, column: "user_id" });
        }
        if !(row.has("key_uri") || row.has("secret") || row.has("devices")) {
            return Err(ImportError::NoColumn { place, column: "key_uri" });
        }
        let Some(name) = row.id(&["user_id"]) else {
            gathered.refuse(place, Refusal::Missing("user_id"));
            continue;
        };
        let devices: Vec<Result<ImportedDevice, DeviceRefusal>> =
            match row.get("devices").and_then(Json::list) {
                Some(list) => list.iter().map(|json| device(&|name| json.get(name))).collect(),
                None => vec![device(&|name| row.get(name))],
            };
        let Some(user) = gathered.user(&name, place) else { continue };
        if user.account_name.is_none() {
            user.account_name = row.text("account_name").and_then(|name| AccountName::parse(name).ok());
        }
        devices.into_iter().for_each(|device| user.add(device));
        if let Some(codes) = row.get("backup_codes") {
            recover(user, codes);
        }
    }
    Ok(())
}

/// The device that these members tell of.
fn device<'j>(get: &dyn Fn(&str) -> Option<&'j Json>) -> Result<ImportedDevice, DeviceRefusal> {
    let text = |name| get(name).and_then(Json::text);
    let device = if let Some(uri) = text("key_uri") {
        ImportedDevice::of_key_uri(uri.trim())?
    } else {
        let number = |name, wrong| match get(name) {
            None => Ok(None),
            Some(json) => json.int().map(Some).ok_or(wrong),
        };
        let digits = number("digits", DeviceRefusal::Digits)?;
        let period = number("period", DeviceRefusal::Period)?;
        let mut params = params(digits, period, TotpParams::default())?;
        if let Some(name) = text("algorithm") {
            params.algorithm = algorithm(name)?;
        }
        of_base32(text("secret"), params)?
    };
    let mut device = described(device, get);
    device.last_step =
        get("last_step").and_then(Json::int).and_then(|step| u64::try_from(step).ok()).map(Step::new);
    device.is_primary = matches!(get("is_primary"), Some(Json::Bool(true)));
    Ok(device)
}

/// Takes recovery codes: a text or list of texts, or an object that says their form.
fn recover(user: &mut ImportedUser, codes: &Json) {
    let of = |form, codes: Option<Vec<&str>>| RecoveryCodes::new(form, codes.ok_or(CodesRefusal::Malformed)?);
    let plain = CodeForm::Text(Typing::ANY_SEPARATORS);
    let read = match codes {
        Json::Text(text) => {
            let codes = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|code| !code.is_empty());
            of(plain, Some(codes.collect()))
        }
        Json::List(_) => of(plain, texts(codes)),
        Json::Map(_) => match form(codes) {
            Some(form) => of(form, codes.get("codes").and_then(texts)),
            None => Err(CodesRefusal::Malformed),
        },
        _ => Err(CodesRefusal::Malformed),
    };
    user.recover_with(read);
}

/// The form of an object with `form`, `case` and `separators`, as the HTTP interface has them.
fn form(codes: &Json) -> Option<CodeForm> {
    let text = |name| codes.get(name).and_then(Json::text);
    let fold = match text("case") {
        None | Some("exact") => Fold::None,
        Some("lower") => Fold::Lower,
        Some("upper") => Fold::Upper,
        Some(_) => return None,
    };
    let strip = match text("separators") {
        None => None,
        Some("ignored") => Some(true),
        Some("exact") => Some(false),
        Some(_) => return None,
    };
    // Hashes are of exact texts unless something else is said.
    let typing = |otherwise| Typing { fold, strip: strip.unwrap_or(otherwise) };
    match text("form")? {
        "native" => Some(CodeForm::Native),
        "text" => Some(CodeForm::Text(typing(true))),
        "sha256" => Some(CodeForm::Sha256(typing(false))),
        "sha512" => Some(CodeForm::Sha512(typing(false))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use sidekey_core::key_uri::KeyUriError;

    use super::*;
    use crate::import::testing::{file, fixture, user};

    const LINES: &str = "\
otpauth://totp/Shop:ann?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Shop

otpauth://hotp/Shop:bob?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&counter=1
otpauth://totp/Shop:ann?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJR&issuer=Shop&digits=8
";

    fn read_with(user_from: UserFrom) -> Source {
        let options = SourceOptions { user_from, ..SourceOptions::default() };
        read(&[file("keys.txt", LINES)], &options).unwrap()
    }

    #[test]
    fn the_label_names_the_user_and_each_line_is_a_device() {
        let source = read_with(UserFrom::Account);
        let ann = source.users[0].outcome.as_ref().unwrap();
        assert_eq!((ann.user.as_str(), ann.devices.len()), ("ann", 2));
        assert_eq!(ann.account_name.as_ref().map(AccountName::as_str), Some("ann"));
        assert_eq!(ann.devices[1].params.digits.count(), 8);
        assert_eq!(source.users[1].outcome, Err(Refusal::KeyUri(KeyUriError::Hotp)));
        assert_eq!(source.users[1].place.to_string(), "keys.txt, line 3");
    }

    #[test]
    fn the_issuer_may_be_part_of_the_name() {
        let source = read_with(UserFrom::IssuerAndAccount);
        assert_eq!(source.users[0].outcome.as_ref().unwrap().user.as_str(), "Shop:ann");
    }

    #[test]
    fn tables_name_the_user_of_each_device() {
        for name in ["key-uris.csv", "key-uris.json", "key-uris.jsonl"] {
            let source = read(&[fixture(name)], &SourceOptions::default()).unwrap();
            let ann = user(&source, "42");
            assert_eq!(ann.devices.len(), 2, "{name}");
            assert!(ann.devices.iter().all(|device| device.secret.expose() != b""));
            assert_eq!(ann.devices[0].secret.expose(), b"12345678901234567890");
            assert_eq!(
                (ann.devices[1].params.digits.count(), ann.devices[1].params.period.seconds()),
                (8, 60)
            );
            assert_eq!(ann.devices[1].name.as_ref().unwrap().as_str(), "Tablet");
            assert_eq!(ann.account_name.as_ref().unwrap().as_str(), "ann@example.com");
            let codes = ann.recovery.as_ref().unwrap().codes();
            assert_eq!((codes.len(), codes[0].expose()), (2, "Ab3dE6gH"));
            assert_eq!(user(&source, "43").left_out, [DeviceRefusal::SecretTooShort]);
            assert_eq!(user(&source, "44").left_out, [DeviceRefusal::Hotp]);
        }
    }

    #[test]
    fn objects_of_the_http_interface_are_read() {
        let text = r#"{"user_id": "42", "account_name": "ann@example.com", "devices": [
                {"secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "name": "Phone", "last_step": 7, "is_primary": true},
                {"key_uri": "otpauth://totp/a?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJR"}, {}, 7],
            "backup_codes": {"form": "text", "case": "upper", "separators": "exact", "codes": ["abcd-efgh"]}}
            {"user_id": "43", "devices": [], "backup_codes": {"form": "bcrypt", "codes": []}}"#;
        let source = read(&[file("users.jsonl", text)], &SourceOptions::default()).unwrap();
        let ann = user(&source, "42");
        assert_eq!((ann.devices.len(), ann.left_out.len()), (2, 2));
        assert_eq!((ann.devices[0].last_step, ann.devices[0].is_primary), (Some(Step::new(7)), true));
        assert_eq!(ann.recovery.as_ref().unwrap().codes()[0].expose(), "ABCD-EFGH");
        assert_eq!(user(&source, "43").recovery_left_out, Some(CodesRefusal::Malformed));
    }

    #[test]
    fn what_is_broken_is_said_and_the_rest_goes_on() {
        let rows = "user_id,secret,algorithm,digits,period\n\
            ,GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ,,,\n\
            1,GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ,MD5,,\n\
            2,GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ,,six,\n\
            3,GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ,,,5\n\
            4,,,,\n\
            5,GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ,SHA-256,,\n";
        let source = read(&[file("t.csv", rows)], &SourceOptions::default()).unwrap();
        assert_eq!(source.users[0].outcome, Err(Refusal::Missing("user_id")));
        for (name, refusal) in [
            ("1", DeviceRefusal::Algorithm),
            ("2", DeviceRefusal::Digits),
            ("3", DeviceRefusal::Period),
            ("4", DeviceRefusal::SecretUnreadable),
        ] {
            assert_eq!(user(&source, name).left_out, [refusal]);
        }
        assert_eq!(user(&source, "5").devices.len(), 1);
        for (text, told) in [
            ("name,secret\nx,y\n", "t.csv, row 1: there is no column `user_id`"),
            ("user_id,name\nx,y\n", "t.csv, row 1: there is no column `key_uri`"),
            ("[7]", "t.csv, row 1: it is no object"),
        ] {
            let error = read(&[file("t.csv", text)], &SourceOptions::default()).unwrap_err();
            assert_eq!(error.to_string(), told);
        }
    }
}
