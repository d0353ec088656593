//! Users as JSON: in the body of `POST /2fa/users/import/`, on the way from the command line to the store, and in an export.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use sidekey_core::{
    id::{AccountName, DeviceName, UserId},
    import::{
        CodeForm, CodesRefusal, DeviceRefusal, Fold, ImportedDevice, ImportedUser, RecoveryCodes, Typing,
    },
    secret::Secret,
    time::{Step, UnixTime},
    totp::{Algorithm, Digits, Period, TotpParams},
};
use utoipa::ToSchema;
use zeroize::{Zeroize, Zeroizing};

use super::{Refusal, object::Object};
use crate::http::rfc3339;

/// A user, as written.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ImportUser)]
pub struct WireUser {
    /// The host application's name for the user: 1 to 255 bytes, no control characters, else the user is refused.
    pub user_id: String,
    /// What people see of the account: 1 to 255 bytes, no control characters, else the user is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_name: Option<String>,
    /// The devices, at most 7 of which are taken over.
    #[serde(default, deserialize_with = "objects_or_null")]
    #[schema(value_type = Option<Vec<WireDevice>>)]
    pub devices: Vec<WireDevice>,
    /// The recovery codes that are left.
    #[serde(default, deserialize_with = "object_or_null", skip_serializing_if = "Option::is_none")]
    pub backup_codes: Option<WireCodes>,
}

/// A device, as written: a `key_uri`, or a `secret` and what differs from the defaults. What is out of its range is left out, with a
/// note.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = ImportDevice)]
pub struct WireDevice {
    /// `otpauth://totp/…`
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub key_uri: Option<Hidden>,
    /// Base32, 16 to 64 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub secret: Option<Hidden>,
    /// `SHA1`, `SHA256` or `SHA512`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(default = "SHA1")]
    pub algorithm: Option<String>,
    /// 6 to 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(default = 6)]
    pub digits: Option<u64>,
    /// 15 to 120 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(default = 30)]
    pub period: Option<u64>,
    /// What its owner calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<String>,
    /// The last accepted time step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_step: Option<u64>,
    /// Whether it is the primary one; without any, the first is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_primary: Option<bool>,
}

/// Recovery codes, as written.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ImportCodes)]
pub struct WireCodes {
    /// Codes of Sidekey's, other texts, or the hashes of texts in hex or base64.
    pub form: Form,
    /// What becomes of the case of letters that somebody types.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case: Option<Case>,
    /// What becomes of blanks and hyphens that somebody types. Without it, they are ignored in texts and count in hashes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separators: Option<Separators>,
    /// Those that are left, at most 16.
    #[schema(value_type = Vec<String>)]
    pub codes: Vec<Hidden>,
}

/// What recovery codes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ImportCodesForm)]
pub enum Form {
    /// Codes of ours.
    Native,
    /// Other texts.
    Text,
    /// SHA-256 of texts.
    Sha256,
    /// SHA-512 of texts.
    Sha512,
}

/// What becomes of the case of letters that somebody types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ImportCodesCase)]
pub enum Case {
    /// It counts.
    #[default]
    Exact,
    /// All become lower case.
    Lower,
    /// All become upper case.
    Upper,
}

/// What becomes of blanks and hyphens that somebody types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ImportCodesSeparators)]
pub enum Separators {
    /// They count.
    Exact,
    /// They are dropped.
    Ignored,
}

/// As everywhere in the API, `null` is as good as absent.
fn objects_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<WireDevice>, D::Error> {
    let devices: Option<Vec<Object<WireDevice>>> = Option::deserialize(deserializer)?;
    Ok(devices.unwrap_or_default().into_iter().map(|Object(device)| device).collect())
}

fn object_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<WireCodes>, D::Error> {
    let codes: Option<Object<WireCodes>> = Option::deserialize(deserializer)?;
    Ok(codes.map(|Object(codes)| codes))
}

/// Text that is secret: wiped when dropped, redacted in `Debug`.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(String);

impl Hidden {
    /// The text; whoever calls this keeps it out of logs and errors.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<Zeroizing<String>> for Hidden {
    fn from(mut text: Zeroizing<String>) -> Self {
        Self(std::mem::take(&mut *text))
    }
}

impl AsRef<str> for Hidden {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Hidden(redacted)")
    }
}

