//! An entry about an account, read back.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use sidekey_core::{event::Event, id::AccountId, time::UnixTime};

/// How an attempt went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Ok,
    /// Something was not right, and somebody may have tried what they should not.
    Refused,
}

/// An entry about an account, read back: what may be shown of it to its owner or an operator.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Shown {
    /// When.
    pub at: UnixTime,
    app: Option<String>,
    user: Option<String>,
    /// The address that it came from.
    pub ip_address: Option<IpAddr>,
    /// The user agent that it came from.
    pub user_agent: Option<String>,
    /// The request, as its answer named it.
    pub request_id: String,
    actor: ShownActor,
    /// Why, where an operator has said so.
    pub reason: Option<String>,
    /// What happened.
    pub event: Event,
}

/// Who did it, as the entry says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct ShownActor {
    kind: String,
    name: Option<String>,
}

impl Shown {
    /// Reads an entry's JSON; `None` if it is not about an account.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The name of the event, as the audit log has it.
    pub fn name(&self) -> &'static str {
        self.event.name()
    }

    /// How it went.
    pub fn outcome(&self) -> Outcome {
        outcome(&self.event)
    }

    /// What kind of actor did it, as the entry names it.
    pub fn actor(&self) -> &str {
        &self.actor.kind
    }

    /// The name of the operator who did it in the admin area.
    pub fn operator(&self) -> Option<&str> {
        self.actor.name.as_deref()
    }

    /// What the account's owner sees of it: not who of the operators it was, why, and where they were.
    #[must_use]
    pub fn for_owner(mut self) -> Self {
        if self.actor.kind == "operator" {
            (self.actor.name, self.reason, self.ip_address, self.user_agent) = (None, None, None, None);
        }
        self
    }

    /// Whether it is about this account.
    pub fn is_about(&self, account: &AccountId) -> bool {
        self.app.as_deref() == Some(account.app.as_str())
            && self.user.as_deref() == Some(account.user.as_str())
    }
}

/// How an event went.
pub fn outcome(event: &Event) -> Outcome {
    match event {
        Event::AnswerRefused { .. }
        | Event::AccountThrottled { .. }
        | Event::AccountLocked
        | Event::SessionFailed
        | Event::TrustedBrowserReused { .. }
        | Event::ReturnCodeReused
        | Event::ActionRefused { .. }
        | Event::OwnerDisputed
        | Event::RefreshTokenReused => Outcome::Refused,
        Event::SessionOpened { .. }
        | Event::SetupStarted { .. }
        | Event::DeviceConfirmed { .. }
        | Event::SecondFactorAccepted { .. }
        | Event::AccountUnlocked
        | Event::DeviceRenamed { .. }
        | Event::PrimaryChanged { .. }
        | Event::DeviceRemoved { .. }
        | Event::DeviceDisabled { .. }
        | Event::DeviceEnabled { .. }
        | Event::TwoFactorReset
        | Event::TwoFactorDisabled
        | Event::BackupCodesRenewed
        | Event::LoginRevoked
        | Event::BrowserTrusted { .. }
        | Event::TrustedBrowserUsed { .. }
        | Event::BrowserForgotten { .. }
        | Event::SignedOutEverywhere
        | Event::ActionSpent { .. }
        | Event::UserImported { .. }
        | Event::UserErased => Outcome::Ok,
    }
}
