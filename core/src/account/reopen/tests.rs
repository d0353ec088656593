use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::{
    account::Login,
    code::Code,
    device::Answer,
    id::{ActionName, AppId, LoginId, UserId},
    login::{Method, SecondFactor},
    retry::KEY_COUNTS,
    session::LIFETIME,
    time::Step,
    totp::code_at,
};

const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);
const BROWSER: BrowserId = BrowserId::from_bytes([3; 16]);

/// The host: what it has stored under the ids that it derives from the one key of these tests.
struct World {
    used: Option<KeyUse>,
    account: Account,
    session: Option<Session>,
    family: Option<Family>,
    browsers: Vec<TrustedBrowser>,
    events: Vec<Event>,
    enforcement: Enforcement,
}

fn account(user: &str) -> Account {
    let id = AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse(user).unwrap() };
    Account::new(id, NOW, &mut StdRng::seed_from_u64(7))
}

fn world(enrolled: bool, enforcement: Enforcement) -> World {
    let (mut account, mut rng) = (account("42"), StdRng::seed_from_u64(8));
    if enrolled {
        let login = LoginId::generate(&mut rng);
        let device = account.start_setup(login, None, false, NOW, &mut rng, &mut Vec::new()).unwrap();
        let code = code_at(&device.secret, device.params, Step::at(NOW, device.params.period));
        let answer = Answer::of(Code::parse(&code).unwrap());
        account.confirm(device.id, &answer, None, NOW, &mut Vec::new()).unwrap();
    }
    let (used, session, family, browsers, events) = (None, None, None, Vec::new(), Vec::new());
    World { used, account, session, family, browsers, events, enforcement }
}

/// One whose browser is trusted.
fn trusting() -> World {
    let mut world = world(true, Enforcement::Optional);
    let factor = SecondFactor { method: Method::Otp, at: NOW };
    let browser = TrustedBrowser::trust(&world.account, BROWSER, factor, None, &mut Vec::new());
    world.browsers.extend(browser);
    world
}

fn asked(account: &AccountId) -> Asked<'_> {
    let (account_name, return_url, action, trusted) = (None, Some("https://app.example/"), None, None);
    Asked { account, account_name, remember_me: true, return_url, action, trusted }
}

impl World {
    fn before(&mut self, asked: &Asked<'_>, now: UnixTime) -> Result<Option<Opened>, KeyRefusal> {
        let Self { used, account, session, family, browsers, events, enforcement } = self;
        let (session, family, account) = (session.as_ref(), family.as_ref(), Some(account));
        let before = Before { used: *used, session, family, account, browsers };
        asked.opened_before(before, *enforcement, now, events)
    }

    /// Opens it as a host does that finds nothing under the key.
    fn open(&mut self, asked: &Asked<'_>, now: UnixTime) -> Opened {
        let Self { account, browsers, events, .. } = self;
        let trusted =
            asked.trusted.and_then(|token| trusted_browser::spend(browsers, account, token, now, events));
        let login = Login {
            id: LoginId::from_bytes([5; 16]),
            account_name: asked.account_name.cloned(),
            is_admin: false,
            remember_me: asked.remember_me,
            return_url: asked.return_url.map(str::to_owned),
            trusted,
        };
        let opened = account.open(login, self.enforcement, now, events);
        self.used = Some(KeyUse::start(now, &mut StdRng::seed_from_u64(9)));
        match &opened {
            Opened::Challenge(session) | Opened::Enrollment(session) => {
                self.session = Some(session.clone());
            }
            Opened::LetIn { family, .. } => self.family = Some(family.clone()),
        }
        opened
    }
}

#[test]
fn a_session_is_found_again_for_as_long_as_it_lives() {
    let demanded = Enforcement::Required { grace_seconds: 0 };
    for (enrolled, enforcement) in [(true, Enforcement::Optional), (false, demanded)] {
        let mut world = world(enrolled, enforcement);
        let id = world.account.id.clone();
        assert_eq!(world.before(&asked(&id), NOW), Ok(None), "the first one opens");
        let first = world.open(&asked(&id), NOW);
        let told = world.events.len();
        for after in [0, 11, LIFETIME - 1] {
            assert_eq!(world.before(&asked(&id), NOW.plus(after)), Ok(Some(first.clone())), "{after}");
        }
        assert_eq!(world.before(&asked(&id), NOW.plus(LIFETIME)), Err(KeyRefusal::Over));
        assert_eq!(world.events.len(), told, "a repetition is nothing that happened");
    }
}

#[test]
fn a_key_belongs_to_what_its_request_said() {
    let mut world = world(true, Enforcement::Optional);
    let (id, other) = (world.account.id.clone(), account("43").id);
    let named = AccountName::parse("ann@example.com").unwrap();
    let action = Action { name: ActionName::parse("transfer").unwrap(), resource: None };
    world.open(&asked(&id), NOW);
    for (another, why) in [
        (asked(&other), "another user"),
        (Asked { remember_me: false, ..asked(&id) }, "for another time"),
        (Asked { return_url: None, ..asked(&id) }, "back to nowhere"),
        (Asked { action: Some(&action), ..asked(&id) }, "for an action"),
        (Asked { account_name: Some(&named), ..asked(&id) }, "under another name"),
    ] {
        assert_eq!(world.before(&another, NOW), Err(KeyRefusal::AnotherRequest), "{why}");
    }
}

