//! `/2fa/challenge/`: a code or a backup code for the session that this browser was handed, and the way back to the application.

use askama::Template;
use sidekey_core::{
    account::Account,
    action::Action,
    backup_code::{BackupCodes, LOW},
    session::{Closed, Purpose, Session},
    time::UnixTime,
};

use super::{
    Form, Frame, Visit, address,
    ending::{self, Verified, no_session},
    hand_over,
    refusal::{Asked, Failed, Failure, is_of_a_form},
    view::{self, Shown},
    visit::Handed,
};
use crate::{
    context::Context,
    http::{Call, Code, Problem},
    operations::{
        Granted, Via, verify_backup_code,
        verify_code::{self, Answered},
    },
};

#[derive(Template)]
#[template(path = "challenge.html")]
struct Challenge {
    frame: Frame,
    account: String,
    texts: Texts,
    is_step_up: bool,
    action: Option<Action>,
    failed: Failed,
    needs_next_code: bool,
    has_own_codes: bool,
    attempts_remaining: u8,
}

/// What the page says, by what the session is for.
struct Texts {
    title: String,
    lead: String,
    submit: String,
}

impl Texts {
    fn of(frame: &Frame, session: &Session) -> Self {
        let (title, lead, submit) = match session.purpose {
            _ if session.action().is_some() => {
                ("challenge.approve", "challenge.approve-lead", "challenge.submit-approve")
            }
            Purpose::StepUp => ("challenge.step-up", "challenge.step-up-lead", "challenge.submit-step-up"),
            Purpose::Login | Purpose::Enrollment => ("challenge.title", "challenge.lead", "challenge.submit"),
        };
        Self { title: frame.t(title), lead: frame.t(lead), submit: frame.t(submit) }
    }
}

/// The page.
///
/// # Errors
/// The store is not available.
pub(super) async fn show(context: &Context, visit: &Visit, call: &Call) -> Result<Shown, Problem> {
    if let Some(shown) = hand_over::of_session(context, visit, call, address::CHALLENGE).await? {
        return Ok(shown);
    }
    match visit.handed(context).await? {
        Some(handed) if handed.session.purpose == Purpose::Enrollment && !handed.is_verified(context) => {
            Ok(view::redirect(&context.url(address::ENROLL)))
        }
        Some(handed) => standing(context, visit, call, handed, Failed::default()).await,
        None => Ok(no_session(context, visit)),
    }
}

/// What the form asks for: a code, a backup code, or to go on after the last step.
///
/// # Errors
/// The form is not this browser's, or the store is not available.
pub(super) async fn post(
    context: &Context,
    visit: &Visit,
    call: &Call,
    form: &Form,
) -> Result<Shown, Problem> {
    let Some(handed) = visit.posted_for_session(context, form).await? else {
        return Ok(no_session(context, visit));
    };
    if form.text("action") == "continue" {
        return hand_over::onward_again(context, visit, call, &handed.session, address::CHALLENGE).await;
    }
    let answer = form.answer();
    let (asked, judged) = if form.text("action") == "backup-code" {
        let judged = match answer.optional_text("backup_code") {
            Ok(None) => Err(Problem::field("backup_code", "is required")),
            _ => verify_backup_code::judge(context, call.origin(), handed.id, &answer, Via::Page).await,
        };
        let judged = judged.map(|(session, granted, remaining)| {
            (Answered { session, granted, browser: None }, remaining <= LOW)
        });
        (Asked::BackupCode, judged)
    } else {
        let trust = form.is_ticked("trust");
        let judged = verify_code::judge(context, call.origin(), handed.id, &answer, Via::Page, trust).await;
        (Asked::Code, judged.map(|answered| (answered, false)))
    };
    match judged {
        Ok((Answered { session, granted: Granted::Approval(_), .. }, _)) => {
            Ok(hand_over::approved(context, &session, &handed.id, address::CHALLENGE))
        }
        Ok((Answered { session, granted: Granted::Login(family), browser }, is_low)) => {
            visit.note_language(context, &session.account).await;
            // Whoever runs out of backup codes is told before they go on.
            let onward = if is_low {
                view::redirect(&context.url(address::CHALLENGE))
            } else {
                hand_over::onward(context, &session, &family)
            };
            let onward = onward.with_cookie(&hand_over::login_cookie(context, &family));
            Ok(match browser {
                Some(browser) => hand_over::trusting(context, visit, onward, &browser),
                None => onward,
            })
        }
        Err(problem) if is_of_a_form(problem.code()) => {
            let frame = Frame::of(context, visit, Some(&handed.session.account.app)).await?;
            let failure = Failure::of(&frame.text, "", asked, &problem);
            let Some(handed) = visit.handed(context).await? else { return Ok(no_session(context, visit)) };
            standing(context, visit, call, handed, Failed(Some(failure))).await
        }
        Err(problem) => match (problem.code(), visit.handed(context).await?) {
            (
                Code::SessionExpired | Code::MaxAttemptsExceeded | Code::SessionAlreadyVerified,
                Some(handed),
            ) => standing(context, visit, call, handed, Failed::default()).await,
            (_, Some(_)) => Err(problem),
            (_, None) => Ok(no_session(context, visit)),
        },
    }
}

