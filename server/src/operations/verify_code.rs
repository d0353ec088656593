//! `POST /2fa/verify/`: a browser answers a session with the code of an authenticator.

use serde_json::json;
use sidekey_core::{
    id::BrowserId,
    session::Session,
    trusted_browser::{self, TrustedBrowser},
};
use utoipa::ToSchema;

use super::{
    answering::{Granted, Via, answered, known_session, leading_back},
    shown::{self, Verified, approved},
};
use crate::{
    audit::Origin,
    caller::hash,
    context::Context,
    entropy::Entropy,
    http::{Call, Code, Fields, Problem, Reply},
    openapi::{Operation, Tag, schemas},
    store::Subject,
    token::{browser, pair::issue},
};

/// A code for a session.
#[derive(Debug, ToSchema)]
pub struct Verify {
    /// As the session was opened.
    pub session_id: String,
    /// What the authenticator shows.
    pub code: schemas::Code,
    /// The code of the step after that of `code`; where `NEXT_CODE_REQUIRED` asks for it.
    pub next_code: Option<schemas::Code>,
    /// Whether to trust the browser for 30 days.
    pub trust_device: Option<bool>,
}

pub(crate) fn described() -> Operation {
    Operation::new("verifyCode", Tag::Sessions, "Answer a session with a code")
        .telling(
            "Judged in this order: the form of the body; the session's own state (unknown, expired, failed, verified); the form \
             of the code; the account's waits and lock; the code. Only a wrong or used code costs an attempt. The fifth wrong \
             answer ends the session with `MAX_ATTEMPTS_EXCEEDED`.",
        )
        .takes::<Verify>(json!({
            "session_id": "p9eQQg652v7Z3ZHD2JDjnOAv8VizRb2JBclWHpsuy5k",
            "code": "171489",
        }))
        .answers::<shown::Answered>(
            "The session is spent; these are the tokens of the login.",
            json!({
                "message": "Verified.",
                "access_token": "eyJhbGciOiJF….eyJpc3MiOiJo….1OuJ50Tr…",
                "refresh_token": "J-m1QGrlJg-t…",
                "token_type": "Bearer",
                "expires_in": 900,
                "user": { "account_name": "ann@example.com", "id": "42" },
                "persistent_session": false,
                "return_url": "https://app.example/after",
            }),
        )
        .refuses(&[
            Code::InvalidCode,
            Code::SessionExpired,
            Code::NextCodeRequired,
            Code::MaxAttemptsExceeded,
            Code::SessionNotFound,
            Code::SessionAlreadyVerified,
            Code::AccountLocked,
            Code::AccountThrottled,
        ])
}

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
