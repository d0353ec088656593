//! What the operations share that judge an answer to a session.

use sidekey_core::{
    account::{Account, BackupRefusal},
    action::Approval,
    backup_code::{Attempt, BackupCodes, NotABackupCode, Salt},
    device::Answer,
    event::Event,
    id::AccountId,
    import::ReducedCode,
    login::{Grant, SecondFactor},
    refresh::Family,
    session::Session,
    time::UnixTime,
};

use crate::{
    backup_code_hash::FreshSet,
    context::Context,
    entropy::Entropy,
    http::{Code, Fields, Problem},
    store::State,
};

/// The session with this hash of its id.
///
/// # Errors
/// There is none.
pub(super) async fn known_session(context: &Context, id: [u8; 32]) -> Result<Session, Problem> {
    context.store.session(&id).await?.ok_or_else(|| Problem::new(Code::SessionNotFound))
}

/// Where an answer was given, and so how the application gets the tokens of the login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// By the API, which gives them in the same answer.
    Api,
    /// On a page, from which the browser carries a one-time code for them to the `return_url`.
    Page,
}

/// Starts the login that was granted. Its one-time code is given out in the same transaction: an answer that was right leads somewhere,
/// whatever fails afterwards.
pub fn start_login(
    account: &Account,
    return_url: Option<&str>,
    grant: Grant,
    via: Via,
    now: UnixTime,
    started: &mut Option<Family>,
) -> Family {
    let mut family = Family::start(account, grant, now);
    if via == Via::Page && return_url.is_some() {
        family.give_return_code(now);
    }
    *started = Some(family.clone());
    family
}

/// What a right answer to a session yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Granted {
    /// A login.
    Login(Family),
    /// The approval of the one action that the session was for.
    Approval(Approval),
}

/// Answers the loaded session by a rule and, where that grants a login, starts it.
///
/// # Errors
/// Why the answer did not count. What the rule changed is kept all the same.
pub(super) fn answered(
    state: &mut State,
    via: Via,
    now: UnixTime,
    rule: impl FnOnce(&mut Session, &mut Account, &mut Vec<Event>) -> Result<Grant, Problem>,
) -> Result<(Session, Granted), Problem> {
    let State { account: Some(account), session: Some(session), started, events, .. } = state else {
        return Err(Problem::new(Code::SessionExpired));
    };
    let grant = rule(session, account, events)?;
    if let Some(approval) = session.approval() {
        return Ok((session.clone(), Granted::Approval(approval)));
    }
    let family = start_login(account, session.return_url.as_deref(), grant, via, now, started);
    Ok((session.clone(), Granted::Login(family)))
}

/// A refusal after which the session leads nowhere shows the way back to the application.
pub(super) fn leading_back(problem: Problem, session: &Session) -> Problem {
    match problem.code() {
        Code::SessionExpired | Code::MaxAttemptsExceeded | Code::SessionAlreadyVerified => {
            problem.leading_back(session.return_url.as_deref())
        }
        _ => problem,
    }
}

/// Carries out what gives a right answer a fresh set of backup codes, which is slow to make: what came of it, and the set.
///
/// `attempt` gets the set, if there is one by now. While there is none, it judges and counts a wrong answer, which ends the matter, and leaves a
/// right one unused: `None`. The set is made in a turn of its own. Many may have waited for theirs with the same answer, and one of them has used
/// it: `still_right` judges on a copy, so that nothing slow is done for the others. The next attempt judges for good.
///
/// # Errors
/// Those of the two, or too many wait for a set.
pub(super) async fn with_fresh_set<T, A, R>(
    context: &Context,
    account: &AccountId,
    still_right: impl Fn(UnixTime) -> R,
    attempt: impl Fn(Option<BackupCodes>, UnixTime) -> A,
) -> Result<(T, Option<FreshSet>), Problem>
where
    R: Future<Output = Result<bool, Problem>>,
    A: Future<Output = Result<Option<T>, Problem>>,
{
    let mut set: Option<FreshSet> = None;
    loop {
        let now = context.clock.now();
        if let Some(outcome) = attempt(set.as_ref().map(|set| set.kept.clone()), now).await? {
            return Ok((outcome, set));
        }
        let permit = context.hasher.set().await?;
        let still_right = still_right(context.clock.now()).await?;
        set = if still_right { Some(permit.fresh_set(account, now).await?) } else { None };
    }
}

/// A code or a backup code, ready to be judged.
#[derive(Debug)]
pub(super) enum Proof {
    Code(Answer),
    BackupCode(Attempt),
}

impl Proof {
    /// Reads `code` or `backup_code` of the fields; of both, the code.
    ///
    /// # Errors
    /// Neither is there, or what is there is malformed; or see [`hashed`].
    pub(super) async fn read(
        context: &Context,
        account: &AccountId,
        fields: &Fields,
    ) -> Result<Self, Problem> {
        match fields.optional_text("backup_code")? {
            Some(typed) if fields.optional_text("code")?.is_none() => {
                hashed(context, account, typed).await.map(Self::BackupCode)
            }
            _ => fields.answer_or_code_required().map(Self::Code),
        }
    }

    /// Judges it.
    ///
    /// # Errors
    /// It does not count. What the judgement changed is to be kept.
    pub(super) fn judge(
        &self,
        account: &mut Account,
        now: UnixTime,
        events: &mut Vec<Event>,
    ) -> Result<SecondFactor, Problem> {
        Ok(match self {
            Self::Code(answer) => account.answer(answer, now, events)?,
            Self::BackupCode(attempt) => account.answer_with_backup_code(*attempt, now, events)?,
        })
    }
}

/// The slow hash of a backup code that somebody typed, read in the form of the account's set. It is not computed while the account's
/// backup codes wait, and that is looked at when the turn has come: many attempts at once cost no more than the budget allows.
///
/// # Errors
/// It cannot be a code of the set, backup codes wait, or 2FA is off.
pub(super) async fn hashed(
    context: &Context,
    account_id: &AccountId,
    typed: &str,
) -> Result<Attempt, Problem> {
    // What cannot be a code takes no turn. The set may be another one when the turn has come, and its form with it.
    read(context.store.account(account_id).await?.as_ref(), typed)?;
    let permit = context.hasher.attempt().await?;
    let account = context.store.account(account_id).await?;
    let now = context.clock.now();
    if let Some(seconds) = account.as_ref().and_then(|account| account.backup_codes_wait(now)) {
        return Err(BackupRefusal::Throttled { seconds }.into());
    }
    // Where there is no set, as after a move from elsewhere, a code is wrong like any other: it takes as long, and is counted.
    let salt = match &account {
        Some(account) if account.is_protected() => {
            account.salt().unwrap_or_else(|| Salt::generate(&mut Entropy))
        }
        _ => return Err(BackupRefusal::NotEnabled.into()),
    };
    let hash = permit.hash(account_id, salt, read(account.as_ref(), typed)?).await?;
    Ok(Attempt { salt, hash })
}

/// What is hashed of the text. An account that is not there reads like one that has codes of ours.
fn read(account: Option<&Account>, typed: &str) -> Result<ReducedCode, Problem> {
    let form = account.map(Account::backup_code_form).unwrap_or_default();
    form.reduce(typed).map_err(|error: NotABackupCode| Problem::field("backup_code", &error.to_string()))
}
