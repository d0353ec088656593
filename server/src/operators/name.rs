//! What operators are called, and what they may do.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// An operator: 1 to 64 characters of `a-z`, `0-9`, `.`, `_`, `@` and `-`. Upper case is read as lower case, so that nobody is two
/// people.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OperatorName(String);

/// A text that is no operator's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an operator's name has 1 to 64 characters of a-z, 0-9, ., _, @ and -")]
pub struct InvalidOperatorName;

impl OperatorName {
    /// Takes a text that keeps to the form above.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidOperatorName> {
        let name = text.to_ascii_lowercase();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte);
        let fits = (1..=64).contains(&name.len()) && name.bytes().all(is_plain);
        if fits { Ok(Self(name)) } else { Err(InvalidOperatorName) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for OperatorName {
    type Error = InvalidOperatorName;

    fn try_from(text: String) -> Result<Self, InvalidOperatorName> {
        Self::parse(&text)
    }
}

impl From<OperatorName> for String {
    fn from(name: OperatorName) -> Self {
        name.0
    }
}

impl fmt::Display for OperatorName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What an operator may do; each may what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look
    Viewer,
    /// And help users: devices, unlocks, resets, sessions
    Support,
    /// And change apps, keys and operators
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Support, Self::Admin];

    /// Its name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Support => "support",
            Self::Admin => "admin",
        }
    }

    /// The role of this name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_to_their_form_and_are_read_in_any_case() {
        assert_eq!(OperatorName::parse("Ann.B@Example-2").unwrap().as_str(), "ann.b@example-2");
        for bad in ["", "a b", "a/b", "ä", &"a".repeat(65)] {
            assert!(OperatorName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_role_may_what_those_before_it_may() {
        assert!(Role::Viewer < Role::Support && Role::Support < Role::Admin);
        for role in Role::ALL {
            assert_eq!(Role::parse(role.word()), Some(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.word());
        }
    }
}
