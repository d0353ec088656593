//! Damage to files: whatever is flipped or cut off is harmless, or noticed at start or by the check. Never is an acknowledged
//! record silently gone.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

/// What became of a damaged folder.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The start refuses.
    AtStart(String),
    /// The check finds it.
    ByCheck(String),
    /// Everything is there all the same.
    Harmless,
}

/// Starts on a damaged folder as a server does, and then checks it.
fn judge(data: &Path, keyring: Arc<Keyring>, whole: &BTreeMap<Vec<u8>, Vec<u8>>) -> Outcome {
    let start = || SledEngine::open(data, &Options { cache_bytes: 8 << 20, ..Options::new([7; 16]) });
    match catch_unwind(AssertUnwindSafe(start)) {
        Ok(Ok(engine)) => drop(engine),
        Ok(Err(error)) => return Outcome::AtStart(error.to_string()),
        // A server that ends at start has refused, however.
        Err(_) => return Outcome::AtStart("a panic".to_owned()),
    }
    let check =
        || Inspection::open(data).and_then(|store| check_store(&store, Some(keyring), &mut |_, _| {}));
    match catch_unwind(AssertUnwindSafe(check)) {
        Ok(Ok(report)) if report.is_good() => {}
        Ok(Ok(report)) => return Outcome::ByCheck(report.findings[0].to_string()),
        Ok(Err(error)) => return Outcome::ByCheck(error.to_string()),
        Err(_) => return Outcome::ByCheck("a panic".to_owned()),
    }
    assert_eq!(contents(data), *whole, "records are silently gone or changed");
    Outcome::Harmless
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 24) % limit
    }
}

/// Copies the folder, damages the copy and judges it, so many times.
async fn trials(
    users: u32,
    times: u64,
    mut damage: impl FnMut(u64, &Path, &mut Random) -> String,
) -> Vec<(String, Outcome)> {
    let fixture = filled(users).await;
    let whole = contents(&fixture.data());
    let mut random = Random(11);
    (0..times)
        .map(|trial| {
            let folder = TempDir::new().unwrap();
            let data = folder.path().join("data");
            copy(&fixture.data(), &data);
            let what = damage(trial, &data, &mut random);
            let outcome = judge(&data, fixture.keyring(), &whole);
            (what, outcome)
        })
        .collect()
}

fn noticed(outcomes: &[(String, Outcome)]) -> usize {
    outcomes.iter().filter(|(_, outcome)| *outcome != Outcome::Harmless).count()
}

/// Flips a bit where something was written: the rest of the file is zeros.
fn flip(data: &Path, random: &mut Random) -> String {
    let path = data.join("sled/db");
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let at = used[usize::try_from(random.below(used.len() as u64)).unwrap()];
    file.write_all_at(&[bytes[at] ^ (1 << random.below(8))], at as u64).unwrap();
    format!("byte {at}")
}

/// In a small store sled takes a flipped bit for the end of its log, and the tail is gone.
#[tokio::test]
async fn flipped_bits_in_a_small_store_are_harmless_or_noticed() {
    let outcomes = trials(40, 40, |_, data, random| flip(data, random)).await;
    assert!(noticed(&outcomes) >= 20, "{outcomes:#?}");
}

/// In a larger one pages in the middle cannot be read, or belong to nothing any more.
#[tokio::test]
async fn flipped_bits_in_a_larger_store_are_harmless_or_noticed() {
    let outcomes = trials(400, 30, |_, data, random| flip(data, random)).await;
    assert!(noticed(&outcomes) >= 3, "{outcomes:#?}");
}

