//! What is to become of a user, and the life that leads there.

use sidekey_core::{
    account::{Account, Login, Refusal},
    backup_code::{Attempt, BackupCodes, CODES, CodeHash, Salt},
    code::Code,
    device::Answer,
    event::Event,
    id::{AccountId, AccountName, DeviceName, LoginId, UserId},
    import::{ImportedDevice, ImportedUser},
    policy::Enforcement,
    secret::Secret,
    time::{Step, UnixTime},
    totp::{TotpParams, code_at},
};

use super::{persona::Persona, random::Random};
use crate::entropy::Entropy;

/// How long ago users have enrolled, in seconds: ten days. Codes of now are unused.
const ENROLLED: u64 = 10 * 86_400;
/// When after that they have signed in, used backup codes, and begun to guess.
const SIGNED_IN: u64 = 3_600;
const USED_CODES: u64 = 2 * 3_600;
const GUESSED: u64 = 86_400;
/// How long before now those who still wait have begun to guess: the waits of four failures end with the last one.
const GUESSED_LATELY: u64 = 30 + 60 + 120;
/// Failures after which the wait is 240 s: long enough for a test to see.
const FAILURES_TO_WAIT: u32 = 8;
/// One more than a window of 30 days allows.
const FAILURES_TO_NEXT_CODE: u32 = 21;
/// Failures in a row that lock TOTP.
const FAILURES_TO_LOCK: u32 = 100;

/// What is to become of a user.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) user: UserId,
    pub(super) account_name: Option<AccountName>,
    pub(super) persona: Option<Persona>,
    pub(super) devices: Vec<Device>,
    pub(super) has_pending: bool,
    pub(super) is_admin: bool,
    pub(super) backup_codes_left: usize,
    pub(super) trouble: Option<Trouble>,
}

/// A device that is active.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) secret: Secret,
    pub(super) name: Option<DeviceName>,
    /// What its owner has called it since.
    pub(super) renamed: Option<DeviceName>,
    pub(super) is_primary: bool,
}

/// What wrong codes have led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Throttled,
    NextCode,
    Locked,
}

/// What is kept of a set of backup codes, in their order.
#[derive(Debug)]
pub(super) struct Hashed {
    pub(super) salt: Salt,
    pub(super) hashes: Vec<CodeHash>,
}

impl Device {
    /// With a secret of its own.
    pub(super) fn generate(random: &mut Random) -> Self {
        Self { secret: Secret::generate(random), name: None, renamed: None, is_primary: false }
    }

    /// An answer with the codes of this step and of the one before it.
    fn answer(&self, params: TotpParams, step: Step) -> Option<Answer> {
        let code = |step| Code::parse(&code_at(&self.secret, params, step)).ok();
        Some(Answer { code: code(step.previous())?, next_code: code(step) })
    }
}

impl Person {
    /// Somebody of whom nothing is known but the name.
    pub(super) fn new(user: UserId) -> Self {
        let account_name = AccountName::parse(user.as_str()).ok();
        Self {
            user,
            account_name,
            persona: None,
            devices: Vec::new(),
            has_pending: false,
            is_admin: false,
            backup_codes_left: CODES,
            trouble: None,
        }
    }

