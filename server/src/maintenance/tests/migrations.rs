//! Stores of older formats.

use super::*;
use crate::maintenance::migrate::{MigrateError, Outcome, migrate};
use crate::store::head::{self, Head};
use crate::store::{FORMAT, Kind, OpenError, codec, head_file, record};

/// Takes the database of a store back to another format, in which there was no log by account.
fn as_format(data: &Path, format: u16) -> ::sled::Db {
    let db = database(data);
    let key = Key::meta("store");
    let record = record::decode(&key, &db.get(key.as_bytes()).unwrap().unwrap()).unwrap();
    let mut about = record.value;
    about[..2].copy_from_slice(&format.to_be_bytes());
    db.insert(key.as_bytes(), record::encode(&key, record.version, &about)).unwrap();
    for note in db.scan_prefix(Key::of(Kind::Activity).as_bytes()).keys() {
        db.remove(note.unwrap()).unwrap();
    }
    db
}

/// Takes a store back to format 2: its heads tell nothing of where the audit log begins.
fn as_format_2(fixture: &Fixture) {
    let (data, keyring) = (fixture.data(), fixture.keyring());
    let inspection = Inspection::open(&data).unwrap();
    let (sentinel, pepper) = (inspection.meta("sentinel").unwrap(), inspection.meta("pepper").unwrap());
    let store = inspection.store();
    drop(inspection);
    let pepper = unlock::open_records(store, &keyring, sentinel, pepper).unwrap().unwrap();
    let db = as_format(&data, 2);
    let key = Key::meta("head");
    let record = record::decode(&key, &db.get(key.as_bytes()).unwrap().unwrap()).unwrap();
    let head = Head::from_bytes(&record.value).unwrap();
    let head = head::testing::in_format_1(&head, &store, &unlock::head_key(&pepper, store));
    db.insert(key.as_bytes(), record::encode(&key, record.version, &head)).unwrap();
    drop(db);
    head_file::testing::write_format_1(&data, &store, &head);
}

#[tokio::test]
async fn format_2_is_compared_with_its_head_and_migrated_with_its_logins() {
    let fixture = filled(5).await;
    let (data, whole) = (fixture.data(), contents(&fixture.data()));
    as_format_2(&fixture);
    assert_eq!(fixture.check().format, 2);
    let key = || Keyring::parse(&fixture.key).ok();
    let account = codec::account_key(&user(1));
    let removed = database(&data).remove(account.as_bytes()).unwrap().unwrap();
    let refused = migrate(&data, key, &mut |_| {}).unwrap_err().to_string();
    assert!(refused.contains("1 of them are gone"), "{refused}");
    database(&data).insert(account.as_bytes(), removed).unwrap();

    assert_eq!(migrate(&data, key, &mut |_| {}).unwrap(), Outcome::Migrated { from: 2 });
    let (old, new) = (keys(&whole), contents(&data));
    assert_eq!(keys(&new), old, "the log by account as well");
    let report = fixture.check();
    assert!(report.is_good() && report.format == FORMAT, "{report:#?}");
    let engine = fixture.open().await;
    let store = store(&engine, &fixture);
    assert!(!store.activity(&user(4), None, 10).await.unwrap().is_empty());
    enrol(&store, 5).await;
    engine.close().await.unwrap();
}

fn keys(contents: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<&Vec<u8>> {
    contents.keys().collect()
}

/// Takes a store back to format 1: no head in the database and none beside it.
fn as_format_1(data: &Path) {
    let db = as_format(data, 1);
    db.remove(Key::meta("head").as_bytes()).unwrap();
    drop(db);
    std::fs::remove_file(data.join("head")).unwrap();
}

#[tokio::test]
async fn format_1_is_refused_checked_and_migrated() {
    let fixture = filled(5).await;
    let (data, mut whole) = (fixture.data(), contents(&fixture.data()));
    as_format_1(&data);
    let refused = SledEngine::open(&data, &Options::new([7; 16])).unwrap_err();
    assert!(matches!(&refused, OpenError::OlderFormat { found: 1, supported: FORMAT, .. }), "{refused}");
    assert!(refused.to_string().contains("sidekey migrate --data"), "{refused}");
    let report = fixture.check();
    assert!(report.is_good() && report.format == 1, "{report:?}");

    let key = || Keyring::parse(&fixture.key).ok();
    assert!(matches!(migrate(&data, || None, &mut |_| {}), Err(MigrateError::KeyNeeded)));
    let other = || Some(Keyring::new(MasterKey::generate(&mut Entropy)));
    assert!(matches!(migrate(&data, other, &mut |_| {}), Err(MigrateError::Unlock(_))));
    assert_eq!(migrate(&data, key, &mut |_| {}).unwrap(), Outcome::Migrated { from: 1 });
    assert_eq!(migrate(&data, key, &mut |_| {}).unwrap(), Outcome::NothingToDo);
    let logins = [Kind::Session, Kind::EnrollmentToken, Kind::RefreshFamily, Kind::Expiry];
    let of_a_login = |key: &Vec<u8>| logins.iter().any(|kind| Key::from_bytes(key).is(*kind));
    assert!(whole.keys().any(of_a_login));
    whole.retain(|key, _| !of_a_login(key));
    assert_eq!(keys(&contents(&data)), keys(&whole), "everything but the logins");
    let report = fixture.check();
    assert!(report.is_good() && report.format == FORMAT, "{report:#?}");
    let engine = fixture.open().await;
    assert_eq!(engine.high_water(), NOW, "from the audit log");
    let store = store(&engine, &fixture);
    enrol(&store, 5).await;
    engine.close().await.unwrap();
    drop((store, engine));
    assert!(fixture.check().is_good());
}

#[tokio::test]
async fn a_store_without_anything_sealed_is_migrated_without_a_key() {
    let folder = TempDir::new().unwrap();
    let engine = SledEngine::open(folder.path(), &Options::new([7; 16])).unwrap();
    engine.close().await.unwrap();
    drop(engine);
    as_format_1(folder.path());
    assert_eq!(migrate(folder.path(), || None, &mut |_| {}).unwrap(), Outcome::Migrated { from: 1 });
    SledEngine::open(folder.path(), &Options::new([7; 16])).unwrap();
}

#[tokio::test]
async fn a_damaged_store_is_not_migrated() {
    let fixture = filled(3).await;
    as_format_1(&fixture.data());
    let db = database(&fixture.data());
    let key = crate::store::codec::account_key(&user(1));
    let mut bytes = db.get(key.as_bytes()).unwrap().unwrap().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    db.insert(key.as_bytes(), bytes).unwrap();
    drop(db);
    let refused = migrate(&fixture.data(), || Keyring::parse(&fixture.key).ok(), &mut |_| {}).unwrap_err();
    assert!(refused.to_string().contains(&key.to_string()), "{refused}");
    assert!(!fixture.data().join("head").exists());
}

#[test]
fn where_there_is_no_store_nothing_is_made() {
    let folder = TempDir::new().unwrap();
    let refused = migrate(folder.path(), || None, &mut |_| {}).unwrap_err();
    assert!(matches!(refused, MigrateError::Open(OpenError::NoStore { .. })), "{refused}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
