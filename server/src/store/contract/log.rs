//! The audit log.

use std::ops::RangeInclusive;

use sidekey_core::time::UnixTime;

use super::*;
use crate::maintenance::check::check_engine;
use crate::store::engine::MAX_TRIM;
use crate::store::head::base;

const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

over_every_engine! {
    entries_are_numbered_without_gaps_also_after_reopening,
    the_oldest_entries_go_and_the_log_is_whole_from_its_base_on,
}

async fn entries_are_numbered_without_gaps_also_after_reopening(site: Site) {
    for round in 0..3 {
        let engine = site.open().await;
        let mut refused = Batch::new();
        refused.append(entry("ann", 99)).expect(key("missing"), Some(Version(1)));
        assert!(matches!(engine.commit(refused).await, Err(CommitError::Conflict(_))));
        let mut two = Batch::new();
        two.decided_at(NOW.plus(round)).append(entry("ann", 2 * round)).append(entry("ann", 2 * round + 1));
        engine.commit(two).await.unwrap();
        engine.close().await.unwrap();
    }
    let engine = site.open().await;
    let wanted: Vec<_> = (1..=6).map(|number| (number, entry("ann", number - 1))).collect();
    assert_eq!(trail(&*engine).await, wanted);
    assert_eq!(engine.audit_log(), 1..=6);
    engine.close().await.unwrap();
    drop(engine);
    assert_eq!(site.open().await.high_water(), NOW.plus(2));
}

async fn the_oldest_entries_go_and_the_log_is_whole_from_its_base_on(site: Site) {
    let engine = site.open().await;
    let mut ten = Batch::new();
    for number in 0..10 {
        ten.append(entry("ann", number));
    }
    engine.commit(ten).await.unwrap();
    assert_eq!(trail(&*engine).await.len(), 10);
    let trimming = |entries| {
        let mut batch = Batch::new();
        batch.trim(entries).append(b"{\"told\":true}".to_vec());
        batch
    };
    let none = RangeInclusive::new(1, 0);
    for wrong in [2..=4, 0..=1, 1..=11, 11..=11, none] {
        let refused = engine.commit(trimming(wrong.clone())).await;
        assert!(matches!(refused, Err(CommitError::Conflict(_))), "{wrong:?} {refused:?}");
    }
    let refused = engine.commit(trimming(1..=MAX_TRIM + 1)).await;
    assert!(matches!(refused, Err(CommitError::TooLarge { .. })), "{refused:?}");
    let among_others = [
        trimming(1..=4).put(key("a"), Vec::new()).clone(),
        trimming(1..=4).delete(key("a")).clone(),
        trimming(1..=4).expect(key("a"), None).clone(),
        trimming(1..=4).fence(key("a"), Vec::new()).clone(),
    ];
    for batch in among_others {
        assert_eq!(engine.commit(batch).await, Err(CommitError::NotAlone));
    }
    assert_eq!(trail(&*engine).await.len(), 10, "nothing has gone, and nothing is told");

    engine.commit(trimming(1..=4)).await.unwrap();
    let again = engine.commit(trimming(1..=4)).await;
    assert!(matches!(again, Err(CommitError::Conflict(_))), "{again:?}");
    let numbers = async || trail(&*engine).await.into_iter().map(|(number, _)| number).collect::<Vec<_>>();
    assert_eq!(numbers().await, [5, 6, 7, 8, 9, 10, 11]);
    assert_eq!((engine.audit_log(), base(&*engine).await.unwrap().sequence()), (5..=11, 4));
    let notes = engine.scan(&Key::activity("shop", "ann"), None, 100).await.unwrap();
    assert_eq!(notes.len(), 6);
    assert_eq!(check_engine(&*engine, None, |_, _| {}).await.unwrap().findings, []);

    engine.commit(Batch::new().trim(5..=11).clone()).await.unwrap();
    assert!(numbers().await.is_empty());
    assert!(engine.audit_log().is_empty());
    assert_eq!(check_engine(&*engine, None, |_, _| {}).await.unwrap().findings, []);
    engine.close().await.unwrap();
    drop(engine);
    let engine = site.open().await;
    assert_eq!(base(&*engine).await.unwrap().sequence(), 11);
    engine.commit(Batch::new().append(entry("ann", 10)).clone()).await.unwrap();
    assert_eq!(trail(&*engine).await, [(12, entry("ann", 10))]);
}
