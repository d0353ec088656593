//! Traces (OpenTelemetry), where `[tracing]` names a collector: a span for each request, and in it for finding out who calls, for the
//! transaction and for its commit; and one for each delivery of the outbox.
//!
//! They are spans of `tracing` with a target of their own, [`SPANS`], which the log never sees and which cost nothing where no collector is
//! named. They say the route's pattern, the status and names of destinations and events: no user, no address, no path, no token. Nothing that is
//! logged becomes part of a trace.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::{Layer, Registry};

use crate::config::Tracing;
use crate::forwarded;

/// The target of every span that is part of a trace.
pub const SPANS: &str = "sidekey::trace";

/// For one delivery to the collector.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// For what is left when the server stops.
const LAST: Duration = Duration::from_secs(3);

/// Traces on their way to the collector.
pub struct Telemetry {
    provider: SdkTracerProvider,
    runtime: Arc<OnceLock<Handle>>,
}

impl Telemetry {
    /// Traces to this collector. Nothing leaves before [`Self::runs_on`].
    ///
    /// # Errors
    /// A sentence.
    pub fn to(settings: &Tracing) -> Result<Self, String> {
        let unusable = |error: &dyn fmt::Display| format!("traces cannot be sent: {error}");
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIME_LIMIT)
            .build()
            .map_err(|error| unusable(&error))?;
        let runtime = Arc::new(OnceLock::new());
        let client = Client { http: client, runtime: Arc::clone(&runtime), is_down: Arc::default() };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(settings.endpoint.as_str())
            .with_timeout(TIME_LIMIT)
            .build()
            .map_err(|error| unusable(&error))?;
        let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder_empty().with_service_name("sidekey").with_attribute(version).build();
        // What a peer that is believed has decided counts; else this part of all.
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.sample)));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(sampler)
            .with_resource(resource)
            .build();
        Ok(Self { provider, runtime })
    }

    /// What makes traces of spans.
    pub fn layer(&self) -> Box<dyn Layer<Registry> + Send + Sync> {
        let layer = tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("sidekey"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        let is_ours = filter_fn(|metadata| metadata.is_span() && metadata.target() == SPANS);
        layer.with_filter(is_ours.with_max_level_hint(LevelFilter::INFO)).boxed()
    }

    /// They leave by this runtime.
    pub fn runs_on(&self, runtime: Handle) {
        // It is said once.
        let _ = self.runtime.set(runtime);
    }

    /// Sends what is left; it blocks for a few seconds at most.
    pub fn finish(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(LAST) {
            tracing::debug!(%error, "the last traces are lost");
        }
    }
}

/// The span of a request: part of the trace that its peer names, if that peer is believed in this.
pub fn of_request(
    settings: Option<&Tracing>,
    method: &Method,
    route: &'static str,
    headers: &HeaderMap,
    peer: Option<IpAddr>,
) -> Span {
    let Some(settings) = settings else { return Span::none() };
    let method = if is_usual(method) { method.as_str() } else { "_OTHER" };
    let span = tracing::info_span!(
        target: SPANS,
        "request",
        otel.name = %format_args!("{method} {route}"),
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        http.response.status_code = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
    );
    if peer.is_some_and(|peer| forwarded::is_proxy(peer, &settings.traceparent_from)) {
        let parent = TraceContextPropagator::new().extract(&Parent(headers));
        // Without the layer there is no trace to be part of.
        let _ = span.set_parent(parent);
    }
    span
}

/// Notes how a request was answered.
pub fn answered(span: &Span, status: u16) {
    span.record("http.response.status_code", status);
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
}

/// A method that is not chosen by whoever asks.
fn is_usual(method: &Method) -> bool {
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS]
        .contains(method)
}

/// `traceparent` (W3C Trace Context §3.2), where it stands once. `tracestate` and baggage are not looked at: they are for anything at all.
struct Parent<'a>(&'a HeaderMap);

impl Extractor for Parent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let mut values = self.0.get_all("traceparent").iter().filter(|_| key == "traceparent");
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}

/// Sends from a thread of the exporter's over the server's runtime.
struct Client {
    http: reqwest::Client,
    runtime: Arc<OnceLock<Handle>>,
    /// Whether the collector took nothing the last time: said once, and not at each attempt.
    is_down: Arc<AtomicBool>,
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Client")
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let runtime = self.runtime.get().ok_or("the server has not started")?;
        let client = self.http.clone();
        let sent = runtime.spawn(async move {
            // An endpoint may hold a token of the collector's.
            let answer = client.execute(request.try_into()?).await.map_err(reqwest::Error::without_url)?;
            let status = answer.status();
            let body = answer.bytes().await.map_err(reqwest::Error::without_url)?;
            Ok::<_, reqwest::Error>((status, body))
        });
        let sent = sent.await?;
        let trouble = match &sent {
            Ok((status, _)) => (!status.is_success()).then(|| format!("it answers {}", status.as_u16())),
            Err(error) => Some(error.to_string()),
        };
        match trouble {
            Some(reason) if !self.is_down.swap(true, Ordering::Relaxed) => {
                tracing::warn!(reason, "the collector takes no traces");
            }
            Some(_) => {}
            None => self.is_down.store(false, Ordering::Relaxed),
        }
        let (status, body) = sent?;
        let mut response = Response::new(body);
        *response.status_mut() = status;
        Ok(response)
    }
}
