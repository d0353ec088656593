//! What every engine promises, tested over each of them. What only one of them does is tested beside it.

use std::sync::Arc;

use futures_util::FutureExt as _;
use tempfile::TempDir;

use super::engine::{MAX_VALUE, MAX_WRITES};
use super::head::Head;
use super::postgres::{connect, testing};
use super::*;

/// Makes a test over each engine of each of these, which take a [`Site`].
macro_rules! over_every_engine {
    ($($test:ident),+ $(,)?) => {
        mod sled {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $test() {
                    super::$test(crate::store::contract::Site::sled()).await;
                }
            )+
        }

        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $test() {
                    super::$test(crate::store::contract::Site::postgres().await).await;
                }
            )+
        }
    };
}

mod log;
mod model;

/// The place of a new store.
enum Site {
    Sled(TempDir),
    Postgres(Box<connect::Options>),
}

impl Site {
    fn sled() -> Self {
        Self::Sled(TempDir::new().unwrap())
    }

    async fn postgres() -> Self {
        Self::Postgres(Box::new(testing::database().await))
    }

    /// Opens the store as a process that starts, after the one before has ended.
    async fn open(&self) -> Arc<dyn Engine> {
        match self {
            Self::Sled(folder) => {
                let options = Options { cache_bytes: 8 << 20, ..Options::new([7; 16]) };
                Arc::new(SledEngine::open(folder.path(), &options).unwrap())
            }
            Self::Postgres(options) => Arc::new(PostgresEngine::open(options, [7; 16]).await.unwrap()),
        }
    }
}

fn key(name: &str) -> Key {
    Key::of(Kind::App).part(name)
}

async fn version(engine: &dyn Engine, name: &str) -> Option<Version> {
    engine.get(&key(name)).await.unwrap().map(|record| record.version)
}

async fn value(engine: &dyn Engine, name: &str) -> Option<Vec<u8>> {
    engine.get(&key(name)).await.unwrap().map(|record| record.value)
}

async fn put(engine: &dyn Engine, name: &str, value: &[u8]) {
    let mut batch = Batch::new();
    batch.put(key(name), value.to_vec());
    engine.commit(batch).await.unwrap();
}

/// An audit entry about a user.
fn entry(user: &str, number: u64) -> Vec<u8> {
    format!(r#"{{"at":1790000000,"app":"shop","user":"{user}","number":{number}}}"#).into_bytes()
}

/// The audit log: numbers and entries.
async fn trail(engine: &dyn Engine) -> Vec<(u64, Vec<u8>)> {
    let entries = engine.scan(&Key::of(Kind::Audit), None, 1_000).await.unwrap();
    entries.into_iter().map(|(key, record)| (key.audit_sequence().unwrap(), record.value)).collect()
}

over_every_engine! {
    what_was_committed_is_there_after_reopening,
    a_batch_whose_expectation_fails_leaves_nothing_and_names_the_record,
    two_that_each_write_what_the_other_expects_to_be_absent_are_not_both_committed,
    a_version_comes_once,
    limits_are_refused_before_anything_is_written,
    pages_follow_one_another_in_key_order,
    many_records_are_read_at_once_in_the_order_asked_for,
    one_key_has_one_holder,
}

async fn what_was_committed_is_there_after_reopening(site: Site) {
    let engine = site.open().await;
    put(&*engine, "a", b"one").await;
    let (id, first) = (engine.id(), version(&*engine, "a").await);
    assert!(engine.is_healthy());
    engine.close().await.unwrap();
    assert!(!engine.is_healthy());
    assert!(matches!(engine.get(&key("a")).await, Err(StoreError::Unavailable(_))));
    let refused = engine.commit(Batch::new().put(key("b"), Vec::new()).clone()).await;
    assert!(matches!(refused, Err(CommitError::Store(StoreError::Unavailable(_)))), "{refused:?}");
    drop(engine);
    let engine = site.open().await;
    assert_eq!((value(&*engine, "a").await, value(&*engine, "b").await), (Some(b"one".to_vec()), None));
    assert_eq!((engine.id(), version(&*engine, "a").await), (id, first));
}

async fn a_batch_whose_expectation_fails_leaves_nothing_and_names_the_record(site: Site) {
    let engine = site.open().await;
    put(&*engine, "a", b"0").await;
    let stale = version(&*engine, "a").await;
    put(&*engine, "a", b"1").await;
    let current = version(&*engine, "a").await;
    for (name, expected) in [("a", None), ("b", current), ("a", stale)] {
        let mut batch = Batch::new();
        batch.expect(key("absent"), None).expect(key(name), expected);
        batch.put(key("absent"), b"2".to_vec()).delete(key("a")).append(entry("ann", 1));
        let refused = engine.commit(batch).await.unwrap_err();
        assert_eq!(refused, CommitError::Conflict(key(name).to_string()), "{name} {expected:?}");
    }
    assert_eq!((value(&*engine, "a").await.unwrap(), value(&*engine, "absent").await), (b"1".to_vec(), None));
    assert_eq!(trail(&*engine).await, []);
    let mut batch = Batch::new();
    batch.expect(key("a"), current).expect(key("absent"), None).put(key("b"), b"3".to_vec());
    engine.commit(batch).await.unwrap();
    assert_eq!(value(&*engine, "b").await.unwrap(), b"3");
    assert_eq!(value(&*engine, "absent").await, None, "an expectation leaves nothing");
}

/// Write skew.
async fn two_that_each_write_what_the_other_expects_to_be_absent_are_not_both_committed(site: Site) {
    let engine = site.open().await;
    for round in 0..20 {
        let names = [format!("a{round}"), format!("b{round}")];
        let rivals = [(0, 1), (1, 0)].map(|(absent, written): (usize, usize)| {
            let engine = Arc::clone(&engine);
            let mut batch = Batch::new();
            batch.expect(key(&names[absent]), None).put(key(&names[written]), vec![1]);
            tokio::spawn(async move { engine.commit(batch).await })
        });
        let outcomes = futures_util::future::join_all(rivals).await;
        let good = outcomes.into_iter().filter(|outcome| outcome.as_ref().unwrap().is_ok()).count();
        assert_eq!(good, 1, "round {round}");
    }
}

async fn a_version_comes_once(site: Site) {
    let engine = site.open().await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        put(&*engine, "a", b"same").await;
        seen.push(version(&*engine, "a").await.unwrap());
        put(&*engine, "a", b"same").await;
        seen.push(version(&*engine, "a").await.unwrap());
        let mut gone = Batch::new();
        gone.delete(key("a")).delete(key("never there"));
        engine.commit(gone).await.unwrap();
        assert_eq!(value(&*engine, "a").await, None);
    }
    for (place, version) in seen.iter().enumerate() {
        assert!(!seen[..place].contains(version), "{seen:?}");
    }
}

