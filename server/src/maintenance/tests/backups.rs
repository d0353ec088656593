//! Backups and restores.

use sidekey_core::account::{BackupRefusal, Refusal};
use sidekey_core::backup_code::Attempt;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::*;
use crate::clock::Clock;
use crate::maintenance::Part;
use crate::maintenance::backup::{self, BackupError, BackupFile, FileError};
use crate::maintenance::backup_file::{Piece, ReadError, Reader, Writer};
use crate::maintenance::restore::{RestoreError, Restored, restore, restore_to_database};
use crate::statistics::worker::{Round, Worker};
use crate::statistics::{self, Hour};
use crate::store::postgres::moving::Place;
use crate::store::postgres::testing;
use crate::store::{CommitError, Kind, OpenError};

/// A backup as the command line makes it.
pub(super) async fn back_up(engine: &Arc<dyn Engine>, out: &Path) -> Result<u64, String> {
    let (parts, mut waiting) = mpsc::channel(4);
    let mut file = BackupFile::create(out).map_err(|error| error.to_string())?;
    let store = Arc::clone(engine);
    let work = tokio::spawn(async move { backup::write(&*store, NOW, parts).await });
    while let Some(part) = waiting.recv().await {
        if let Part::Data(bytes) = part {
            file.write(&bytes).unwrap();
        }
    }
    work.await.unwrap().map_err(|error| error.to_string())?;
    file.finish().map_err(|error| error.to_string())
}

pub(super) fn bring_back(
    fixture: &Fixture,
    from: &Path,
    to: &str,
    now: UnixTime,
) -> Result<Restored, RestoreError> {
    let to = fixture.folder.path().join(to);
    restore(from, &to, &fixture.keyring(), now, &mut Entropy, &mut |_, _| {})
}

/// A filled store and a backup of it.
async fn backed_up(users: u32) -> (Fixture, PathBuf) {
    let fixture = filled(users).await;
    let file = fixture.folder.path().join("backup");
    let engine = fixture.open().await;
    back_up(&engine, &file).await.unwrap();
    engine.close().await.unwrap();
    (fixture, file)
}

#[tokio::test]
async fn a_restored_store_is_whole_and_in_a_new_epoch() {
    let (fixture, file) = backed_up(20).await;
    let old = contents(&fixture.data());
    let now = NOW.plus(300);
    let restored = bring_back(&fixture, &file, "new", now).unwrap();
    assert_eq!((restored.begun_at, restored.now), (NOW, now));
    assert_eq!((restored.tally.apps, restored.tally.accounts, restored.tally.secrets), (1, 20, 20));

    let data = fixture.folder.path().join("new");
    let report = check(&data, Some(fixture.keyring()));
    assert!(report.is_good(), "{report:#?}");
    let new = contents(&data);
    let of = |contents: &BTreeMap<Vec<u8>, Vec<u8>>, kind| {
        contents.keys().filter(|key| Key::from_bytes(key).is(kind)).count()
    };
    for kind in [Kind::App, Kind::ApiKey, Kind::AppKey, Kind::Account] {
        assert_eq!(of(&new, kind), of(&old, kind), "{kind:?}");
    }
    for kind in [Kind::Session, Kind::EnrollmentToken, Kind::RefreshFamily, Kind::Expiry, Kind::SigningKey] {
        assert!(of(&old, kind) > 0 && of(&new, kind) == 0, "{kind:?}");
    }
    assert_eq!(of(&new, Kind::Audit), of(&old, Kind::Audit) + 1);
    let last = new.iter().rfind(|(key, _)| Key::from_bytes(key).is(Kind::Audit)).unwrap().1;
    assert!(String::from_utf8_lossy(last).contains("\"type\":\"restored\""));
    assert_ne!(new[Key::meta("pepper").as_bytes()], old[Key::meta("pepper").as_bytes()]);
    assert_ne!(
        std::fs::read(data.join("store.id")).unwrap(),
        std::fs::read(fixture.data().join("store.id")).unwrap()
    );

    let engine = open(&data, &fixture.keyring()).await;
    assert_eq!(engine.high_water(), now);
    let before = store(&fixture.open().await, &fixture).account(&user(3)).await.unwrap().unwrap();
    let mut account = store(&engine, &fixture).account(&user(3)).await.unwrap().unwrap();
    assert_ne!(account.incarnation, before.incarnation);
    assert_eq!(account.active_devices()[0].secret, before.active_devices()[0].secret);
    let events = &mut Vec::new();
    for at in [NOW.plus(60), now, now.plus(30)] {
        let answer = answer(&account, at);
        assert_eq!(account.answer(&answer, now, events), Err(Refusal::Wrong), "{at:?}");
    }
    let attempt = Attempt { salt: Salt([9; 16]), hash: CodeHash::new([4; 32]) };
    assert_eq!(account.answer_with_backup_code(attempt, now, events), Err(BackupRefusal::Wrong));
    let later = now.plus(60);
    assert!(account.answer(&answer(&account, later), later, events).is_ok());
}

