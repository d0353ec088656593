//! What ends a run: a sentence for the person at the terminal.

use std::fmt;

/// A sentence: what went wrong and, where one is known, the remedy.
#[derive(Debug)]
pub struct Failure(String);

/// What may fail.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// Says this.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }

    /// For `map_err`: what failed, and the cause after it.
    pub fn because<E: fmt::Display>(what: impl fmt::Display) -> impl FnOnce(E) -> Self {
        move |cause| Self(format!("{what}: {cause}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
