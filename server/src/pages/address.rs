//! Where the pages are, below the base path.

/// A code or a backup code for a session.
pub(crate) const CHALLENGE: &str = "/2fa/challenge/";
/// The first device of a newcomer.
pub(crate) const ENROLL: &str = "/2fa/enroll/";
/// Devices, backup codes, turning 2FA off.
pub(crate) const ACCOUNT: &str = "/2fa/account/";
/// The second factor again, for a protected page of an application.
pub(crate) const STEP_UP: &str = "/2fa/step-up/";
/// What a mail told of was not the owner's doing.
pub(crate) const DISPUTE: &str = "/2fa/dispute/";
/// One more device.
pub(crate) const DEVICE: &str = "/2fa/account/device/";
