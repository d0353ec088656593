//! Typed records: how accounts, sessions and refresh families become bytes.
//!
//! `postcard` of the core's types, an account's TOTP secrets sealed one by one. The additional data of a seal is
//! `format, app, user, device, field`, so that no secret can be moved to another device or user.

use postcard::{from_bytes, to_extend};
use rand_core::CryptoRng;
use serde::{Serialize, de::DeserializeOwned};
use sidekey_core::{
    account::Account,
    action::Spent,
    id::{AccountId, DeviceId, LoginId},
    refresh::Family,
    retry::KeyUse,
    secret::Secret,
    session::Session,
    time::UnixTime,
    trusted_browser::TrustedBrowser,
};

use super::{Key, Kind, StoreError, language, logins::Logins};
use crate::{
    entropy::Entropy,
    keyring::{KeyId, Keyring, Sealed, associated_data},
};

/// Where an account is stored.
pub fn account_key(id: &AccountId) -> Key {
    Key::account(id.app.as_str(), id.user.as_str())
}

/// Where a session is stored: under the hash of its id, which is all that is kept of it.
pub fn session_key(id_hash: &[u8; 32]) -> Key {
    Key::of(Kind::Session).fixed(id_hash)
}

/// Where the session of an enrolment token is named.
pub fn enrollment_token_key(token_hash: &[u8; 32]) -> Key {
    Key::of(Kind::EnrollmentToken).fixed(token_hash)
}

/// Where the refresh tokens of a login are stored.
pub fn family_key(app: &str, login: LoginId) -> Key {
    Key::of(Kind::RefreshFamily).part(app).fixed(login.as_bytes())
}

/// Where it is stored that the token of an approval was spent.
pub(super) fn spent_token_key(app: &str, approval: LoginId) -> Key {
    Key::of(Kind::SpentToken).part(app).fixed(approval.as_bytes())
}

/// Where it is stored that a key of an app's request opened something.
pub(super) fn key_use_key(app: &str, mac: &[u8; 32]) -> Key {
    Key::of(Kind::KeyUse).part(app).fixed(mac)
}

/// Where a trusted browser is stored.
pub(super) fn browser_key(browser: &TrustedBrowser) -> Key {
    let AccountId { app, user } = &browser.account;
    Key::trusted_browsers(app.as_str(), user.as_str()).fixed(browser.id.as_bytes())
}

/// Room for nearly every record, so that it does not move while it is put together.
const USUAL_RECORD: usize = 512;

/// Bytes of a record without secrets.
pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    to_extend(value, Vec::with_capacity(USUAL_RECORD))
        .map_err(|error| StoreError::Unavailable(format!("a record cannot be written: {error}")))
}

/// A record without secrets.
pub(super) fn decode<T: DeserializeOwned>(key: &Key, bytes: &[u8]) -> Result<T, StoreError> {
    from_bytes(bytes).map_err(|_| damaged(key, "its fields cannot be read"))
}

/// Bytes of the record that the token of an approval was spent; none where it was by a request that is never answered again.
pub(super) fn encode_spent(spent: Spent) -> Result<Vec<u8>, StoreError> {
    if spent.has_key() { encode(&spent) } else { Ok(Vec::new()) }
}

/// The reverse of [`encode_spent`].
pub(super) fn decode_spent(key: &Key, bytes: &[u8]) -> Result<Spent, StoreError> {
    if bytes.is_empty() { Ok(Spent::default()) } else { decode(key, bytes) }
}

/// Bytes of an account, its secrets sealed.
pub(super) fn encode_account(keyring: &Keyring, account: Account) -> Result<Vec<u8>, StoreError> {
    let id = account.id.clone();
    let sealed = account.try_map_secrets(|device, secret: Secret| {
        Ok::<_, StoreError>(keyring.seal(&additional_data(&id, device), secret.expose(), &mut Entropy))
    })?;
    encode::<Account<Sealed>>(&sealed)
}

/// Whether a device stands in the record of an account; no key is needed to see that.
pub(crate) fn has_active_device(key: &Key, bytes: &[u8]) -> Result<bool, StoreError> {
    Ok(decode::<Account<Sealed>>(key, bytes)?.is_protected())
}

/// An account, its secrets opened.
pub(super) fn decode_account(keyring: &Keyring, key: &Key, bytes: &[u8]) -> Result<Account, StoreError> {
    let sealed: Account<Sealed> = decode(key, bytes)?;
    let id = sealed.id.clone();
    sealed.try_map_secrets(|device, secret| {
        let bytes = keyring
            .open(&additional_data(&id, device), &secret)
            .map_err(|_| damaged(key, "a secret in it does not open with this master key"))?;
        Secret::from_bytes(bytes).map_err(|_| damaged(key, "a secret in it has a wrong length"))
    })
}

