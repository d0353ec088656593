//! The model: sets of accepted steps, counts of failures, lists of devices. It says what every call gives, and shares no code
//! and no idea with the crate beyond the contract.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    calls::{Call, Entry, Outcome, Purpose, Said, SaidBackup},
    codes::{Meaning, PERIOD, Typed, code},
};

/// Devices that may be active, pending ones that may exist, and wrong answers that a session takes.
const DEVICES: usize = 7;
const PENDING: usize = 2;
const ANSWERS: u8 = 5;
/// Lives of pending devices and sessions, and the window of failures, in seconds.
const SETUP: u64 = 600;
const SESSION: u64 = 300;
const MONTH: u64 = 30 * 24 * 3_600;
/// Waits after the fifth failure in a row and those that follow it, in seconds; the last one stays.
const WAITS: [u64; 8] = [30, 60, 120, 240, 480, 960, 1_920, 3_600];

#[derive(Clone, Debug)]
pub struct Model {
    /// Seconds since 1970.
    pub now: u64,
    /// How often everything was given up; what belongs to an earlier life is dead.
    pub life: u32,
    /// Every device that there ever was; its number is its index.
    pub devices: Vec<Device>,
    /// Numbers of the pending devices, expired ones among them, and of the active ones, oldest first.
    pub pending: Vec<usize>,
    pub active: Vec<usize>,
    /// Those of the disabled ones, in the order in which they were disabled.
    pub disabled: Vec<usize>,
    pub primary: Option<usize>,
    /// The set of backup codes and which of them are spent; sets are numbered.
    pub backup: Option<(u8, BTreeSet<u8>)>,
    pub sets: u8,
    pub totp_budget: Budget,
    pub backup_budget: Budget,
    pub protected_since: Option<u64>,
    pub last_verified_at: Option<u64>,
    pub sessions: Vec<Session>,
    /// Every device and step that was accepted, in that order.
    pub accepted: Vec<(usize, u64)>,
    /// How often each thing was told to have happened.
    pub told: BTreeMap<&'static str, u32>,
    /// The calls of the latest operation, and what each of them gives.
    pub script: Vec<Entry>,
}

#[derive(Clone, Debug)]
pub struct Device {
    pub name: String,
    pub login: u8,
    pub made_at: u64,
    pub confirmed_at: u64,
    pub used_at: u64,
    /// Steps whose codes were accepted.
    pub used: BTreeSet<u64>,
}

#[derive(Clone, Debug, Default)]
pub struct Budget {
    pub in_a_row: u32,
    pub wait_until: u64,
    /// When each failure was, since the last unlock.
    pub failures: Vec<u64>,
}

#[derive(Clone, Debug)]
pub struct Session {
    pub opened_at: u64,
    pub life: u32,
    pub purpose: Purpose,
    pub wrong: u8,
    pub verified_at: Option<u64>,
}

impl Budget {
    pub fn is_locked(&self) -> bool {
        self.in_a_row >= 100
    }

    fn failures_this_month(&self, now: u64) -> usize {
        self.failures.iter().filter(|at| now - **at < MONTH).count()
    }

    fn end_row(&mut self) {
        self.in_a_row = 0;
        self.wait_until = 0;
    }

    /// Counts a failure; the wait that follows it.
    fn fail(&mut self, now: u64) -> Option<u64> {
        self.in_a_row += 1;
        self.failures.push(now);
        let wait = WAITS.get(self.in_a_row.checked_sub(5)? as usize).copied().unwrap_or(3_600);
        self.wait_until = now + wait;
        Some(wait)
    }
}

impl Model {
    pub fn new(now: u64) -> Self {
        Self {
            now,
            life: 0,
            devices: Vec::new(),
            pending: Vec::new(),
            active: Vec::new(),
            disabled: Vec::new(),
            primary: None,
            backup: None,
            sets: 0,
            totp_budget: Budget::default(),
            backup_budget: Budget::default(),
            protected_since: None,
            last_verified_at: None,
            sessions: Vec::new(),
            accepted: Vec::new(),
            told: BTreeMap::new(),
            script: Vec::new(),
        }
    }

    pub fn step(&self) -> u64 {
        self.now / PERIOD
    }

    pub fn is_alive(&self, device: usize) -> bool {
        self.pending.contains(&device) && self.now < self.devices[device].made_at + SETUP
    }

    /// Devices that keep 2FA on.
    pub fn kept(&self) -> Vec<usize> {
        [&self.active[..], &self.disabled].concat()
    }

    /// Until when answers with a code wait.
    pub fn throttled_until(&self) -> Option<u64> {
        Some(self.totp_budget.wait_until).filter(|until| self.now < *until)
    }

