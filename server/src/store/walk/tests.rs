use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

use super::*;
use crate::store::engine::{Batch, Engine};
use crate::store::integrity::Completeness;
use crate::store::sled::{Options, SledEngine};
use crate::store::{CommitError, record};

fn open(folder: &TempDir) -> Arc<SledEngine> {
    Arc::new(
        SledEngine::open(folder.path(), &Options { cache_bytes: 8 << 20, ..Options::new([7; 16]) }).unwrap(),
    )
}

fn key(number: u64) -> Key {
    Key::of(Kind::Session).number(number)
}

/// What a walk has shown, put together.
#[derive(Default)]
struct Picture {
    records: BTreeMap<Vec<u8>, Vec<u8>>,
    completeness: Completeness,
    corrections: usize,
    /// Called at the first page, when the noting has begun.
    at_start: Option<Box<dyn FnOnce() + Send>>,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Picture>>);

impl Visitor for Shared {
    fn total(&mut self, _: u64) {}

    fn record(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), String> {
        let mut picture = self.0.lock().unwrap();
        if let Some(at_start) = picture.at_start.take() {
            at_start();
        }
        assert_eq!(picture.completeness.look(key, bytes), None);
        assert!(picture.records.insert(key.to_vec(), bytes.to_vec()).is_none(), "shown twice");
        Ok(())
    }

    fn correction(
        &mut self,
        key: &[u8],
        before: Option<&Header>,
        after: Option<&[u8]>,
    ) -> Result<(), String> {
        let mut picture = self.0.lock().unwrap();
        picture.corrections += 1;
        picture.completeness.correct(key, before, after);
        let shown = picture.records.remove(key);
        assert_eq!(shown.as_deref().and_then(record::header).as_ref(), before);
        if let Some(after) = after {
            picture.records.insert(key.to_vec(), after.to_vec());
        }
        Ok(())
    }

    fn log(&mut self, base: Base) -> Result<(), String> {
        self.0.lock().unwrap().completeness.log(base);
        Ok(())
    }
}

/// Transfers between records, so that every moment has the same sum.
async fn transfer(engine: &SledEngine, from: u64, to: u64) -> Result<(), CommitError> {
    let mut batch = Batch::new();
    for (number, change) in [(from, -1_i64), (to, 1)] {
        let record = engine.get(&key(number)).await?;
        let value =
            record.as_ref().map_or(0, |record| i64::from_be_bytes(record.value[..].try_into().unwrap()));
        batch.expect(key(number), record.map(|record| record.version));
        match value + change {
            // A record comes and goes as well.
            0 => batch.delete(key(number)),
            value => batch.put(key(number), value.to_be_bytes().to_vec()),
        };
    }
    engine.commit(batch.append(from.to_be_bytes().to_vec()).clone()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_walk_under_load_sees_one_moment() {
    const RECORDS: u64 = 3_000;
    let folder = TempDir::new().unwrap();
    let engine = open(&folder);
    for first in (0..RECORDS).step_by(1_000) {
        let mut batch = Batch::new();
        for number in first..first + 1_000 {
            batch.put(key(number), 1_i64.to_be_bytes().to_vec());
        }
        engine.commit(batch).await.unwrap();
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4_u64)
        .map(|writer| {
            let (engine, stop) = (Arc::clone(&engine), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut random = writer + 1;
                while !stop.load(Ordering::Relaxed) {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    let (from, to) = ((random >> 33) % RECORDS, (random >> 13) % RECORDS);
                    if from == to {
                        continue;
                    }
                    match transfer(&engine, from, to).await {
                        Ok(()) | Err(CommitError::Conflict(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    let (mut corrections, mut moments) = (0, Vec::new());
    for _ in 0..20 {
        let shared = Shared::default();
        let head = engine.walk(Box::new(shared.clone())).await.unwrap();
        let picture = shared.0.lock().unwrap();
        assert_eq!(picture.completeness.compare(&head), []);
        let sessions = picture.records.iter().filter(|(key, _)| Key::from_bytes(key).is(Kind::Session));
        let sum: i64 =
            sessions.map(|(_, bytes)| i64::from_be_bytes(bytes[record::HEADER..].try_into().unwrap())).sum();
        assert_eq!(sum, i64::try_from(RECORDS).unwrap());
        corrections += picture.corrections;
        moments.push(head.sequence());
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(corrections > 0, "the load was too light to tell anything");
    assert!(moments.is_sorted() && moments.first() < moments.last());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_behind_and_before_the_cursor_is_shown_as_it_is_in_the_end() {
    let folder = TempDir::new().unwrap();
    let engine = open(&folder);
    let mut batch = Batch::new();
    for number in 0..1_200 {
        batch.put(key(number), b"old".to_vec());
    }
    engine.commit(batch).await.unwrap();
    let shared = Shared::default();
    let (runtime, writer) = (tokio::runtime::Handle::current(), Arc::clone(&engine));
    shared.0.lock().unwrap().at_start = Some(Box::new(move || {
        // The first page (500 records) has been read, and nothing of it was handed over yet.
        let mut batch = Batch::new();
        batch.put(key(0), b"new".to_vec()).delete(key(1)).put(key(1_000), b"new".to_vec()).delete(key(1_001));
        batch.put(key(2_000), b"new".to_vec()).append(b"entry".to_vec());
        runtime.block_on(writer.commit(batch)).unwrap();
        runtime.block_on(writer.commit(Batch::new().put(key(0), b"newer".to_vec()).clone())).unwrap();
    }));
    let head = engine.walk(Box::new(shared.clone())).await.unwrap();
    let picture = shared.0.lock().unwrap();
    assert_eq!(picture.completeness.compare(&head), []);
    assert_eq!(picture.corrections, 5);
    let value = |number| picture.records.get(key(number).as_bytes()).map(|bytes| &bytes[record::HEADER..]);
    let values = [0, 1, 2, 1_000, 1_001, 2_000].map(value);
    let (old, new) = (Some(&b"old"[..]), Some(&b"new"[..]));
    assert_eq!(values, [Some(&b"newer"[..]), None, old, new, None, new]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_walk_at_once_is_refused_and_one_after_a_refusal_is_not() {
    struct Refusing(Arc<SledEngine>, tokio::runtime::Handle);
    impl Visitor for Refusing {
        fn total(&mut self, _: u64) {
            let second = self.1.block_on(self.0.walk(Box::new(Shared::default())));
            assert!(second.unwrap_err().to_string().contains("under way"));
        }
        fn record(&mut self, _: &[u8], _: &[u8]) -> Result<(), String> {
            Err("enough".to_owned())
        }
        fn correction(&mut self, _: &[u8], _: Option<&Header>, _: Option<&[u8]>) -> Result<(), String> {
            Ok(())
        }
        fn log(&mut self, _: Base) -> Result<(), String> {
            Ok(())
        }
    }
    let folder = TempDir::new().unwrap();
    let engine = open(&folder);
    engine.commit(Batch::new().put(key(1), vec![]).clone()).await.unwrap();
    let refusing = Refusing(Arc::clone(&engine), tokio::runtime::Handle::current());
    let refused = engine.walk(Box::new(refusing)).await.unwrap_err();
    assert_eq!(refused, StoreError::Unavailable("enough".to_owned()));
    engine.walk(Box::new(Shared::default())).await.unwrap();
}
