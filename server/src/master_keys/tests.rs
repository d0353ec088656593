use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use sidekey_core::account::Account;
use sidekey_core::event::Event;
use sidekey_core::id::{AccountId, AppId, LoginId, UserId};
use tempfile::TempDir;

use super::*;
use crate::entropy::Entropy;
use crate::keyring::{KeyId, file, sources};
use crate::store::sled::Options;
use crate::store::{Batch, Kind, SledEngine, Store, Subject};
use crate::token::Signer;
use rotation::Phase;

const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

/// More than a page of any phase.
const ACCOUNTS: usize = 1_100;

struct Fixture {
    folder: TempDir,
    engine: Arc<dyn Engine>,
    keys: MasterKeys,
    store: Store,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        sources::write_new(&folder.path().join("master.key"), &keyring::MasterKey::generate(&mut Entropy))
            .unwrap();
        let engine = SledEngine::open(&folder.path().join("data"), &Options::new([7; 16])).unwrap();
        let engine: Arc<dyn Engine> = Arc::new(engine);
        let keys = open(&engine, &folder.path().join("master.key")).await.unwrap();
        Signer::load_or_create(&*engine, &keys.current(), NOW, &mut Entropy).await.unwrap();
        let store = Store::new(Arc::clone(&engine), keys.shared());
        Self { folder, engine, keys, store }
    }

    async fn with_accounts(count: usize) -> Self {
        let fixture = Self::new().await;
        join_all((0..count).map(|number| fixture.enrol(number))).await;
        fixture
    }

    fn key_file(&self) -> PathBuf {
        self.folder.path().join("master.key")
    }

    fn sealing(&self) -> KeyId {
        self.keys.current().sealing()
    }

    async fn enrol(&self, number: usize) {
        enrol(&self.store, number).await;
    }

    async fn change(&self, number: usize, change: impl Fn(&mut Account, &mut Vec<Event>) + Send + Sync) {
        change_in(&self.store, number, change).await;
    }

    /// Puts a new key first, and has it read.
    async fn add_key(&self) -> KeyId {
        let id = file::add(&self.key_file(), &mut Entropy).unwrap().sealing();
        assert_eq!(self.keys.reload(&origin()).await.unwrap().sealing(), id);
        id
    }

    async fn step(&self) -> Progress {
        self.keys.rotate_on(&origin(), &mut Entropy).await.unwrap()
    }

    async fn rotate(&self) -> (String, u64, Vec<String>) {
        loop {
            if let Progress::Finished { key_id, resealed, unused } = self.step().await {
                return (key_id, resealed, unused);
            }
        }
    }

    async fn tally(&self) -> Tally {
        sealed_records::count_all(&*self.engine).await.unwrap()
    }

    /// Whether the id of a key stands anywhere in the records, audit entries aside, which tell of it as text.
    async fn names(&self, id: KeyId) -> bool {
        let mut after = None;
        loop {
            let page = self.engine.scan(&Key::from_bytes(&[]), after.as_ref(), MAX_SCAN).await.unwrap();
            let sealed_with =
                |value: &[u8]| value.windows(5).any(|header| header == [&[1], &id.to_bytes()[..]].concat());
            if page.iter().any(|(_, record)| sealed_with(&record.value)) {
                return true;
            }
            match page.into_iter().next_back() {
                Some((place, _)) => after = Some(place),
                None => return false,
            }
        }
    }

    async fn key_events(&self) -> Vec<(String, String)> {
        let (mut events, mut after) = (Vec::new(), None);
        loop {
            let page = self.engine.scan(&Key::of(Kind::Audit), after.as_ref(), MAX_SCAN).await.unwrap();
            for (_, record) in &page {
                let entry: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
                let text = |name: &str| entry["event"][name].as_str().unwrap_or_default().to_owned();
                events.push((text("type"), text("key_id")));
            }
            match page.into_iter().next_back() {
                Some((place, _)) => after = Some(place),
                None => break,
            }
        }
        events.retain(|(kind, _)| kind.starts_with("master_key"));
        events
    }
}

async fn enrol(store: &Store, number: usize) {
    let change = |account: &mut Account, events: &mut Vec<_>| {
        let login = LoginId::generate(&mut Entropy);
        account.start_setup(login, None, false, NOW, &mut Entropy, events).unwrap();
    };
    change_in(store, number, change).await;
}

async fn change_in(
    store: &Store,
    number: usize,
    change: impl Fn(&mut Account, &mut Vec<Event>) + Send + Sync,
) {
    let id = id(number);
    let decide = |state: &mut crate::store::State| {
        let account = state.account.get_or_insert_with(|| Account::new(id.clone(), NOW, &mut Entropy));
        change(account, &mut state.events);
    };
    store.transact(Subject::account(id.clone()), &origin(), NOW, decide).await.unwrap();
}