    pub fn backup_codes_wait(&self) -> Option<u64> {
        self.backup_budget.wait_until.checked_sub(self.now).filter(|seconds| *seconds > 0)
    }

    /// The devices whose code this text is at any step near now.
    pub fn owners(&self, text: &str) -> usize {
        let devices = || self.active.iter().chain(&self.pending);
        let steps = self.step() - 3..=self.step() + 3;
        steps
            .flat_map(|step| devices().map(move |device| (*device, step)))
            .filter(|(d, s)| code(*d, *s) == text)
            .count()
    }

    /// Six digits from `number` on that are no device's code near now.
    pub fn wrong_code(&self, number: u32) -> Typed {
        let texts = (0..).map(|n| format!("{:06}", (number + n) % 1_000_000));
        let text = texts.into_iter().find(|text| self.owners(text) == 0).unwrap();
        Typed { text, meaning: Meaning::Nothing }
    }

    fn tell(&mut self, what: &'static str) {
        *self.told.entry(what).or_default() += 1;
    }

    /// Runs a call in the model and writes it down with its outcome.
    pub fn call(&mut self, call: Call) -> Outcome {
        let outcome = match &call {
            Call::Setup { login, restart, name, number } => {
                self.set_up(*login, *restart, name.as_ref(), *number)
            }
            Call::Confirm { device, said, set, session } => self.confirm(*device, said, *set, *session),
            Call::Open(purpose) => self.open(*purpose),
            Call::Answer { session, said } => self.in_session(*session, |model| model.answer(said)),
            Call::Backup { session, said } => {
                self.in_session(*session, |model| model.answer_with_backup_code(*said))
            }
            Call::Rename { device, name } => self.rename(*device, name),
            Call::MakePrimary { device } => self.make_primary(*device),
            Call::Remove { device, said } => self.remove(*device, said.as_ref()),
            Call::Disable { said } => match self.answer(said) {
                Outcome::Accepted => self.turn_off(),
                refused => refused,
            },
            Call::Renew { said, set } => match self.answer(said) {
                Outcome::Accepted => {
                    self.backup = Some((*set, BTreeSet::new()));
                    self.sets = *set;
                    self.tell("codes renewed");
                    Outcome::Accepted
                }
                refused => refused,
            },
            Call::Unlock => {
                self.totp_budget = Budget::default();
                self.backup_budget = Budget::default();
                self.tell("unlocked");
                Outcome::Done
            }
            Call::DisableDevice { device } => self.disable(*device),
            Call::EnableDevice { device } => self.enable(*device),
            Call::RemoveForOwner { device } => self.remove_for_owner(*device),
            Call::Reset => self.reset(),
            Call::Restore => self.restore(),
        };
        self.script.push(Entry { at: self.now, call, outcome });
        outcome
    }

    fn set_up(&mut self, login: u8, restart: bool, name: Option<&String>, number: usize) -> Outcome {
        if self.kept().len() == DEVICES {
            return Outcome::TooManyDevices;
        }
        let own = self.pending.iter().copied().find(|device| self.devices[*device].login == login);
        if let Some(own) = own.filter(|own| !restart && self.is_alive(*own)) {
            if let Some(name) = name {
                self.devices[own].name.clone_from(name);
            }
            return Outcome::Shown { device: own };
        }
        self.pending.retain(|device| Some(*device) != own);
        if self.pending.len() == PENDING {
            self.pending.remove(0);
        }
        let is_taken = |name: &String| self.kept().iter().any(|device| self.devices[*device].name == *name);
        let numbered = (2..=DEVICES).map(|n| format!("Authenticator {n}"));
        let free = std::iter::once("Authenticator".to_owned()).chain(numbered).find(|name| !is_taken(name));
        let name = name.cloned().or(free).unwrap();
        let (made_at, used) = (self.now, BTreeSet::new());
        assert_eq!(number, self.devices.len());
        self.devices.push(Device { name, login, made_at, confirmed_at: 0, used_at: 0, used });
        self.pending.push(number);
        self.tell("setup started");
        Outcome::Shown { device: number }
    }

    fn confirm(&mut self, device: usize, said: &Said, set: u8, session: Option<usize>) -> Outcome {
        if let Some(session) = session {
            if let Some(closed) = self.closed(session) {
                return closed;
            }
            if !self.kept().is_empty() {
                return Outcome::SecondFactorNeeded;
            }
        }
        if !self.pending.contains(&device) {
            return Outcome::NotFound;
        }
        if !self.is_alive(device) {
            return Outcome::SetupExpired;
        }
        if let Err(refused) = self.judge(said, &[device]) {
            return refused;
        }
        self.pending.retain(|pending| *pending != device);
        self.devices[device].confirmed_at = self.now;
        self.active.push(device);
        if self.active.len() == 1 {
            self.primary = Some(device);
        }
        let first = self.kept().len() == 1;
        if first {
            self.protected_since = Some(self.now);
            self.backup = Some((set, BTreeSet::new()));
            self.sets = set;
        }
        if self.kept().len() == DEVICES {
            self.pending.clear();
        }
        self.tell("device confirmed");
        if let Some(session) = session {
            self.sessions[session].verified_at = Some(self.now);
        }
        Outcome::Confirmed { first }
    }