#[tokio::test]
async fn truncated_files_are_harmless_or_noticed() {
    let outcomes = trials(40, 40, |_, data, random| {
        let files: Vec<_> =
            files(&data.join("sled")).into_iter().filter(|path| path.metadata().unwrap().len() > 0).collect();
        let path = &files[usize::try_from(random.below(files.len() as u64)).unwrap()];
        let length = random.below(path.metadata().unwrap().len());
        OpenOptions::new().write(true).open(path).unwrap().set_len(length).unwrap();
        format!("{} cut to {length}", path.display())
    })
    .await;
    assert!(noticed(&outcomes) >= 5, "{outcomes:#?}");
}

#[tokio::test]
async fn a_missing_file_is_harmless_or_noticed() {
    let fixture = filled(10).await;
    let whole = contents(&fixture.data());
    for path in files(&fixture.data()) {
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("data");
        copy(&fixture.data(), &data);
        let missing = path.strip_prefix(fixture.data()).unwrap();
        fs::remove_file(data.join(missing)).unwrap();
        let outcome = judge(&data, fixture.keyring(), &whole);
        match missing.to_str().unwrap() {
            "head" => assert!(
                matches!(&outcome, Outcome::AtStart(text) if text.contains("head`: it is gone")),
                "{outcome:?}"
            ),
            "lock" | "store.id" => assert_eq!(outcome, Outcome::Harmless),
            "sled/db" => assert!(matches!(outcome, Outcome::AtStart(_)), "{outcome:?}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn an_older_database_under_a_newer_head_is_refused() {
    let fixture = filled(10).await;
    let older = fixture.folder.path().join("older");
    copy(&fixture.data().join("sled"), &older);
    let engine = fixture.open().await;
    let store = store(&engine, &fixture);
    enrol(&store, 10).await;
    engine.close().await.unwrap();
    drop((store, engine));
    drop(database(&fixture.data()));

    fs::remove_dir_all(fixture.data().join("sled")).unwrap();
    copy(&older, &fixture.data().join("sled"));
    let refused = SledEngine::open(&fixture.data(), &Options::new([7; 16])).unwrap_err().to_string();
    let report = fixture.check();
    assert_eq!(report.findings.len(), 1, "{report:#?}");
    let last = report.tally.audit_entries;
    for part in [
        fixture.data().join("head").to_str().unwrap(),
        &format!("audit entries {} to ", last + 1),
        "the database has lost",
        "sidekey restore --from BACKUP --data NEW_FOLDER",
    ] {
        assert!(refused.contains(part), "`{part}` is not in {refused}");
    }
}

#[tokio::test]
async fn another_history_of_the_same_length_is_refused() {
    let fixture = filled(5).await;
    let (one, two) = (fixture.folder.path().join("one"), fixture.folder.path().join("two"));
    copy(&fixture.data(), &one);
    copy(&fixture.data(), &two);
    for (data, number) in [(&one, 10), (&two, 11)] {
        let engine = open(data, &fixture.keyring()).await;
        let store = store(&engine, &fixture);
        enrol(&store, number).await;
        engine.close().await.unwrap();
    }
    fs::copy(one.join("head"), two.join("head")).unwrap();
    let refused = SledEngine::open(&two, &Options::new([7; 16])).unwrap_err().to_string();
    assert!(refused.contains("another state of the same age"), "{refused}");
}

#[tokio::test]
async fn the_head_of_another_store_is_refused_and_so_is_half_a_head() {
    let fixture = filled(1).await;
    let other = fixture.folder.path().join("other");
    SledEngine::open(&other, &Options::new([8; 16])).unwrap().close().await.unwrap();
    fs::copy(other.join("head"), fixture.data().join("head")).unwrap();
    let refused = SledEngine::open(&fixture.data(), &Options::new([7; 16])).unwrap_err().to_string();
    assert!(refused.contains("it belongs to another store, 08080808"), "{refused}");
    let head = OpenOptions::new().write(true).open(fixture.data().join("head")).unwrap();
    head.set_len(100).unwrap();
    let refused = SledEngine::open(&fixture.data(), &Options::new([7; 16])).unwrap_err().to_string();
    assert!(refused.contains("neither of its two copies"), "{refused}");
}
