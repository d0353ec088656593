//! What is opened, repaired and refused.

use super::*;
use crate::store::FORMAT;

#[test]
fn a_folder_that_is_open_already_names_its_process() {
    let folder = TempDir::new().unwrap();
    let engine = open(&folder);
    let error = SledEngine::open(folder.path(), &options()).unwrap_err();
    assert!(matches!(&error, OpenError::Locked { process: Some(id), .. } if *id == std::process::id()));
    assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
    drop(engine);
    open(&folder);
}

#[test]
fn what_is_no_folder_is_refused() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        assert!(matches!(SledEngine::open(&path, &options()), Err(OpenError::NotAFolder { .. })));
    }
}

#[test]
fn a_refused_access_tells_the_remedy() {
    let error = OpenError::io(Path::new("/data"), ErrorKind::PermissionDenied.into());
    assert!(matches!(error, OpenError::PermissionDenied { .. }));
    assert!(error.to_string().contains("chown"));
}

#[test]
fn folders_and_files_are_private() {
    let parent = TempDir::new().unwrap();
    let folder = parent.path().join("new/data");
    let _engine = SledEngine::open(&folder, &options()).unwrap();
    let mode = |path: &str| fs::metadata(folder.join(path)).unwrap().permissions().mode() & 0o777;
    for path in ["", "sled", "sled/blobs"] {
        assert_eq!(mode(path), 0o700, "{path}");
    }
    for path in ["lock", "store.id", "head", "sled/db", "sled/conf"] {
        assert_eq!(mode(path), 0o600, "{path}");
    }
}

#[tokio::test]
async fn a_damaged_snapshot_is_rebuilt_and_the_damaged_folder_kept() {
    let folder = TempDir::new().unwrap();
    let engine = open(&folder);
    engine.commit(put("a", "one")).await.unwrap();
    drop(engine);
    drop(open(&folder));
    let snapshots = || {
        let entries = fs::read_dir(folder.path().join("sled")).unwrap().map(|entry| entry.unwrap());
        let snapshots = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("snap."));
        snapshots.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    assert!(!snapshots().is_empty());
    for snapshot in snapshots() {
        fs::write(snapshot, "").unwrap();
    }
    let engine = open(&folder);
    assert_eq!(value(&engine, "a").await.as_deref(), Some("one"));
    assert!(folder.path().join("sled-damaged-1/db").is_file());
}

#[test]
fn a_store_of_a_newer_format_is_refused() {
    let folder = TempDir::new().unwrap();
    let engine = open(&folder);
    let newer = FORMAT + 1;
    let about = [&newer.to_be_bytes()[..], &ID, &[0; 8]].concat();
    let bytes = record::encode(&About::key(), Version(1), &about);
    engine.db.insert(About::key().as_bytes(), bytes).unwrap();
    drop(engine);
    let error = SledEngine::open(folder.path(), &options()).unwrap_err();
    assert!(matches!(error, OpenError::NewerFormat { found, supported: FORMAT, .. } if found == newer));
}

#[test]
fn a_store_that_has_lost_everything_is_no_new_store() {
    let folder = TempDir::new().unwrap();
    drop(open(&folder));
    fs::remove_dir_all(folder.path().join("sled")).unwrap();
    let error = SledEngine::open(folder.path(), &options()).unwrap_err();
    assert!(matches!(&error, OpenError::Damaged { reason, .. } if reason.contains("gone")), "{error}");
}

#[test]
fn a_first_start_that_was_cut_short_is_begun_again() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("sled")).unwrap();
    fs::write(folder.path().join("sled/conf"), "half of a").unwrap();
    drop(open(&folder));
    assert!(folder.path().join("sled-damaged-1/conf").is_file());
    // The same in a folder that holds a store is damage.
    fs::write(folder.path().join("sled/conf"), "half of a").unwrap();
    let error = SledEngine::open(folder.path(), &options()).unwrap_err();
    assert!(matches!(&error, OpenError::Damaged { .. }), "{error}");
}

#[test]
fn another_stores_database_in_the_folder_is_noticed() {
    let (here, there) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    drop(open(&here));
    drop(SledEngine::open(there.path(), &Options { new_id: [7; 16], ..options() }).unwrap());
    fs::remove_dir_all(here.path().join("sled")).unwrap();
    fs::rename(there.path().join("sled"), here.path().join("sled")).unwrap();
    let error = SledEngine::open(here.path(), &options()).unwrap_err();
    assert!(
        matches!(&error, OpenError::Damaged { reason, .. } if reason.contains("another store")),
        "{error}"
    );
}
