//! What several formats have in common: parameters, devices, the names that people see.

use std::collections::HashMap;

use sidekey_core::id::{AccountName, DeviceName};
use sidekey_core::import::{DeviceRefusal, ImportedDevice, ImportedUser};
use sidekey_core::secret::Secret;
use sidekey_core::totp::{Algorithm, Digits, Period, TotpParams};

use super::json::Json;
use super::moment::moment;
use super::table::Row;

/// The hash function with this name, however products write it: `SHA1`, `sha-1`, `HmacSHA1`, `HMAC-SHA1`.
///
/// # Errors
/// Any other name, never a guess.
pub(super) fn algorithm(name: &str) -> Result<Algorithm, DeviceRefusal> {
    let name: String =
        name.chars().filter(|c| !matches!(c, '-' | '_')).collect::<String>().to_ascii_lowercase();
    match name.strip_prefix("hmac").unwrap_or(&name) {
        "sha1" => Ok(Algorithm::Sha1),
        "sha256" => Ok(Algorithm::Sha256),
        "sha512" => Ok(Algorithm::Sha512),
        _ => Err(DeviceRefusal::Algorithm),
    }
}

/// The digits and the period of a device, those of `otherwise` where it says nothing of them.
pub(super) fn params(
    digits: Option<i64>,
    period: Option<i64>,
    otherwise: TotpParams,
) -> Result<TotpParams, DeviceRefusal> {
    let mut params = otherwise;
    if let Some(digits) = digits {
        let digits = u8::try_from(digits).ok().and_then(|digits| Digits::new(digits).ok());
        params.digits = digits.ok_or(DeviceRefusal::Digits)?;
    }
    if let Some(period) = period {
        let period = u8::try_from(period).ok().and_then(|period| Period::new(period).ok());
        params.period = period.ok_or(DeviceRefusal::Period)?;
    }
    Ok(params)
}

/// The device that has a base32 text for its secret. Programs wrote it, so it has one case and nothing between its letters: some
/// texts that were encrypted and then encoded in base64 would pass otherwise.
pub(super) fn of_base32(secret: Option<&str>, params: TotpParams) -> Result<ImportedDevice, DeviceRefusal> {
    let text = secret.ok_or(DeviceRefusal::SecretUnreadable)?.trim();
    let has = |rule: fn(&u8) -> bool| text.bytes().any(|byte| rule(&byte));
    let is_mixed = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    if is_mixed || text.contains([' ', '-']) {
        return Err(DeviceRefusal::SecretUnreadable);
    }
    ImportedDevice::new(Secret::from_base32(text)?, params)
}

/// Adds what members say of a device by the names that most tables have: `name`, `created_at`, `last_used_at`.
pub(super) fn described<'j>(
    mut device: ImportedDevice,
    get: &dyn Fn(&str) -> Option<&'j Json>,
) -> ImportedDevice {
    device.name = get("name").and_then(Json::text).and_then(|name| DeviceName::parse(name).ok());
    device.created_at = get("created_at").and_then(moment);
    device.last_used_at = get("last_used_at").and_then(moment);
    device
}

/// What people see of the users, by their key: Django's rows of users among the others. A reader asks for the columns `id`, `username`
/// and `email` then.
#[derive(Default)]
pub(super) struct People(HashMap<String, AccountName>);

impl People {
    /// Takes the row if it is one of a user: of a model with `user` in its name, or of a table with `username` and `email`.
    pub(super) fn take(&mut self, row: &Row) -> bool {
        let is_user = match &row.model {
            Some(model) => model.rsplit('.').next().is_some_and(|name| name.contains("user")),
            None => row.has("username") && row.has("email"),
        };
        if is_user && let Some(id) = row.id(&["id"]) {
            self.name(id, row.text("email"), row.text("username"));
        }
        is_user
    }

    /// Keeps the first of these names that somebody can have.
    pub(super) fn name(&mut self, id: String, email: Option<&str>, username: Option<&str>) {
        let name = [email, username].into_iter().flatten().find_map(|name| AccountName::parse(name).ok());
        if let Some(name) = name {
            self.0.insert(id, name);
        }
    }

    /// Gives the user the name.
    pub(super) fn tell(&self, user: &mut ImportedUser) {
        if user.account_name.is_none() {
            user.account_name = self.0.get(user.user.as_str()).cloned();
        }
    }
}

/// The texts of a list of texts; `None` if it is none.
pub(super) fn texts(json: &Json) -> Option<Vec<&str>> {
    json.list()?.iter().map(Json::text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_have_many_spellings_and_no_guess_is_made() {
        for name in ["SHA1", "sha-1", "HmacSHA1", "HMAC-SHA1", "hmac_sha1"] {
            assert_eq!(algorithm(name), Ok(Algorithm::Sha1), "{name}");
        }
        assert_eq!(algorithm("HMAC-SHA-512"), Ok(Algorithm::Sha512));
        for name in ["", "MD5", "SHA", "SHA384", "HmacMD5", "hmac", "SHA1x"] {
            assert_eq!(algorithm(name), Err(DeviceRefusal::Algorithm), "{name}");
        }
    }

    #[test]
    fn what_only_looks_like_base32_is_no_secret() {
        let read = |text| of_base32(Some(text), TotpParams::default());
        for text in [
            "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
            "gezdgnbvgy3tqojqgezdgnbvgy3tqojq",
            "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ=",
        ] {
            assert!(read(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "gAAAAABmMmAAAAABmMmAAAAABmMmAAAA",
            "GEZD-GNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
            "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJ1",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn parameters_out_of_range_are_refused_by_name() {
        let usual = TotpParams::default();
        assert_eq!(params(None, None, usual), Ok(usual));
        for digits in [-1, 0, 5, 9, 262, i64::MAX] {
            assert_eq!(params(Some(digits), None, usual), Err(DeviceRefusal::Digits), "{digits}");
        }
        for period in [-30, 0, 14, 121, 286, i64::MIN] {
            assert_eq!(params(None, Some(period), usual), Err(DeviceRefusal::Period), "{period}");
        }
    }
}
