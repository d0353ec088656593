//! The account: one user of one app, with devices, backup codes and the failure budget. Every change of it is a method
//! that takes what it needs (`now` and randomness included), changes the state, reports events and gives the outcome.
//!
//! - `mod`: the state and what can be read off it
//! - `open`: how a login goes on that the host application has let through
//! - `reopen`: the same login again, whose answer was lost
//! - `setup`: start and confirm a device
//! - `judge`: answer with a code or a backup code
//! - `manage`: rename, remove, turn off, renew, unlock
//! - `operate`: what an operator does besides: disable, enable, remove, reset
//! - `import`: devices and recovery codes of another product
//! - `restore`: the new epoch after a backup was restored
//!
//! The invariant that the caller keeps: load, change and store under one transaction per account, and store what a method
//! changed *also when it refused*, because a refusal counts.

mod import;
mod judge;
mod manage;
mod open;
mod operate;
mod reopen;
mod restore;
mod setup;
#[cfg(test)]
mod tests;

use rand_core::CryptoRng;

use crate::{
    backup_code::{BackupCodes, Salt},
    device::{ActiveDevice, DisabledDevice, PendingDevice},
    id::{AccountId, AccountName, DeviceId, Incarnation},
    import::CodeForm,
    login::SecondFactor,
    policy::{Admission, Enforcement},
    secret::Secret,
    throttle::Throttle,
    time::UnixTime,
};

pub use import::{Imported, NotImported};
pub use judge::{BackupRefusal, Refusal};
pub use manage::{RemoveRefusal, Removed};
pub use open::{Login, Opened};
pub use operate::NotRemoved;
pub use reopen::{Asked, Before, KeyRefusal};
pub use setup::{ConfirmRefusal, Confirmed, TooManyDevices};

/// Devices that an account may have, active and disabled ones.
pub const MAX_DEVICES: usize = 7;
/// Pending devices that an account may have at once; the oldest gives way.
pub const MAX_PENDING: usize = 2;

/// The state of one account, with secrets held as `S`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Account<S = Secret> {
    /// Whose it is.
    pub id: AccountId,
    /// Drawn when the account was made: tells it from another one of the same name, before or after an erasure.
    pub birth: Incarnation,
    /// Which life of it this is; what was given out in another one is dead.
    pub incarnation: Incarnation,
    /// What people see of it, as the host told last.
    pub name: Option<AccountName>,
    /// Whether the host called this user an administrator, last.
    pub is_admin: bool,
    /// When it was first seen.
    pub created_at: UnixTime,
    /// When the user was first asked to enrol: the grace period runs from here.
    pub asked_to_enroll_at: Option<UnixTime>,
    /// When 2FA was turned on. A second factor from before was given to other devices.
    pub protected_since: Option<UnixTime>,
    /// When a second factor was last accepted.
    pub last_verified_at: Option<UnixTime>,
    pending: Vec<PendingDevice<S>>,
    active: Vec<ActiveDevice<S>>,
    primary: Option<DeviceId>,
    backup_codes: Option<BackupCodes>,
    totp_throttle: Throttle,
    backup_throttle: Throttle,
    /// How often the owner has signed out everywhere. Logins and trusted browsers remember it.
    generation: u64,
    /// The form of `backup_codes`.
    backup_code_form: CodeForm,
    disabled: Vec<DisabledDevice<S>>,
}

/// A token without a second factor, or with one that is too old, was used where one is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecondFactorNeeded {
    /// How old it may be, in seconds, where that matters.
    pub max_age: Option<u64>,
}

impl<S> Account<S> {
    /// An account that nobody has seen before.
    pub fn new(id: AccountId, now: UnixTime, rng: &mut impl CryptoRng) -> Self {
        Self {
            id,
            birth: Incarnation::generate(rng),
            incarnation: Incarnation::generate(rng),
            name: None,
            is_admin: false,
            created_at: now,
            asked_to_enroll_at: None,
            protected_since: None,
            last_verified_at: None,
            pending: Vec::new(),
            active: Vec::new(),
            primary: None,
            backup_codes: None,
            totp_throttle: Throttle::default(),
            backup_throttle: Throttle::default(),
            generation: 0,
            backup_code_form: CodeForm::Native,
            disabled: Vec::new(),
        }
    }

    /// How often the owner has signed out everywhere: what was given out before is dead.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What an open session is bound to: another value in each life of the account, and each time that the owner has signed out everywhere.
    /// Whoever had a session open until then must not get a login by it that is younger than the sign-out.
    pub fn era(&self) -> Incarnation {
        self.incarnation.numbered(self.generation)
    }

    /// Whether 2FA is on: there is a device. Where all are disabled nobody is let in by a password, nor may enrol by one; backup codes
    /// are what is left then.
    pub fn is_protected(&self) -> bool {
        self.devices() > 0
    }

    /// How many devices it has, active and disabled ones.
    pub fn devices(&self) -> usize {
        self.active.len() + self.disabled.len()
    }

    /// Whether this is one of them.
    pub fn has_device(&self, id: DeviceId) -> bool {
        self.active_device(id).is_some() || self.disabled_device(id).is_some()
    }

    /// Its active devices, oldest first.
    pub fn active_devices(&self) -> &[ActiveDevice<S>] {
        &self.active
    }

