//! A batch as one transaction in one round trip.
//!
//! ```text
//! BEGIN            READ WRITE, at READ COMMITTED
//! check            locks every record that is expected, by key; fails where one has not the expected version
//! insert           the records that are expected to be absent; fails where one is there
//! put, delete      what else the batch writes
//! append           its audit entries, without numbers
//! fence            fails where another value stands at a place that all may read at once
//! COMMIT           confirmed when it is on disk (see `connect`)
//! ```
//!
//! All of it is sent before the first answer is waited for. Where a statement fails, the server skips those after it and COMMIT
//! becomes a rollback; so a batch is committed exactly if every answer was good, COMMIT's among them. Where BEGIN itself fails, each
//! statement after it is a transaction of its own and would write alone: none may, because they read only then.
//!
//! **Why at most one of two decisions that rest on the same state is committed.** Each key that a batch expects has an exclusive
//! lock from the check to the end of the transaction: the row's, or, where it must be absent, that of its entry in the unique
//! index, which an insert takes. For a key that is expected to be absent and not written, that is a placeholder which the same
//! transaction deletes again. Whoever comes second waits for the lock; under READ COMMITTED it then sees the newest committed
//! row (`PostgreSQL`'s manual, 13.2.1: the row is locked and its condition looked at again), and its version is another one, or
//! its insert finds the key taken: nothing of it is applied. Keys that are only written are locked by the write; one that is only
//! deleted is written first, because a DELETE of what is not there locks nothing. So
//! transactions on a key go one after the other in the order of their commits, every expectation was true at the moment of the
//! commit, and any two batches of which one writes what the other expects are as if one had been made after the other (two-phase
//! locking with all locks held to the end). No snapshot is older than the locks that it rests on, because each statement takes a
//! fresh one. SERIALIZABLE would give the same and fail more often: its locks on pages of an index also hit neighbours.
//!
//! Locks are taken in the order of keys within each statement; where two batches still wait for each other in a ring, the
//! server ends one of them (40P01), and it is sent again, a few times.
//!
//! **A fence locks nothing, and nobody slips past it unseen.** Its check is the last statement, so the transaction T has its
//! number by then, and it sees the newest committed fence. If it does not see the fence F, T had its number before F could be
//! seen. Whoever put up F draws a number after F was confirmed, which is above T's, and waits until no transaction below that number
//! is under way ([`settled`]): then T can be seen as a whole, or never will be. A transaction counts as under way until its
//! wait for the standbys is over.
//!
//! An answer that does not come leaves the outcome unknown. The batch is not sent again then, and its caller is told nothing.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn, ready};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use deadpool_postgres::Object;
use futures_util::future::Either;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Statement, Transaction};

use super::connections::{Connections, Lent};
use super::error::{Verdict, unavailable};
use crate::entropy;
use crate::store::activity;
use crate::store::engine::{Batch, CommitError, StoreError, Version, Write};
use crate::store::keys::Key;
use crate::store::record;

/// How often a batch is sent that collides with others without a conflict.
const ATTEMPTS: u32 = 6;
/// Milliseconds to wait before that at most, twice as many each time.
const BACK_OFF: u64 = 4;
/// After that, the connection is dropped and nobody is told anything.
const PATIENCE: Duration = Duration::from_secs(15);

/// Statements that are sent after a BEGIN that fails write nothing, because a transaction reads only unless it says this (`connect`).
const BEGIN: &str = "BEGIN READ WRITE";
/// Gives an error unless all of these records have these versions, and locks them.
const CHECK: &str = "
    SELECT 1 / CASE WHEN count(*) = $3 THEN 1 ELSE 0 END FROM (
        SELECT r.key FROM unnest($1::bytea[], $2::bigint[]) AS e (key, version)
        JOIN record r ON r.key = e.key AND r.version = e.version
        ORDER BY r.key FOR UPDATE OF r) AS held";
