use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::{
    backup_code::{BackupCodes, CODES, CodeHash, Salt},
    code::Code,
    id::{ActionName, AppId, Resource, UserId},
    login::Method,
    time::Step,
    totp::code_at,
};

const NOW: UnixTime = UnixTime::from_secs(1_700_000_010);
const SALT: Salt = Salt([1; 16]);

struct World {
    account: Account,
    session: Session,
    rng: StdRng,
    events: Vec<Event>,
}

fn opening(purpose: Purpose) -> Opening {
    Opening {
        purpose,
        login: LoginId::from_bytes([7; 16]),
        remember_me: true,
        return_url: Some("https://app.example/after".to_owned()),
        action: None,
    }
}

/// An account with a device that was confirmed an hour ago, and a session that is opened now.
fn world(purpose: Purpose) -> World {
    let mut rng = StdRng::seed_from_u64(7);
    let id = AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse("42").unwrap() };
    let earlier = UnixTime::from_secs(NOW.as_secs() - 3_600);
    let mut account = Account::new(id, earlier, &mut rng);
    enrol(&mut account, earlier, &mut rng);
    let mut events = Vec::new();
    let session = Session::open(&account, opening(purpose), NOW, &mut events);
    World { account, session, rng, events }
}

fn enrol(account: &mut Account, now: UnixTime, rng: &mut StdRng) {
    let login = LoginId::generate(rng);
    let device = account.start_setup(login, None, false, now, rng, &mut Vec::new()).unwrap();
    let codes = BackupCodes::new(SALT, (0..CODES).map(|n| hash(u8::try_from(n).unwrap())).collect(), now);
    let code = code_at(&device.secret, device.params, Step::at(now, device.params.period));
    let answer = Answer::of(Code::parse(&code).unwrap());
    account.confirm(device.id, &answer, Some(codes), now, &mut Vec::new()).unwrap();
}

fn hash(n: u8) -> CodeHash {
    CodeHash::new([n; 32])
}

fn wrong() -> Answer {
    // The seed's secret has no such code near `NOW`.
    Answer::of(Code::parse("000000").unwrap())
}

impl World {
    fn right(&self, now: UnixTime) -> Answer {
        let device = &self.account.active_devices()[0];
        let code = code_at(&device.secret, device.params, Step::at(now, device.params.period));
        Answer::of(Code::parse(&code).unwrap())
    }

    fn answer(&mut self, answer: &Answer, now: UnixTime) -> Result<Grant, AnswerRefusal<Refusal>> {
        self.session.answer(&mut self.account, answer, now, &mut self.events)
    }

    fn backup(&mut self, n: u8, now: UnixTime) -> Result<Grant, AnswerRefusal<BackupRefusal>> {
        let attempt = Attempt { salt: SALT, hash: hash(n) };
        self.session.answer_with_backup_code(&mut self.account, attempt, now, &mut self.events)
    }

    /// Fails `times` by other sessions, as an attacker does who opens many.
    fn fail_elsewhere(&mut self, times: usize, now: UnixTime) {
        for _ in 0..times {
            assert_eq!(self.account.answer(&wrong(), now, &mut Vec::new()), Err(Refusal::Wrong));
        }
    }
}

#[test]
fn opening_one_notes_what_it_asks_for_and_whom() {
    for (purpose, asks) in [
        (Purpose::Login, Asks::SecondFactor),
        (Purpose::StepUp, Asks::StepUp),
        (Purpose::Enrollment, Asks::Enrollment),
    ] {
        let World { session, events, account, .. } = world(purpose);
        assert_eq!(events, [Event::SessionOpened { asks }]);
        assert_eq!((&session.account, session.era), (&account.id, account.era()));
        assert_eq!(session.purpose, purpose);
        assert_eq!(session.return_url.as_deref(), Some("https://app.example/after"));
        assert_eq!(session.status(NOW), Status::Pending);
    }
}

#[test]
fn a_session_from_before_the_owner_signed_out_everywhere_takes_no_answer() {
    type Ending = fn(&mut Account, &mut Vec<Event>);
    let endings: [Ending; 2] = [Account::sign_out_everywhere, Account::dispute];
    for end in endings {
        let mut world = world(Purpose::Login);
        end(&mut world.account, &mut world.events);
        let (right, now) = (world.right(NOW), NOW.plus(1));
        assert_eq!(world.answer(&right, now), Err(AnswerRefusal::Closed(Closed::Expired)));
        world.session = Session::open(&world.account, opening(Purpose::Login), now, &mut world.events);
        assert!(world.answer(&right, now).is_ok(), "no code was used up");
    }
}

