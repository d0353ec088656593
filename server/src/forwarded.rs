//! The client's address behind proxies: `X-Forwarded-For` is believed from configured proxies only, right to left.

use std::net::IpAddr;

use http::HeaderMap;
use ipnet::IpNet;

/// The address of the client: the peer itself, unless it is a trusted proxy; then the last address that no trusted proxy has.
pub fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
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

#[cfg(test)]
mod tests {
    use super::*;

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
