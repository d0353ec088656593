//! Where an app lets its users be sent back to.

use std::fmt;

use http::Uri;
use serde::{Deserialize, Serialize};

/// Most URLs of one app.
const MAX_URLS: usize = 20;

/// Most bytes of all of them together: a record has room for no more.
const MAX_BYTES: usize = 2_000;

/// An absolute http or https URL, plain enough to be compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReturnUrl(String);

/// The URLs that an app has named. A session leads to one of them, exactly as it stands here, or nowhere: an application whose
/// URLs were taken by their beginning would lead wherever somebody finds an open redirect in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<ReturnUrl>", into = "Vec<ReturnUrl>")]
pub struct ReturnUrls(Vec<ReturnUrl>);

impl ReturnUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// It is none, or not plain: a sentence that says what it must be.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let url = Self::plain(text)?;
        let host = url.0.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
        // What `host-part` of the policy's `form-action` can say (CSP 3 §2.3.1): a browser would not follow a redirect to any other.
        let is_label = |label: &str| {
            !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if host.is_some_and(|host| host.split('.').all(is_label)) {
            Ok(url)
        } else {
            Err(
                "must have a host of letters, digits, hyphens and dots: the policy of the pages can name no other, and browsers would \
                 not follow",
            )
        }
    }

    /// What every stored URL is, also one from before hosts were looked at.
    fn plain(text: &str) -> Result<Self, &'static str> {
        if text.len() > MAX_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("must have at most 2,000 printable ASCII characters");
        }
        if text.contains('#') {
            return Err("must have no fragment");
        }
        // A user name in front of the host only serves to pass one host off as another.
        let is_web = text.parse::<Uri>().is_ok_and(|url| {
            matches!(url.scheme_str(), Some("http" | "https"))
                && url.authority().is_some_and(|host| !host.host().is_empty() && !host.as_str().contains('@'))
        });
        if is_web { Ok(Self(text.to_owned())) } else { Err("must be an absolute http or https URL") }
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ReturnUrls {
    /// A list of them, each once.
    ///
    /// # Errors
    /// It is too long: a sentence that says by which limit.
    pub fn new(mut urls: Vec<ReturnUrl>) -> Result<Self, &'static str> {
        let mut seen = std::collections::HashSet::new();
        urls.retain(|url| seen.insert(url.0.clone()));
        if urls.len() > MAX_URLS {
            return Err("must be at most 20 URLs");
        }
        if urls.iter().map(|url| url.0.len()).sum::<usize>() > MAX_BYTES {
            return Err("must have at most 2,000 characters together");
        }
        Ok(Self(urls))
    }

    /// Whether this very URL is in it.
    pub fn contains(&self, url: &ReturnUrl) -> bool {
        self.0.contains(url)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(ReturnUrl::as_str)
    }
}

impl TryFrom<String> for ReturnUrl {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        Self::plain(&text)
    }
}

impl From<ReturnUrl> for String {
    fn from(url: ReturnUrl) -> Self {
        url.0
    }
}

impl TryFrom<Vec<ReturnUrl>> for ReturnUrls {
    type Error = &'static str;

    fn try_from(urls: Vec<ReturnUrl>) -> Result<Self, &'static str> {
        Self::new(urls)
    }
}

impl From<ReturnUrls> for Vec<ReturnUrl> {
    fn from(urls: ReturnUrls) -> Self {
        urls.0
    }
}

impl fmt::Display for ReturnUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_web_addresses_are_return_urls() {
        for good in ["https://app.example/after", "http://127.0.0.1:3000/?a=b", "http://localhost:3000/"] {
            assert_eq!(ReturnUrl::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "/after",
            "app.example",
            "javascript:alert(1)",
            "ftp://app.example/",
            "https://",
            "https://app.example@evil.example/",
            "https://app.example/#after",
            "https://app.example/a b",
            "https://bücher.example/",
            "https://my_app.example/",
            "https://a,b/",
            "https://a;script-src/",
            "https://*.example/",
            "https://app.example./",
            "https://[::1]/",
        ] {
            assert!(ReturnUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_stored_url_is_read_whatever_its_host() {
        let read = |text: &str| ReturnUrl::try_from(text.to_owned());
        assert!(read("https://my_app.example/").is_ok() && read("https://[::1]/").is_ok());
        assert!(read("javascript:alert(1)").is_err());
    }

    #[test]
    fn a_list_has_each_once_and_is_limited_in_number_and_length() {
        let nth = |n: usize| ReturnUrl::parse(&format!("https://app.example/{n}")).unwrap();
        let twice = ReturnUrls::new(vec![nth(1), nth(1)]).unwrap();
        assert_eq!(twice.iter().collect::<Vec<_>>(), ["https://app.example/1"]);
        assert!(ReturnUrls::new((0..20).map(nth).collect()).is_ok());
        assert!(ReturnUrls::new((0..21).map(nth).collect()).is_err());
        let long = |n: u8| ReturnUrl::parse(&format!("https://app.example/{n}{}", "a".repeat(990))).unwrap();
        assert!(ReturnUrls::new(vec![long(1), long(2)]).is_err());
    }

    #[test]
    fn a_url_matches_byte_by_byte() {
        let of = |text| ReturnUrl::parse(text).unwrap();
        let list = ReturnUrls::new(vec![of("https://app.example/after")]).unwrap();
        assert!(list.contains(&of("https://app.example/after")));
        for other in [
            "https://app.example/after/",
            "https://app.example/after?x",
            "https://app.example/",
            "http://app.example/after",
            "https://APP.example/after",
        ] {
            assert!(!list.contains(&of(other)), "{other}");
        }
    }
}
