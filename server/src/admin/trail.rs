//! The audit trail: newest first, filtered, page by page.

use askama::Template;
use http::StatusCode;
use serde_json::Value;
use sidekey_core::id::{AppId, UserId};
use sidekey_core::time::UnixTime;

use super::entries::Line;
use super::{Frame, Section};
use crate::audit::EVENT_NAMES;
use crate::caller::Operator;
use crate::context::Context;
use crate::http::{Call, Fields, Problem};
use crate::operators::Role;
use crate::pages::{Shown, page};
use crate::store::engine::MAX_SCAN;
use crate::store::{Engine, Key, Kind, Record, StoreError};
use crate::trail::query::Query;

/// Entries of a page.
const PAGE: usize = 50;
/// Entries that one request looks at: what lies further back is looked at by the next one.
const MAX_LOOKED_AT: u64 = 20_000;

#[derive(Template)]
#[template(path = "admin/trail.html")]
struct TrailPage {
    frame: Frame,
    asked: Asked,
    events: &'static [&'static str],
    lines: Vec<Line>,
    /// Where the next page begins.
    older: Option<String>,
    /// Whether the older entries were not all looked at.
    is_unfinished: bool,
    may_export: bool,
    has_filters: bool,
}

/// The filters as they were typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) app: String,
    pub(super) user: String,
    pub(super) event: String,
    pub(super) since: String,
    pub(super) until: String,
}

impl Asked {
    /// The filters, each by its name.
    pub(super) fn read(text: impl Fn(&str) -> String) -> Self {
        let text = |name| text(name).trim().to_owned();
        Self {
            app: text("app"),
            user: text("user"),
            event: text("event"),
            since: text("since"),
            until: text("until"),
        }
    }

    fn of(call: &Call) -> Self {
        Self::read(|name| call.parameter(name).unwrap_or_default())
    }

    /// What they ask for.
    ///
    /// # Errors
    /// One of them is none.
    pub(super) fn query(&self) -> Result<Query, Problem> {
        let Self { app, user, event, since, until } = self;
        let given = |text: &str| (!text.is_empty()).then(|| Value::from(text));
        let mut fields = serde_json::Map::new();
        for (name, text) in [("app", app), ("user", user)] {
            fields.extend(given(text).map(|value| (name.to_owned(), value)));
        }
        let fields = Fields::new(fields);
        Ok(Query {
            app: fields.optional("app", AppId::parse)?,
            user: fields.optional("user", UserId::parse)?,
            events: if event.is_empty() { Vec::new() } else { vec![event.clone()] },
            since: moment("since", since)?,
            until: moment("until", until)?,
            last: None,
        })
    }

    /// Whether they leave out entries here and there, and not only at the ends.
    pub(super) fn have_holes(&self) -> bool {
        !(self.app.is_empty() && self.user.is_empty() && self.event.is_empty())
    }

    /// The query of a link to the entries before a number.
    fn before(&self, before: u64) -> String {
        let Self { app, user, event, since, until } = self;
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, text) in
            [("app", app), ("user", user), ("event", event), ("since", since), ("until", until)]
        {
            if !text.is_empty() {
                query.append_pair(name, text);
            }
        }
        query.append_pair("before", &before.to_string()).finish()
    }
}

/// A time in UTC as `<input type="datetime-local">` gives it, or one of RFC 3339.
fn moment(name: &str, text: &str) -> Result<Option<UnixTime>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let utc = |time: jiff::civil::DateTime| {
        time.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    };
    let parsed = text.parse::<jiff::Timestamp>().ok();
    let parsed = parsed.or_else(|| text.parse::<jiff::civil::DateTime>().ok().and_then(utc));
    let seconds = parsed.and_then(|time| u64::try_from(time.as_second()).ok());
    let moment = seconds.ok_or_else(|| Problem::field(name, "must be a time such as 2026-11-23T08:00"))?;
    Ok(Some(UnixTime::from_secs(moment)))
}

/// The page.
///
/// # Errors
/// A filter is none, or the store is not available.
pub(super) async fn show(context: &Context, operator: &Operator, call: &Call) -> Result<Shown, Problem> {
    let asked = Asked::of(call);
    let before = call.parameter("before").and_then(|text| text.parse().ok());
    let Found { lines, older, is_unfinished } = find(&*context.engine, &asked.query()?, before, PAGE).await?;
    let shown = TrailPage {
        frame: Frame::of(context, operator, call, Section::Trail),
        events: &EVENT_NAMES,
        lines,
        older: older.map(|number| asked.before(number)),
        is_unfinished,
        may_export: operator.is(Role::Support),
        has_filters: asked != Asked::default(),
        asked,
    };
    Ok(page(StatusCode::OK, &shown))
}

/// What a look into the trail has found.
pub(super) struct Found {
    /// Newest first.
    pub(super) lines: Vec<Line>,
    /// Entries before this number were not looked at.
    older: Option<u64>,
    /// Whether it stopped because it had looked at enough, and not because a page is full.
    is_unfinished: bool,
}

