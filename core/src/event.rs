//! What has happened, for the audit trail and for everybody who wants to be told. No event holds anything secret.

use crate::{
    id::{ActionName, BrowserId, DeviceId},
    login::Method,
    time::UnixTime,
};

/// One thing that happened to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(tag = "type", rename_all = "snake_case")
)]
pub enum Event {
    /// The host's own login succeeded and a session was opened, or the user was let in without one.
    SessionOpened {
        /// What the session asks for.
        asks: Asks,
    },
    /// A pending device was made.
    SetupStarted {
        /// The pending device.
        device: DeviceId,
    },
    /// A pending device was confirmed by its first code.
    DeviceConfirmed {
        /// The device, active now.
        device: DeviceId,
        /// Whether it turned 2FA on.
        first: bool,
    },
    /// A second factor was given and accepted.
    SecondFactorAccepted {
        /// How.
        method: Method,
        /// With which device, where it was one.
        device: Option<DeviceId>,
    },
    /// An answer was wrong and has been counted.
    AnswerRefused {
        /// What was tried.
        method: Method,
        /// Whether it was the right code of a step that has been used: a replay, or a user who was too quick.
        replayed: bool,
    },
    /// Answers wait from now on.
    AccountThrottled {
        /// Which kind of answer.
        method: Method,
        /// Until when.
        until: UnixTime,
        /// Whether the owner is told: at the fifth failure in a row, not at every one after it.
        notify: bool,
    },
    /// TOTP is locked.
    AccountLocked,
    /// The throttle was cleared by the app, an operator or a backup code.
    AccountUnlocked,
    /// A session has had all its answers.
    SessionFailed,
    /// A device was renamed.
    DeviceRenamed {
        /// The device.
        device: DeviceId,
    },
    /// Another device became the primary one.
    PrimaryChanged {
        /// The device that is primary now.
        device: DeviceId,
    },
    /// A device was removed.
    DeviceRemoved {
        /// The device that is gone.
        device: DeviceId,
    },
    /// An operator disabled a device: no code of it counts.
    DeviceDisabled {
        /// The device.
        device: DeviceId,
    },
    /// An operator enabled a disabled device again.
    DeviceEnabled {
        /// The device.
        device: DeviceId,
    },
    /// An operator reset the user's second factor: everything that belonged to it is gone, and every login has ended.
    TwoFactorReset,
    /// 2FA was turned off, and everything that belonged to it is gone.
    TwoFactorDisabled,
    /// A new set of backup codes replaced the old one.
    BackupCodesRenewed,
    /// A spent refresh token was presented again: its family is dead.
    RefreshTokenReused,
    /// A spent one-time code of a return was presented again: its login is dead.
    ReturnCodeReused,
    /// A login was ended by its owner.
    LoginRevoked,
    /// A browser is spared codes from now on.
    BrowserTrusted {
        /// The browser.
        browser: BrowserId,
    },
    /// A trusted browser was spared a code.
    TrustedBrowserUsed {
        /// The browser.
        browser: BrowserId,
    },
    /// A spent token of a trusted browser was presented again: the browser is trusted no more.
    TrustedBrowserReused {
        /// The browser.
        browser: BrowserId,
    },
    /// The owner trusts a browser no more.
    BrowserForgotten {
        /// The browser.
        browser: BrowserId,
    },
    /// The owner has ended every login and every trust in a browser.
    SignedOutEverywhere,
    /// The owner has said, by the link of a mail, that something was not their doing: every login and every trust in a browser has ended.
    OwnerDisputed,
    /// The token of an approved action was spent: the application went ahead.
    ActionSpent {
        /// The action.
        action: ActionName,
    },
    /// Such a token was presented again, or for another action.
    ActionRefused {
        /// The action that was approved.
        action: ActionName,
    },
    /// The user came from another product, and 2FA is on.
    UserImported {
        /// How many devices came along.
        devices: usize,
        /// How many backup codes.
        backup_codes: usize,
    },
    /// The user was erased.
    UserErased,
}

impl Event {
    /// Its name, as it is written down.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SessionOpened { .. } => "session_opened",
            Self::SetupStarted { .. } => "setup_started",
            Self::DeviceConfirmed { .. } => "device_confirmed",
            Self::SecondFactorAccepted { .. } => "second_factor_accepted",
            Self::AnswerRefused { .. } => "answer_refused",
            Self::AccountThrottled { .. } => "account_throttled",
            Self::AccountLocked => "account_locked",
            Self::AccountUnlocked => "account_unlocked",
            Self::SessionFailed => "session_failed",
            Self::DeviceRenamed { .. } => "device_renamed",
            Self::PrimaryChanged { .. } => "primary_changed",
            Self::DeviceRemoved { .. } => "device_removed",
            Self::DeviceDisabled { .. } => "device_disabled",
            Self::DeviceEnabled { .. } => "device_enabled",
            Self::TwoFactorReset => "two_factor_reset",
            Self::TwoFactorDisabled => "two_factor_disabled",
            Self::BackupCodesRenewed => "backup_codes_renewed",
            Self::RefreshTokenReused => "refresh_token_reused",
            Self::ReturnCodeReused => "return_code_reused",
            Self::LoginRevoked => "login_revoked",
            Self::BrowserTrusted { .. } => "browser_trusted",
            Self::TrustedBrowserUsed { .. } => "trusted_browser_used",
            Self::TrustedBrowserReused { .. } => "trusted_browser_reused",
            Self::BrowserForgotten { .. } => "browser_forgotten",
            Self::SignedOutEverywhere => "signed_out_everywhere",
            Self::OwnerDisputed => "owner_disputed",
            Self::ActionSpent { .. } => "action_spent",
            Self::ActionRefused { .. } => "action_refused",
            Self::UserImported { .. } => "user_imported",
            Self::UserErased => "user_erased",
        }
    }
}

/// What a session asks of its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Asks {
    /// Nothing: the user was let in.
    Nothing,
    /// A second factor, at login.
    SecondFactor,
    /// A second factor again, of a user who is logged in.
    StepUp,
    /// To enrol a device.
    Enrollment,
    /// To approve one action.
    Approval,
}