#[test]
fn a_right_code_grants_the_login_that_the_session_was_opened_for() {
    for purpose in [Purpose::Login, Purpose::StepUp] {
        let mut world = world(purpose);
        let now = NOW.plus(60);
        let factor = SecondFactor { method: Method::Otp, at: now };
        let login = LoginId::from_bytes([7; 16]);
        let grant = Grant { login, second_factor: Some(factor), remember_me: true };
        assert_eq!(world.answer(&world.right(now), now), Ok(grant));
        assert_eq!(world.session.status(now), Status::Verified { at: now });
        assert_eq!(
            world.session.status(NOW.plus(LIFETIME)),
            Status::Verified { at: now },
            "it stays verified after its time"
        );
    }
}

#[test]
fn a_spent_session_never_grants_again() {
    let closed = AnswerRefusal::Closed(Closed::Verified);
    let mut world = world(Purpose::Login);
    world.answer(&world.right(NOW), NOW).unwrap();
    for later in [NOW, NOW.plus(60), NOW.plus(LIFETIME - 1), NOW.plus(LIFETIME), NOW.plus(86_400)] {
        let before = world.account.clone();
        assert_eq!(world.answer(&world.right(later), later), Err(closed), "{later:?}");
        assert_eq!(world.answer(&wrong(), later), Err(closed));
        assert_eq!(world.backup(1, later), Err(AnswerRefusal::Closed(Closed::Verified)));
        assert_eq!(world.account, before, "nothing is judged, counted or used up");
    }
}

#[test]
fn five_wrong_answers_end_it_and_a_right_one_comes_too_late() {
    let mut world = world(Purpose::Login);
    for attempts_remaining in [4, 3, 2, 1, 0] {
        assert_eq!(world.session.status(NOW), Status::Pending);
        assert_eq!(world.answer(&wrong(), NOW), Err(AnswerRefusal::Wrong { attempts_remaining }));
    }
    assert_eq!(world.session.status(NOW), Status::Failed);
    assert_eq!(world.events.iter().filter(|event| **event == Event::SessionFailed).count(), 1);
    let now = NOW.plus(60);
    let before = world.account.clone();
    let right = world.right(now);
    assert_eq!(world.answer(&right, now), Err(AnswerRefusal::Closed(Closed::Failed)));
    assert_eq!(world.backup(1, now), Err(AnswerRefusal::Closed(Closed::Failed)));
    assert_eq!(world.account, before, "nothing is judged, counted or used up");
    assert_eq!(world.session.status(NOW.plus(LIFETIME)), Status::Failed, "it stays failed after its time");
    assert_eq!(world.session.require_open(None, NOW), Err(Closed::Failed));
}

#[test]
fn codes_and_backup_codes_share_the_five_answers() {
    let mut world = world(Purpose::Login);
    world.answer(&wrong(), NOW).unwrap_err();
    assert_eq!(world.backup(99, NOW), Err(AnswerRefusal::Wrong { attempts_remaining: 3 }));
    world.answer(&wrong(), NOW).unwrap_err();
    assert_eq!(world.backup(99, NOW), Err(AnswerRefusal::Wrong { attempts_remaining: 1 }));
    assert_eq!(world.answer(&wrong(), NOW), Err(AnswerRefusal::Wrong { attempts_remaining: 0 }));
    assert_eq!(world.backup(1, NOW), Err(AnswerRefusal::Closed(Closed::Failed)));
}

#[test]
fn a_code_that_was_used_in_another_session_is_wrong_here_and_counts() {
    let mut world = world(Purpose::Login);
    let right = world.right(NOW);
    let mut other = Session::open(&world.account, opening(Purpose::Login), NOW, &mut Vec::new());
    assert!(other.answer(&mut world.account, &right, NOW, &mut Vec::new()).is_ok());
    assert_eq!(world.answer(&right, NOW), Err(AnswerRefusal::Wrong { attempts_remaining: 4 }));
    assert!(world.backup(1, NOW).is_ok());
    let mut third = Session::open(&world.account, opening(Purpose::Login), NOW, &mut Vec::new());
    let spent = Attempt { salt: SALT, hash: hash(1) };
    let refused = third.answer_with_backup_code(&mut world.account, spent, NOW, &mut Vec::new());
    assert_eq!(refused, Err(AnswerRefusal::Wrong { attempts_remaining: 4 }));
}

