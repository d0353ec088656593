//! The look-up of routes: it never panics, no two rows claim one request, and a name is what its percent-encoding says.

use http::{Method, StatusCode};
use sidekey_server::routes::fuzzing::{Route, encoded_name, look_up, rows};

const METHODS: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// The input as a path; if it begins with no slash, its first byte chooses a pattern and the rest is the name in it.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if text.starts_with('/') {
        is_found_once(text);
    } else if let Some(first) = text.chars().next() {
        let rest = &text[first.len_utf8()..];
        let patterns: Vec<&str> =
            rows().map(|row| row.1).filter(|p| p.contains("{}") || p.contains("**")).collect();
        let pattern = patterns[u32::from(first) as usize % patterns.len()];
        is_found_once(&filled(pattern, rest));
        if !rest.is_empty() {
            has_one_canonical_spelling(pattern, rest);
        }
    }
}

fn is_found_once(path: &str) {
    let below = path.strip_suffix('/').unwrap_or(path);
    for method in METHODS {
        let get = if method == Method::HEAD { Method::GET } else { method.clone() };
        let claims: Vec<&str> = rows()
            .filter(|(m, pattern)| **m == get && encoded_name(pattern, below).is_some())
            .map(|row| row.1)
            .collect();
        assert!(claims.len() <= 1, "{method} {path}: {claims:?}");
        let found = look_up("", true, &method, path);
        match (claims.first(), &found) {
            (Some(pattern), Ok(route)) => {
                let encoded = encoded_name(pattern, below).expect("it has the form");
                assert_eq!(route.pattern, *pattern);
                assert_eq!(route.name, decoded(encoded).filter(|name| !name.is_empty()));
            }
            (Some(pattern), Err(status)) => {
                assert_eq!(*status, StatusCode::NOT_FOUND);
                assert_eq!(decoded(encoded_name(pattern, below).expect("it has the form")), None);
            }
            (None, Err(status)) => {
                assert!(
                    matches!(*status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED),
                    "{status}"
                );
            }
            (None, Ok(route)) => panic!("{method} {path}: found {route:?}, which no row claims"),
        }
        // Below a base path the same is found, and without it nothing.
        assert_eq!(look_up("/base", true, &method, &format!("/base{path}")), found);
        if !path.starts_with("/base") {
            assert_eq!(look_up("/base", true, &method, path), Err(StatusCode::NOT_FOUND));
        }
        if path.starts_with("/de") {
            assert!(look_up("", false, &method, path).is_err(), "outside development mode");
        }
    }
}

/// A name, fully encoded, leads where the pattern says and comes back as it was.
fn has_one_canonical_spelling(pattern: &'static str, name: &str) {
    use std::fmt::Write as _;
    let mut encoded = String::new();
    for byte in name.bytes() {
        write!(encoded, "%{byte:02X}").expect("memory");
    }
    let method = rows().find(|row| row.1 == pattern).expect("a row").0;
    let route = Route { pattern, name: Some(name.to_owned()) };
    assert_eq!(look_up("", true, method, &filled(pattern, &encoded)), Ok(route));
}

fn filled(pattern: &str, name: &str) -> String {
    pattern.replace("{}", name).replace("**", name)
}

/// RFC 3986 §2.1, written once more: `None` for a `%` without two hexadecimal digits and for what is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        out.push(if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            u8::try_from(digit()? * 16 + digit()?).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(out).ok()
}