/// Looks for the newest entries that fit, before a number if there is one; at most `most`.
pub(super) async fn find(
    engine: &dyn Engine,
    query: &Query,
    before: Option<u64>,
    most: usize,
) -> Result<Found, StoreError> {
    let log = engine.audit_log();
    let end = before.unwrap_or(u64::MAX).min(log.end().saturating_add(1));
    let (mut lines, mut upper, mut looked_at) = (Vec::new(), end, 0);
    while upper > *log.start() && looked_at < MAX_LOOKED_AT {
        let stretch = stretch(engine, query, upper).await?;
        for (sequence, record) in stretch.entries.into_iter().rev() {
            looked_at += 1;
            if !query.takes(&record.value) {
                continue;
            }
            if lines.len() == most {
                return Ok(Found { lines, older: Some(sequence + 1), is_unfinished: false });
            }
            lines.extend(Line::of(sequence, &record.value));
        }
        upper = stretch.from;
    }
    let is_unfinished = upper > *log.start();
    Ok(Found { lines, older: is_unfinished.then_some(upper), is_unfinished })
}

/// Some entries in the order of the trail, and the number from which on all were looked at that may fit.
struct Stretch {
    entries: Vec<(u64, Record)>,
    from: u64,
}

/// The entries before a number, as many as one scan gives. Those about one user are found by the log by account.
async fn stretch(engine: &dyn Engine, query: &Query, upper: u64) -> Result<Stretch, StoreError> {
    let Some((app, user)) = query.app.as_ref().zip(query.user.as_ref()) else {
        let from = upper.saturating_sub(MAX_SCAN as u64).max(1);
        let limit = usize::try_from(upper - from).unwrap_or(MAX_SCAN);
        let page = engine.scan(&Key::of(Kind::Audit), Some(&Key::audit(from - 1)), limit).await?;
        let numbered = page.into_iter().filter_map(|(key, record)| Some((key.audit_sequence()?, record)));
        return Ok(Stretch { entries: numbered.filter(|(sequence, _)| *sequence < upper).collect(), from });
    };
    let prefix = Key::activity(app.as_str(), user.as_str());
    let after = prefix.clone().newest_first(upper);
    let notes = engine.scan(&prefix, Some(&after), PAGE).await?;
    let mut entries = Vec::with_capacity(notes.len());
    for sequence in notes.iter().filter_map(|(note, _)| note.activity_sequence()) {
        // One that retention removes at this moment has lost its note as well.
        if let Some(record) = engine.get(&Key::audit(sequence)).await? {
            entries.push((sequence, record));
        }
    }
    let last = notes.last().and_then(|(note, _)| note.activity_sequence());
    entries.reverse();
    Ok(Stretch { entries, from: last.filter(|_| notes.len() == PAGE).unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use sidekey_core::event::Event;

    use super::*;
    use crate::notify::testing::entry;
    use crate::store::sled::Options;
    use crate::store::{Batch, SledEngine};

    async fn numbers(
        engine: &dyn Engine,
        query: &Query,
        before: Option<u64>,
        most: usize,
    ) -> (Vec<u64>, Option<u64>) {
        let found = find(engine, query, before, most).await.unwrap();
        (found.lines.iter().map(|line| line.sequence).collect(), found.older)
    }

    #[tokio::test]
    async fn pages_go_back_through_all_that_fits_and_end() {
        let folder = tempfile::tempdir().unwrap();
        let engine = SledEngine::open(folder.path(), &Options::new([7; 16])).unwrap();
        for _ in 0..3 {
            let mut batch = Batch::new();
            for number in 0..1_000_u64 {
                let event = if number == 500 { Event::AccountLocked } else { Event::AccountUnlocked };
                batch.append(entry(if number % 100 == 0 { "ann" } else { "bob" }, 1_790_000_000, &event));
            }
            engine.commit(batch).await.unwrap();
        }
        let all = Query::default();
        assert_eq!(numbers(&engine, &all, None, 3).await, (vec![3_000, 2_999, 2_998], Some(2_998)));
        assert_eq!(numbers(&engine, &all, Some(2_998), 2).await, (vec![2_997, 2_996], Some(2_996)));
        assert_eq!(numbers(&engine, &all, Some(3), 3).await, (vec![2, 1], None));
        let locked = Query { events: vec!["account_locked".to_owned()], ..Query::default() };
        assert_eq!(numbers(&engine, &locked, None, 3).await, (vec![2_501, 1_501, 501], None));
        let of_ann =
            Query { app: AppId::parse("shop").ok(), user: UserId::parse("ann").ok(), ..Query::default() };
        let (newest, older) = numbers(&engine, &of_ann, None, 20).await;
        assert_eq!((newest[0], newest[19], older), (2_901, 1_001, Some(902)));
        let (oldest, older) = numbers(&engine, &of_ann, older, 20).await;
        assert_eq!((oldest[0], oldest.len(), older), (901, 10, None));
        let nobody = Query { user: UserId::parse("eve").ok(), ..of_ann };
        assert_eq!(numbers(&engine, &nobody, None, 3).await, (vec![], None));
    }

    #[test]
    fn times_of_a_form_are_utc() {
        let seconds = |text| moment("since", text).unwrap().map(UnixTime::as_secs);
        assert_eq!(seconds("2026-09-21T14:13"), Some(1_789_999_980));
        assert_eq!(seconds("2026-09-21T14:13:20Z"), Some(1_790_000_000));
        assert_eq!(seconds(""), None);
        assert!(moment("since", "yesterday").is_err());
    }
}
