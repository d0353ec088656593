use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::{
    code::Code,
    device::Answer,
    id::{AppId, UserId},
    login::Method,
    retry::WINDOW,
    time::Step,
    totp::code_at,
};

const NOW: UnixTime = UnixTime::from_secs(1_700_000_010);
const KEY: Option<[u8; 32]> = Some([1; 32]);
const OTHER_KEY: Option<[u8; 32]> = Some([2; 32]);

struct World {
    account: Account,
    family: Family,
    rng: StdRng,
    events: Vec<Event>,
}

fn account(rng: &mut StdRng) -> Account {
    let id = AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse("42").unwrap() };
    Account::new(id, NOW, rng)
}

fn enrol(account: &mut Account, now: UnixTime, rng: &mut StdRng) {
    let login = LoginId::generate(rng);
    let device = account.start_setup(login, None, false, now, rng, &mut Vec::new()).unwrap();
    let code = code_at(&device.secret, device.params, Step::at(now, device.params.period));
    let answer = Answer::of(Code::parse(&code).unwrap());
    account.confirm(device.id, &answer, None, now, &mut Vec::new()).unwrap();
}

fn grant(remember_me: bool) -> Grant {
    let second_factor = Some(SecondFactor { method: Method::Otp, at: NOW });
    Grant { login: LoginId::from_bytes([7; 16]), second_factor, remember_me }
}

/// A login with its second factor, given now.
fn world(remember_me: bool) -> World {
    let mut rng = StdRng::seed_from_u64(7);
    let mut account = account(&mut rng);
    enrol(&mut account, NOW, &mut rng);
    let family = Family::start(&account, grant(remember_me), NOW);
    World { account, family, rng, events: Vec::new() }
}

impl World {
    fn rotate(&mut self, number: u64, key: Option<[u8; 32]>, now: UnixTime) -> Result<(), RefreshRefusal> {
        self.family.rotate(Some(&self.account), number, key, now, &mut self.events)
    }

    fn redeem(&mut self, number: u64, key: Option<[u8; 32]>, now: UnixTime) -> Result<(), TicketRefusal> {
        self.family.redeem_return_code(Some(&self.account), number, key, now, &mut self.events)
    }
}

#[test]
fn a_family_starts_with_what_the_login_proved() {
    let World { account, family, .. } = world(true);
    assert_eq!((&family.account, family.incarnation), (&account.id, account.incarnation));
    assert_eq!((family.login, family.second_factor), (grant(true).login, grant(true).second_factor));
    assert_eq!((family.started_at, family.number()), (NOW, 0));
    assert!(!family.is_revoked());
}

#[test]
fn every_use_gives_a_successor_and_moves_no_second_factor() {
    let mut world = world(false);
    for number in 0..5 {
        let now = NOW.plus(number * 86_400);
        assert_eq!(world.rotate(number, None, now), Ok(()));
        assert_eq!(world.family.number(), number + 1);
        assert_eq!(world.family.expires_at, now.plus(LIFETIME));
        assert_eq!((world.family.second_factor, world.family.started_at), (grant(false).second_factor, NOW));
    }
    assert!(world.events.is_empty());
}

#[test]
fn a_token_lives_seven_days_and_thirty_where_remembered() {
    for (remember_me, days) in [(false, 7), (true, 30)] {
        let (last, over) = (NOW.plus(days * 86_400 - 1), NOW.plus(days * 86_400));
        let mut expired = world(remember_me);
        assert!(!expired.family.is_alive(Some(&expired.account), over));
        assert_eq!(expired.rotate(0, KEY, over), Err(RefreshRefusal::Dead));
        assert!(!expired.family.is_revoked() && expired.family.number() == 0, "nothing was changed");
        let mut alive = world(remember_me);
        assert!(alive.family.is_alive(Some(&alive.account), last));
        assert_eq!(alive.rotate(0, None, last), Ok(()));
        assert_eq!(alive.family.expires_at, last.plus(days * 86_400), "remembered for the successor too");
    }
}

