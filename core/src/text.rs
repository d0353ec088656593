//! What people type and read, made comfortable for pages. None of it decides anything: the server judges only what
//! [`crate::code::normalize`] leaves, so a page must send text in the form given here.

/// A code as a person typed or pasted it, made ready to send: digits of other scripts become ASCII digits, and blanks,
/// hyphens and invisible marks of any kind are dropped. What is left may still not be a code.
pub fn code_from_input(text: &str) -> String {
    text.chars().filter(|c| !is_ignorable(*c)).map(fold_digit).collect()
}

/// A backup code as a person typed or pasted it, made ready to send: digits of other scripts, blanks and hyphens of any kind become
/// ASCII ones, and invisible marks and blanks around it are dropped. What counts of the rest is the server's to say, because codes
/// that were imported have forms of their own ([`crate::import::CodeForm`]).
pub fn backup_code_from_input(text: &str) -> String {
    let kept: String = text
        .chars()
        .filter(|c| !is_mark(*c))
        .map(|c| match c {
            c if c.is_whitespace() => ' ',
            c if is_hyphen(c) => '-',
            c => fold_digit(c),
        })
        .collect();
    kept.trim_matches(' ').to_owned()
}

/// A code in two groups, as people read it: `123 456`, `123 4567`, `1234 5678`.
pub fn grouped_code(code: &str) -> String {
    match code.split_at_checked(code.len() / 2) {
        Some((left, right)) if !left.is_empty() => format!("{left} {right}"),
        _ => code.to_owned(),
    }
}

/// The ASCII digit for one of the Arabic-Indic, extended Arabic-Indic or full-width digits; anything else is unchanged.
fn fold_digit(c: char) -> char {
    let zero = match c {
        '\u{0660}'..='\u{0669}' => '\u{0660}',
        '\u{06f0}'..='\u{06f9}' => '\u{06f0}',
        '\u{ff10}'..='\u{ff19}' => '\u{ff10}',
        _ => return c,
    };
    char::from_digit(u32::from(c) - u32::from(zero), 10).unwrap_or(c)
}

/// Blanks, hyphens and invisible marks.
fn is_ignorable(c: char) -> bool {
    c.is_whitespace() || is_hyphen(c) || is_mark(c)
}

/// Hyphens and dashes.
fn is_hyphen(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{ff0d}')
}

/// The marks that copying from a page or a right-to-left text brings along.
fn is_mark(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{backup_code::BackupCode, code::Code};

    #[test]
    fn digits_of_three_scripts_become_ascii() {
        for typed in ["٠١٢٣٤٥٦٧", "۰۱۲۳۴۵۶۷", "０１２３４５６７"] {
            assert_eq!(code_from_input(typed), "01234567");
        }
        assert_eq!(code_from_input("٨٩ ۸۹ ８９"), "898989");
    }

    #[test]
    fn what_copying_brings_along_is_dropped() {
        assert_eq!(code_from_input("\u{200e}123\u{a0}456\u{feff}"), "123456");
        assert_eq!(code_from_input("１２３－４５６"), "123456");
        assert_eq!(code_from_input(" 12–34—56\n"), "123456");
    }

    #[test]
    fn everything_else_stays_for_the_page_to_complain_about() {
        assert_eq!(code_from_input("12a4²6"), "12a4²6");
    }

    #[test]
    fn what_a_page_sends_the_server_reads() {
        assert_eq!(Code::parse(&code_from_input("٠١٢ ٣٤٥")).unwrap().expose(), "012345");
    }

    #[test]
    fn backup_codes_are_read_however_they_are_typed() {
        let sent = backup_code_from_input(" abcd‑efgh\u{a0}jkmn — pqr１\n");
        assert_eq!(sent, "abcd-efgh jkmn - pqr1");
        assert_eq!(BackupCode::parse(&sent).unwrap().shown().as_str(), "ABCD-EFGH-JKMN-PQR1");
        assert_eq!(
            backup_code_from_input("\u{200e}aB3x-oIl１"),
            "aB3x-oIl1",
            "letters are the server's to judge"
        );
    }

    #[test]
    fn codes_are_read_in_two_groups() {
        assert_eq!(grouped_code("123456"), "123 456");
        assert_eq!(grouped_code("1234567"), "123 4567");
        assert_eq!(grouped_code("12345678"), "1234 5678");
        assert_eq!(grouped_code("1"), "1");
        assert_eq!(grouped_code("é"), "\u{e9}");
    }
}
