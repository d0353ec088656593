//! How a login goes on that the host application has let through: a challenge, an enrolment, or in.

use super::Account;
use crate::{
    event::{Asks, Event},
    id::{AccountName, LoginId},
    login::{Grant, SecondFactor},
    policy::{Admission, Enforcement},
    refresh::Family,
    session::{Opening, Purpose, Session},
    time::UnixTime,
};

/// A login, as the host application tells of it.
#[derive(Clone, Debug)]
pub struct Login {
    /// What its tokens will be called.
    pub id: LoginId,
    /// What people see of the account; without it, what they saw before.
    pub account_name: Option<AccountName>,
    /// Whether the user is an administrator.
    pub is_admin: bool,
    /// Whether the user asked to be remembered.
    pub remember_me: bool,
    /// Where the browser goes afterwards.
    pub return_url: Option<String>,
    /// The second factor that the browser is trusted by ([`crate::trusted_browser`]), which spares it the challenge.
    pub trusted: Option<SecondFactor>,
}

/// How the login goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// By the second factor that the account has.
    Challenge(Session),
    /// By the enrolment that the app demands.
    Enrollment(Session),
    /// In, without a challenge.
    LetIn {
        /// The login's refresh tokens.
        family: Family,
        /// Whether the user is invited to enrol.
        invited: bool,
        /// When that must have happened, where there is a date.
        enroll_by: Option<UnixTime>,
    },
}

impl Account {
    /// Notes what the host says of the user, and decides how the login goes on.
    pub fn open(
        &mut self,
        login: Login,
        enforcement: Enforcement,
        now: UnixTime,
        events: &mut Vec<Event>,
    ) -> Opened {
        let Login { id, account_name, is_admin, remember_me, return_url, trusted } = login;
        self.is_admin = is_admin;
        if account_name.is_some() {
            self.name = account_name;
        }
        let opening = |purpose| Opening { purpose, login: id, remember_me, return_url, action: None };
        let counts = |factor| self.require_second_factor(Some(factor), None, now).is_ok();
        let second_factor = trusted.filter(|_| self.is_protected()).filter(|factor| counts(*factor));
        if second_factor.is_some() {
            events.push(Event::SessionOpened { asks: Asks::Nothing });
            let family = Family::start(self, Grant { login: id, second_factor, remember_me }, now);
            return Opened::LetIn { family, invited: false, enroll_by: None };
        }
        if self.is_protected() {
            return Opened::Challenge(Session::open(self, opening(Purpose::Login), now, events));
        }
        let (invited, enroll_by) = match self.admit(enforcement, now) {
            Admission::MustEnroll => {
                return Opened::Enrollment(Session::open(self, opening(Purpose::Enrollment), now, events));
            }
            Admission::Invited { enroll_by } => (true, enroll_by),
            Admission::Free => (false, None),
        };
        events.push(Event::SessionOpened { asks: Asks::Nothing });
        let family = Family::start(self, Grant { login: id, second_factor: None, remember_me }, now);
        Opened::LetIn { family, invited, enroll_by }
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;
    use crate::{
        code::Code,
        device::Answer,
        id::{AccountId, AppId, UserId},
        login::Method,
        time::Step,
        totp::code_at,
    };

    const NOW: UnixTime = UnixTime::from_secs(1_700_000_010);
    const DAY: u64 = 86_400;

    fn account() -> Account {
        let id = AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse("42").unwrap() };
        Account::new(id, NOW, &mut StdRng::seed_from_u64(7))
    }

    fn enrolled() -> Account {
        let (mut account, mut rng) = (account(), StdRng::seed_from_u64(8));
        let login = LoginId::generate(&mut rng);
        let device = account.start_setup(login, None, false, NOW, &mut rng, &mut Vec::new()).unwrap();
        let code = code_at(&device.secret, device.params, Step::at(NOW, device.params.period));
        let answer = Answer::of(Code::parse(&code).unwrap());
        account.confirm(device.id, &answer, None, NOW, &mut Vec::new()).unwrap();
        account
    }

    fn login(is_admin: bool) -> Login {
        Login {
            id: LoginId::from_bytes([7; 16]),
            account_name: None,
            is_admin,
            remember_me: true,
            return_url: Some("https://app.example/after".to_owned()),
            trusted: None,
        }
    }