    fn open(&mut self, purpose: Purpose) -> Outcome {
        let (opened_at, life) = (self.now, self.life);
        self.sessions.push(Session { opened_at, life, purpose, wrong: 0, verified_at: None });
        self.tell("session opened");
        Outcome::Done
    }

    /// Why a session is closed, if it is.
    pub fn closed(&self, session: usize) -> Option<Outcome> {
        let session = &self.sessions[session];
        if session.verified_at.is_some() {
            Some(Outcome::SessionVerified)
        } else if session.wrong == ANSWERS {
            Some(Outcome::SessionFailed)
        } else if self.now >= session.opened_at + SESSION || session.life != self.life {
            Some(Outcome::SessionExpired)
        } else {
            None
        }
    }

    /// Gives an answer to a session, or to an endpoint that has none.
    fn in_session(&mut self, session: Option<usize>, answer: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        let Some(session) = session else { return answer(self) };
        if let Some(closed) = self.closed(session) {
            return closed;
        }
        if self.sessions[session].purpose == Purpose::Enrollment {
            return Outcome::SessionExpired;
        }
        match answer(self) {
            Outcome::Accepted => {
                self.sessions[session].verified_at = Some(self.now);
                Outcome::Accepted
            }
            Outcome::Wrong => {
                self.sessions[session].wrong += 1;
                let attempts_remaining = ANSWERS - self.sessions[session].wrong;
                if attempts_remaining == 0 {
                    self.tell("session failed");
                }
                Outcome::WrongWith { attempts_remaining }
            }
            other => other,
        }
    }

    fn answer(&mut self, said: &Said) -> Outcome {
        if self.kept().is_empty() {
            return Outcome::NotEnabled;
        }
        match self.judge(said, &self.active.clone()) {
            Ok(()) => {
                self.tell("code accepted");
                Outcome::Accepted
            }
            Err(refused) => refused,
        }
    }

    /// Judges an answer by some devices: its form, the budget, the codes.
    fn judge(&mut self, said: &Said, devices: &[usize]) -> Result<(), Outcome> {
        let typed = || std::iter::once(&said.code).chain(&said.next);
        if typed().any(|typed| typed.meaning == Meaning::Malformed) {
            return Err(Outcome::Malformed);
        }
        let budget = &self.totp_budget;
        if budget.is_locked() {
            return Err(Outcome::Locked);
        }
        if let Some(until) = self.throttled_until() {
            return Err(Outcome::Throttled { seconds: until - self.now });
        }
        if budget.failures_this_month(self.now) > 20 && said.next.is_none() {
            return Err(Outcome::NeedsNextCode);
        }
        let here = self.step();
        let is_near = |step: u64| step.abs_diff(here) <= 1;
        let is_used = |device: usize, step: u64| self.devices[device].used.range(step..).next().is_some();
        let right = match (said.code.meaning, said.next.as_ref().map(|next| next.meaning)) {
            (Meaning::CodeOf(device, step), None) => Some((device, step, step)).filter(|_| is_near(step)),
            (Meaning::CodeOf(device, step), Some(Meaning::CodeOf(same, next))) => {
                Some((device, step, next)).filter(|_| same == device && next == step + 1 && is_near(next))
            }
            _ => None,
        };
        let right = right.filter(|(device, step, _)| devices.contains(device) && !is_used(*device, *step));
        if let Some((device, step, last)) = right {
            let (now, device_state) = (self.now, &mut self.devices[device]);
            device_state.used.extend([step, last]);
            device_state.used_at = now;
            self.accepted.push((device, last));
            self.totp_budget.end_row();
            self.last_verified_at = Some(now);
            return Ok(());
        }
        let is_replayed = typed().any(|typed| match typed.meaning {
            Meaning::CodeOf(device, step) => {
                let is_last = self.devices[device].used.last() == Some(&step);
                devices.contains(&device) && (is_last || is_near(step) && is_used(device, step))
            }
            _ => false,
        });
        self.tell("code refused");
        if is_replayed {
            self.tell("replay");
        }
        let waited_until = self.totp_budget.wait_until;
        let wait = self.totp_budget.fail(self.now);
        if self.totp_budget.is_locked() {
            self.totp_budget.wait_until = waited_until;
            self.tell("locked");
        } else if wait.is_some() {
            self.tell("codes wait");
            if self.totp_budget.in_a_row == 5 {
                self.tell("owner told");
            }
        }
        Err(Outcome::Wrong)
    }

