//! Codes, backup codes and secrets: however they are typed, one form is judged, and a page and the server agree on it.

use sidekey_core::{
    backup_code::{self, BackupCode},
    code::{self, Code},
    secret::Secret,
    text,
};

/// The input as text that somebody typed.
pub fn run(input: &[u8]) {
    let Ok(typed) = std::str::from_utf8(input) else { return };
    one_time_code(typed);
    backup_code(typed);
    let grouped = text::grouped_code(typed);
    assert_eq!(grouped.replace(' ', ""), typed.replace(' ', ""), "grouping adds blanks only");
    if let Ok(secret) = Secret::from_base32(typed) {
        let shown = secret.to_base32();
        assert_eq!(Secret::from_base32(&shown).as_ref(), Ok(&secret));
        assert!(!format!("{secret:?}").contains(shown.as_str()));
    }
}

fn one_time_code(typed: &str) {
    let normal = code::normalize(typed);
    assert_eq!(code::normalize(&normal), normal);
    let from_page = text::code_from_input(typed);
    assert_eq!(text::code_from_input(&from_page), from_page);
    assert_eq!(code::normalize(&from_page), from_page, "a page drops all that the server drops");

    let Ok(code) = Code::parse(typed) else { return };
    assert_eq!(code.expose(), normal);
    assert!((6..=8).contains(&normal.len()) && normal.bytes().all(|byte| byte.is_ascii_digit()));
    assert_eq!(Code::parse(&normal).as_ref(), Ok(&code));
    assert_eq!(Code::parse(&from_page).as_ref(), Ok(&code), "a page sends the same");
    assert_eq!(Code::parse(&text::grouped_code(&normal)).as_ref(), Ok(&code));
    assert!(!format!("{code:?}").contains(&normal));
}

fn backup_code(typed: &str) {
    let normal = backup_code::normalize(typed);
    assert_eq!(backup_code::normalize(&normal), normal);
    let from_page = text::backup_code_from_input(typed);
    assert_eq!(text::backup_code_from_input(&from_page), from_page);

    let Ok(code) = BackupCode::parse(typed) else { return };
    assert_eq!(code.expose(), normal);
    assert_eq!(normal.len(), 16);
    assert!(
        normal
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase() && !b"ILOU".contains(&byte))
    );
    for same in [normal.clone(), from_page, code.shown().to_string(), normal.to_ascii_lowercase()] {
        assert_eq!(BackupCode::parse(&same).as_ref(), Ok(&code), "{same}");
    }
    assert!(!format!("{code:?}").contains(&normal));
}
