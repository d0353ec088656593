//! Removed audit entries: the rest can be verified, backed up and restored, and nobody removes any unnoticed.

use sidekey_core::event::Event;

use super::backups::{back_up, bring_back};
use super::*;
use crate::audit::Entry;
use crate::store::Batch;
use crate::store::retention::{Retention, trim};
use crate::store::{Kind, record};

const DAY: u64 = 86_400;
const NONE: Retention = Retention { seconds: None, entries: None };

async fn entries(engine: &dyn Engine) -> Vec<serde_json::Value> {
    crate::audit::testing::entries(engine).await
}

/// A store whose log has begun to be removed: with its first entry's number.
async fn trimmed(users: u32, entries: u64) -> (Fixture, u64) {
    let fixture = filled(users).await;
    let engine = fixture.open().await;
    let store = store(&engine, &fixture);
    let removed = trim(&store, Retention { entries: Some(entries), ..NONE }, NOW).await.unwrap();
    let first = *engine.audit_log().start();
    assert_eq!(removed, first - 1);
    engine.close().await.unwrap();
    (fixture, first)
}

#[tokio::test]
async fn entries_past_their_time_go_an_hour_at_once_and_it_is_told() {
    let fixture = filled(3).await;
    let engine = fixture.open().await;
    let store = store(&engine, &fixture);
    let old = *engine.audit_log().end();
    let later = NOW.plus(DAY);
    let start = |state: &mut State| {
        let (account, events) = (state.account.as_mut().unwrap(), &mut state.events);
        let opening = Opening {
            purpose: Purpose::Login,
            login: LoginId::generate(&mut Entropy),
            remember_me: false,
            return_url: None,
            action: None,
        };
        state.session = Some(Session::open(account, opening, later, events));
    };
    let subject = Subject::account(user(1)).with_session([0xee; 32]);
    store.transact(subject, &origin(), later, start).await.unwrap();
    let keep = Retention { seconds: Some(30 * DAY), ..NONE };
    assert_eq!(trim(&store, keep, NOW.plus(30 * DAY + 3_599)).await, Ok(0), "not for minutes");
    assert_eq!(trim(&store, keep, NOW.plus(30 * DAY + 3_600)).await, Ok(old));
    assert_eq!(trim(&store, keep, NOW.plus(30 * DAY + 3_600)).await, Ok(0));
    let kept = entries(&*engine).await;
    assert_eq!(engine.audit_log(), old + 1..=old + 2);
    let told = &kept.last().unwrap()["event"];
    let wanted = serde_json::json!({
        "type": "audit_trimmed", "first": 1, "last": old, "last_at": NOW.as_secs(),
    });
    assert_eq!(*told, wanted);

    let of_account = store.activity(&user(1), None, 10).await.unwrap();
    assert_eq!(of_account.len(), 1);
    assert_eq!((of_account[0].0, of_account[0].1.at), (old + 1, later));
    assert_eq!(store.activity(&user(2), None, 10).await.unwrap(), []);
    engine.close().await.unwrap();
    drop((store, engine));
    let report = fixture.check();
    assert!(report.is_good() && report.tally.audit_entries == 2, "{report:#?}");
    assert_eq!(fixture.open().await.audit_log(), old + 1..=old + 2);
}

#[tokio::test]
async fn the_oldest_of_too_many_go() {
    // More than one commit removes.
    let (fixture, first) = trimmed(300, 100).await;
    let report = fixture.check();
    assert!(first > 700 && report.is_good(), "{report:#?}");
    assert_eq!(report.tally.audit_entries, 101, "and what tells of it");
    let engine = fixture.open().await;
    let store = store(&engine, &fixture);
    let keep = Retention { entries: Some(100), ..NONE };
    assert_eq!(trim(&store, keep, NOW).await, Ok(0), "a hundredth more may wait");
    enrol(&store, 300).await;
    assert!(trim(&store, keep, NOW).await.unwrap() > 1);
    assert_eq!(store.activity(&user(0), None, 10).await.unwrap(), []);
    let latest = store.activity(&user(300), None, 2).await.unwrap();
    assert_eq!(latest.len(), 2);
    let before = store.activity(&user(300), Some(latest[1].0), 10).await.unwrap();
    assert!(latest[0].0 > latest[1].0 && latest[1].0 > before[0].0);
}

#[tokio::test]
async fn a_small_part_of_a_long_log_goes_between_the_commits_of_others() {
    let fixture = filled(1).await;
    let engine = fixture.open().await;
    let store = store(&engine, &fixture);
    let entry = Entry::new(&user(0), &origin(), &Event::SignedOutEverywhere).to_bytes();
    for _ in 0..30 {
        let mut batch = Batch::new();
        (0..500).for_each(|_| {
            batch.append(entry.clone());
        });
        engine.commit(batch).await.unwrap();
    }
    let commits = async || engine.get(&Key::meta("head")).await.unwrap().unwrap().version.counted();
    let (before, begun) = (engine.audit_log(), commits().await);
    let keep = Retention { entries: Some(before.end() - 250), ..NONE };
    assert_eq!(trim(&store, keep, NOW).await, Ok(250));
    assert_eq!(engine.audit_log(), 251..=before.end() + 1);
    assert_eq!(commits().await - begun, 3, "a hundred in a commit");
    engine.close().await.unwrap();
    drop((store, engine));
    assert!(fixture.check().is_good());
}