const INSERT: &str = "
    INSERT INTO record (key, version, value)
    SELECT n.key, $2, n.value FROM unnest($1::bytea[], $3::bytea[]) AS n (key, value) ORDER BY n.key";
const PUT: &str = "
    INSERT INTO record (key, version, value)
    SELECT n.key, $2, n.value FROM unnest($1::bytea[], $3::bytea[]) AS n (key, value) ORDER BY n.key
    ON CONFLICT (key) DO UPDATE SET version = excluded.version, value = excluded.value";
const DELETE: &str = "DELETE FROM record WHERE key = ANY ($1::bytea[])";
/// The place of an entry is one more than the last one that waits about the same; see `ledger` for why that keeps the order.
const APPEND: &str = "
    INSERT INTO audit_pending (subject, place, at, entry)
    SELECT n.subject, n.nth + coalesce((SELECT max(p.place) FROM audit_pending p WHERE p.subject = n.subject), 0), $4, n.entry
    FROM unnest($1::bytea[], $2::bigint[], $3::bytea[]) AS n (subject, nth, entry) ORDER BY n.subject, n.nth";

/// A record's value begins behind its header, see [`record`].
const FENCE: &str = "
    SELECT 1 / CASE WHEN EXISTS (SELECT FROM record WHERE key = $1 AND substring(value FROM $3) <> $2) THEN 0 ELSE 1 END";

/// What a batch does, each key once and in order.
#[derive(Debug, Default)]
struct Plan {
    held: Vec<(Key, Version)>,
    inserted: Vec<(Key, Vec<u8>)>,
    put: Vec<(Key, Vec<u8>)>,
    deleted: Vec<Key>,
    appended: Vec<(Key, i64, Vec<u8>)>,
    fence: Option<(Key, Vec<u8>)>,
    at: i64,
    version: i64,
}

impl Plan {
    fn of(batch: Batch, version: Version) -> Result<Self, CommitError> {
        let mut expected: BTreeMap<Key, Option<Version>> = BTreeMap::new();
        for (key, version) in batch.expected {
            if expected.get(&key).is_some_and(|other| *other != version) {
                return Err(CommitError::Conflict(key.to_string()));
            }
            expected.insert(key, version);
        }
        let mut writes: BTreeMap<Key, Option<Vec<u8>>> = BTreeMap::new();
        for write in batch.writes {
            match write {
                Write::Put(key, value) => {
                    let bytes = record::encode(&key, version, &value);
                    writes.insert(key, Some(bytes))
                }
                Write::Delete(key) => writes.insert(key, None),
            };
        }
        let at = i64::try_from(batch.decided_at.as_secs()).unwrap_or(i64::MAX);
        let (version, fence) = (version.0.cast_signed(), batch.fence);
        let mut plan = Self { fence, at, version, ..Self::default() };
        for (key, version) in expected {
            if let Some(version) = version {
                plan.held.push((key, version));
            } else if let Some(Some(bytes)) = writes.get_mut(&key) {
                plan.inserted.push((key.clone(), std::mem::take(bytes)));
                writes.remove(&key);
            } else {
                // The placeholder, which no other transaction ever sees.
                plan.inserted.push((key.clone(), Vec::new()));
                writes.insert(key, None);
            }
        }
        for (key, write) in writes {
            match write {
                Some(bytes) => plan.put.push((key, bytes)),
                None if plan.knows(&key) => plan.deleted.push(key),
                None => {
                    // A DELETE locks what is there, and where nothing is, nothing. Put first, it is there for all that come after.
                    plan.put.push((key.clone(), Vec::new()));
                    plan.deleted.push(key);
                }
            }
        }
        let mut nth: BTreeMap<Key, i64> = BTreeMap::new();
        for entry in batch.appended {
            let subject = activity::subject(&entry);
            let nth = nth.entry(subject.clone()).and_modify(|nth| *nth += 1).or_insert(1);
            plan.appended.push((subject, *nth, entry));
        }
        Ok(plan)
    }