/// The page of a session as it stands.
async fn standing(
    context: &Context,
    visit: &Visit,
    call: &Call,
    handed: Handed,
    failed: Failed,
) -> Result<Shown, Problem> {
    let Handed { session, csrf, .. } = handed;
    let now = context.clock.now();
    let account = context.store.account(&session.account).await?;
    let frame = Frame::of(context, visit, Some(&session.account.app)).await?.with_csrf(&csrf);
    let return_url = session.return_url.clone();
    let shown = match session.require_challenge(account.as_ref(), now) {
        Ok(()) => {
            let failed = Failed(failed.0.or_else(|| waiting(&frame, account.as_ref(), now)));
            let name = session.account_name.as_ref().map(ToString::to_string);
            let page = Challenge {
                account: name.unwrap_or_else(|| session.account.user.to_string()),
                texts: Texts::of(&frame, &session),
                is_step_up: session.purpose == Purpose::StepUp,
                action: session.action().cloned(),
                has_own_codes: account.as_ref().is_none_or(Account::has_own_codes),
                needs_next_code: account.is_some_and(|account| account.needs_next_code(now)),
                attempts_remaining: session.attempts_remaining(),
                failed,
                frame,
            };
            page.failed.page(&page)
        }
        Err(Closed::Verified) if session.action().is_some() => ending::approved(frame, &session),
        Err(Closed::Verified) => {
            let is_here = visit.is_login_of(context, call, &session).await?;
            let left = account.as_ref().and_then(Account::backup_codes).map(BackupCodes::remaining);
            let few_left = left.filter(|left| *left <= LOW && is_here);
            let lead = match few_left {
                Some(left) => frame.with("challenge.few-codes", "count", left),
                None => frame.t("challenge.verified-lead"),
            };
            let title = frame.t("challenge.verified");
            ending::verified(&Verified { title, lead, back: return_url.clone(), is_here, frame })
        }
        Err(closed) => ending::over(frame, &session, closed),
    };
    Ok(shown.leading_to(return_url.as_deref()))
}

/// What a form says before anything was typed: that it has to wait, or that a code of the app is of no use.
fn waiting(frame: &Frame, account: Option<&Account>, now: UnixTime) -> Option<Failure> {
    let account = account?;
    let problem = if account.is_locked() {
        Problem::new(Code::AccountLocked)
    } else {
        let seconds = account.throttled_until(now)?.since(now);
        Problem::new(Code::AccountThrottled).retry_after(seconds)
    };
    let failure = Failure::of(&frame.text, "", Asked::Code, &problem);
    Some(failure.told_beforehand())
}
