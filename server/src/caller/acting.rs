//! The transactions of callers: whether they may act is asked inside, on the state that the decision rests on.

use sidekey_core::{
    account::Account,
    event::Event,
    id::LoginId,
    login::{FRESH, SecondFactor},
    refresh::Family,
    session::Session,
    time::UnixTime,
    trusted_browser::TrustedBrowser,
};

use super::{Enroller, User};
use crate::{
    audit::Origin,
    context::Context,
    http::Problem,
    store::{State, Subject},
};

/// What a login must have proved to act on its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// That it is one: it has not been ended, and the user not erased.
    Login,
    /// A second factor, once the account has a device.
    SecondFactor,
    /// The same, and that no longer ago than [`FRESH`].
    Fresh,
}

impl Demand {
    /// Whether a login with this second factor may act.
    ///
    /// # Errors
    /// The login was ended, the user was erased, or a second factor is needed.
    pub fn require(
        self,
        factor: Option<SecondFactor>,
        account: Option<&Account>,
        family: Option<&Family>,
        now: UnixTime,
    ) -> Result<(), Problem> {
        let known = account.zip(family).filter(|(account, family)| family.speaks_for(account));
        let (account, _) = known.ok_or_else(Problem::credentials_invalid)?;
        let max_age = match self {
            Self::Login => return Ok(()),
            Self::SecondFactor => None,
            Self::Fresh => Some(FRESH),
        };
        account.require_second_factor(factor, max_age, now).map_err(Problem::from)
    }
}

/// What a user who may act can change.
#[derive(Debug)]
pub struct Acting<'a> {
    /// The user's account.
    pub account: &'a mut Account,
    /// The login that acts.
    pub family: &'a mut Family,
    /// The session that the transaction was asked to load.
    pub session: &'a mut Option<Session>,
    /// The browsers that the account trusts, if the transaction was asked to load them.
    pub browsers: &'a mut Vec<TrustedBrowser>,
    /// What happened.
    pub events: &'a mut Vec<Event>,
}

/// What somebody who may set up a device can change.
#[derive(Debug)]
pub struct Enrolling<'a> {
    /// The account of the setup.
    pub account: &'a mut Account,
    /// The login of a user who is logged in already.
    pub family: Option<&'a mut Family>,
    /// The enrolment session of a newcomer.
    pub session: Option<&'a mut Session>,
    /// A login that starts with the setup.
    pub started: &'a mut Option<Family>,
    /// What happened.
    pub events: &'a mut Vec<Event>,
}

impl User {
    /// What this caller's transactions load: the account, and the login so that a revoked one opens nothing.
    pub fn subject(&self) -> Subject {
        Subject::account(self.account.clone()).with_login(self.login)
    }

    /// The account, if the user may look at it now.
    ///
    /// # Errors
    /// The login was ended, the user was erased, a second factor is needed, or the store is not available.
    pub async fn account(&self, context: &Context, now: UnixTime) -> Result<Account, Problem> {
        let family = context.store.family(&self.account.app, self.login).await?;
        let account = context.store.account(&self.account).await?;
        Demand::SecondFactor.require(self.second_factor, account.as_ref(), family.as_ref(), now)?;
        account.ok_or_else(Problem::credentials_invalid)
    }

    /// Decides in one transaction, if the user may act. `subject` is [`User::subject`], and a session where one is concerned.
    ///
    /// # Errors
    /// The login was ended, the user was erased, a second factor is needed, or what `decide` refuses.
    pub async fn transact<T>(
        &self,
        context: &Context,
        subject: Subject,
        demand: Demand,
        now: UnixTime,
        mut decide: impl FnMut(Acting<'_>) -> Result<T, Problem> + Send,
    ) -> Result<T, Problem> {
        let decide = |state: &mut State| {
            demand.require(self.second_factor, state.account.as_ref(), state.family.as_ref(), now)?;
            let State { account: Some(account), family: Some(family), session, browsers, events, .. } = state
            else {
                return Err(Problem::credentials_invalid());
            };
            decide(Acting { account, family, session, browsers, events })
        };
        context.store.transact(subject, &self.origin, now, decide).await?
    }
}

impl Enroller {
    /// The login that the setup belongs to.
    pub fn login(&self) -> LoginId {
        match self {
            Self::User(user) => user.login,
            Self::Newcomer(newcomer) => newcomer.login,
        }
    }

    /// The account of the setup.
    pub fn account(&self) -> &sidekey_core::id::AccountId {
        match self {
            Self::User(user) => &user.account,
            Self::Newcomer(newcomer) => &newcomer.account,
        }
    }

    fn origin(&self) -> &Origin {
        match self {
            Self::User(user) => &user.origin,
            Self::Newcomer(newcomer) => &newcomer.origin,
        }
    }

    fn subject(&self) -> Subject {
        match self {
            Self::User(user) => user.subject(),
            Self::Newcomer(newcomer) => {
                Subject::account(newcomer.account.clone()).with_session(newcomer.session)
            }
        }
    }

    /// Decides in one transaction, if a device may be set up.
    ///
    /// # Errors
    /// The login or the session was ended, the user was erased, a fresh second factor is needed, the login is from before 2FA was
    /// turned off by another one, or what `decide` refuses.
    pub async fn transact<T>(
        &self,
        context: &Context,
        now: UnixTime,
        mut decide: impl FnMut(Enrolling<'_>) -> Result<T, Problem> + Send,
    ) -> Result<T, Problem> {
        let decide = |state: &mut State| {
            self.admit(state, now)?;
            let State { account, session, family, started, events, .. } = state;
            let account = account.as_mut().ok_or_else(Problem::credentials_invalid)?;
            decide(Enrolling { account, family: family.as_mut(), session: session.as_mut(), started, events })
        };
        context.store.transact(self.subject(), self.origin(), now, decide).await?
    }

    fn admit(&self, state: &State, now: UnixTime) -> Result<(), Problem> {
        let (account, family) = (state.account.as_ref(), state.family.as_ref());
        match self {
            Self::User(user) => {
                Demand::Fresh.require(user.second_factor, account, family, now)?;
                let may = account.zip(family).is_some_and(|(account, family)| family.may_set_up(account));
                if may { Ok(()) } else { Err(Problem::credentials_invalid()) }
            }
            Self::Newcomer(_) => {
                let open = state.session.as_ref().is_some_and(|s| s.require_open(account, now).is_ok());
                let account = account.filter(|_| open).ok_or_else(Problem::credentials_invalid)?;
                account.require_second_factor(None, Some(FRESH), now).map_err(Problem::from)
            }
        }
    }
}
