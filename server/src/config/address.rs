//! The public URL and the base path, in one canonical form each.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use http::Uri;

/// Where browsers reach the server: scheme, host, port if it is not the usual one, and the path that a proxy strips.
/// It never ends in `/`, so that paths can be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    text: String,
    origin_length: usize,
    host: String,
}

impl PublicUrl {
    /// Parses `https://host[:port][/path]`.
    ///
    /// # Errors
    /// A sentence about the setting `--public-url`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| format!("`--public-url` {why}: `{}`", text.escape_debug());
        if text.contains(['?', '#', '@', '\\']) {
            return Err(refuse("must not have a query, fragment, user name or backslash"));
        }
        let uri: Uri = text.parse().map_err(|_| refuse("is no URL"))?;
        let Some(scheme @ ("http" | "https")) = uri.scheme_str() else {
            return Err(refuse("must begin with https://"));
        };
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        if host.is_empty() {
            return Err(refuse("has no host"));
        }
        // Browsers leave the usual port out of `Origin`.
        let port = match (scheme, uri.port_u16()) {
            ("http", Some(80)) | ("https", Some(443)) | (_, None) => String::new(),
            (_, Some(port)) => format!(":{port}"),
        };
        let path = canonical_path(uri.path()).ok_or_else(|| refuse("has a path that is not canonical"))?;
        let origin = format!("{scheme}://{host}{port}");
        Ok(Self { origin_length: origin.len(), text: origin + &path, host })
    }

    /// `http://` and the address.
    pub fn of_address(address: SocketAddr) -> Self {
        let text = format!("http://{address}");
        let host = match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        Self { origin_length: text.len(), text, host }
    }

    /// The whole URL without a final `/`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The origin (RFC 6454): what a browser sends as `Origin` from one of our pages.
    pub fn origin(&self) -> &str {
        self.text.get(..self.origin_length).unwrap_or(&self.text)
    }

    /// The host, without its port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether the scheme is https.
    pub fn is_https(&self) -> bool {
        self.text.starts_with("https://")
    }

    /// Whether the host is this machine by definition (RFC 6761 section 6.3, RFC 1122 section 3.2.1.3, RFC 4291).
    pub fn is_loopback(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            Ok(ip) => ip.is_loopback(),
            Err(_) => bare == "localhost" || bare.ends_with(".localhost"),
        }
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// The prefix of every path of the server: empty, or `/segment` once or more, without a final `/`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BasePath(String);

impl BasePath {
    /// Parses a prefix; slashes at its ends may be left out or be there.
    ///
    /// # Errors
    /// A sentence about the setting `--base-path`.
    pub fn parse(text: &str) -> Result<Self, String> {
        canonical_path(text).map(Self).ok_or_else(|| {
            format!(
                "`--base-path` must consist of segments of letters, digits, `-`, `_` and `.`, such as /api, not `{}`",
                text.escape_debug()
            )
        })
    }

    /// The prefix, for example `/api`, or nothing.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BasePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A leading slash, no final one; segments of characters that no proxy or browser rewrites.
fn canonical_path(text: &str) -> Option<String> {
    if matches!(text, "" | "/") {
        return Some(String::new());
    }
    let inner = text.strip_prefix('/').unwrap_or(text);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    let canonical = |segment: &str| {
        !segment.is_empty() && segment != "." && segment != ".." && segment.chars().all(plain)
    };
    inner.split('/').all(canonical).then(|| format!("/{inner}"))
}