#[tokio::test]
async fn a_restored_store_goes_on() {
    let (fixture, file) = backed_up(3).await;
    bring_back(&fixture, &file, "new", NOW.plus(300)).unwrap();
    let data = fixture.folder.path().join("new");
    let engine = open(&data, &fixture.keyring()).await;
    Signer::load_or_create(&*engine, &fixture.keyring(), NOW, &mut Entropy).await.unwrap();
    let store = store(&engine, &fixture);
    enrol(&store, 3).await;
    // And is backed up and restored in its turn.
    let second = fixture.folder.path().join("second");
    back_up(&engine, &second).await.unwrap();
    engine.close().await.unwrap();
    drop((store, engine));
    assert!(check(&data, Some(fixture.keyring())).is_good());
    assert_eq!(bring_back(&fixture, &second, "newest", NOW.plus(600)).unwrap().tally.accounts, 4);
}

#[tokio::test]
async fn a_restored_store_counts_on_from_what_its_backup_had_counted() {
    let fixture = filled(3).await;
    let file = fixture.folder.path().join("backup");
    let engine = fixture.open().await;
    let count = |engine: &Arc<dyn Engine>| {
        let mut worker = Worker::new(Arc::clone(engine), Clock::standing(NOW));
        async move { while worker.round().await.unwrap() == Round::Moved {} }
    };
    count(&engine).await;
    back_up(&engine, &file).await.unwrap();
    engine.close().await.unwrap();
    drop(engine);
    bring_back(&fixture, &file, "new", NOW).unwrap();
    let engine = open(&fixture.folder.path().join("new"), &fixture.keyring()).await;
    assert_eq!(statistics::behind(&*engine).await, Ok(1), "the restore itself");
    count(&engine).await;
    let hour = Hour::of(NOW);
    let counts = statistics::of_hours(&*engine, hour..=hour).await.unwrap();
    assert_eq!((counts[&hour].of(&["app_created"]), counts[&hour].of(&["restored"])), (1, 1));
    assert_eq!(counts[&hour].of(&["device_confirmed"]), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_under_load_is_that_of_one_moment() {
    let fixture = filled(200).await;
    let engine = fixture.open().await;
    let (stop, writers) = (Arc::new(std::sync::atomic::AtomicBool::new(false)), 4);
    let work: Vec<_> = (0..writers)
        .map(|writer| {
            let (store, stop) = (store(&engine, &fixture), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut number = 10_000 * (writer + 1);
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    enrol(&store, number).await;
                    number += 1;
                }
            })
        })
        .collect();
    let mut accounts = Vec::new();
    for round in 0..3 {
        let file = fixture.folder.path().join(format!("backup-{round}"));
        back_up(&engine, &file).await.unwrap();
        accounts.push(bring_back(&fixture, &file, &format!("new-{round}"), NOW).unwrap().tally.accounts);
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for work in work {
        work.await.unwrap();
    }
    assert!(accounts.is_sorted() && accounts[0] >= 200 && accounts[2] > accounts[0], "{accounts:?}");
}

#[tokio::test]
async fn a_backup_never_replaces_a_file_and_leaves_nothing_when_it_fails() {
    use std::os::unix::fs::PermissionsExt as _;
    let (fixture, file) = backed_up(3).await;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(BackupFile::create(&file), Err(FileError::Exists(_))));

    let engine = fixture.open().await;
    let files = || std::fs::read_dir(fixture.folder.path()).unwrap().count();
    let before = files();
    let half = BackupFile::create(&fixture.folder.path().join("half")).unwrap();
    assert_eq!(files(), before + 1);
    assert!(matches!(half.finish(), Err(FileError::ReadBack { .. })));
    let (parts, waiting) = mpsc::channel(4);
    drop(waiting);
    let broken = backup::write(&*engine, NOW, parts).await;
    assert!(matches!(broken, Err(BackupError::BrokenOff)), "{broken:?}");
    assert_eq!(files(), before);
}