    /// Whether an expectation has locked a key.
    fn knows(&self, key: &Key) -> bool {
        let inserted = self.inserted.binary_search_by(|(inserted, _)| inserted.cmp(key)).is_ok();
        inserted || self.held.binary_search_by(|(held, _)| held.cmp(key)).is_ok()
    }

    fn is_empty(&self) -> bool {
        self.held.is_empty()
            && self.inserted.is_empty()
            && self.put.is_empty()
            && self.deleted.is_empty()
            && self.appended.is_empty()
    }
}

/// Applies a batch that trims nothing.
///
/// # Errors
/// As [`Engine::commit`](crate::store::Engine::commit).
pub(super) async fn commit(connections: &Connections, batch: Batch) -> Result<(), CommitError> {
    let version = Version(u64::from_ne_bytes(entropy::random()));
    let plan = Plan::of(batch, version)?;
    if plan.is_empty() {
        return Ok(());
    }
    for attempt in 1..=ATTEMPTS {
        let client = connections.lend().await?;
        let Ok(outcome) = tokio::time::timeout(PATIENCE, carry_out(&client, &plan)).await else {
            return Err(StoreError::Unavailable("the database did not answer in time".to_owned()).into());
        };
        let failure = match outcome {
            Err((Verdict::Conflict, _)) => {
                return Err(CommitError::Conflict(mismatch(client, &plan, PATIENCE).await));
            }
            // The connection is lost, or in a state that nobody knows: it does not go back.
            Err((Verdict::Unavailable, error)) => return Err(unavailable(&error).into()),
            Err((Verdict::Fenced, _)) => Some(CommitError::Fenced),
            Err((Verdict::Again, error)) => {
                tracing::debug!(
                    attempt,
                    reason = super::error::sentence(&error),
                    "a commit collided with another"
                );
                None
            }
            Ok(()) => {
                client.give_back();
                return Ok(());
            }
        };
        client.give_back();
        if let Some(failure) = failure {
            return Err(failure);
        }
        // Those who append about one subject at once come one after another, and not all of them again and again.
        let most = BACK_OFF << attempt;
        tokio::time::sleep(Duration::from_millis(u64::from_ne_bytes(entropy::random()) % most)).await;
    }
    Err(CommitError::Conflict("another batch at once".to_owned()))
}

/// Adds the entries of a batch, and nothing else of it, to a transaction that is under way.
pub(super) async fn append(transaction: &Transaction<'_>, batch: &Batch) -> Result<(), Error> {
    let (appended, decided_at) = (batch.appended.clone(), batch.decided_at);
    let Ok(plan) = Plan::of(Batch { appended, decided_at, ..Batch::default() }, Version(0)) else {
        return Ok(());
    };
    for (subject, nth, entry) in &plan.appended {
        transaction
            .execute(
                APPEND,
                &[&[subject.as_bytes()].to_vec(), &[*nth].to_vec(), &[&entry[..]].to_vec(), &plan.at],
            )
            .await?;
    }
    Ok(())
}

/// Which expectation is not met, as far as that can still be told. The connection goes back, unless the answer did not come in
/// time: the next one to use it would wait for that.
async fn mismatch(client: Lent, plan: &Plan, patience: Duration) -> String {
    let asked = plan.held.iter().map(|(key, version)| (key, Some(version.0)));
    let asked: Vec<_> = asked.chain(plan.inserted.iter().map(|(key, _)| (key, None))).collect();
    let keys: Vec<_> = asked.iter().map(|(key, _)| key.as_bytes()).collect();
    let found = async {
        let statement =
            client.prepare_cached("SELECT key, version FROM record WHERE key = ANY ($1::bytea[])").await?;
        client.query(&statement, &[&keys]).await
    };
    let Ok(answer) = tokio::time::timeout(patience, found).await else { return "a record".to_owned() };
    client.give_back();
    let Ok(rows) = answer else { return "a record".to_owned() };
    let found: BTreeMap<&[u8], u64> =
        rows.iter().map(|row| (row.get(0), row.get::<_, i64>(1).cast_unsigned())).collect();
    let differs = asked.iter().find(|(key, version)| found.get(key.as_bytes()) != version.as_ref());
    differs.map_or_else(|| "a record".to_owned(), |(key, _)| key.to_string())
}

