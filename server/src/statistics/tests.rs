use std::sync::Arc;

use proptest::prelude::*;
use sidekey_core::event::Event;
use sidekey_core::time::UnixTime;
use tempfile::TempDir;

use super::worker::{Round, Worker};
use super::{Hour, KEPT, behind, of_hours};
use crate::clock::Clock;
use crate::notify::testing::entry;
use crate::store::sled::Options;
use crate::store::{Batch, Engine, Key, Kind, SledEngine};

const NOW: u64 = 1_790_000_000;
const HOUR: u64 = 3_600;

struct Bench {
    _folder: TempDir,
    engine: Arc<dyn Engine>,
    clock: Clock,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = SledEngine::open(&folder.path().join("data"), &Options::new([7; 16])).unwrap();
        let clock = Clock::standing(UnixTime::from_secs(NOW));
        Self { engine: Arc::new(engine), clock, _folder: folder }
    }

    fn worker(&self) -> Worker {
        Worker::new(Arc::clone(&self.engine), self.clock.clone())
    }

    async fn happen(&self, times: impl IntoIterator<Item = u64>, event: &Event) {
        let mut batch = Batch::new();
        for at in times {
            batch.append(entry("ann", at, event));
        }
        self.engine.commit(batch).await.unwrap();
    }

    async fn settle(&self) {
        let mut worker = self.worker();
        while worker.round().await.unwrap() == Round::Moved {}
    }

    /// What is counted of an event, by how many hours it is ago.
    async fn counted(&self, event: &str) -> Vec<(u64, u64)> {
        let now = Hour::of(self.clock.now());
        let hours = of_hours(&*self.engine, now.before(3 * KEPT)..=now).await.unwrap();
        let ago = |hour: &Hour| (now.begins().as_secs() - hour.begins().as_secs()) / HOUR;
        let counts = hours.iter().map(|(hour, counts)| (ago(hour), counts.of(&[event])));
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

#[tokio::test]
async fn what_happened_is_counted_in_its_hour_under_its_name() {
    let bench = Bench::new();
    bench.happen([NOW, NOW - HOUR, NOW + 1, NOW - 30 * HOUR], &Event::AccountLocked).await;
    bench.happen([NOW], &Event::AccountUnlocked).await;
    assert_eq!(behind(&*bench.engine).await, Ok(5));
    bench.settle().await;
    assert_eq!(behind(&*bench.engine).await, Ok(0));
    assert_eq!(bench.counted("account_locked").await, [(30, 1), (1, 1), (0, 2)]);
    assert_eq!(bench.counted("account_unlocked").await, [(0, 1)]);
    let now = Hour::of(bench.clock.now());
    let last = of_hours(&*bench.engine, now.before(1)..=now.before(1)).await.unwrap();
    assert_eq!(last.keys().collect::<Vec<_>>(), [&now.before(1)], "only what was asked for");
    assert_eq!(last[&now.before(1)].of(&["account_locked", "account_unlocked"]), 1);
}

#[tokio::test]
async fn counts_are_kept_for_ninety_days() {
    let bench = Bench::new();
    bench.happen([NOW - (KEPT - 1) * HOUR, NOW - KEPT * HOUR, NOW], &Event::AccountLocked).await;
    bench.settle().await;
    assert_eq!(
        bench.counted("account_locked").await,
        [(KEPT - 1, 1), (0, 1)],
        "what is too old is never counted"
    );
    bench.clock.advance(HOUR);
    bench.settle().await;
    assert_eq!(bench.counted("account_locked").await, [(1, 1)]);
    bench.clock.advance(KEPT * HOUR);
    bench.settle().await;
    let left = bench.engine.scan(&Key::of(Kind::Statistics), None, 10).await.unwrap();
    assert_eq!(left.len(), 1, "the cursor");
}

#[tokio::test]
async fn what_retention_removes_before_it_is_counted_is_not_waited_for() {
    let bench = Bench::new();
    bench.happen([NOW], &Event::AccountLocked).await;
    bench.settle().await;
    bench.happen([NOW, NOW, NOW], &Event::AccountLocked).await;
    let mut batch = Batch::new();
    batch.trim(1..=3);
    bench.engine.commit(batch).await.unwrap();
    assert_eq!(behind(&*bench.engine).await, Ok(1));
    bench.settle().await;
    assert_eq!((bench.counted("account_locked").await, behind(&*bench.engine).await), (vec![(0, 2)], Ok(0)));
}

#[derive(Clone, Debug)]
enum Act {
    Happens(u64),
    Counts,
    /// Two processes begin from the same counts.
    Races,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However often a new process takes over, and with several at once: each entry is counted once.
    #[test]
    fn each_entry_is_counted_once(acts in prop::collection::vec(
        prop_oneof![3 => (0..6_u64).prop_map(Act::Happens), 2 => Just(Act::Counts), 1 => Just(Act::Races)], 1..24,
    )) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let bench = Bench::new();
            let mut expected = std::collections::BTreeMap::<u64, u64>::new();
            for act in acts {
                match act {
                    Act::Happens(ago) => {
                        bench.happen([NOW - ago * HOUR; 3], &Event::AccountLocked).await;
                        *expected.entry(ago).or_default() += 3;
                    }
                    Act::Counts => drop(bench.worker().round().await.unwrap()),
                    Act::Races => {
                        let race = [bench.worker(), bench.worker()].map(|mut worker| {
                            tokio::spawn(async move { worker.round().await.unwrap() })
                        });
                        for worker in race {
                            worker.await.unwrap();
                        }
                    }
                }
            }
            bench.settle().await;
            let counted = bench.counted("account_locked").await;
            assert_eq!(counted, expected.into_iter().rev().collect::<Vec<_>>());
        });
    }
}
