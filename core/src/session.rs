//! Sessions: a short challenge that one right answer spends, and five wrong ones.

use crate::{
    account::{Account, BackupRefusal, ConfirmRefusal, Confirmed, Refusal, SecondFactorNeeded},
    action::{Action, Approval},
    backup_code::{Attempt, BackupCodes},
    device::Answer,
    event::{Asks, Event},
    id::{AccountId, AccountName, BrowserId, DeviceId, Incarnation, LoginId},
    login::{Grant, SecondFactor},
    time::UnixTime,
    trusted_browser::{self, TrustedBrowser},
};

/// How long a session lives, in seconds.
pub const LIFETIME: u64 = 300;
/// How many wrong answers a session takes.
pub const WRONG_ANSWERS: u8 = 5;

/// A session. Its id is kept by the host, as a hash, and never here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Session {
    /// Whose second factor it asks for.
    pub account: AccountId,
    /// [`Account::era`] when it was opened.
    pub era: Incarnation,
    /// What its tokens will be called.
    pub login: LoginId,
    /// What it asks for.
    pub purpose: Purpose,
    /// When it was opened.
    pub opened_at: UnixTime,
    /// Whether the tokens are to live longer.
    pub remember_me: bool,
    /// What people see of the account.
    pub account_name: Option<AccountName>,
    /// Where the browser goes afterwards, as the host said.
    pub return_url: Option<String>,
    state: State,
    /// Whether a browser holds it that came by its link.
    handed_over: bool,
    /// The one action that it is for, and the second factor by which that was approved.
    asked: Option<Asked>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Asked {
    action: Action,
    approved: Option<SecondFactor>,
}

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Purpose {
    /// The second factor of a login.
    Login,
    /// The second factor again, within a login or for one action.
    StepUp,
    /// The enrolment of a first device.
    Enrollment,
}

/// Where it stands. Only `Open` leads anywhere; the other two are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum State {
    Open { wrong: u8 },
    Verified { at: UnixTime },
    Failed,
}

/// What the host application is told of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It waits for an answer.
    Pending,
    /// It was answered rightly, then.
    Verified {
        /// When.
        at: UnixTime,
    },
    /// Nobody answered in time.
    Expired,
    /// It had its wrong answers.
    Failed,
}

/// Why a session takes no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Its time is over, or the account is not what it was when the session was opened.
    Expired,
    /// It had its wrong answers; a right one does not count any more.
    Failed,
    /// It was answered: it never yields a second pair of tokens.
    Verified,
}

/// Why an answer to a session did not count. `R` is why the account refused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerRefusal<R> {
    /// The session takes no answer.
    Closed(Closed),
    /// The account refused it for a reason that costs no attempt.
    Refused(R),
    /// The answer was wrong; the session takes this many more, and has ended at 0.
    Wrong {
        /// Answers left.
        attempts_remaining: u8,
    },
}

/// Why a device was not confirmed by a session for enrolment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnrollRefusal {
    /// The session is closed, or for something else.
    Closed(Closed),
    /// The user has got an active device meanwhile.
    SecondFactorNeeded(SecondFactorNeeded),
    /// The account refused it.
    Confirm(ConfirmRefusal),
}

/// Everything that the opening of a session needs to know.
#[derive(Clone, Debug)]
pub struct Opening {
    /// What it is for.
    pub purpose: Purpose,
    /// What its tokens will be called.
    pub login: LoginId,
    /// Whether the tokens are to live longer.
    pub remember_me: bool,
    /// Where the browser goes afterwards.
    pub return_url: Option<String>,
    /// The one action that it is for; it leads to no login then.
    pub action: Option<Action>,
}