#[test]
fn the_use_of_a_spent_token_revokes_the_family() {
    for (uses, spent) in [(1, 0), (3, 0), (3, 2)] {
        let mut world = world(false);
        for number in 0..uses {
            world.rotate(number, None, NOW).unwrap();
        }
        assert_eq!(world.rotate(spent, None, NOW), Err(RefreshRefusal::Reused), "{uses} {spent}");
        assert_eq!(world.events, [Event::RefreshTokenReused]);
        assert!(world.family.is_revoked());
        assert!(!world.family.is_alive(Some(&world.account), NOW));
        for number in 0..=uses {
            assert_eq!(world.rotate(number, KEY, NOW), Err(RefreshRefusal::Dead), "the living one too");
        }
        assert_eq!(world.events.len(), 1, "the theft is told once");
    }
}

#[test]
fn a_number_that_was_never_given_out_revokes_the_family() {
    for (number, key) in [(1, None), (2, KEY), (u64::MAX, KEY)] {
        let mut world = world(false);
        assert_eq!(world.rotate(number, key, NOW), Err(RefreshRefusal::Reused));
        assert!(world.family.is_revoked());
    }
}

#[test]
fn the_same_request_within_ten_seconds_gets_the_same_successor() {
    for after in [0, 1, WINDOW] {
        let mut world = world(false);
        world.rotate(0, KEY, NOW).unwrap();
        let expires_at = world.family.expires_at;
        assert_eq!(world.rotate(0, KEY, NOW.plus(after)), Ok(()), "{after}");
        assert_eq!((world.family.number(), world.family.expires_at), (1, expires_at));
        assert_eq!(world.rotate(1, KEY, NOW.plus(after)), Ok(()), "the successor is alive");
    }
}

#[test]
fn a_repetition_that_is_no_retry_is_a_theft() {
    let late = NOW.plus(WINDOW + 1);
    for (first, second, at, why) in [
        (KEY, KEY, late, "too late"),
        (KEY, OTHER_KEY, NOW, "another request"),
        (KEY, None, NOW, "without the key"),
        (None, KEY, NOW, "a key that the first request did not have"),
        (None, None, NOW, "no keys at all"),
    ] {
        let mut world = world(false);
        world.rotate(0, first, NOW).unwrap();
        assert_eq!(world.rotate(0, second, at), Err(RefreshRefusal::Reused), "{why}");
        assert!(world.family.is_revoked(), "{why}");
    }
}

#[test]
fn a_retry_is_answered_once_and_only_while_its_successor_is_unused() {
    let mut twice = world(false);
    twice.rotate(0, KEY, NOW).unwrap();
    twice.rotate(0, KEY, NOW).unwrap();
    assert_eq!(twice.rotate(0, KEY, NOW), Err(RefreshRefusal::Reused));
    for key in [KEY, OTHER_KEY, None] {
        let mut used = world(false);
        used.rotate(0, KEY, NOW).unwrap();
        used.rotate(1, key, NOW).unwrap();
        assert_eq!(used.rotate(0, KEY, NOW), Err(RefreshRefusal::Reused), "its successor was used");
    }
}

#[test]
fn the_owner_ends_the_login() {
    let mut world = world(true);
    world.family.revoke();
    assert!(!world.family.is_alive(Some(&world.account), NOW));
    assert_eq!(world.rotate(0, None, NOW), Err(RefreshRefusal::Dead));
    assert!(world.events.is_empty(), "that is no theft");
}

#[test]
fn another_life_of_the_account_ends_the_login() {
    let mut world = world(true);
    assert!(!world.family.is_alive(None::<&Account>, NOW));
    assert_eq!(
        world.family.rotate(None, 0, None, NOW, &mut Vec::new()),
        Err(RefreshRefusal::Dead),
        "the user was erased"
    );
    world.account.turn_off(&mut world.rng, &mut Vec::new());
    assert_eq!(world.rotate(0, None, NOW), Err(RefreshRefusal::Dead));
    enrol(&mut world.account, NOW, &mut world.rng);
    assert_eq!(world.rotate(0, None, NOW), Err(RefreshRefusal::Dead), "nor does a new enrolment revive it");
    assert!(!world.family.is_revoked() && world.events.is_empty());
}

