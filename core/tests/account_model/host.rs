//! The crate as a host runs it: the account is stored and loaded around every call, and what was accepted is noted from the
//! account's own state, without asking the model.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::HEXLOWER;
use sidekey_core::{
    account::{Account, BackupRefusal, ConfirmRefusal, NotRemoved, Refusal, RemoveRefusal, Removed},
    device::{ActiveDevice, DisabledDevice},
    event::Event,
    id::{AccountId, AppId, DeviceId, DeviceName, Incarnation, LoginId, UserId},
    login::{Method, SecondFactor},
    secret::Secret,
    session::{self, AnswerRefusal, Closed, EnrollRefusal, Opening, Session, Status},
    throttle::LONGEST_WAIT,
    time::UnixTime,
};

use crate::{
    calls::{Call, Outcome, Purpose, Said, SaidBackup},
    codes::{Numbered, PERIOD, answer, attempt, backup_codes, device_id},
    model::Model,
};

pub struct Host {
    account: Account,
    sessions: Vec<Session>,
    events: Vec<Event>,
    told: BTreeMap<&'static str, u32>,
    /// Every life that the account has had.
    lives: Vec<Incarnation>,
    /// The last step that each device accepted.
    accepted: BTreeMap<DeviceId, u64>,
    /// Backup codes that were accepted.
    spent: BTreeSet<(u8, u8)>,
    /// How often each session was granted.
    grants: Vec<u32>,
}

