//! The way from the public URL to the server: one request is sent along it, and the server says what it saw of the proxies.

use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;

use super::{Finding, Level};
use crate::control::{Command, Reply, socket};
use crate::probe::{Entry, MARKER, Seen, Standing};

const CHECK: &str = "proxies";
/// For the whole request: a way that takes longer is none.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// Both are for everybody. A proxy that passes on what browsers and applications need passes on the second alone.
const PATHS: [&str; 2] = ["/livez", "/.well-known/jwks.json"];
const ONE_ADDRESS: &str = "every client behind it looks like one address";

/// Sends a request to `/livez` below the public URL, and to the key set where a proxy does not let that through; judges the way by which
/// it came. `given`: the trusted proxies of the settings at hand, which the running server may have been started without. `None`: no
/// server runs, which is another finding.
pub async fn look(data: &Path, given: &[IpNet]) -> Option<Finding> {
    let mut answers = Vec::new();
    for path in PATHS {
        let begun = socket::ask(data, &Command::BeginProbe, &mut |_| Ok(())).await;
        let (marker, url, is_named) = match begun {
            Ok(Some(Reply::ProbeBegun { marker, url, is_named })) => (marker, url, is_named),
            Ok(None) => return None,
            Ok(Some(_)) | Err(_) => {
                return Some(Finding::untold(CHECK, "The running server does not say what it sees of them."));
            }
        };
        let status = match send(&url, path, &marker).await {
            Ok(status) => status,
            Err(why) => {
                let found = format!("The public URL is not reached from here: {why} (`{url}{path}`).");
                return Some(Finding::untold(CHECK, format!("{found} What proxies say is not known.")));
            }
        };
        answers.push(format!("`{url}{path}` with status {status}"));
        let ended = socket::ask(data, &Command::EndProbe { marker }, &mut |_| Ok(())).await;
        let Ok(Some(Reply::ProbeEnded { seen })) = ended else { return None };
        if let Some(seen) = seen {
            return Some(judged(&seen, &Public { url: &url, is_named }, given));
        }
    }
    Some(Finding::bad(
        CHECK,
        Level::Note,
        format!("{} were answered, and neither request came to this server.", answers.join(" and ")),
        "See where the public URL leads: to another server of this store, to a page of the proxy, or elsewhere.",
    ))
}

/// The status of the answer, or why there is none. No proxy of the environment is used: the way of clients is looked at.
async fn send(url: &str, path: &str, marker: &str) -> Result<u16, String> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIME_LIMIT)
        .user_agent(concat!("sidekey/", env!("CARGO_PKG_VERSION")))
        .build();
    // The query is for caches alone, which have no answer for it.
    let sent = async { client?.get(format!("{url}{path}?{marker}")).header(MARKER, marker).send().await };
    sent.await.map(|answer| answer.status().as_u16()).map_err(|error| {
        let error = error.without_url();
        let mut deepest: &dyn std::error::Error = &error;
        while let Some(cause) = deepest.source() {
            deepest = cause;
        }
        deepest.to_string()
    })
}

/// Where clients are told to go.
struct Public<'a> {
    url: &'a str,
    /// Whether the operator has said so, or it is the address listened on.
    is_named: bool,
}

/// What the way of a request that said nothing of itself tells of the proxies on it.
fn judged(seen: &Seen, public: &Public<'_>, given: &[IpNet]) -> Finding {
    let peer = seen.peer;
    // The server itself speaks no TLS.
    let is_proxied = public.url.starts_with("https://") || !seen.chain.is_empty();
    if !seen.is_trusted {
        return if is_proxied {
            Finding::bad(
                CHECK,
                Level::Problem,
                format!(
                    "The request came through {peer}, which is not among the trusted proxies: {ONE_ADDRESS}."
                ),
                trust(&peer.to_string(), given),
            )
        } else {
            Finding::good(CHECK, format!("A request came straight from {peer}, through no proxy."))
        };
    }
    // A client of the same machine may have the address of a trusted proxy: without a public URL, none is known to be there.
    if seen.chain.is_empty() && !is_proxied && !public.is_named {
        return Finding::good(CHECK, format!("A request came straight from {peer}, through no proxy."));
    }
    let Some(first) = seen.chain.first() else {
        return Finding::bad(
            CHECK,
            Level::Problem,
            format!(
                "There was no `X-Forwarded-For` although the request came through {peer}, a trusted proxy: {ONE_ADDRESS}."
            ),
            "Let the proxy add it; in nginx: `proxy_set_header X-Forwarded-For $remote_addr;`.",
        );
    };
    // As `forwarded::client` reads them. This request named no address itself: whoever stands right of the first entry is a proxy.
    let stop = seen.chain.iter().enumerate().rev().find(|(_, entry)| entry.standing != Standing::Trusted);
    match stop {
        Some((_, Entry { text, standing: Standing::NoAddress })) => Finding::bad(
            CHECK,
            Level::Problem,
            format!(
                "`X-Forwarded-For` came with `{}`, which is no address, so that nothing left of it counts: {ONE_ADDRESS}.",
                text.escape_debug()
            ),
            "Let the proxy write plain addresses, without a port or a name.",
        ),
        Some((1.., Entry { text, .. })) => Finding::bad(
            CHECK,
            Level::Problem,
            format!(
                "Before {peer} the request came through {text}, which is not among the trusted proxies: {ONE_ADDRESS}."
            ),
            trust(text, given),
        ),
        _ => Finding::good(
            CHECK,
            format!(
                "A request came through {peer}, a trusted proxy; its client is taken to be {}.",
                first.text
            ),
        ),
    }
}

