//! Handing messages over: those about one user in their order, users side by side.

use std::collections::{HashMap, VecDeque};

use futures_util::StreamExt as _;
use futures_util::stream;

use tracing::Instrument as _;

use super::Destination;
use crate::clock::Clock;
use crate::notify::owner::Owners;
use crate::notify::{Notice, Subject, Surroundings, Undelivered};
use crate::telemetry::SPANS;

/// Users who are told of at once.
const AT_ONCE: usize = 8;
/// After a failure, so many are tried before the destination counts as reachable.
const PROBES: usize = 3;

/// What is about one user, in its order.
pub(super) struct Line {
    pub(super) subject: Subject,
    pub(super) notices: VecDeque<Notice>,
}

/// How a line went: what of it was not delivered, and why the first of that was not; nothing, where it was not tried.
pub(super) struct Outcome {
    pub(super) subject: Subject,
    pub(super) delivered: usize,
    pub(super) left: VecDeque<Notice>,
    pub(super) failure: Option<Undelivered>,
}

impl Outcome {
    fn untried(line: Line) -> Self {
        Self { subject: line.subject, delivered: 0, left: line.notices, failure: None }
    }

    fn is_unreachable(&self) -> bool {
        matches!(self.failure, Some(Undelivered::Unreachable { .. }))
    }
}

/// Notices by whom they are about, the order kept.
pub(super) fn lines(notices: Vec<Notice>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut places: HashMap<Subject, usize> = HashMap::new();
    for notice in notices {
        let subject = notice.subject();
        let place = *places.entry(subject).or_insert_with(|| {
            lines.push(Line { subject, notices: VecDeque::new() });
            lines.len() - 1
        });
        if let Some(line) = lines.get_mut(place) {
            line.notices.push_back(notice);
        }
    }
    lines
}

/// Whether the destination as a whole takes nothing: it took nothing, and one attempt at least got no answer.
pub(super) fn show_an_outage<'a>(mut outcomes: impl Iterator<Item = &'a Outcome> + Clone) -> bool {
    outcomes.clone().all(|outcome| outcome.delivered == 0) && outcomes.any(Outcome::is_unreachable)
}

/// One destination, and what an attempt takes.
pub(super) struct Delivery<'a> {
    pub(super) destination: &'a Destination,
    pub(super) clock: &'a Clock,
    pub(super) owners: &'a dyn Owners,
}

impl Delivery<'_> {
    /// Delivers lines side by side, each in its order up to its first failure; the outcomes are in the order of the lines. After `failures`
    /// in a row of the destination as a whole, a few are tried first, others each time, and the rest only if it takes one of them.
    pub(super) async fn of_all(&self, lines: Vec<Line>, failures: u32) -> Vec<Outcome> {
        let mut lines: Vec<_> = lines.into_iter().enumerate().collect();
        let is_cautious = failures > 0 && lines.len() > PROBES;
        if is_cautious {
            let turn = usize::try_from(failures).unwrap_or_default().wrapping_mul(PROBES) % lines.len();
            lines.rotate_left(turn);
        }
        let later = if is_cautious { lines.split_off(PROBES) } else { Vec::new() };
        let mut outcomes = self.side_by_side(lines).await;
        if show_an_outage(outcomes.iter().map(|(_, outcome)| outcome)) {
            outcomes.extend(later.into_iter().map(|(place, line)| (place, Outcome::untried(line))));
        } else {
            outcomes.extend(self.side_by_side(later).await);
        }
        outcomes.sort_by_key(|(place, _)| *place);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    async fn side_by_side(&self, lines: Vec<(usize, Line)>) -> Vec<(usize, Outcome)> {
        let deliver = |(place, line)| async move { (place, self.of_line(line).await) };
        stream::iter(lines).map(deliver).buffer_unordered(AT_ONCE).collect().await
    }

    async fn of_line(&self, line: Line) -> Outcome {
        let Line { subject, notices: mut left } = line;
        let mut delivered = 0;
        while let Some(notice) = left.front() {
            // Read at each attempt: a receiver refuses a signature whose time is some minutes old, and a line may be long.
            let with = Surroundings { now: self.clock.now(), owners: self.owners };
            let span = tracing::info_span!(
                target: SPANS,
                "delivery",
                otel.kind = "producer",
                otel.status_code = tracing::field::Empty,
                destination = %self.destination.name,
                event = notice.event,
            );
            let told = self.destination.way.deliver(notice, &with).instrument(span.clone()).await;
            if let Err(failure) = told {
                span.record("otel.status_code", "ERROR");
                return Outcome { subject, delivered, left, failure: Some(failure) };
            }
            left.pop_front();
            delivered += 1;
        }
        Outcome { subject, delivered, left, failure: None }
    }
}