/// Whether a record of this module is what its key says, and how many sealed secrets it holds. With the keys, the secrets
/// are opened too.
///
/// # Errors
/// It is not; the record is damaged.
pub fn check(key: &Key, bytes: &[u8], keyring: Option<&Keyring>) -> Result<usize, StoreError> {
    let elsewhere = || damaged(key, "it belongs under another key");
    match key.kind() {
        Some(Kind::Account) => {
            let account: Account<Sealed> = decode(key, bytes)?;
            if account_key(&account.id) != *key {
                return Err(elsewhere());
            }
            let mut secrets = 0;
            account.try_map_secrets(|_, _| {
                secrets += 1;
                Ok::<_, StoreError>(())
            })?;
            keyring.map(|keyring| decode_account(keyring, key, bytes)).transpose()?;
            Ok(secrets)
        }
        Some(Kind::Session) => decode::<Session>(key, bytes).map(|_| 0),
        Some(Kind::Logins) => decode::<Logins>(key, bytes).map(|_| 0),
        Some(Kind::EnrollmentToken) => decode::<[u8; 32]>(key, bytes).map(|_| 0),
        Some(Kind::RefreshFamily) => {
            let family: Family = decode(key, bytes)?;
            let place = family_key(family.account.app.as_str(), family.login);
            if place == *key { Ok(0) } else { Err(elsewhere()) }
        }
        Some(Kind::TrustedBrowser) => {
            let browser: TrustedBrowser = decode(key, bytes)?;
            if browser_key(&browser) == *key { Ok(0) } else { Err(elsewhere()) }
        }
        Some(Kind::SpentToken) => decode_spent(key, bytes).map(|_| 0),
        Some(Kind::KeyUse) => decode::<KeyUse>(key, bytes).map(|_| 0),
        Some(Kind::Language) => language::read(key, bytes).map(|_| 0),
        _ => Err(damaged(key, "an unknown kind of record")),
    }
}

