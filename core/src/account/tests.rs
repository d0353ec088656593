use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::{
    backup_code::{Attempt, CODES, CodeHash, Salt},
    code::Code,
    device::{Answer, SETUP_LIFETIME},
    event::Event,
    id::{AppId, LoginId, UserId},
    login::Method,
    throttle::LOCK_AFTER,
    time::Step,
    totp::code_at,
};

const NOW: UnixTime = UnixTime::from_secs(1_700_000_010);

struct World {
    account: Account,
    rng: StdRng,
    events: Vec<Event>,
}

fn world() -> World {
    let mut rng = StdRng::seed_from_u64(7);
    let id = AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse("42").unwrap() };
    World { account: Account::new(id, NOW, &mut rng), rng, events: Vec::new() }
}

fn codes() -> BackupCodes {
    BackupCodes::new(
        Salt([1; 16]),
        (0..CODES).map(|n| CodeHash::new([u8::try_from(n).unwrap(); 32])).collect(),
        NOW,
    )
}

fn attempt(n: u8) -> Attempt {
    Attempt { salt: Salt([1; 16]), hash: CodeHash::new([n; 32]) }
}

impl World {
    fn enrol(&mut self, now: UnixTime) -> DeviceId {
        let login = LoginId::generate(&mut self.rng);
        let device =
            self.account.start_setup(login, None, false, now, &mut self.rng, &mut self.events).unwrap();
        let code = answer(&device.secret, device.params, now);
        self.account.confirm(device.id, &code, Some(codes()), now, &mut self.events).unwrap();
        device.id
    }

    fn code(&self, at: UnixTime) -> Answer {
        let device = &self.account.active[0];
        answer(&device.secret, device.params, at)
    }

    fn try_code(&mut self, code: &Answer, now: UnixTime) -> Result<SecondFactor, Refusal> {
        self.account.answer(code, now, &mut self.events)
    }
}

fn answer(secret: &Secret, params: crate::totp::TotpParams, at: UnixTime) -> Answer {
    Answer::of(Code::parse(&code_at(secret, params, Step::at(at, params.period))).unwrap())
}

fn wrong() -> Answer {
    // The seed's secrets have no such code near `NOW`.
    Answer::of(Code::parse("000000").unwrap())
}

#[test]
fn a_code_counts_once_and_only_for_a_later_step() {
    let mut world = world();
    world.enrol(NOW);
    let (a, b) = (world.code(NOW.plus(30)), world.code(NOW.plus(60)));
    assert_eq!(
        world.try_code(&world.code(NOW), NOW),
        Err(Refusal::Wrong),
        "the code of the confirmation is used up"
    );
    assert!(world.try_code(&b, NOW.plus(60)).is_ok());
    assert_eq!(world.try_code(&a, NOW.plus(60)), Err(Refusal::Wrong), "an older step after a newer one");
    assert_eq!(world.try_code(&b, NOW.plus(60)), Err(Refusal::Wrong));
    assert!(world.events.contains(&Event::AnswerRefused { method: Method::Otp, replayed: true }));
}

#[test]
fn one_step_either_side_is_accepted_and_no_more() {
    for (offset, accepted) in [(-2_i64, false), (-1, true), (0, true), (1, true), (2, false)] {
        let mut world = world();
        world.enrol(NOW);
        let now = NOW.plus(300);
        let at = UnixTime::from_secs(now.as_secs().checked_add_signed(offset * 30).unwrap());
        let code = world.code(at);
        assert_eq!(world.try_code(&code, now).is_ok(), accepted, "{offset}");
        if accepted {
            assert_eq!(i64::from(world.account.active[0].drift), offset);
        }
    }
}

#[test]
fn setup_is_safe_to_repeat() {
    let World { mut account, mut rng, mut events } = world();
    let login = LoginId::generate(&mut rng);
    let mut start = |account: &mut Account, login, restart, now| {
        account.start_setup(login, None, restart, now, &mut rng, &mut events).unwrap()
    };
    let first = start(&mut account, login, false, NOW);
    assert_eq!(start(&mut account, login, false, NOW.plus(SETUP_LIFETIME - 1)), first);
    let restarted = start(&mut account, login, true, NOW.plus(5));
    assert_ne!(restarted.secret, first.secret);
    let expired = start(&mut account, login, false, NOW.plus(5 + SETUP_LIFETIME));
    assert_ne!(expired.secret, restarted.secret);
    let other = start(&mut account, LoginId::from_bytes([9; 16]), false, NOW);
    assert_ne!(other.secret, expired.secret, "another login never sees the secret");
}

