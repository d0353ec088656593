//! Traces: what a collector is told (OTLP, protobuf over HTTP), what it never is, and whose trace a request is part of.

use std::fs;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use sidekey_tests::{Enforcement, Options, Server, eventually, json};
use tempfile::TempDir;
use warp::Filter as _;

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A collector: all spans that it was told, and all bytes.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    bytes: Arc<Mutex<Vec<u8>>>,
    services: Arc<Mutex<Vec<String>>>,
}

impl Collector {
    /// Starts one; gives it with its endpoint.
    async fn start() -> (Self, String) {
        let collector = Self::default();
        let taking = collector.clone();
        let route = warp::path!("v1" / "traces")
            .and(warp::post())
            .and(warp::header::exact("content-type", "application/x-protobuf"))
            .and(warp::body::bytes())
            .map(move |body: Bytes| {
                let request = ExportTraceServiceRequest::decode(body.clone()).expect("OTLP");
                taking.bytes.lock().unwrap().extend_from_slice(&body);
                for resource in request.resource_spans {
                    let attributes = resource.resource.expect("a resource").attributes;
                    taking.services.lock().unwrap().push(text(&attributes, "service.name"));
                    let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                    taking.spans.lock().unwrap().extend(spans);
                }
                warp::reply()
            });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(warp::serve(route).incoming(listener).run());
        (collector, format!("http://127.0.0.1:{port}/v1/traces"))
    }

    /// Waits until it was told of something, and gives all spans.
    async fn until(&self, server: &Server, enough: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let spans = || self.spans.lock().unwrap().clone();
        let what = || {
            let names: Vec<_> = spans().into_iter().map(|span| span.name).collect();
            format!("more spans than {names:#?}\n{}", server.log())
        };
        eventually(what, async || Some(spans()).filter(|spans| enough(spans))).await
    }
}

fn text(attributes: &[KeyValue], name: &str) -> String {
    let value =
        attributes.iter().find(|pair| pair.key == name).and_then(|pair| pair.value.as_ref()?.value.as_ref());
    match value {
        Some(Any::StringValue(text)) => text.clone(),
        Some(Any::IntValue(number)) => number.to_string(),
        other => panic!("{name}: {other:?} in {attributes:#?}"),
    }
}

/// A server that tells this collector, with more lines in `[tracing]`.
fn server(folder: &TempDir, endpoint: &str, more: &str) -> Server {
    let settings = folder.path().join("sidekey.toml");
    let log = "[[notify]]\nname = \"log\"\n[notify.syslog]\naddress = \"udp://127.0.0.1:9\"\n";
    fs::write(&settings, format!("[tracing]\notlp_endpoint = \"{endpoint}\"\n{more}\n{log}")).unwrap();
    Server::with(Options {
        arguments: vec!["--config".to_owned(), settings.to_str().unwrap().to_owned()],
        ..Options::default()
    })
}

#[tokio::test]
async fn a_collector_is_told_of_requests_and_their_parts_and_of_nobody() {
    let (folder, (collector, endpoint)) = (TempDir::new().unwrap(), Collector::start().await);
    let server = server(&folder, &endpoint, "");
    let app = server.app(Enforcement::Optional).await;
    let mut ann = app.enrol("ann-who-is-secret").await;
    let session = ann.challenge().await;
    let code = ann.fresh_code().await;
    ann.answer(&session, &code).await.ok();
    let opened = app.open_session("ann-who-is-secret").await.expect(201);
    server.get("/2fa/no-such-thing/").header("traceparent", TRACEPARENT).await.expect(404);

    let spans = collector
        .until(&server, |spans| {
            ["POST /2fa/verify", "GET none", "delivery", "commit"]
                .iter()
                .all(|name| spans.iter().any(|span| span.name == *name))
        })
        .await;
    let find = |name: &str| {
        spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {spans:#?}"))
    };
    let request = find("POST /2fa/verify");
    assert_eq!(text(&request.attributes, "http.route"), "/2fa/verify");
    assert_eq!(text(&request.attributes, "http.request.method"), "POST");
    assert_eq!(text(&request.attributes, "http.response.status_code"), "200");
    assert_eq!(request.kind, 2, "a server's span");
    let below = |parent: &Span, name: &str| {
        let span = spans.iter().find(|span| span.name == name && span.parent_span_id == parent.span_id);
        span.cloned().unwrap_or_else(|| panic!("{name} below {}: {spans:#?}", parent.name))
    };
    let transaction = below(request, "transaction");
    let commit = below(&transaction, "commit");
    assert!(commit.trace_id == request.trace_id && transaction.trace_id == request.trace_id);
    below(find("POST /2fa/sessions"), "caller");
    assert_eq!(text(&find("delivery").attributes, "destination"), "log");
    assert!(collector.services.lock().unwrap().iter().all(|service| service == "sidekey"));

    let told = collector.bytes.lock().unwrap().clone();
    let told = String::from_utf8_lossy(&told);
    let session = opened.text("session_id");
    for private in ["ann-who-is-secret", "127.0.0.1", &code, &session, &app.key, &ann.access, &ann.refresh] {
        assert!(!told.contains(private), "{private} was told");
    }
    assert!(!told.contains("0af7651916cd43dd"), "nobody's trace is gone on with");
    // The log's lines keep the name of their request, and traces add no field to them.
    let log = server.log();
    let line = log
        .lines()
        .find(|line| line.contains("\"/2fa/verify\"") && line.contains("answered"))
        .expect("a line");
    assert!(line.contains("request_id") && !line.contains("http.route"), "{line}");
}

#[tokio::test]
async fn a_trace_goes_on_for_peers_that_are_named() {
    let (folder, (collector, endpoint)) = (TempDir::new().unwrap(), Collector::start().await);
    let server = server(&folder, &endpoint, "traceparent_from = [\"127.0.0.0/8\"]");
    let trace_of = |span: &Span| HEXLOWER.encode(&span.trace_id);
    server.get("/livez").header("traceparent", "00-nonsense-01").await.ok();
    server.get("/readyz").header("traceparent", TRACEPARENT).await.ok();
    let spans = collector
        .until(&server, |spans| {
            ["GET /livez", "GET /readyz"].iter().all(|name| spans.iter().any(|span| span.name == *name))
        })
        .await;
    let find = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    assert_eq!(trace_of(find("GET /readyz")), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(find("GET /readyz").parent_span_id, [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]);
    assert_ne!(trace_of(find("GET /livez")), "0af7651916cd43dd8448eb211c80319c");
}

#[tokio::test]
async fn a_collector_that_takes_nothing_holds_nothing_up_and_is_named_once() {
    let folder = TempDir::new().unwrap();
    let server = server(&folder, "http://127.0.0.1:9/v1/traces", "");
    let app = server.app(Enforcement::Optional).await;
    app.enrol("ann").await;
    server.logged("the collector takes no traces").await;
    app.open_session("ann").await.expect(201);
    let stopped = server.stop();
    assert_eq!(stopped.log.matches("the collector takes no traces").count(), 1, "{}", stopped.log);
    assert_eq!(json!(stopped.status.code()), json!(0), "{}", stopped.log);
}
