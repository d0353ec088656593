//! Paths that an application and every proxy in front of it read alike.

use core::fmt;

/// Longest path that is looked at, in bytes.
pub const MAX_PATH_BYTES: usize = 4_096;

/// The path of a request or of a rule in the one spelling that nobody can read as another path.
///
/// Proxies and frameworks disagree on `//`, `.`, `..`, `;`, `\` and percent-encoded letters. What one of them takes for
/// `/public/../admin` and another for `/admin` is refused before it is compared with anything (RFC 3986 §6.2.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CanonicalPath(String);

/// A path with more than one reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotCanonical;

impl fmt::Display for NotCanonical {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "a path begins with `/` and has no `//`, `.`, `..`, `;`, `\\`, no escapes of them or of plain characters",
        )
    }
}

impl core::error::Error for NotCanonical {}

impl CanonicalPath {
    /// Takes the path of a request target in origin form (RFC 9112 §3.2.1); a query is cut off.
    ///
    /// # Errors
    /// Any other form of target, a longer path than [`MAX_PATH_BYTES`], and every path that could be read in two ways.
    pub fn parse(target: &str) -> Result<Self, NotCanonical> {
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        let inner = path.strip_prefix('/').ok_or(NotCanonical)?;
        if path.len() > MAX_PATH_BYTES {
            return Err(NotCanonical);
        }
        // Only the last segment may be empty: `/a/` is a path, `/a//b` is two.
        let (directories, last) =
            inner.rsplit_once('/').map_or((None, inner), |(all, last)| (Some(all), last));
        let is_dot = |segment: &str| matches!(segment, "." | "..");
        let is_odd = |segment: &str| segment.is_empty() || is_dot(segment);
        if is_dot(last) || directories.is_some_and(|all| all.split('/').any(is_odd)) {
            return Err(NotCanonical);
        }
        canonical_bytes(path.as_bytes()).map(Self)
    }

    /// The path, with the hex digits of its escapes in upper case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this path is `prefix` or lies below it: `/api/` covers `/api` and `/api/x`, and not `/apis`.
    pub fn is_under(&self, prefix: &Self) -> bool {
        let prefix = prefix.0.strip_suffix('/').unwrap_or(&prefix.0);
        self.0.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Checks every byte and escape, and writes escapes in their one form.
fn canonical_bytes(mut path: &[u8]) -> Result<String, NotCanonical> {
    let mut out = String::with_capacity(path.len());
    while let Some((&byte, rest)) = path.split_first() {
        path = rest;
        match byte {
            b'%' => {
                let (digits, rest) = path.split_first_chunk::<2>().ok_or(NotCanonical)?;
                path = rest;
                let escaped = escaped_byte(*digits).ok_or(NotCanonical)?;
                if !needs_escape(escaped) {
                    return Err(NotCanonical);
                }
                out.push('%');
                out.extend(digits.iter().map(|digit| char::from(digit.to_ascii_uppercase())));
            }
            b';' | b'\\' | b'#' => return Err(NotCanonical),
            _ if byte.is_ascii_graphic() => out.push(char::from(byte)),
            _ => return Err(NotCanonical),
        }
    }
    Ok(out)
}

fn escaped_byte([high, low]: [u8; 2]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// Whether a byte can stand in a path only as an escape, and means nothing else when it is decoded twice or too early: no
/// separator, no dot, no `%`, no letter or digit, no control character.
fn needs_escape(byte: u8) -> bool {
    match byte {
        b' ' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' | b'[' | b']' | b'?' | b'#' => true,
        _ => !byte.is_ascii(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> CanonicalPath {
        CanonicalPath::parse(text).unwrap()
    }

    #[test]
    fn plain_paths_are_taken_as_they_are() {
        for text in [
            "/",
            "/a",
            "/a/",
            "/a/b.html",
            "/a/..b/",
            "/~ann/x-y_z",
            "/a:b@c,d=e+f&g!$'()*",
            "/caf%C3%A9",
            "/a%20b",
        ] {
            assert_eq!(path(text).as_str(), text);
        }
        assert_eq!(path("/caf%c3%a9").as_str(), "/caf%C3%A9");
        assert_eq!(path("/a?b=//../%2e").as_str(), "/a");
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for text in [
            "",
            "a",
            "*",
            "http://host/a",
            "//",
            "//a",
            "/a//b",
            "/a//",
            "/.",
            "/..",
            "/./a",
            "/a/./b",
            "/a/../b",
            "/a/..",
            "/a;b",
            "/a/;/b",
            "/a\\b",
            "/%2e%2e/a",
            "/%2E",
            "/a%2fb",
            "/a%5Cb",
            "/a%3bb",
            "/%61dmin",
            "/%2561",
            "/a%00",
            "/a%0a",
            "/a%7f",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%+1",
            "/a b",
            "/é",
            "/a#b",
            "/a\u{7f}",
        ] {
            assert_eq!(CanonicalPath::parse(text), Err(NotCanonical), "{text}");
        }
        assert!(CanonicalPath::parse(&format!("/{}", "a".repeat(MAX_PATH_BYTES))).is_err());
    }

    #[test]
    fn a_prefix_ends_at_a_segment() {
        for (inside, prefix) in [
            ("/api", "/api/"),
            ("/api/", "/api/"),
            ("/api/x", "/api/"),
            ("/api/x/y", "/api"),
            ("/", "/"),
            ("/x", "/"),
        ] {
            assert!(path(inside).is_under(&path(prefix)), "{inside} {prefix}");
        }
        for (outside, prefix) in [("/apis", "/api/"), ("/", "/api/"), ("/API", "/api"), ("/x/api", "/api")] {
            assert!(!path(outside).is_under(&path(prefix)), "{outside} {prefix}");
        }
    }
}