#[test]
fn a_wrong_first_code_keeps_the_pending_device_and_counts() {
    let World { mut account, mut rng, mut events } = world();
    let device =
        account.start_setup(LoginId::generate(&mut rng), None, false, NOW, &mut rng, &mut events).unwrap();
    for _ in 0..5 {
        let refused = account.confirm(device.id, &wrong(), None, NOW, &mut events);
        assert_eq!(refused, Err(ConfirmRefusal::Code(Refusal::Wrong)));
    }
    let right = answer(&device.secret, device.params, NOW);
    let refused = account.confirm(device.id, &right, None, NOW, &mut events);
    assert_eq!(refused, Err(ConfirmRefusal::Code(Refusal::Throttled { seconds: 30 })));
    let now = NOW.plus(30);
    assert!(account.confirm(device.id, &right, Some(codes()), now, &mut events).unwrap().first);
    let expired = account.confirm(device.id, &right, None, now, &mut events);
    assert_eq!(expired, Err(ConfirmRefusal::NotFound), "it is pending no more");
}

#[test]
fn an_expired_setup_says_so() {
    let World { mut account, mut rng, mut events } = world();
    let device =
        account.start_setup(LoginId::generate(&mut rng), None, false, NOW, &mut rng, &mut events).unwrap();
    let late = NOW.plus(SETUP_LIFETIME);
    let code = answer(&device.secret, device.params, late);
    assert_eq!(account.confirm(device.id, &code, None, late, &mut events), Err(ConfirmRefusal::Expired));
}

#[test]
fn over_twenty_failures_in_thirty_days_ask_for_two_codes() {
    let mut world = world();
    world.enrol(NOW);
    let mut now = NOW;
    for _ in 0..21 {
        now = now.plus(3_600);
        assert_eq!(world.try_code(&wrong(), now), Err(Refusal::Wrong));
    }
    now = now.plus(3_600);
    let single = world.code(now);
    assert_eq!(world.try_code(&single, now), Err(Refusal::NeedsNextCode));
    let pair = |world: &World, first: UnixTime, second: UnixTime| Answer {
        next_code: Some(world.code(second).code),
        ..world.code(first)
    };
    let back = UnixTime::from_secs(now.as_secs() - 30);
    let apart = pair(&world, back, now.plus(30));
    assert_eq!(world.try_code(&apart, now), Err(Refusal::Wrong), "not consecutive");
    now = now.plus(3_600);
    let two = pair(&world, now, now.plus(30));
    assert!(world.try_code(&two, now).is_ok());
    assert_eq!(world.try_code(&two, now), Err(Refusal::Wrong), "both are used up");
}

#[test]
fn a_locked_account_opens_for_a_backup_code() {
    let mut world = world();
    world.enrol(NOW);
    let mut now = NOW;
    for _ in 0..LOCK_AFTER {
        now = now.plus(3_600);
        let two = Answer { next_code: Some(wrong().code), ..wrong() };
        assert_eq!(world.try_code(&two, now), Err(Refusal::Wrong));
    }
    let right = world.code(now);
    assert_eq!(world.try_code(&right, now), Err(Refusal::Locked));
    let World { account, events, .. } = &mut world;
    let spent = attempt(3);
    let factor = account.answer_with_backup_code(spent, now, events).unwrap();
    assert_eq!(factor.method, Method::BackupCode);
    assert_eq!(account.answer_with_backup_code(spent, now, events), Err(BackupRefusal::Wrong), "spent");
    assert!(!account.is_locked());
    assert_eq!(account.backup_codes().unwrap().remaining(), CODES - 1);
}

#[test]
fn backup_codes_have_a_budget_of_their_own() {
    let mut world = world();
    world.enrol(NOW);
    for _ in 0..5 {
        assert_eq!(world.try_code(&wrong(), NOW), Err(Refusal::Wrong));
    }
    assert_eq!(world.try_code(&wrong(), NOW), Err(Refusal::Throttled { seconds: 30 }));
    let World { account, events, .. } = &mut world;
    for _ in 0..5 {
        let refused = account.answer_with_backup_code(attempt(99), NOW, events);
        assert_eq!(refused, Err(BackupRefusal::Wrong));
    }
    let waiting = account.answer_with_backup_code(attempt(1), NOW, events);
    assert_eq!(waiting, Err(BackupRefusal::Throttled { seconds: 30 }));
    assert!(account.answer_with_backup_code(attempt(1), NOW.plus(30), events).is_ok());
}