async fn limits_are_refused_before_anything_is_written(site: Site) {
    let engine = site.open().await;
    let begun = || Batch::new().put(key("a"), Vec::new()).clone();
    let (mut value, mut added, mut many, mut long) = (begun(), begun(), begun(), begun());
    value.put(key("b"), vec![0; MAX_VALUE + 1]);
    added.append(vec![0; MAX_VALUE + 1]);
    for number in 0..MAX_WRITES as u64 {
        many.put(key("c").number(number), Vec::new());
    }
    long.put(key(&"k".repeat(200)).key(&key(&"k".repeat(200))), Vec::new());
    for batch in [value, added, many, long] {
        let refused = engine.commit(batch).await;
        assert!(matches!(refused, Err(CommitError::TooLarge { .. })), "{refused:?}");
    }
    assert_eq!(engine.scan(&Key::of(Kind::App), None, 10).await.unwrap(), []);
    assert_eq!(trail(&*engine).await, []);
}

async fn pages_follow_one_another_in_key_order(site: Site) {
    let engine = site.open().await;
    let of = |number: u64| Key::of(Kind::Session).number(number);
    let mut batch = Batch::new();
    for number in (0..25).rev() {
        batch.put(of(number), vec![1]);
    }
    batch.put(Key::of(Kind::RefreshFamily), vec![1]).put(Key::of(Kind::Account).part("z"), vec![1]);
    engine.commit(batch).await.unwrap();
    let (prefix, mut found, mut after) = (Key::of(Kind::Session), Vec::new(), None);
    loop {
        let page = engine.scan(&prefix, after.as_ref(), 10).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        assert!(page.len() <= 10);
        after = Some(last.clone());
        found.extend(page.into_iter().map(|(key, _)| key));
    }
    assert_eq!(found, (0..25).map(of).collect::<Vec<_>>());
    assert_eq!(engine.scan(&of(7), None, 10).await.unwrap().len(), 1);
    let before = Key::of(Kind::Account);
    assert_eq!(engine.scan(&prefix, Some(&before), 100).await.unwrap().len(), 25, "after what is before all");
}

async fn many_records_are_read_at_once_in_the_order_asked_for(site: Site) {
    let engine = site.open().await;
    put(&*engine, "a", b"1").await;
    put(&*engine, "b", b"2").await;
    let keys = [key("b"), key("absent"), key("a"), Head::key()];
    let values = async |keys: &[Key]| -> Vec<_> {
        let records = engine.get_many(keys).await.unwrap();
        records.into_iter().map(|record| record.map(|record| record.value)).collect()
    };
    assert_eq!(values(&keys[..3]).await, [Some(b"2".to_vec()), None, Some(b"1".to_vec())]);
    assert!(values(&keys).await[3].is_some());
    assert_eq!(values(&[]).await, []);
}

async fn one_key_has_one_holder(site: Site) {
    let engine = site.open().await;
    let account = Key::account("app", "42");
    let guard = engine.lock(&account).await;
    let mut second = engine.lock(&account);
    assert!((&mut second).now_or_never().is_none());
    drop(guard);
    assert!((&mut second).now_or_never().is_some());
}