    fn answer_with_backup_code(&mut self, said: SaidBackup) -> Outcome {
        if self.kept().is_empty() {
            return Outcome::NotEnabled;
        }
        if let Some(seconds) = self.backup_codes_wait() {
            return Outcome::Throttled { seconds };
        }
        let (set, spent) = self.backup.as_mut().unwrap();
        let is_right = said.set == *set && said.hashed_for == *set && said.n < 10 && spent.insert(said.n);
        if !is_right {
            self.tell("backup code refused");
            if self.backup_budget.fail(self.now).is_some() {
                self.tell("backup codes wait");
                if self.backup_budget.in_a_row == 5 {
                    self.tell("owner told");
                }
            }
            return Outcome::Wrong;
        }
        self.backup_budget.end_row();
        if self.totp_budget.is_locked() {
            self.tell("unlocked");
        }
        self.totp_budget.end_row();
        self.last_verified_at = Some(self.now);
        self.tell("backup code accepted");
        Outcome::Accepted
    }

    fn rename(&mut self, device: usize, name: &str) -> Outcome {
        if !self.kept().contains(&device) && !self.pending.contains(&device) {
            return Outcome::NotFound;
        }
        if self.devices[device].name != name {
            name.clone_into(&mut self.devices[device].name);
            self.tell("renamed");
        }
        Outcome::Done
    }

    fn make_primary(&mut self, device: usize) -> Outcome {
        if !self.active.contains(&device) {
            return Outcome::NotFound;
        }
        if self.primary.replace(device) != Some(device) {
            self.tell("primary changed");
        }
        Outcome::Done
    }

    fn remove(&mut self, device: usize, said: Option<&Said>) -> Outcome {
        if self.is_alive(device) {
            self.pending.retain(|pending| *pending != device);
        } else if self.active == [device] || self.kept() == [device] {
            let Some(said) = said else { return Outcome::CodeRequired };
            let outcome = self.answer(said);
            if outcome != Outcome::Accepted {
                return outcome;
            }
            self.tell("removed");
            return self.turn_off();
        } else if self.kept().contains(&device) {
            self.drop(device);
        } else {
            return Outcome::NotFound;
        }
        self.tell("removed");
        Outcome::Done
    }

    fn drop(&mut self, device: usize) {
        self.active.retain(|active| *active != device);
        self.disabled.retain(|disabled| *disabled != device);
        if self.primary == Some(device) {
            self.primary = self.active.first().copied();
        }
    }

    fn disable(&mut self, device: usize) -> Outcome {
        if !self.active.contains(&device) {
            return Outcome::NotFound;
        }
        self.drop(device);
        self.disabled.push(device);
        self.tell("disabled");
        Outcome::Done
    }

    fn enable(&mut self, device: usize) -> Outcome {
        if !self.disabled.contains(&device) {
            return Outcome::NotFound;
        }
        self.disabled.retain(|disabled| *disabled != device);
        self.active.push(device);
        self.active.sort_by_key(|device| self.devices[*device].confirmed_at);
        self.primary = self.primary.or(Some(device));
        self.tell("enabled");
        Outcome::Done
    }

    fn remove_for_owner(&mut self, device: usize) -> Outcome {
        if self.is_alive(device) {
            self.pending.retain(|pending| *pending != device);
        } else if self.kept() == [device] {
            return Outcome::LastDevice;
        } else if self.kept().contains(&device) {
            self.drop(device);
        } else {
            return Outcome::NotFound;
        }
        self.tell("removed");
        Outcome::Done
    }

    fn reset(&mut self) -> Outcome {
        self.give_up();
        self.totp_budget = Budget::default();
        self.backup_budget = Budget::default();
        self.tell("reset");
        Outcome::Done
    }

    fn restore(&mut self) -> Outcome {
        self.life += 1;
        self.pending.clear();
        let latest = self.step() + 1;
        for device in self.kept() {
            self.devices[device].used.insert(latest);
        }
        if let Some((_, spent)) = &mut self.backup {
            spent.extend(0..10);
        }
        Outcome::Done
    }

    fn turn_off(&mut self) -> Outcome {
        self.give_up();
        self.tell("turned off");
        Outcome::TurnedOff
    }

    fn give_up(&mut self) {
        self.life += 1;
        self.pending.clear();
        self.active.clear();
        self.disabled.clear();
        self.primary = None;
        self.backup = None;
        self.protected_since = None;
    }
}
