//! After a backup was restored: what was lost since it was taken must not count a second time.

use rand_core::CryptoRng;

use super::Account;
use crate::{
    device::DisabledDevice,
    id::Incarnation,
    time::{Step, UnixTime},
};

impl<S> Account<S> {
    /// The account as it goes on after a restore at `now`, in a new epoch: nobody knows what happened to it between the
    /// backup and the loss, so everything that may have been used in between counts as used.
    ///
    /// - Birth and incarnation are new: sessions and logins that were given out before are dead.
    /// - No code up to that of the step after `now` counts, which is the latest one that may have been accepted.
    /// - No backup code is left. The set itself stays, so that its owner is told that none is left.
    /// - No pending device is left: the login that was shown its secret is dead.
    ///
    /// The failure budget stays as it was at the time of the backup.
    #[must_use]
    pub fn restored(mut self, now: UnixTime, rng: &mut impl CryptoRng) -> Self {
        self.birth = Incarnation::generate(rng);
        self.incarnation = Incarnation::generate(rng);
        self.pending.clear();
        let disabled = self.disabled.iter_mut().map(DisabledDevice::about_mut);
        for device in self.active.iter_mut().chain(disabled) {
            device.last_step = device.last_step.max(Step::at(now, device.params.period).next());
        }
        if let Some(codes) = &mut self.backup_codes {
            codes.spend_all();
        }
        self
    }
}
