//! Which addresses a webhook may reach: global ones, unless its settings say `private`.
//!
//! Whoever can name a URL must not be able to make the server speak to what only the server reaches. A name is resolved once for each
//! connection, what is not global is taken out, and the connection goes to what is left: so no second lookup can give another answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::LazyLock;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// What the IANA registries of special-purpose addresses (RFC 6890) say is not globally reachable, and multicast.
const NOT_GLOBAL: [&str; 30] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

static BLOCKS: LazyLock<Vec<IpNet>> =
    LazyLock::new(|| NOT_GLOBAL.iter().filter_map(|text| text.parse().ok()).collect());

/// Whether an address is globally reachable. One that carries an IPv4 address (mapped, compatible, NAT64, 6to4) is what that one is.
pub fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => !BLOCKS.iter().any(|block| block.contains(&address)),
        IpAddr::V6(wide) => match embedded(wide) {
            Some(narrow) => is_global(narrow.into()),
            None => !BLOCKS.iter().any(|block| block.contains(&address)),
        },
    }
}

fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let (high, low) = match address.segments() {
        // IPv4-mapped (RFC 4291 §2.5.5.2), NAT64 (RFC 6052 §2.1), 6to4 (RFC 3056 §2).
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => (high, low),
        // IPv4-compatible (RFC 4291 §2.5.5.1), but for `::` and `::1`.
        [0, 0, 0, 0, 0, 0, high, low] if (high, low) > (0, 1) => (high, low),
        _ => return None,
    };
    Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
}

/// Resolves names to global addresses only.
#[derive(Clone, Copy, Debug)]
pub struct GlobalOnly;

impl Resolve for GlobalOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let global: Vec<SocketAddr> = found.filter(|address| is_global(address.ip())).collect();
            if global.is_empty() {
                return Err("its name leads to no address that is reachable from everywhere".into());
            }
            Ok(Box::new(global.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_of_the_table_is_one() {
        assert_eq!(BLOCKS.len(), NOT_GLOBAL.len());
    }

    #[test]
    fn what_only_this_machine_or_its_network_reaches_is_not_global() {
        for local in [
            "127.0.0.1",
            "127.8.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "255.255.255.255",
            "224.0.0.1",
            "198.19.0.1",
            "::",
            "::1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2001:db8::1",
            "2001::1",
            "100::1",
        ] {
            assert!(!is_global(local.parse().unwrap()), "{local}");
        }
        for global in [
            "1.1.1.1",
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(is_global(global.parse().unwrap()), "{global}");
        }
    }

    #[tokio::test]
    async fn a_name_of_this_machine_leads_nowhere() {
        let refused = GlobalOnly.resolve("localhost".parse().unwrap()).await;
        assert!(refused.err().unwrap().to_string().contains("no address"));
    }
}
