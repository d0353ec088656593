//! What an operator does to a user's account: disable, enable and remove devices, and start all over. Whether somebody may is the host's
//! to know.

use rand_core::CryptoRng;

use super::Account;
use crate::{
    event::Event,
    id::{DeviceId, Incarnation},
    import::CodeForm,
    time::UnixTime,
};

/// Why an operator did not remove a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRemoved {
    /// No device has this id.
    NotFound,
    /// It is the last one, disabled ones counted. Without it 2FA would be off, which is what [`Account::reset`] says and does.
    LastDevice,
}

impl Account {
    /// Disables an active device: no code of it counts until it is enabled again. It still keeps 2FA on, so that nobody gets in without a
    /// second factor who did not before. Logins and trusted browsers stay as they are. Whether there is such a device.
    pub fn disable_device(&mut self, id: DeviceId, now: UnixTime, events: &mut Vec<Event>) -> bool {
        let Some(index) = self.active.iter().position(|device| device.id == id) else { return false };
        self.disabled.push(self.active.remove(index).disable(now));
        if self.primary == Some(id) {
            self.primary = self.active.first().map(|device| device.id);
        }
        events.push(Event::DeviceDisabled { device: id });
        true
    }

    /// Enables a disabled device; the codes that it has used up stay so. Whether there is such a device.
    pub fn enable_device(&mut self, id: DeviceId, events: &mut Vec<Event>) -> bool {
        let Some(index) = self.disabled.iter().position(|device| device.about().id == id) else {
            return false;
        };
        let device = self.disabled.remove(index).enable();
        // Oldest first.
        let place = self.active.partition_point(|other| other.confirmed_at <= device.confirmed_at);
        self.active.insert(place, device);
        if self.primary.is_none() {
            self.primary = Some(id);
        }
        events.push(Event::DeviceEnabled { device: id });
        true
    }

    /// Removes a device without asking its owner for anything.
    ///
    /// # Errors
    /// See [`NotRemoved`]; nothing has changed then.
    pub fn remove_device_for_owner(
        &mut self,
        id: DeviceId,
        now: UnixTime,
        events: &mut Vec<Event>,
    ) -> Result<(), NotRemoved> {
        let is_pending = self.is_pending(id, now);
        if !is_pending && !self.has_device(id) {
            return Err(NotRemoved::NotFound);
        }
        if !is_pending && self.devices() == 1 {
            return Err(NotRemoved::LastDevice);
        }
        self.drop_device(id, events);
        Ok(())
    }

    /// Starts all over for somebody who has lost everything: devices and backup codes are gone, every login and the trust in every
    /// browser has ended, and nothing that was counted keeps its owner from enrolling anew. How long a grace period has run stays.
    pub fn reset(&mut self, rng: &mut impl CryptoRng, events: &mut Vec<Event>) {
        self.give_up(rng);
        self.generation = self.generation.saturating_add(1);
        self.totp_throttle.unlock();
        self.backup_throttle.unlock();
        events.push(Event::TwoFactorReset);
    }

    /// Begins another life: devices, codes and everything that was given out are dead.
    pub(super) fn give_up(&mut self, rng: &mut impl CryptoRng) {
        self.incarnation = Incarnation::generate(rng);
        self.pending.clear();
        self.active.clear();
        self.disabled.clear();
        self.primary = None;
        self.set_backup_codes(None, CodeForm::Native);
        self.protected_since = None;
    }

    /// Removes a device of any kind.
    pub(super) fn drop_device(&mut self, id: DeviceId, events: &mut Vec<Event>) {
        self.pending.retain(|device| device.id != id);
        self.active.retain(|device| device.id != id);
        self.disabled.retain(|device| device.about().id != id);
        if self.primary == Some(id) {
            self.primary = self.active.first().map(|device| device.id);
        }
        events.push(Event::DeviceRemoved { device: id });
    }
}

#[cfg(test)]
mod tests;
