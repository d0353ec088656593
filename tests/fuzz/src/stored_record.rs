//! What comes from the disk: a record that is not what was written is never taken for it, and no bytes make a decoder panic.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use rand::{SeedableRng as _, rngs::StdRng};
use serde::{Serialize, de::DeserializeOwned};
use sidekey_core::{
    account::Account,
    id::{AccountId, AppId, DeviceId, LoginId, UserId},
    login::Grant,
    refresh::Family,
    secret::Secret,
    session::{Opening, Purpose, Session},
    time::UnixTime,
};
use sidekey_server::{
    keyring::{Keyring, MasterKey, Sealed, associated_data},
    maintenance::check::Checker,
    store::{
        FORMAT, Key, Kind, Record,
        codec::{
            account_key, account_seals, check as check_fields, family_key, resealed_account,
            restored_account, session_key,
        },
        fuzzing,
        record::{check, decode},
    },
    token,
};

use crate::edit::{edited, halves};

const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);
const STORE: [u8; 16] = [7; 16];

/// Something valid of each kind. Ids and keys are the same in every run; only the nonces of seals differ.
struct Valid {
    keyring: Arc<Keyring>,
    key: Key,
    /// The account's id and the secrets of its devices.
    id: AccountId,
    secrets: BTreeMap<DeviceId, Secret>,
    account: Vec<u8>,
    session: Vec<u8>,
    family: Vec<u8>,
    family_key: Key,
    sealed: Sealed,
}

static VALID: LazyLock<Valid> = LazyLock::new(|| {
    let mut rng = StdRng::seed_from_u64(3);
    let keyring = Keyring::new(MasterKey::generate(&mut rng));
    let id = AccountId {
        app: AppId::parse("shop").expect("an app id"),
        user: UserId::parse("42").expect("a user id"),
    };
    let mut account = Account::new(id.clone(), NOW, &mut rng);
    let login = LoginId::generate(&mut rng);
    let mut secrets = BTreeMap::new();
    for login in [login, LoginId::generate(&mut rng)] {
        let device = account.start_setup(login, None, false, NOW, &mut rng, &mut Vec::new()).expect("room");
        secrets.insert(device.id, device.secret);
    }
    let opening = Opening {
        purpose: Purpose::Login,
        login,
        remember_me: true,
        return_url: Some("https://shop.example/".to_owned()),
        action: None,
    };
    let session = Session::open(&account, opening, NOW, &mut Vec::new());
    let family = Family::start(&account, Grant { login, second_factor: None, remember_me: false }, NOW);
    let sealed = keyring.seal(&place_of_seal(), b"a secret", &mut rng);
    Valid {
        key: account_key(&id),
        id,
        secrets,
        session: fuzzing::value(&session).expect("a value"),
        family: fuzzing::value(&family).expect("a value"),
        family_key: family_key("shop", login),
        account: fuzzing::account_value(&keyring, account).expect("a value"),
        keyring: Arc::new(keyring),
        sealed,
    }
});

fn place_of_seal() -> Vec<u8> {
    associated_data("example", &[b"shop", b"42"])
}

/// By the first byte: 1 to 3, edits of the record of an account, a session, a login; 4 to 6, edits of the values in them; 7, edits of a sealed
/// value; 8, a text of master keys. Anything else: the input as record, as value of each kind and as sealed value, and its
/// halves as key and value, both for a check of the store too.
pub fn run(input: &[u8]) {
    let valid = &*VALID;
    match input.split_first() {
        Some((1, edits)) => is_noticed(&valid.key, &valid.account, edits),
        Some((2, edits)) => is_noticed(&session_key(&[1; 32]), &valid.session, edits),
        Some((3, edits)) => is_noticed(&valid.family_key, &valid.family, edits),
        Some((4, edits)) => account(&edited(&valid.account, edits)),
        Some((5, edits)) => session(&edited(&valid.session, edits)),
        Some((6, edits)) => family(&edited(&valid.family, edits)),
        Some((7, edits)) => seal(edited(valid.sealed.as_bytes(), edits)),
        Some((8, text)) => master_keys(text),
        _ => {
            record(input);
            account(input);
            session(input);
            family(input);
            seal(input.to_vec());
            signing_key(input);
            each_kind(input);
            let (place, bytes) = halves(input);
            key(&Key::from_bytes(place), bytes);
        }
    }
}

