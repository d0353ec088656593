use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::{
    account::{
        BackupRefusal, Login, MAX_DEVICES, NotImported, Opened, Refusal, RemoveRefusal, TooManyDevices,
    },
    backup_code::{Attempt, BackupCodes, CODES, CodeHash, Salt},
    code::Code,
    device::{ActiveDevice, Answer},
    id::{AccountId, AppId, LoginId, UserId},
    import::{ImportedDevice, ImportedUser},
    login::{FRESH, Grant, Method, SecondFactor},
    policy::Enforcement,
    refresh::Family,
    secret::Secret,
    session::{EnrollRefusal, Opening, Purpose, Session},
    throttle::LOCK_AFTER,
    time::Step,
    totp::{TotpParams, code_at},
};

const NOW: UnixTime = UnixTime::from_secs(1_700_000_010);

struct World {
    account: Account,
    rng: StdRng,
    events: Vec<Event>,
}

/// A user with a device for each time, confirmed then.
fn world(confirmed: impl IntoIterator<Item = UnixTime>) -> World {
    let mut rng = StdRng::seed_from_u64(7);
    let id = AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse("42").unwrap() };
    let mut world = World { account: Account::new(id, NOW, &mut rng), rng, events: Vec::new() };
    for now in confirmed {
        world.enrol(now);
    }
    world
}

impl World {
    fn enrol(&mut self, now: UnixTime) -> DeviceId {
        let World { account, rng, events } = self;
        let device = account.start_setup(LoginId::generate(rng), None, false, now, rng, events).unwrap();
        let code = code(&device.secret, device.params, now);
        let hashes = (0..CODES).map(|n| CodeHash::new([u8::try_from(n).unwrap(); 32]));
        let set = BackupCodes::new(Salt([1; 16]), hashes.collect(), now);
        account.confirm(device.id, &code, Some(set), now, events).unwrap();
        device.id
    }

    fn ids(&self) -> Vec<DeviceId> {
        self.account.active_devices().iter().map(|device| device.id).collect()
    }

    fn disable_all(&mut self, now: UnixTime) -> Vec<ActiveDevice> {
        for id in self.ids() {
            assert!(self.account.disable_device(id, now, &mut self.events));
        }
        self.account.disabled_devices().iter().map(|device| device.about().clone()).collect()
    }
}

fn code(secret: &Secret, params: TotpParams, at: UnixTime) -> Answer {
    Answer::of(Code::parse(&code_at(secret, params, Step::at(at, params.period))).unwrap())
}

fn login(trusted: Option<SecondFactor>) -> Login {
    Login {
        id: LoginId::from_bytes([7; 16]),
        account_name: None,
        is_admin: false,
        remember_me: false,
        return_url: None,
        trusted,
    }
}

#[test]
fn a_user_all_of_whose_devices_are_disabled_is_not_let_in_and_cannot_enrol_by_a_password() {
    let mut world = world([NOW, NOW.plus(60)]);
    let enrollment = Opening {
        purpose: Purpose::Enrollment,
        login: LoginId::from_bytes([8; 16]),
        remember_me: false,
        return_url: None,
        action: None,
    };
    let now = NOW.plus(600);
    let mut session = Session::open(&world.account, enrollment, now, &mut world.events);
    world.disable_all(now);
    let World { account, rng, events } = &mut world;
    assert!(account.is_protected());
    for enforcement in
        [Enforcement::Optional, Enforcement::Encouraged, Enforcement::Required { grace_seconds: 0 }]
    {
        let opened = account.open(login(None), enforcement, now, events);
        assert!(matches!(opened, Opened::Challenge(_)), "{enforcement:?}: {opened:?}");
    }
    assert!(account.require_second_factor(None, None, now).is_err());
    let pending = account.start_setup(LoginId::from_bytes([8; 16]), None, false, now, rng, events).unwrap();
    let first = code(&pending.secret, pending.params, now);
    let refused = session.confirm(account, pending.id, &first, None, now, events).unwrap_err();
    assert!(matches!(refused, EnrollRefusal::SecondFactorNeeded(_)), "{refused:?}");
    let mut family = Family::start(
        account,
        Grant { login: LoginId::from_bytes([9; 16]), second_factor: None, remember_me: false },
        now,
    );
    assert!(family.rotate(Some(account), 0, None, now, events).is_err(), "nor does an old login go on");
    let mut moved = ImportedUser::new(account.id.user.clone());
    let secret = Secret::from_bytes(vec![7; 20]).unwrap();
    moved.add(Ok(ImportedDevice::new(secret, TotpParams::default()).unwrap()));
    let imported = account.import(&moved, None, now, rng, events);
    assert_eq!(imported, Err(NotImported::HasDevice));
}

#[test]
fn no_code_of_a_disabled_device_counts_and_each_costs_what_a_wrong_one_does() {
    let mut world = world([NOW]);
    let device = world.disable_all(NOW).remove(0);
    let World { account, events, .. } = &mut world;
    for step in 1..=5 {
        let now = NOW.plus(30 * step);
        let right = code(&device.secret, device.params, now);
        assert_eq!(account.answer(&right, now, events), Err(Refusal::Wrong));
    }
    let now = NOW.plus(151);
    let right = code(&device.secret, device.params, now);
    assert_eq!(account.answer(&right, now, events), Err(Refusal::Throttled { seconds: 29 }));
    assert!(events.contains(&Event::AnswerRefused { method: Method::Otp, replayed: false }));
    assert_eq!(account.disabled_devices()[0].about(), &device, "nothing of it has changed");
}

