//! What happens, as it happens: a page of the latest entries, and the stream that a script adds to it.

use std::sync::Arc;

use askama::Template;
use http::{HeaderName, StatusCode};

use super::entries::Line;
use super::{Frame, Section, trail};
use crate::caller::Operator;
use crate::context::Context;
use crate::http::{Call, Code, Problem, Reply};
use crate::pages::{Shown, page};
use crate::trail::query::Query;

/// Entries that the page shows at first.
const LATEST: usize = 30;

#[derive(Template)]
#[template(path = "admin/events.html")]
struct EventsPage {
    frame: Frame,
    /// The number of the entry after which the stream goes on.
    after: u64,
    lines: Vec<Line>,
}

/// The page.
///
/// # Errors
/// The store is not available.
pub(super) async fn show(context: &Context, operator: &Operator, call: &Call) -> Result<Shown, Problem> {
    let found = trail::find(&*context.engine, &Query::default(), None, LATEST).await?;
    let after = found.lines.first().map_or(0, |line| line.sequence);
    let frame = Frame::of(context, operator, call, Section::Events);
    Ok(page(StatusCode::OK, &EventsPage { frame, after, lines: found.lines }))
}

/// The stream (WHATWG HTML §9.2). `Last-Event-ID`, which a browser sends when it comes back, counts before `?after=`, with which the page
/// asks for what has happened since it was made.
///
/// # Errors
/// Too many listen already.
pub(super) fn stream(context: &Context, operator: &Operator, call: &Call) -> Result<Shown, Problem> {
    let last = call.headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let after = last.or_else(|| call.parameter("after").and_then(|text| text.parse().ok()));
    let (operators, clock, hash) = (context.operators.clone(), context.clock.clone(), operator.session.hash);
    let may_listen = move || -> crate::store::Pending<'static, bool> {
        let (operators, now) = (operators.clone(), clock.now());
        Box::pin(async move { operators.is_signed_in(&hash, now).await.unwrap_or(false) })
    };
    let chunks = context.listeners.listen(Arc::clone(&context.engine), after, Box::new(may_listen));
    let chunks = chunks.ok_or_else(|| Problem::new(Code::Unavailable).retry_after(60))?;
    // nginx would hold events back until its buffer is full.
    let reply = Reply::streaming("text/event-stream", chunks)
        .with_header(HeaderName::from_static("x-accel-buffering"), "no");
    Ok(Shown::of(reply))
}