#[test]
fn access_tokens_outlive_a_turning_off_and_die_with_the_login_or_the_user() {
    let mut world = world(false);
    assert!(world.family.speaks_for(&world.account));
    assert!(
        !world.family.speaks_for(&account(&mut world.rng)),
        "another user of the same name, after an erasure"
    );
    world.account.turn_off(&mut world.rng, &mut Vec::new());
    assert!(world.family.speaks_for(&world.account));
    assert!(!world.family.is_alive(Some(&world.account), NOW));
    world.family.revoke();
    assert!(!world.family.speaks_for(&world.account));
}

/// A login from before the account's first device.
fn before_enrolment() -> World {
    let mut rng = StdRng::seed_from_u64(7);
    let account = account(&mut rng);
    let family = Family::start(&account, Grant { second_factor: None, ..grant(false) }, NOW);
    World { account, family, rng, events: Vec::new() }
}

#[test]
fn a_login_without_second_factor_refreshes_until_there_is_a_device() {
    let mut world = before_enrolment();
    assert_eq!(world.rotate(0, None, NOW), Ok(()));
    enrol(&mut world.account, NOW.plus(60), &mut world.rng);
    let before = world.family.clone();
    assert_eq!(world.rotate(1, None, NOW.plus(60)), Err(RefreshRefusal::SecondFactorNeeded));
    assert_eq!(world.family, before, "nothing is spent");
    assert!(world.family.is_alive(Some(&world.account), NOW.plus(60)));
}

#[test]
fn a_retry_without_second_factor_is_refused_once_there_is_a_device() {
    let mut world = before_enrolment();
    world.rotate(0, KEY, NOW).unwrap();
    enrol(&mut world.account, NOW, &mut world.rng);
    let before = world.family.clone();
    assert_eq!(world.rotate(0, KEY, NOW), Err(RefreshRefusal::SecondFactorNeeded));
    assert_eq!(world.family, before);
}

#[test]
fn a_spent_token_is_a_theft_whether_or_not_a_second_factor_is_missing() {
    let mut world = before_enrolment();
    world.rotate(0, None, NOW).unwrap();
    enrol(&mut world.account, NOW, &mut world.rng);
    assert_eq!(world.rotate(0, None, NOW), Err(RefreshRefusal::Reused));
    assert!(world.family.is_revoked());
    assert_eq!(world.events, [Event::RefreshTokenReused]);
}

#[test]
fn a_login_that_would_not_be_let_in_any_more_must_enroll_and_a_dead_one_is_not_asked() {
    let mut world = before_enrolment();
    let mut ended = world.family.clone();
    ended.revoke();
    let required = Enforcement::Required { grace_seconds: 60 };
    let ask = |family: &Family, account: &mut Account, now| family.must_enroll(account, required, now);
    assert!(!ask(&ended, &mut world.account, NOW));
    assert!(!ask(&world.family, &mut world.account, NOW.plus(3_600)), "its grace period begins now");
    assert!(!ask(&ended, &mut world.account, NOW.plus(7_200)));
    assert!(ask(&world.family, &mut world.account, NOW.plus(7_200)));
    enrol(&mut world.account, NOW, &mut world.rng);
    assert!(!ask(&world.family, &mut world.account, NOW.plus(7_200)), "it has a device");
}

