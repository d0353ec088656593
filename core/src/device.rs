//! Devices: a [`PendingDevice`] becomes an [`ActiveDevice`] by its first right code, and never the other way round. An operator makes an
//! active one a [`DisabledDevice`] and the reverse.
//!
//! All are generic over how the secret is held: [`Secret`] while a rule works on it, whatever the host seals it into at rest.

use crate::{
    code::Code,
    id::{DeviceId, DeviceName, LoginId},
    secret::Secret,
    time::{Step, UnixTime},
    totp::{TotpParams, matching_step},
};

/// How long a pending device lives, in seconds.
pub const SETUP_LIFETIME: u64 = 600;

/// A device whose secret has been shown and not yet proved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PendingDevice<S = Secret> {
    /// Its name for programs.
    pub id: DeviceId,
    /// Its name for people.
    pub name: DeviceName,
    /// The shared secret.
    pub secret: S,
    /// Its parameters.
    pub params: TotpParams,
    /// The login that asked for it, and is shown the same secret when it asks again.
    pub login: LoginId,
    /// When it was made.
    pub created_at: UnixTime,
}

/// A device that counts as a second factor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ActiveDevice<S = Secret> {
    /// Its name for programs.
    pub id: DeviceId,
    /// Its name for people.
    pub name: DeviceName,
    /// The shared secret.
    pub secret: S,
    /// Its parameters.
    pub params: TotpParams,
    /// When it was made.
    pub created_at: UnixTime,
    /// When its first code came.
    pub confirmed_at: UnixTime,
    /// When it last logged its owner in.
    pub last_used_at: Option<UnixTime>,
    /// The last accepted step: a code counts only for a later one. It never decreases.
    pub last_step: Step,
    /// How many steps its clock is usually off ours: −1, 0 or 1. Learnt from each accepted code, tried first next time.
    pub drift: i8,
}

/// A device that an operator has disabled: no code of it counts, and it still keeps 2FA on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DisabledDevice<S = Secret> {
    /// As it was when it was disabled, and as it will be again. Codes are judged by active devices only, which are never kept here.
    device: ActiveDevice<S>,
    /// When that was.
    pub disabled_at: UnixTime,
}

/// What an authenticator's owner answered: the code, and the one after it where two are asked for.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The code.
    pub code: Code,
    /// The code of the step after that.
    pub next_code: Option<Code>,
}

/// How an answer fares with one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Right: this is the step to remember.
    Right(Step),
    /// It has the code of the last accepted step, or of one before it.
    Replayed,
    /// Wrong.
    Wrong,
}

impl<S> PendingDevice<S> {
    /// When it dies.
    pub fn expires_at(&self) -> UnixTime {
        self.created_at.plus(SETUP_LIFETIME)
    }

    /// Whether it may still be confirmed.
    pub fn is_alive(&self, now: UnixTime) -> bool {
        now < self.expires_at()
    }

    /// The device with its secret held in another way.
    ///
    /// # Errors
    /// What `map` fails with.
    pub fn try_map_secret<T, E>(
        self,
        map: impl FnOnce(DeviceId, S) -> Result<T, E>,
    ) -> Result<PendingDevice<T>, E> {
        let Self { id, name, secret, params, login, created_at } = self;
        Ok(PendingDevice { id, name, secret: map(id, secret)?, params, login, created_at })
    }
}

impl PendingDevice {
    /// Judges the first code, whatever step was used before: this secret has never been used.
    pub(crate) fn judge(&self, answer: &Answer, now: UnixTime) -> Judgement {
        judge(&self.secret, self.params, answer, now, 0, None)
    }

    /// Becomes active. `step` is the step of the code that proved it, which is used up by that.
    pub(crate) fn confirm(self, step: Step, now: UnixTime) -> ActiveDevice {
        let Self { id, name, secret, params, created_at, .. } = self;
        let drift = drift(step, params, now);
        ActiveDevice {
            id,
            name,
            secret,
            params,
            created_at,
            confirmed_at: now,
            last_used_at: Some(now),
            last_step: step,
            drift,
        }
    }
}

impl<S> ActiveDevice<S> {
    /// The device with its secret held in another way.
    ///
    /// # Errors
    /// What `map` fails with.
    pub fn try_map_secret<T, E>(
        self,
        map: impl FnOnce(DeviceId, S) -> Result<T, E>,
    ) -> Result<ActiveDevice<T>, E> {
        let Self { id, name, secret, params, created_at, confirmed_at, last_used_at, last_step, drift } =
            self;
        let secret = map(id, secret)?;
        Ok(ActiveDevice {
            id,
            name,
            secret,
            params,
            created_at,
            confirmed_at,
            last_used_at,
            last_step,
            drift,
        })
    }
}

impl<S> ActiveDevice<S> {
    /// Becomes disabled.
    pub(crate) fn disable(self, now: UnixTime) -> DisabledDevice<S> {
        DisabledDevice { device: self, disabled_at: now }
    }
}

impl<S> DisabledDevice<S> {
    /// Becomes active again, with the steps used up that were.
    pub(crate) fn enable(self) -> ActiveDevice<S> {
        self.device
    }

