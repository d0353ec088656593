mod opening;

use std::fs;
use std::future::Future;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use rustix::io::Errno;
use tempfile::TempDir;

use super::super::engine::{MAX_VALUE, Version};
use super::super::keys::Kind;
use super::*;

const ID: StoreId = *b"a store of tests";

fn options() -> Options {
    Options { cache_bytes: 8 << 20, ..Options::new(ID) }
}

fn open(folder: &TempDir) -> SledEngine {
    SledEngine::open(folder.path(), &options()).unwrap()
}

fn key(name: &str) -> Key {
    Key::of(Kind::App).part(name)
}

fn put(name: &str, value: &str) -> Batch {
    let mut batch = Batch::new();
    batch.put(key(name), value.into());
    batch
}

async fn value(engine: &SledEngine, name: &str) -> Option<String> {
    let record = engine.get(&key(name)).await.unwrap()?;
    Some(String::from_utf8(record.value).unwrap())
}

async fn version(engine: &SledEngine, name: &str) -> Option<Version> {
    engine.get(&key(name)).await.unwrap().map(|record| record.version)
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// The test's end of a sync step that waits for it: every sync announces itself and goes on when it is told how.
struct Gate {
    announced: mpsc::Receiver<()>,
    verdict: mpsc::Sender<io::Result<()>>,
}

impl Gate {
    /// Opens a store whose syncs after opening wait at the gate.
    fn before(folder: &TempDir) -> (SledEngine, Self) {
        let (announce, announced) = mpsc::channel();
        let (verdict, verdicts) = mpsc::channel::<io::Result<()>>();
        let mut opened = false;
        let engine = SledEngine::open_with(folder.path(), &options(), |Steps { write, mut sync }| {
            let sync = Box::new(move || {
                if !std::mem::replace(&mut opened, true) {
                    return sync();
                }
                announce.send(()).map_err(io::Error::other)?;
                verdicts.recv().map_err(io::Error::other)??;
                sync()
            });
            Steps { write, sync }
        });
        (engine.unwrap(), Self { announced, verdict })
    }

    /// Waits until a group is being synced.
    fn reached(&self) {
        self.announced.recv().unwrap();
    }

    fn pass(&self) {
        self.verdict.send(Ok(())).unwrap();
    }
}

#[tokio::test]
async fn all_that_waits_during_a_sync_shares_the_next_one() {
    let folder = TempDir::new().unwrap();
    let (engine, gate) = Gate::before(&folder);
    let mut first = engine.commit(put("first", "1"));
    assert!(poll_once(&mut first).is_pending());
    gate.reached();
    let mut waiting: Vec<_> = (0..100).map(|i| engine.commit(put(&format!("{i}"), "x"))).collect();
    for commit in &mut waiting {
        assert!(poll_once(commit).is_pending());
    }
    gate.pass();
    first.await.unwrap();
    gate.reached();
    gate.pass();
    for commit in waiting {
        commit.await.unwrap();
    }
    assert!(gate.announced.try_recv().is_err(), "there was a third sync");
}

#[tokio::test]
async fn a_reader_never_sees_what_a_power_cut_could_take_back() {
    let folder = TempDir::new().unwrap();
    let (engine, gate) = Gate::before(&folder);
    let both = put("a", "old").put(key("b"), b"old".to_vec()).clone();
    gate.pass();
    engine.commit(both).await.unwrap();
    gate.reached();

    let mut change = Batch::new();
    change.put(key("a"), b"new".to_vec()).delete(key("b"));
    let mut commit = engine.commit(change);
    assert!(poll_once(&mut commit).is_pending());
    gate.reached();
    // Applied, not synced: neither the new value nor the deletion may be told.
    let (a, b) = (key("a"), key("b"));
    let (mut changed, mut deleted) = (engine.get(&a), engine.get(&b));
    assert!(poll_once(&mut changed).is_pending());
    assert!(poll_once(&mut deleted).is_pending());
    gate.pass();
    commit.await.unwrap();
    assert_eq!(changed.await.unwrap().unwrap().value, b"new");
    assert_eq!(deleted.await.unwrap(), None);
}

#[tokio::test]
async fn of_two_batches_of_one_group_that_expect_the_same_exactly_one_wins() {
    let folder = TempDir::new().unwrap();
    let (engine, gate) = Gate::before(&folder);
    let mut first = engine.commit(put("other", "x"));
    assert!(poll_once(&mut first).is_pending());
    gate.reached();
    let contenders = ["one", "two", "three"].map(|value| {
        let mut batch = put("a", value);
        batch.expect(key("a"), None).append(value.into());
        batch
    });
    let mut contenders = contenders.map(|batch| engine.commit(batch));
    for contender in &mut contenders {
        assert!(poll_once(contender).is_pending());
    }
    gate.pass();
    gate.reached();
    gate.pass();
    first.await.unwrap();
    let mut results = Vec::new();
    for contender in contenders {
        results.push(contender.await.is_ok());
    }
    assert_eq!(results, [true, false, false]);
    assert_eq!(value(&engine, "a").await.as_deref(), Some("one"));
    assert_eq!(engine.scan(&Key::of(Kind::Audit), None, 10).await.unwrap().len(), 1);
}

/// Opens a store in which a step fails from its second time on, when the opening is over.
fn failing(folder: &TempDir, step: &'static str, fault: Errno) -> (SledEngine, Arc<AtomicUsize>) {
    let times = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&times);
    let is_over = move || counter.fetch_add(1, Ordering::SeqCst) > 0;
    let engine =
        SledEngine::open_with(folder.path(), &options(), |Steps { mut write, mut sync }| match step {
            "write" => Steps {
                write: Box::new(
                    move |db, batch| if is_over() { Err(fault.into()) } else { write(db, batch) },
                ),
                sync,
            },
            _ => Steps { write, sync: Box::new(move || if is_over() { Err(fault.into()) } else { sync() }) },
        });
    (engine.unwrap(), times)
}