impl WireUser {
    /// The user, with what can be taken over.
    ///
    /// # Errors
    /// No user can have this name, or a value of the user is not what it should be.
    pub fn parse(&self) -> Result<ImportedUser, Refusal> {
        let user = UserId::parse(&self.user_id).map_err(|_| Refusal::UserId)?;
        let mut imported = ImportedUser::new(user);
        let name = self.account_name.as_deref().map(AccountName::parse).transpose();
        imported.account_name = name.map_err(|_| Refusal::Malformed("account_name"))?;
        for device in &self.devices {
            imported.add(device.parse()?);
        }
        if let Some(codes) = &self.backup_codes {
            imported.recover_with(codes.parse());
        }
        Ok(imported)
    }

    /// The user as written; what was left out of them stays out.
    pub fn of(user: &ImportedUser) -> Self {
        Self {
            user_id: user.user.as_str().to_owned(),
            account_name: user.account_name.as_ref().map(|name| name.as_str().to_owned()),
            devices: user.devices.iter().map(WireDevice::of).collect(),
            backup_codes: user.recovery.as_ref().map(WireCodes::of),
        }
    }
}

impl WireDevice {
    fn parse(&self) -> Result<Result<ImportedDevice, DeviceRefusal>, Refusal> {
        let name = self.name.as_deref().map(DeviceName::parse).transpose();
        let name = name.map_err(|_| Refusal::Malformed("name"))?;
        let created_at = time("created_at", self.created_at.as_deref())?;
        let last_used_at = time("last_used_at", self.last_used_at.as_deref())?;
        let device = match (&self.key_uri, &self.secret) {
            (Some(uri), None) => ImportedDevice::of_key_uri(uri.expose()),
            (None, Some(secret)) => self.of_secret(secret),
            (Some(_), Some(_)) => return Err(Refusal::Malformed("devices")),
            (None, None) => return Err(Refusal::Missing("secret")),
        };
        Ok(device.map(|device| ImportedDevice {
            name,
            created_at,
            last_used_at,
            last_step: self.last_step.map(Step::new),
            is_primary: self.is_primary.unwrap_or_default(),
            ..device
        }))
    }

    fn of_secret(&self, secret: &Hidden) -> Result<ImportedDevice, DeviceRefusal> {
        let algorithm = match self.algorithm.as_deref() {
            None => Algorithm::default(),
            Some(name) => algorithm(name)?,
        };
        let small = |number: Option<u64>, default: u8| number.map_or(Ok(default), u8::try_from);
        let digits = small(self.digits, Digits::default().count()).map_err(|_| DeviceRefusal::Digits)?;
        let digits = Digits::new(digits).map_err(|_| DeviceRefusal::Digits)?;
        let period = small(self.period, Period::default().into()).map_err(|_| DeviceRefusal::Period)?;
        let period = Period::new(period).map_err(|_| DeviceRefusal::Period)?;
        ImportedDevice::new(Secret::from_base32(secret.expose())?, TotpParams { algorithm, digits, period })
    }

    fn of(device: &ImportedDevice) -> Self {
        Self {
            key_uri: None,
            secret: Some(device.secret.to_base32().into()),
            algorithm: Some(device.params.algorithm.name().to_owned()),
            digits: Some(device.params.digits.count().into()),
            period: Some(device.params.period.seconds()),
            name: device.name.as_ref().map(|name| name.as_str().to_owned()),
            created_at: device.created_at.map(rfc3339),
            last_used_at: device.last_used_at.map(rfc3339),
            last_step: device.last_step.map(Step::number),
            is_primary: device.is_primary.then_some(true),
        }
    }
}

impl WireCodes {
    fn parse(&self) -> Result<RecoveryCodes, CodesRefusal> {
        RecoveryCodes::new(self.code_form(), &self.codes)
    }

    /// Hashes are of exact texts unless something else is said: who groups the codes of a hashed set has said so in the hash.
    fn code_form(&self) -> CodeForm {
        let fold = match self.case.unwrap_or_default() {
            Case::Exact => Fold::None,
            Case::Lower => Fold::Lower,
            Case::Upper => Fold::Upper,
        };
        let strip = |default| self.separators.map_or(default, |how| how == Separators::Ignored);
        match self.form {
            Form::Native => CodeForm::Native,
            Form::Text => CodeForm::Text(Typing { fold, strip: strip(true) }),
            Form::Sha256 => CodeForm::Sha256(Typing { fold, strip: strip(false) }),
            Form::Sha512 => CodeForm::Sha512(Typing { fold, strip: strip(false) }),
        }
    }

