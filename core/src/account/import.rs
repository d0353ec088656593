//! A user of another product becomes one here: devices and recovery codes go on working, and nothing that was used there counts again.

use rand_core::CryptoRng;

use super::{Account, MAX_DEVICES};
use crate::{
    backup_code::BackupCodes,
    device::ActiveDevice,
    event::Event,
    id::DeviceId,
    import::{CodeForm, DeviceRefusal, ImportedDevice, ImportedUser, RecoveryCodes},
    time::{Step, UnixTime},
};

/// How far ahead of ours the other product's clock may be, in seconds. A step beyond that is no step of any clock, and would lock its
/// owner out.
const CLOCKS_APART: u64 = 3_600;

/// A user has been taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// How many devices.
    pub devices: usize,
    /// How many backup codes.
    pub backup_codes: usize,
    /// Why each of the other devices was not.
    pub left_out: Vec<DeviceRefusal>,
}

/// Why a user has not been taken over. The account is as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotImported {
    /// 2FA is on: what is there stays, so that an import can be repeated.
    HasDevice,
    /// The user has no device that can be taken over.
    NoDevice {
        /// Why not, for each that there is.
        left_out: Vec<DeviceRefusal>,
    },
}

impl Account {
    /// Takes over the devices of a user, at most [`MAX_DEVICES`], and `codes`, which are the user's recovery codes, hashed. 2FA is on
    /// afterwards.
    ///
    /// No code up to that of the step after `now` counts, as after a restore ([`Account::restored`]): the other product may have
    /// accepted it a moment ago, and so may we, if the user was here before and 2FA was turned off. A device that a user has twice is
    /// taken once, because each accepts a code.
    ///
    /// # Errors
    /// See [`NotImported`].
    pub fn import(
        &mut self,
        user: &ImportedUser,
        codes: Option<BackupCodes>,
        now: UnixTime,
        rng: &mut impl CryptoRng,
        events: &mut Vec<Event>,
    ) -> Result<Imported, NotImported> {
        if self.is_protected() {
            return Err(NotImported::HasDevice);
        }
        let (devices, left_out) = taken(user);
        if devices.is_empty() {
            return Err(NotImported::NoDevice { left_out });
        }
        if self.name.is_none() {
            self.name.clone_from(&user.account_name);
        }
        for device in &devices {
            let id = DeviceId::generate(rng);
            let name = device.name.clone().unwrap_or_else(|| self.default_name());
            self.active.push(active(id, name, device, now));
            if device.is_primary || self.primary.is_none() {
                self.primary = Some(id);
            }
        }
        if self.active.len() >= MAX_DEVICES {
            // Another pending one would make one too many.
            self.pending.clear();
        }
        self.protected_since = Some(now);
        let form = user.recovery.as_ref().map_or(CodeForm::Native, RecoveryCodes::form);
        let backup_codes = codes.as_ref().map_or(0, BackupCodes::remaining);
        self.set_backup_codes(codes, form);
        events.push(Event::UserImported { devices: devices.len(), backup_codes });
        Ok(Imported { devices: devices.len(), backup_codes, left_out })
    }
}

/// The devices that are taken, and why each of the others is not.
fn taken(user: &ImportedUser) -> (Vec<ImportedDevice>, Vec<DeviceRefusal>) {
    let mut taken: Vec<ImportedDevice> = Vec::with_capacity(user.devices.len().min(MAX_DEVICES));
    let mut left_out = user.left_out.clone();
    for device in &user.devices {
        if let Some(twin) = taken.iter_mut().find(|taken| taken.secret == device.secret) {
            twin.last_step = twin.last_step.max(device.last_step);
            left_out.push(DeviceRefusal::Twice);
        } else if taken.len() == MAX_DEVICES {
            left_out.push(DeviceRefusal::TooMany);
        } else {
            taken.push(device.clone());
        }
    }
    (taken, left_out)
}