    /// What is known of it besides; nothing of it judges a code.
    pub fn about(&self) -> &ActiveDevice<S> {
        &self.device
    }

    pub(crate) fn about_mut(&mut self) -> &mut ActiveDevice<S> {
        &mut self.device
    }

    /// The device with its secret held in another way.
    ///
    /// # Errors
    /// What `map` fails with.
    pub fn try_map_secret<T, E>(
        self,
        map: impl FnOnce(DeviceId, S) -> Result<T, E>,
    ) -> Result<DisabledDevice<T>, E> {
        let Self { device, disabled_at } = self;
        Ok(DisabledDevice { device: device.try_map_secret(map)?, disabled_at })
    }
}

impl ActiveDevice {
    /// Judges an answer against the steps around `now` that are later than the last accepted one.
    pub(crate) fn judge(&self, answer: &Answer, now: UnixTime) -> Judgement {
        judge(&self.secret, self.params, answer, now, self.drift, Some(self.last_step))
    }

    /// Uses up a step.
    pub(crate) fn accept(&mut self, step: Step, now: UnixTime) {
        debug_assert!(step > self.last_step, "an accepted step is later than every one before");
        self.last_step = self.last_step.max(step);
        self.last_used_at = Some(now);
        self.drift = drift(step, self.params, now);
    }
}

/// At most one step either side of the server's (RFC 6238 §5.2), the device's usual one first.
fn window(params: TotpParams, now: UnixTime, drift: i8) -> [Step; 3] {
    let here = Step::at(now, params.period);
    match drift {
        ..0 => [here.previous(), here, here.next()],
        0 => [here, here.previous(), here.next()],
        1.. => [here.next(), here, here.previous()],
    }
}

fn judge(
    secret: &Secret,
    params: TotpParams,
    answer: &Answer,
    now: UnixTime,
    drift: i8,
    last: Option<Step>,
) -> Judgement {
    let is_later = |step: &Step| last.is_none_or(|last| *step > last);
    let window = window(params, now, drift);
    let right = match &answer.next_code {
        None => matching_step(secret, params, &answer.code, window.into_iter().filter(is_later)),
        // Two codes: the second lies in the window, the first directly before it, and both are unused.
        Some(next_code) => window.into_iter().filter(|second| is_later(&second.previous())).find(|second| {
            matching_step(secret, params, &answer.code, [second.previous()]).is_some()
                && matching_step(secret, params, next_code, [*second]).is_some()
        }),
    };
    // Codes of different steps are the same once in a million: what was accepted last is not accepted again for another step.
    let is_used = |code: &Code| {
        let used = window.into_iter().filter(|step| !is_later(step)).chain(last);
        matching_step(secret, params, code, used).is_some()
    };
    if is_used(&answer.code) || answer.next_code.as_ref().is_some_and(is_used) {
        return Judgement::Replayed;
    }
    right.map_or(Judgement::Wrong, Judgement::Right)
}

fn drift(step: Step, params: TotpParams, now: UnixTime) -> i8 {
    match step.cmp(&Step::at(now, params.period)) {
        core::cmp::Ordering::Less => -1,
        core::cmp::Ordering::Equal => 0,
        core::cmp::Ordering::Greater => 1,
    }
}

impl Answer {
    /// An answer of one code.
    pub const fn of(code: Code) -> Self {
        Self { code, next_code: None }
    }

    /// Whether its codes have exactly this many digits.
    pub(crate) fn fits(&self, digits: crate::totp::Digits) -> bool {
        self.code.has(digits) && self.next_code.as_ref().is_none_or(|next| next.has(digits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of RFC 6238 Appendix B, whose steps 56188870 and 56188871 share a code, and so do 56295193 and 56295195.
    const SHARED: [(u64, u64); 2] = [(56_188_870, 56_188_871), (56_295_193, 56_295_195)];

    fn at(step: u64) -> UnixTime {
        UnixTime::from_secs(step * 30)
    }

    fn code(device: &ActiveDevice, step: u64) -> Answer {
        let text =
            crate::totp::code_at(&device.secret, device.params, Step::at(at(step), device.params.period));
        Answer::of(Code::parse(&text).unwrap())
    }

    #[test]
    fn a_code_that_two_steps_share_counts_for_one_of_them() {
        for (first, second) in SHARED {
            let pending = PendingDevice {
                id: DeviceId::from_bytes([1; 16]),
                name: DeviceName::parse("Phone").unwrap(),
                secret: Secret::from_bytes(b"12345678901234567890".to_vec()).unwrap(),
                params: TotpParams::default(),
                login: LoginId::from_bytes([2; 16]),
                created_at: at(first - 5),
            };
            let step = |number: u64| Step::at(at(number), TotpParams::default().period);
            let mut device = pending.confirm(step(first - 3), at(first - 3));
            let answer = code(&device, first);
            assert_eq!(answer.code, code(&device, second).code, "they share it");
            assert_eq!(device.judge(&answer, at(first)), Judgement::Right(step(first)));
            device.accept(step(first), at(first));
            for now in first..=second {
                assert_eq!(device.judge(&answer, at(now)), Judgement::Replayed, "at step {now}");
            }
        }
    }
}