type Sent<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// Which statement an answer belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Frame,
    Append,
    Fence,
    Other,
}

async fn carry_out(client: &Object, plan: &Plan) -> Result<(), (Verdict, Error)> {
    let failed = |error| (Verdict::Unavailable, error);
    let keys = |records: &[(Key, Vec<u8>)]| {
        records.iter().map(|(key, _)| key.as_bytes().to_vec()).collect::<Vec<_>>()
    };
    let values =
        |records: &[(Key, Vec<u8>)]| records.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>();
    let prepare = async |sql, types: &[Type]| client.prepare_typed_cached(sql, types).await.map_err(failed);

    // Statements that are in use were prepared on this connection before: only its first commits wait here.
    let mut steps: Vec<(Step, Sent<'_>)> = vec![(Step::Frame, Box::pin(client.batch_execute(BEGIN)))];
    if !plan.held.is_empty() {
        let (keys, versions): (Vec<_>, Vec<_>) =
            plan.held.iter().map(|(key, version)| (key.as_bytes().to_vec(), version.0.cast_signed())).unzip();
        let count = i64::try_from(keys.len()).unwrap_or(i64::MAX);
        let check = prepare(CHECK, &[Type::BYTEA_ARRAY, Type::INT8_ARRAY, Type::INT8]).await?;
        steps.push((
            Step::Other,
            send(client, check, vec![Box::new(keys), Box::new(versions), Box::new(count)]),
        ));
    }
    for (sql, records) in [(INSERT, &plan.inserted), (PUT, &plan.put)] {
        if !records.is_empty() {
            let written = prepare(sql, &[Type::BYTEA_ARRAY, Type::INT8, Type::BYTEA_ARRAY]).await?;
            let parameters: Vec<Parameter> =
                vec![Box::new(keys(records)), Box::new(plan.version), Box::new(values(records))];
            steps.push((Step::Other, send(client, written, parameters)));
        }
    }
    if !plan.deleted.is_empty() {
        let deleted: Vec<_> = plan.deleted.iter().map(|key| key.as_bytes().to_vec()).collect();
        let delete = prepare(DELETE, &[Type::BYTEA_ARRAY]).await?;
        steps.push((Step::Other, send(client, delete, vec![Box::new(deleted)])));
    }
    if !plan.appended.is_empty() {
        let subjects: Vec<_> =
            plan.appended.iter().map(|(subject, _, _)| subject.as_bytes().to_vec()).collect();
        let nths: Vec<_> = plan.appended.iter().map(|(_, nth, _)| *nth).collect();
        let entries: Vec<_> = plan.appended.iter().map(|(_, _, entry)| entry.clone()).collect();
        let append =
            prepare(APPEND, &[Type::BYTEA_ARRAY, Type::INT8_ARRAY, Type::BYTEA_ARRAY, Type::INT8]).await?;
        let parameters: Vec<Parameter> =
            vec![Box::new(subjects), Box::new(nths), Box::new(entries), Box::new(plan.at)];
        steps.push((Step::Append, send(client, append, parameters)));
    }
    if let Some((key, value)) = &plan.fence {
        let fence = prepare(FENCE, &[Type::BYTEA, Type::BYTEA, Type::INT4]).await?;
        let first = i32::try_from(record::HEADER + 1).unwrap_or(i32::MAX);
        let parameters: Vec<Parameter> =
            vec![Box::new(key.as_bytes().to_vec()), Box::new(value.clone()), Box::new(first)];
        steps.push((Step::Fence, send(client, fence, parameters)));
    }
    steps.push((Step::Frame, Box::pin(client.batch_execute("COMMIT"))));
    pipeline(steps).await
}

type Parameter = Box<dyn ToSql + Sync + Send>;

fn send(client: &Object, statement: Statement, parameters: Vec<Parameter>) -> Sent<'_> {
    Box::pin(async move {
        let parameters: Vec<&(dyn ToSql + Sync)> =
            parameters.iter().map(|parameter| -> &(dyn ToSql + Sync) { &**parameter }).collect();
        client.execute(&statement, &parameters).await.map(drop)
    })
}

