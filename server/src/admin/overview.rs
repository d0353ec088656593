//! The first page of the admin area: what happened, and how the server stands.

use std::collections::BTreeMap;
use std::time::Duration;

use askama::Template;
use http::StatusCode;
use sidekey_core::time::UnixTime;

use super::chart::{self, Chart, Grain, Head};
use super::{Frame, Section};
use crate::caller::Operator;
use crate::context::Context;
use crate::http::{Call, Problem};
use crate::pages::{Shown, page};
use crate::statistics::latency::{MINUTES, Minute};
use crate::statistics::{self, Counts, Hour};

#[derive(Template)]
#[template(path = "admin/overview.html")]
struct OverviewPage {
    frame: Frame,
    /// Whether thirty days are shown and not one.
    is_long: bool,
    charts: Vec<Chart>,
    version: &'static str,
    is_healthy: bool,
    /// Seconds that the system's clock is behind.
    clock_behind: u64,
    audit_entries: u64,
    /// Entries of the trail that are not counted yet.
    uncounted: u64,
}

/// What is counted: the chart, and the events that it is of.
const COUNTED: &[(Head, &[&str])] = &[
    (
        Head {
            id: "logins",
            title: "Logins",
            about: "Right codes and backup codes, and trusted browsers that were spared one.",
        },
        &["second_factor_accepted", "trusted_browser_used"],
    ),
    (
        Head { id: "failures", title: "Failures", about: "Codes and backup codes that were refused." },
        &["answer_refused"],
    ),
    (
        Head { id: "enrolments", title: "Enrolments", about: "Devices that were confirmed." },
        &["device_confirmed"],
    ),
    (
        Head {
            id: "throttled",
            title: "Throttled accounts",
            about: "How often an account had to wait, or was locked, after wrong codes.",
        },
        &["account_throttled", "account_locked"],
    ),
];

const LATENCY: Head = Head {
    id: "latency",
    title: "Latency",
    about: "How long answers took in the last hour, since this process was started.",
};

/// The page; `?days=30` shows thirty days.
///
/// # Errors
/// The store is not available.
pub(super) async fn show(context: &Context, operator: &Operator, call: &Call) -> Result<Shown, Problem> {
    let (engine, now) = (&*context.engine, context.clock.now());
    let is_long = call.parameter("days").as_deref() == Some("30");
    let (hour, grain) = (Hour::of(now), if is_long { Grain::Day } else { Grain::Hour });
    let first = if is_long { hour.day().before(29 * 24) } else { hour.before(23) };
    // First, so that no chart lacks what the page says is counted.
    let uncounted = statistics::behind(engine).await?;
    let counts = statistics::of_hours(engine, first..=hour).await?;
    let mut charts: Vec<_> = COUNTED
        .iter()
        .map(|(head, events)| chart::bars(head, grain, &counted(&counts, first, hour, grain, events)))
        .collect();
    charts.push(latency(&context.latency.recent(now), now));
    let log = engine.audit_log();
    let shown = OverviewPage {
        frame: Frame::of(context, operator, call, Section::Overview),
        is_long,
        charts,
        version: env!("CARGO_PKG_VERSION"),
        is_healthy: engine.is_healthy(),
        clock_behind: context.clock.behind(),
        audit_entries: log.end().saturating_add(1).saturating_sub(*log.start()),
        uncounted,
    };
    Ok(page(StatusCode::OK, &shown))
}

/// How often one of these happened, for each hour or day.
fn counted(
    counts: &BTreeMap<Hour, Counts>,
    first: Hour,
    last: Hour,
    grain: Grain,
    events: &[&str],
) -> Vec<(UnixTime, u64)> {
    let mut sums: BTreeMap<UnixTime, u64> = BTreeMap::new();
    for hour in first.to(last) {
        let slot = if grain == Grain::Day { hour.day() } else { hour };
        *sums.entry(slot.begins()).or_default() += counts.get(&hour).map_or(0, |counts| counts.of(events));
    }
    sums.into_iter().collect()
}

fn latency(recent: &[Minute], now: UnixTime) -> Chart {
    let names = [("p50", "Median"), ("p95", "95 %"), ("p99", "99 %")];
    let this_minute = now.as_secs() / 60;
    let minutes =
        (0..MINUTES as u64).rev().map(|ago| UnixTime::from_secs(this_minute.saturating_sub(ago) * 60));
    let values: Vec<_> = minutes
        .map(|at| {
            let minute = recent.iter().find(|minute| minute.begins == at);
            let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            (at, minute.map(|minute| vec![micros(minute.p50), micros(minute.p95), micros(minute.p99)]))
        })
        .collect();
    chart::lines(&LATENCY, Grain::Minute, &names, &values, |micros| {
        format!("{}.{} ms", micros / 1_000, micros / 100 % 10)
    })
}
