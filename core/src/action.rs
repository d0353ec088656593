//! Actions: what a user approves with a second factor, once, without a login that comes of it (transaction authorisation).
//!
//! A session may be opened for one action. A right answer to it yields no tokens of a login, but an approval: exactly this action was
//! approved, by whom, how and when. The host makes a token of it that lives for [`LIFETIME`] seconds, and keeps the ids of those that
//! were spent: that is the invariant it owes.

use crate::{
    id::{AccountId, ActionName, LoginId, Resource},
    login::SecondFactor,
    time::UnixTime,
};

/// How long the token of an approval lives, in seconds.
pub const LIFETIME: u64 = 60;
/// How long after the second factor an approval is handed to the application at the latest, in seconds.
pub const HANDED_OUT: u64 = 60;

/// What is to be approved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Action {
    /// What is done, such as `transfer`.
    pub name: ActionName,
    /// To what, such as `invoice 4711 over 250 EUR`.
    pub resource: Option<Resource>,
}

/// An action that was approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Whose second factor it was.
    pub account: AccountId,
    /// Its name: no two approvals have the same.
    pub id: LoginId,
    /// What was approved.
    pub action: Action,
    /// How, and when.
    pub second_factor: SecondFactor,
}

impl Approval {
    /// Whether its token may still be made.
    pub fn is_handed_out(&self, now: UnixTime) -> bool {
        now.since(self.second_factor.at) < HANDED_OUT
    }
}