#[tokio::test]
async fn a_damaged_store_is_not_backed_up() {
    let fixture = filled(3).await;
    let engine = Arc::new(SledEngine::open(&fixture.data(), &Options::new([7; 16])).unwrap());
    let key = crate::store::codec::account_key(&user(1));
    // A record that goes bad while the server runs.
    engine.flip_a_bit(&key);
    let out = fixture.folder.path().join("backup");
    let refused = back_up(&(engine as Arc<dyn Engine>), &out).await.unwrap_err();
    assert!(refused.contains(&key.to_string()) && refused.contains("sidekey verify"), "{refused}");
    assert!(!out.exists());
}

#[tokio::test]
async fn a_backup_holds_no_secret_in_the_clear() {
    let (fixture, file) = backed_up(3).await;
    let engine = fixture.open().await;
    let account = store(&engine, &fixture).account(&user(1)).await.unwrap().unwrap();
    let secret = account.active_devices()[0].secret.expose().to_vec();
    let bytes = std::fs::read(&file).unwrap();
    let key =
        data_encoding::BASE64URL_NOPAD.decode(fixture.key.rsplit(':').next().unwrap().as_bytes()).unwrap();
    for needle in [secret, key, fixture.key.clone().into_bytes()] {
        assert!(needle.len() >= 20 && !bytes.windows(needle.len()).any(|window| window == needle));
    }
}

#[tokio::test]
async fn a_damaged_or_foreign_backup_is_refused_before_anything_is_made() {
    let (fixture, file) = backed_up(20).await;
    let bytes = std::fs::read(&file).unwrap();
    let bad = fixture.folder.path().join("bad");
    let refused = |bytes: &[u8]| {
        std::fs::write(&bad, bytes).unwrap();
        let error = bring_back(&fixture, &bad, "new", NOW).unwrap_err();
        assert!(!fixture.folder.path().join("new").exists());
        error
    };
    for length in (0..bytes.len()).step_by(bytes.len() / 50) {
        assert!(matches!(refused(&bytes[..length]), RestoreError::Unreadable(_)), "{length}");
    }
    for at in (0..bytes.len()).step_by(bytes.len() / 50) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 4;
        refused(&flipped);
    }
    let mut forged = bytes;
    *forged.last_mut().unwrap() ^= 1;
    assert!(matches!(refused(&forged), RestoreError::NotAuthentic));
    let unsealed = forged.len() - 32;
    forged[unsealed..].fill(0);
    assert!(matches!(refused(&forged), RestoreError::NotAuthentic));

    let other = Arc::new(Keyring::new(MasterKey::generate(&mut Entropy)));
    let to = fixture.folder.path().join("new");
    let error = restore(&file, &to, &other, NOW, &mut Entropy, &mut |_, _| {}).unwrap_err();
    assert!(matches!(error, RestoreError::Unlock(_)), "{error}");
    assert!(error.to_string().contains("wrong master key") && !to.exists(), "{error}");
}

#[tokio::test]
async fn a_folder_that_holds_something_is_left_alone() {
    let (fixture, file) = backed_up(1).await;
    let before = contents(&fixture.data());
    let error = bring_back(&fixture, &file, "data", NOW).unwrap_err();
    assert!(matches!(error, RestoreError::Folder(OpenError::NotEmpty { .. })), "{error}");
    assert_eq!(contents(&fixture.data()), before);
    std::fs::create_dir(fixture.folder.path().join("empty")).unwrap();
    bring_back(&fixture, &file, "empty", NOW).unwrap();
}

