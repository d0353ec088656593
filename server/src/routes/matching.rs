//! How a request finds its row.
//!
//! The table is matched by hand and not by a chain of filters: one look-up tells apart what does not exist (404) from what exists
//! under another method (405, with `Allow`), and the routes that matter most cost the least.

use http::{Method, header};
use percent_encoding::percent_decode_str;

use super::table::{Access, Endpoint, TABLE};
use crate::http::{Code, Problem};

/// What logs and metrics call a path that is not in the table.
pub(super) const NO_ROUTE: &str = "none";

/// The row that a request has found.
pub(super) struct Found {
    pub(super) access: Access,
    pub(super) endpoint: Endpoint,
    pub(super) pattern: &'static str,
    /// What stands for the `{}` or `**` of the pattern.
    pub(super) name: Option<String>,
}

/// Why it has found none.
pub(super) struct Missed {
    /// [`NO_ROUTE`], or the pattern that takes other methods.
    pub(super) pattern: &'static str,
    pub(super) problem: Problem,
    /// Whether people read what is at this path.
    pub(super) is_for_people: bool,
}

impl Missed {
    fn nothing() -> Self {
        Self { pattern: NO_ROUTE, problem: Problem::new(Code::NotFound), is_for_people: false }
    }
}

/// The row for a method and path.
///
/// # Errors
/// There is none; the problem says whether the path is known under another method.
pub(super) fn find(base_path: &str, development: bool, method: &Method, path: &str) -> Result<Found, Missed> {
    let below = path.strip_prefix(base_path).ok_or_else(Missed::nothing)?;
    let below = below.strip_suffix('/').unwrap_or(below);
    let mut allowed = Vec::new();
    let (mut pattern_found, mut is_for_people) = (NO_ROUTE, false);
    for (allowed_method, pattern, access, endpoint) in TABLE {
        if *access == Access::Development && !development {
            continue;
        }
        let Some(name) = matches(pattern, below) else { continue };
        (pattern_found, is_for_people) = (pattern, endpoint.is_for_people());
        // HEAD is GET without the body (RFC 9110 §9.3.2); the HTTP layer leaves the body out.
        if method == allowed_method || (*method == Method::HEAD && *allowed_method == Method::GET) {
            let name = decoded(name).ok_or_else(Missed::nothing)?;
            let name = Some(name).filter(|name| !name.is_empty());
            return Ok(Found { access: *access, endpoint: *endpoint, pattern, name });
        }
        allowed.push(allowed_method.as_str());
        if *allowed_method == Method::GET {
            allowed.push("HEAD");
        }
    }
    if allowed.is_empty() {
        return Err(Missed::nothing());
    }
    let problem = Problem::new(Code::MethodNotAllowed).with_header(header::ALLOW, allowed.join(", "));
    Err(Missed { pattern: pattern_found, problem, is_for_people })
}

/// What stands for the `{}` or `**` of a pattern if the path has its form; empty for a pattern without.
pub(super) fn matches<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    if let Some(prefix) = pattern.strip_suffix("**") {
        return path.strip_prefix(prefix).filter(|rest| !rest.is_empty());
    }
    let Some((before, after)) = pattern.split_once("{}") else {
        return (pattern == path).then_some("");
    };
    let name = path.strip_prefix(before)?.strip_suffix(after)?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

/// A segment without its percent-encoding (RFC 3986 §2.1). A `%` that begins none is not taken for itself: nothing has two
/// spellings.
fn decoded(name: &str) -> Option<String> {
    let escapes = name.split('%').skip(1);
    let well_formed = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if !escapes.into_iter().all(well_formed) {
        return None;
    }
    percent_decode_str(name).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_whole_segments() {
        assert_eq!(matches("/2fa/verify", "/2fa/verify"), Some(""));
        assert_eq!(matches("/2fa/devices/{}", "/2fa/devices/ab"), Some("ab"));
        assert_eq!(matches("/2fa/users/{}/unlock", "/2fa/users/4%2F2/unlock"), Some("4%2F2"));
        assert_eq!(matches("/2fa/devices/{}", "/2fa/devices/"), None);
        assert_eq!(matches("/2fa/devices/{}", "/2fa/devices/a/b"), None);
        assert_eq!(matches("/2fa/assets/**", "/2fa/assets/scripts/a.js"), Some("scripts/a.js"));
        assert_eq!(matches("/2fa/assets/**", "/2fa/assets/"), None);
    }

    #[test]
    fn a_user_may_be_called_as_a_path_is() {
        let find = |method, path| find("", false, &method, path).map_err(|missed| missed.problem.code());
        let imported = find(Method::POST, "/2fa/users/import/").map(|found| found.endpoint);
        assert_eq!(imported.ok(), Some(Endpoint::ImportUsers));
        let user = find(Method::GET, "/2fa/users/import/").map(|found| (found.endpoint, found.name));
        assert_eq!(user, Ok((Endpoint::UserStatus, Some("import".to_owned()))));
    }

    #[test]
    fn nothing_has_two_spellings() {
        assert_eq!(decoded("a%2Fb%c3%bc").as_deref(), Some("a/bü"));
        for bad in ["%zz", "%", "%2", "a%4", "%ff", "%%41"] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }
}
