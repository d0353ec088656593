//! Answers: the one place where a code or a backup code is judged.

use super::Account;
use crate::{
    backup_code::Attempt,
    device::{Answer, DisabledDevice, Judgement, PendingDevice},
    event::Event,
    id::DeviceId,
    login::{Method, SecondFactor},
    throttle::{Consequence, Gate},
    time::{Step, UnixTime},
};

/// Why a TOTP answer did not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 2FA is off: there is no device to judge it by.
    NotEnabled,
    /// It does not have the digits of the device. Costs nothing.
    Malformed,
    /// Wrong, or used before. Counted.
    Wrong,
    /// Not judged and not counted: the account waits.
    Throttled {
        /// Whole seconds to wait.
        seconds: u64,
    },
    /// Not judged and not counted: the codes of two consecutive steps are needed.
    NeedsNextCode,
    /// Not judged and not counted: TOTP is locked.
    Locked,
}

/// Why a backup code did not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupRefusal {
    /// 2FA is off.
    NotEnabled,
    /// Wrong, or used before. Counted.
    Wrong,
    /// Not judged and not counted: backup codes wait, by a budget of their own.
    Throttled {
        /// Whole seconds to wait.
        seconds: u64,
    },
}

impl Account {
    /// Judges an answer by the active devices and, where it is right, uses its step up.
    ///
    /// # Errors
    /// See [`Refusal`]; [`Refusal::Wrong`] has changed the account.
    pub fn answer(
        &mut self,
        answer: &Answer,
        now: UnixTime,
        events: &mut Vec<Event>,
    ) -> Result<SecondFactor, Refusal> {
        let device = self.accepted(answer, now, events)?;
        self.totp_throttle.succeeded();
        self.last_verified_at = Some(now);
        events.push(Event::SecondFactorAccepted { method: Method::Otp, device: Some(device) });
        Ok(SecondFactor { method: Method::Otp, at: now })
    }

    /// Judges a backup code by its hash and, where it is right, takes it out of the set. It also lifts a lock of TOTP.
    ///
    /// # Errors
    /// See [`BackupRefusal`]; [`BackupRefusal::Wrong`] has changed the account.
    pub fn answer_with_backup_code(
        &mut self,
        attempt: Attempt,
        now: UnixTime,
        events: &mut Vec<Event>,
    ) -> Result<SecondFactor, BackupRefusal> {
        if !self.is_protected() {
            return Err(BackupRefusal::NotEnabled);
        }
        if let Some(seconds) = self.backup_codes_wait(now) {
            return Err(BackupRefusal::Throttled { seconds });
        }
        if !self.backup_codes.as_mut().is_some_and(|codes| codes.spend(attempt)) {
            events.push(Event::AnswerRefused { method: Method::BackupCode, replayed: false });
            // Only the waits count here: a set of 80-bit codes cannot be guessed, and nothing may lock its owner out.
            if let Consequence::Throttled { until, first } = self.backup_throttle.failed_without_lock(now) {
                events.push(Event::AccountThrottled { method: Method::BackupCode, until, notify: first });
            }
            return Err(BackupRefusal::Wrong);
        }
        self.backup_throttle.succeeded();
        if self.totp_throttle.is_locked() {
            events.push(Event::AccountUnlocked);
        }
        self.totp_throttle.release();
        self.last_verified_at = Some(now);
        events.push(Event::SecondFactorAccepted { method: Method::BackupCode, device: None });
        Ok(SecondFactor { method: Method::BackupCode, at: now })
    }

    /// Judges the first code of a pending device, by the same budget.
    pub(super) fn judge_pending(
        &mut self,
        device: &PendingDevice,
        answer: &Answer,
        now: UnixTime,
        events: &mut Vec<Event>,
    ) -> Result<Step, Refusal> {
        if !answer.fits(device.params.digits) {
            return Err(Refusal::Malformed);
        }
        self.pass_gate(answer, now)?;
        match device.judge(answer, now) {
            Judgement::Right(step) => Ok(step),
            refused => Err(self.refuse(refused == Judgement::Replayed, now, events)),
        }
    }

    /// Form, then budget, then every active device. The device that is right uses the step up where it is found to be right: there is
    /// no way from a judgement to an acceptance that does not pass here.
    fn accepted(
        &mut self,
        answer: &Answer,
        now: UnixTime,
        events: &mut Vec<Event>,
    ) -> Result<DeviceId, Refusal> {
        if !self.is_protected() {
            return Err(Refusal::NotEnabled);
        }
        // The code of a disabled device is a wrong one, and not a malformed one: who tries pays for it, and learns nothing.
        let all = self.active.iter().chain(self.disabled.iter().map(DisabledDevice::about));
        if !all.map(|device| device.params.digits).any(|digits| answer.fits(digits)) {
            return Err(Refusal::Malformed);
        }
        self.pass_gate(answer, now)?;
        let mut replayed = false;
        for device in &mut self.active {
            match device.judge(answer, now) {
                Judgement::Right(step) => {
                    device.accept(step, now);
                    return Ok(device.id);
                }
                Judgement::Replayed => replayed = true,
                Judgement::Wrong => {}
            }
        }
        Err(self.refuse(replayed, now, events))
    }

    fn pass_gate(&self, answer: &Answer, now: UnixTime) -> Result<(), Refusal> {
        match self.totp_throttle.gate(now) {
            Gate::Open => Ok(()),
            Gate::NeedsNextCode if answer.next_code.is_some() => Ok(()),
            Gate::NeedsNextCode => Err(Refusal::NeedsNextCode),
            Gate::Wait { seconds } => Err(Refusal::Throttled { seconds }),
            Gate::Locked => Err(Refusal::Locked),
        }
    }

    fn refuse(&mut self, replayed: bool, now: UnixTime, events: &mut Vec<Event>) -> Refusal {
        events.push(Event::AnswerRefused { method: Method::Otp, replayed });
        match self.totp_throttle.failed(now) {
            Consequence::None => {}
            Consequence::Throttled { until, first } => {
                events.push(Event::AccountThrottled { method: Method::Otp, until, notify: first });
            }
            Consequence::Locked => events.push(Event::AccountLocked),
        }
        Refusal::Wrong
    }
}
