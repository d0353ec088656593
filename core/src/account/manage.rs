//! What the owner, the app and an operator do to an account besides answering.

use rand_core::CryptoRng;

use super::{Account, Refusal};
use crate::{
    backup_code::BackupCodes,
    device::{Answer, DisabledDevice},
    event::Event,
    id::{DeviceId, DeviceName},
    import::CodeForm,
    time::UnixTime,
};

/// Why a device was not removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoveRefusal {
    /// No device has this id.
    NotFound,
    /// It is the last active device, or the last one at all: removing it turns 2FA off and needs a code.
    CodeRequired,
    /// The code did not count.
    Code(Refusal),
}

/// What was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// A device; others are left, or it was pending.
    Device,
    /// The last active device, and 2FA with it.
    LastDevice,
}

impl Account {
    /// Gives a device another name; whether there is such a device.
    pub fn rename_device(&mut self, id: DeviceId, name: DeviceName, events: &mut Vec<Event>) -> bool {
        let active = self.active.iter_mut().find(|device| device.id == id).map(|device| &mut device.name);
        let mut disabled = self.disabled.iter_mut().map(DisabledDevice::about_mut);
        let place = active.or_else(|| disabled.find(|device| device.id == id).map(|device| &mut device.name));
        let place = place.or_else(|| {
            self.pending.iter_mut().find(|device| device.id == id).map(|device| &mut device.name)
        });
        if let Some(place) = place {
            if *place != name {
                *place = name;
                events.push(Event::DeviceRenamed { device: id });
            }
            return true;
        }
        false
    }

    /// Makes an active device the primary one; whether there is such a device.
    pub fn make_primary(&mut self, id: DeviceId, events: &mut Vec<Event>) -> bool {
        if self.active_device(id).is_none() {
            return false;
        }
        if self.primary != Some(id) {
            self.primary = Some(id);
            events.push(Event::PrimaryChanged { device: id });
        }
        true
    }

    /// Removes a device. The last active one turns 2FA off, with the disabled ones, and needs an answer.
    ///
    /// # Errors
    /// See [`RemoveRefusal`]; a wrong code has changed the account.
    pub fn remove_device(
        &mut self,
        id: DeviceId,
        answer: Option<&Answer>,
        now: UnixTime,
        rng: &mut impl CryptoRng,
        events: &mut Vec<Event>,
    ) -> Result<Removed, RemoveRefusal> {
        if self.is_pending(id, now) {
            self.drop_device(id, events);
            return Ok(Removed::Device);
        }
        if !self.has_device(id) {
            return Err(RemoveRefusal::NotFound);
        }
        let is_active = self.active_device(id).is_some();
        // The last one cannot be removed while it is disabled: no code that could be given counts.
        if is_active && self.active.len() == 1 || self.devices() == 1 {
            let answer = answer.ok_or(RemoveRefusal::CodeRequired)?;
            self.answer(answer, now, events).map_err(RemoveRefusal::Code)?;
            events.push(Event::DeviceRemoved { device: id });
            self.turn_off(rng, events);
            return Ok(Removed::LastDevice);
        }
        self.drop_device(id, events);
        Ok(Removed::Device)
    }

    /// Removes a device in whose place another one has just been confirmed. One that is not there any more is no error: what
    /// was wanted is done.
    pub fn replaced(&mut self, old: DeviceId, by: DeviceId, events: &mut Vec<Event>) {
        if old == by || !self.has_device(old) || self.active_device(by).is_none() {
            return;
        }
        if self.primary == Some(old) {
            self.primary = Some(by);
        }
        self.drop_device(old, events);
    }

    /// Turns 2FA off: devices, codes and everything that was given out are dead. The failure budget stays, so that turning
    /// off and on again refills nothing.
    pub fn turn_off(&mut self, rng: &mut impl CryptoRng, events: &mut Vec<Event>) {
        self.give_up(rng);
        events.push(Event::TwoFactorDisabled);
    }

    /// Ends every login of the account and the trust in every browser.
    pub fn sign_out_everywhere(&mut self, events: &mut Vec<Event>) {
        self.generation = self.generation.saturating_add(1);
        events.push(Event::SignedOutEverywhere);
    }

    /// The same by somebody who reads the owner's mail and says that what it told of was not their doing. It turns nothing off and lets
    /// nobody in: whoever got hold of the mail can do no more than sign the owner out.
    pub fn dispute(&mut self, events: &mut Vec<Event>) {
        self.generation = self.generation.saturating_add(1);
        events.push(Event::OwnerDisputed);
    }

    /// Replaces the backup codes, after an answer has counted.
    pub fn renew_backup_codes(&mut self, codes: BackupCodes, events: &mut Vec<Event>) {
        self.set_backup_codes(Some(codes), CodeForm::Native);
        events.push(Event::BackupCodesRenewed);
    }

    /// Clears the failure budget: the app or an operator says so.
    pub fn unlock(&mut self, events: &mut Vec<Event>) {
        self.totp_throttle.unlock();
        self.backup_throttle.unlock();
        events.push(Event::AccountUnlocked);
    }
}