#[test]
fn it_ends_on_the_second() {
    let mut world = world(Purpose::Login);
    assert_eq!(world.session.expires_at(), NOW.plus(LIFETIME));
    let (last, over) = (NOW.plus(LIFETIME - 1), NOW.plus(LIFETIME));
    assert_eq!(world.session.status(last), Status::Pending);
    assert_eq!(world.session.status(over), Status::Expired);
    let before = world.account.clone();
    assert_eq!(world.answer(&world.right(over), over), Err(AnswerRefusal::Closed(Closed::Expired)));
    assert_eq!(world.answer(&wrong(), over), Err(AnswerRefusal::Closed(Closed::Expired)));
    assert_eq!(world.backup(1, over), Err(AnswerRefusal::Closed(Closed::Expired)));
    assert_eq!(world.account, before, "nothing is judged, counted or used up");
    assert!(world.answer(&world.right(last), last).is_ok());
}

#[test]
fn another_life_of_the_account_closes_it() {
    let mut world = world(Purpose::Login);
    world.account.turn_off(&mut world.rng, &mut Vec::new());
    enrol(&mut world.account, NOW, &mut world.rng);
    let later = NOW.plus(60);
    let before = world.account.clone();
    assert_eq!(world.session.status(later), Status::Pending);
    assert_eq!(world.session.require_open(Some(&world.account), later), Err(Closed::Expired));
    assert_eq!(world.answer(&world.right(later), later), Err(AnswerRefusal::Closed(Closed::Expired)));
    assert_eq!(world.backup(1, later), Err(AnswerRefusal::Closed(Closed::Expired)));
    assert_eq!(world.account, before);
    assert_eq!(world.session.require_open(None, later), Err(Closed::Expired), "the user was erased");
}

#[test]
fn what_happened_to_it_is_told_even_in_another_life_of_the_account() {
    let mut verified = world(Purpose::Login);
    verified.answer(&verified.right(NOW), NOW).unwrap();
    let mut failed = world(Purpose::Login);
    for _ in 0..WRONG_ANSWERS {
        failed.answer(&wrong(), NOW).unwrap_err();
    }
    for (mut world, closed) in [(verified, Closed::Verified), (failed, Closed::Failed)] {
        world.account.turn_off(&mut world.rng, &mut Vec::new());
        assert_eq!(world.session.require_open(Some(&world.account), NOW.plus(LIFETIME)), Err(closed));
    }
}

#[test]
fn an_enrolment_session_takes_no_answer() {
    let mut world = world(Purpose::Enrollment);
    let before = world.account.clone();
    assert_eq!(world.session.require_open(Some(&world.account), NOW), Ok(()), "its token opens setup");
    assert_eq!(world.answer(&world.right(NOW), NOW), Err(AnswerRefusal::Closed(Closed::Expired)));
    assert_eq!(world.backup(1, NOW), Err(AnswerRefusal::Closed(Closed::Expired)));
    assert_eq!(world.account, before);
}

#[test]
fn an_enrolment_session_is_spent_by_the_enrolment() {
    let World { account, mut rng, .. } = world(Purpose::Enrollment);
    let mut events = Vec::new();
    let mut account = Account::new(account.id, NOW, &mut rng);
    let login = LoginId::generate(&mut rng);
    let mut start = |account: &mut Account| {
        account.start_setup(login, None, false, NOW, &mut rng, &mut Vec::new()).unwrap()
    };
    let device = start(&mut account);
    let code = code_at(&device.secret, device.params, Step::at(NOW, device.params.period));
    let right = Answer::of(Code::parse(&code).unwrap());
    let mut confirm = |session: &mut Session, account: &mut Account, answer: &Answer| {
        session.confirm(account, device.id, answer, None, NOW, &mut events)
    };

    let mut other = Session::open(&account, opening(Purpose::Login), NOW, &mut Vec::new());
    let refused = confirm(&mut other, &mut account, &right);
    assert_eq!(refused, Err(EnrollRefusal::Closed(Closed::Expired)), "opened for something else");

    let mut session = Session::open(&account, opening(Purpose::Enrollment), NOW, &mut Vec::new());
    let mut second = Session::open(&account, opening(Purpose::Enrollment), NOW, &mut Vec::new());
    let refused = confirm(&mut session, &mut account, &wrong());
    assert_eq!(refused, Err(EnrollRefusal::Confirm(ConfirmRefusal::Code(Refusal::Wrong))));
    let (confirmed, grant) = confirm(&mut session, &mut account, &right).unwrap();
    assert!(confirmed.first);
    assert_eq!((grant.login, grant.second_factor), (session.login, Some(confirmed.second_factor)));
    let again = confirm(&mut session, &mut account, &right);
    assert_eq!(again, Err(EnrollRefusal::Closed(Closed::Verified)));
    let late = confirm(&mut second, &mut account, &right);
    assert_eq!(late, Err(EnrollRefusal::SecondFactorNeeded(SecondFactorNeeded { max_age: None })));
}

