//! Refresh tokens: a family for each login, of which one member is alive (RFC 9700 §4.14.2).
//!
//! A family counts its tokens. The host makes the token of a number and can tell its own from others (a MAC under a server-side
//! key); this module decides which number may be used. So nothing of a token is stored, and a spent one is known for what it is.

use crate::{
    account::Account,
    event::Event,
    id::{AccountId, Incarnation, LoginId},
    login::{Grant, SecondFactor},
    policy::{Admission, Enforcement},
    retry::Retry,
    ticket::{Ticket, TicketRefusal},
    time::UnixTime,
};

/// How long a refresh token lives, in seconds: 7 days.
pub const LIFETIME: u64 = 7 * 86_400;
/// How long it lives where the user asked to be remembered: 30 days.
pub const LIFETIME_REMEMBERED: u64 = 30 * 86_400;
/// The page login of the browser in which the login itself was made. Each link to the account page opens one of its own.
pub const FIRST_PAGE_LOGIN: u64 = 0;
/// The number of the token that a login starts with.
const FIRST: u64 = 0;

/// The refresh tokens of one login.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Family {
    /// Whose login it is.
    pub account: AccountId,
    /// The account's birth, see [`Account::birth`].
    pub birth: Incarnation,
    /// The life of the account that it belongs to.
    pub incarnation: Incarnation,
    /// The life of the account in which its access tokens may set up devices: the same, or the one that this login itself began
    /// by turning 2FA off.
    setup_in: Incarnation,
    /// The login, `sid` of its access tokens.
    pub login: LoginId,
    /// The second factor of the login: no refresh moves it.
    pub second_factor: Option<SecondFactor>,
    /// Whether its tokens live longer.
    pub remember_me: bool,
    /// When the login was.
    pub started_at: UnixTime,
    /// When the living token dies.
    pub expires_at: UnixTime,
    /// The number of the living token.
    number: u64,
    /// How the living token was asked for, so that the same asking can be answered again.
    retry: Option<Retry>,
    revoked: bool,
    /// The one-time code that the browser carries to the application.
    return_code: Ticket,
    /// The link that leads the browser from the application to the account page.
    account_link: Ticket,
    /// The second factor that a page login of this login was given last, if one was asked again. No token tells of it, and no other
    /// page login goes by it: whoever holds a token, or opens the pages by it, gains nothing by what the owner proves.
    on_pages: Option<SecondFactor>,
    /// The account's generation at the login, see [`Account::generation`].
    generation: u64,
    /// The page login that was given [`Family::on_pages`].
    proved_by: u64,
}

/// Why a refresh token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshRefusal {
    /// It has expired, was revoked, or belongs to another life of the account.
    Dead,
    /// It was spent before: the family has been revoked now, and is to be stored.
    Reused,
    /// The account has a device by now, and this login had no second factor.
    SecondFactorNeeded,
}

impl Family {
    /// The family of a login that has just succeeded, and whose first token has the number 0.
    pub fn start(account: &Account, grant: Grant, now: UnixTime) -> Self {
        Self {
            account: account.id.clone(),
            birth: account.birth,
            incarnation: account.incarnation,
            setup_in: account.incarnation,
            login: grant.login,
            second_factor: grant.second_factor,
            remember_me: grant.remember_me,
            started_at: now,
            expires_at: now.plus(lifetime(grant.remember_me)),
            number: FIRST,
            retry: None,
            revoked: false,
            return_code: Ticket::default(),
            account_link: Ticket::default(),
            on_pages: None,
            generation: account.generation(),
            proved_by: FIRST_PAGE_LOGIN,
        }
    }

    /// The number of the living token.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether no refresh has followed the login: the tokens that it started with are those that count.
    pub fn is_at_its_first(&self) -> bool {
        self.number == FIRST
    }

    /// Whether the login is still good for anything.
    pub fn is_alive<S>(&self, account: Option<&Account<S>>, now: UnixTime) -> bool {
        !self.revoked
            && now < self.expires_at
            && account.is_some_and(|account| {
                account.incarnation == self.incarnation && account.generation() == self.generation
            })
    }

    /// Whether the login was ended, by its owner or by the reuse of a token.
    pub fn is_revoked(&self) -> bool {
        self.revoked
    }

    /// Whether access tokens of this login still tell of this account: the login was not ended, the user neither erased nor
    /// signed out everywhere. They outlive a turning off of 2FA, after which refresh tokens are dead.
    pub fn speaks_for<S>(&self, account: &Account<S>) -> bool {
        !self.revoked && self.birth == account.birth && self.generation == account.generation()
    }

    /// Whether access tokens of this login may set up devices of this account. A token from before 2FA was turned off may not:
    /// what it could not do then for want of a fresh second factor, it must not be able to do afterwards.
    pub fn may_set_up<S>(&self, account: &Account<S>) -> bool {
        self.speaks_for(account) && self.setup_in == account.incarnation
    }

    /// Notes that this login has turned 2FA off: it may set up a device anew. Its refresh tokens are dead like all others.
    pub fn turned_off(&mut self, account: &Account) {
        self.setup_in = account.incarnation;
    }

