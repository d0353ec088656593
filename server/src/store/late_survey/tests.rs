use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::store::engine::{Batch, CommitError, Engine};
use crate::store::keys::{Key, Kind};
use crate::store::sled::{Options, SledEngine, SurveyAt};

const RECORDS: u64 = 2_000;

/// As a server opens it, but for the size from which on a store is large.
fn open(folder: &Path) -> Result<SledEngine, String> {
    let survey = SurveyAt::StartUnlessClosed { records: 1 };
    let options = Options { cache_bytes: 8 << 20, survey, ..Options::new([7; 16]) };
    SledEngine::open(folder, &options).map_err(|error| error.to_string())
}

fn key(number: u64) -> Key {
    Key::of(Kind::Session).number(number)
}

/// A store with some records, as a first run has left it.
async fn closed_store() -> TempDir {
    let folder = TempDir::new().unwrap();
    let engine = open(folder.path()).unwrap();
    assert!(engine.is_looked_through(), "there is nothing to look at");
    for first in (0..RECORDS).step_by(500) {
        let mut batch = Batch::new();
        for number in first..first + 500 {
            batch.put(key(number), b"value".to_vec());
        }
        engine.commit(batch.append(b"{}".to_vec()).clone()).await.unwrap();
    }
    engine.close().await.unwrap();
    folder
}

/// The database of a store that nobody has open any more; sled's threads may have it a moment longer.
fn database(folder: &Path) -> ::sled::Db {
    loop {
        match ::sled::open(folder.join("sled")) {
            Err(::sled::Error::Io(error)) if error.to_string().contains("could not acquire lock") => {
                thread::yield_now();
            }
            opened => return opened.unwrap(),
        }
    }
}

/// Takes a record out of it.
fn lose(folder: &Path, key: &Key) {
    let db = database(folder);
    assert!(db.remove(key.as_bytes()).unwrap().is_some());
    db.flush().unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_after_a_close_in_good_order_ends_the_server_that_has_started() {
    let folder = closed_store().await;
    lose(folder.path(), &key(77));
    let engine = open(folder.path()).unwrap();
    let reason = engine.failed().await;
    assert!(reason.contains("2000 records should be there, and 1 of them are gone"), "{reason}");
    assert!(reason.contains("sidekey verify") && reason.contains("sidekey restore"), "{reason}");
    assert!(!engine.is_looked_through());
    let refused = engine.commit(Batch::new().put(key(1), vec![]).clone()).await.unwrap_err();
    assert!(matches!(refused, CommitError::Store(_)), "{refused:?}");
    assert!(engine.get(&key(1)).await.is_err());
    drop(engine);
    // There is no note any more.
    assert!(open(folder.path()).unwrap_err().contains("1 of them are gone"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_is_named() {
    let folder = closed_store().await;
    let db = database(folder.path());
    let mut bytes = db.get(key(3).as_bytes()).unwrap().unwrap().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    db.insert(key(3).as_bytes(), bytes).unwrap();
    drop(db);
    let reason = open(folder.path()).unwrap().failed().await;
    assert!(reason.contains(&key(3).to_string()) && reason.contains("wrong checksum"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_anything_but_a_close_in_good_order_nobody_is_served_before_all_was_read() {
    let folder = closed_store().await;
    let crashed = TempDir::new().unwrap();
    let engine = open(folder.path()).unwrap();
    engine.commit(Batch::new().put(key(RECORDS), vec![]).clone()).await.unwrap();
    // What a process leaves that is killed now.
    copy(folder.path(), crashed.path());
    engine.close().await.unwrap();
    lose(crashed.path(), &key(77));
    assert!(open(crashed.path()).unwrap_err().contains("1 of them are gone"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_of_another_state_than_the_database_s_is_none() {
    let folder = closed_store().await;
    let noted = fs::read(folder.path().join("head")).unwrap();
    let engine = open(folder.path()).unwrap();
    engine.commit(Batch::new().put(key(RECORDS), vec![]).clone()).await.unwrap();
    engine.close().await.unwrap();
    drop(engine);
    fs::write(folder.path().join("head"), noted).unwrap();
    lose(folder.path(), &key(77));
    assert!(open(folder.path()).unwrap_err().contains("1 of them are gone"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_it_has_all_read_before_anything_else() {
    let folder = closed_store().await;
    lose(folder.path(), &key(77));
    let refused = SledEngine::open(folder.path(), &Options::new([7; 16])).unwrap_err().to_string();
    assert!(refused.contains("1 of them are gone"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_during_the_survey_count_once() {
    let folder = closed_store().await;
    for round in 0..5_u64 {
        let engine = Arc::new(open(folder.path()).unwrap());
        let mut number = round;
        // Before, behind and at the place that is read: records change, go, and come.
        while !engine.is_looked_through() {
            number = (number * 7_919 + 1) % RECORDS;
            let mut batch = Batch::new();
            batch.put(key(number), number.to_be_bytes().to_vec()).delete(key(RECORDS - 1 - number));
            batch.put(key(RECORDS + number % 10), b"new".to_vec()).append(b"{}".to_vec());
            engine.commit(batch).await.unwrap();
        }
        engine.close().await.unwrap();
        drop(engine);
    }
    // All of them ended well, so that this one is put off, and finds the same.
    let engine = open(folder.path()).unwrap();
    while !engine.is_looked_through() {
        assert!(engine.is_healthy());
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_need_not_wait_for_it() {
    struct Nothing;
    impl Visitor for Nothing {
        fn total(&mut self, _: u64) {}
        fn record(&mut self, _: &[u8], _: &[u8]) -> Result<(), String> {
            Ok(())
        }
        fn correction(&mut self, _: &[u8], _: Option<&Header>, _: Option<&[u8]>) -> Result<(), String> {
            Ok(())
        }
        fn log(&mut self, _: Base) -> Result<(), String> {
            Ok(())
        }
    }
    let folder = closed_store().await;
    let engine = open(folder.path()).unwrap();
    for _ in 0..5 {
        engine.walk(Box::new(Nothing)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_to_stop_says_nothing() {
    let folder = closed_store().await;
    let db = database(folder.path());
    let head = |_| Ok(crate::store::head::Head::default());
    assert_eq!(look_through(&db, &AtomicBool::new(true), &head, &head), None);
    // It would have had to say something: this head knows of nothing.
    let said = look_through(&db, &AtomicBool::new(false), &head, &head);
    assert!(said.is_some_and(|said| said.unwrap_err().contains("there are 2000 more")));
}