/// A record that was changed is damaged, and so is any under another key.
fn is_noticed(key: &Key, value: &[u8], edits: &[u8]) {
    let written = fuzzing::record(key, 7, value);
    assert_eq!(decode(key, &written).expect("what was written").value, value);
    assert!(decode(&Key::meta("elsewhere"), &written).is_err());
    let changed = edited(&written, edits);
    if changed != written {
        assert!(decode(key, &changed).is_err(), "a changed record is read");
    }
}

/// Whatever is read as a record is, byte for byte, the record that would be written.
fn record(bytes: &[u8]) {
    let key = Key::meta("example");
    let read = decode(&key, bytes);
    let checked = check(&key, bytes);
    assert_eq!(read.is_ok(), checked.is_ok());
    if let (Ok(Record { value, .. }), Some(version)) = (read, bytes.get(1..9)) {
        let version = u64::from_be_bytes(version.try_into().expect("eight bytes"));
        assert_eq!(fuzzing::record(&key, version, &value), bytes);
    }
}

/// An account's secrets open only in the account and device that they were sealed for.
fn account(bytes: &[u8]) {
    let valid = &*VALID;
    let read = fuzzing::read_account(&valid.keyring, &valid.key, bytes);
    assert!(read.is_ok() || bytes != valid.account, "what was written is not read");
    let Ok(account) = read else { return };
    let id = account.id.clone();
    let counted = account.clone().try_map_secrets(|device, secret| {
        assert_eq!(id, valid.id, "a secret opened in another account");
        assert_eq!(valid.secrets.get(&device), Some(&secret), "a secret opened in another device");
        Ok::<_, ()>(secret)
    });
    assert_eq!(counted.as_ref(), Ok(&account));
    // Looked at as an operation looks at it, however absurd its times and counters are.
    let _ =
        (account.throttled_until(NOW), account.backup_codes_wait(NOW), account.pending_devices(NOW).count());
    let again = fuzzing::account_value(&valid.keyring, account.clone()).expect("what is read is written");
    assert_eq!(fuzzing::read_account(&valid.keyring, &valid.key, &again), Ok(account.clone()));
    restored(bytes, &account);
}

/// After a restore an account has the same devices, sealed as they were, and no code that may have been used.
fn restored(bytes: &[u8], before: &Account) {
    let valid = &*VALID;
    let rng = &mut StdRng::seed_from_u64(5);
    let stored = restored_account(&valid.key, bytes, NOW, rng).expect("what is read is restored");
    let after =
        fuzzing::read_account(&valid.keyring, &valid.key, &stored).expect("what was restored is read");
    assert_eq!(after.active_devices().len(), before.active_devices().len());
    assert_eq!(after.pending_devices(NOW).count(), 0);
    assert!(
        after.backup_codes().is_none_or(|codes| codes.remaining() == 0),
        "a backup code outlives a restore"
    );
    let seals = account_seals(&valid.key, &stored).expect("what was restored is read");
    let sealed = check_fields(&account_key(&after.id), &stored, Some(&valid.keyring));
    assert_eq!(sealed, Ok(seals.len()));
    let resealed = resealed_account(&valid.keyring, &valid.key, &stored).expect("its secrets open");
    assert_eq!(fuzzing::read_account(&valid.keyring, &valid.key, &resealed), Ok(after));
}

