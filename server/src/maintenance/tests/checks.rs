//! What `sidekey verify` finds.

use super::*;
use crate::store::record::{HEADER, Header};
use crate::store::{Kind, OpenError};

/// The places of all findings.
fn places(report: &Report) -> Vec<&str> {
    report.findings.iter().map(|finding| finding.place.as_str()).collect()
}

fn account_key(number: u32) -> Vec<u8> {
    crate::store::codec::account_key(&user(number)).as_bytes().to_vec()
}

fn named(key: &[u8]) -> String {
    format!("record `{}`", Key::from_bytes(key))
}

#[tokio::test]
async fn a_store_that_is_whole_is_said_to_be() {
    let fixture = filled(5).await;
    let report = fixture.check();
    assert!(report.is_good(), "{report:#?}");
    assert_eq!((report.tally.apps, report.tally.accounts, report.tally.secrets), (1, 5, 5));
    assert!(report.with_key && report.tally.audit_entries > 10);
    let without = check(&fixture.data(), None);
    assert!(without.is_good() && !without.with_key);

    // The same through the running server.
    let engine = fixture.open().await;
    let online =
        super::super::check::check_engine(&*engine, Some(fixture.keyring()), |_, _| {}).await.unwrap();
    assert!(online.is_good(), "{online:#?}");
    assert_eq!(online.tally, report.tally);
}

#[tokio::test]
async fn a_damaged_record_is_named_at_start_and_by_the_check() {
    let fixture = filled(5).await;
    let db = database(&fixture.data());
    let mut damaged = Vec::new();
    for number in [1, 3] {
        let key = account_key(number);
        let mut bytes = db.get(&key).unwrap().unwrap().to_vec();
        bytes[HEADER + 20] ^= 1;
        db.insert(&key, bytes).unwrap();
        damaged.push(named(&key));
    }
    drop(db);
    damaged.sort();
    let report = fixture.check();
    assert_eq!(places(&report), damaged);
    assert!(report.findings.iter().all(|finding| finding.damage == "wrong checksum"));

    let refused = SledEngine::open(&fixture.data(), &Options::new([7; 16])).unwrap_err();
    let text = refused.to_string();
    assert!(matches!(refused, OpenError::Damaged { .. }));
    assert!(damaged.iter().any(|place| text.contains(place)), "{text}");
    for remedy in ["sidekey verify --data", "sidekey restore --from"] {
        assert!(text.contains(remedy), "{text}");
    }
}

#[tokio::test]
async fn records_that_are_gone_or_too_many_are_counted() {
    let fixture = filled(5).await;
    let whole = contents(&fixture.data());
    let db = database(&fixture.data());
    db.remove(account_key(1)).unwrap();
    db.remove(account_key(2)).unwrap();
    drop(db);
    let report = fixture.check();
    assert_eq!(report.findings.len(), 1);
    assert!(report.findings[0].damage.contains("2 of them are gone"), "{report:?}");
    assert!(SledEngine::open(&fixture.data(), &Options::new([7; 16])).is_err());

    let db = database(&fixture.data());
    for number in [1, 2] {
        db.insert(account_key(number), whole[&account_key(number)].clone()).unwrap();
    }
    let (key, value) = (Key::of(Kind::EnrollmentToken).fixed(&[0xab; 32]), vec![0; 32]);
    let bytes = crate::store::record::encode(&key, crate::store::engine::Version::of_test(7), &value);
    db.insert(key.as_bytes(), bytes).unwrap();
    drop(db);
    let report = fixture.check();
    assert_eq!(report.findings.len(), 1);
    assert!(report.findings[0].damage.contains("there are 1 more"), "{report:?}");
}

#[tokio::test]
async fn an_older_state_of_a_record_is_noticed() {
    let fixture = filled(3).await;
    let before = contents(&fixture.data());
    let engine = fixture.open().await;
    let later = NOW.plus(60);
    let decide = |state: &mut State| {
        let account = state.account.as_mut().unwrap();
        let answer = answer(account, later);
        account.answer(&answer, later, &mut state.events).unwrap();
    };
    let store = store(&engine, &fixture);
    store.transact(Subject::account(user(1)), &origin(), later, decide).await.unwrap();
    engine.close().await.unwrap();
    drop((store, engine));

    // The used code would count again.
    database(&fixture.data()).insert(account_key(1), before[&account_key(1)].clone()).unwrap();
    let report = fixture.check();
    assert_eq!(report.findings.len(), 1);
    assert!(report.findings[0].damage.contains("not in their latest state"), "{report:?}");
    assert!(SledEngine::open(&fixture.data(), &Options::new([7; 16])).is_err());
}

