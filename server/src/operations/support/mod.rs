//! What operators do for users, one operation a file. Each takes a [`Support`], which only an operator of that role gets, with a fresh second
//! factor and a reason: the entry of the audit trail tells who, why and from where.
//!
//! The accounts of the operators themselves are out of reach: nobody can name their app.

use sidekey_core::{
    account::Account, event::Event, id::AccountId, time::UnixTime, trusted_browser::TrustedBrowser,
};

use crate::{
    caller::Support,
    context::Context,
    http::{Code, Problem},
    store::{State, Subject},
};

pub mod disable_device;
pub mod enable_device;
pub mod remove_device;
pub mod reset;
pub mod revoke_sessions;
pub mod unlock;

/// What can be changed of a user.
struct Helping<'a> {
    account: &'a mut Account,
    browsers: &'a mut Vec<TrustedBrowser>,
    events: &'a mut Vec<Event>,
    now: UnixTime,
}

/// Decides on a user's account in one transaction.
///
/// # Errors
/// There is no such user, the store is not available, or what `decide` refuses.
async fn transact(
    context: &Context,
    support: &Support,
    user: &AccountId,
    mut decide: impl FnMut(Helping<'_>) -> Result<(), Problem> + Send,
) -> Result<(), Problem> {
    let now = context.clock.now();
    let subject = Subject::account(user.clone()).with_browsers();
    let decide = |state: &mut State| {
        let State { account: Some(account), browsers, events, .. } = state else {
            return Err(Problem::new(Code::NotFound));
        };
        decide(Helping { account, browsers, events, now })
    };
    context.store.transact(subject, &support.origin, now, decide).await?
}
