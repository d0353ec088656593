//! Actions: what a user approves with a second factor, once, without a login that comes of it (transaction authorisation).
//!
//! A session may be opened for one action. A right answer to it yields no tokens of a login, but an approval: exactly this action was
//! approved, by whom, how and when. The host makes a token of it that lives for [`LIFETIME`] seconds, and keeps of those that were
//! spent what [`Approval::spend`] says, up to [`Approval::ends_at`]: that is the invariant it owes.

use crate::{
    account::Account,
    event::Event,
    id::{AccountId, ActionName, LoginId, Resource},
    login::SecondFactor,
    retry::Retry,
    time::UnixTime,
};

/// How long the token of an approval lives, in seconds.
pub const LIFETIME: u64 = 60;
/// How long after the second factor an approval is handed to the application at the latest, in seconds.
pub const HANDED_OUT: u64 = 60;

/// What is to be approved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Action {
    /// What is done, such as `transfer`.
    pub name: ActionName,
    /// To what, such as `invoice 4711 over 250 EUR`.
    pub resource: Option<Resource>,
}

/// An action that was approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Whose second factor it was.
    pub account: AccountId,
    /// Its name: no two approvals have the same.
    pub id: LoginId,
    /// What was approved.
    pub action: Action,
    /// How, and when.
    pub second_factor: SecondFactor,
}

impl Approval {
    /// Whether its token may still be made.
    pub fn is_handed_out(&self, now: UnixTime) -> bool {
        now.since(self.second_factor.at) < HANDED_OUT
    }

    /// From when on no token of it is in force, whenever it was made. Until then it has to be remembered that one was spent: each that
    /// was made is a token of the same approval.
    pub fn ends_at(&self) -> UnixTime {
        self.second_factor.at.plus(HANDED_OUT + LIFETIME)
    }

    /// Spends its token: the application is about to do the action that it `wanted`. `spent` is what the host has kept of an earlier spending,
    /// and is to be kept from now on. A client that lost the answer says so by the same idempotency key (`retry_key`, hashed) within
    /// [`WINDOW`](crate::retry::WINDOW), and is told once more that it may go ahead with what it was allowed then; it stays one spending.
    ///
    /// # Errors
    /// It was spent, is for another action, or 2FA is not what it was: what was approved before it was turned off, or by a user who was
    /// erased, does not count.
    pub fn spend(
        &self,
        account: Option<&Account>,
        wanted: &Action,
        spent: &mut Option<Spent>,
        retry_key: Option<[u8; 32]>,
        now: UnixTime,
        events: &mut Vec<Event>,
    ) -> Result<(), NotApproved> {
        let counts = self.action == *wanted
            && account.is_some_and(|account| {
                account.is_protected()
                    && account.require_second_factor(Some(self.second_factor), None, now).is_ok()
            });
        match spent {
            Some(Spent(Some(retry))) if counts && retry.is_again(retry_key, now) => Ok(()),
            None if counts => {
                *spent = Some(Spent(Retry::of(retry_key, now)));
                events.push(Event::ActionSpent { action: self.action.name.clone() });
                Ok(())
            }
            _ => {
                events.push(Event::ActionRefused { action: self.action.name.clone() });
                Err(NotApproved)
            }
        }
    }
}

/// That the token of an approval was spent, and by which request, if that had a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Spent(Option<Retry>);

impl Spent {
    /// Whether the request that spent it may come again.
    pub fn has_key(self) -> bool {
        self.0.is_some()
    }
}

/// The action is not to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotApproved;

#[cfg(test)]
mod tests {
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

    const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);
    const KEY: Option<[u8; 32]> = Some([1; 32]);
    const OTHER_KEY: Option<[u8; 32]> = Some([2; 32]);

    struct World {
        account: Account,
        approval: Approval,
        spent: Option<Spent>,
        events: Vec<Event>,
    }

    fn action(name: &str) -> Action {
        Action { name: ActionName::parse(name).unwrap(), resource: None }
    }

    fn world() -> World {
        let mut rng = StdRng::seed_from_u64(7);
        let id = AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse("42").unwrap() };
        let mut account = Account::new(id.clone(), NOW, &mut rng);
        let login = LoginId::generate(&mut rng);
        let device = account.start_setup(login, None, false, NOW, &mut rng, &mut Vec::new()).unwrap();
        let code = code_at(&device.secret, device.params, Step::at(NOW, device.params.period));
        account
            .confirm(device.id, &Answer::of(Code::parse(&code).unwrap()), None, NOW, &mut Vec::new())
            .unwrap();
        let second_factor = SecondFactor { method: Method::Otp, at: NOW };
        let approval = Approval { account: id, id: login, action: action("transfer"), second_factor };
        World { account, approval, spent: None, events: Vec::new() }
    }

    impl World {
        fn spend(&mut self, wanted: &str, key: Option<[u8; 32]>, now: UnixTime) -> Result<(), NotApproved> {
            let Self { account, approval, spent, events } = self;
            approval.spend(Some(account), &action(wanted), spent, key, now, events)
        }
    }

    #[test]
    fn an_approval_is_spent_once_and_for_its_own_action() {
        let mut world = world();
        assert_eq!(world.spend("erase", KEY, NOW), Err(NotApproved));
        assert_eq!(world.spent, None, "nothing is spent by that");
        assert_eq!(world.spend("transfer", None, NOW), Ok(()));
        for key in [None, KEY] {
            assert_eq!(world.spend("transfer", key, NOW), Err(NotApproved), "{key:?}");
        }
        assert_eq!(world.spent, Some(Spent(None)));
        let spendings = world.events.iter().filter(|event| matches!(event, Event::ActionSpent { .. }));
        assert_eq!((spendings.count(), world.events.len()), (1, 4));
    }

    #[test]
    fn the_same_request_within_ten_seconds_is_the_same_spending() {
        let mut world = world();
        world.spend("transfer", KEY, NOW).unwrap();
        let before = (world.spent, world.events.clone());
        for after in [0, 3, WINDOW, WINDOW] {
            assert_eq!(world.spend("transfer", KEY, NOW.plus(after)), Ok(()), "{after}");
            assert_eq!((world.spent, &world.events), (before.0, &before.1), "told once");
        }
        for (wanted, key, after) in [
            ("transfer", KEY, WINDOW + 1),
            ("transfer", OTHER_KEY, 0),
            ("transfer", None, 0),
            ("erase", KEY, 0),
        ] {
            assert_eq!(
                world.spend(wanted, key, NOW.plus(after)),
                Err(NotApproved),
                "{wanted} {key:?} {after}"
            );
            assert_eq!(world.spent, before.0, "the request that spent it stays the one");
        }
        assert_eq!(world.spend("transfer", KEY, NOW), Ok(()), "no other attempt takes its answer away");
    }

    #[test]
    fn what_was_approved_does_not_outlive_2fa_nor_does_a_repetition() {
        let mut off = world();
        off.spend("transfer", KEY, NOW).unwrap();
        off.account.turn_off(&mut StdRng::seed_from_u64(8), &mut Vec::new());
        assert_eq!(off.spend("transfer", KEY, NOW), Err(NotApproved));
        let World { approval, mut events, .. } = world();
        let erased = approval.spend(None, &action("transfer"), &mut None, KEY, NOW, &mut events);
        assert_eq!(erased, Err(NotApproved));
    }
}