#[tokio::test]
async fn after_a_failed_write_or_sync_nothing_is_acknowledged_and_nothing_tried_again() {
    for step in ["write", "sync"] {
        for fault in [Errno::IO, Errno::NOSPC, Errno::DQUOT, Errno::ROFS] {
            let folder = TempDir::new().unwrap();
            let (engine, times) = failing(&folder, step, fault);
            assert!(engine.is_healthy());

            let commits = (0..10).map(|i| engine.commit(put(&format!("{i}"), "x")));
            for commit in commits.collect::<Vec<_>>() {
                assert!(matches!(commit.await, Err(CommitError::Store(StoreError::Unavailable(_)))));
            }
            assert!(!engine.is_healthy());
            assert_eq!(engine.failed().await, format!("a {step} failed: {}", io::Error::from(fault)));
            assert!(matches!(engine.get(&key("0")).await, Err(StoreError::Unavailable(_))));
            assert!(engine.close().await.is_err());
            assert_eq!(times.load(Ordering::SeqCst), 2, "{step} {fault}");
            drop(engine);
            // A new process reads what the disk really holds, and works.
            open(&folder).commit(put("a", "one")).await.unwrap();
        }
    }
}

#[tokio::test]
async fn those_who_wait_at_a_failing_sync_learn_that_it_failed() {
    let folder = TempDir::new().unwrap();
    let (engine, gate) = Gate::before(&folder);
    let mut commit = engine.commit(put("a", "one"));
    assert!(poll_once(&mut commit).is_pending());
    gate.reached();
    let a = key("a");
    let mut read = engine.get(&a);
    let mut queued = engine.commit(put("b", "two"));
    assert!(poll_once(&mut read).is_pending());
    assert!(poll_once(&mut queued).is_pending());
    gate.verdict.send(Err(io::Error::other("gone"))).unwrap();
    let failed = StoreError::Unavailable("a sync failed: gone".to_owned());
    assert_eq!(commit.await, Err(failed.clone().into()));
    assert_eq!(queued.await, Err(failed.clone().into()));
    assert_eq!(read.await, Err(failed));
}

#[tokio::test]
async fn closing_finishes_what_waits_and_takes_nothing_new() {
    let folder = TempDir::new().unwrap();
    let (engine, gate) = Gate::before(&folder);
    let mut waiting = ["a", "b"].map(|name| engine.commit(put(name, "x")));
    assert!(poll_once(&mut waiting[0]).is_pending());
    gate.reached();
    assert!(poll_once(&mut waiting[1]).is_pending());
    for _ in 0..3 {
        gate.pass();
    }
    engine.close().await.unwrap();
    for commit in waiting {
        commit.await.unwrap();
    }
    let closed = StoreError::Unavailable("it is closed".to_owned());
    assert_eq!(engine.commit(put("c", "x")).await, Err(closed.into()));
    assert!(!engine.is_healthy());
    drop(engine);
    assert_eq!(value(&open(&folder), "b").await.as_deref(), Some("x"));
}

#[tokio::test]
async fn a_commit_that_nobody_waits_for_any_more_still_happens() {
    let folder = TempDir::new().unwrap();
    let engine = open(&folder);
    let mut abandoned = engine.commit(put("a", "one"));
    let _ = poll_once(&mut abandoned);
    drop(abandoned);
    engine.commit(put("b", "two")).await.unwrap();
    assert_eq!(value(&engine, "a").await.as_deref(), Some("one"));
}

#[tokio::test]
async fn a_damaged_record_is_refused_by_get_scan_and_commit() {
    let folder = TempDir::new().unwrap();
    let engine = open(&folder);
    engine.commit(put("a", "a value")).await.unwrap();
    let read = version(&engine, "a").await;
    engine.flip_a_bit(&key("a"));

    let damaged = StoreError::Damaged { key: key("a").to_string(), damage: "wrong checksum" };
    assert_eq!(engine.get(&key("a")).await, Err(damaged.clone()));
    assert_eq!(engine.scan(&Key::of(Kind::App), None, 10).await, Err(damaged.clone()));
    let mut batch = put("a", "another");
    batch.expect(key("a"), read);
    assert_eq!(engine.commit(batch).await, Err(damaged.into()));
}

/// sled never syncs a blob file, so that a single one would be a commit that is not durable.
#[tokio::test]
async fn the_largest_values_never_become_blobs() {
    let folder = TempDir::new().unwrap();
    let engine = open(&folder);
    let long = |number: u64| Key::of(Kind::App).part([b'k'; 240]).number(number);
    let mut random = 1_u64;
    for round in 0..40 {
        let mut batch = Batch::new();
        // Mostly deletions in every fourth round, which makes sled merge leaves.
        let deletions = if round % 4 == 3 { 8 } else { 2 };
        for _ in 0..400 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = long((random >> 33) % 1_500);
            if (random >> 20) % 10 < deletions {
                batch.delete(key);
            } else {
                batch.put(key, vec![0x5a; MAX_VALUE]);
            }
        }
        engine.commit(batch).await.unwrap();
    }
    drop(engine);
    let blobs = fs::read_dir(folder.path().join("sled/blobs")).unwrap();
    assert_eq!(blobs.count(), 0);
}
