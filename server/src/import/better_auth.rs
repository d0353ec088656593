//! better-auth: the table `twoFactor` of its plugin, as CSV or JSON.
//!
//! Seen in better-auth 1.1.21, 1.2.12, 1.3.34 and 1.7.25, `plugins/two-factor/` and `crypto/`: the columns are encrypted by
//! XChaCha20-Poly1305 under the SHA-256 of the application's secret, as hex of nonce, ciphertext and tag; behind `$ba$VERSION$` where the
//! secret has versions (`BETTER_AUTH_SECRETS`). The TOTP secret is the decrypted text itself, in UTF-8, or base32 behind `base32:`; SHA-1,
//! digits and period by the plugin's options. Backup codes are a JSON list of texts of which everything counts, and are encrypted, plain, or
//! encrypted by functions of the application's own (`storeBackupCodes`); a used one is taken out. `verified` is missing in older
//! versions, and means yes there.

use chacha20poly1305::aead::{Aead as _, KeyInit as _};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use data_encoding::HEXLOWER_PERMISSIVE;
use sha2::{Digest as _, Sha256};
use sidekey_core::import::{CodeForm, CodesRefusal, DeviceRefusal, ImportedDevice, RecoveryCodes, Typing};
use sidekey_core::secret::Secret;
use sidekey_core::totp::TotpParams;
use zeroize::Zeroizing;

use super::json::Json;
use super::parts::{of_base32, texts};
use super::table::{Row, rows};
use super::{Gathered, ImportError, Refusal, Source, SourceFile, SourceOptions};

/// The columns that mean something.
const COLUMNS: &[&str] = &["userId", "user_id", "secret", "backupCodes", "backup_codes", "verified"];

/// The bytes of the nonce.
const NONCE: usize = 24;
/// The most characters of a value: more than a hundred backup codes.
const MAX_CHARACTERS: usize = 64 * 1024;

/// Reads the table.
///
/// # Errors
/// A file has no columns `secret` and `backupCodes`, or what is in it does not open.
pub(super) fn read(files: &[SourceFile], options: &SourceOptions) -> Result<Source, ImportError> {
    let secrets = options.source_key.as_ref().map(|text| Secrets::parse(text));
    let mut gathered = Gathered::default();
    let (mut opened, mut closed) = (0_usize, None);
    for row in rows(files, COLUMNS)? {
        let Some(place) = row.place(files) else { continue };
        if !row.has("secret") {
            return Err(ImportError::NoColumn { place, column: "secret" });
        }
        let Some(secrets) = &secrets else { return Err(ImportError::KeyNeeded(place)) };
        let Some(user) = row.id(&["userId", "user_id"]) else {
            gathered.refuse(place, Refusal::Missing("userId"));
            continue;
        };
        let Some(user) = gathered.user(&user, place.clone()) else { continue };
        let Some(secret) = row.text("secret").and_then(|sealed| secrets.open(sealed)) else {
            closed.get_or_insert(place);
            user.add(Err(DeviceRefusal::SecretUnreadable));
            continue;
        };
        opened += 1;
        user.add(device(&secret, &row, options.params));
        if let Some(codes) = row.get("backupCodes").or_else(|| row.get("backup_codes")) {
            user.recover_with(recovery(secrets, codes));
        }
    }
    match closed {
        Some(place) if opened == 0 => Err(ImportError::WrongKey(place)),
        _ => Ok(Source { users: gathered.into_reads(), notes: Vec::new() }),
    }
}

fn device(secret: &str, row: &Row, params: TotpParams) -> Result<ImportedDevice, DeviceRefusal> {
    if row.flag("verified") == Some(false) {
        return Err(DeviceRefusal::Unconfirmed);
    }
    if let Some(base32) = secret.strip_prefix("base32:") {
        return of_base32(Some(base32), params);
    }
    ImportedDevice::new(Secret::from_bytes(Zeroizing::new(secret.as_bytes().to_vec()))?, params)
}

fn recovery(secrets: &Secrets, codes: &Json) -> Result<RecoveryCodes, CodesRefusal> {
    let opened = match codes {
        Json::Text(text) if !text.trim_start().starts_with('[') => {
            Some(secrets.open(text).ok_or(CodesRefusal::Locked)?)
        }
        _ => None,
    };
    let list = match &opened {
        Some(text) => Json::parse(text.as_bytes()),
        None => None,
    };
    let plain = if opened.is_none() { codes.unfolded() } else { None };
    let list = list.as_ref().or(plain.as_deref()).ok_or(CodesRefusal::Malformed)?;
    let codes = texts(list).ok_or(CodesRefusal::Malformed)?;
    RecoveryCodes::new(CodeForm::Text(Typing::ANY_SEPARATORS), codes)
}

/// The ciphers of the application's secrets.
struct Secrets(Vec<XChaCha20Poly1305>);