#[tokio::test]
async fn a_gap_and_a_change_in_the_audit_log_are_noticed() {
    let fixture = filled(5).await;
    let entries: Vec<_> =
        contents(&fixture.data()).into_keys().filter(|key| Key::from_bytes(key).is(Kind::Audit)).collect();
    let db = database(&fixture.data());
    let removed = db.remove(&entries[2]).unwrap().unwrap();
    drop(db);
    let report = fixture.check();
    assert_eq!(report.findings[0].place, named(&entries[3]));
    assert_eq!(report.findings[0].damage, "audit entry 3 before it is gone");

    // Another entry in its place, with a right checksum.
    let key = Key::from_bytes(&entries[2]);
    let header: Header = removed[..HEADER].try_into().unwrap();
    let forged = crate::store::record::encode(&key, crate::store::record::version(&header), b"{\"at\":1}");
    database(&fixture.data()).insert(key.as_bytes(), forged).unwrap();
    let report = fixture.check();
    assert_eq!(report.findings.len(), 1);
    assert!(report.findings[0].damage.contains("the chain of their hashes differs"), "{report:?}");
}

#[tokio::test]
async fn a_secret_that_was_moved_to_another_user_does_not_open() {
    let fixture = filled(2).await;
    let (one, two) = (account_key(0), account_key(1));
    let whole = contents(&fixture.data());
    let record = crate::store::record::decode(&Key::from_bytes(&one), &whole[&one]).unwrap();
    let moved = crate::store::record::encode(&Key::from_bytes(&two), record.version, &record.value);
    database(&fixture.data()).insert(two.clone(), moved).unwrap();
    let report = fixture.check();
    let damages: Vec<_> = report.findings.iter().filter(|finding| finding.place == named(&two)).collect();
    assert_eq!(damages.len(), 1);
    assert_eq!(damages[0].damage, "it belongs under another key");
}

#[tokio::test]
async fn with_another_master_key_nothing_opens() {
    let fixture = filled(2).await;
    let other = Keyring::new(MasterKey::generate(&mut Entropy));
    let report = check(&fixture.data(), Some(Arc::new(other)));
    // Two secrets, the signing key, and the seal.
    assert_eq!(report.findings.len(), 4, "{report:#?}");
    assert!(report.findings.iter().any(|finding| finding.damage.contains("wrong master key")));
}

#[tokio::test]
async fn a_head_that_somebody_made_up_is_refused() {
    let fixture = filled(2).await;
    // A store of the same id with the same contents, but without the seal's key.
    let db = database(&fixture.data());
    let key = Key::meta("head");
    let record = crate::store::record::decode(&key, &db.get(key.as_bytes()).unwrap().unwrap()).unwrap();
    let mut forged = record.value;
    *forged.last_mut().unwrap() ^= 1;
    let forged = crate::store::record::encode(&key, record.version, &forged);
    db.insert(key.as_bytes(), forged).unwrap();
    drop(db);
    let report = fixture.check();
    assert_eq!(places(&report), ["the head's seal"]);
    let engine = SledEngine::open(&fixture.data(), &Options::new([7; 16])).unwrap();
    let refused = unlock(&engine, &fixture.keyring(), &mut Entropy).await.unwrap_err().to_string();
    assert!(refused.contains("head") && refused.contains("sidekey restore"), "{refused}");
}

#[tokio::test]
async fn a_pepper_that_is_gone_is_no_new_store() {
    let fixture = filled(1).await;
    let db = database(&fixture.data());
    db.remove(Key::meta("pepper").as_bytes()).unwrap();
    db.remove(Key::meta("sentinel").as_bytes()).unwrap();
    drop(db);
    assert!(fixture.check().findings.iter().any(|finding| finding.place == "the head's seal"));
    assert!(SledEngine::open(&fixture.data(), &Options::new([7; 16])).is_err());
}
