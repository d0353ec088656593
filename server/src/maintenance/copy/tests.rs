//! Moves over a real database that break off where only one side has heard of it.

use std::path::Path;
use std::thread;
use std::time::Duration;

use sidekey_core::time::UnixTime;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

use super::to_folder::to_folder;
use super::{CopyError, Outcome, TakenBack, read_mark, undo, write_mark};
use crate::store::moving::{Mark, Phase, Token};
use crate::store::postgres::connect::Options;
use crate::store::postgres::moving::{MoveError, Place, Standing, Told};
use crate::store::postgres::testing::{database, database_of_its_own};
use crate::store::{Batch, Engine as _, Inspection, Key, OpenError, PostgresEngine, StoreId};

const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

/// A database with a store, and a folder that it may move to.
struct Scene {
    runtime: Runtime,
    options: Options,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let options = runtime.block_on(database());
        Self::over(runtime, options, [7; 16])
    }

    fn over(runtime: Runtime, options: Options, store: StoreId) -> Self {
        runtime.block_on(serve(&options, store));
        Self { runtime, options, folder: tempfile::tempdir().unwrap() }
    }

    fn data(&self) -> &Path {
        self.folder.path()
    }

    fn move_from(&self, options: &Options) -> Result<Outcome, CopyError> {
        let place = self.runtime.block_on(Place::connect(options)).unwrap();
        to_folder(self.data(), place, None, NOW, self.runtime.handle(), &mut |_, _| {})
    }

    fn told(&self, options: &Options) -> Told {
        self.runtime.block_on(async { Place::connect(options).await.unwrap().told().await.unwrap() })
    }

    fn client(&self) -> Client {
        client(&self.runtime, &self.options)
    }

    fn sql(&self, sql: &str) {
        self.runtime.block_on(self.client().batch_execute(sql)).unwrap();
    }

    /// Copies everything, and breaks off before the database lets it go.
    fn copies_all_but_the_end(&self) {
        self.sql(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
             CREATE TRIGGER refuse BEFORE UPDATE ON about FOR EACH ROW WHEN (NEW.tables = -3) EXECUTE FUNCTION refuse()",
        );
        assert!(matches!(self.move_from(&self.options), Err(CopyError::Move(MoveError::Store(_)))));
        self.sql("DROP TRIGGER refuse ON about");
        self.holds_the_store();
    }

    /// What was copied is there and whole, whoever may serve it.
    fn holds_the_store(&self) {
        let inspection = Inspection::open_moving(self.data()).unwrap();
        assert_eq!((inspection.store(), inspection.meta("a").unwrap()), ([7; 16], Some(b"1".to_vec())));
    }

    fn has_mark(&self) -> bool {
        read_mark(self.data()).unwrap().is_some()
    }
}

fn client(runtime: &Runtime, options: &Options) -> Client {
    runtime.block_on(async {
        let (client, connection) = options.config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    })
}

async fn serve(options: &Options, store: StoreId) {
    let engine = PostgresEngine::open(options, store).await.unwrap();
    let mut batch = Batch::new();
    batch.put(Key::meta("a"), b"1".to_vec());
    engine.commit(batch).await.unwrap();
    engine.close().await.unwrap();
}

#[test]
fn what_was_copied_stays_while_the_database_may_still_let_the_store_go() {
    let scene = Scene::new();
    scene.copies_all_but_the_end();
    // The attempt is over, and what it has asked the database for is not.
    let late = scene.client();
    let run = |sql| scene.runtime.block_on(late.batch_execute(sql)).unwrap();
    run("BEGIN; UPDATE about SET tables = -3");
    for _ in 0..2 {
        let refused = scene.move_from(&scene.options).unwrap_err();
        assert!(matches!(refused, CopyError::Move(MoveError::InUse)), "{refused}");
        scene.holds_the_store();
    }
    run("COMMIT");
    let before = read_mark(scene.data()).unwrap().unwrap();
    assert_eq!(scene.move_from(&scene.options).unwrap(), Outcome::WasMoved);
    assert!(!scene.has_mark());
    scene.holds_the_store();

    // A copy of the folder from before is not the store that was served since.
    write_mark(scene.data(), &before).unwrap();
    assert!(matches!(scene.move_from(&scene.options), Err(CopyError::Move(MoveError::Gone))));
    assert!(scene.has_mark());
}

#[test]
fn attempts_that_never_came_to_the_database_do_not_keep_a_later_one_out() {
    let scene = Scene::new();
    scene.copies_all_but_the_end();
    let late = scene.client();
    let run = |sql| scene.runtime.block_on(late.batch_execute(sql)).unwrap();
    run("BEGIN; UPDATE about SET tables = tables");
    assert!(matches!(scene.move_from(&scene.options), Err(CopyError::Move(MoveError::InUse))));
    // The next one has come there, and its answer was lost.
    let tried = read_mark(scene.data()).unwrap().unwrap().tried;
    let [tried] = &tried[..] else { panic!("{tried:?}") };
    let token = serde_json::to_value(tried).unwrap();
    run(&format!("ROLLBACK; UPDATE move SET token = '{}'", token.as_str().unwrap()));
    assert!(matches!(scene.move_from(&scene.options), Ok(Outcome::Moved(_))));
    assert!(!scene.has_mark());
    scene.holds_the_store();
}

