//! Connections that are lost, left or not to be trusted.

use super::*;

#[tokio::test]
async fn more_tasks_are_led_than_there_are_connections() {
    let engine = open().await;
    let mut leads = Vec::new();
    for task in 0..30 {
        leads.push(engine.lead(&format!("outbox {task}")).await.unwrap().unwrap());
    }
    assert!(engine.lead("outbox 7").await.unwrap().is_none());
}

#[tokio::test]
async fn a_lost_connection_fails_one_call_and_the_next_ones_go_on() {
    let engine = open().await;
    put(&engine, "a", b"1").await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let client = engine.shared.client().await.unwrap();
    client.batch_execute(end).await.unwrap();
    drop(client);
    // Each of the pool's connections may fail one call before it is known to be lost.
    let mut failures = 0;
    let again = async || {
        let mut batch = batch();
        batch.put(key("a"), b"2".to_vec());
        engine.commit(batch).await.is_err() || engine.get(&key("a")).await.is_err()
    };
    while again().await {
        failures += 1;
        assert!(failures < 20);
    }
    assert_eq!(value(&engine, "a").await.unwrap(), b"2");
}

#[tokio::test]
async fn a_server_that_would_lose_what_it_acknowledges_is_refused() {
    let options = Options { volatile: false, ..database().await };
    let refused = PostgresEngine::open(&options, [7; 16]).await.unwrap_err().to_string();
    assert!(refused.contains("fsync = off"), "{refused}");
}

#[tokio::test]
async fn a_statement_outside_of_a_transaction_writes_nothing() {
    let engine = open().await;
    let client = engine.shared.client().await.unwrap();
    // What is sent after a BEGIN that failed.
    let alone = client.batch_execute("INSERT INTO record VALUES ('\\x01', 1, '')").await.unwrap_err();
    assert_eq!(alone.code().unwrap().code(), "25006");
    put(&engine, "a", b"1").await;
}

#[tokio::test]
async fn a_connection_whose_answer_nobody_waits_for_is_not_lent_again() {
    let options = Options { pool_size: 1, ..database().await };
    let engine = PostgresEngine::open(&options, [7; 16]).await.unwrap();
    put(&engine, "a", b"1").await;
    let other = stranger(&options).await;
    let pulses = stranger(&options).await;
    other.batch_execute("BEGIN; LOCK TABLE record IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let place = key("a");
    tokio::select! {
        _ = engine.shared.get(&place) => panic!("the table is locked"),
        () = somebody_waits(&pulses) => {}
    }
    // The only connection is busy for some time, and the next one is new.
    assert_eq!(engine.scan(&Key::of(Kind::Audit), None, 10).await.unwrap(), []);
    assert_eq!(engine.shared.requests.room(), 0, "no further one");
    other.batch_execute("ROLLBACK").await.unwrap();
    while engine.shared.requests.room() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(value(&engine, "a").await.unwrap(), b"1");
}

#[tokio::test]
async fn a_read_that_nobody_waits_for_any_more_gives_its_connection_back() {
    let options = Options { pool_size: 1, ..database().await };
    let engine = PostgresEngine::open(&options, [7; 16]).await.unwrap();
    put(&engine, "a", b"1").await;
    let (other, look) = (stranger(&options).await, stranger(&options).await);
    other.batch_execute("BEGIN; LOCK TABLE record IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let place = key("a");
    tokio::select! {
        _ = engine.get(&place) => panic!("the table is locked"),
        () = somebody_waits(&look) => {}
    }
    assert_eq!(engine.shared.requests.room(), 1, "none is abandoned");
    other.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(value(&engine, "a").await.unwrap(), b"1");
    assert_eq!(engine.shared.requests.room(), 1);
}

/// A standby that is waited for and is not there: what is committed can be lost, so nothing is told of it.
#[tokio::test]
async fn while_commits_are_not_confirmed_nothing_is_read_and_nobody_starts() {
    let options = super::testing::database_of_its_own().await;
    let engine = PostgresEngine::open(&options, [7; 16]).await.unwrap();
    put(&engine, "a", b"1").await;
    let operator = stranger(&options).await;
    let set = async |sql| {
        operator.batch_execute(sql).await.unwrap();
        operator.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    };
    set("ALTER SYSTEM SET synchronous_standby_names = 'nobody'").await;
    while engine.is_healthy() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(PostgresEngine::open(&options, [7; 16]).await.is_err());
    let refused = loop {
        if let Err(error) = engine.get(&key("a")).await {
            break error;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(refused.to_string().contains("confirms no commits"), "{refused}");
    set("ALTER SYSTEM RESET synchronous_standby_names").await;
    while !engine.is_healthy() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(value(&engine, "a").await.unwrap(), b"1");
    put(&engine, "a", b"2").await;
}
