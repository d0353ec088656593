//! The second factor again, on the pages of a login that is signed in: no session of its own, the account's budget is what counts.

use sidekey_core::{account::Account, event::Event, login::SecondFactor};

use super::answering::hashed;
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
    match fields.optional_backup_code()? {
        Some(code) if fields.optional_text("code")?.is_none() => {
            let attempt = hashed(context, &user.account, code).await?;
            let now = context.clock.now();
            note(context, user, page_login, |account, events| Ok(account.answer_with_backup_code(attempt, now, events)?))
                .await
        }
        _ => {
            let answer = fields.answer_or_code_required()?;
            let now = context.clock.now();
            note(context, user, page_login, |account, events| Ok(account.answer(&answer, now, events)?)).await
        }
    }
}

async fn note(
    context: &Context,
    user: &User,
    page_login: u64,
    mut prove: impl FnMut(&mut Account, &mut Vec<Event>) -> Result<SecondFactor, Problem> + Send,
) -> Result<(), Problem> {
    let now = context.clock.now();
    user.transact(context, user.subject(), Demand::Login, now, |acting| {
        let Acting { account, family, events, .. } = acting;
        let factor = prove(account, events)?;
        family.stepped_up(page_login, factor);
        Ok(())
    })
    .await
}