#[test]
fn a_return_code_counts_once_and_its_second_use_ends_the_login() {
    let mut world = world(false);
    assert_eq!(world.family.return_code(), None, "none was given out");
    let number = world.family.give_return_code(NOW).unwrap();
    assert_eq!(world.family.return_code(), Some(number));
    let redeem = |world: &mut World, at| {
        world.family.redeem_return_code(Some(&world.account), number, None, at, &mut world.events)
    };
    assert_eq!(redeem(&mut world, NOW.plus(60)), Err(TicketRefusal::Expired), "its minute is over");
    assert_eq!(redeem(&mut world, NOW.plus(59)), Ok(()));
    assert_eq!(world.family.give_return_code(NOW), None, "a login yields its tokens once");
    assert_eq!(world.family.return_code(), None, "it was used");
    assert_eq!(redeem(&mut world, NOW.plus(59)), Err(TicketRefusal::Used));
    assert!(world.family.is_revoked());
    assert_eq!(world.events, [Event::ReturnCodeReused]);
    assert_eq!(redeem(&mut world, NOW.plus(59)), Err(TicketRefusal::Expired), "a dead login tells nothing");
}

#[test]
fn the_same_exchange_within_ten_seconds_gets_the_first_tokens_as_often_as_it_is_asked() {
    let mut world = world(false);
    let number = world.family.give_return_code(NOW).unwrap();
    let used_at = NOW.plus(50);
    assert_eq!(world.redeem(number, KEY, used_at), Ok(()));
    let before = world.family.clone();
    for after in [0, 1, WINDOW, WINDOW] {
        assert_eq!(world.redeem(number, KEY, used_at.plus(after)), Ok(()), "{after}");
        assert_eq!(world.family, before, "nothing is spent by it");
    }
    assert_eq!(world.rotate(0, KEY, used_at), Ok(()));
    assert_eq!(world.redeem(number, KEY, used_at), Err(TicketRefusal::Used), "somebody has the tokens");
    assert!(world.family.is_revoked());
}

#[test]
fn an_exchange_again_that_is_no_retry_ends_the_login() {
    let late = NOW.plus(WINDOW + 1);
    for (first, second, at, why) in [
        (KEY, KEY, late, "too late"),
        (KEY, OTHER_KEY, NOW, "another request"),
        (KEY, None, NOW, "without the key"),
        (None, KEY, NOW, "a key that the first request did not have"),
        (None, None, NOW, "no keys at all"),
    ] {
        let mut world = world(false);
        let number = world.family.give_return_code(NOW).unwrap();
        world.redeem(number, first, NOW).unwrap();
        assert_eq!(world.redeem(number, second, at), Err(TicketRefusal::Used), "{why}");
        assert!(world.family.is_revoked(), "{why}");
        assert_eq!(world.events, [Event::ReturnCodeReused]);
        assert_eq!(world.redeem(number, first, NOW), Err(TicketRefusal::Expired), "its key revives nothing");
    }
}

#[test]
fn a_refresh_is_no_retry_of_the_exchange_whatever_its_key() {
    let mut world = world(false);
    let number = world.family.give_return_code(NOW).unwrap();
    world.redeem(number, KEY, NOW).unwrap();
    assert_eq!(world.rotate(0, OTHER_KEY, NOW), Ok(()));
    assert_eq!(world.rotate(0, KEY, NOW), Err(RefreshRefusal::Reused), "the key was that of the exchange");
}

#[test]
fn an_account_link_counts_once() {
    let mut world = world(false);
    let number = world.family.give_account_link(NOW);
    assert_eq!(world.family.redeem_account_link(number, NOW), Ok(()));
    assert_eq!(world.family.redeem_account_link(number, NOW), Err(TicketRefusal::Used));
    assert!(!world.family.is_revoked(), "a link that is opened twice is no theft");
    let next = world.family.give_account_link(NOW);
    assert_eq!(world.family.redeem_account_link(next, NOW), Ok(()));
}

#[test]
fn pages_know_a_login_until_it_ends_or_somebody_else_turns_2fa_off() {
    let mut world = world(false);
    assert!(world.family.opens_pages(&world.account, NOW));
    assert!(!world.family.opens_pages(&world.account, world.family.expires_at));
    world.account.turn_off(&mut world.rng, &mut Vec::new());
    assert!(!world.family.opens_pages(&world.account, NOW));
    world.family.turned_off(&world.account);
    assert!(world.family.opens_pages(&world.account, NOW), "it turned it off itself");
    world.family.revoke();
    assert!(!world.family.opens_pages(&world.account, NOW));
}

