//! Entity tags (RFC 9110 §8.8.3): what a browser holds already is not sent again.

use data_encoding::HEXLOWER;
use http::{HeaderMap, header};

/// The tag of a content by its hash or a part of it.
pub(crate) fn entity_tag(hash: &[u8]) -> String {
    format!("\"{}\"", HEXLOWER.encode(hash))
}

/// Whether `If-None-Match` names the content with this tag, or any. The weak comparison of §13.1.2: a proxy that compresses makes a tag weak.
pub(crate) fn is_held(headers: &HeaderMap, tag: &str) -> bool {
    let lines = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    let mut tags = lines.flat_map(|line| line.split(',')).map(str::trim);
    tags.any(|held| held == "*" || held.strip_prefix("W/").unwrap_or(held) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_among_others_weak_or_strong() {
        let tag = entity_tag(&[0xab, 1]);
        assert_eq!(tag, "\"ab01\"");
        let held = |line: &str| {
            let headers = [(header::IF_NONE_MATCH, line.parse().unwrap())].into_iter().collect();
            is_held(&headers, &tag)
        };
        assert!(held("\"ab01\"") && held("\"x\", W/\"ab01\"") && held("*"));
        assert!(!held("\"ab02\"") && !held("ab01") && !held(""));
        assert!(!is_held(&HeaderMap::new(), &tag));
    }
}
