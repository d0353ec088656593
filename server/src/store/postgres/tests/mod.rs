//! The engine over a real server.

mod connections;
mod log;
mod model;

use std::sync::Arc;

use super::testing::database;
use super::*;
use crate::entropy::Entropy;
use crate::keyring::master_key::MasterKey;
use crate::keyring::{Keyring, unlock};
use crate::maintenance::check::check_engine;
use crate::store::Store;
use crate::store::sweep::{CLOCKS_APART, sweep};

const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

async fn open() -> PostgresEngine {
    PostgresEngine::open(&database().await, [7; 16]).await.unwrap()
}

fn key(name: &str) -> Key {
    Key::meta(name)
}

fn batch() -> Batch {
    Batch::new()
}

async fn version(engine: &PostgresEngine, name: &str) -> Option<crate::store::Version> {
    engine.get(&key(name)).await.unwrap().map(|record| record.version)
}

async fn value(engine: &PostgresEngine, name: &str) -> Option<Vec<u8>> {
    engine.get(&key(name)).await.unwrap().map(|record| record.value)
}

async fn put(engine: &PostgresEngine, name: &str, value: &[u8]) {
    let mut batch = batch();
    batch.put(key(name), value.to_vec());
    engine.commit(batch).await.unwrap();
}

fn entry(user: &str, number: u32) -> Vec<u8> {
    format!(r#"{{"at":1790000000,"app":"shop","user":"{user}","number":{number}}}"#).into_bytes()
}

async fn trail(engine: &PostgresEngine) -> Vec<(u64, serde_json::Value)> {
    let (mut entries, mut after) = (Vec::new(), None);
    loop {
        let page = engine.scan(&Key::of(Kind::Audit), after.as_ref(), 1_000).await.unwrap();
        let Some((last, _)) = page.last() else { return entries };
        after = Some(last.clone());
        entries.extend(page.iter().map(|(key, record)| {
            (key.audit_sequence().unwrap(), serde_json::from_slice(&record.value).unwrap())
        }));
    }
}

/// A connection of nobody's.
async fn stranger(options: &Options) -> tokio_postgres::Client {
    let (client, connection) = options.config.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Waits until somebody waits for a lock in the database.
async fn somebody_waits(client: &tokio_postgres::Client) {
    let asked = "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
                 WHERE NOT l.granted AND a.datname = current_database())";
    while !client.query_one(asked, &[]).await.unwrap().get::<_, bool>(0) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_put_is_read_by_every_process_and_stays() {
    let options = database().await;
    let (one, other) =
        tokio::join!(PostgresEngine::open(&options, [1; 16]), PostgresEngine::open(&options, [2; 16]));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.id(), other.id(), "two that make the store at once make one");
    put(&one, "a", b"1").await;
    assert_eq!(value(&other, "a").await.unwrap(), b"1");
    let first = version(&other, "a").await;
    put(&other, "a", b"1").await;
    assert_ne!(version(&one, "a").await, first, "a version comes once");
    let mut gone = batch();
    gone.delete(key("a")).delete(key("never there"));
    one.commit(gone).await.unwrap();
    assert_eq!(value(&other, "a").await, None);
    one.close().await.unwrap();
    assert!(one.get(&key("a")).await.is_err());
    assert!(other.is_healthy() && !one.is_healthy());
}

#[tokio::test]
async fn a_batch_whose_expectation_fails_leaves_nothing_and_names_the_record() {
    let engine = open().await;
    put(&engine, "a", b"1").await;
    let current = version(&engine, "a").await;
    let cases = [("a", None), ("b", current), ("a", Some(crate::store::Version(1)))];
    for (name, expected) in cases {
        let mut batch = batch();
        batch.expect(key("absent"), None).expect(key(name), expected);
        batch.put(key("absent"), b"2".to_vec()).delete(key("a")).append(entry("ann", 1));
        let refused = engine.commit(batch).await.unwrap_err();
        assert_eq!(refused, CommitError::Conflict(key(name).to_string()), "{name} {expected:?}");
    }
    assert_eq!((value(&engine, "a").await.unwrap(), value(&engine, "absent").await), (b"1".to_vec(), None));
    assert_eq!(trail(&engine).await.len(), 0);
    let mut batch = batch();
    batch.expect(key("a"), current).expect(key("absent"), None).put(key("b"), b"3".to_vec());
    engine.commit(batch).await.unwrap();
    assert_eq!(value(&engine, "b").await.unwrap(), b"3");
    assert_eq!(value(&engine, "absent").await, None, "a placeholder is gone with its transaction");
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_a_damaged_record_is_told_by_its_key() {
    let engine = open().await;
    let mut large = batch();
    large.put(key("a"), vec![0; crate::store::engine::MAX_VALUE + 1]);
    assert!(matches!(engine.commit(large).await, Err(CommitError::TooLarge { .. })));
    put(&engine, "a", b"precious").await;
    let client = engine.shared.client().await.unwrap();
    let damage = "BEGIN READ WRITE; UPDATE record SET value = set_byte(value, 18, 0); COMMIT";
    client.batch_execute(damage).await.unwrap();
    let refused = engine.get(&key("a")).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Damaged { .. }));
    assert!(refused.to_string().contains(&key("a").to_string()) && !refused.to_string().contains("precious"));
}

