//! `[tracing]`: where traces go (see [`crate::telemetry`]). In the file only.
//!
//! ```toml
//! [tracing]
//! otlp_endpoint = "http://127.0.0.1:4318/v1/traces"  # OTLP as protobuf over HTTP
//! sample = 0.1                                       # of the traces that begin here, this part; default: all
//! traceparent_from = ["10.0.0.5"]                    # peers whose `traceparent` goes on here; default: nobody's
//! ```

use ipnet::IpNet;
use reqwest::Url;
use serde::{Deserialize, Serialize};

/// The settings as they are typed.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TracingSettings {
    otlp_endpoint: String,
    sample: Option<f64>,
    #[serde(default)]
    traceparent_from: Vec<String>,
}

/// Where traces go, and whose are gone on with.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracing {
    /// The collector.
    pub endpoint: Url,
    /// Which part of the traces that begin here is told, 0 to 1.
    pub sample: f64,
    /// Peers that may say of which trace a request is part.
    pub traceparent_from: Vec<IpNet>,
}

impl TracingSettings {
    /// Reads them.
    ///
    /// # Errors
    /// All mistakes, one sentence each.
    pub(super) fn read(&self) -> Result<Tracing, Vec<String>> {
        let mut mistakes = Vec::new();
        let endpoint = Url::parse(&self.otlp_endpoint).ok().filter(is_collector);
        if endpoint.is_none() {
            mistakes.push(
                "`[tracing]` `otlp_endpoint` must be an http or https URL without a user name, such as \
                 http://127.0.0.1:4318/v1/traces"
                    .to_owned(),
            );
        }
        let sample = self.sample.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&sample) {
            mistakes.push("`[tracing]` `sample` must be from 0 to 1".to_owned());
        }
        let mut traceparent_from = Vec::new();
        for text in &self.traceparent_from {
            match super::parse_network(text) {
                Some(network) => traceparent_from.push(network),
                None => mistakes.push(format!(
                    "`[tracing]` `traceparent_from`: `{}` is neither an address nor a block such as 10.0.0.0/8",
                    text.escape_debug()
                )),
            }
        }
        match endpoint {
            Some(endpoint) if mistakes.is_empty() => Ok(Tracing { endpoint, sample, traceparent_from }),
            _ => Err(mistakes),
        }
    }
}

fn is_collector(url: &Url) -> bool {
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    matches!(url.scheme(), "http" | "https") && url.has_host() && is_plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Tracing, Vec<String>> {
        toml::from_str::<TracingSettings>(text).unwrap().read()
    }

    #[test]
    fn a_collector_is_read_and_nobody_is_believed_who_is_not_named() {
        let read = read("otlp_endpoint = \"http://127.0.0.1:4318/v1/traces\"").unwrap();
        assert_eq!(read.endpoint.as_str(), "http://127.0.0.1:4318/v1/traces");
        assert!(read.traceparent_from.is_empty() && (read.sample - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn every_mistake_is_named() {
        let bad =
            "otlp_endpoint = \"ftp://x/\"\nsample = 1.5\ntraceparent_from = [\"proxy\", \"10.0.0.0/8\"]";
        let mistakes = read(bad).unwrap_err();
        for (mistake, expected) in mistakes.iter().zip(["otlp_endpoint", "sample", "`proxy`"]) {
            assert!(mistake.contains(expected), "{mistakes:?}");
        }
        assert_eq!(mistakes.len(), 3);
        for url in ["http://ann:geheim@collector/", "collector:4318", ""] {
            let mistakes = read(&format!("otlp_endpoint = \"{url}\"")).unwrap_err();
            assert!(!mistakes[0].contains("geheim"), "{mistakes:?}");
        }
    }
}