#[test]
fn what_was_copied_is_not_replaced_from_another_database() {
    let scene = Scene::new();
    scene.copies_all_but_the_end();
    let mark = read_mark(scene.data()).unwrap().unwrap();
    scene.sql("UPDATE about SET tables = -3");
    // Another store, and this one in a database that has been put back or cloned.
    for store in [[8; 16], [7; 16]] {
        let other = scene.runtime.block_on(database());
        scene.runtime.block_on(serve(&other, store));
        let refused = scene.move_from(&other).unwrap_err();
        assert!(matches!(refused, CopyError::NotOfDatabase(_)), "{refused}");
        assert_eq!(scene.told(&other).standing, Standing::Here, "it goes on");
        scene.holds_the_store();
        assert_eq!(read_mark(scene.data()).unwrap().unwrap().token, mark.token);
    }
    assert_eq!(scene.move_from(&scene.options).unwrap(), Outcome::WasMoved);
    scene.holds_the_store();
}

#[test]
fn a_folder_is_served_only_when_the_standbys_know_that_the_database_is_not() {
    let runtime = Runtime::new().unwrap();
    let options = runtime.block_on(database_of_its_own());
    let scene = Scene::over(runtime, options, [7; 16]);
    scene.copies_all_but_the_end();
    // It can be seen, and no standby has it: as after a start while the commit was waiting.
    scene.sql("UPDATE about SET tables = -3");
    scene.sql("ALTER SYSTEM SET synchronous_standby_names = 'away'");
    scene.sql("SELECT pg_reload_conf()");
    let watch = scene.client();
    let waits = || {
        let waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep')";
        scene.runtime.block_on(watch.query_one(waiting, &[])).unwrap().get::<_, bool>(0)
    };
    thread::scope(|scope| {
        let moved = scope.spawn(|| scene.move_from(&scene.options));
        while !waits() && !moved.is_finished() {
            thread::sleep(Duration::from_millis(20));
        }
        assert!(!moved.is_finished() && scene.has_mark());
        let run = |sql| scene.runtime.block_on(watch.batch_execute(sql)).unwrap();
        run("ALTER SYSTEM RESET synchronous_standby_names");
        run("SELECT pg_reload_conf()");
        assert_eq!(moved.join().unwrap().unwrap(), Outcome::WasMoved);
    });
    assert!(!scene.has_mark());
    scene.holds_the_store();
}

#[test]
fn a_store_that_cannot_be_read_is_not_closed() {
    let runtime = Runtime::new().unwrap();
    let mut options = runtime.block_on(database_of_its_own());
    let admin = options.clone();
    let name = options.config.get_dbname().unwrap().to_owned();
    options.config.user("plain");
    let roles = format!(
        "CREATE ROLE plain LOGIN; GRANT ALL ON SCHEMA public TO plain; REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC"
    );
    runtime.block_on(client(&runtime, &admin).batch_execute(&roles)).unwrap();
    let scene = Scene::over(runtime, options, [7; 16]);
    let refused = scene.move_from(&scene.options).unwrap_err();
    assert!(refused.to_string().contains("temporary"), "{refused}");
    assert_eq!(scene.told(&scene.options).standing, Standing::Here);
    // What is served from there is written to.
    scene.runtime.block_on(serve(&scene.options, [7; 16]));
    // The folder was marked and holds nothing; with the right to read, the same command goes on.
    assert!(matches!(Inspection::open(scene.data()).map(drop), Err(OpenError::NoStore { .. })));
    assert!(matches!(scene.move_from(&admin), Ok(Outcome::Moved(_))));
    scene.holds_the_store();
}

#[test]
fn a_folder_that_was_put_back_is_not_served_beside_the_database() {
    let scene = Scene::new();
    let runtime = scene.runtime.handle();
    let connect = |options| scene.runtime.block_on(Place::connect(options)).unwrap();
    let mark = Mark::new(Phase::Leaving, [7; 16], Token::generate(), NOW);
    write_mark(scene.data(), &mark).unwrap();
    let refused = undo(scene.data(), Some(connect(&scene.options)), runtime).unwrap_err();
    assert!(matches!(refused, CopyError::Entered), "{refused}");
    assert!(scene.has_mark());

    // One that was never told to serve it.
    let filled = scene.runtime.block_on(database());
    drop(scene.runtime.block_on(connect(&filled).begin([7; 16], mark.token.clone())).unwrap());
    assert_eq!(undo(scene.data(), Some(connect(&filled)), runtime).unwrap(), TakenBack::Folder);
    assert!(!scene.has_mark());
}

#[test]
fn an_attempt_that_comes_after_the_store_was_entered_takes_nothing_over() {
    let scene = Scene::new();
    let filled = scene.runtime.block_on(database());
    let connect = || scene.runtime.block_on(Place::connect(&filled)).unwrap();
    let first = Token::generate();
    drop(scene.runtime.block_on(connect().begin([7; 16], first.clone())).unwrap());
    let enters = client(&scene.runtime, &filled);
    let run = |sql| scene.runtime.block_on(enters.batch_execute(sql)).unwrap();
    run("BEGIN; UPDATE about SET tables = 2");
    let second = scene.runtime.spawn(connect().begin([7; 16], Token::generate()));
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')";
    let watch = client(&scene.runtime, &filled);
    while !scene.runtime.block_on(watch.query_one(waits, &[])).unwrap().get::<_, bool>(0)
        && !second.is_finished()
    {
        thread::sleep(Duration::from_millis(20));
    }
    run("COMMIT");
    let refused = scene.runtime.block_on(second).unwrap().map(drop).unwrap_err();
    assert_eq!(refused, MoveError::Overtaken);
    let told = scene.told(&filled);
    assert_eq!((told.standing, told.token), (Standing::Here, Some(first)));
}