/// The record of an account as it goes on after a restore at `now`. Its secrets stay sealed as they are.
///
/// # Errors
/// It is damaged.
pub fn restored_account(
    key: &Key,
    bytes: &[u8],
    now: UnixTime,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, StoreError> {
    let account: Account<Sealed> = decode(key, bytes)?;
    encode(&account.restored(now, rng))
}

/// The ids of the keys that the secrets of a stored account are sealed with; none for one that names no key.
///
/// # Errors
/// The record is damaged.
pub fn account_seals(key: &Key, bytes: &[u8]) -> Result<Vec<Option<KeyId>>, StoreError> {
    let mut seals = Vec::new();
    decode::<Account<Sealed>>(key, bytes)?.try_map_secrets(|_, secret| {
        seals.push(secret.key_id());
        Ok::<_, StoreError>(())
    })?;
    Ok(seals)
}

/// The bytes of a stored account with its secrets sealed anew.
///
/// # Errors
/// The record is damaged, or a secret does not open.
pub fn resealed_account(keyring: &Keyring, key: &Key, bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
    encode_account(keyring, decode_account(keyring, key, bytes)?)
}

fn additional_data(id: &AccountId, device: DeviceId) -> Vec<u8> {
    associated_data(
        "totp-secret",
        &[id.app.as_str().as_bytes(), id.user.as_str().as_bytes(), device.as_bytes()],
    )
}

pub(super) fn damaged(key: &Key, damage: &'static str) -> StoreError {
    StoreError::Damaged { key: key.to_string(), damage }
}

#[cfg(test)]
mod tests {
    use rand_core::Rng as _;
    use sidekey_core::{
        account::{MAX_DEVICES, MAX_PENDING},
        backup_code::{BackupCodes, CODES, CodeHash, Salt},
        code::Code,
        device::Answer,
        id::{AccountName, AppId, DeviceName, UserId},
        import::{
            CodeForm, Fold, ImportedDevice, ImportedUser, MAX_CODES, MAX_SECRET_BYTES, RecoveryCodes, Typing,
        },
        time::{Step, UnixTime},
        totp::{TotpParams, code_at},
    };

    use super::*;
    use crate::{keyring::MasterKey, store::engine::MAX_VALUE};

    /// The widest texts that the types allow.
    fn largest_account() -> Account {
        let wide = |count: usize| "\u{10ffff}".repeat(count);
        let id = AccountId {
            app: AppId::parse(&"a".repeat(64)).unwrap(),
            user: UserId::parse(&"u".repeat(255)).unwrap(),
        };
        let now = UnixTime::from_secs(u64::from(u32::MAX) * 8);
        let mut account = Account::new(id, now, &mut Entropy);
        account.name = Some(AccountName::parse(&"n".repeat(255)).unwrap());
        let mut events = Vec::new();
        let start = |account: &mut Account, now| {
            let name = DeviceName::parse(&wide(100)).unwrap();
            let login = LoginId::generate(&mut Entropy);
            account.start_setup(login, Some(name), false, now, &mut Entropy, &mut Vec::new()).unwrap()
        };
        let codes: Vec<_> =
            (0..CODES).map(|_| CodeHash::new([Entropy.next_u32().to_be_bytes()[0]; 32])).collect();
        for _ in 0..MAX_DEVICES - 1 {
            let device = start(&mut account, now);
            let code = code_at(&device.secret, device.params, Step::at(now, device.params.period));
            let answer = Answer::of(Code::parse(&code).unwrap());
            let set = BackupCodes::new(Salt([255; 16]), codes.clone(), now);
            account.confirm(device.id, &answer, Some(set), now, &mut events).unwrap();
        }
        for _ in 0..MAX_PENDING {
            start(&mut account, now);
        }
        fail(&mut account, now);
        account
    }

    /// The same of a user who came from another product.
    fn largest_imported(devices: usize) -> Account {
        let own = largest_account();
        let mut now = UnixTime::from_secs(u64::from(u32::MAX) * 8);
        let mut account = Account::new(own.id, now, &mut Entropy);
        let name = DeviceName::parse(&"\u{10ffff}".repeat(100)).unwrap();
        for _ in 0..MAX_PENDING {
            let login = LoginId::generate(&mut Entropy);
            account
                .start_setup(login, Some(name.clone()), false, now, &mut Entropy, &mut Vec::new())
                .unwrap();
        }
        let mut user = ImportedUser::new(account.id.user.clone());
        user.account_name = own.name;
        for number in 0..devices {
            let mut secret = vec![7; MAX_SECRET_BYTES];
            secret[0] = u8::try_from(number).unwrap();
            let secret = Secret::from_bytes(secret).unwrap();
            let device = ImportedDevice::new(secret, TotpParams::default()).unwrap();
            user.add(Ok(ImportedDevice { name: Some(name.clone()), last_used_at: Some(now), ..device }));
        }
        let typing = Typing { fold: Fold::Upper, strip: true };
        let codes = (0..MAX_CODES).map(|number| format!("{number:064x}"));
        user.recover_with(RecoveryCodes::new(CodeForm::Sha256(typing), codes));
        let hashes = vec![CodeHash::new([255; 32]); MAX_CODES];
        let set = BackupCodes::new(Salt([255; 16]), hashes, now);
        account.import(&user, Some(set), now, &mut Entropy, &mut Vec::new()).unwrap();
        now = now.plus(1);
        fail(&mut account, now);
        account
    }

    fn fail(account: &mut Account, mut now: UnixTime) {
        let mut events = Vec::new();
        for _ in 0..21 {
            now = now.plus(3_600);
            let wrong = Answer::of(Code::parse("00000000").unwrap());
            let six = Answer::of(Code::parse("000000").unwrap());
            assert!(account.answer(&wrong, now, &mut events).is_err(), "malformed");
            // One time in a hundred thousand this is right, and the account a few bytes smaller.
            let _ = account.answer(&six, now, &mut events);
        }
    }

    #[test]
    fn the_largest_account_fits_into_a_record_and_comes_back_as_it_was() {
        let keyring = Keyring::new(MasterKey::generate(&mut Entropy));
        let imported = [MAX_DEVICES - 1, MAX_DEVICES].map(largest_imported);
        let disabled = imported.clone().map(|mut account| {
            let ids: Vec<_> = account.active_devices().iter().map(|device| device.id).collect();
            let now = UnixTime::from_secs(u64::from(u32::MAX) * 8);
            assert!(ids.into_iter().all(|id| account.disable_device(id, now, &mut Vec::new())));
            account
        });
        for account in imported.into_iter().chain(disabled).chain([largest_account()]) {
            let bytes = encode_account(&keyring, account.clone()).unwrap();
            assert!(bytes.len() <= MAX_VALUE, "{} bytes", bytes.len());
            let key = account_key(&account.id);
            assert_eq!(decode_account(&keyring, &key, &bytes).unwrap(), account);
        }
    }

    #[test]
    fn a_secret_opens_for_its_own_device_and_user_only() {
        let keyring = Keyring::new(MasterKey::generate(&mut Entropy));
        let account = largest_account();
        let mut sealed: Account<Sealed> =
            from_bytes(&encode_account(&keyring, account.clone()).unwrap()).unwrap();
        sealed.id.user = UserId::parse("somebody else").unwrap();
        let moved = encode(&sealed).unwrap();
        assert!(decode_account(&keyring, &account_key(&account.id), &moved).is_err());
    }
}