#[tokio::test]
async fn pages_follow_one_another_in_key_order() {
    let engine = open().await;
    let of = |number: u64| Key::of(Kind::Session).number(number);
    let mut batch = batch();
    for number in 0..25 {
        batch.put(of(number), vec![1]);
    }
    batch.put(Key::of(Kind::RefreshFamily), vec![1]).put(Key::of(Kind::Account).part("z"), vec![1]);
    engine.commit(batch).await.unwrap();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = engine.scan(&Key::of(Kind::Session), after.as_ref(), 10).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        found.extend(page.into_iter().map(|(key, _)| key));
    }
    assert_eq!(found, (0..25).map(of).collect::<Vec<_>>());
    assert_eq!(engine.scan(&of(7), None, 10).await.unwrap().len(), 1);
    assert_eq!(
        engine.scan(&Key::of(Kind::Session), Some(&Key::of(Kind::Account)), 100).await.unwrap().len(),
        25
    );
}

/// Every one of many rivals, over several processes, reads a counter, and writes one more where it still is what was read.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_rivals_that_rest_on_one_state_one_is_committed() {
    let options = database().await;
    let mut engines = Vec::new();
    for _ in 0..3 {
        engines.push(Arc::new(PostgresEngine::open(&options, [7; 16]).await.unwrap()));
    }
    for round in 0..40_u32 {
        // The first state is that there is nothing.
        let expected = version(&engines[0], "counter").await;
        let rivals = (0..12_u32).map(|rival| {
            let engine = Arc::clone(&engines[rival as usize % 3]);
            let mut batch = batch();
            batch.expect(key("counter"), expected).put(key("counter"), rival.to_be_bytes().to_vec());
            batch.append(entry("ann", round));
            tokio::spawn(async move { engine.commit(batch).await })
        });
        let outcomes: Vec<_> =
            futures_util::future::join_all(rivals).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(()) | Err(CommitError::Conflict(_)))));
    }
    let numbers: Vec<_> =
        trail(&engines[1]).await.into_iter().map(|(n, entry)| (n, entry["number"].as_u64())).collect();
    assert_eq!(numbers, (0..40).map(|round| (round + 1, Some(round))).collect::<Vec<_>>());
}

/// Write skew: each of two writes what the other one expects to be absent.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_that_each_write_what_the_other_expects_to_be_absent_are_not_both_committed() {
    let engine = Arc::new(open().await);
    for round in 0..20 {
        let names = [format!("a{round}"), format!("b{round}")];
        let rivals = [(0, 1), (1, 0)].map(|(absent, written): (usize, usize)| {
            let engine = Arc::clone(&engine);
            let mut batch = batch();
            batch.expect(key(&names[absent]), None).put(key(&names[written]), vec![1]);
            tokio::spawn(async move { engine.commit(batch).await })
        });
        let outcomes = futures_util::future::join_all(rivals).await;
        let good = outcomes.into_iter().filter(|outcome| outcome.as_ref().unwrap().is_ok()).count();
        assert_eq!(good, 1, "round {round}");
    }
}

#[tokio::test]
async fn a_task_is_led_by_one_at_a_time_and_falls_to_the_next_when_its_lease_ends() {
    let options = database().await;
    let one = PostgresEngine::open(&options, [7; 16]).await.unwrap();
    let other = PostgresEngine::open(&options, [7; 16]).await.unwrap();
    let lead = one.lead("sweep").await.unwrap().unwrap();
    assert!(other.lead("sweep").await.unwrap().is_none());
    assert!(one.lead("sweep").await.unwrap().is_none());
    let _else = other.lead("another").await.unwrap().unwrap();
    drop(lead);
    let next = async {
        loop {
            if let Some(lead) = other.lead("sweep").await.unwrap() {
                break lead;
            }
            tokio::task::yield_now().await;
        }
    };
    let next = next.await;
    // As if its process had not been heard of for a while.
    let end = "BEGIN READ WRITE; UPDATE lead SET until = clock_timestamp() WHERE task = 'sweep'; COMMIT";
    one.shared.client().await.unwrap().batch_execute(end).await.unwrap();
    let taken = one.lead("sweep").await.unwrap().unwrap();
    drop(next);
    assert!(other.lead("sweep").await.unwrap().is_none(), "what another has taken over is not given back");
    drop(taken);
}