/// Sends all statements in their order, then waits for all answers; the first failure counts.
async fn pipeline(steps: Vec<(Step, Sent<'_>)>) -> Result<(), (Verdict, Error)> {
    let mut sent = Vec::with_capacity(steps.len());
    for (step, mut statement) in steps {
        // A statement is sent when it is polled for the first time.
        let answer = match poll_fn(|context| Poll::Ready(statement.as_mut().poll(context))).await {
            // The server has not said this: the statement was not sent, and nothing of the rest is, above all not COMMIT.
            Poll::Ready(Err(error)) if error.as_db_error().is_none() => {
                return Err((Verdict::Unavailable, error));
            }
            // The thread had to wait after it had sent it, and the answer is there already.
            Poll::Ready(answer) => Either::Left(ready(answer)),
            Poll::Pending => Either::Right(statement),
        };
        sent.push((step, answer));
    }
    let mut outcome = Ok(());
    for (step, answer) in sent {
        let answer = answer.await.map_err(|error| (verdict(step, &error), error));
        if outcome.is_ok() {
            outcome = answer;
        }
    }
    outcome
}

fn verdict(step: Step, error: &Error) -> Verdict {
    match (step, Verdict::of(error)) {
        // Another batch about the same appended at once, and this one shall come after it.
        (Step::Append, Verdict::Conflict) => Verdict::Again,
        (Step::Fence, Verdict::Conflict) => Verdict::Fenced,
        (Step::Frame, Verdict::Conflict) => Verdict::Unavailable,
        (_, verdict) => verdict,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures_util::FutureExt;
    use tokio_postgres::error::SqlState;

    use super::*;
    use crate::store::Kind;
    use crate::store::postgres::testing::database;

    fn key(name: &str) -> Key {
        Key::of(Kind::App).part(name)
    }

    fn names(keys: impl IntoIterator<Item = Key>) -> Vec<String> {
        keys.into_iter().map(|key| key.to_string()[5..].to_owned()).collect()
    }

    #[test]
    fn each_key_is_written_once_by_its_last_write_and_checked_by_its_expectation() {
        let mut batch = Batch::new();
        batch.expect(key("a"), Some(Version(1))).expect(key("b"), None).expect(key("c"), None);
        batch.put(key("a"), b"1".to_vec()).put(key("b"), b"1".to_vec()).put(key("b"), b"2".to_vec());
        batch.put(key("d"), b"1".to_vec()).delete(key("d")).delete(key("e")).put(key("e"), b"3".to_vec());
        let plan = Plan::of(batch, Version(7)).unwrap();
        let of = |records: &[(Key, Vec<u8>)]| names(records.iter().map(|(key, _)| key.clone()));
        assert_eq!(names(plan.held.iter().map(|(key, _)| key.clone())), ["x01a"]);
        assert_eq!(of(&plan.inserted), ["x01b", "x01c"]);
        assert_eq!(of(&plan.put), ["x01a", "x01d", "x01e"], "also what is deleted unseen");
        assert_eq!(names(plan.deleted.clone()), ["x01c", "x01d"], "with the placeholder");
        let written = record::decode(&key("b"), &plan.inserted[0].1).unwrap();
        assert_eq!((written.value, written.version), (b"2".to_vec(), Version(7)));
        assert!(plan.inserted[1].1.is_empty(), "a placeholder is no record");
    }

    #[test]
    fn expectations_that_contradict_each_other_are_a_conflict() {
        let mut batch = Batch::new();
        batch.expect(key("a"), Some(Version(1))).expect(key("a"), None);
        assert!(matches!(Plan::of(batch, Version(7)), Err(CommitError::Conflict(_))));
    }

    #[tokio::test]
    async fn a_connection_that_did_not_say_in_time_what_is_not_as_expected_is_not_lent_again() {
        let options = database().await;
        let connections = Connections::new(options.pool(1).unwrap());
        let client = connections.lend().await.unwrap();
        let (other, connection) = options.config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        other
            .batch_execute(
                "BEGIN; CREATE TABLE record (key bytea, version bigint); COMMIT; BEGIN; LOCK TABLE record",
            )
            .await
            .unwrap();
        let told = mismatch(client, &Plan::default(), Duration::ZERO).await;
        assert_eq!(
            (told.as_str(), connections.room()),
            ("a record", 0),
            "its answer is waited for elsewhere"
        );
    }

    #[tokio::test]
    async fn an_answer_that_is_there_at_once_counts_like_one_that_is_waited_for() {
        let options = database().await;
        let (client, connection) = options.config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let failed = async |sql| client.batch_execute(sql).await.unwrap_err();
        let (taken, aborted) = (
            failed("CREATE TEMP TABLE t (k int PRIMARY KEY); INSERT INTO t VALUES (1), (1)").await,
            failed("BEGIN; SELECT 1 / 0; COMMIT").await,
        );
        let is_sent = AtomicBool::new(false);
        let steps: Vec<(Step, Sent<'_>)> = vec![
            (Step::Frame, Box::pin(ready(Ok(())))),
            (Step::Other, Box::pin(ready(Err(taken)))),
            (Step::Other, Box::pin(tokio::task::yield_now().map(|()| Err(aborted)))),
            (
                Step::Frame,
                Box::pin(async {
                    is_sent.store(true, Ordering::Relaxed);
                    Ok(())
                }),
            ),
        ];
        let (verdict, error) = pipeline(steps).await.unwrap_err();
        assert_eq!((verdict, error.code()), (Verdict::Conflict, Some(&SqlState::UNIQUE_VIOLATION)));
        assert!(is_sent.into_inner(), "COMMIT is, and rolls back");
    }

    #[tokio::test]
    async fn after_a_statement_that_could_not_be_sent_nothing_is_sent() {
        let options = database().await;
        let (client, connection) = options.config.connect(tokio_postgres::NoTls).await.unwrap();
        drop(connection);
        let unsent = client.batch_execute("SELECT 1").await.unwrap_err();
        let steps: Vec<(Step, Sent<'_>)> = vec![
            (Step::Frame, Box::pin(ready(Ok(())))),
            (Step::Other, Box::pin(ready(Err(unsent)))),
            (Step::Frame, Box::pin(async { panic!("COMMIT is sent") })),
        ];
        let (verdict, error) = pipeline(steps).await.unwrap_err();
        assert_eq!((verdict, error.is_closed()), (Verdict::Unavailable, true));
    }

    #[test]
    fn entries_have_their_place_among_those_about_the_same() {
        let entry =
            |user: &str, what: u8| format!(r#"{{"app":"shop","user":"{user}","n":{what}}}"#).into_bytes();
        let mut batch = Batch::new();
        batch.append(entry("ann", 1)).append(entry("bob", 2)).append(entry("ann", 3)).append(b"{}".to_vec());
        let plan = Plan::of(batch, Version(7)).unwrap();
        let nths: Vec<_> = plan.appended.iter().map(|(_, nth, _)| *nth).collect();
        assert_eq!(nths, [1, 1, 2, 1]);
        assert_eq!(plan.appended[0].0, plan.appended[2].0);
    }
}
