use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::store::keys::{Key, Kind};

fn database(keys: impl IntoIterator<Item = Vec<u8>>) -> (TempDir, ::sled::Db) {
    let folder = TempDir::new().unwrap();
    let db = ::sled::open(folder.path()).unwrap();
    let mut batch = ::sled::Batch::default();
    keys.into_iter().for_each(|key| batch.insert(key, b"value"));
    db.apply_batch(batch).unwrap();
    (folder, db)
}

/// How often each key was shown.
fn shown(db: &::sled::Db, threads: usize) -> BTreeMap<Vec<u8>, usize> {
    let visitors = vec![Vec::new(); threads];
    let visitors = share(db, visitors, |keys: &mut Vec<_>, key, bytes| {
        assert_eq!(bytes, b"value");
        keys.push(key.to_vec());
    });
    count(visitors.unwrap().into_iter().flatten())
}

fn count(keys: impl Iterator<Item = Vec<u8>>) -> BTreeMap<Vec<u8>, usize> {
    let mut counts = BTreeMap::new();
    keys.for_each(|key| *counts.entry(key).or_default() += 1);
    counts
}

/// What a walk by one thread shows.
fn wanted(db: &::sled::Db) -> BTreeMap<Vec<u8>, usize> {
    count(walk::records(db).map(|entry| entry.unwrap().0.to_vec()))
}

fn account(number: usize) -> Vec<u8> {
    Key::account("shop", &number.to_string()).as_bytes().to_vec()
}

#[test]
fn nothing_and_one_record_are_shared_as_well() {
    let (_folder, db) = database([]);
    assert_eq!(shown(&db, 4), BTreeMap::new());
    let (_folder, db) = database([account(1)]);
    assert_eq!(shown(&db, 4), BTreeMap::from([(account(1), 1)]));
}

#[test]
fn each_record_is_shown_once_to_one_of_several() {
    // Thousands under one prefix, as stores have them, and some before and after the audit log, which is left out.
    let few = [Kind::App, Kind::Outbox, Kind::TrustedBrowser, Kind::Language];
    let few = few.map(|kind| Key::of(kind).part("shop").as_bytes().to_vec());
    let own =
        [Key::meta("head"), Key::meta("store"), Key::audit(1), Key::audit(2), Key::activity("shop", "1")];
    let keys = (0..6_000).map(account).chain(few).chain(own.map(|key| key.as_bytes().to_vec()));
    let (_folder, db) = database(keys);
    let wanted = wanted(&db);
    assert_eq!(wanted.len(), 6_004);
    for threads in [1, 2, 8] {
        assert_eq!(shown(&db, threads), wanted, "{threads} threads");
    }
}

#[test]
fn whoever_waits_is_given_the_upper_half() {
    let (_folder, db) = database((0..2_000).map(account));
    let work = Work::of(vec![(Bound::Unbounded, Bound::Unbounded)]);
    work.lock().idle = 1;
    let mut below = Vec::new();
    work.next().unwrap().walk(&db, |key, _| below.push(key.to_vec())).unwrap();
    let mut above = Vec::new();
    work.lock().idle = 0;
    while let Some(turn) = work.next() {
        turn.walk(&db, |key, _| above.push(key.to_vec())).unwrap();
    }
    assert!(below.last() < above.iter().min(), "one part is below the other");
    assert!(above.len() > 500, "about half of what was left: {}", above.len());
    assert_eq!(count(below.into_iter().chain(above)), wanted(&db));
}

#[test]
fn who_cannot_go_on_ends_it_for_all() {
    let (_folder, db) = database((0..2_000).map(account));
    let refuse = |_: &mut u8, _: &[u8], _: &[u8]| panic!("as sled does");
    let panicked = catch_unwind(AssertUnwindSafe(|| share(&db, vec![0; 3], refuse).map(drop)));
    assert!(panicked.is_err());
}

proptest! {
    #[test]
    fn a_cut_range_has_each_record_in_one_of_its_parts(
        keys in proptest::collection::btree_set(proptest::collection::vec(0_u8..3, 0..4), 1..20),
        (start, end, place) in (0..20_usize, 0..20_usize, 0..20_usize),
        (with_start, with_end) in (any::<bool>(), any::<bool>()),
    ) {
        // All of them at keys of records.
        let at = |number: usize| keys.iter().nth(number % keys.len()).unwrap().clone();
        let (start, end) = (at(start).min(at(end)), at(start).max(at(end)));
        prop_assume!(start < end);
        let mut range = (
            if with_start { Bound::Included(start) } else { Bound::Excluded(start) },
            if with_end { Bound::Included(end) } else { Bound::Excluded(end) },
        );
        let inside = |range: &Range| keys.iter().filter(|key| range.contains(*key)).cloned().collect::<Vec<_>>();
        let whole = inside(&range);
        let upper = cut(&mut range, at(place));
        let parts = [Some(range), upper].into_iter().flatten().flat_map(|part| inside(&part)).collect::<Vec<_>>();
        prop_assert_eq!(parts, whole);
    }

    #[test]
    fn a_middle_is_after_the_first_key_and_at_most_at_the_last(
        one in proptest::collection::vec(any::<u8>(), 0..12),
        other in proptest::collection::vec(any::<u8>(), 0..12),
        common in proptest::collection::vec(any::<u8>(), 0..6),
    ) {
        let [from, to] = [one.clone().min(other.clone()), one.max(other)].map(|end| [common.clone(), end].concat());
        if let Some(middle) = middle(&from, &to) {
            prop_assert!(from < middle);
            // Zeros at the end of a key are as good as none.
            prop_assert!(middle <= [&to[..], &[0; 8]].concat());
        }
    }
}

#[test]
fn a_middle_is_half_way() {
    assert_eq!(middle(b"a\x10", b"a\x30"), Some(b"a\x20\0\0\0\0\0\0\0".to_vec()));
    assert_eq!(middle(b"a", b"a"), None);
    assert_eq!(middle(b"b", b"a"), None);
}