// What follows is the order of judgement: the session's state, 2FA, the form of the code, the account's budget, the code.

#[test]
fn a_closed_session_is_told_before_the_form_of_the_code() {
    let eight = Answer::of(Code::parse("12345678").unwrap());
    let mut world = world(Purpose::Login);
    let over = NOW.plus(LIFETIME);
    assert_eq!(world.answer(&eight, over), Err(AnswerRefusal::Closed(Closed::Expired)));
    world.answer(&world.right(NOW), NOW).unwrap();
    assert_eq!(world.answer(&eight, NOW), Err(AnswerRefusal::Closed(Closed::Verified)));
}

#[test]
fn a_closed_session_is_told_before_the_account_waits() {
    let mut world = world(Purpose::Login);
    for _ in 0..WRONG_ANSWERS {
        world.answer(&wrong(), NOW).unwrap_err();
    }
    assert!(world.account.throttled_until(NOW).is_some());
    assert_eq!(world.answer(&world.right(NOW), NOW), Err(AnswerRefusal::Closed(Closed::Failed)));
}

#[test]
fn a_malformed_code_costs_no_attempt_and_is_told_while_the_account_waits() {
    let mut world = world(Purpose::Login);
    world.fail_elsewhere(5, NOW);
    let (session, account) = (world.session.clone(), world.account.clone());
    let eight = Answer::of(Code::parse("12345678").unwrap());
    assert_eq!(world.answer(&eight, NOW), Err(AnswerRefusal::Refused(Refusal::Malformed)));
    let mixed = Answer { next_code: Some(eight.code), ..wrong() };
    assert_eq!(world.answer(&mixed, NOW), Err(AnswerRefusal::Refused(Refusal::Malformed)));
    assert_eq!((world.session, world.account), (session, account));
}

#[test]
fn a_waiting_account_judges_nothing_and_costs_no_attempt() {
    let mut world = world(Purpose::Login);
    world.fail_elsewhere(5, NOW);
    let (session, account) = (world.session.clone(), world.account.clone());
    for (after, seconds) in [(0, 30), (1, 29), (29, 1)] {
        let now = NOW.plus(after);
        let throttled = Err(AnswerRefusal::Refused(Refusal::Throttled { seconds }));
        assert_eq!(world.answer(&world.right(now), now), throttled);
        assert_eq!(world.answer(&wrong(), now), throttled);
    }
    assert_eq!((&world.session, &world.account), (&session, &account));
    assert!(world.backup(1, NOW).is_ok(), "a throttled owner still gets in");
    world.session = session;
    let now = NOW.plus(30);
    assert!(world.answer(&world.right(now), now).is_ok());
}

#[test]
fn backup_codes_that_wait_cost_no_attempt() {
    let mut world = world(Purpose::Login);
    for _ in 0..5 {
        let attempt = Attempt { salt: SALT, hash: hash(99) };
        world.account.answer_with_backup_code(attempt, NOW, &mut Vec::new()).unwrap_err();
    }
    let session = world.session.clone();
    let throttled = AnswerRefusal::Refused(BackupRefusal::Throttled { seconds: 30 });
    assert_eq!(world.backup(1, NOW), Err(throttled));
    assert_eq!(world.session, session);
    assert!(world.answer(&world.right(NOW), NOW).is_ok(), "codes have a budget of their own");
}

#[test]
fn an_account_that_needs_two_codes_costs_no_attempt_when_it_gets_one() {
    let mut world = world(Purpose::Login);
    let mut now = UnixTime::from_secs(NOW.as_secs() - 21 * 3_600);
    for _ in 0..21 {
        world.fail_elsewhere(1, now);
        now = now.plus(3_600);
    }
    let session = world.session.clone();
    let single = world.right(NOW);
    let refused = AnswerRefusal::Refused(Refusal::NeedsNextCode);
    assert_eq!(world.answer(&single, NOW), Err(refused));
    assert_eq!(world.answer(&wrong(), NOW), Err(refused));
    assert_eq!(world.session, session);
    let next_code = Some(world.right(NOW.plus(30)).code);
    assert!(world.answer(&Answer { next_code, ..single }, NOW).is_ok());
}