impl Host {
    pub fn new(now: u64) -> Self {
        let id = AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse("42").unwrap() };
        let account = Account::new(id, UnixTime::from_secs(now), &mut Numbered(1 << 32));
        Self {
            lives: vec![account.incarnation],
            account,
            sessions: Vec::new(),
            events: Vec::new(),
            told: BTreeMap::new(),
            accepted: BTreeMap::new(),
            spent: BTreeSet::new(),
            grants: Vec::new(),
        }
    }

    /// Makes a call at a time, and looks at what it did.
    pub fn run(&mut self, call: &Call, at: u64) -> Outcome {
        let now = UnixTime::from_secs(at);
        let before = self.account.clone();
        let outcome = self.make(call, now);
        self.note_accepted(outcome, at);
        for event in self.events.drain(..) {
            for what in told(&event) {
                *self.told.entry(what).or_default() += 1;
            }
        }
        if matches!(outcome, Outcome::Throttled { .. }) {
            assert_eq!(self.account, before, "nothing is judged or counted while an account waits");
        }
        if self.account.incarnation != before.incarnation {
            assert!(!self.lives.contains(&self.account.incarnation), "no life comes back");
            self.lives.push(self.account.incarnation);
        }
        self.store_and_load();
        outcome
    }

    fn make(&mut self, call: &Call, now: UnixTime) -> Outcome {
        let Self { account, events, .. } = self;
        match call {
            Call::Setup { login, restart, name, number } => {
                let name = name.as_ref().map(|name| DeviceName::parse(name).unwrap());
                let (login, mut rng) = (LoginId::from_bytes([*login; 16]), Numbered(*number as u64));
                match account.start_setup(login, name, *restart, now, &mut rng, events) {
                    Ok(device) => {
                        let number = (0..=*number).find(|number| device_id(*number) == device.id);
                        Outcome::Shown { device: number.unwrap() }
                    }
                    Err(_) => Outcome::TooManyDevices,
                }
            }
            Call::Confirm { device, said, set, session } => self.confirm(*device, said, *set, *session, now),
            Call::Open(purpose) => {
                let opened = Session::open(account, opening(*purpose, self.sessions.len()), now, events);
                self.sessions.push(opened);
                self.grants.push(0);
                Outcome::Done
            }
            Call::Answer { session, said } => self.answer(*session, said, now),
            Call::Backup { session, said } => self.answer_with_backup_code(*session, *said, now),
            Call::Rename { device, name } => {
                let name = DeviceName::parse(name).unwrap();
                found(account.rename_device(device_id(*device), name, events))
            }
            Call::MakePrimary { device } => found(account.make_primary(device_id(*device), events)),
            Call::Remove { device, said } => {
                let answer = said.as_ref().map(answered);
                let mut rng = Numbered((1 << 32) + self.lives.len() as u64);
                match account.remove_device(device_id(*device), answer.as_ref(), now, &mut rng, events) {
                    Ok(Removed::Device) => Outcome::Done,
                    Ok(Removed::LastDevice) => Outcome::TurnedOff,
                    Err(RemoveRefusal::NotFound) => Outcome::NotFound,
                    Err(RemoveRefusal::CodeRequired) => Outcome::CodeRequired,
                    Err(RemoveRefusal::Code(refusal)) => refused(refusal),
                }
            }
            Call::Disable { said } => match account.answer(&answered(said), now, events) {
                Ok(_) => {
                    account.turn_off(&mut Numbered((1 << 32) + self.lives.len() as u64), events);
                    Outcome::TurnedOff
                }
                Err(refusal) => refused(refusal),
            },
            Call::Renew { said, set } => match account.answer(&answered(said), now, events) {
                Ok(_) => {
                    account.renew_backup_codes(backup_codes(*set, now), events);
                    Outcome::Accepted
                }
                Err(refusal) => refused(refusal),
            },
            Call::Unlock => {
                account.unlock(events);
                Outcome::Done
            }
            Call::DisableDevice { device } => found(account.disable_device(device_id(*device), now, events)),
            Call::EnableDevice { device } => found(account.enable_device(device_id(*device), events)),
            Call::RemoveForOwner { device } => {
                match account.remove_device_for_owner(device_id(*device), now, events) {
                    Ok(()) => Outcome::Done,
                    Err(NotRemoved::NotFound) => Outcome::NotFound,
                    Err(NotRemoved::LastDevice) => Outcome::LastDevice,
                }
            }
            Call::Reset => {
                account.reset(&mut Numbered((1 << 32) + self.lives.len() as u64), events);
                Outcome::Done
            }
            Call::Restore => {
                let mut rng = Numbered((1 << 32) + self.lives.len() as u64);
                *account = account.clone().restored(now, &mut rng);
                for device in kept(account) {
                    self.accepted.insert(device.id, device.last_step.number());
                }
                Outcome::Done
            }
        }
    }

    fn confirm(
        &mut self,
        device: usize,
        said: &Said,
        set: u8,
        session: Option<usize>,
        now: UnixTime,
    ) -> Outcome {
        let Self { account, events, .. } = self;
        let (device, answer, codes) = (device_id(device), answered(said), Some(backup_codes(set, now)));
        let confirmed = match session {
            None => account.confirm(device, &answer, codes, now, events),
            Some(session) => {
                match self.sessions[session].confirm(account, device, &answer, codes, now, events) {
                    Ok((confirmed, grant)) => {
                        assert_eq!(grant.login, LoginId::generate(&mut Numbered(session as u64)));
                        self.grants[session] += 1;
                        Ok(confirmed)
                    }
                    Err(EnrollRefusal::Closed(reason)) => return closed(reason),
                    Err(EnrollRefusal::SecondFactorNeeded(_)) => return Outcome::SecondFactorNeeded,
                    Err(EnrollRefusal::Confirm(refusal)) => Err(refusal),
                }
            }
        };
        match confirmed {
            Ok(confirmed) => {
                assert_eq!(confirmed.second_factor, SecondFactor { method: Method::Otp, at: now });
                Outcome::Confirmed { first: confirmed.first }
            }
            Err(ConfirmRefusal::NotFound) => Outcome::NotFound,
            Err(ConfirmRefusal::Expired) => Outcome::SetupExpired,
            Err(ConfirmRefusal::Code(refusal)) => refused(refusal),
        }
    }

    fn answer(&mut self, session: Option<usize>, said: &Said, now: UnixTime) -> Outcome {
        let Self { account, events, .. } = self;
        let Some(session) = session else {
            return match account.answer(&answered(said), now, events) {
                Ok(factor) => {
                    assert_eq!(factor, SecondFactor { method: Method::Otp, at: now });
                    Outcome::Accepted
                }
                Err(refusal) => refused(refusal),
            };
        };
        match self.sessions[session].answer(account, &answered(said), now, events) {
            Ok(grant) => {
                assert_eq!(grant.second_factor, Some(SecondFactor { method: Method::Otp, at: now }));
                self.grants[session] += 1;
                Outcome::Accepted
            }
            Err(refusal) => in_session(refusal, refused),
        }
    }

    fn answer_with_backup_code(
        &mut self,
        session: Option<usize>,
        said: SaidBackup,
        now: UnixTime,
    ) -> Outcome {
        let Self { account, events, .. } = self;
        let attempt = attempt(said.set, said.hashed_for, said.n);
        let outcome = match session {
            None => match account.answer_with_backup_code(attempt, now, events) {
                Ok(factor) => {
                    assert_eq!(factor, SecondFactor { method: Method::BackupCode, at: now });
                    Outcome::Accepted
                }
                Err(refusal) => backup_refused(refusal),
            },
            Some(session) => {
                match self.sessions[session].answer_with_backup_code(account, attempt, now, events) {
                    Ok(grant) => {
                        let factor = SecondFactor { method: Method::BackupCode, at: now };
                        assert_eq!(grant.second_factor, Some(factor));
                        self.grants[session] += 1;
                        Outcome::Accepted
                    }
                    Err(refusal) => in_session(refusal, backup_refused),
                }
            }
        };
        if outcome == Outcome::Accepted {
            assert!(self.spent.insert((said.set, said.n)), "a backup code is accepted at most once");
        }
        outcome
    }

    /// Notes which step of which device a call has used up.
    fn note_accepted(&mut self, outcome: Outcome, at: u64) {
        for device in kept(&self.account) {
            let step = device.last_step.number();
            if self.accepted.get(&device.id) == Some(&step) {
                continue;
            }
            let is_acceptance = matches!(outcome, Outcome::Accepted | Outcome::Confirmed { .. });
            assert!(is_acceptance, "{outcome:?} uses no step up");
            assert!(step.abs_diff(at / PERIOD) <= 1, "an accepted step is at most one step from now");
            let last = self.accepted.insert(device.id, step);
            assert!(
                last.is_none_or(|last| last < step),
                "a step is accepted once, and none after a later one"
            );
        }
    }

    /// Brings everything to text and back, with secrets as hex in place of sealed ones.
    fn store_and_load(&mut self) {
        let seal = |_, secret: Secret| Ok::<_, ()>(HEXLOWER.encode(secret.expose()));
        let open = |_, hex: String| {
            Secret::from_bytes(HEXLOWER.decode(hex.as_bytes()).map_err(|_| ())?).map_err(|_| ())
        };
        let stored = serde_json::to_string(&self.account.clone().try_map_secrets(seal).unwrap()).unwrap();
        let loaded: Account<String> = serde_json::from_str(&stored).unwrap();
        let loaded = loaded.try_map_secrets(open).unwrap();
        assert_eq!(loaded, self.account);
        self.account = loaded;
        let stored = serde_json::to_string(&self.sessions).unwrap();
        let loaded: Vec<Session> = serde_json::from_str(&stored).unwrap();
        assert_eq!(loaded, self.sessions);
        self.sessions = loaded;
    }

    /// Compares everything that can be seen of the account with the model.
    pub fn compare(&self, model: &Model) {
        let now = UnixTime::from_secs(model.now);
        let account = &self.account;
        assert_eq!(account.is_protected(), !model.kept().is_empty());
        assert_eq!(account.devices(), model.kept().len());
        assert_eq!(account.active_devices().len(), model.active.len());
        for (device, number) in kept(account).zip(&model.kept()) {
            let expected = &model.devices[*number];
            assert_eq!((device.id, device.name.as_str()), (device_id(*number), expected.name.as_str()));
            assert_eq!(Some(device.last_step.number()), expected.used.last().copied());
            let seen = [device.created_at, device.confirmed_at, device.last_used_at.unwrap()];
            let times = [expected.made_at, expected.confirmed_at, expected.used_at];
            assert_eq!(seen.map(UnixTime::as_secs), times);
            assert_eq!(account.is_primary(device.id), model.primary == Some(*number));
            assert!((-1..=1).contains(&device.drift));
        }
        let pending = account.pending_devices(now).map(|device| (device.id, device.name.to_string()));
        let alive = model.pending.iter().filter(|number| model.is_alive(**number));
        let expected = alive.map(|number| (device_id(*number), model.devices[*number].name.clone()));
        assert_eq!(pending.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        let left = account.backup_codes().map(|codes| (codes.remaining(), codes.total()));
        assert_eq!(left, model.backup.as_ref().map(|(_, spent)| (10 - spent.len(), 10)));
        assert_eq!(account.salt().is_some(), model.backup.is_some());
        assert_eq!(account.throttled_until(now).map(UnixTime::as_secs), model.throttled_until());
        assert_eq!(account.backup_codes_wait(now), model.backup_codes_wait());
        assert!(account.backup_codes_wait(now).is_none_or(|seconds| seconds <= LONGEST_WAIT));
        assert_eq!(account.is_locked(), model.totp_budget.is_locked());
        assert_eq!(account.last_verified_at.map(UnixTime::as_secs), model.last_verified_at);
        assert_eq!(account.protected_since.map(UnixTime::as_secs), model.protected_since);
        assert_eq!(self.lives.len(), model.life as usize + 1);
        assert_eq!(self.told, model.told);
        self.compare_second_factors(model);
        self.compare_sessions(model);
    }

    fn compare_second_factors(&self, model: &Model) {
        let now = UnixTime::from_secs(model.now);
        let ages = [0, 1, 599, 600, 601, 86_400].map(|age| model.now - age);
        let around = model.protected_since.map(|since| [since - 1, since, since + 1]);
        for at in ages.into_iter().chain(around.into_iter().flatten()) {
            for max_age in [None, Some(0), Some(600)] {
                let factor = SecondFactor { method: Method::Otp, at: UnixTime::from_secs(at) };
                let is_young = max_age.is_none_or(|max_age| model.now.saturating_sub(at) <= max_age);
                let counts = model.protected_since.is_none_or(|since| at >= since && is_young);
                let seen = self.account.require_second_factor(Some(factor), max_age, now);
                assert_eq!(seen.is_ok(), counts, "{at} {max_age:?}");
            }
        }
        let without = self.account.require_second_factor(None, None, now);
        assert_eq!(without.is_ok(), model.kept().is_empty());
    }

    fn compare_sessions(&self, model: &Model) {
        let now = UnixTime::from_secs(model.now);
        assert_eq!(self.sessions.len(), model.sessions.len());
        for (index, (session, expected)) in self.sessions.iter().zip(&model.sessions).enumerate() {
            let status = match (expected.verified_at, expected.wrong) {
                (Some(at), _) => Status::Verified { at: UnixTime::from_secs(at) },
                (None, 5) => Status::Failed,
                _ if model.now < expected.opened_at + session::LIFETIME => Status::Pending,
                _ => Status::Expired,
            };
            assert_eq!(session.status(now), status);
            let seen = session.require_open(Some(&self.account), now).err().map(closed);
            assert_eq!(seen, model.closed(index));
            assert_eq!(
                self.grants[index],
                u32::from(expected.verified_at.is_some()),
                "a session grants once"
            );
        }
    }
}

