//! Enrolment: safe to repeat, nothing is lost by a wrong code, and an active device works until a new one is confirmed.

use rand_core::CryptoRng;

use super::{Account, MAX_DEVICES, MAX_PENDING, Refusal};
use crate::{
    backup_code::BackupCodes,
    device::{Answer, DisabledDevice, PendingDevice},
    event::Event,
    id::{DeviceId, DeviceName, LoginId},
    import::CodeForm,
    login::{Method, SecondFactor},
    secret::Secret,
    time::UnixTime,
    totp::TotpParams,
};

/// There are [`MAX_DEVICES`] devices already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyDevices;

/// Why a device was not confirmed. The pending device is still there unless it has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfirmRefusal {
    /// No pending device has this id.
    NotFound,
    /// It has lived its ten minutes.
    Expired,
    /// The code did not count.
    Code(Refusal),
}

/// A device has become active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// The second factor that was just proved.
    pub second_factor: SecondFactor,
    /// Whether this turned 2FA on, so that backup codes are handed out.
    pub first: bool,
}

impl Account {
    /// The pending device of this login: the one it was shown before, or a new one; always a new one with `restart`.
    ///
    /// # Errors
    /// [`TooManyDevices`]; nothing has changed then.
    pub fn start_setup(
        &mut self,
        login: LoginId,
        name: Option<DeviceName>,
        restart: bool,
        now: UnixTime,
        rng: &mut impl CryptoRng,
        events: &mut Vec<Event>,
    ) -> Result<PendingDevice, TooManyDevices> {
        if self.devices() >= MAX_DEVICES {
            return Err(TooManyDevices);
        }
        if restart {
            self.pending.retain(|device| device.login != login);
        }
        if let Some(device) =
            self.pending.iter_mut().find(|device| device.login == login && device.is_alive(now))
        {
            if let Some(name) = name {
                device.name = name;
            }
            return Ok(device.clone());
        }
        // Expired ones stay for a while, so that confirming one says so; the limit bounds them.
        self.pending.retain(|device| device.login != login);
        while self.pending.len() >= MAX_PENDING {
            self.pending.remove(0);
        }
        let device = PendingDevice {
            id: DeviceId::generate(rng),
            name: name.unwrap_or_else(|| self.default_name()),
            secret: Secret::generate(rng),
            params: TotpParams::default(),
            login,
            created_at: now,
        };
        events.push(Event::SetupStarted { device: device.id });
        self.pending.push(device.clone());
        Ok(device)
    }

    /// Makes a pending device active by its first code. `backup_codes` is the set that the account gets if this turns 2FA on.
    ///
    /// # Errors
    /// See [`ConfirmRefusal`]; a wrong code has changed the account.
    pub fn confirm(
        &mut self,
        id: DeviceId,
        answer: &Answer,
        backup_codes: Option<BackupCodes>,
        now: UnixTime,
        events: &mut Vec<Event>,
    ) -> Result<Confirmed, ConfirmRefusal> {
        let Some(index) = self.pending.iter().position(|device| device.id == id) else {
            return Err(ConfirmRefusal::NotFound);
        };
        let device = self.pending.get(index).cloned().ok_or(ConfirmRefusal::NotFound)?;
        if !device.is_alive(now) {
            return Err(ConfirmRefusal::Expired);
        }
        let step = self.judge_pending(&device, answer, now, events).map_err(ConfirmRefusal::Code)?;
        self.pending.remove(index);
        let first = !self.is_protected();
        self.active.push(device.confirm(step, now));
        if self.devices() >= MAX_DEVICES {
            // Another pending one would make one too many.
            self.pending.clear();
        }
        self.totp_throttle.succeeded();
        self.last_verified_at = Some(now);
        if self.primary.is_none() {
            self.primary = Some(id);
        }
        if first {
            self.protected_since = Some(now);
            // When the user was first asked to enrol is kept: turning 2FA on and off again starts no new grace period.
            self.set_backup_codes(backup_codes, CodeForm::Native);
        }
        events.push(Event::DeviceConfirmed { device: id, first });
        Ok(Confirmed { second_factor: SecondFactor { method: Method::Otp, at: now }, first })
    }

    /// A name nobody chose: the first free of `Authenticator`, `Authenticator 2`, …
    pub(super) fn default_name(&self) -> DeviceName {
        let names = (1..=MAX_DEVICES).map(DeviceName::numbered);
        let all = || self.active.iter().chain(self.disabled.iter().map(DisabledDevice::about));
        let mut free = names.filter(|name| !all().any(|device| device.name == *name));
        free.next().unwrap_or_else(|| DeviceName::numbered(1))
    }
}