async fn open(engine: &Arc<dyn Engine>, file: &Path) -> Result<MasterKeys, UnlockError> {
    let keyring = sources::load_file(file).unwrap();
    let source = keyring::Origin::File(file.to_owned());
    MasterKeys::open(Arc::clone(engine), keyring, source, NOW, &mut Entropy).await.map(|(keys, _)| keys)
}

fn origin() -> Origin {
    Origin::local(Actor::Operator, NOW)
}

fn id(number: usize) -> AccountId {
    AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse(&number.to_string()).unwrap() }
}

#[tokio::test]
async fn everything_is_sealed_anew_and_the_old_key_can_go() {
    let fixture = Fixture::with_accounts(ACCOUNTS).await;
    let old = fixture.sealing();
    let values = ACCOUNTS as u64 + 3;
    assert_eq!(fixture.tally().await, Tally::from([(old, values)]), "with sentinel, pepper and signing key");
    let new = fixture.add_key().await;
    let (key_id, resealed, unused) = fixture.rotate().await;
    assert_eq!((key_id, resealed, unused), (new.to_string(), values, vec![old.to_string()]));
    assert_eq!(fixture.tally().await, Tally::from([(new, values)]));
    assert!(
        !fixture.names(old).await,
        "a kind of record that the rotation does not know holds sealed values"
    );

    file::remove(&fixture.key_file(), old).unwrap();
    let keys = open(&fixture.engine, &fixture.key_file()).await.unwrap();
    let store = Store::new(Arc::clone(&fixture.engine), keys.shared());
    for number in 0..ACCOUNTS {
        assert_eq!(store.account(&id(number)).await.unwrap().unwrap().pending_devices(NOW).count(), 1);
    }
    Signer::load_or_create(&*fixture.engine, &keys.current(), NOW, &mut Entropy).await.unwrap();
    let (old, new) = (old.to_string(), new.to_string());
    let event = |name: &str, id: &str| (name.to_owned(), id.to_owned());
    assert_eq!(
        fixture.key_events().await,
        [
            event("master_key_taken_into_use", &old),
            event("master_key_taken_into_use", &new),
            event("master_key_rotation_started", &new),
            event("master_key_rotation_finished", &new),
        ]
    );
}

#[tokio::test]
async fn a_rotation_that_was_cut_short_goes_on_where_it_was() {
    let fixture = Fixture::with_accounts(ACCOUNTS).await;
    fixture.add_key().await;
    let total = loop {
        if let Progress::UnderWay { phase: Phase::Reseal, done, total } = fixture.step().await
            && done > 0
        {
            break total;
        }
    };
    let before = fixture.tally().await;
    assert_eq!(before.len(), 2, "half of it is done: {before:?}");
    // As after a kill: everything in memory is new.
    let keys = open(&fixture.engine, &fixture.key_file()).await.unwrap();
    let next = keys.rotate_on(&origin(), &mut Entropy).await.unwrap();
    let Progress::UnderWay { phase: Phase::Reseal, done, total: same } = next else { panic!("{next:?}") };
    assert!(done > 256 && same == total, "{next:?}");
    let (_, resealed, _) = fixture.rotate().await;
    assert_eq!(resealed, ACCOUNTS as u64 + 3, "none was done twice");
}

#[tokio::test]
async fn operations_meanwhile_are_neither_lost_nor_refused() {
    const USERS: usize = 40;
    const CHANGES: usize = 30;
    let fixture = Fixture::with_accounts(USERS).await;
    let old = fixture.sealing();
    let busy = async |user: usize| {
        for _ in 0..CHANGES {
            fixture.change(user, |account, _| account.is_admin = !account.is_admin).await;
            fixture.enrol(user + USERS).await;
        }
    };
    let all = join_all((0..USERS).map(busy));
    let rotate = async {
        fixture.add_key().await;
        fixture.rotate().await
    };
    let (_, (new, ..)) = tokio::join!(all, rotate);
    assert_eq!(fixture.tally().await.into_keys().map(|id| id.to_string()).collect::<Vec<_>>(), [new]);
    assert!(!fixture.names(old).await);
    for user in 0..USERS {
        let account = fixture.store.account(&id(user)).await.unwrap().unwrap();
        assert!(!account.is_admin, "an even number of changes");
        assert_eq!(account.pending_devices(NOW).count(), 1);
    }
}

