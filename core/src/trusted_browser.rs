//! Trusted browsers: a browser in which a code was given is spared the next ones, for thirty days.
//!
//! A browser holds a token that is spent by each login and replaced by the next. Of each browser, one number is alive; the use of a
//! spent one is a theft, because one of the two who had it must not have it, and ends the trust. Only the one that was spent just
//! now comes once more without any harm, from the second of two tabs: it spares nothing, and it ends nothing. The host makes the token of a
//! number and can tell its own from others, as it does with refresh tokens ([`crate::refresh`]).

use crate::{
    account::Account,
    event::Event,
    id::{AccountId, BrowserId, Incarnation},
    login::{Method, SecondFactor},
    time::UnixTime,
};

/// How long a browser is trusted, in seconds: 30 days from the code on. No use prolongs it.
pub const LIFETIME: u64 = 30 * 86_400;
/// For so many seconds after its use, a token that comes once more is taken for a second tab and not for a theft.
pub const SECOND_TAB: u64 = 10;
/// Browsers that an account may trust at once; the one that was used longest ago gives way.
pub const MAX_BROWSERS: usize = 20;

/// A browser that is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TrustedBrowser {
    /// Whose logins it spares.
    pub account: AccountId,
    /// Its name for programs.
    pub id: BrowserId,
    /// The second factor by which it became trusted: that of every login that it spares.
    pub second_factor: SecondFactor,
    /// When it was last used.
    pub last_used_at: Option<UnixTime>,
    /// What it called itself when it became trusted.
    pub user_agent: Option<String>,
    incarnation: Incarnation,
    generation: u64,
    number: u64,
}

/// Why a token spares nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustRefusal {
    /// The trust is over.
    Over,
    /// The token was spent by another login a moment ago: two tabs were opened at once.
    JustSpent,
    /// The token was spent before: the browser is not trusted any more, and is to be removed.
    Reused,
}

impl TrustedBrowser {
    /// Trusts the browser in which a second factor was just given. Only a TOTP code makes one trusted: whoever is down to backup codes
    /// has lost the authenticator, perhaps to somebody else.
    pub fn trust(
        account: &Account,
        id: BrowserId,
        factor: SecondFactor,
        user_agent: Option<String>,
        events: &mut Vec<Event>,
    ) -> Option<Self> {
        if factor.method != Method::Otp {
            return None;
        }
        events.push(Event::BrowserTrusted { browser: id });
        Some(Self {
            account: account.id.clone(),
            id,
            second_factor: factor,
            last_used_at: None,
            user_agent,
            incarnation: account.incarnation,
            generation: account.generation(),
            number: 0,
        })
    }

    /// The number of the living token.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether it was the token with this number that was used last, then: the request that did it may be answered again.
    pub fn was_spent(&self, number: u64, at: UnixTime) -> bool {
        number.checked_add(1) == Some(self.number) && self.last_used_at == Some(at)
    }

    /// When the trust ends by itself.
    pub fn expires_at(&self) -> UnixTime {
        self.second_factor.at.plus(LIFETIME)
    }

    /// Whether the trust counts: it has not expired, 2FA was not turned off since, and the user has not signed out everywhere.
    pub fn is_alive<S>(&self, account: &Account<S>, now: UnixTime) -> bool {
        now < self.expires_at()
            && self.incarnation == account.incarnation
            && self.generation == account.generation()
            && account.require_second_factor(Some(self.second_factor), None, now).is_ok()
    }

    /// Spends the token with this number: the second factor that the login has by it. Afterwards [`TrustedBrowser::number`] is the
    /// successor's.
    ///
    /// # Errors
    /// See [`TrustRefusal`].
    pub fn spend(
        &mut self,
        account: &Account,
        number: u64,
        now: UnixTime,
        events: &mut Vec<Event>,
    ) -> Result<SecondFactor, TrustRefusal> {
        if !self.is_alive(account, now) {
            return Err(TrustRefusal::Over);
        }
        let is_just_spent = number.checked_add(1) == Some(self.number)
            && self.last_used_at.is_some_and(|used| now.since(used) <= SECOND_TAB);
        if is_just_spent {
            return Err(TrustRefusal::JustSpent);
        }
        if number != self.number {
            events.push(Event::TrustedBrowserReused { browser: self.id });
            return Err(TrustRefusal::Reused);
        }
        self.number = self.number.saturating_add(1);
        self.last_used_at = Some(now);
        events.push(Event::TrustedBrowserUsed { browser: self.id });
        Ok(self.second_factor)
    }
}

/// Spends a token of one of an account's browsers: the second factor that it spares, if it counts. A browser whose token was spent before
/// is among them no more.
pub fn spend(
    browsers: &mut Vec<TrustedBrowser>,
    account: &Account,
    (id, number): (BrowserId, u64),
    now: UnixTime,
    events: &mut Vec<Event>,
) -> Option<SecondFactor> {
    let browser = browsers.iter_mut().find(|browser| browser.id == id)?;
    let spent = browser.spend(account, number, now, events);
    if spent == Err(TrustRefusal::Reused) {
        browsers.retain(|browser| browser.id != id);
    }
    spent.ok()
}