impl Session {
    /// Opens a session for an account.
    pub fn open(account: &Account, opening: Opening, now: UnixTime, events: &mut Vec<Event>) -> Self {
        let Opening { purpose, login, remember_me, return_url, action } = opening;
        events.push(Event::SessionOpened {
            asks: match purpose {
                _ if action.is_some() => Asks::Approval,
                Purpose::Login => Asks::SecondFactor,
                Purpose::StepUp => Asks::StepUp,
                Purpose::Enrollment => Asks::Enrollment,
            },
        });
        Self {
            account: account.id.clone(),
            era: account.era(),
            login,
            purpose,
            opened_at: now,
            remember_me,
            account_name: account.name.clone(),
            return_url,
            state: State::Open { wrong: 0 },
            handed_over: false,
            asked: action.map(|action| Asked { action, approved: None }),
        }
    }

    /// Hands it over to the browser that came by its link; whether it still may be. A link that somebody else reads later, in a
    /// history or a log, leads nowhere.
    pub fn hand_over(&mut self) -> bool {
        !core::mem::replace(&mut self.handed_over, true)
    }

    /// The one action that it is for.
    pub fn action(&self) -> Option<&Action> {
        self.asked.as_ref().map(|asked| &asked.action)
    }

    /// The approval of its action, once it was answered rightly.
    pub fn approval(&self) -> Option<Approval> {
        let Asked { action, approved } = self.asked.as_ref()?;
        let second_factor = (*approved)?;
        Some(Approval {
            account: self.account.clone(),
            id: self.login,
            action: action.clone(),
            second_factor,
        })
    }

    /// When it ends, answered or not.
    pub fn expires_at(&self) -> UnixTime {
        self.opened_at.plus(LIFETIME)
    }

    /// How long it still lives, in seconds.
    pub fn seconds_left(&self, now: UnixTime) -> u64 {
        self.expires_at().since(now)
    }

    /// How many wrong answers it still takes.
    pub fn attempts_remaining(&self) -> u8 {
        match self.state {
            State::Open { wrong } => WRONG_ANSWERS.saturating_sub(wrong),
            State::Verified { .. } | State::Failed => 0,
        }
    }

    /// Where it stands.
    pub fn status(&self, now: UnixTime) -> Status {
        match self.state {
            State::Verified { at } => Status::Verified { at },
            State::Failed => Status::Failed,
            State::Open { .. } if now < self.expires_at() => Status::Pending,
            State::Open { .. } => Status::Expired,
        }
    }

    /// Whether it takes an answer: asked before anything is judged.
    ///
    /// # Errors
    /// See [`Closed`].
    pub fn require_open(&self, account: Option<&Account>, now: UnixTime) -> Result<(), Closed> {
        match self.status(now) {
            Status::Verified { .. } => Err(Closed::Verified),
            Status::Failed => Err(Closed::Failed),
            Status::Pending if account.is_some_and(|account| account.era() == self.era) => Ok(()),
            Status::Pending | Status::Expired => Err(Closed::Expired),
        }
    }

    /// Answers it with a code.
    ///
    /// # Errors
    /// See [`AnswerRefusal`]; [`AnswerRefusal::Wrong`] has changed session and account, both are to be stored.
    pub fn answer(
        &mut self,
        account: &mut Account,
        answer: &Answer,
        now: UnixTime,
        events: &mut Vec<Event>,
    ) -> Result<Grant, AnswerRefusal<Refusal>> {
        self.require_challenge(Some(account), now).map_err(AnswerRefusal::Closed)?;
        match account.answer(answer, now, events) {
            Ok(factor) => Ok(self.verified(factor, now)),
            Err(Refusal::Wrong) => Err(self.wrong(events)),
            Err(refusal) => Err(AnswerRefusal::Refused(refusal)),
        }
    }

