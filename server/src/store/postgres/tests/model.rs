//! Batches beside a plain map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// One of the operations of the property below.
#[derive(Clone, Debug)]
enum Step {
    Expect { name: u8, right: bool },
    Put { name: u8, value: u8 },
    Delete { name: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let name = 0..4_u8;
    prop_oneof![
        (name.clone(), prop::bool::weighted(0.9)).prop_map(|(name, right)| Step::Expect { name, right }),
        (name.clone(), any::<u8>()).prop_map(|(name, value)| Step::Put { name, value }),
        name.prop_map(|name| Step::Delete { name }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// The same batches on a plain map: what is refused, and what is there afterwards.
    #[test]
    fn batches_do_what_they_do_to_a_map(batches in prop::collection::vec(prop::collection::vec(step(), 1..6), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let engine = open().await;
            let mut model: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
            for steps in batches {
                let (mut batch, mut after, mut fits) = (batch(), model.clone(), true);
                for step in steps {
                    match step {
                        Step::Expect { name, right } => {
                            let current = version(&engine, &name.to_string()).await;
                            let other = current.is_none().then_some(crate::store::Version(1));
                            batch.expect(key(&name.to_string()), if right { current } else { other });
                            fits &= right;
                        }
                        Step::Put { name, value } => {
                            batch.put(key(&name.to_string()), vec![value]);
                            after.insert(name, vec![value]);
                        }
                        Step::Delete { name } => {
                            batch.delete(key(&name.to_string()));
                            after.remove(&name);
                        }
                    }
                }
                let outcome = engine.commit(batch).await;
                assert_eq!(outcome.is_ok(), fits, "{outcome:?}");
                if fits {
                    model = after;
                }
                for name in 0..4_u8 {
                    assert_eq!(value(&engine, &name.to_string()).await.as_ref(), model.get(&name));
                }
            }
        });
    }
}