/// How a proxy becomes a trusted one.
fn trust(address: &str, given: &[IpNet]) -> String {
    let is_given = address.parse().is_ok_and(|address| crate::forwarded::is_proxy(address, given));
    if is_given {
        return "These settings name it, and the server was started without them: restart it.".to_owned();
    }
    format!(
        "If it is a proxy of yours, set `--trusted-proxy {address}` (`trusted_proxies`), and restart the server."
    )
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    const PUBLIC: Public<'_> = Public { url: "https://login.example", is_named: true };
    const STRAIGHT: Public<'_> = Public { url: "http://127.0.0.1:8080", is_named: false };

    fn of(peer: &str, chain: &str, trusted: &[&str], public: &Public<'_>, given: &[&str]) -> Finding {
        let networks = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
        let mut headers = HeaderMap::new();
        if !chain.is_empty() {
            headers.insert("x-forwarded-for", chain.parse().unwrap());
        }
        judged(&Seen::of(peer.parse().unwrap(), &headers, &networks(trusted)), public, &networks(given))
    }

    #[test]
    fn a_proxy_that_is_not_trusted_is_named_with_the_setting_that_trusts_it() {
        for (chain, public) in [("203.0.113.7", &PUBLIC), ("", &PUBLIC), ("203.0.113.7", &STRAIGHT)] {
            let finding = of("10.0.0.5", chain, &["10.0.0.4/32"], public, &[]);
            assert_eq!(finding.level, Level::Problem);
            assert!(finding.found.contains("through 10.0.0.5, which is not among"), "{finding:?}");
            assert!(finding.remedy.unwrap().contains("`--trusted-proxy 10.0.0.5`"));
        }
        let restart = of("10.0.0.5", "203.0.113.7", &[], &PUBLIC, &["10.0.0.0/8"]);
        assert!(restart.remedy.unwrap().contains("restart it"));
    }

    #[test]
    fn a_proxy_before_the_trusted_one_is_named_too() {
        let finding = of("10.0.0.5", "203.0.113.7, 10.1.0.9", &["10.0.0.5/32"], &PUBLIC, &[]);
        assert_eq!(finding.level, Level::Problem);
        assert!(
            finding.found.starts_with("Before 10.0.0.5 the request came through 10.1.0.9"),
            "{finding:?}"
        );
        assert!(finding.remedy.unwrap().contains("`--trusted-proxy 10.1.0.9`"));
        let trusted = of("10.0.0.5", "203.0.113.7, 10.1.0.9", &["10.0.0.0/8"], &PUBLIC, &[]);
        assert_eq!(trusted.level, Level::Good);
        assert!(trusted.found.contains("taken to be 203.0.113.7"), "{trusted:?}");
    }

    #[test]
    fn a_trusted_proxy_has_to_say_for_whom_it_speaks() {
        let silent = of("10.0.0.5", "", &["10.0.0.5/32"], &PUBLIC, &[]);
        assert_eq!(silent.level, Level::Problem);
        assert!(silent.found.starts_with("There was no `X-Forwarded-For`"), "{silent:?}");
        for chain in ["203.0.113.7:4711", "203.0.113.7, unknown, 10.0.0.5"] {
            let finding = of("10.0.0.5", chain, &["10.0.0.5/32"], &PUBLIC, &[]);
            assert_eq!(finding.level, Level::Problem);
            assert!(finding.found.contains("which is no address"), "{finding:?}");
        }
        // A client that has the address of a trusted proxy itself.
        assert_eq!(of("127.0.0.1", "127.0.0.1", &["127.0.0.1/32"], &PUBLIC, &[]).level, Level::Good);
    }

    #[test]
    fn no_proxy_is_fine_where_none_is_known() {
        for trusted in [&[][..], &["127.0.0.1/32"]] {
            let finding = of("127.0.0.1", "", trusted, &STRAIGHT, &[]);
            assert_eq!(finding.level, Level::Good);
            assert!(finding.found.contains("straight from 127.0.0.1"), "{finding:?}");
        }
    }
}
