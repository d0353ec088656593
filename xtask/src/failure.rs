//! What a task says when it cannot go on.

use std::fmt;

/// A sentence for the person at the terminal: what went wrong and, where one is known, the remedy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }

    /// For `map_err`: `what` (as in "could not read `x`") followed by the cause.
    pub(crate) fn because<E: fmt::Display>(what: impl fmt::Display) -> impl FnOnce(E) -> Self {
        move |cause| Self(format!("{what}: {cause}"))
    }

    /// The same failure with its remedy after it.
    pub(crate) fn with_remedy(self, remedy: impl fmt::Display) -> Self {
        Self(format!("{}; {remedy}", self.0))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
