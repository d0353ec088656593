//! The audit log in the database.

use std::collections::BTreeMap;

use super::*;
use crate::store::retention::{Retention, trim};

/// Commits of one account over several processes, each of them with two entries: the trail has them in the account's order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn entries_about_an_account_are_numbered_in_the_order_of_its_commits_without_gaps() {
    let options = database().await;
    let mut writers = Vec::new();
    for process in 0..3 {
        let engine = Arc::new(PostgresEngine::open(&options, [7; 16]).await.unwrap());
        for user in ["ann", "bob", "cyd"] {
            let engine = Arc::clone(&engine);
            writers.push(tokio::spawn(async move {
                let mut done = 0;
                while done < 40 {
                    let found = engine.get(&key(user)).await.unwrap();
                    let count =
                        found.as_ref().map_or(0, |r| u32::from_be_bytes(r.value[..].try_into().unwrap()));
                    let mut batch = batch();
                    batch.decided_at(NOW.plus(process * 7));
                    batch
                        .expect(key(user), found.map(|r| r.version))
                        .put(key(user), (count + 2).to_be_bytes().to_vec());
                    batch.append(entry(user, count)).append(entry(user, count + 1));
                    done += u32::from(engine.commit(batch).await.is_ok());
                }
                engine
            }));
        }
    }
    let engines: Vec<_> =
        futures_util::future::join_all(writers).await.into_iter().map(Result::unwrap).collect();
    let trail = trail(&engines[4]).await;
    assert_eq!(trail.iter().map(|(number, _)| *number).collect::<Vec<_>>(), (1..=720).collect::<Vec<_>>());
    let mut by_user: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (_, entry) in &trail {
        by_user.entry(entry["user"].as_str().unwrap()).or_default().push(entry["number"].as_u64().unwrap());
    }
    for numbers in by_user.values() {
        assert_eq!(*numbers, (0..240).collect::<Vec<_>>());
    }
    assert_eq!(engines[0].audit_log().start(), &1);
    let notes = engines[0].scan(&Key::activity("shop", "ann"), None, 1_000).await.unwrap();
    let newest: Vec<_> = notes.iter().map(|(note, _)| note.activity_sequence().unwrap()).collect();
    assert!(newest.len() == 240 && newest.is_sorted_by(|a, b| a > b), "newest first");
}

#[tokio::test]
async fn who_reads_the_log_finds_what_was_committed_before() {
    let options = database().await;
    let one = PostgresEngine::open(&options, [7; 16]).await.unwrap();
    let other = PostgresEngine::open(&options, [7; 16]).await.unwrap();
    for number in 0..30_u8 {
        let mut batch = batch();
        batch.append(entry("ann", number.into())).append(b"{}".to_vec());
        one.commit(batch).await.unwrap();
        let notes = other.scan(&Key::activity("shop", "ann"), None, 1_000).await.unwrap();
        assert_eq!(notes.len(), usize::from(number) + 1);
        assert_eq!(trail(&other).await.len(), 2 * (usize::from(number) + 1));
    }
}

#[tokio::test]
async fn entries_that_are_over_go_although_they_have_no_number_yet() {
    let retention = Retention { seconds: Some(86_400), entries: None };
    let keyring = Keyring::parse(&MasterKey::generate(&mut Entropy).to_line()).unwrap();
    let keyring = Arc::new(crate::swap::Swap::new(keyring));
    // Whether it has one by then is not the same each time.
    for _ in 0..4 {
        let store = Store::new(Arc::new(open().await), Arc::clone(&keyring));
        let mut batch = batch();
        batch.append(entry("ann", 1));
        store.engine().commit(batch).await.unwrap();
        assert_eq!(trim(&store, retention, NOW.plus(2 * 86_400)).await, Ok(1));
        let kept = store.engine().scan(&Key::activity("shop", "ann"), None, 10).await.unwrap();
        assert_eq!(kept.len(), 0);
    }
}

#[tokio::test]
async fn a_trim_that_collides_with_an_entry_is_made_again() {
    let options = database().await;
    let engine = Arc::new(PostgresEngine::open(&options, [7; 16]).await.unwrap());
    let mut many = batch();
    many.append(entry("ann", 1)).append(entry("ann", 2));
    engine.commit(many).await.unwrap();
    assert_eq!(trail(&engine).await.len(), 2);
    let (other, told) = (stranger(&options).await, b"{\"told\":true}".to_vec());
    other.batch_execute("BEGIN").await.unwrap();
    let append = "INSERT INTO audit_pending VALUES ($1, 1, 0, '{}')";
    let subject = crate::store::activity::subject(&told);
    other.execute(append, &[&subject.as_bytes()]).await.unwrap();
    let trimming = tokio::spawn({
        let engine = Arc::clone(&engine);
        let mut batch = batch();
        batch.trim(1..=1).append(told);
        async move { engine.commit(batch).await }
    });
    somebody_waits(&stranger(&options).await).await;
    other.batch_execute("COMMIT").await.unwrap();
    trimming.await.unwrap().unwrap();
    assert_eq!(trail(&engine).await.len(), 3);
}