    /// Answers it with a backup code.
    ///
    /// # Errors
    /// See [`AnswerRefusal`]; [`AnswerRefusal::Wrong`] has changed session and account, both are to be stored.
    pub fn answer_with_backup_code(
        &mut self,
        account: &mut Account,
        attempt: Attempt,
        now: UnixTime,
        events: &mut Vec<Event>,
    ) -> Result<Grant, AnswerRefusal<BackupRefusal>> {
        self.require_challenge(Some(account), now).map_err(AnswerRefusal::Closed)?;
        match account.answer_with_backup_code(attempt, now, events) {
            Ok(factor) => Ok(self.verified(factor, now)),
            Err(BackupRefusal::Wrong) => Err(self.wrong(events)),
            Err(refusal) => Err(AnswerRefusal::Refused(refusal)),
        }
    }

    /// Whether the browser that answers it may become trusted: a step-up says that it is the user now, not that the browser is theirs.
    pub fn makes_browsers_trusted(&self) -> bool {
        self.purpose == Purpose::Login && self.asked.is_none()
    }

    /// Answers the challenge of a login by the trust in its browser: the login carries the second factor by which the browser became
    /// trusted. A token that does not count leaves the challenge as it is. A step-up is never spared, because it asks for a second
    /// factor that is given now, and it does not spend the token either.
    pub fn spare(
        &mut self,
        account: &Account,
        browsers: &mut Vec<TrustedBrowser>,
        token: (BrowserId, u64),
        now: UnixTime,
        events: &mut Vec<Event>,
    ) -> Option<Grant> {
        if !self.makes_browsers_trusted() || self.require_open(Some(account), now).is_err() {
            return None;
        }
        let factor = trusted_browser::spend(browsers, account, token, now, events)?;
        Some(self.verified(factor, now))
    }

    /// Confirms a device by a session for enrolment, and spends it: the first code is the second factor of the login.
    ///
    /// # Errors
    /// See [`EnrollRefusal`]; a wrong code has changed the account.
    pub fn confirm(
        &mut self,
        account: &mut Account,
        device: DeviceId,
        answer: &Answer,
        backup_codes: Option<BackupCodes>,
        now: UnixTime,
        events: &mut Vec<Event>,
    ) -> Result<(Confirmed, Grant), EnrollRefusal> {
        self.require_open(Some(account), now).map_err(EnrollRefusal::Closed)?;
        if self.purpose != Purpose::Enrollment {
            return Err(EnrollRefusal::Closed(Closed::Expired));
        }
        account.require_second_factor(None, None, now).map_err(EnrollRefusal::SecondFactorNeeded)?;
        let confirmed =
            account.confirm(device, answer, backup_codes, now, events).map_err(EnrollRefusal::Confirm)?;
        Ok((confirmed, self.verified(confirmed.second_factor, now)))
    }

    /// Whether it takes an answer to a challenge. An enrolment session is open, but not to these: there is no device that could
    /// judge them.
    ///
    /// # Errors
    /// See [`Closed`].
    pub fn require_challenge(&self, account: Option<&Account>, now: UnixTime) -> Result<(), Closed> {
        self.require_open(account, now)?;
        if self.purpose == Purpose::Enrollment { Err(Closed::Expired) } else { Ok(()) }
    }

    fn verified(&mut self, factor: SecondFactor, now: UnixTime) -> Grant {
        self.state = State::Verified { at: now };
        if let Some(asked) = &mut self.asked {
            asked.approved = Some(factor);
        }
        Grant { login: self.login, second_factor: Some(factor), remember_me: self.remember_me }
    }

    fn wrong<R>(&mut self, events: &mut Vec<Event>) -> AnswerRefusal<R> {
        let wrong = match self.state {
            State::Open { wrong } => wrong.saturating_add(1),
            State::Verified { .. } | State::Failed => WRONG_ANSWERS,
        };
        self.state = if wrong < WRONG_ANSWERS { State::Open { wrong } } else { State::Failed };
        if self.state == State::Failed {
            events.push(Event::SessionFailed);
        }
        AnswerRefusal::Wrong { attempts_remaining: WRONG_ANSWERS.saturating_sub(wrong) }
    }
}

#[cfg(test)]
mod tests;