#[tokio::test]
async fn a_restore_that_was_interrupted_is_no_store() {
    let (fixture, file) = backed_up(20).await;
    bring_back(&fixture, &file, "new", NOW).unwrap();
    let data = fixture.folder.path().join("new");
    // What is written last is missing.
    let db = database(&data);
    db.remove(Key::meta("store").as_bytes()).unwrap();
    db.remove(Key::meta("head").as_bytes()).unwrap();
    drop(db);
    for file in ["store.id", "head"] {
        std::fs::remove_file(data.join(file)).unwrap();
    }
    assert!(matches!(SledEngine::open(&data, &Options::new([7; 16])), Err(OpenError::Damaged { .. })));
}

/// A store that has no seal yet, with an app, and a backup of it.
async fn backed_up_unsealed() -> (Fixture, PathBuf) {
    let folder = TempDir::new().unwrap();
    let key = MasterKey::generate(&mut Entropy).to_line().to_string();
    let fixture = Fixture { folder, key };
    let engine: Arc<dyn Engine> =
        Arc::new(SledEngine::open(&fixture.data(), &Options::new([7; 16])).unwrap());
    let new = NewApp {
        id: None,
        name: "Shop".to_owned(),
        enforcement: Enforcement::Optional,
        return_urls: ReturnUrls::default(),
    };
    Apps::new(Arc::clone(&engine)).create(new, &origin(), &mut Entropy).await.unwrap();
    let file = fixture.folder.path().join("backup");
    back_up(&engine, &file).await.unwrap();
    engine.close().await.unwrap();
    (fixture, file)
}

/// The backup with a correction of each record, to what it is anyway: as where all of them are touched while they are read.
fn corrected(file: &Path) -> Vec<u8> {
    let bytes = std::fs::read(file).unwrap();
    let reader = Reader::new(&bytes[..]).unwrap();
    let (mut writer, mut corrected) = Writer::new(reader.title());
    let mut records = Vec::new();
    let end = reader.read(|piece| {
        match piece {
            Piece::Record { key, bytes } => {
                corrected.extend(writer.record(&key, &bytes).unwrap_or_default());
                records.push((key, bytes));
            }
            Piece::Correction { .. } => panic!("nothing was touched"),
            Piece::Log(base) => {
                for (key, bytes) in &records {
                    let correction = writer.correction(key, bytes.first_chunk(), Some(bytes));
                    corrected.extend(correction.unwrap_or_default());
                }
                corrected.extend(writer.log(base).unwrap_or_default());
            }
        }
        Ok::<_, ReadError>(())
    });
    let (rest, _) = writer.end(&end.unwrap().head);
    corrected.extend(rest);
    corrected.extend_from_slice(&[0; 32]);
    corrected
}

#[test]
fn a_backup_whose_last_records_were_corrected_is_restored_into_a_database() {
    let runtime = Runtime::new().unwrap();
    let (fixture, file) = runtime.block_on(backed_up_unsealed());
    let corrections = fixture.folder.path().join("corrected");
    std::fs::write(&corrections, corrected(&file)).unwrap();
    let place = runtime.block_on(async { Place::connect(&testing::database().await).await }).unwrap();
    let (keyring, handle) = (fixture.keyring(), runtime.handle());
    let restored =
        restore_to_database(&corrections, place, &keyring, NOW, &mut Entropy, handle, &mut |_, _| {});
    assert_eq!(restored.unwrap().tally.apps, 1);
}

#[tokio::test]
async fn a_store_that_was_never_sealed_can_be_backed_up_and_takes_no_key() {
    let (fixture, file) = backed_up_unsealed().await;
    assert_eq!(bring_back(&fixture, &file, "new", NOW).unwrap().tally.apps, 1);
    // The first start seals it, and from then on it takes no change without the key.
    let data = fixture.folder.path().join("new");
    open(&data, &fixture.keyring()).await.close().await.unwrap();
    let engine = SledEngine::open(&data, &Options::new([7; 16])).unwrap();
    let mut batch = crate::store::Batch::new();
    batch.append(b"{}".to_vec());
    assert_eq!(engine.commit(batch).await, Err(CommitError::Sealed));
}
