//! Master keys of several servers on one store, over a real `PostgreSQL`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use sidekey_core::account::Account;
use sidekey_core::id::{AccountId, AppId, LoginId, UserId};

use super::*;
use crate::entropy::Entropy;
use crate::keyring::{KeyId, fence, file, sources};
use crate::store::postgres::connect::Options;
use crate::store::postgres::testing::database;
use crate::store::{CommitError, PostgresEngine, Store, Subject};
use crate::token::Signer;

const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

/// One server: its keys, from a file of its own.
struct Server {
    engine: Arc<dyn Engine>,
    file: PathBuf,
    keys: MasterKeys,
    store: Store,
}

impl Server {
    async fn start(database: &Options, file: PathBuf) -> Result<Self, UnlockError> {
        let engine: Arc<dyn Engine> = Arc::new(PostgresEngine::open(database, [7; 16]).await.unwrap());
        let (keyring, source) = (sources::load_file(&file).unwrap(), keyring::Origin::File(file.clone()));
        let opened = MasterKeys::open(Arc::clone(&engine), keyring, source, NOW, &mut Entropy).await;
        let keys = opened?.0;
        let store = Store::new(Arc::clone(&engine), keys.shared());
        Ok(Self { engine, file, keys, store })
    }

    fn sealing(&self) -> KeyId {
        self.keys.current().sealing()
    }

    async fn enrol(&self, user: &str) -> Result<(), StoreError> {
        let id = AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse(user).unwrap() };
        let decide = |state: &mut crate::store::State| {
            let account = state.account.get_or_insert_with(|| Account::new(id.clone(), NOW, &mut Entropy));
            let login = LoginId::generate(&mut Entropy);
            account.start_setup(login, None, false, NOW, &mut Entropy, &mut state.events).unwrap();
        };
        self.store.transact(Subject::account(id.clone()), &origin(), NOW, decide).await
    }

    async fn step(&self) -> Progress {
        self.keys.rotate_on(&origin(), &mut Entropy).await.unwrap()
    }

    async fn tally(&self) -> Vec<KeyId> {
        sealed_records::count_all(&*self.engine).await.unwrap().into_keys().collect()
    }
}

fn origin() -> Origin {
    Origin::local(Actor::Operator, NOW)
}

/// Two servers with a copy each of one key file.
async fn two(folder: &Path) -> (Server, Server) {
    two_on(&database().await, folder).await
}

async fn two_on(database: &Options, folder: &Path) -> (Server, Server) {
    let files = ["one", "other"].map(|name| folder.join(name));
    sources::write_new(&files[0], &keyring::MasterKey::generate(&mut Entropy)).unwrap();
    let [one, other] = files;
    std::fs::copy(&one, &other).unwrap();
    (Server::start(database, one).await.unwrap(), Server::start(database, other).await.unwrap())
}

/// The keys of a file, with those first that came last.
fn reversed(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines: Vec<_> = text.lines().filter(|line| line.starts_with("skm1:")).collect();
    lines.reverse();
    lines.join("\n")
}

#[tokio::test]
async fn who_is_left_behind_seals_nothing_from_the_beginning_of_a_rotation_on() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = two(folder.path()).await;
    let old = one.sealing();
    one.enrol("ann").await.unwrap();
    let new = file::add(&one.file, &mut Entropy).unwrap().sealing();
    std::fs::copy(&one.file, &other.file).unwrap();
    one.keys.reload(&origin()).await.unwrap();
    other.enrol("bob").await.unwrap();
    let mut finished = false;
    while !finished {
        finished = matches!(one.step().await, Progress::Finished { .. });
        let refused = other.enrol("cyd").await.unwrap_err();
        assert!(refused.to_string().contains("rotates the master keys"), "{refused}");
    }
    assert_eq!((one.tally().await, other.sealing()), (vec![new], old));
    assert!(other.enrol("ann").await.is_err(), "nor what is there already");
    assert_eq!(other.keys.left_behind().await.unwrap(), Some(new.to_string()));
    other.keys.reload(&origin()).await.unwrap();
    for (server, user) in [(&other, "cyd"), (&other, "ann"), (&one, "cyd")] {
        server.enrol(user).await.unwrap();
    }
    assert_eq!(one.tally().await, [new]);
}

#[tokio::test]
async fn a_count_waits_for_the_transactions_that_had_begun() {
    let folder = tempfile::tempdir().unwrap();
    let database = database().await;
    let file = folder.path().join("one");
    sources::write_new(&file, &keyring::MasterKey::generate(&mut Entropy)).unwrap();
    let one = Arc::new(Server::start(&database, file).await.unwrap());
    let (client, connection) = database.config.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    // As a commit that has passed the fence and whose COMMIT is on its way.
    client.batch_execute("BEGIN; INSERT INTO record VALUES ('\\x99', 1, '')").await.unwrap();
    let ended = Arc::new(AtomicBool::new(false));
    let waiting = tokio::spawn({
        let (one, ended) = (Arc::clone(&one), Arc::clone(&ended));
        async move {
            one.engine.settled().await.unwrap();
            ended.load(Ordering::SeqCst)
        }
    });
    for _ in 0..50 {
        one.engine.get(&fence::place()).await.unwrap();
    }
    ended.store(true, Ordering::SeqCst);
    client.batch_execute("COMMIT").await.unwrap();
    assert!(waiting.await.unwrap());
}

