//! Why an operator did something, in their own words.

use serde::Serialize;

/// Longest reason, in characters.
const MAX_CHARS: usize = 200;

/// A reason: 1 to [`MAX_CHARS`] characters, no control characters, no blanks around it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Reason(String);

impl Reason {
    /// Reads what somebody typed.
    ///
    /// # Errors
    /// It is none; the text says what it must be.
    pub fn parse(typed: &str) -> Result<Self, &'static str> {
        let text = typed.trim();
        if text.is_empty() {
            return Err("must be given");
        }
        if text.chars().count() > MAX_CHARS {
            return Err("must have at most 200 characters");
        }
        if text.chars().any(char::is_control) {
            return Err("must be one line");
        }
        Ok(Self(text.to_owned()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_that_is_not_empty() {
        assert_eq!(Reason::parse("  lost phone ").map(|reason| reason.0), Ok("lost phone".to_owned()));
        assert!(Reason::parse(&"é".repeat(MAX_CHARS)).is_ok());
        for wrong in ["", "  ", "a\nb", "a\u{1b}b", &"é".repeat(MAX_CHARS + 1)] {
            assert!(Reason::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