#[tokio::test]
async fn a_keyring_without_a_key_that_is_in_use_is_refused_by_name() {
    let fixture = Fixture::with_accounts(ACCOUNTS).await;
    let old = fixture.sealing();
    let new = fixture.add_key().await;
    fixture.enrol(ACCOUNTS).await;
    let alone = fixture.folder.path().join("alone.key");
    let write = |keep: KeyId| {
        let text = std::fs::read_to_string(fixture.key_file()).unwrap();
        let line = text.lines().find(|line| line.starts_with(&format!("skm1:{keep}"))).unwrap();
        let _ = std::fs::remove_file(&alone);
        std::fs::copy(fixture.key_file(), &alone).unwrap();
        std::fs::write(&alone, line).unwrap();
    };
    write(old);
    let refused = open(&fixture.engine, &alone).await.unwrap_err();
    assert!(
        matches!(refused, UnlockError::MissingKey { needed, values: 1, .. } if needed == new),
        "{refused}"
    );
    write(new);
    let refused = open(&fixture.engine, &alone).await.unwrap_err();
    assert!(matches!(refused, UnlockError::WrongKey { needed, .. } if needed == old), "{refused}");

    // Sentinel and pepper come first: when they are done, the rest still needs the old key.
    while !matches!(fixture.step().await, Progress::UnderWay { phase: Phase::Reseal, done: 1.., .. }) {}
    let left = fixture.tally().await[&old];
    assert!(left > 0);
    let refused = open(&fixture.engine, &alone).await.unwrap_err();
    let expected =
        matches!(refused, UnlockError::MissingKey { needed, values, .. } if needed == old && values == left);
    assert!(expected, "{refused}");
    fixture.rotate().await;
    open(&fixture.engine, &alone).await.unwrap();
}

#[tokio::test]
async fn a_key_that_seals_nothing_is_not_missed() {
    let fixture = Fixture::with_accounts(3).await;
    let text = std::fs::read(fixture.key_file()).unwrap();
    fixture.add_key().await;
    std::fs::write(fixture.key_file(), text).unwrap();
    open(&fixture.engine, &fixture.key_file()).await.unwrap();
    let noted = in_use::read(&*fixture.engine).await.unwrap().unwrap().0;
    assert_eq!(noted, in_use::InUse::only(noted.sealing));
}

#[tokio::test]
async fn keys_that_do_not_fit_are_not_taken_up() {
    let fixture = Fixture::with_accounts(3).await;
    let (old, text) = (fixture.sealing(), std::fs::read_to_string(fixture.key_file()).unwrap());
    let foreign = keyring::MasterKey::generate(&mut Entropy);
    for bad in [String::new(), "nonsense".to_owned(), foreign.to_line().to_string()] {
        std::fs::write(fixture.key_file(), bad).unwrap();
        fixture.keys.reload(&origin()).await.unwrap_err();
        assert_eq!(fixture.sealing(), old);
        fixture.enrol(1).await;
    }
    std::fs::write(fixture.key_file(), text).unwrap();
    fixture.keys.reload(&origin()).await.unwrap();
}

#[tokio::test]
async fn reading_anew_waits_for_those_who_seal_with_the_keys_before() {
    let fixture = Fixture::with_accounts(1).await;
    let held = fixture.keys.current();
    file::add(&fixture.key_file(), &mut Entropy).unwrap();
    let origin = origin();
    let mut reload = Box::pin(fixture.keys.reload(&origin));
    let replaced = async {
        while fixture.sealing() == held.sealing() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        _ = &mut reload => panic!("it did not wait"),
        () = replaced => {}
    }
    fixture.enrol(2).await;
    drop(held);
    reload.await.unwrap();
}

#[tokio::test]
async fn keys_that_not_everybody_works_with_yet_are_in_use_all_the_same() {
    let fixture = Fixture::with_accounts(1).await;
    let held = fixture.keys.current();
    let new = file::add(&fixture.key_file(), &mut Entropy).unwrap().sealing();
    let busy = fixture.keys.reload_within(&origin(), 1).await.unwrap_err();
    assert_eq!(fixture.sealing(), new);
    assert!(busy.to_string().contains("in use from now on"), "{busy}");
    fixture.enrol(2).await;
    assert_eq!(fixture.tally().await[&new], 1);
    drop(held);
    fixture.keys.reload(&origin()).await.unwrap();
}