#[tokio::test]
async fn another_first_key_takes_the_fence_down_and_ends_the_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = two(folder.path()).await;
    let old = one.sealing();
    file::add(&one.file, &mut Entropy).unwrap();
    one.keys.reload(&origin()).await.unwrap();
    while !matches!(one.step().await, Progress::UnderWay { phase: rotation::Phase::Check, .. }) {}
    // The same keys in the order before.
    std::fs::write(&other.file, reversed(&one.file)).unwrap();
    other.keys.reload(&origin()).await.unwrap();
    in_use::take(&*other.engine, &other.keys.current(), &origin()).await.unwrap();
    other.enrol("bob").await.unwrap();
    let refused = one.keys.rotate_on(&origin(), &mut Entropy).await.unwrap_err();
    assert_eq!(refused, RotationError::AnotherKey(old));
    let noted = in_use::read(&*one.engine).await.unwrap().unwrap().0;
    assert_eq!(noted.keys.len(), 2, "nothing was dropped");
}

#[tokio::test]
async fn a_restart_of_who_was_left_behind_seals_with_the_key_of_the_rotation() {
    let (folder, database) = (tempfile::tempdir().unwrap(), database().await);
    let (one, other) = two_on(&database, folder.path()).await;
    let (old, new) = (one.sealing(), file::add(&one.file, &mut Entropy).unwrap().sealing());
    let only_old = folder.path().join("only-old");
    std::fs::copy(&other.file, &only_old).unwrap();
    std::fs::write(&other.file, reversed(&one.file)).unwrap();
    one.keys.reload(&origin()).await.unwrap();
    one.step().await;
    let refused = Server::start(&database, only_old).await.err().unwrap();
    assert!(matches!(refused, UnlockError::NotedKey { needed, .. } if needed == new), "{refused}");
    while !matches!(one.step().await, Progress::Finished { .. }) {}
    file::remove(&one.file, old).unwrap();
    one.keys.reload(&origin()).await.unwrap();

    let other = Server::start(&database, other.file).await.unwrap();
    assert_eq!(other.sealing(), new);
    other.enrol("ann").await.unwrap();
    one.enrol("ann").await.unwrap();
    assert_eq!(one.tally().await, [new]);
    assert_eq!(fence::read(&*one.engine).await.unwrap().unwrap().0, new);
    let noted = in_use::read(&*one.engine).await.unwrap().unwrap().0;
    assert_eq!(noted, in_use::InUse::only(new), "nor is the old one noted again");
    assert_eq!(other.keys.reload(&origin()).await.unwrap().sealing(), old, "by the file, when asked for");
}

#[tokio::test]
async fn keys_of_the_environment_are_taken_into_use_when_asked_for_after_a_restart() {
    let (folder, database) = (tempfile::tempdir().unwrap(), database().await);
    let (one, _) = two_on(&database, folder.path()).await;
    while !matches!(one.step().await, Progress::Finished { .. }) {}
    let sealed_with = one.sealing();
    let new = file::add(&one.file, &mut Entropy).unwrap().sealing();
    let given = sources::load_file(&one.file).unwrap();
    let source = keyring::Origin::Environment;
    let opened = MasterKeys::open(Arc::clone(&one.engine), given, source, NOW, &mut Entropy).await;
    let keys = opened.unwrap().0;
    assert_eq!(keys.current().sealing(), sealed_with, "as the server beside it");
    assert_eq!(keys.reload(&origin()).await.unwrap().sealing(), new);
    assert!(matches!(keys.rotate_on(&origin(), &mut Entropy).await.unwrap(), Progress::UnderWay { .. }));
}

#[tokio::test]
async fn a_key_is_not_taken_into_use_past_a_rotation_that_has_begun_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = two(folder.path()).await;
    file::add(&other.file, &mut Entropy).unwrap();
    let keyring = sources::load_file(&other.file).unwrap();
    let taking = in_use::taking(&*other.engine, &keyring, &origin()).await.unwrap().unwrap();
    one.step().await;
    let refused = other.engine.commit(taking).await.unwrap_err();
    assert!(matches!(refused, CommitError::Conflict(_)), "{refused}");
    in_use::take(&*other.engine, &keyring, &origin()).await.unwrap();
    assert!(fence::read(&*one.engine).await.unwrap().is_none(), "the second look has found it");
}

#[tokio::test]
async fn a_noted_key_goes_with_a_rotation_only() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = two(folder.path()).await;
    let text = std::fs::read(&other.file).unwrap();
    let new = file::add(&one.file, &mut Entropy).unwrap().sealing();
    one.keys.reload(&origin()).await.unwrap();
    // It has sealed nothing so far, and may at any moment.
    std::fs::write(&other.file, &text).unwrap();
    let refused = other.keys.reload(&origin()).await.unwrap_err();
    let named =
        matches!(&refused, ReloadError::Unlock(UnlockError::NotedKey { needed, .. }) if *needed == new);
    assert!(named, "{refused}");
    let noted = in_use::read(&*one.engine).await.unwrap().unwrap().0;
    assert!(noted.keys.contains(&new));
    one.enrol("ann").await.unwrap();
}

#[tokio::test]
async fn servers_that_start_at_once_make_one_signing_key() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = two(folder.path()).await;
    let signer = async |server: &Server| {
        Signer::load_or_create(&*server.engine, &server.keys.current(), NOW, &mut Entropy).await.unwrap()
    };
    let made = tokio::join!(signer(&one), signer(&other), signer(&one), signer(&other));
    let keys = [made.0, made.1, made.2, made.3].map(|signer| signer.jwks(NOW.as_secs()));
    assert!(keys.iter().all(|set| set.keys.len() == 1 && *set == keys[0]), "{keys:?}");
}