    /// Goes through the rules up to `now`. `None`: one of them has refused what it never refuses, and nobody is there.
    pub(super) fn live(
        &self,
        id: &AccountId,
        enforcement: Enforcement,
        codes: Option<&Hashed>,
        now: UnixTime,
        random: &mut Random,
        events: &mut Vec<Event>,
    ) -> Option<Account> {
        let enrolled_at = UnixTime::from_secs(now.as_secs().saturating_sub(ENROLLED));
        let seen_at = if self.devices.is_empty() { now } else { enrolled_at };
        // Its lives are told apart by true randomness: what was given out before it was seeded anew is dead.
        let mut account = Account::new(id.clone(), seen_at, &mut Entropy);
        let login = Login {
            id: LoginId::generate(&mut Entropy),
            account_name: self.account_name.clone(),
            is_admin: self.is_admin,
            remember_me: false,
            return_url: None,
            trusted: None,
        };
        // The host application tells of the user at a login, which nobody goes on with.
        account.open(login, enforcement, seen_at, events);
        if self.has_pending {
            account.start_setup(LoginId::generate(random), None, false, now, random, events).ok()?;
        }
        let Some(first) = self.devices.first() else { return Some(account) };
        self.enrol(&mut account, codes, enrolled_at, random, events)?;
        let params = TotpParams::default();
        let signed_in_at = enrolled_at.plus(SIGNED_IN);
        let answer = first.answer(params, Step::at(signed_in_at, params.period))?;
        account.answer(&answer, signed_in_at, events).ok()?;
        if let Some(Hashed { salt, hashes }) = codes {
            for hash in hashes.iter().take(CODES.saturating_sub(self.backup_codes_left)) {
                let attempt = Attempt { salt: *salt, hash: *hash };
                account.answer_with_backup_code(attempt, enrolled_at.plus(USED_CODES), events).ok()?;
            }
        }
        match self.trouble {
            None => {}
            Some(Trouble::Throttled) => {
                let since = UnixTime::from_secs(now.as_secs().saturating_sub(GUESSED_LATELY));
                self.guess(&mut account, FAILURES_TO_WAIT, since, events)?;
            }
            Some(Trouble::NextCode) => {
                let since = enrolled_at.plus(GUESSED);
                let last = self.guess(&mut account, FAILURES_TO_NEXT_CODE, since, events)?;
                let at = account.throttled_until(last).unwrap_or(last);
                let answer = first.answer(params, Step::at(at, params.period))?;
                account.answer(&answer, at, events).ok()?;
            }
            Some(Trouble::Locked) => {
                self.guess(&mut account, FAILURES_TO_LOCK, enrolled_at.plus(GUESSED), events)?;
            }
        }
        Some(account)
    }

    /// The devices become those of the account as those of another product do.
    fn enrol(
        &self,
        account: &mut Account,
        codes: Option<&Hashed>,
        now: UnixTime,
        random: &mut Random,
        events: &mut Vec<Event>,
    ) -> Option<()> {
        let imported = |device: &Device| ImportedDevice {
            name: device.name.clone(),
            secret: device.secret.clone(),
            params: TotpParams::default(),
            created_at: None,
            last_used_at: None,
            last_step: None,
            is_primary: false,
        };
        let user = ImportedUser {
            user: self.user.clone(),
            account_name: self.account_name.clone(),
            devices: self.devices.iter().map(imported).collect(),
            left_out: Vec::new(),
            recovery: None,
            recovery_left_out: None,
        };
        let codes = codes.map(|codes| BackupCodes::new(codes.salt, codes.hashes.clone(), now));
        let done = account.import(&user, codes, now, random, events).ok()?;
        if done.devices != self.devices.len() {
            return None;
        }
        let ids: Vec<_> = account.active_devices().iter().map(|device| device.id).collect();
        for (id, device) in ids.into_iter().zip(&self.devices) {
            if let Some(name) = &device.renamed {
                account.rename_device(id, name.clone(), events);
            }
            if device.is_primary {
                account.make_primary(id, events);
            }
        }
        Some(())
    }

    /// Gives wrong codes, each as soon as it is judged; when the last one was.
    fn guess(
        &self,
        account: &mut Account,
        times: u32,
        since: UnixTime,
        events: &mut Vec<Event>,
    ) -> Option<UnixTime> {
        let mut at = since;
        for _ in 0..times {
            at = account.throttled_until(at).unwrap_or(at);
            let code = self.wrong_code(at)?;
            let answer = Answer { code: code.clone(), next_code: Some(code) };
            if account.answer(&answer, at, events) != Err(Refusal::Wrong) {
                return None;
            }
        }
        Some(at)
    }

    /// A code that no device has around this time.
    fn wrong_code(&self, at: UnixTime) -> Option<Code> {
        let params = TotpParams::default();
        let here = Step::at(at, params.period);
        let around = [here.previous().previous(), here.previous(), here, here.next(), here.next().next()];
        let right: Vec<String> = self
            .devices
            .iter()
            .flat_map(|device| around.map(|step| code_at(&device.secret, params, step)))
            .collect();
        let wrong = (0..1_000_000).map(|number| format!("{number:06}")).find(|code| !right.contains(code))?;
        Code::parse(&wrong).ok()
    }
}