    fn opened(account: &mut Account, is_admin: bool, enforcement: Enforcement, now: UnixTime) -> Opened {
        let mut events = Vec::new();
        let opened = account.open(login(is_admin), enforcement, now, &mut events);
        assert_eq!(events.len(), 1, "one event, whatever comes of it");
        opened
    }

    #[test]
    fn a_device_is_asked_whatever_the_app_demands() {
        let mut account = enrolled();
        for enforcement in [Enforcement::Optional, Enforcement::Required { grace_seconds: DAY }] {
            let Opened::Challenge(session) = opened(&mut account, false, enforcement, NOW) else {
                panic!("no challenge")
            };
            assert_eq!((session.purpose, session.remember_me), (Purpose::Login, true));
            assert_eq!(session.return_url.as_deref(), Some("https://app.example/after"));
        }
    }

    #[test]
    fn a_trusted_browser_is_spared_the_challenge_and_its_factor_is_that_of_the_login() {
        let (mut account, mut events) = (enrolled(), Vec::new());
        let of = |at| Login { trusted: Some(SecondFactor { method: Method::Otp, at }), ..login(false) };
        let opened = account.open(of(NOW), Enforcement::Optional, NOW.plus(DAY), &mut events);
        let Opened::LetIn { family, invited: false, .. } = opened else { panic!("not let in") };
        assert_eq!(family.second_factor.map(|factor| factor.at), Some(NOW));
        let before = UnixTime::from_secs(NOW.as_secs() - 1);
        let opened = account.open(of(before), Enforcement::Optional, NOW, &mut events);
        assert!(matches!(opened, Opened::Challenge(_)), "it was given to other devices");
        let mut without = super::tests::account();
        let required = Enforcement::Required { grace_seconds: 0 };
        let opened = without.open(of(NOW), required, NOW, &mut events);
        assert!(matches!(opened, Opened::Enrollment(_)), "no browser spares an enrolment");
    }

    #[test]
    fn without_a_device_the_app_decides() {
        let required = Enforcement::Required { grace_seconds: DAY };
        for (enforcement, is_admin, let_in) in [
            (Enforcement::Optional, false, Some((false, None))),
            (Enforcement::Encouraged, false, Some((true, None))),
            (required, false, Some((true, Some(NOW.plus(DAY))))),
            (Enforcement::Required { grace_seconds: 0 }, false, None),
            (Enforcement::AdminsOnly, false, Some((false, None))),
            (Enforcement::AdminsOnly, true, None),
        ] {
            match opened(&mut account(), is_admin, enforcement, NOW) {
                Opened::LetIn { family, invited, enroll_by } => {
                    assert_eq!(let_in, Some((invited, enroll_by)), "{enforcement:?}");
                    assert!(family.remember_me && family.second_factor.is_none());
                }
                Opened::Enrollment(session) => {
                    assert_eq!((let_in, session.purpose), (None, Purpose::Enrollment), "{enforcement:?}");
                }
                Opened::Challenge(_) => panic!("a challenge without a device"),
            }
        }
    }

    #[test]
    fn the_grace_period_runs_from_the_first_login_that_was_asked() {
        let (mut account, required) = (account(), Enforcement::Required { grace_seconds: DAY });
        let is_in = |opened| matches!(opened, Opened::LetIn { .. });
        assert!(is_in(opened(&mut account, false, required, NOW)));
        assert!(is_in(opened(&mut account, false, required, NOW.plus(DAY - 1))));
        assert!(!is_in(opened(&mut account, false, required, NOW.plus(DAY))));
    }

    #[test]
    fn what_the_host_says_is_noted_and_a_name_is_kept_where_it_says_none() {
        let mut account = account();
        let named = AccountName::parse("ann@example.com").ok();
        let with_name = Login { account_name: named.clone(), ..login(true) };
        account.open(with_name, Enforcement::Optional, NOW, &mut Vec::new());
        assert!(account.is_admin);
        opened(&mut account, false, Enforcement::Optional, NOW);
        assert!(!account.is_admin);
        assert_eq!(account.name, named);
    }
}