#[tokio::test]
async fn the_store_is_sealed_checked_and_refuses_a_stranger() {
    let options = database().await;
    let engine = PostgresEngine::open(&options, [7; 16]).await.unwrap();
    let keyring = Keyring::parse(&MasterKey::generate(&mut Entropy).to_line()).unwrap();
    unlock(&engine, &keyring, &mut Entropy).await.unwrap();
    let mut first = batch();
    first.decided_at(NOW).append(entry("ann", 1)).append(entry("bob", 2));
    engine.commit(first).await.unwrap();
    let keyring = Arc::new(keyring);
    let check = async |engine: &PostgresEngine| {
        check_engine(engine, Some(Arc::clone(&keyring)), |_, _| {}).await.unwrap()
    };
    // With entries that wait, and without.
    assert_eq!(check(&engine).await.findings, []);
    assert_eq!(trail(&engine).await.len(), 2);
    let report = check(&engine).await;
    assert_eq!((report.findings, report.tally.audit_entries), (vec![], 2));

    let stranger = PostgresEngine::open(&options, [7; 16]).await.unwrap();
    assert_eq!(stranger.high_water(), NOW);
    let mut change = batch();
    change.put(key("a"), vec![1]);
    assert_eq!(stranger.commit(change).await, Err(CommitError::Sealed));
    assert!(matches!(stranger.seal(HeadKey::new([9; 32])).await, Err(StoreError::Damaged { .. })));

    let client = engine.shared.client().await.unwrap();
    let remove = "BEGIN READ WRITE; DELETE FROM audit WHERE key = '\\x0c0000000000000001'; COMMIT";
    client.batch_execute(remove).await.unwrap();
    let findings = check(&engine).await.findings;
    assert!(findings.iter().any(|finding| finding.to_string().contains("audit entry 1")), "{findings:?}");
}

#[tokio::test]
async fn what_is_deleted_unseen_is_deleted_as_of_one_moment() {
    let options = database().await;
    let engine = Arc::new(PostgresEngine::open(&options, [7; 16]).await.unwrap());
    put(&engine, "b", b"1").await;
    let other = stranger(&options).await;
    // As another batch that puts both and is not committed yet.
    other.batch_execute("BEGIN").await.unwrap();
    let written = "INSERT INTO record VALUES ($1, 1, '') ON CONFLICT (key) DO UPDATE SET version = 2";
    for name in ["a", "b"] {
        other.execute(written, &[&key(name).as_bytes()]).await.unwrap();
    }
    let mut both = batch();
    both.delete(key("a")).delete(key("b"));
    let deleting = tokio::spawn({
        let engine = Arc::clone(&engine);
        async move { engine.commit(both).await }
    });
    somebody_waits(&stranger(&options).await).await;
    other.batch_execute("COMMIT").await.unwrap();
    deleting.await.unwrap().unwrap();
    assert_eq!((value(&engine, "a").await, value(&engine, "b").await), (None, None));
}

#[tokio::test]
async fn many_records_are_read_at_once_in_the_order_asked_for() {
    let engine = open().await;
    put(&engine, "a", b"1").await;
    put(&engine, "b", b"2").await;
    let keys = [key("b"), key("absent"), key("a"), Head::key()];
    let values = async |keys: &[Key]| -> Vec<_> {
        let records = engine.get_many(keys).await.unwrap();
        records.into_iter().map(|record| record.map(|record| record.value)).collect()
    };
    assert_eq!(values(&keys[..3]).await, [Some(b"2".to_vec()), None, Some(b"1".to_vec())]);
    assert!(values(&keys).await[3].is_some());
}

#[tokio::test]
async fn tables_of_the_version_before_are_brought_up() {
    let options = database().await;
    let before = PostgresEngine::open(&options, [7; 16]).await.unwrap();
    put(&before, "a", b"1").await;
    before.close().await.unwrap();
    let down = "ALTER TABLE lead DROP COLUMN holder, DROP COLUMN until; DROP TABLE pulse; UPDATE about SET tables = 1";
    stranger(&options).await.batch_execute(down).await.unwrap();
    let (one, other) =
        tokio::join!(PostgresEngine::open(&options, [1; 16]), PostgresEngine::open(&options, [2; 16]));
    assert_eq!(value(&one.unwrap(), "a").await.unwrap(), b"1");
    assert!(other.unwrap().lead("sweep").await.unwrap().is_some());
}

#[tokio::test]
async fn what_is_over_stays_as_long_as_clocks_may_differ() {
    let engine: Arc<dyn Engine> = Arc::new(open().await);
    let keyring = Keyring::parse(&MasterKey::generate(&mut Entropy).to_line()).unwrap();
    let store = Store::new(Arc::clone(&engine), Arc::new(crate::swap::Swap::new(keyring)));
    let token = crate::store::codec::enrollment_token_key(&[9; 32]);
    let mut batch = batch();
    batch.put(Key::expiry(NOW, &token), Vec::new()).put(token.clone(), vec![1]);
    engine.commit(batch).await.unwrap();
    assert_eq!(sweep(&store, NOW.plus(CLOCKS_APART - 1)).await, Ok(0));
    assert!(engine.get(&token).await.unwrap().is_some());
    assert_eq!(sweep(&store, NOW.plus(CLOCKS_APART)).await, Ok(1));
}