    /// The active device with this id.
    pub fn active_device(&self, id: DeviceId) -> Option<&ActiveDevice<S>> {
        self.active.iter().find(|device| device.id == id)
    }

    /// Its disabled devices, in the order in which they were disabled.
    pub fn disabled_devices(&self) -> &[DisabledDevice<S>] {
        &self.disabled
    }

    /// The disabled device with this id.
    pub fn disabled_device(&self, id: DeviceId) -> Option<&DisabledDevice<S>> {
        self.disabled.iter().find(|device| device.about().id == id)
    }

    /// Its pending devices that are still alive, oldest first.
    pub fn pending_devices(&self, now: UnixTime) -> impl Iterator<Item = &PendingDevice<S>> {
        self.pending.iter().filter(move |device| device.is_alive(now))
    }

    /// Whether this is a pending device that is still alive.
    pub fn is_pending(&self, id: DeviceId, now: UnixTime) -> bool {
        self.pending_devices(now).any(|device| device.id == id)
    }

    /// Whether this is the primary device.
    pub fn is_primary(&self, id: DeviceId) -> bool {
        self.primary == Some(id)
    }

    /// Its backup codes, if it has a set.
    pub fn backup_codes(&self) -> Option<&BackupCodes> {
        self.backup_codes.as_ref()
    }

    /// The salt of its backup codes, under which an attempt is hashed.
    pub fn salt(&self) -> Option<Salt> {
        self.backup_codes.as_ref().map(BackupCodes::salt)
    }

    /// The form of its backup codes: what is hashed of a text that somebody types.
    pub fn backup_code_form(&self) -> CodeForm {
        self.backup_code_form
    }

    /// Whether its backup codes, if it has any, were made here.
    pub fn has_own_codes(&self) -> bool {
        self.backup_code_form == CodeForm::Native
    }

    /// The one place where a set comes, with its form, or goes.
    fn set_backup_codes(&mut self, codes: Option<BackupCodes>, form: CodeForm) {
        self.backup_codes = codes;
        self.backup_code_form = form;
    }

    /// Until when TOTP answers wait, if they do.
    pub fn throttled_until(&self, now: UnixTime) -> Option<UnixTime> {
        self.totp_throttle.waits_until(now)
    }

    /// Whether an answer needs the codes of two consecutive steps now.
    pub fn needs_next_code(&self, now: UnixTime) -> bool {
        self.totp_throttle.gate(now) == crate::throttle::Gate::NeedsNextCode
    }

    /// Whether TOTP is locked.
    pub fn is_locked(&self) -> bool {
        self.totp_throttle.is_locked()
    }

    /// How long backup codes wait, in seconds, if they do. The slow hash of an attempt need not be computed then.
    pub fn backup_codes_wait(&self, now: UnixTime) -> Option<u64> {
        self.backup_throttle.waits_until(now).map(|until| until.since(now))
    }

    /// Whether a login may do what needs a second factor, at most `max_age` seconds old where that is given.
    ///
    /// # Errors
    /// There is a device, and the second factor is missing, too old, or was given to devices of an earlier enrolment.
    pub fn require_second_factor(
        &self,
        factor: Option<SecondFactor>,
        max_age: Option<u64>,
        now: UnixTime,
    ) -> Result<(), SecondFactorNeeded> {
        if !self.is_protected() {
            return Ok(());
        }
        let counts = factor.is_some_and(|factor| {
            self.protected_since.is_none_or(|since| factor.at >= since) && factor.is_within(max_age, now)
        });
        if counts { Ok(()) } else { Err(SecondFactorNeeded { max_age }) }
    }

    /// Decides on a login without any device, and notes when the user was first asked to enrol.
    pub fn admit(&mut self, enforcement: Enforcement, now: UnixTime) -> Admission {
        let asked = *self.asked_to_enroll_at.get_or_insert(now);
        let admission = enforcement.admit(self.is_admin, asked, now);
        if admission == Admission::Free {
            self.asked_to_enroll_at = None;
        }
        admission
    }

    /// The same account with its secrets held in another way: sealed for the disk, or opened for the rules.
    ///
    /// # Errors
    /// What `map` fails with.
    pub fn try_map_secrets<T, E>(
        self,
        mut map: impl FnMut(DeviceId, S) -> Result<T, E>,
    ) -> Result<Account<T>, E> {
        let pending: Result<_, E> =
            self.pending.into_iter().map(|device| device.try_map_secret(&mut map)).collect();
        let active: Result<_, E> =
            self.active.into_iter().map(|device| device.try_map_secret(&mut map)).collect();
        let disabled: Result<_, E> =
            self.disabled.into_iter().map(|device| device.try_map_secret(&mut map)).collect();
        Ok(Account {
            id: self.id,
            birth: self.birth,
            incarnation: self.incarnation,
            name: self.name,
            is_admin: self.is_admin,
            created_at: self.created_at,
            asked_to_enroll_at: self.asked_to_enroll_at,
            protected_since: self.protected_since,
            last_verified_at: self.last_verified_at,
            pending: pending?,
            active: active?,
            primary: self.primary,
            backup_codes: self.backup_codes,
            totp_throttle: self.totp_throttle,
            backup_throttle: self.backup_throttle,
            generation: self.generation,
            backup_code_form: self.backup_code_form,
            disabled: disabled?,
        })
    }
}