impl Secrets {
    /// Reads `BETTER_AUTH_SECRET` and `BETTER_AUTH_SECRETS`, one a line. A text may be either, and a wrong secret opens nothing, so both
    /// are tried: the line itself, and what stands behind each `VERSION:` between commas.
    fn parse(text: &str) -> Self {
        let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
        let versioned = lines().flat_map(|line| line.split(',')).filter_map(|entry| {
            let (version, secret) = entry.trim().split_once(':')?;
            version.bytes().all(|byte| byte.is_ascii_digit()).then(|| secret.trim())
        });
        let ciphers = lines().chain(versioned).map(|secret| {
            let key = Zeroizing::new(<[u8; 32]>::from(Sha256::digest(secret.as_bytes())));
            XChaCha20Poly1305::new((&*key).into())
        });
        Self(ciphers.take(64).collect())
    }

    fn open(&self, sealed: &str) -> Option<Zeroizing<String>> {
        if sealed.len() > MAX_CHARACTERS {
            return None;
        }
        let hex = match sealed.strip_prefix("$ba$") {
            Some(rest) => rest.split_once('$')?.1,
            None => sealed,
        };
        let bytes = HEXLOWER_PERMISSIVE.decode(hex.trim().as_bytes()).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE)?;
        let nonce = XNonce::try_from(nonce).ok()?;
        self.0.iter().find_map(|cipher| {
            let plain = Zeroizing::new(cipher.decrypt(&nonce, sealed).ok()?);
            Some(Zeroizing::new(std::str::from_utf8(&plain).ok()?.to_owned()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidekey_core::import::ReducedCode;

    use crate::import::testing::{file, fixture, user};

    fn options(secret: &str) -> SourceOptions {
        SourceOptions { source_key: Some(Zeroizing::new(secret.to_owned())), ..SourceOptions::default() }
    }

    const SECRET: &str = "a made-up secret of better-auth (1)\n";

    fn expected(name: &str, who: &str) -> (String, Vec<u8>, Vec<String>) {
        let json = Json::parse(&fixture(name).bytes).unwrap();
        let user = json.get(who).unwrap();
        let text = |name| user.get(name).and_then(Json::text).unwrap_or_default();
        let spent = text("used");
        let codes = texts(user.get("backup_codes").unwrap()).unwrap();
        let left = codes.into_iter().filter(|code| *code != spent).map(|code| code.replace('-', ""));
        let secret = Secret::from_base32(text("secret")).unwrap().expose().to_vec();
        (text("user_id").to_owned(), secret, left.collect())
    }

    #[test]
    fn what_the_package_wrote_is_read() {
        let versioned = "2:a made-up secret of better-auth (2),1:a made-up secret of better-auth (1)\n";
        for (name, of, key) in [
            ("better-auth.json", "better-auth", SECRET),
            ("better-auth.csv", "better-auth", SECRET),
            ("better-auth-plain.json", "better-auth-plain", SECRET),
            ("better-auth-plain.csv", "better-auth-plain", SECRET),
            ("better-auth-versioned.json", "better-auth-versioned", versioned),
        ] {
            let source = read(&[fixture(name)], &options(key)).unwrap();
            let (id, secret, codes) = expected(&format!("{of}-expected.json"), "ann");
            let ann = user(&source, &id);
            assert_eq!(ann.devices[0].secret.expose(), secret, "{name}");
            let kept = ann.recovery.as_ref().unwrap();
            let kept: Vec<_> = kept.codes().iter().map(ReducedCode::expose).collect();
            assert_eq!(kept, codes, "{name}");
        }
        let source = read(&[fixture("better-auth.json")], &options(SECRET)).unwrap();
        let (bob, ..) = expected("better-auth-expected.json", "bob");
        assert_eq!(user(&source, &bob).left_out, [DeviceRefusal::Unconfirmed]);
    }

    #[test]
    fn codes_that_the_application_itself_encrypted_are_said_to_be_closed() {
        let source = read(&[fixture("better-auth-custom.json")], &options(SECRET)).unwrap();
        let (ann, ..) = expected("better-auth-custom-expected.json", "ann");
        let ann = user(&source, &ann);
        assert_eq!((ann.devices.len(), ann.recovery_left_out), (1, Some(CodesRefusal::Locked)));
    }

    #[test]
    fn secrets_with_versions_are_found() {
        let secrets = Secrets::parse("2:second,1:first\nplain\n");
        assert_eq!(secrets.0.len(), 4);
    }

    #[test]
    fn a_missing_or_wrong_secret_is_said_at_once() {
        let files = [fixture("better-auth.json")];
        assert!(matches!(read(&files, &SourceOptions::default()), Err(ImportError::KeyNeeded(_))));
        assert!(matches!(read(&files, &options("another")), Err(ImportError::WrongKey(_))));
        let wrong = read(&[file("t.csv", "userId,x\nu,1\n")], &options(SECRET)).unwrap_err();
        assert_eq!(wrong.to_string(), "t.csv, row 1: there is no column `secret`");
    }

    #[test]
    fn hostile_values_open_nothing() {
        let secrets = Secrets::parse(SECRET);
        for text in [
            "",
            "é",
            "$ba$",
            "$ba$1",
            "$ba$1$",
            "zz",
            "00",
            &"00".repeat(40),
            &"0".repeat(MAX_CHARACTERS + 1),
        ] {
            assert!(secrets.open(text).is_none());
        }
    }
}