#[test]
fn what_the_pages_were_given_is_no_second_factor_of_the_tokens() {
    let mut world = world(false);
    let later = SecondFactor { method: Method::Otp, at: NOW.plus(700) };
    world.family.stepped_up(2, later);
    assert_eq!(world.family.factor_on_pages(2), Some(later));
    for another in [FIRST_PAGE_LOGIN, 1, 3] {
        assert_eq!(world.family.factor_on_pages(another), world.family.second_factor, "{another}");
    }
    assert_eq!(world.family.second_factor, grant(false).second_factor);
}

proptest! {
    /// However tokens are used and whoever uses them: a number gives one successor, twice at most and then for the same request,
    /// and the first use of a spent one that is no such retry is the end.
    #[test]
    fn each_token_has_one_successor_until_a_theft_ends_them_all(
        uses in proptest::collection::vec((0_u64..4, 0_u8..3, 0_u64..8), 1..40)
    ) {
        let mut world = world(false);
        let (mut now, mut is_over) = (NOW, false);
        // Model: how each spent number was asked for, and when; and whether its answer was repeated.
        let mut spent: Vec<(Option<[u8; 32]>, UnixTime, bool)> = Vec::new();
        for (back, key, seconds) in uses {
            now = now.plus(seconds);
            let key = (key > 0).then_some([key; 32]);
            let living = spent.len() as u64;
            let number = living.saturating_sub(back);
            let outcome = world.rotate(number, key, now);
            if is_over {
                prop_assert_eq!(outcome, Err(RefreshRefusal::Dead));
                continue;
            }
            if number == living {
                prop_assert_eq!(outcome, Ok(()));
                spent.push((key, now, false));
            } else {
                let is_last = number + 1 == living;
                let (asked_with, at, repeated) = spent.last_mut().unwrap();
                let is_retry = is_last && key.is_some() && key == *asked_with && !*repeated && now.since(*at) <= 10;
                *repeated = true;
                is_over = !is_retry;
                prop_assert_eq!(outcome, if is_retry { Ok(()) } else { Err(RefreshRefusal::Reused) });
            }
            prop_assert_eq!(world.family.number(), spent.len() as u64);
            prop_assert_eq!(world.family.is_revoked(), is_over);
        }
    }

    /// However a code and the first token are used, with whatever keys: the code leads to the tokens of the login again only for the
    /// request that used it, within its ten seconds and while no refresh has followed.
    #[test]
    fn a_code_leads_to_its_tokens_for_one_request_only(
        uses in proptest::collection::vec((0_u8..5, 0_u8..3, 0_u64..5), 1..30)
    ) {
        let mut world = world(false);
        let number = world.family.give_return_code(NOW).unwrap();
        // Model: how the code was used, and when; whether a refresh has followed; whether the login is over.
        let (mut now, mut used, mut refreshed, mut is_over) = (NOW, None, false, false);
        for (what, key, seconds) in uses {
            now = now.plus(seconds);
            let key = (key > 0).then_some([key; 32]);
            if what == 0 {
                let token = world.family.number();
                let rotated = world.rotate(token, key, now);
                prop_assert_eq!(rotated.is_ok(), !is_over);
                refreshed |= !is_over;
                continue;
            }
            let outcome = world.redeem(number, key, now);
            let expected = match used {
                _ if is_over => Err(TicketRefusal::Expired),
                None if now.since(NOW) < 60 => Ok(()),
                None => Err(TicketRefusal::Expired),
                Some((with, at)) if key.is_some() && key == with && !refreshed && now.since(at) <= 10 => Ok(()),
                Some(_) => Err(TicketRefusal::Used),
            };
            prop_assert_eq!(outcome, expected);
            if used.is_none() && outcome.is_ok() {
                used = Some((key, now));
            }
            is_over |= outcome == Err(TicketRefusal::Used);
            prop_assert_eq!(world.family.is_revoked(), is_over);
        }
    }
}
