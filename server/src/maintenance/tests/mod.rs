//! Stores are filled by the rules as a server does it, damaged byte by byte, backed up and restored.

mod backups;
mod checks;
mod damage;
mod migrations;
mod retention;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sidekey_core::account::Account;
use sidekey_core::backup_code::{BackupCodes, CodeHash, Salt};
use sidekey_core::code::Code;
use sidekey_core::device::Answer;
use sidekey_core::id::{AccountId, AppId, LoginId, UserId};
use sidekey_core::login::{Grant, Method, SecondFactor};
use sidekey_core::policy::Enforcement;
use sidekey_core::refresh::Family;
use sidekey_core::session::{Opening, Purpose, Session};
use sidekey_core::time::{Step, UnixTime};
use sidekey_core::totp::code_at;
use tempfile::TempDir;

use super::check::{Report, check_store};
use crate::apps::{Apps, NewApp, ReturnUrls};
use crate::audit::{Actor, Origin};
use crate::entropy::Entropy;
use crate::keyring::{Keyring, MasterKey, unlock};
use crate::store::sled::Options;
use crate::store::{Engine, Inspection, Key, SledEngine, State, Store, Subject};
use crate::swap::Swap;
use crate::token::Signer;

const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

/// A data folder with a store in it, and the master key as it is written.
struct Fixture {
    folder: TempDir,
    key: String,
}

impl Fixture {
    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn keyring(&self) -> Arc<Keyring> {
        Arc::new(Keyring::parse(&self.key).unwrap())
    }

    /// The store as a running server has it.
    async fn open(&self) -> Arc<dyn Engine> {
        open(&self.data(), &self.keyring()).await
    }

    fn check(&self) -> Report {
        check(&self.data(), Some(self.keyring()))
    }
}

async fn open(data: &Path, keyring: &Keyring) -> Arc<dyn Engine> {
    let options = Options { cache_bytes: 8 << 20, ..Options::new([7; 16]) };
    let engine = SledEngine::open(data, &options).unwrap();
    unlock(&engine, keyring, &mut Entropy).await.unwrap();
    Arc::new(engine)
}

fn check(data: &Path, keyring: Option<Arc<Keyring>>) -> Report {
    check_store(&Inspection::open(data).unwrap(), keyring, &mut |_, _| {}).unwrap()
}

fn user(number: u32) -> AccountId {
    AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse(&format!("user-{number}")).unwrap() }
}

fn origin() -> Origin {
    Origin::local(Actor::App, NOW)
}

/// A store with an app and so many users, each with a device, backup codes, a session, a login and an enrolment token.
async fn filled(users: u32) -> Fixture {
    let key = MasterKey::generate(&mut Entropy).to_line().to_string();
    let fixture = Fixture { folder: TempDir::new().unwrap(), key };
    let engine = fixture.open().await;
    let new = NewApp {
        id: Some(AppId::parse("shop").unwrap()),
        name: "Shop".to_owned(),
        enforcement: Enforcement::Optional,
        return_urls: ReturnUrls::default(),
    };
    Apps::new(Arc::clone(&engine)).create(new, &origin(), &mut Entropy).await.unwrap();
    Signer::load_or_create(&*engine, &fixture.keyring(), NOW, &mut Entropy).await.unwrap();
    let store = store(&engine, &fixture);
    for number in 0..users {
        enrol(&store, number).await;
    }
    engine.close().await.unwrap();
    fixture
}

fn store(engine: &Arc<dyn Engine>, fixture: &Fixture) -> Store {
    Store::new(Arc::clone(engine), Arc::new(Swap::new(fixture.keyring())))
}

fn session_hash(number: u32) -> [u8; 32] {
    let mut hash = [0; 32];
    hash[..4].copy_from_slice(&number.to_be_bytes());
    hash
}

async fn enrol(store: &Store, number: u32) {
    let id = user(number);
    let subject = Subject::account(id.clone()).with_session(session_hash(number));
    let decide = |state: &mut State| {
        let account = state.account.get_or_insert_with(|| Account::new(id.clone(), NOW, &mut Entropy));
        let login = LoginId::generate(&mut Entropy);
        let events = &mut state.events;
        let device = account.start_setup(login, None, false, NOW, &mut Entropy, events).unwrap();
        let step = Step::at(NOW, device.params.period);
        let code = Code::parse(&code_at(&device.secret, device.params, step)).unwrap();
        let hashes = (0..10).map(|code| CodeHash::new([code; 32])).collect();
        let codes = BackupCodes::new(Salt([9; 16]), hashes, NOW);
        account.confirm(device.id, &Answer::of(code), Some(codes), NOW, events).unwrap();
        let opening =
            Opening { purpose: Purpose::Login, login, remember_me: false, return_url: None, action: None };
        state.session = Some(Session::open(account, opening, NOW, events));
        state.enrollment_token = Some(session_hash(number + 1_000));
        let second_factor = Some(SecondFactor { method: Method::Otp, at: NOW });
        state.started = Some(Family::start(account, Grant { login, second_factor, remember_me: false }, NOW));
    };
    store.transact(subject, &origin(), NOW, decide).await.unwrap();
}

/// The answer of a user's authenticator.
fn answer(account: &Account, at: UnixTime) -> Answer {
    let device = &account.active_devices()[0];
    Answer::of(
        Code::parse(&code_at(&device.secret, device.params, Step::at(at, device.params.period))).unwrap(),
    )
}

/// The database of a store that nobody has open.
fn database(data: &Path) -> ::sled::Db {
    for _ in 0..400 {
        match ::sled::Config::new().path(data.join("sled")).mode(::sled::Mode::HighThroughput).open() {
            Ok(db) => return db,
            // Whoever had it open is still closing it.
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(25)),
        }
    }
    panic!("the database stays closed");
}

/// Everything that is stored but the engine's own records.
fn contents(data: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let own = [Key::meta("store"), Key::meta("head")];
    let all = database(data).iter().map(|entry| entry.unwrap());
    let all = all.filter(|(key, _)| own.iter().all(|own| own.as_bytes() != &key[..]));
    all.map(|(key, bytes)| (key.to_vec(), bytes.to_vec())).collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (entry, to) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).unwrap();
        if entry.is_dir() { copy(&entry, &to) } else { std::fs::copy(&entry, &to).map(drop).unwrap() }
    }
}