#[test]
fn backup_codes_are_never_locked_and_wait_for_ever() {
    let mut world = world();
    world.enrol(NOW);
    let World { account, events, .. } = &mut world;
    let mut now = NOW;
    for failures in 1..=2 * LOCK_AFTER {
        let refused = account.answer_with_backup_code(attempt(99), now, events);
        assert_eq!(refused, Err(BackupRefusal::Wrong), "{failures}");
        assert_eq!(account.backup_codes_wait(now).is_some(), failures >= 5, "{failures}");
        if failures > 20 {
            let refused = account.answer_with_backup_code(attempt(1), now, events);
            assert_eq!(refused, Err(BackupRefusal::Throttled { seconds: 3_600 }), "{failures}");
        }
        now = now.plus(3_600);
    }
    assert!(!account.is_locked());
    assert!(account.answer_with_backup_code(attempt(1), now, events).is_ok());
    assert_eq!(account.backup_codes_wait(now), None);
}

#[test]
fn there_are_never_more_devices_than_seven() {
    let mut world = world();
    for n in 1..MAX_DEVICES {
        world.enrol(NOW.plus(n as u64));
    }
    let World { account, rng, events } = &mut world;
    let mut start = |account: &mut Account, login| {
        account.start_setup(LoginId::from_bytes([login; 16]), None, false, NOW, rng, events)
    };
    let (seventh, eighth) = (start(account, 1).unwrap(), start(account, 2).unwrap());
    for device in [&seventh, &eighth] {
        let code = answer(&device.secret, device.params, NOW);
        let confirmed = account.confirm(device.id, &code, None, NOW, &mut Vec::new());
        assert_eq!(confirmed.is_ok(), device.id == seventh.id);
    }
    assert_eq!(account.active_devices().len(), MAX_DEVICES);
    assert_eq!(start(account, 3), Err(TooManyDevices));
}

#[test]
fn a_device_that_takes_the_place_of_another_is_primary_if_that_one_was() {
    let mut world = world();
    let (first, second, third) = (world.enrol(NOW), world.enrol(NOW.plus(30)), world.enrol(NOW.plus(60)));
    let World { account, events, .. } = &mut world;
    let ids = |account: &Account| account.active_devices().iter().map(|device| device.id).collect::<Vec<_>>();
    account.replaced(first, third, events);
    assert_eq!((ids(account), account.is_primary(third)), (vec![second, third], true));
    assert_eq!(events.last(), Some(&Event::DeviceRemoved { device: first }));
    let before = account.clone();
    for (old, by) in [(first, third), (third, third), (second, first)] {
        account.replaced(old, by, events);
        assert_eq!(*account, before, "one that is gone, itself, and by one that is not there");
    }
}

#[test]
fn only_a_used_code_is_called_replayed() {
    let mut world = world();
    world.enrol(NOW);
    let now = NOW.plus(300);
    let replayed = |world: &mut World, answer: &Answer, now| {
        world.events.clear();
        assert_eq!(world.try_code(answer, now), Err(Refusal::Wrong));
        world.events[0] == Event::AnswerRefused { method: Method::Otp, replayed: true }
    };
    let pair = |world: &World, first, second| Answer {
        next_code: Some(world.code(second).code),
        ..world.code(first)
    };
    let unused = Answer { next_code: Some(wrong().code), ..world.code(now) };
    assert!(!replayed(&mut world, &unused, now), "right at first, but not used");
    let reversed = pair(&world, now.plus(30), now);
    assert!(!replayed(&mut world, &reversed, now));
    let two = pair(&world, now, now.plus(30));
    assert!(world.try_code(&two, now).is_ok());
    assert!(replayed(&mut world, &two, now));
    assert!(replayed(&mut world, &two, now.plus(60)), "its first code has left the window");
    assert!(replayed(&mut world, &two, now.plus(900)), "the one that was accepted last is always known");
    let overlapping = pair(&world, now.plus(30), now.plus(60));
    world.account.unlock(&mut Vec::new());
    assert!(replayed(&mut world, &overlapping, now.plus(60)), "its first code is used up");
}

#[test]
fn the_last_device_goes_only_with_a_code_and_takes_everything_along() {
    let mut world = world();
    let first = world.enrol(NOW);
    let second = world.enrol(NOW.plus(300));
    let code = world.code(NOW.plus(900));
    let World { account, events, rng } = &mut world;
    let before = account.incarnation;
    assert_eq!(account.remove_device(first, None, NOW, rng, events), Ok(Removed::Device));
    assert!(account.is_primary(second), "the next one takes over");
    assert_eq!(account.remove_device(second, None, NOW, rng, events), Err(RemoveRefusal::CodeRequired));
    let foreign = account.remove_device(second, Some(&code), NOW.plus(900), rng, events);
    assert_eq!(foreign, Err(RemoveRefusal::Code(Refusal::Wrong)), "a code of the removed device");
    let right = answer(&account.active[0].secret, account.active[0].params, NOW.plus(900));
    let removed = account.remove_device(second, Some(&right), NOW.plus(900), rng, events);
    assert_eq!(removed, Ok(Removed::LastDevice));
    assert!(!account.is_protected() && account.backup_codes().is_none());
    assert_ne!(account.incarnation, before);
}