#[test]
fn a_login_without_a_session_is_answered_again_for_ten_seconds_and_until_it_is_refreshed() {
    let required = Enforcement::Required { grace_seconds: 60 };
    for enforcement in [Enforcement::Optional, Enforcement::Encouraged, required] {
        let mut world = world(false, enforcement);
        let id = world.account.id.clone();
        let first = world.open(&asked(&id), NOW);
        for after in [0, WINDOW, WINDOW] {
            assert_eq!(world.before(&asked(&id), NOW.plus(after)), Ok(Some(first.clone())), "{after}");
        }
        let action = Action { name: ActionName::parse("transfer").unwrap(), resource: None };
        for another in [
            Asked { remember_me: false, ..asked(&id) },
            Asked { action: Some(&action), ..asked(&id) },
            asked(&account("43").id),
        ] {
            assert_eq!(world.before(&another, NOW), Err(KeyRefusal::AnotherRequest));
        }
        assert_eq!(world.before(&asked(&id), NOW.plus(WINDOW + 1)), Err(KeyRefusal::Over));
        let (family, account) = (world.family.as_mut().unwrap(), &world.account);
        family.rotate(Some(account), 0, None, NOW, &mut Vec::new()).unwrap();
        assert_eq!(world.before(&asked(&id), NOW), Err(KeyRefusal::Over), "somebody has the tokens");
    }
}

#[test]
fn a_trusted_browser_is_spared_again_by_the_token_that_the_request_spent() {
    let mut world = trusting();
    let id = world.account.id.clone();
    let of = |number| Asked { trusted: Some((BROWSER, number)), ..asked(&id) };
    let first = world.open(&of(0), NOW);
    assert!(matches!(&first, Opened::LetIn { family, .. } if family.second_factor.is_some()));
    let before = (world.browsers.clone(), world.events.clone());
    for after in [0, WINDOW] {
        assert_eq!(world.before(&of(0), NOW.plus(after)), Ok(Some(first.clone())), "{after}");
    }
    for another in [asked(&id), of(1), of(7)] {
        assert_eq!(world.before(&another, NOW), Err(KeyRefusal::AnotherRequest));
    }
    assert_eq!((&world.browsers, &world.events), (&before.0, &before.1), "nothing was spent or told");
}

#[test]
fn a_token_whose_successor_was_used_is_spared_no_more() {
    let mut world = trusting();
    let id = world.account.id.clone();
    let of = |number| Asked { trusted: Some((BROWSER, number)), ..asked(&id) };
    world.open(&of(0), NOW);
    let (account, events) = (&world.account, &mut world.events);
    assert!(
        trusted_browser::spend(&mut world.browsers, account, (BROWSER, 1), NOW.plus(1), events).is_some()
    );
    assert_eq!(world.before(&of(0), NOW.plus(1)), Err(KeyRefusal::AnotherRequest));
}

#[test]
fn later_than_ten_seconds_the_spent_token_is_a_theft_and_a_living_one_is_left_alone() {
    let late = NOW.plus(WINDOW + 1);
    let mut world = trusting();
    let id = world.account.id.clone();
    let of = |number| Asked { trusted: Some((BROWSER, number)), ..asked(&id) };
    world.open(&of(0), NOW);
    assert_eq!(world.before(&of(1), late), Err(KeyRefusal::Over));
    assert_eq!(world.browsers[0].number(), 1, "the living token is not spent");
    assert_eq!(world.before(&of(0), late), Err(KeyRefusal::Over));
    assert!(world.browsers.is_empty());
    assert_eq!(world.events.last(), Some(&Event::TrustedBrowserReused { browser: BROWSER }));
}

#[test]
fn nothing_is_answered_again_for_a_user_who_was_erased_or_a_login_that_has_ended() {
    let mut world = world(false, Enforcement::Optional);
    let id = world.account.id.clone();
    world.open(&asked(&id), NOW);
    let World { used, family, browsers, events, .. } = &mut world;
    let before = Before { used: *used, session: None, family: family.as_ref(), account: None, browsers };
    let erased = asked(&id).opened_before(before, Enforcement::Optional, NOW, events);
    assert_eq!(erased, Err(KeyRefusal::Over));
    world.family.as_mut().unwrap().revoke();
    assert_eq!(world.before(&asked(&id), NOW), Err(KeyRefusal::Over));
}

#[test]
fn a_key_whose_login_is_gone_opens_nothing_until_it_is_a_new_one() {
    let mut world = world(false, Enforcement::Optional);
    let id = world.account.id.clone();
    world.open(&asked(&id), NOW);
    world.family = None;
    for after in [0, WINDOW, KEY_COUNTS - 1] {
        assert_eq!(world.before(&asked(&id), NOW.plus(after)), Err(KeyRefusal::Over), "{after}");
    }
    assert_eq!(world.before(&asked(&id), NOW.plus(KEY_COUNTS)), Ok(None));
}

#[test]
fn a_session_of_another_life_of_the_account_is_not_found_again() {
    let mut world = world(true, Enforcement::Optional);
    let id = world.account.id.clone();
    world.open(&asked(&id), NOW);
    world.account = account("42");
    assert_eq!(world.before(&asked(&id), NOW).map(|found| found.is_some()), Ok(true), "the same birth");
    world.account = Account::new(id.clone(), NOW, &mut StdRng::seed_from_u64(10));
    assert_eq!(world.before(&asked(&id), NOW), Err(KeyRefusal::Over));
    let other = account("43").id;
    assert_eq!(world.before(&asked(&other), NOW), Err(KeyRefusal::AnotherRequest));
}
