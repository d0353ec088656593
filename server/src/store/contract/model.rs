//! Batches beside a plain map and a plain list.

use std::collections::BTreeMap;
use std::future::Future;

use proptest::prelude::*;

use super::*;

/// What is done in one commit.
#[derive(Clone, Debug)]
enum Act {
    Change(Vec<Step>),
    /// Removes so many audit entries, after so many that are older.
    Trim {
        older: u64,
        count: u64,
        is_told: bool,
    },
}

/// One of the operations of a batch.
#[derive(Clone, Debug)]
enum Step {
    Expect { name: u8, right: bool },
    Put { name: u8, value: u8 },
    Delete { name: u8 },
    Append { number: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let name = 0..4_u8;
    prop_oneof![
        (name.clone(), prop::bool::weighted(0.9)).prop_map(|(name, right)| Step::Expect { name, right }),
        (name.clone(), any::<u8>()).prop_map(|(name, value)| Step::Put { name, value }),
        name.prop_map(|name| Step::Delete { name }),
        any::<u8>().prop_map(|number| Step::Append { number }),
    ]
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let older = prop_oneof![4 => Just(0), 1 => Just(1_u64)];
    let trim = (older, 1..5_u64, any::<bool>());
    let act = prop_oneof![
        3 => prop::collection::vec(step(), 1..6).prop_map(Act::Change),
        1 => trim.prop_map(|(older, count, is_told)| Act::Trim { older, count, is_told }),
    ];
    prop::collection::vec(act, 1..16)
}

/// What a store should hold.
#[derive(Clone, Default)]
struct Model {
    records: BTreeMap<u8, Vec<u8>>,
    log: BTreeMap<u64, Vec<u8>>,
    last: u64,
}

impl Model {
    /// Entries about one user: only those are numbered in the order of their commits.
    fn append(&mut self, batch: &mut Batch, number: u8) {
        self.last += 1;
        self.log.insert(self.last, entry("ann", number.into()));
        batch.append(entry("ann", number.into()));
    }

    /// The batch of an act, and whether the engine has to take it; applies it as if.
    async fn apply(&mut self, act: Act, engine: &dyn Engine) -> (Batch, bool) {
        let (mut batch, mut fits) = (Batch::new(), true);
        match act {
            Act::Change(steps) => {
                for step in steps {
                    fits &= self.step(step, &mut batch, engine).await;
                }
            }
            Act::Trim { older, count, is_told } => {
                let first = self.last + 1 - self.log.len() as u64 + older;
                let last = first + count - 1;
                fits = older == 0 && last <= self.last;
                let entries = first..=last;
                self.log.retain(|number, _| !entries.contains(number));
                batch.trim(entries);
                if is_told {
                    self.append(&mut batch, 0);
                }
            }
        }
        (batch, fits)
    }

    async fn step(&mut self, step: Step, batch: &mut Batch, engine: &dyn Engine) -> bool {
        match step {
            Step::Expect { name, right } => {
                let current = version(engine, &name.to_string()).await;
                let other = current.is_none().then_some(Version(1));
                batch.expect(key(&name.to_string()), if right { current } else { other });
                return right;
            }
            Step::Put { name, value } => {
                batch.put(key(&name.to_string()), vec![value]);
                self.records.insert(name, vec![value]);
            }
            Step::Delete { name } => {
                batch.delete(key(&name.to_string()));
                self.records.remove(&name);
            }
            Step::Append { number } => self.append(batch, number),
        }
        true
    }

    async fn compare(&self, engine: &dyn Engine) {
        for name in 0..4_u8 {
            assert_eq!(value(engine, &name.to_string()).await.as_ref(), self.records.get(&name));
        }
        assert_eq!(trail(engine).await, self.log.clone().into_iter().collect::<Vec<_>>());
        let notes = engine.scan(&Key::activity("shop", "ann"), None, 1_000).await.unwrap();
        let numbers = notes.iter().map(|(note, _)| note.activity_sequence().unwrap());
        assert!(numbers.eq(self.log.keys().rev().copied()), "newest first");
    }
}

fn hold(site: impl Future<Output = Site>, acts: Vec<Act>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let site = site.await;
        let engine = site.open().await;
        let mut model = Model::default();
        for act in acts {
            let mut after = model.clone();
            let (batch, fits) = after.apply(act, &*engine).await;
            match engine.commit(batch).await {
                Ok(()) if fits => model = after,
                Err(CommitError::Conflict(_)) if !fits => {}
                outcome => panic!("{outcome:?}, and it should {}be taken", if fits { "" } else { "not " }),
            }
            model.compare(&*engine).await;
        }
        engine.close().await.unwrap();
        drop(engine);
        // A start compares what is there with the head.
        model.compare(&*site.open().await).await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// The same batches on plain values: what is refused, and what is there afterwards.
    #[test]
    fn over_sled_batches_do_what_they_do_to_plain_values(acts in acts()) {
        hold(async { Site::sled() }, acts);
    }

    /// The same.
    #[test]
    fn over_postgres_batches_do_what_they_do_to_plain_values(acts in acts()) {
        hold(Site::postgres(), acts);
    }
}
