//! `POST /2fa/verify/`: a browser answers a session with the code of an authenticator.

use sidekey_core::{
    id::BrowserId,
    session::Session,
    trusted_browser::{self, TrustedBrowser},
};

use super::{
    answering::{Granted, Via, answered, known_session, leading_back},
    shown::{Verified, approved},
};
use crate::{
    audit::Origin,
    caller::hash,
    context::Context,
    entropy::Entropy,
    http::{Call, Fields, Problem, Reply},
    store::Subject,
    token::{browser, pair::issue},
};

/// What a right code leads to.
#[derive(Debug)]
pub struct Answered {
    /// The session, spent.
    pub session: Session,
    /// What it yields.
    pub granted: Granted,
    /// The browser, trusted from now on, where that was asked for.
    pub browser: Option<TrustedBrowser>,
}

/// Judges a code; a right one spends the session and gives tokens, those of a login or that of an approved action.
///
/// # Errors
/// A malformed body, an unknown or closed session, or a code that does not count.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let fields = call.fields().await?;
    let id = hash(fields.text("session_id")?);
    fields.text("code")?;
    let trust = fields.optional_flag("trust_device")?.unwrap_or(false);
    let judged = judge(context, call.origin(), id, &fields, Via::Api, trust).await?;
    let Answered { session, granted, browser } = judged;
    let family = match granted {
        Granted::Login(family) => family,
        Granted::Approval(approval) => {
            return Ok(Reply::ok(&approved(context, &approval, session.return_url.as_deref())?));
        }
    };
    let tokens = issue(context, &family, context.clock.now())?;
    let browser = browser.map(|browser| browser::write(&context.pepper, &browser));
    Ok(Reply::ok(&Verified::new(&session, tokens).with_trusted_browser(browser)))
}

/// Judges `code` and `next_code` of the fields for the session with this hash of its id. With `trust`, the browser that brings a
/// right one to a login is trusted.
///
/// # Errors
/// An unknown or closed session, or a code that is malformed or does not count.
pub async fn judge(
    context: &Context,
    origin: &Origin,
    id: [u8; 32],
    fields: &Fields,
    via: Via,
    trust: bool,
) -> Result<Answered, Problem> {
    let session = known_session(context, id).await?;
    let now = context.clock.now();
    let subject = Subject::account(session.account.clone()).with_session(id);
    let subject = if trust { subject.with_browsers() } else { subject };
    let answered = context
        .store
        .transact(subject, origin, now, |state| {
            let (session, granted) = answered(state, via, now, |session, account, events| {
                // The session is judged before the form of the code: a closed one tells nothing of it.
                session.require_challenge(Some(account), now)?;
                let answer = fields.answer()?;
                Ok(session.answer(account, &answer, now, events)?)
            })?;
            let factor = match &granted {
                Granted::Login(family) if trust && session.makes_browsers_trusted() => family.second_factor,
                _ => None,
            };
            let browser = state.account.as_ref().zip(factor).and_then(|(account, factor)| {
                let (id, seen) = (BrowserId::generate(&mut Entropy), origin.user_agent.clone());
                let new = TrustedBrowser::trust(account, id, factor, seen, &mut state.events)?;
                trusted_browser::add(&mut state.browsers, new.clone(), account, now);
                Some(new)
            });
            Ok(Answered { session, granted, browser })
        })
        .await?;
    answered.map_err(|problem| leading_back(problem, &session))
}