    fn of(recovery: &RecoveryCodes) -> Self {
        let (form, typing) = match recovery.form() {
            CodeForm::Native => (Form::Native, None),
            CodeForm::Text(typing) => (Form::Text, Some(typing)),
            CodeForm::Sha256(typing) => (Form::Sha256, Some(typing)),
            CodeForm::Sha512(typing) => (Form::Sha512, Some(typing)),
        };
        Self {
            form,
            case: typing.map(|typing| match typing.fold {
                Fold::None => Case::Exact,
                Fold::Lower => Case::Lower,
                Fold::Upper => Case::Upper,
            }),
            separators: typing
                .map(|typing| if typing.strip { Separators::Ignored } else { Separators::Exact }),
            codes: recovery
                .codes()
                .iter()
                .map(|code| Zeroizing::new(code.expose().to_owned()).into())
                .collect(),
        }
    }
}

/// The algorithm with this name, in any case.
///
/// # Errors
/// None has it.
pub fn algorithm(name: &str) -> Result<Algorithm, DeviceRefusal> {
    [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512]
        .into_iter()
        .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
        .ok_or(DeviceRefusal::Algorithm)
}

fn time(name: &'static str, text: Option<&str>) -> Result<Option<UnixTime>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    let seconds = text.parse::<Timestamp>().ok().and_then(|time| u64::try_from(time.as_second()).ok());
    seconds.map(|seconds| Some(UnixTime::from_secs(seconds))).ok_or(Refusal::Malformed(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(user: serde_json::Value) -> Result<ImportedUser, Refusal> {
        serde_json::from_value::<WireUser>(user).unwrap().parse()
    }

    fn whole() -> serde_json::Value {
        json!({
            "user_id": "42", "account_name": "ann@example.com",
            "devices": [{
                "secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "algorithm": "SHA256", "digits": 8, "period": 60,
                "name": "Tablet", "created_at": "2023-11-14T22:13:20Z", "last_used_at": "2023-11-15T22:13:20Z",
                "last_step": 56, "is_primary": true,
            }],
            "backup_codes": {"form": "text", "case": "lower", "separators": "ignored", "codes": ["abcdefghij"]},
        })
    }

    #[test]
    fn what_is_read_is_written_alike() {
        let user = read(whole()).unwrap();
        assert_eq!(serde_json::to_value(WireUser::of(&user)).unwrap(), whole());
        let device = &user.devices[0];
        assert_eq!(device.created_at, Some(UnixTime::from_secs(1_700_000_000)));
        assert_eq!(device.last_step, Some(Step::new(56)));
    }

    #[test]
    fn hashes_are_written_as_hex_and_stay_what_they_are() {
        let sha256 = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
        let user = json!({"user_id": "42", "backup_codes": {"form": "sha256", "codes": [sha256]}});
        let user = read(user).unwrap();
        let codes = user.recovery.clone().unwrap();
        assert_eq!(codes.form(), CodeForm::Sha256(Typing::EXACT));
        let again = serde_json::to_value(WireUser::of(&user)).unwrap();
        assert_eq!(read(again).unwrap().recovery, Some(codes));
    }

    #[test]
    fn a_device_is_refused_by_itself_and_a_malformed_user_as_a_whole() {
        use DeviceRefusal::{Algorithm, Digits, Hotp, SecretTooShort};
        let user = read(json!({"user_id": "42", "devices": [
            {"secret": "GEZDGNBVGY3TQOJQ"}, {"secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "algorithm": "MD5"},
            {"secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "digits": 300},
            {"key_uri": "otpauth://hotp/ann?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&counter=0"},
        ]}));
        let user = user.unwrap();
        assert_eq!((user.devices.len(), user.left_out), (0, vec![SecretTooShort, Algorithm, Digits, Hotp]));
        for (user, refusal) in [
            (json!({"user_id": ""}), Refusal::UserId),
            (json!({"user_id": "42", "account_name": ""}), Refusal::Malformed("account_name")),
            (json!({"user_id": "42", "devices": [{}]}), Refusal::Missing("secret")),
            (
                json!({"user_id": "42", "devices": [{"secret": "A", "created_at": "yesterday"}]}),
                Refusal::Malformed("created_at"),
            ),
            (
                json!({"user_id": "42", "devices": [{"secret": "A", "key_uri": "B"}]}),
                Refusal::Malformed("devices"),
            ),
        ] {
            assert_eq!(read(user), Err(refusal));
        }
    }

    #[test]
    fn a_list_is_no_object() {
        let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        for user in [
            json!({"user_id": "42", "devices": [[null, secret]]}),
            json!({"user_id": "42", "backup_codes": ["text", null, null, ["abcdefghij"]]}),
        ] {
            assert!(serde_json::from_value::<WireUser>(user).is_err());
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        let shown = format!("{:?}", serde_json::from_value::<WireUser>(whole()).unwrap());
        assert!(!shown.contains("GEZD") && !shown.contains("abcde"), "{shown}");
    }
}
