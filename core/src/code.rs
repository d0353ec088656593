//! A one-time code as a person typed it: digits and nothing else, kept as digits and never as a number.

use core::fmt;

use zeroize::Zeroize;

use crate::totp::Digits;

/// A TOTP code in its canonical form. Leading zeros count; `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(String);

/// The text is no one-time code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotACode;

impl Code {
    /// Reads a code: ASCII blanks and hyphens are dropped, what is left must be 6 to 8 ASCII digits.
    ///
    /// # Errors
    /// Anything else. Nothing is guessed: a code of another script is folded by pages ([`crate::text`]), never here.
    pub fn parse(text: &str) -> Result<Self, NotACode> {
        // Longer text cannot be a code, however many blanks it has; this bounds the work.
        if text.len() > 64 {
            return Err(NotACode);
        }
        let digits = normalize(text);
        let fits = (usize::from(Digits::MIN)..=usize::from(Digits::MAX)).contains(&digits.len());
        if fits && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(digits))
        } else {
            Err(NotACode)
        }
    }

    /// Whether it has exactly this many digits.
    pub fn has(&self, digits: Digits) -> bool {
        self.0.len() == usize::from(digits.count())
    }

    /// The digits. Whoever calls this keeps them out of logs and errors.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Code(redacted)")
    }
}

impl fmt::Display for NotACode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a code has 6 to 8 digits")
    }
}

impl core::error::Error for NotACode {}

/// The text without ASCII blanks and hyphens; codes are judged and compared in this form.
pub fn normalize(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_whitespace() && *c != '-').collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn blanks_and_hyphens_do_not_count() {
        assert_eq!(Code::parse(" 012-345 ").unwrap().expose(), "012345");
        assert_eq!(Code::parse("01 23\t45 67").unwrap().expose(), "01234567");
    }

    #[test]
    fn anything_else_is_no_code() {
        for text in
            ["", "12345", "123456789", "12345a", "+12345", "１２３４５６", "٠١٢٣٤٥", "123_456", "12.456"]
        {
            assert_eq!(Code::parse(text), Err(NotACode), "{text}");
        }
        let longest = format!("{}123456", " ".repeat(58));
        assert!(Code::parse(&longest).is_ok());
        assert_eq!(Code::parse(&format!(" {longest}")), Err(NotACode));
        assert_eq!(NotACode.to_string(), "a code has 6 to 8 digits");
    }

    #[test]
    fn debug_shows_nothing_of_it() {
        assert_eq!(format!("{:?}", Code::parse("123456")), "Ok(Code(redacted))");
    }
    proptest! {
        #[test]
        fn a_code_is_exactly_six_to_eight_digits_once_normalized(text in "[0-9 \\t\\n-]{0,20}|[0-9٠a.]{5,9}|\\PC{0,70}") {
            let normal = normalize(&text);
            prop_assert_eq!(normalize(&normal), &*normal);
            let is_code = text.len() <= 64
                && (6..=8).contains(&normal.len())
                && normal.chars().all(|c| c.is_ascii_digit());
            let parsed = Code::parse(&text);
            prop_assert_eq!(parsed.is_ok(), is_code);
            if let Ok(code) = parsed {
                prop_assert_eq!(code.expose(), normal);
                prop_assert_eq!(Code::parse(code.expose()), Ok(code));
            }
        }

        #[test]
        fn however_it_is_spaced_it_is_the_same_code(digits in "[0-9]{6,8}", marks in "[ \\t\\r\\n\\x0c-]{0,16}") {
            let spaced: String = digits.chars().zip(marks.chars().chain(core::iter::repeat(' '))).flat_map(|(d, m)| [d, m]).collect();
            prop_assert_eq!(Code::parse(&spaced), Code::parse(&digits));
            prop_assert!(Code::parse(&spaced).is_ok_and(|code| code.expose() == digits));
        }
    }
}
