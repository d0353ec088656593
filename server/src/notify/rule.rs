//! Which events go to a destination.

use std::collections::BTreeSet;

use super::Notice;

/// Events that fit everything that is named; where nothing is named, all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// The events' names.
    pub events: BTreeSet<String>,
    /// The apps that they are about.
    pub apps: BTreeSet<String>,
}

impl Rule {
    /// Whether the destination is told of it.
    pub fn fits(&self, notice: &Notice) -> bool {
        let is_named = |names: &BTreeSet<String>, name: Option<&String>| {
            names.is_empty() || name.is_some_and(|name| names.contains(name))
        };
        is_named(&self.events, Some(&notice.event)) && is_named(&self.apps, notice.app.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::testing::notice;

    #[test]
    fn what_is_named_has_to_fit() {
        let rule = |events: &[&str], apps: &[&str]| {
            let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            Rule { events: set(events), apps: set(apps) }.fits(&notice("ann"))
        };
        assert!(
            rule(&[], &[]) && rule(&["account_locked"], &["shop"]) && rule(&["x", "account_locked"], &[])
        );
        assert!(!rule(&["answer_refused"], &["shop"]) && !rule(&["account_locked"], &["bank"]));
    }
}