/// The devices that keep 2FA on: active ones, then disabled ones.
fn kept(account: &Account) -> impl Iterator<Item = &ActiveDevice> {
    account.active_devices().iter().chain(account.disabled_devices().iter().map(DisabledDevice::about))
}

fn opening(purpose: Purpose, number: usize) -> Opening {
    Opening {
        purpose: match purpose {
            Purpose::Login => session::Purpose::Login,
            Purpose::StepUp => session::Purpose::StepUp,
            Purpose::Enrollment => session::Purpose::Enrollment,
        },
        login: LoginId::generate(&mut Numbered(number as u64)),
        remember_me: number.is_multiple_of(2),
        return_url: None,
        action: None,
    }
}

fn answered(said: &Said) -> sidekey_core::device::Answer {
    answer(&said.code, said.next.as_ref())
}

fn found(is_found: bool) -> Outcome {
    if is_found { Outcome::Done } else { Outcome::NotFound }
}

fn closed(reason: Closed) -> Outcome {
    match reason {
        Closed::Expired => Outcome::SessionExpired,
        Closed::Failed => Outcome::SessionFailed,
        Closed::Verified => Outcome::SessionVerified,
    }
}

fn in_session<R>(refusal: AnswerRefusal<R>, refused: impl Fn(R) -> Outcome) -> Outcome {
    match refusal {
        AnswerRefusal::Closed(reason) => closed(reason),
        AnswerRefusal::Refused(refusal) => refused(refusal),
        AnswerRefusal::Wrong { attempts_remaining } => Outcome::WrongWith { attempts_remaining },
    }
}