#[test]
fn a_locked_account_judges_nothing_and_costs_no_attempt() {
    let mut world = world(Purpose::Login);
    let pair = Answer { next_code: Some(wrong().code), ..wrong() };
    for hours in (1..=100).rev() {
        assert!(!world.account.is_locked());
        let now = UnixTime::from_secs(NOW.as_secs() - hours * 3_600);
        assert_eq!(world.account.answer(&pair, now, &mut Vec::new()), Err(Refusal::Wrong));
    }
    let session = world.session.clone();
    assert_eq!(world.answer(&world.right(NOW), NOW), Err(AnswerRefusal::Refused(Refusal::Locked)));
    assert_eq!(world.session, session);
    assert!(world.backup(1, NOW).is_ok());
}

#[derive(Clone, Copy, Debug)]
enum Try {
    Right,
    Wrong,
    Malformed,
    Backup(u8),
    TurnOff,
}

#[derive(Debug, PartialEq)]
enum Seen {
    Granted,
    Wrong,
    Closed,
    Refused,
}

fn seen<R>(outcome: &Result<Grant, AnswerRefusal<R>>) -> Seen {
    match outcome {
        Ok(_) => Seen::Granted,
        Err(AnswerRefusal::Wrong { .. }) => Seen::Wrong,
        Err(AnswerRefusal::Closed(_)) => Seen::Closed,
        Err(AnswerRefusal::Refused(_)) => Seen::Refused,
    }
}

fn tries() -> impl Strategy<Value = Vec<(u64, Try)>> {
    let one = prop_oneof![
        2 => Just(Try::Right),
        5 => Just(Try::Wrong),
        1 => Just(Try::Malformed),
        2 => (0_u8..12).prop_map(Try::Backup),
        1 => Just(Try::TurnOff),
    ];
    proptest::collection::vec((0_u64..60, one), 1..24)
}

#[test]
fn a_session_is_handed_over_once() {
    let mut world = world(Purpose::Login);
    assert!(world.session.hand_over());
    assert!(!world.session.hand_over());
    assert_eq!(world.session.attempts_remaining(), WRONG_ANSWERS);
    world.answer(&wrong(), NOW).unwrap_err();
    assert_eq!(world.session.attempts_remaining(), WRONG_ANSWERS - 1);
}

proptest! {
    #[test]
    fn it_is_closed_exactly_after_a_grant_five_wrong_answers_its_time_or_the_accounts_life(tries in tries()) {
        let mut world = world(Purpose::Login);
        let (mut now, mut granted, mut wrong_answers, mut is_same_life) = (NOW, false, 0, true);
        for (seconds, attempt) in tries {
            now = now.plus(seconds);
            let is_open = !granted && wrong_answers < WRONG_ANSWERS && now < NOW.plus(LIFETIME) && is_same_life;
            let seen = match attempt {
                Try::Right if is_same_life => seen(&world.answer(&world.right(now), now)),
                Try::Right | Try::Wrong => seen(&world.answer(&wrong(), now)),
                Try::Malformed => seen(&world.answer(&Answer::of(Code::parse("12345678").unwrap()), now)),
                Try::Backup(n) => seen(&world.backup(n, now)),
                Try::TurnOff => {
                    world.account.turn_off(&mut world.rng, &mut Vec::new());
                    is_same_life = false;
                    continue;
                }
            };
            prop_assert_eq!(seen == Seen::Closed, !is_open, "{:?}", seen);
            granted |= seen == Seen::Granted;
            wrong_answers += u8::from(seen == Seen::Wrong);
        }
    }
}

#[test]
fn an_action_is_approved_by_a_right_answer_and_nobody_becomes_trusted_by_it() {
    let mut world = world(Purpose::Login);
    let action =
        Action { name: ActionName::parse("transfer").unwrap(), resource: Resource::parse("4711").ok() };
    for purpose in [Purpose::Login, Purpose::StepUp] {
        let mut events = Vec::new();
        let asked = Opening { action: Some(action.clone()), ..opening(purpose) };
        world.session = Session::open(&world.account, asked, NOW, &mut events);
        assert_eq!(events, [Event::SessionOpened { asks: Asks::Approval }]);
        assert_eq!((world.session.action(), world.session.approval()), (Some(&action), None));
        assert!(!world.session.makes_browsers_trusted());
    }
    let answer = world.right(NOW);
    let grant = world.session.answer(&mut world.account, &answer, NOW, &mut Vec::new()).unwrap();
    let approval = world.session.approval().unwrap();
    assert_eq!((approval.id, Some(approval.second_factor)), (grant.login, grant.second_factor));
    assert_eq!((approval.account.clone(), approval.action.clone()), (world.account.id.clone(), action));
    assert!(approval.is_handed_out(NOW.plus(59)) && !approval.is_handed_out(NOW.plus(60)));
}
