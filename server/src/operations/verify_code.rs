//! `POST /2fa/verify/`: a browser answers a session with the code of an authenticator.

use super::{
    answering::{answered, known_session, leading_back},
    shown::Verified,
};
use crate::{
    caller::hash,
    context::Context,
    http::{Call, Problem, Reply},
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
    let session = known_session(context, id).await?;
    let now = context.clock.now();
    let subject = Subject::account(session.account.clone()).with_session(id);
    let answered = context
        .store
        .transact(subject, call.origin(), now, |state| {
            answered(state, now, |session, account, events| {
                // The session is judged before the form of the code: a closed one tells nothing of it.
                session.require_challenge(Some(account), now)?;
                let answer = fields.answer()?;
                Ok(session.answer(account, &answer, now, events)?)
            })
        })
        .await?;
    let (session, family) = answered.map_err(|problem| leading_back(problem, &session))?;
    Ok(Reply::ok(&Verified::new(&session, issue(context, &family, now)?)))
}