fn active(id: DeviceId, name: crate::id::DeviceName, device: &ImportedDevice, now: UnixTime) -> ActiveDevice {
    let period = device.params.period;
    let last_step = Step::at(now, period).next();
    let theirs = device.last_step.filter(|step| *step <= Step::at(now.plus(CLOCKS_APART), period));
    ActiveDevice {
        id,
        name,
        secret: device.secret.clone(),
        params: device.params,
        created_at: device.created_at.map_or(now, |at| at.min(now)),
        confirmed_at: now,
        last_used_at: device.last_used_at.map(|at| at.min(now)),
        last_step: theirs.map_or(last_step, |theirs| theirs.max(last_step)),
        drift: 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;
    use crate::{
        account::Refusal,
        backup_code::{Attempt, CodeHash, Salt},
        code::Code,
        device::Answer,
        id::{AccountId, AccountName, AppId, DeviceName, LoginId, UserId},
        import::Typing,
        secret::Secret,
        totp::{Digits, Period, TotpParams, code_at},
    };

    const NOW: UnixTime = UnixTime::from_secs(1_700_000_010);

    fn account() -> Account {
        let id = AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse("42").unwrap() };
        Account::new(id, NOW, &mut StdRng::seed_from_u64(7))
    }

    fn device(number: u8) -> ImportedDevice {
        let secret = Secret::from_bytes(vec![number; 20]).unwrap();
        ImportedDevice::new(secret, TotpParams::default()).unwrap()
    }

    fn user(devices: impl IntoIterator<Item = ImportedDevice>) -> ImportedUser {
        let devices = devices.into_iter().collect();
        ImportedUser { devices, ..ImportedUser::new(UserId::parse("42").unwrap()) }
    }

    fn import(account: &mut Account, user: &ImportedUser) -> Result<Imported, NotImported> {
        account.import(user, None, NOW, &mut StdRng::seed_from_u64(8), &mut Vec::new())
    }

    fn code(device: &ImportedDevice, step: Step) -> Answer {
        Answer::of(Code::parse(&code_at(&device.secret, device.params, step)).unwrap())
    }

    #[test]
    fn codes_of_the_device_count_from_the_step_on_that_nobody_can_have_used() {
        let (mut account, device) = (account(), device(1));
        import(&mut account, &user([device.clone()])).unwrap();
        let here = Step::at(NOW, device.params.period);
        let mut answer = |step, at| account.answer(&code(&device, step), at, &mut Vec::new()).map(drop);
        for used in [here.previous(), here, here.next()] {
            assert_eq!(answer(used, NOW), Err(Refusal::Wrong));
        }
        let later = here.next().next();
        assert_eq!(answer(later, NOW.plus(30)), Ok(()));
        assert_eq!(answer(later, NOW.plus(30)), Err(Refusal::Wrong), "once");
    }

    #[test]
    fn who_has_a_device_is_left_as_they_are() {
        let mut account = account();
        import(&mut account, &user([device(1)])).unwrap();
        let before = account.clone();
        let mut events = Vec::new();
        let again = account.import(
            &user([device(2)]),
            None,
            NOW.plus(90),
            &mut StdRng::seed_from_u64(9),
            &mut events,
        );
        assert_eq!((again, account, events), (Err(NotImported::HasDevice), before, Vec::new()));
    }

    #[test]
    fn who_has_no_usable_device_is_refused_with_the_reasons() {
        let (mut account, mut nobody) = (account(), user([]));
        let before = account.clone();
        nobody.add(Err(DeviceRefusal::Hotp));
        let left_out = vec![DeviceRefusal::Hotp];
        assert_eq!(import(&mut account, &nobody), Err(NotImported::NoDevice { left_out }));
        assert_eq!(account, before);
    }

    #[test]
    fn a_device_that_a_user_has_twice_is_taken_once() {
        let mut twin = device(1);
        twin.params.digits = Digits::new(8).unwrap();
        let ahead = Step::at(NOW.plus(600), twin.params.period);
        twin.last_step = Some(ahead);
        let mut account = account();
        let imported = import(&mut account, &user([device(1), twin])).unwrap();
        assert_eq!((imported.devices, imported.left_out), (1, vec![DeviceRefusal::Twice]));
        assert_eq!(account.active[0].last_step, ahead, "what was used of one was used of the other");
    }

    #[test]
    fn more_devices_than_an_account_may_have_are_left_out() {
        let mut account = account();
        let mut rng = StdRng::seed_from_u64(3);
        let login = LoginId::generate(&mut rng);
        account.start_setup(login, None, false, NOW, &mut rng, &mut Vec::new()).unwrap();
        let imported = import(&mut account, &user((1..=9).map(device))).unwrap();
        assert_eq!((imported.devices, imported.left_out), (MAX_DEVICES, vec![DeviceRefusal::TooMany; 2]));
        assert_eq!(account.pending_devices(NOW).count(), 0, "another one would be one too many");
    }

    #[test]
    fn names_times_and_the_primary_device_come_along() {
        let mut second = device(2);
        second.name = DeviceName::parse("Tablet").ok();
        second.is_primary = true;
        second.created_at = Some(UnixTime::from_secs(1_600_000_000));
        second.last_used_at = Some(NOW.plus(50));
        let mut account = account();
        let mut with_name = user([device(1), second, device(3)]);
        with_name.account_name = AccountName::parse("ann@example.com").ok();
        import(&mut account, &with_name).unwrap();
        let names: Vec<_> = account.active.iter().map(|device| device.name.as_str()).collect();
        assert_eq!(names, ["Authenticator", "Tablet", "Authenticator 2"]);
        assert!(account.is_primary(account.active[1].id));
        assert_eq!(account.active[1].created_at, UnixTime::from_secs(1_600_000_000));
        assert_eq!(account.active[1].last_used_at, Some(NOW), "nothing lies ahead");
        assert_eq!(account.name, with_name.account_name);
        assert_eq!(account.protected_since, Some(NOW), "no second factor from before counts");
    }

    #[test]
    fn recovery_codes_keep_their_form_until_they_are_renewed() {
        let (mut account, mut events) = (account(), Vec::new());
        let form = CodeForm::Text(Typing::EXACT);
        let mut user = user([device(1)]);
        user.recover_with(RecoveryCodes::new(form, ["abcde-fghij", "klmno-pqrst"]));
        let hashes = vec![CodeHash::new([1; 32]), CodeHash::new([2; 32])];
        let set = BackupCodes::new(Salt([9; 16]), hashes, NOW);
        let imported =
            account.import(&user, Some(set), NOW, &mut StdRng::seed_from_u64(8), &mut events).unwrap();
        assert_eq!((imported.backup_codes, account.backup_code_form()), (2, form));
        assert_eq!(events, [Event::UserImported { devices: 1, backup_codes: 2 }]);
        let attempt = Attempt { salt: Salt([9; 16]), hash: CodeHash::new([2; 32]) };
        assert!(account.answer_with_backup_code(attempt, NOW, &mut events).is_ok());
        assert!(account.answer_with_backup_code(attempt, NOW, &mut events).is_err(), "once");
        account.renew_backup_codes(BackupCodes::new(Salt([8; 16]), Vec::new(), NOW), &mut events);
        assert_eq!(account.backup_code_form(), CodeForm::Native);
    }

    proptest! {
        /// Whatever the other product says, no step that it or we may have accepted is accepted again, and nobody is locked out.
        #[test]
        fn no_used_step_counts_and_none_is_out_of_reach(
            seconds in 15_u8..=120,
            last in proptest::option::of(any::<u64>()),
            ahead in 0_u64..200_000,
        ) {
            let mut device = device(1);
            // Two steps share a code of eight digits once in a hundred million.
            device.params.digits = Digits::new(8).unwrap();
            device.params.period = Period::new(seconds).unwrap();
            let here = Step::at(NOW, device.params.period);
            device.last_step = last.map(Step::new).or(Some(Step::new(here.number() + ahead)));
            let mut account = account();
            import(&mut account, &user([device.clone()])).unwrap();
            let kept = account.active[0].last_step;
            prop_assert!(kept > here);
            prop_assert!(kept <= Step::at(NOW.plus(CLOCKS_APART), device.params.period).max(here.next()));
            let at = kept.next().starts_at(device.params.period);
            prop_assert!(account.answer(&code(&device, kept), at, &mut Vec::new()).is_err());
            prop_assert!(account.answer(&code(&device, kept.next()), at, &mut Vec::new()).is_ok());
        }
    }
}
