//! Path rules: which requests to an application need a second factor, and how old it may be.
//!
//! A proxy asks about each request before it passes it on (forward-auth). The rules say what the request must prove; what
//! no rule speaks of is refused. [`path`] keeps the request from being read in two ways.

pub mod path;
#[cfg(test)]
mod tests;

use crate::{
    account::Account, id::AppId, login::SecondFactor, refresh::Family, secret::Secret, time::UnixTime,
};
use path::CanonicalPath;

/// What a rule speaks of, and what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whose users may pass.
    pub app: AppId,
    /// The host that the rule is for, in lower case and without a port; any, if there is none.
    pub host: Option<String>,
    /// This path and everything below it.
    pub path: CanonicalPath,
    /// The methods that the rule is for, in upper case; all, if there is none.
    pub methods: Vec<String>,
    /// What a request must prove.
    pub demand: Demand,
}

/// What a request must prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Nothing.
    Nothing,
    /// A login with a second factor, at most this many seconds old where there is a number.
    SecondFactor {
        /// Seconds since the second factor was given.
        max_age: Option<u64>,
    },
}

/// A request, as the proxy that holds it back describes it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The host, in lower case and without a port.
    pub host: &'a str,
    /// The method, in upper case.
    pub method: &'a str,
    /// The path.
    pub path: &'a CanonicalPath,
}

/// A login that came along with a request, and the second factor that it tells of.
#[derive(Debug)]
pub struct Login<'a, S = Secret> {
    /// Whose it is, as stored now; nothing is decided by its secrets.
    pub account: &'a Account<S>,
    /// The login, as stored now.
    pub family: &'a Family,
    /// What its token or cookie says of a second factor.
    pub second_factor: Option<SecondFactor>,
}

/// Why a request does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No login came along, or one that has ended or belongs to another application.
    NotSignedIn,
    /// The login lacks a second factor, or has one that is older than this many seconds where there is a number.
    SecondFactorRequired {
        /// Seconds.
        max_age: Option<u64>,
    },
}

/// The rules of all applications.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

/// Two rules that speak of the same requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ambiguous {
    /// The path that both have.
    pub path: CanonicalPath,
}

impl Rules {
    /// Puts rules in the order in which they are asked: of those that fit a request, the one with a host comes before one without,
    /// then the longer path, then the one that names methods. A rule for GET is one for HEAD too: it is GET without the body
    /// (RFC 9110 §9.3.2), and a way around the rule otherwise.
    ///
    /// # Errors
    /// Two rules with the same host and path of which neither would come first.
    pub fn new(mut rules: Vec<Rule>) -> Result<Self, Ambiguous> {
        for rule in &mut rules {
            let names = |method: &str| rule.methods.iter().any(|name| name == method);
            if names("GET") && !names("HEAD") {
                rule.methods.push("HEAD".to_owned());
            }
        }
        rules.sort_by_key(|rule| {
            let depth = rule.path.as_str().trim_end_matches('/').len();
            (rule.host.is_none(), core::cmp::Reverse(depth), rule.methods.is_empty())
        });
        for (index, rule) in rules.iter().enumerate() {
            let clashes = |other: &&Rule| rule.clashes_with(other);
            if let Some(other) = rules.iter().skip(index + 1).find(clashes) {
                return Err(Ambiguous { path: other.path.clone() });
            }
        }
        Ok(Self(rules))
    }

    /// The rule that speaks of a request, if there is one; without one the request is refused.
    pub fn find(&self, request: Request<'_>) -> Option<&Rule> {
        self.0.iter().find(|rule| rule.fits(request))
    }

    /// All of them, in the order in which they are asked.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Rule {
    /// Whether a request that this rule speaks of passes with this login.
    ///
    /// A login passes only while it is alive: once it is revoked, its user has signed out everywhere, turned 2FA off or been erased, it
    /// is none, however long its token may still run.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn admit<S>(&self, login: Option<Login<'_, S>>, now: UnixTime) -> Result<(), Refusal> {
        let Demand::SecondFactor { max_age } = self.demand else { return Ok(()) };
        let login = login.filter(|login| {
            login.account.id.app == self.app && login.family.is_alive(Some(login.account), now)
        });
        let Login { account, second_factor, .. } = login.ok_or(Refusal::NotSignedIn)?;
        // The rule asks for a second factor; the account, that it was given to the devices that it has now.
        let counts =
            account.is_protected() && account.require_second_factor(second_factor, max_age, now).is_ok();
        if counts { Ok(()) } else { Err(Refusal::SecondFactorRequired { max_age }) }
    }

    fn fits(&self, request: Request<'_>) -> bool {
        self.host.as_deref().is_none_or(|host| host == request.host)
            && (self.methods.is_empty() || self.methods.iter().any(|method| method == request.method))
            && request.path.is_under(&self.path)
    }

    /// Whether some request is spoken of by both, and neither is the more precise one.
    fn clashes_with(&self, other: &Self) -> bool {
        let same_place =
            self.host == other.host && self.path.is_under(&other.path) && other.path.is_under(&self.path);
        let same_methods = match (self.methods.is_empty(), other.methods.is_empty()) {
            (true, true) => true,
            (false, false) => self.methods.iter().any(|method| other.methods.contains(method)),
            _ => false,
        };
        same_place && same_methods
    }
}
