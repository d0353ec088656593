//! Syslog: messages as RFC 5424 writes them, in datagrams over UDP (RFC 5426) or to a socket of this machine, or over TCP with their length before
//! them (RFC 6587 §3.4.1). None of these says whether a message was taken: what the network loses after it has left is lost.

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use sidekey_core::event::Event;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UdpSocket, UnixDatagram, lookup_host};

use super::{Deliver, Notice, Surroundings, TIME_LIMIT, Undelivered, one_line};
use crate::audit::{Outcome, outcome};
use crate::http::rfc3339;
use crate::store::engine::Pending;

/// "security/authorization messages", kept from other users (RFC 5424 §6.2.1, table 1: 10).
const AUTHPRIV: u8 = 10;
/// Severities (RFC 5424 §6.2.1, table 2).
const WARNING: u8 = 4;
const NOTICE: u8 = 5;
const INFORMATIONAL: u8 = 6;
/// The number in the name of our structured data, unless one has one's own (RFC 5424 §7.2.2): the one for examples (RFC 5612).
pub const ENTERPRISE: u32 = 32_473;
/// Longest HOSTNAME and MSGID (RFC 5424 §6).
const MAX_HOSTNAME: usize = 255;
const MAX_MSGID: usize = 32;

/// Where messages go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Collector {
    /// `udp://host:514`
    Udp(String),
    /// `tcp://host:601`
    Tcp(String),
    /// `unix:///dev/log`
    Unix(PathBuf),
}

impl Collector {
    /// Reads an address.
    ///
    /// # Errors
    /// A sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let host = |rest: &str| {
            let (name, port) = rest.rsplit_once(':')?;
            let is_name = !name.is_empty()
                && !name.contains(['/', '@', '?', '#'])
                && !name.contains(char::is_whitespace);
            // An IPv6 address has colons of its own and stands in brackets.
            let is_whole = !name.contains(':') || name.starts_with('[') && name.ends_with(']');
            (is_name && is_whole && port.parse::<u16>().is_ok_and(|port| port > 0)).then(|| rest.to_owned())
        };
        let found = match text.split_once("://") {
            Some(("udp", rest)) => host(rest).map(Self::Udp),
            Some(("tcp", rest)) => host(rest).map(Self::Tcp),
            Some(("unix", path)) if path.starts_with('/') => Some(Self::Unix(path.into())),
            _ => None,
        };
        found.ok_or_else(|| "`address` must be udp://HOST:PORT, tcp://HOST:PORT or unix:///PATH".to_owned())
    }

    async fn send(&self, message: &str) -> io::Result<()> {
        match self {
            Self::Udp(host) => {
                let to = lookup_host(host).await?.next().ok_or(io::ErrorKind::NotFound)?;
                let any: SocketAddr = match to {
                    SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                    SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
                };
                UdpSocket::bind(any).await?.send_to(message.as_bytes(), to).await?;
            }
            Self::Tcp(host) => {
                let mut stream = TcpStream::connect(host).await?;
                stream.write_all(format!("{} {message}", message.len()).as_bytes()).await?;
                stream.shutdown().await?;
            }
            Self::Unix(path) => {
                UnixDatagram::unbound()?.send_to(message.as_bytes(), path).await?;
            }
        }
        Ok(())
    }
}

/// A collector of syslog messages.
pub struct Syslog {
    collector: Collector,
    enterprise: u32,
    hostname: String,
}

impl Syslog {
    /// A collector; `enterprise` is a private enterprise number of the IANA.
    pub fn new(collector: Collector, enterprise: u32) -> Self {
        let hostname = hostname::get().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
        Self { collector, enterprise, hostname: printable(&hostname, MAX_HOSTNAME).into_owned() }
    }

    /// SYSLOG-MSG (RFC 5424 §6).
    fn message(&self, notice: &Notice) -> String {
        let priority = AUTHPRIV * 8 + severity(notice);
        let (at, process) = (rfc3339(notice.at), std::process::id());
        let (host, id) = (&self.hostname, printable(&notice.event, MAX_MSGID));
        let mut message =
            format!("<{priority}>1 {at} {host} sidekey {process} {id} [sidekey@{}", self.enterprise);
        let member = |name: &str| notice.entry.get(name).and_then(serde_json::Value::as_str);
        let sequence = notice.sequence.to_string();
        for (name, value) in [
            ("sequence", Some(sequence.as_str())),
            ("event", Some(notice.event.as_str())),
            ("app", notice.app.as_deref()),
            ("user", notice.user.as_deref()),
            ("address", member("ip_address")),
            ("request", member("request_id")),
        ] {
            if let Some(value) = value {
                // Writing to a string cannot fail.
                let _ = write!(message, " {name}=\"{}\"", escaped(value));
            }
        }
        let text = notice.text().replace('\n', "; ");
        // UTF-8 is said to be so (§6.4, MSG-UTF8).
        let mark = if text.is_ascii() { "" } else { "\u{feff}" };
        let _ = write!(message, "] {mark}{text}");
        message
    }
}