fn refused(refusal: Refusal) -> Outcome {
    match refusal {
        Refusal::NotEnabled => Outcome::NotEnabled,
        Refusal::Malformed => Outcome::Malformed,
        Refusal::Wrong => Outcome::Wrong,
        Refusal::Throttled { seconds } => Outcome::Throttled { seconds },
        Refusal::NeedsNextCode => Outcome::NeedsNextCode,
        Refusal::Locked => Outcome::Locked,
    }
}

fn backup_refused(refusal: BackupRefusal) -> Outcome {
    match refusal {
        BackupRefusal::NotEnabled => Outcome::NotEnabled,
        BackupRefusal::Wrong => Outcome::Wrong,
        BackupRefusal::Throttled { seconds } => Outcome::Throttled { seconds },
    }
}

/// An event in the model's words.
fn told(event: &Event) -> Vec<&'static str> {
    match event {
        Event::SessionOpened { .. } => vec!["session opened"],
        Event::SetupStarted { .. } => vec!["setup started"],
        Event::DeviceConfirmed { .. } => vec!["device confirmed"],
        Event::SecondFactorAccepted { method: Method::Otp, device: Some(_) } => vec!["code accepted"],
        Event::SecondFactorAccepted { method: Method::BackupCode, device: None } => {
            vec!["backup code accepted"]
        }
        Event::AnswerRefused { method: Method::Otp, replayed: false } => vec!["code refused"],
        Event::AnswerRefused { method: Method::Otp, replayed: true } => vec!["code refused", "replay"],
        Event::AnswerRefused { method: Method::BackupCode, .. } => vec!["backup code refused"],
        Event::AccountThrottled { method, notify, .. } => {
            let waits = match method {
                Method::Otp => "codes wait",
                Method::BackupCode => "backup codes wait",
            };
            if *notify { vec![waits, "owner told"] } else { vec![waits] }
        }
        Event::AccountLocked => vec!["locked"],
        Event::AccountUnlocked => vec!["unlocked"],
        Event::SessionFailed => vec!["session failed"],
        Event::DeviceRenamed { .. } => vec!["renamed"],
        Event::PrimaryChanged { .. } => vec!["primary changed"],
        Event::DeviceRemoved { .. } => vec!["removed"],
        Event::DeviceDisabled { .. } => vec!["disabled"],
        Event::DeviceEnabled { .. } => vec!["enabled"],
        Event::TwoFactorReset => vec!["reset"],
        Event::TwoFactorDisabled => vec!["turned off"],
        Event::BackupCodesRenewed => vec!["codes renewed"],
        other => panic!("no call here tells {other:?}"),
    }
}