/// A check of the store reads a value of any kind, and says no more than that it is damaged.
fn each_kind(value: &[u8]) {
    for kind in 0..=u8::MAX {
        let place = Key::from_bytes(&[kind, 1, b'a']);
        checked(&place, value);
        let _ = check_fields(&place, value, Some(&VALID.keyring));
    }
}

fn checked(key: &Key, value: &[u8]) {
    let mut checker = Checker::new(STORE, Some(Arc::clone(&VALID.keyring)));
    checker.record(key.as_bytes(), &fuzzing::record(key, 1, value));
    assert_eq!(checker.tally().records, 1);
    let _ = checker.finish(FORMAT, None);
}

fn session(bytes: &[u8]) {
    let Some(session) = comes_back::<Session>(bytes) else { return };
    assert!(
        session.require_open(None, session.expires_at()).is_err(),
        "open without account, after its time"
    );
    let _ = session.status(NOW);
}

fn family(bytes: &[u8]) {
    let Some(family) = comes_back::<Family>(bytes) else { return };
    assert!(!family.is_alive(None::<&Account>, NOW));
    assert!(!(family.is_revoked() && family.is_alive(None::<&Account>, family.started_at)));
}

fn comes_back<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Option<T> {
    let key = Key::meta("example");
    let read: T = fuzzing::read(&key, bytes).ok()?;
    let again = fuzzing::value(&read).expect("what is read is written");
    assert_eq!(fuzzing::read::<T>(&key, &again).as_ref(), Ok(&read));
    Some(read)
}

/// A sealed value that was changed does not open, and neither does any that was not sealed.
fn seal(bytes: Vec<u8>) {
    let valid = &*VALID;
    let sealed = Sealed::from_bytes(bytes);
    let opened = valid.keyring.open(&place_of_seal(), &sealed);
    if sealed == valid.sealed {
        assert_eq!(opened.expect("what was sealed").as_slice(), b"a secret");
        assert!(valid.keyring.open(&associated_data("example", &[b"shop4", b"2"]), &sealed).is_err());
    } else {
        assert!(opened.is_err(), "a changed seal opens");
    }
    let _ = (valid.keyring.is_outdated(&sealed), sealed.key_id());
}

fn signing_key(bytes: &[u8]) {
    let valid = &*VALID;
    let place = Key::of(Kind::SigningKey).part("key");
    let stored = fuzzing::record(&place, 1, bytes);
    let record = decode(&place, &stored).expect("what was written");
    let refused = token::check_record(STORE, Some(&valid.keyring), &place, &record);
    assert!(refused.is_err(), "a signing key that nobody sealed opens");
}

/// Keys tell what they are, or nothing; damage is told with the key and never with the value.
fn key(key: &Key, value: &[u8]) {
    assert_eq!(Key::from_bytes(key.as_bytes()), *key);
    assert!(key.kind().is_none_or(|kind| key.is(kind)));
    if let Some((at, expiring)) = key.expiring() {
        assert_eq!(Key::expiry(at, &expiring), *key);
    }
    if let Some(number) = key.audit_sequence() {
        assert_eq!(Key::audit(number), *key);
    }
    if let Some(name) = key.name(Kind::SigningKey) {
        assert_eq!(Key::of(Kind::SigningKey).part(name), *key);
    }
    assert!(key.to_string().is_ascii());
    let stored = fuzzing::record(key, 1, value);
    assert_eq!(decode(key, &stored).map(|record| record.value), Ok(value.to_vec()));
    checked(key, value);
}

fn master_keys(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(keyring) = Keyring::parse(text) else { return };
    let ids: Vec<_> = keyring.ids().collect();
    assert!((1..=16).contains(&ids.len()));
    let sealed = keyring.seal(b"place", b"value", &mut StdRng::seed_from_u64(1));
    assert_eq!(sealed.key_id().as_ref(), ids.first());
    assert_eq!(keyring.open(b"place", &sealed).expect("its own seal").as_slice(), b"value");
}