impl fmt::Debug for Syslog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Syslog").field("collector", &self.collector).finish_non_exhaustive()
    }
}

impl Deliver for Syslog {
    fn deliver<'a>(
        &'a self,
        notice: &'a Notice,
        _: &'a Surroundings<'a>,
    ) -> Pending<'a, Result<(), Undelivered>> {
        Box::pin(async move {
            let message = self.message(notice);
            let unreachable = |reason| Undelivered::Unreachable { reason, wait: None };
            match tokio::time::timeout(TIME_LIMIT, self.collector.send(&message)).await {
                Ok(sent) => sent.map_err(|error| unreachable(error.to_string())),
                Err(_) => Err(unreachable(format!("no connection in {} s", TIME_LIMIT.as_secs()))),
            }
        })
    }
}

/// What was refused is a warning, what happens to the server worth a notice, all else information.
fn severity(notice: &Notice) -> u8 {
    let event = notice.entry.get("event").cloned().unwrap_or_default();
    match serde_json::from_value::<Event>(event).map(|event| outcome(&event)) {
        Ok(Outcome::Refused) => WARNING,
        Ok(Outcome::Ok) => INFORMATIONAL,
        Err(_) => NOTICE,
    }
}

/// PARAM-VALUE (RFC 5424 §6.3.3): `"`, `\` and `]` are escaped.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in one_line(value).chars() {
        if matches!(c, '"' | '\\' | ']') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

/// A field of the header: printable ASCII, or the nil value (RFC 5424 §6).
fn printable(text: &str, max: usize) -> Cow<'_, str> {
    let is_field = (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    Cow::Borrowed(if is_field { text } else { "-" })
}

#[cfg(test)]
mod tests {
    use sidekey_core::login::Method;

    use super::*;
    use crate::notify::testing::entry;

    fn syslog() -> Syslog {
        Syslog {
            collector: Collector::Unix("/dev/log".into()),
            enterprise: ENTERPRISE,
            hostname: "host".to_owned(),
        }
    }

    fn notice(user: &str, event: &Event) -> Notice {
        Notice::read(&[7; 16], 41, &entry(user, 1_790_000_000, event)).unwrap()
    }

    #[test]
    fn a_message_is_that_of_the_rfc() {
        let notice = notice("ann", &Event::AccountLocked);
        let request = notice.entry["request_id"].as_str().unwrap().to_owned();
        let process = std::process::id();
        assert_eq!(
            syslog().message(&notice),
            format!(
                "<84>1 2026-09-21T14:13:20Z host sidekey {process} account_locked [sidekey@32473 sequence=\"41\" event=\"account_locked\" \
                 app=\"shop\" user=\"ann\" address=\"203.0.113.7\" request=\"{request}\"] account locked: ann of shop; \
                 2026-09-21T14:13:20Z; from 203.0.113.7; Firefox"
            )
        );
    }

    #[test]
    fn what_a_user_is_called_ends_no_value_and_no_line() {
        let message = syslog().message(&notice("a\"] b\\ [x@1 ü", &Event::AccountLocked));
        assert!(message.contains(r#" user="a\"\] b\\ [x@1 ü" address="#), "{message}");
        assert!(message.contains("] \u{feff}account locked"), "{message}");
        let mut hostile = notice("ann", &Event::AccountLocked);
        hostile.user = Some("a\n<0>1 - - - - - -\r\0".to_owned());
        assert!(!syslog().message(&hostile).contains(char::is_control));
    }

    #[test]
    fn a_refusal_is_a_warning_and_other_things_are_not() {
        let of = |event: &Event| severity(&notice("ann", event));
        assert_eq!(of(&Event::AnswerRefused { method: Method::Otp, replayed: false }), WARNING);
        assert_eq!(of(&Event::BackupCodesRenewed), INFORMATIONAL);
        let server = br#"{"at": 1790000000, "event": {"type": "app_created"}}"#;
        assert_eq!(severity(&Notice::read(&[7; 16], 1, server).unwrap()), NOTICE);
    }

    #[test]
    fn an_address_names_its_transport() {
        assert_eq!(Collector::parse("unix:///dev/log"), Ok(Collector::Unix("/dev/log".into())));
        assert_eq!(Collector::parse("udp://[::1]:514"), Ok(Collector::Udp("[::1]:514".to_owned())));
        assert_eq!(
            Collector::parse("tcp://log.example:601"),
            Ok(Collector::Tcp("log.example:601".to_owned()))
        );
        for text in [
            "",
            "log.example:514",
            "udp://log.example",
            "udp://:514",
            "udp://::1:514",
            "tcp://log.example:0",
            "tcp://a b:601",
            "tcp://log.example:601/x",
            "unix://dev/log",
            "tls://log.example:6514",
        ] {
            assert!(Collector::parse(text).is_err(), "{text}");
        }
    }
}