#[test]
fn backup_codes_still_count_and_a_new_device_may_be_added_with_one() {
    let mut world = world([NOW]);
    let old = world.disable_all(NOW).remove(0);
    let now = NOW.plus(600);
    let World { account, events, .. } = &mut world;
    let attempt = Attempt { salt: Salt([1; 16]), hash: CodeHash::new([3; 32]) };
    let factor = account.answer_with_backup_code(attempt, now, events).unwrap();
    assert!(account.require_second_factor(Some(factor), Some(FRESH), now).is_ok());
    assert_eq!(account.answer_with_backup_code(attempt, now, events), Err(BackupRefusal::Wrong));
    let new = world.enrol(now);
    let World { account, events, rng } = &mut world;
    assert!(events.contains(&Event::DeviceConfirmed { device: new, first: false }), "2FA was never off");
    assert_eq!(account.backup_codes().map(BackupCodes::remaining), Some(CODES - 1), "and the codes stay");
    assert!(account.is_primary(new));
    let removed = account.remove_device(old.id, None, now, rng, events);
    assert!(removed.is_ok() && account.devices() == 1);
}

#[test]
fn the_only_device_is_not_removed_by_its_owner_while_it_is_disabled() {
    let mut world = world([NOW]);
    let device = world.disable_all(NOW).remove(0);
    let World { account, rng, events } = &mut world;
    let now = NOW.plus(60);
    let refused = account.remove_device(device.id, None, now, rng, events);
    assert_eq!(refused, Err(RemoveRefusal::CodeRequired));
    let right = code(&device.secret, device.params, now);
    let refused = account.remove_device(device.id, Some(&right), now, rng, events);
    assert_eq!(refused, Err(RemoveRefusal::Code(Refusal::Wrong)));
    assert!(account.is_protected());
}

#[test]
fn an_enabled_device_is_as_it_was_and_what_it_used_up_stays_so() {
    let mut world = world([NOW, NOW.plus(30)]);
    let ids = world.ids();
    let (first, now) = (ids[0], NOW.plus(90));
    let World { account, events, .. } = &mut world;
    let device = account.active_device(first).unwrap().clone();
    let used = code(&device.secret, device.params, now);
    assert!(account.answer(&used, now, events).is_ok());
    assert!(account.is_primary(first));
    assert!(account.disable_device(first, now, events));
    assert!(account.is_primary(ids[1]), "another one takes over");
    assert!(!account.disable_device(first, now, events), "once");
    assert!(!account.make_primary(first, events));
    assert!(account.enable_device(first, events));
    assert!(!account.enable_device(first, events), "once");
    assert_eq!(world.ids(), ids, "in the place where it was");
    let World { account, events, .. } = &mut world;
    assert_eq!(account.answer(&used, now, events), Err(Refusal::Wrong));
    let next = code(&device.secret, device.params, now.plus(30));
    assert!(account.answer(&next, now.plus(30), events).is_ok());
    let told = [Event::DeviceDisabled { device: first }, Event::DeviceEnabled { device: first }];
    assert!(told.iter().all(|event| events.contains(event)));
}

#[test]
fn disabled_devices_count_towards_the_most_that_there_may_be() {
    let mut world = world((0..MAX_DEVICES).map(|n| NOW.plus(60 * n as u64)));
    world.disable_all(NOW.plus(600));
    let World { account, rng, events } = &mut world;
    let login = LoginId::generate(rng);
    let refused = account.start_setup(login, None, false, NOW.plus(600), rng, events);
    assert_eq!(refused, Err(TooManyDevices));
}

#[test]
fn an_operator_removes_any_device_but_the_last() {
    let mut world = world([NOW, NOW.plus(60)]);
    let [first, second] = world.ids()[..] else { panic!("two devices") };
    let World { account, rng, events } = &mut world;
    let pending = account.start_setup(LoginId::generate(rng), None, false, NOW, rng, events).unwrap();
    assert!(account.disable_device(second, NOW, events));
    for id in [pending.id, first] {
        assert_eq!(account.remove_device_for_owner(id, NOW, events), Ok(()));
        assert_eq!(account.remove_device_for_owner(id, NOW, events), Err(NotRemoved::NotFound));
    }
    let refused = account.remove_device_for_owner(second, NOW, events);
    assert_eq!(refused, Err(NotRemoved::LastDevice));
    assert!(account.is_protected());
}

#[test]
fn after_a_reset_nothing_of_before_counts_and_the_user_can_enrol_at_once() {
    let mut world = world([NOW, NOW.plus(60)]);
    let ids = world.ids();
    let now = NOW.plus(600);
    let World { account, rng, events } = &mut world;
    assert!(account.disable_device(ids[1], now, events));
    let factor = SecondFactor { method: Method::Otp, at: now };
    let grant = Grant { login: LoginId::generate(rng), second_factor: Some(factor), remember_me: true };
    let family = Family::start(account, grant, now);
    let wrong = |n: u32| Answer::of(Code::parse(&format!("{n:06}")).unwrap());
    let mut at = now;
    for n in 0..LOCK_AFTER {
        at = account.throttled_until(at).unwrap_or(at);
        // From some time on a pair is asked for, which costs the same.
        let guess = Answer { next_code: Some(wrong(n + 500).code), ..wrong(n) };
        assert_eq!(account.answer(&guess, at, events), Err(Refusal::Wrong));
    }
    assert!(account.is_locked() && family.speaks_for(account));
    account.reset(rng, events);
    assert_eq!(events.last(), Some(&Event::TwoFactorReset));
    assert!(!account.is_protected() && account.backup_codes().is_none());
    assert!(!family.is_alive(Some(account), now) && !family.speaks_for(account));
    let opened = account.open(login(Some(factor)), Enforcement::Required { grace_seconds: 0 }, at, events);
    assert!(matches!(opened, Opened::Enrollment(_)), "{opened:?}");
    let new = world.enrol(at);
    assert!(world.events.contains(&Event::DeviceConfirmed { device: new, first: true }));
}
