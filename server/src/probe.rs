//! By which way one request of `sidekey doctor` came: told to the operator who asked, and to nobody else.
//!
//! A marker is made on the control socket and is no secret. Only a marker that was made there is remembered, so nobody else fills
//! this memory. Nothing that is noted here is believed: what counts as a client's address is [`forwarded`]'s affair alone.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::entropy;
use crate::forwarded;

/// The header that carries a marker.
pub const MARKER: HeaderName = HeaderName::from_static("sidekey-doctor");
/// Markers that are remembered at once.
const MOST: usize = 8;
/// How long one is remembered.
const KEPT: Duration = Duration::from_mins(1);
/// Entries of `X-Forwarded-For` that are told, and characters of each: proxies write a few addresses.
const MOST_ENTRIES: usize = 32;
const MOST_CHARACTERS: usize = 64;

/// What a request said of its way here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The address that the connection came from.
    pub peer: IpAddr,
    /// Whether that is a trusted proxy.
    pub is_trusted: bool,
    /// The entries of `X-Forwarded-For`, from left to right.
    pub chain: Vec<Entry>,
}

/// An entry of `X-Forwarded-For`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// As it was sent, without space around it.
    pub text: String,
    /// What it is to this server.
    pub standing: Standing,
}

/// What an entry is to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The address of a trusted proxy.
    Trusted,
    /// Another address.
    Other,
    /// No address.
    NoAddress,
}

impl Seen {
    /// What a request from `peer` with these headers says to a server that trusts these proxies.
    pub fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let values = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let texts: Vec<_> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
        let entry = |text: &&str| Entry {
            text: text.chars().take(MOST_CHARACTERS).collect(),
            standing: match text.parse() {
                Ok(address) if forwarded::is_proxy(address, trusted) => Standing::Trusted,
                Ok(_) => Standing::Other,
                Err(_) => Standing::NoAddress,
            },
        };
        let from = texts.len().saturating_sub(MOST_ENTRIES);
        Self {
            peer: peer.to_canonical(),
            is_trusted: forwarded::is_proxy(peer, trusted),
            chain: texts.iter().skip(from).map(entry).collect(),
        }
    }
}

/// The markers of a running server, and the URL below which a request with one is to be sent.
#[derive(Debug)]
pub struct Probes {
    url: String,
    is_named: bool,
    markers: Mutex<VecDeque<Marker>>,
}

#[derive(Debug)]
struct Marker {
    text: String,
    made: Instant,
    seen: Option<Seen>,
}

impl Probes {
    /// `url`: the public URL with the base path; `is_named`: whether the operator has said so, or it is the address listened on.
    pub fn new(url: String, is_named: bool) -> Self {
        Self { url, is_named, markers: Mutex::default() }
    }

    /// The public URL with the base path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether the operator has named the public URL.
    pub fn is_named(&self) -> bool {
        self.is_named
    }

    /// Makes a marker.
    pub fn begin(&self, now: Instant) -> String {
        let text = HEXLOWER.encode(&entropy::random::<16>());
        let mut markers = self.current(now);
        if markers.len() >= MOST {
            markers.pop_front();
        }
        markers.push_back(Marker { text: text.clone(), made: now, seen: None });
        text
    }

    /// Notes the way of a request that carries a marker; of any other, nothing. The first one counts.
    pub fn note(&self, peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet], now: Instant) {
        let Some(text) = headers.get(&MARKER).and_then(|value| value.to_str().ok()) else { return };
        let mut markers = self.current(now);
        if let Some(marker) = markers.iter_mut().find(|marker| marker.text == text) {
            marker.seen.get_or_insert_with(|| Seen::of(peer, headers, trusted));
        }
    }

    /// Forgets a marker, and tells what was seen of it; `None`: no request has brought it here within a minute.
    pub fn end(&self, text: &str, now: Instant) -> Option<Seen> {
        let mut markers = self.current(now);
        let place = markers.iter().position(|marker| marker.text == text)?;
        markers.remove(place)?.seen
    }

    /// Those that are still remembered.
    fn current(&self, now: Instant) -> MutexGuard<'_, VecDeque<Marker>> {
        let mut markers = self.markers.lock().unwrap_or_else(PoisonError::into_inner);
        markers.retain(|marker| now.saturating_duration_since(marker.made) < KEPT);
        markers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 5));

    fn headers(marker: &str, chain: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(MARKER, marker.parse().unwrap());
        for value in chain {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        headers
    }

    fn probes() -> Probes {
        Probes::new("https://login.example".to_owned(), true)
    }

    #[test]
    fn what_a_request_says_is_told_once_with_what_the_server_makes_of_it() {
        let (probes, now) = (probes(), Clock::instant());
        let marker = probes.begin(now);
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        probes.note(PEER, &headers(&marker, &["203.0.113.7, unknown", "10.0.0.9"]), &trusted, now);
        probes.note(PEER, &headers(&marker, &[]), &[], now);
        let seen = probes.end(&marker, now).unwrap();
        let chain: Vec<_> = seen.chain.iter().map(|entry| (entry.text.as_str(), entry.standing)).collect();
        let expected = [
            ("203.0.113.7", Standing::Other),
            ("unknown", Standing::NoAddress),
            ("10.0.0.9", Standing::Trusted),
        ];
        assert_eq!((seen.peer, seen.is_trusted, chain.as_slice()), (PEER, true, &expected[..]));
        assert_eq!(probes.end(&marker, now), None);
    }

    #[test]
    fn a_marker_that_was_not_made_here_is_not_remembered() {
        let (probes, now) = (probes(), Clock::instant());
        probes.note(PEER, &headers("0123456789abcdef", &["203.0.113.7"]), &[], now);
        assert!(probes.markers.lock().unwrap().is_empty());
        assert_eq!(probes.end("0123456789abcdef", now), None);
    }

    #[test]
    fn a_few_markers_are_remembered_for_a_minute() {
        let (probes, now) = (probes(), Clock::instant());
        let first = probes.begin(now);
        let others: Vec<_> = (0..MOST).map(|_| probes.begin(now)).collect();
        assert_eq!(probes.markers.lock().unwrap().len(), MOST);
        for marker in others.iter().chain([&first]) {
            probes.note(PEER, &headers(marker, &[]), &[], now);
        }
        assert_eq!(probes.end(&first, now), None, "the oldest has made room");
        assert!(probes.end(&others[0], now + KEPT / 2).is_some());
        assert_eq!(probes.end(&others[1], now + KEPT), None);
    }

    #[test]
    fn what_is_told_has_a_limit() {
        let long = ["x".repeat(1_000), "10.0.0.1, ".repeat(100)].concat();
        let seen = Seen::of(PEER, &headers("a", &[&long]), &[]);
        assert_eq!(seen.chain.len(), MOST_ENTRIES);
        let seen = Seen::of(PEER, &headers("a", &["x".repeat(1_000).as_str()]), &[]);
        assert_eq!(seen.chain[0].text.len(), MOST_CHARACTERS);
    }
}
