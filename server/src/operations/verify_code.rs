//! `POST /2fa/verify/`: a browser answers a session with the code of an authenticator.

use sidekey_core::{account::Account, login::Grant, refresh::Family, session::Session, time::UnixTime};

use super::shown::Verified;
use crate::{
    caller::hash,
    context::Context,
    http::{Call, Code, Problem, Reply},
    store::{State, Subject},
    tokens,
};

/// Judges a code; a right one spends the session and gives tokens.
///
/// # Errors
/// A malformed body, an unknown or closed session, or a code that does not count.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let fields = call.fields().await?;
    let id = hash(fields.text("session_id")?);
    fields.text("code")?;
    let now = context.clock.now();
    let session = open_session(context, id, now).await?;
    let answer = fields.answer()?;
    let subject = Subject::account(session.account).with_session(id);
    let answered = context
        .store
        .transact(subject, call.origin(), now, |state| {
            answered(state, now, |session, account, events| session.answer(account, &answer, now, events))
        })
        .await??;
    let (session, family) = answered;
    Ok(Reply::ok(&Verified::new(&session, tokens::issue(context, &family, now)?)))
}

/// The session that is about to be answered, if it takes answers: asked before anything is judged, and again in the transaction.
///
/// # Errors
/// It is unknown or closed.
pub async fn open_session(context: &Context, id: [u8; 32], now: UnixTime) -> Result<Session, Problem> {
    let session = context.store.session(&id).await?.ok_or_else(|| Problem::new(Code::SessionNotFound))?;
    let account = context.store.account(&session.account).await?;
    let open = session.require_challenge(account.as_ref(), now);
    open.map_err(|closed| Problem::from(closed).leading_back(session.return_url.as_deref()))?;
    Ok(session)
}

/// Answers the loaded session by a rule and, where that grants a login, starts it.
///
/// # Errors
/// Why the answer did not count. What the rule changed is kept all the same.
pub fn answered<R: Into<Problem>>(
    state: &mut State,
    now: UnixTime,
    rule: impl FnOnce(&mut Session, &mut Account, &mut Vec<sidekey_core::event::Event>) -> Result<Grant, R>,
) -> Result<(Session, Family), Problem> {
    let State { account: Some(account), session: Some(session), started, events, .. } = state else {
        return Err(Problem::new(Code::SessionExpired));
    };
    let grant = rule(session, account, events).map_err(Into::into)?;
    let family = Family::start(account, grant, now);
    *started = Some(family.clone());
    Ok((session.clone(), family))
}
