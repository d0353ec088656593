//! A login that the host application asks to open again, because the answer was lost.
//!
//! The host derives the ids of what a request opens from its idempotency key and the seed of its use ([`KeyUse`]), so that the same key leads
//! to the same session, or to the same login where no session was needed. So nothing is kept of the request but that use and what it opened, and
//! whether another one is the same is told by comparing what both say. What it opened may be gone before the key is a new one: with the user who
//! was erased, or behind later logins. The use outlives it, and the key opens nothing then.

use super::{Account, Opened};
use crate::{
    action::Action,
    event::Event,
    id::{AccountId, AccountName, BrowserId},
    policy::{Admission, Enforcement},
    refresh::Family,
    retry::{KeyUse, WINDOW},
    session::{Purpose, Session},
    time::UnixTime,
    trusted_browser::{self, TrustedBrowser},
};

/// What a request with a key says.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Whose login it is.
    pub account: &'a AccountId,
    /// What people see of the account, where it says so.
    pub account_name: Option<&'a AccountName>,
    /// Whether the user asked to be remembered.
    pub remember_me: bool,
    /// Where the browser goes afterwards.
    pub return_url: Option<&'a str>,
    /// The one action that the session is for.
    pub action: Option<&'a Action>,
    /// The token of a trusted browser: which one, and its number.
    pub trusted: Option<(BrowserId, u64)>,
}

/// What its key has led to before.
#[derive(Debug)]
pub struct Before<'a> {
    /// That the key was used.
    pub used: Option<KeyUse>,
    /// The session that was opened.
    pub session: Option<&'a Session>,
    /// The login that was started, in place of a session.
    pub family: Option<&'a Family>,
    /// The account as it is now.
    pub account: Option<&'a mut Account>,
    /// The browsers that it trusts.
    pub browsers: &'a mut Vec<TrustedBrowser>,
}

/// Why a key opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRefusal {
    /// It is that of a request that said something else.
    AnotherRequest,
    /// It is that of this request, which is not answered any more: the session is over or of another life of the account, or the tokens were
    /// given too long ago, are in use, or belong to a login that is gone.
    Over,
}

impl Asked<'_> {
    /// What the same request has opened before; `None` for the first one with its key. Nothing is opened by that, counted or told.
    ///
    /// A session is answered for as long as it lives, tokens for [`WINDOW`] seconds and until they are refreshed. Later, a spent token of a
    /// trusted browser is judged like any other that comes again: browsers may have changed.
    ///
    /// # Errors
    /// See [`KeyRefusal`].
    pub fn opened_before(
        &self,
        before: Before<'_>,
        enforcement: Enforcement,
        now: UnixTime,
        events: &mut Vec<Event>,
    ) -> Result<Option<Opened>, KeyRefusal> {
        let Before { used, session, family, account, browsers } = before;
        if !used.is_some_and(|used| used.counts(now)) {
            return Ok(None);
        }
        if let Some(session) = session {
            return self.reopened(session, account.as_deref(), now).map(Some);
        }
        let family = family.ok_or(KeyRefusal::Over)?;
        if self.action.is_some() || family.account != *self.account || family.remember_me != self.remember_me
        {
            return Err(KeyRefusal::AnotherRequest);
        }
        let Some(account) = account else { return Err(KeyRefusal::Over) };
        let is_answered = family.is_alive(Some(account), now)
            && family.is_at_its_first()
            && now.since(family.started_at) <= WINDOW;
        if !is_answered {
            self.judge_token(browsers, account, now, events);
            return Err(KeyRefusal::Over);
        }
        if family.second_factor.is_some() && !self.spent_for(family, browsers) {
            return Err(KeyRefusal::AnotherRequest);
        }
        let (family, mut invited, mut enroll_by) = (family.clone(), false, None);
        if family.second_factor.is_none() {
            let admission = account.admit(enforcement, now);
            invited = admission != Admission::Free;
            enroll_by = if let Admission::Invited { enroll_by } = admission { enroll_by } else { None };
        }
        Ok(Some(Opened::LetIn { family, invited, enroll_by }))
    }

    fn reopened(
        &self,
        session: &Session,
        account: Option<&Account>,
        now: UnixTime,
    ) -> Result<Opened, KeyRefusal> {
        let is_the_same = session.account == *self.account
            && session.remember_me == self.remember_me
            && session.return_url.as_deref() == self.return_url
            && session.action() == self.action
            && self.account_name.is_none_or(|name| session.account_name.as_ref() == Some(name));
        if !is_the_same {
            return Err(KeyRefusal::AnotherRequest);
        }
        // In another era of the account the session could only be told to have expired.
        let is_of_this_era = account.is_some_and(|account| account.era() == session.era);
        if now >= session.expires_at() || !is_of_this_era {
            return Err(KeyRefusal::Over);
        }
        Ok(match session.purpose {
            Purpose::Enrollment => Opened::Enrollment(session.clone()),
            Purpose::Login | Purpose::StepUp => Opened::Challenge(session.clone()),
        })
    }

    /// Whether the login was spared its challenge by the very token that comes again, and the one after it has not been used.
    fn spent_for(&self, family: &Family, browsers: &[TrustedBrowser]) -> bool {
        self.trusted.is_some_and(|(id, number)| {
            let mut browsers = browsers.iter().filter(|browser| browser.id == id);
            browsers.any(|browser| browser.was_spent(number, family.started_at))
        })
    }

    /// A living token is left as it is: its login is not opened.
    fn judge_token(
        &self,
        browsers: &mut Vec<TrustedBrowser>,
        account: &Account,
        now: UnixTime,
        events: &mut Vec<Event>,
    ) {
        let Some((id, number)) = self.trusted else { return };
        if browsers.iter().any(|browser| browser.id == id && browser.number() != number) {
            trusted_browser::spend(browsers, account, (id, number), now, events);
        }
    }
}

#[cfg(test)]
mod tests;
