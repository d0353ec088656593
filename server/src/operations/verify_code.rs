//! `POST /2fa/verify/`: a browser answers a session with the code of an authenticator.

use sidekey_core::{refresh::Family, session::Session};

use super::{
    answering::{answered, known_session, leading_back},
    shown::Verified,
};
use crate::{
    audit::Origin,
    caller::hash,
    context::Context,
    http::{Call, Fields, Problem, Reply},
    store::Subject,
    token::pair::issue,
};

/// Judges a code; a right one spends the session and gives tokens.
///
/// # Errors
/// A malformed body, an unknown or closed session, or a code that does not count.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let fields = call.fields().await?;
    let id = hash(fields.text("session_id")?);
    fields.text("code")?;
    let (session, family) = judge(context, call.origin(), id, &fields).await?;
    Ok(Reply::ok(&Verified::new(&session, issue(context, &family, context.clock.now())?)))
}

/// Judges `code` and `next_code` of the fields for the session with this hash of its id: the session, spent, and the login that it
/// became.
///
/// # Errors
/// An unknown or closed session, or a code that is malformed or does not count.
pub async fn judge(
    context: &Context,
    origin: &Origin,
    id: [u8; 32],
    fields: &Fields,
) -> Result<(Session, Family), Problem> {
    let session = known_session(context, id).await?;
    let now = context.clock.now();
    let subject = Subject::account(session.account.clone()).with_session(id);
    let answered = context
        .store
        .transact(subject, origin, now, |state| {
            answered(state, now, |session, account, events| {
                // The session is judged before the form of the code: a closed one tells nothing of it.
                session.require_challenge(Some(account), now)?;
                let answer = fields.answer()?;
                Ok(session.answer(account, &answer, now, events)?)
            })
        })
        .await?;
    answered.map_err(|problem| leading_back(problem, &session))
}
