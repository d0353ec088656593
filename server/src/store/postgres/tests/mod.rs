//! The engine over a real server.

mod connections;
mod log;

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
async fn a_damaged_record_is_told_by_its_key() {
    let engine = open().await;
    put(&engine, "a", b"precious").await;
    let client = engine.shared.client().await.unwrap();
    let damage = "BEGIN READ WRITE; UPDATE record SET value = set_byte(value, 18, 0); COMMIT";
    client.batch_execute(damage).await.unwrap();
    let refused = engine.get(&key("a")).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Damaged { .. }));
    assert!(refused.to_string().contains(&key("a").to_string()) && !refused.to_string().contains("precious"));
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
