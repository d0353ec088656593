//! What proxies say of a request, believed from configured proxies only: the client's address (`X-Forwarded-For`, right to left), and a
//! request that is held back until we have said whether it may pass.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;
use sidekey_core::protect::{Request, path::CanonicalPath};

/// Whether the peer itself is one of the configured proxies.
pub fn is_proxy(peer: IpAddr, trusted: &[IpNet]) -> bool {
    let peer = peer.to_canonical();
    trusted.iter().any(|network| network.contains(&peer))
}

/// The address of the client: the peer itself, unless it is a trusted proxy; then the last address that no trusted proxy has.
pub fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| is_proxy(*address, trusted);
    let peer = peer.to_canonical();
    if !is_trusted(&peer) {
        return peer;
    }
    let values: Vec<&str> =
        headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    let mut client = peer;
    for text in values.join(",").rsplit(',') {
        // What is no address was not written by a proxy of ours: everything to its left is hearsay.
        let Ok(address) = text.trim().parse::<IpAddr>() else { break };
        client = address.to_canonical();
        if !is_trusted(&client) {
            break;
        }
    }
    client
}

/// A request that a proxy holds back, in the one form that nobody can read in another way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    method: String,
    host: String,
    path: CanonicalPath,
    target: String,
}

impl Held {
    /// What `X-Forwarded-Method`, `X-Forwarded-Host` and `X-Forwarded-Uri` say: nginx as it is told to, Traefik and Caddy
    /// by themselves.
    ///
    /// # Errors
    /// One of them is missing, stands twice, or could be read in two ways: a sentence.
    pub fn of_headers(headers: &HeaderMap) -> Result<Self, String> {
        let method = once(headers, &HeaderName::from_static("x-forwarded-method"))?;
        let host = once(headers, &HeaderName::from_static("x-forwarded-host"))?;
        Self::read(method, host, once(headers, &HeaderName::from_static("x-forwarded-uri"))?)
    }

    /// What the request for our answer says itself: Envoy sends it with the method, host and, below a prefix, the target of the one that it holds
    /// back.
    ///
    /// # Errors
    /// As for headers.
    pub fn of_request(method: &str, headers: &HeaderMap, target: &str) -> Result<Self, String> {
        Self::read(method, once(headers, &header::HOST)?, target)
    }

    /// Reads the three.
    ///
    /// # Errors
    /// One of them could be read in two ways: a sentence.
    pub fn read(method: &str, host: &str, target: &str) -> Result<Self, String> {
        // Methods are case-sensitive (RFC 9110 §9.1), and there are frameworks to which they are not.
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') {
            return Err("the method must be one in capital letters".to_owned());
        }
        let host = canonical_host(host).ok_or("the host must be one name or address")?;
        if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("the target must be printable ASCII".to_owned());
        }
        let path = CanonicalPath::parse(target).map_err(|error| error.to_string())?;
        Ok(Self { method: method.to_owned(), host, path, target: target.to_owned() })
    }

    /// As the rules ask about it.
    pub fn as_request(&self) -> Request<'_> {
        Request { host: &self.host, method: &self.method, path: &self.path }
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        &self.target
    }
}

/// The value of a header that stands there once: of two, the proxy may mean one and somebody else the other.
fn once<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h str, String> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    let value = first.ok_or_else(|| format!("the proxy must set the header `{name}`"))?;
    if second.is_some() {
        return Err(format!("the header `{name}` stands twice: the proxy must replace what a client sends"));
    }
    value.to_str().map_err(|_| format!("the header `{name}` must be printable ASCII"))
}

/// In lower case, without a port and without the dot of the root.
fn canonical_host(text: &str) -> Option<String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            (format!("[{address}]"), after.strip_prefix(':').or_else(|| after.is_empty().then_some("")))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host.to_owned(), Some(port)),
            None => (text.to_owned(), Some("")),
        },
    };
    if !port?.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let name = host.strip_suffix('.').unwrap_or(&host);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
    (!name.is_empty() && !name.starts_with('.') && !name.contains("..") && name.bytes().all(is_plain))
        .then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(lines: &[(&'static str, &str)]) -> Result<Held, String> {
        let headers =
            lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        Held::of_headers(&headers.collect())
    }

    const METHOD: (&str, &str) = ("x-forwarded-method", "GET");
    const HOST: (&str, &str) = ("x-forwarded-host", "App.Example:8443");
    const TARGET: (&str, &str) = ("x-forwarded-uri", "/a/b?c=//..");

    #[test]
    fn a_held_request_is_read_from_three_headers() {
        let held = held(&[METHOD, HOST, TARGET]).unwrap();
        let request = held.as_request();
        assert_eq!((request.method, request.host, request.path.as_str()), ("GET", "app.example", "/a/b"));
        assert_eq!(held.target(), "/a/b?c=//..");
    }

    #[test]
    fn a_header_that_is_missing_or_stands_twice_is_named() {
        for (lines, name) in [
            (&[HOST, TARGET][..], "method"),
            (&[METHOD, TARGET], "host"),
            (&[METHOD, HOST], "uri"),
            (&[METHOD, METHOD, HOST, TARGET], "method"),
            (&[METHOD, HOST, HOST, TARGET], "host"),
            (&[METHOD, HOST, TARGET, TARGET], "uri"),
        ] {
            assert!(held(lines).unwrap_err().contains(&format!("x-forwarded-{name}")), "{lines:?}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (method, host, target) in [
            ("get", "a.example", "/"),
            ("", "a.example", "/"),
            ("GET, POST", "a.example", "/"),
            ("GET", "", "/"),
            ("GET", "a.example, b.example", "/"),
            ("GET", "a.example:x", "/"),
            ("GET", "a@b", "/"),
            ("GET", "a..example", "/"),
            ("GET", "[::1", "/"),
            ("GET", "[x]", "/"),
            ("GET", "a.example", "/a/../b"),
            ("GET", "a.example", "/a%2fb"),
            ("GET", "a.example", "/%252e"),
            ("GET", "a.example", "//evil.example/"),
            ("GET", "a.example", "https://a.example/"),
            ("GET", "a.example", "/a?b c"),
        ] {
            assert!(Held::read(method, host, target).is_err(), "{method} {host} {target}");
        }
        for (host, read) in [("A.example.", "a.example"), ("[::1]:80", "[::1]"), ("10.0.0.1:80", "10.0.0.1")]
        {
            assert_eq!(Held::read("GET", host, "/").unwrap().as_request().host, read);
        }
    }

    fn client_of(peer: &str, header: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", header.parse().unwrap());
        client(peer.parse().unwrap(), &headers, &["10.0.0.0/8".parse().unwrap()]).to_string()
    }

    #[test]
    fn only_configured_proxies_are_believed() {
        assert_eq!(client_of("203.0.113.7", "198.51.100.1"), "203.0.113.7");
        assert_eq!(client_of("10.0.0.1", "198.51.100.1"), "198.51.100.1");
        assert_eq!(client_of("::ffff:10.0.0.1", "198.51.100.1"), "198.51.100.1");
    }

    #[test]
    fn the_rightmost_address_that_is_not_a_proxy_counts() {
        assert_eq!(client_of("10.0.0.1", "1.1.1.1, 198.51.100.1, 10.0.0.2"), "198.51.100.1");
        assert_eq!(client_of("10.0.0.1", "1.1.1.1, nonsense, 10.0.0.2"), "10.0.0.2");
        assert_eq!(client_of("10.0.0.1", "10.0.0.3"), "10.0.0.3");
    }
}
