//! What `/metrics` shows, by name: every metric is declared here, and no label ever names a user, an address or an id.
//!
//! Names follow Prometheus: a unit at the end, `_total` for what only grows. Counters start at nothing when the process does.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use metrics::{
    Counter, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use sidekey_core::event::Event;

use crate::context::Context;
use crate::outbox::Name;

/// Upper ends of the buckets of durations, in seconds.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Upper ends of the buckets of how many batches one sync makes durable.
const BATCHES: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1_024.0, 4_096.0];

const REQUESTS: &str = "sidekey_requests_total";
const REQUEST_SECONDS: &str = "sidekey_request_seconds";
const EVENTS: &str = "sidekey_events_total";
const CONNECTIONS: &str = "sidekey_connections";
const CONNECTIONS_REFUSED: &str = "sidekey_connections_refused_total";
const FORWARD_AUTH_REFUSED: &str = "sidekey_forward_auth_refused_total";
const COMMIT_SECONDS: &str = "sidekey_commit_seconds";
const COMMIT_BATCHES: &str = "sidekey_commit_batches";
const AUDIT_ENTRIES: &str = "sidekey_audit_entries";
const STORE_HEALTHY: &str = "sidekey_store_healthy";
const STORE_LOOKED_THROUGH: &str = "sidekey_store_looked_through";
const CLOCK_BEHIND: &str = "sidekey_clock_behind_seconds";
const OUTBOX: &str = "sidekey_outbox_total";
const OUTBOX_WAITING: &str = "sidekey_outbox_waiting";
const OUTBOX_BEHIND: &str = "sidekey_outbox_behind";
const BUILD: &str = "sidekey_build_info";

/// Starts recording for the whole process.
///
/// # Errors
/// Somebody records already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = builder()?.install_recorder()?;
    describe();
    Ok(handle)
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Full(COMMIT_BATCHES.to_owned()), &BATCHES)
}

fn describe() {
    describe_counter!(REQUESTS, "Answers, by route and status.");
    describe_histogram!(REQUEST_SECONDS, Unit::Seconds, "From the request's head to its answer, by route.");
    describe_counter!(EVENTS, "What happened to accounts, by the name that the audit trail has for it.");
    describe_gauge!(CONNECTIONS, "Connections that are open.");
    describe_counter!(CONNECTIONS_REFUSED, "Connections refused because their client had too many.");
    describe_counter!(FORWARD_AUTH_REFUSED, "Requests of a proxy that did not pass, by reason.");
    describe_histogram!(COMMIT_SECONDS, Unit::Seconds, "Writing and syncing one group of changes.");
    describe_histogram!(COMMIT_BATCHES, "Changes that one sync made durable.");
    describe_gauge!(AUDIT_ENTRIES, "Entries of the audit trail.");
    describe_gauge!(STORE_HEALTHY, "1 while the store takes changes, else 0.");
    describe_gauge!(
        STORE_LOOKED_THROUGH,
        "1 when all records have been compared with the head since the start, 0 while that goes on."
    );
    describe_gauge!(CLOCK_BEHIND, Unit::Seconds, "How far the system's time is behind the store's.");
    describe_counter!(
        OUTBOX,
        "Events told to destinations, by destination and outcome: delivered, failed, dead."
    );
    describe_gauge!(OUTBOX_WAITING, "Events that a destination has refused, and those behind them.");
    describe_gauge!(OUTBOX_BEHIND, "Entries of the audit trail that a destination has not come to yet.");
    describe_gauge!(BUILD, "1, with the version.");
    Collector::default().describe();
    gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

/// What is counted of the answers of a route with one status.
struct Answers {
    count: Counter,
    seconds: Histogram,
}

impl Answers {
    fn of(route: &'static str, status: u16) -> Self {
        let count = counter!(REQUESTS, "route" => route, "status" => status.to_string());
        Self { count, seconds: histogram!(REQUEST_SECONDS, "route" => route) }
    }
}

thread_local! {
    /// Looking one up in the recorder takes longer than counting, and there are a few for each route.
    static ANSWERS: RefCell<HashMap<(&'static str, u16), Answers>> = RefCell::default();
}

/// A request was answered. The recorder must be there before the first one is: see [`install`].
pub fn answered(route: &'static str, status: u16, took: Duration) {
    ANSWERS.with_borrow_mut(|answers| {
        let answers = answers.entry((route, status)).or_insert_with(|| Answers::of(route, status));
        answers.count.increment(1);
        answers.seconds.record(took);
    });
}

/// Something happened to an account, and is on disk.
pub fn happened(event: &Event) {
    counter!(EVENTS, "event" => event.name()).increment(1);
}

/// A connection was refused.
pub fn connection_refused() {
    counter!(CONNECTIONS_REFUSED).increment(1);
}

/// A connection that is open, until it is dropped.
#[derive(Debug)]
pub struct OpenConnection(());

impl OpenConnection {
    /// It was accepted.
    pub fn begin() -> Self {
        gauge!(CONNECTIONS).increment(1.0);
        Self(())
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        gauge!(CONNECTIONS).decrement(1.0);
    }
}

/// A proxy's request did not pass.
pub fn forward_auth_refused(reason: &'static str) {
    counter!(FORWARD_AUTH_REFUSED, "reason" => reason).increment(1);
}

/// One sync made so many batches durable.
pub fn committed(batches: usize, took: Duration) {
    histogram!(COMMIT_SECONDS).record(took);
    histogram!(COMMIT_BATCHES).record(u32::try_from(batches).unwrap_or(u32::MAX));
}

/// An event was told to a destination, or not: `delivered`, `failed` or `dead`.
pub fn outbox_told(destination: &Name, outcome: &'static str) {
    counter!(OUTBOX, "destination" => destination.to_string(), "outcome" => outcome).increment(1);
}

/// So many events wait for a destination one by one.
#[allow(clippy::cast_precision_loss, reason = "nobody needs the last digit of a gauge")]
pub fn outbox_waits(destination: &Name, count: usize) {
    gauge!(OUTBOX_WAITING, "destination" => destination.to_string()).set(count as f64);
}

/// So many entries of the trail are still to be looked at for a destination.
#[allow(clippy::cast_precision_loss, reason = "nobody needs the last digit of a gauge")]
pub fn outbox_behind(destination: &Name, count: u64) {
    gauge!(OUTBOX_BEHIND, "destination" => destination.to_string()).set(count as f64);
}

/// Reads what is measured by looking: to be called before the metrics are shown.
#[allow(clippy::cast_precision_loss, reason = "nobody needs the last digit of a gauge")]
pub fn look(context: &Context) {
    let log = context.engine.audit_log();
    gauge!(AUDIT_ENTRIES).set(log.end().saturating_add(1).saturating_sub(*log.start()) as f64);
    gauge!(STORE_HEALTHY).set(if context.engine.is_healthy() { 1.0 } else { 0.0 });
    gauge!(STORE_LOOKED_THROUGH).set(if context.engine.is_looked_through() { 1.0 } else { 0.0 });
    gauge!(CLOCK_BEHIND).set(context.clock.behind() as f64);
    Collector::default().collect();
}
