//! The second factor again, on the pages of a login that is signed in: no session of its own, the account's budget is what counts.

use super::answering::Proof;
use crate::{
    caller::{Acting, Demand, User},
    context::Context,
    http::{Fields, Problem},
};

/// Judges `code` or `backup_code` of the fields (of both, the code), and notes for this one page login
/// (see [`Family::stepped_up`](sidekey_core::refresh::Family::stepped_up)) that it was given.
///
/// # Errors
/// The login has ended, neither is there, or it does not count.
pub async fn confirm(
    context: &Context,
    user: &User,
    page_login: u64,
    fields: &Fields,
) -> Result<(), Problem> {
    let proof = Proof::read(context, &user.account, fields).await?;
    let now = context.clock.now();
    user.transact(context, user.subject(), Demand::Login, now, |acting| {
        let Acting { account, family, events, .. } = acting;
        let factor = proof.judge(account, now, events)?;
        family.stepped_up(page_login, factor);
        Ok(())
    })
    .await
}