#[tokio::test]
async fn a_key_that_sealed_goes_when_nobody_seals_with_it_any_more() {
    let fixture = Fixture::with_accounts(3).await;
    let text = std::fs::read_to_string(fixture.key_file()).unwrap();
    let kept = fixture.add_key().await;
    fixture.rotate().await;
    let both = std::fs::read_to_string(fixture.key_file()).unwrap();
    let alone = both.lines().find(|line| line.starts_with(&format!("skm1:{kept}"))).unwrap();
    std::fs::write(fixture.key_file(), format!("{text}{alone}\n")).unwrap();
    let leaving = fixture.keys.reload(&origin()).await.unwrap().sealing();
    assert_ne!(leaving, kept);
    assert_eq!(fixture.tally().await.get(&leaving), None, "so far it seals nothing");

    std::fs::write(fixture.key_file(), alone).unwrap();
    // Somebody has taken the keyring to seal with, and commits while the next one is read.
    let slow = Store::new(Arc::clone(&fixture.engine), Arc::new(Swap::new(fixture.keys.current())));
    let origin = origin();
    let mut reload = Box::pin(fixture.keys.reload(&origin));
    let replaced = async {
        while fixture.sealing() == leaving {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        _ = &mut reload => panic!("it did not wait"),
        () = replaced => {}
    }
    enrol(&slow, 7).await;
    drop(slow);
    let refused = reload.await.unwrap_err();
    let named =
        matches!(refused, ReloadError::Unlock(UnlockError::MissingKey { needed, .. }) if needed == leaving);
    assert!(named, "{refused}");
    let account = fixture.store.account(&id(7)).await.unwrap().unwrap();
    assert_eq!(account.pending_devices(NOW).count(), 1);
    let restarted = open(&fixture.engine, &fixture.key_file()).await.unwrap_err();
    assert!(matches!(restarted, UnlockError::MissingKey { needed, .. } if needed == leaving), "{restarted}");

    fixture.rotate().await;
    fixture.keys.reload(&origin).await.unwrap();
    assert!(!fixture.keys.current().has(leaving));
    open(&fixture.engine, &fixture.key_file()).await.unwrap();
}

#[tokio::test]
async fn another_first_key_in_the_middle_begins_the_rotation_anew() {
    let fixture = Fixture::with_accounts(ACCOUNTS).await;
    fixture.add_key().await;
    while !matches!(fixture.step().await, Progress::UnderWay { phase: Phase::Reseal, done: 1.., .. }) {}
    let newest = fixture.add_key().await;
    assert_eq!(fixture.step().await, Progress::UnderWay { phase: Phase::Count, done: 0, total: 0 });
    let (key_id, _, unused) = fixture.rotate().await;
    assert_eq!((key_id, unused.len()), (newest.to_string(), 2));
    assert_eq!(fixture.tally().await.len(), 1);
}

#[tokio::test]
async fn without_anything_to_do_a_rotation_ends_at_once() {
    let fixture = Fixture::with_accounts(3).await;
    let only = fixture.sealing();
    assert_eq!(fixture.rotate().await, (only.to_string(), 0, Vec::new()));
}

#[tokio::test]
async fn somebody_who_goes_on_with_another_key_is_noticed() {
    let fixture = Fixture::with_accounts(3).await;
    let place = Key::account("shop", "0");
    let old = fixture.engine.get(&place).await.unwrap().unwrap().value;
    fixture.add_key().await;
    let refused = loop {
        match fixture.keys.rotate_on(&origin(), &mut Entropy).await {
            Ok(Progress::Finished { .. }) => panic!("an account is sealed with another key"),
            Ok(Progress::UnderWay { phase: Phase::Check, .. }) => {
                let mut batch = Batch::new();
                batch.put(place.clone(), old.clone());
                fixture.engine.commit(batch).await.unwrap();
            }
            Ok(Progress::UnderWay { .. }) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, RotationError::NeverDone(1)), "{refused}");
    fixture.rotate().await;
}

#[tokio::test]
async fn uses_are_counted_part_by_part() {
    let fixture = Fixture::with_accounts(ACCOUNTS).await;
    let old = fixture.sealing().to_string();
    let new = fixture.add_key().await.to_string();
    fixture.enrol(ACCOUNTS).await;
    let (mut tally, mut parts, mut after) = (std::collections::BTreeMap::new(), 0, None);
    loop {
        let part = uses(&*fixture.engine, after.as_deref()).await.unwrap();
        parts += 1;
        for (id, count) in part.values {
            *tally.entry(id).or_insert(0) += count;
        }
        let mut noted = part.noted;
        noted.sort();
        let mut both = vec![old.clone(), new.clone()];
        both.sort();
        assert_eq!(noted, both);
        after = part.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((tally[&old], tally[&new], parts), (ACCOUNTS as u64 + 3, 1, 2));
}