/// Adds a browser to those of an account. What is over goes, and so does the one that was used longest ago where there are too many.
pub fn add(browsers: &mut Vec<TrustedBrowser>, new: TrustedBrowser, account: &Account, now: UnixTime) {
    browsers.retain(|browser| browser.is_alive(account, now));
    while browsers.len() >= MAX_BROWSERS {
        let used = |browser: &TrustedBrowser| browser.last_used_at.unwrap_or(browser.second_factor.at);
        let oldest = browsers.iter().enumerate().min_by_key(|(_, browser)| used(browser));
        let Some((oldest, _)) = oldest else { break };
        browsers.remove(oldest);
    }
    browsers.push(new);
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;
    use crate::id::{AppId, UserId};

    const NOW: UnixTime = UnixTime::from_secs(1_700_000_010);

    fn account() -> Account {
        let id = AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse("42").unwrap() };
        Account::new(id, NOW, &mut StdRng::seed_from_u64(7))
    }

    fn browser(account: &Account, n: u8, at: UnixTime) -> TrustedBrowser {
        let factor = SecondFactor { method: Method::Otp, at };
        let id = BrowserId::from_bytes([n; 16]);
        TrustedBrowser::trust(account, id, factor, None, &mut Vec::new()).unwrap()
    }

    #[test]
    fn each_number_counts_once_and_a_spent_one_is_a_theft() {
        let (account, mut events) = (account(), Vec::new());
        let mut browser = browser(&account, 1, NOW);
        let later = NOW.plus(60);
        assert_eq!((browser.number(), browser.expires_at()), (0, NOW.plus(2_592_000)));
        assert_eq!(browser.spend(&account, 0, later, &mut events).map(|factor| factor.at), Ok(NOW));
        assert_eq!((browser.number(), browser.last_used_at), (1, Some(later)));
        assert!(browser.spend(&account, 1, later, &mut events).is_ok());
        for number in [0, 3] {
            assert_eq!(browser.spend(&account, number, later, &mut events), Err(TrustRefusal::Reused));
        }
        let late = later.plus(SECOND_TAB + 1);
        assert_eq!(browser.spend(&account, 1, late, &mut events), Err(TrustRefusal::Reused));
        assert_eq!(events.last(), Some(&Event::TrustedBrowserReused { browser: browser.id }));
    }

    #[test]
    fn two_tabs_with_one_token_end_nothing_and_one_of_them_is_spared() {
        let (account, mut events) = (account(), Vec::new());
        let mut all = vec![browser(&account, 1, NOW)];
        let id = all[0].id;
        assert!(spend(&mut all, &account, (id, 0), NOW, &mut events).is_some());
        let before = (all.clone(), events.clone());
        for now in [NOW, NOW.plus(SECOND_TAB)] {
            assert_eq!(spend(&mut all, &account, (id, 0), now, &mut events), None);
            assert_eq!((&all, &events), (&before.0, &before.1), "nothing is told, and nothing ended");
        }
        assert!(spend(&mut all, &account, (id, 1), NOW.plus(SECOND_TAB), &mut events).is_some());
        assert_eq!(spend(&mut all, &account, (id, 0), NOW.plus(SECOND_TAB), &mut events), None);
        assert!(all.is_empty(), "the one before the last is a theft at any time");
    }

    #[test]
    fn the_browser_of_a_spent_token_is_removed_and_the_others_stay() {
        let (account, mut events) = (account(), Vec::new());
        let mut all = vec![browser(&account, 1, NOW), browser(&account, 2, NOW)];
        let (one, two) = (all[0].id, all[1].id);
        assert!(spend(&mut all, &account, (one, 0), NOW, &mut events).is_some());
        let late = NOW.plus(SECOND_TAB + 1);
        assert_eq!(spend(&mut all, &account, (one, 0), late, &mut events), None);
        assert_eq!(spend(&mut all, &account, (one, 1), NOW, &mut events), None, "the living one is dead too");
        assert!(spend(&mut all, &account, (two, 0), NOW, &mut events).is_some());
        assert_eq!(spend(&mut all, &account, (BrowserId::from_bytes([9; 16]), 0), NOW, &mut events), None);
    }

    #[test]
    fn trust_ends_after_thirty_days_however_often_it_is_used() {
        let account = account();
        let mut browser = browser(&account, 1, NOW);
        let last = NOW.plus(LIFETIME - 1);
        assert!(browser.spend(&account, 0, last, &mut Vec::new()).is_ok());
        let over = browser.spend(&account, 1, NOW.plus(LIFETIME), &mut Vec::new());
        assert_eq!(over, Err(TrustRefusal::Over));
    }

    #[test]
    fn turning_off_signing_out_and_restoring_end_it() {
        let mut rng = StdRng::seed_from_u64(8);
        let before = account();
        let browser = browser(&before, 1, NOW);
        assert!(browser.is_alive(&before, NOW));
        let (mut off, mut out, mut disputed) = (before.clone(), before.clone(), before.clone());
        off.turn_off(&mut rng, &mut Vec::new());
        out.sign_out_everywhere(&mut Vec::new());
        disputed.dispute(&mut Vec::new());
        for after in [off, out, disputed, before.restored(NOW, &mut rng)] {
            assert!(!browser.is_alive(&after, NOW));
        }
    }

    #[test]
    fn a_backup_code_makes_no_browser_trusted() {
        let factor = SecondFactor { method: Method::BackupCode, at: NOW };
        let id = BrowserId::from_bytes([1; 16]);
        assert_eq!(TrustedBrowser::trust(&account(), id, factor, None, &mut Vec::new()), None);
    }

    #[test]
    fn of_too_many_the_one_goes_that_was_used_longest_ago() {
        let account = account();
        let mut all: Vec<_> = (0..20).map(|n| browser(&account, n, NOW.plus(u64::from(n)))).collect();
        all[0].last_used_at = Some(NOW.plus(100));
        let now = NOW.plus(200);
        add(&mut all, browser(&account, 20, now), &account, now);
        assert_eq!(all.len(), MAX_BROWSERS);
        assert!(
            all.iter().all(|b| b.id != BrowserId::from_bytes([1; 16])),
            "the second was used longest ago"
        );
        let late = now.plus(LIFETIME);
        add(&mut all, browser(&account, 21, late), &account, late);
        assert_eq!(all.len(), 1, "what is over goes");
    }
}