#[test]
fn a_second_factor_given_before_this_enrolment_does_not_count() {
    let mut world = world();
    let factor = |at| Some(SecondFactor { method: Method::Otp, at });
    assert_eq!(world.account.require_second_factor(None, None, NOW), Ok(()));
    world.enrol(NOW);
    let account = &world.account;
    assert!(account.require_second_factor(None, None, NOW).is_err());
    assert!(
        account.require_second_factor(factor(UnixTime::from_secs(NOW.as_secs() - 1)), None, NOW).is_err()
    );
    assert!(account.require_second_factor(factor(NOW), Some(600), NOW.plus(600)).is_ok());
    assert!(account.require_second_factor(factor(NOW), Some(600), NOW.plus(601)).is_err());
    assert!(account.require_second_factor(factor(NOW), None, NOW.plus(86_400)).is_ok());
}

#[test]
fn the_grace_period_runs_from_the_first_login_that_was_asked_to_enrol() {
    let World { mut account, .. } = world();
    let required = Enforcement::Required { grace_seconds: 600 };
    let invited = Admission::Invited { enroll_by: Some(NOW.plus(600)) };
    assert_eq!(account.admit(required, NOW), invited);
    assert_eq!(account.admit(required, NOW.plus(599)), invited);
    assert_eq!(account.admit(required, NOW.plus(600)), Admission::MustEnroll);
    assert_eq!(account.admit(Enforcement::Optional, NOW.plus(700)), Admission::Free);
    assert_eq!(account.asked_to_enroll_at, None, "nobody asks any more");
    let invited = Admission::Invited { enroll_by: Some(NOW.plus(1_400)) };
    assert_eq!(account.admit(required, NOW.plus(800)), invited, "and it runs anew");
    account.is_admin = true;
    assert_eq!(account.admit(Enforcement::AdminsOnly, NOW.plus(801)), Admission::MustEnroll);
    assert_eq!(account.asked_to_enroll_at, Some(NOW.plus(800)));
}

#[test]
fn after_a_restore_nothing_that_may_have_been_used_counts_and_the_device_still_works() {
    let mut world = world();
    world.enrol(NOW);
    let before = world.account.clone();
    let login = LoginId::generate(&mut world.rng);
    world.account.start_setup(login, None, false, NOW, &mut world.rng, &mut world.events).unwrap();
    let now = NOW.plus(300);
    world.account = world.account.restored(now, &mut world.rng);

    assert_ne!(world.account.incarnation, before.incarnation);
    assert_ne!(world.account.birth, before.birth);
    assert_eq!(world.account.pending_devices(NOW).count(), 0);
    assert_eq!(
        world.account.backup_codes().map(|codes| (codes.remaining(), codes.total())),
        Some((0, CODES))
    );
    let World { account, events, .. } = &mut world;
    assert_eq!(account.answer_with_backup_code(attempt(3), now, events), Err(BackupRefusal::Wrong));
    for step in [-1_i64, 0, 1] {
        let at = UnixTime::from_secs(now.as_secs().checked_add_signed(step * 30).unwrap());
        assert_eq!(world.try_code(&world.code(at), now), Err(Refusal::Wrong), "{step}");
    }
    let later = now.plus(60);
    assert!(world.try_code(&world.code(later), later).is_ok());
}

#[test]
fn a_restore_never_moves_the_last_step_back_and_keeps_the_failures() {
    let mut world = world();
    world.enrol(NOW);
    assert_eq!(world.try_code(&wrong(), NOW), Err(Refusal::Wrong));
    let used = world.account.active[0].last_step;
    // The clock of the machine that restores is an hour behind.
    let behind = UnixTime::from_secs(NOW.as_secs() - 3_600);
    let restored = world.account.clone().restored(behind, &mut world.rng);
    assert_eq!(restored.active[0].last_step, used);
    assert_eq!(restored.totp_throttle, world.account.totp_throttle);
    assert_eq!(restored.active[0].secret, world.account.active[0].secret);
}

#[test]
fn turning_two_factors_on_and_off_starts_no_new_grace_period() {
    let mut world = world();
    let required = Enforcement::Required { grace_seconds: 600 };
    assert_eq!(world.account.admit(required, NOW), Admission::Invited { enroll_by: Some(NOW.plus(600)) });
    world.enrol(NOW.plus(300));
    let World { account, rng, events } = &mut world;
    account.turn_off(rng, events);
    assert_eq!(account.admit(required, NOW.plus(600)), Admission::MustEnroll);
}