#[tokio::test]
async fn a_backup_of_the_rest_is_restored() {
    let (fixture, first) = trimmed(20, 40).await;
    let file = fixture.folder.path().join("backup");
    let engine = fixture.open().await;
    back_up(&engine, &file).await.unwrap();
    bring_back(&fixture, &file, "new", NOW).unwrap();
    let data = fixture.folder.path().join("new");
    let report = check(&data, Some(fixture.keyring()));
    assert!(report.is_good(), "{report:#?}");
    let restored = open(&data, &fixture.keyring()).await;
    let (_, last) = engine.audit_log().into_inner();
    assert_eq!(restored.audit_log(), first..=last + 1);
    let of = async |engine: &Arc<dyn Engine>| {
        store(engine, &fixture).activity(&user(19), None, 100).await.unwrap()
    };
    assert!(!of(&engine).await.is_empty());
    assert_eq!(of(&restored).await, of(&engine).await);
}

/// Changes the head as somebody would who cannot seal it: the old seal stays.
fn forge(data: &Path, forged: impl FnOnce(&mut [u8])) {
    let db = database(data);
    let key = Key::meta("head");
    let head = record::decode(&key, &db.get(key.as_bytes()).unwrap().unwrap()).unwrap();
    let mut value = head.value;
    forged(&mut value);
    db.insert(key.as_bytes(), record::encode(&key, head.version, &value)).unwrap();
}

#[tokio::test]
async fn whoever_takes_older_entries_away_is_noticed() {
    let (fixture, first) = trimmed(20, 40).await;
    let data = fixture.data();
    let start = || SledEngine::open(&data, &Options::new([7; 16])).map(drop).unwrap_err().to_string();
    let oldest = Key::audit(first);
    let removed = database(&data).remove(oldest.as_bytes()).unwrap().unwrap();
    let refused = start();
    assert!(
        refused.contains(&format!("begin with entry {first}, and begins with {}", first + 1)),
        "{refused}"
    );
    let report = fixture.check();
    assert!(report.findings.iter().any(|f| f.damage.contains(&format!("entry {first} before it is gone"))));

    // With a base that would hide it: the seal is not of it.
    let entry = record::decode(&oldest, &removed).unwrap().value;
    forge(&data, |head| {
        let base = crate::store::head::Base::from_bytes(&head[81..121]).unwrap();
        let chain = crate::store::head::chain(base.to_bytes()[8..].try_into().unwrap(), first, &entry);
        head[81..89].copy_from_slice(&first.to_be_bytes());
        head[89..121].copy_from_slice(&chain);
    });
    // The file tells another state of the same age; without it, the seal tells.
    assert!(start().contains("another state of the same age"));
    let report = fixture.check();
    let seal = report.findings.iter().find(|finding| finding.place == "the head's seal").unwrap();
    assert!(seal.damage.contains("not of this store and its master key"));
    assert!(!report.findings.iter().any(|finding| finding.damage.contains("chain")), "{report:#?}");
}

#[tokio::test]
async fn a_base_that_was_changed_alone_breaks_the_chain() {
    let (fixture, _) = trimmed(20, 40).await;
    forge(&fixture.data(), |head| head[100] ^= 1);
    let report = fixture.check();
    assert!(report.findings.iter().any(|finding| finding.damage.contains("chain")), "{report:#?}");
    assert!(SledEngine::open(&fixture.data(), &Options::new([7; 16])).is_err());
}

#[tokio::test]
async fn entries_that_came_back_are_noticed() {
    let fixture = filled(20).await;
    let before = contents(&fixture.data());
    let engine = fixture.open().await;
    trim(&store(&engine, &fixture), Retention { entries: Some(40), ..NONE }, NOW).await.unwrap();
    engine.close().await.unwrap();
    drop(engine);
    let oldest = Key::audit(1);
    database(&fixture.data()).insert(oldest.as_bytes(), before[oldest.as_bytes()].clone()).unwrap();
    let refused = SledEngine::open(&fixture.data(), &Options::new([7; 16])).map(drop).unwrap_err();
    assert!(refused.to_string().contains("and begins with 1"), "{refused}");
}

#[tokio::test]
async fn a_damaged_entry_is_not_removed_but_told() {
    let fixture = filled(20).await;
    let db = database(&fixture.data());
    let key = Key::audit(3);
    let mut bytes = db.get(key.as_bytes()).unwrap().unwrap().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    db.insert(key.as_bytes(), bytes).unwrap();
    drop(db);
    let engine = fixture.open().await;
    let refused = trim(&store(&engine, &fixture), Retention { entries: Some(40), ..NONE }, NOW).await;
    assert!(refused.unwrap_err().to_string().contains(&key.to_string()));
    assert_eq!(*engine.audit_log().start(), 1);
    assert!(engine.is_healthy());
}

#[tokio::test]
async fn a_log_by_account_that_is_not_that_of_the_log_is_noticed() {
    let (fixture, _) = trimmed(20, 40).await;
    let db = database(&fixture.data());
    let note = db.scan_prefix(Key::of(Kind::Activity).as_bytes()).next().unwrap().unwrap().0;
    db.remove(note).unwrap();
    drop(db);
    let report = fixture.check();
    assert_eq!(report.findings.len(), 1, "{report:#?}");
    assert!(report.findings[0].damage.contains("log by account"));
}
