//! Webhooks, signed as Standard Webhooks 1.0 says: `webhook-id`, `webhook-timestamp`, and `webhook-signature` with an HMAC-SHA-256 of
//! `id.timestamp.body` under each of the secrets, so that a receiver may change its secret without losing a message.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{StatusCode, Url};
use serde_json::json;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::reach::{GlobalOnly, is_global};
use super::{Deliver, Notice, Probe, Surroundings, Undelivered, client, retry_after};
use crate::audit::told;
use crate::http::rfc3339;
use crate::store::engine::Pending;

/// Bytes that a secret may have (Standard Webhooks, "Signature scheme").
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Most secrets at a time.
const MAX_SECRETS: usize = 4;

/// The secrets of a webhook, the newest first. Wiped when dropped, redacted in `Debug`.
#[derive(Clone)]
pub struct Secrets(Vec<Zeroizing<Vec<u8>>>);

impl Secrets {
    /// Reads a file: a secret a line, `whsec_` and base64. Empty lines and those that begin with `#` do not count.
    ///
    /// # Errors
    /// A sentence, without the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let secret = |(index, line): (usize, &str)| {
            let bytes =
                line.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok()).map(Zeroizing::new);
            bytes
                .filter(|bytes| SECRET_BYTES.contains(&bytes.len()))
                .ok_or_else(|| format!("secret {} must be `whsec_` and 24 to 64 bytes in base64", index + 1))
        };
        let secrets = lines.enumerate().map(secret).collect::<Result<Vec<_>, _>>()?;
        if !(1..=MAX_SECRETS).contains(&secrets.len()) {
            return Err(format!("there must be 1 to {MAX_SECRETS} secrets, one a line"));
        }
        Ok(Self(secrets))
    }

    fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let signature = |secret: &Zeroizing<Vec<u8>>| {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
            mac.update(format!("{id}.{timestamp}.").as_bytes());
            mac.update(body);
            Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
        };
        self.0.iter().filter_map(signature).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secrets({} redacted)", self.0.len())
    }
}

/// A URL that is told by POST.
pub struct Webhook {
    client: reqwest::Client,
    url: Url,
    secrets: Secrets,
}

impl Webhook {
    /// A webhook; `private` lets it reach addresses of this machine and its networks.
    ///
    /// # Errors
    /// A sentence: the URL is none, or leads where it must not.
    pub fn new(url: &str, secrets: Secrets, private: bool) -> Result<Self, String> {
        let url = Url::parse(url).map_err(|error| format!("`url` is none: {error}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("`url` must not have a user name or password in it".to_owned());
        }
        let host = url.host_str().unwrap_or_default();
        let literal = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let has_scheme =
            if private { matches!(url.scheme(), "https" | "http") } else { url.scheme() == "https" };
        if !has_scheme {
            return Err("`url` must begin with https:// (http:// only with `private = true`)".to_owned());
        }
        if !private && literal.is_ok_and(|address| !is_global(address)) {
            return Err(
                "`url` leads into this machine or its networks: say `private = true` if it is to".to_owned()
            );
        }
        let client = if private { client() } else { client().dns_resolver(Arc::new(GlobalOnly)) };
        let client = client.build().map_err(|error| format!("no HTTP client can be made: {error}"))?;
        Ok(Self { client, url, secrets })
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Some services put their secret into the path.
        formatter.debug_struct("Webhook").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

impl Deliver for Webhook {
    fn deliver<'a>(
        &'a self,
        notice: &'a Notice,
        with: &'a Surroundings<'a>,
    ) -> Pending<'a, Result<(), Undelivered>> {
        Box::pin(async move {
            let message = json!({ "type": notice.event, "timestamp": rfc3339(notice.at), "data": told(notice.sequence, &notice.entry) });
            let (body, timestamp) = (message.to_string(), with.now.as_secs());
            let request = self
                .client
                .post(self.url.clone())
                .header("content-type", "application/json")
                .header("webhook-id", &notice.id)
                .header("webhook-timestamp", timestamp)
                .header("webhook-signature", self.secrets.sign(&notice.id, timestamp, body.as_bytes()))
                .body(body);
            // What the receiver says besides its status is not read.
            let answer = request.send().await.map_err(Undelivered::by_client)?;
            judged(answer.status(), retry_after(&answer))
        })
    }

    /// Any answer but that of trouble will do: a receiver need not know HEAD, and nothing is signed that it could refuse.
    fn probe(&self) -> Option<Probe<'_>> {
        let answer = Box::pin(async move {
            let answer = self.client.head(self.url.clone()).send().await.map_err(Undelivered::by_client)?;
            match judged(answer.status(), None) {
                Ok(()) | Err(Undelivered::Refused { .. }) => Ok(()),
                unreachable => unreachable,
            }
        });
        Some(Probe { of: "webhook", settings: "`url` below `[notify.webhook]`", answer })
    }
}

/// 2xx is taken. What may pass (RFC 9110 §15.6, 408, 425, 429) is the destination's trouble, all else the message's.
fn judged(status: StatusCode, wait: Option<std::time::Duration>) -> Result<(), Undelivered> {
    let reason = format!("it answers {}", status.as_u16());
    match status {
        _ if status.is_success() => Ok(()),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Err(Undelivered::Unreachable { reason, wait })
        }
        _ if status.is_server_error() => Err(Undelivered::Unreachable { reason, wait }),
        _ => Err(Undelivered::Refused { reason }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn the_signature_is_that_of_the_specifications_example() {
        let secrets = Secrets::parse(SECRET).unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signature = secrets.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let two =
            Secrets::parse(&format!("# newest first\n{SECRET}\n\nwhsec_{}\n", STANDARD.encode([7; 32])))
                .unwrap();
        let signatures = two.sign("id", 1, body);
        assert_eq!(signatures.split(' ').filter(|part| part.starts_with("v1,")).count(), 2);
        assert_eq!(format!("{two:?}"), "Secrets(2 redacted)");
    }

    #[test]
    fn a_file_without_a_good_secret_is_refused_without_its_text() {
        for text in ["", "# none", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_%%%"] {
            let refused = Secrets::parse(text).unwrap_err();
            assert!(!refused.contains("c2hvcnQ") && !refused.contains("MfKQ"), "{refused}");
        }
    }

    #[test]
    fn a_url_leads_out_unless_it_may_lead_in() {
        let new = |url: &str, private| Webhook::new(url, Secrets::parse(SECRET).unwrap(), private);
        assert!(new("https://hooks.example/in", false).is_ok());
        for refused in [
            "http://hooks.example/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://169.254.169.254/latest/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://ann:secret@hooks.example/",
            "file:///etc/passwd",
            "hooks.example",
        ] {
            assert!(new(refused, false).is_err(), "{refused}");
        }
        assert!(new("http://127.0.0.1:9000/in", true).is_ok());
        assert!(new("ftp://127.0.0.1/", true).is_err());
        assert!(!format!("{:?}", new("https://hooks.example/T0/secret", false)).contains("secret"));
    }

    #[test]
    fn an_answer_is_taken_refused_or_tried_again() {
        let outcome = |status: u16| judged(StatusCode::from_u16(status).unwrap(), None);
        assert_eq!((outcome(200), outcome(204)), (Ok(()), Ok(())));
        for passing in [408, 425, 429, 500, 502, 503] {
            assert!(matches!(outcome(passing), Err(Undelivered::Unreachable { .. })), "{passing}");
        }
        for refused in [301, 400, 401, 404, 410, 413] {
            assert!(matches!(outcome(refused), Err(Undelivered::Refused { .. })), "{refused}");
        }
    }
}