    /// Whether its living token is to be refused because the app demands a device by now and the account has none: a login that
    /// would not be let in any more is not prolonged either. Notes when the user was first asked to enrol.
    pub fn must_enroll(&self, account: &mut Account, enforcement: Enforcement, now: UnixTime) -> bool {
        self.is_alive(Some(account), now)
            && self.second_factor.is_none()
            && !account.is_protected()
            && account.admit(enforcement, now) == Admission::MustEnroll
    }

    /// Spends the token with this number; afterwards [`Family::number`] is its successor's.
    ///
    /// A client that lost the answer says so by asking with the same idempotency key (`retry_key`, hashed) within
    /// [`WINDOW`](crate::retry::WINDOW), and gets the same successor. Without a key every second use is a theft: whoever has both tokens cannot be told apart.
    ///
    /// # Errors
    /// See [`RefreshRefusal`].
    pub fn rotate(
        &mut self,
        account: Option<&Account>,
        number: u64,
        retry_key: Option<[u8; 32]>,
        now: UnixTime,
        events: &mut Vec<Event>,
    ) -> Result<(), RefreshRefusal> {
        if !self.is_alive(account, now) {
            return Err(RefreshRefusal::Dead);
        }
        let is_retry = number.saturating_add(1) == self.number && self.is_asked_again(retry_key, now);
        if number != self.number && !is_retry {
            self.revoke();
            events.push(Event::RefreshTokenReused);
            return Err(RefreshRefusal::Reused);
        }
        if account
            .is_some_and(|account| account.require_second_factor(self.second_factor, None, now).is_err())
        {
            return Err(RefreshRefusal::SecondFactorNeeded);
        }
        if is_retry {
            // Once: the next repetition is a reuse like any other.
            self.retry = None;
        } else {
            self.number = self.number.saturating_add(1);
            self.expires_at = now.plus(lifetime(self.remember_me));
            self.retry = Retry::of(retry_key, now);
        }
        Ok(())
    }

    fn is_asked_again(&self, retry_key: Option<[u8; 32]>, now: UnixTime) -> bool {
        self.retry.is_some_and(|retry| retry.is_again(retry_key, now))
    }

    /// Ends the login.
    pub fn revoke(&mut self) {
        self.revoked = true;
    }

    /// Whether the hosted pages still know this login: as long as its tokens live, and after 2FA was turned off only if it did
    /// that itself.
    pub fn opens_pages<S>(&self, account: &Account<S>, now: UnixTime) -> bool {
        self.may_set_up(account) && now < self.expires_at
    }

    /// The second factor that the hosted pages go by in one browser: that of the login, or the one that this page login was given
    /// since.
    pub fn factor_on_pages(&self, page_login: u64) -> Option<SecondFactor> {
        self.on_pages.filter(|_| self.proved_by == page_login).or(self.second_factor)
    }

    /// Notes that one page login was given a second factor again.
    pub fn stepped_up(&mut self, page_login: u64, factor: SecondFactor) {
        self.on_pages = Some(factor);
        self.proved_by = page_login;
    }

    /// Gives out a code by which the application gets the tokens of this login; its number. `None` once one was used: a login
    /// yields its tokens once.
    pub fn give_return_code(&mut self, now: UnixTime) -> Option<u64> {
        if self.return_code.is_used() { None } else { Some(self.return_code.give(now)) }
    }

    /// The number of the code that was given out, unless it was used.
    pub fn return_code(&self) -> Option<u64> {
        self.return_code.given()
    }

    /// Uses such a code. The second use of one ends the login, because one of the two who had it must not have it (RFC 6749 §4.1.2).
    ///
    /// A client that lost the answer says so as with [`Family::rotate`], and gets the first tokens once more, as often as it asks: nothing is
    /// spent by that, and the first refresh, which shows that somebody has them, ends it.
    ///
    /// # Errors
    /// The login is not good for anything any more, or see [`TicketRefusal`]; [`TicketRefusal::Used`] has changed the login.
    pub fn redeem_return_code(
        &mut self,
        account: Option<&Account>,
        number: u64,
        retry_key: Option<[u8; 32]>,
        now: UnixTime,
        events: &mut Vec<Event>,
    ) -> Result<(), TicketRefusal> {
        if !self.is_alive(account, now) {
            return Err(TicketRefusal::Expired);
        }
        let redeemed = self.return_code.redeem(number, now);
        match redeemed {
            Ok(()) if self.is_at_its_first() => self.retry = Retry::of(retry_key, now),
            Err(TicketRefusal::Used) if self.is_at_its_first() && self.is_asked_again(retry_key, now) => {
                return Ok(());
            }
            Err(TicketRefusal::Used) => {
                self.revoke();
                events.push(Event::ReturnCodeReused);
            }
            Ok(()) | Err(TicketRefusal::Expired) => {}
        }
        redeemed
    }

    /// Gives out a link to the account page; its number, which is also that of the page login that it opens.
    pub fn give_account_link(&mut self, now: UnixTime) -> u64 {
        self.account_link.give(now)
    }

    /// Uses such a link.
    ///
    /// # Errors
    /// See [`TicketRefusal`].
    pub fn redeem_account_link(&mut self, number: u64, now: UnixTime) -> Result<(), TicketRefusal> {
        self.account_link.redeem(number, now)
    }
}

/// How long a refresh token lives, in seconds.
pub const fn lifetime(remember_me: bool) -> u64 {
    if remember_me { LIFETIME_REMEMBERED } else { LIFETIME }
}

#[cfg(test)]
mod tests;
