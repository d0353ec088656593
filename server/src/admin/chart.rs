//! Charts as SVG that the server draws: they need no script, and their colours are those of the page. Everything in them is in a table
//! beside them as well, for whoever does not see pictures.
//!
//! The drawing is stretched to its place, so it holds no text; what stands around it is HTML. A drawing is 1,000 units wide and 100
//! high, and grows upwards.

use std::fmt::Write as _;

use sidekey_core::time::UnixTime;

use crate::http::rfc3339;

/// Width of a drawing.
const WIDTH: usize = 1_000;
/// Height of a drawing.
const HEIGHT: u64 = 100;

/// A chart of one kind of thing over time.
pub(super) struct Chart {
    /// Tells the charts of a page apart.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// What was counted or measured.
    pub(super) about: &'static str,
    /// What there is to see, in a sentence.
    pub(super) description: String,
    /// The lines or bars, as paths of SVG with the class that colours each.
    pub(super) paths: Vec<(&'static str, String)>,
    /// What the classes mean, where there are several.
    pub(super) legend: Vec<(&'static str, &'static str)>,
    /// What the upper edge stands for.
    pub(super) top: String,
    /// When it begins and ends.
    pub(super) span: (String, String),
    /// The heads of the table's columns, that of the time first.
    pub(super) columns: Vec<&'static str>,
    pub(super) rows: Vec<Row>,
}

/// A row of a chart's table.
pub(super) struct Row {
    /// For machines, RFC 3339.
    pub(super) at: String,
    /// For people.
    pub(super) when: String,
    pub(super) values: Vec<String>,
}

/// How times of a chart are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grain {
    Minute,
    Hour,
    Day,
}

impl Grain {
    /// A time in UTC, as exactly as the grain is.
    fn told(self, at: UnixTime) -> String {
        let text = rfc3339(at);
        // `2026-11-23T08:00:00Z`
        let (day, time) = text.split_once('T').unwrap_or((&text, ""));
        let time = time.get(..5).unwrap_or_default();
        match self {
            Self::Minute => time.to_owned(),
            Self::Hour => format!("{} {time}", day.get(5..).unwrap_or_default()),
            Self::Day => day.to_owned(),
        }
    }
}

/// The head of a chart.
pub(super) struct Head {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) about: &'static str,
}

/// Bars, one for each count.
pub(super) fn bars(head: &Head, grain: Grain, counts: &[(UnixTime, u64)]) -> Chart {
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or_default();
    let total = counts.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
    let top = rounded_up(most);
    let slot = WIDTH / counts.len().max(1);
    let mut path = String::new();
    for (index, (_, count)) in counts.iter().enumerate().filter(|(_, (_, count))| *count > 0) {
        // What has happened at all is seen, however little it is beside the most.
        let height = scaled(*count, top).max(2);
        let (x, width) = (index * slot + slot / 8, slot - slot / 4);
        // Writing to a string cannot fail.
        let _ = write!(path, "M{x} {}v{height}h{width}v-{height}z", HEIGHT - height);
    }
    let busiest = counts.iter().find(|(_, count)| *count == most).filter(|_| most > 0);
    let description = busiest.map_or_else(
        || "Nothing in this time.".to_owned(),
        |(at, _)| format!("{total} in all, at most {most} ({} UTC).", grain.told(*at)),
    );
    let rows = counts.iter().map(|(at, count)| row(grain, *at, vec![count.to_string()])).collect();
    Chart {
        paths: vec![("bar", path)],
        legend: Vec::new(),
        top: top.to_string(),
        columns: vec!["Time (UTC)", "Count"],
        ..chart(head, description, grain, counts.iter().map(|(at, _)| *at), rows)
    }
}

/// Lines for several values, such as quantiles. A time without values leaves a gap; `values` are in the order of `names`, and
/// `told` says one of them.
pub(super) fn lines(
    head: &Head,
    grain: Grain,
    names: &[(&'static str, &'static str)],
    values: &[(UnixTime, Option<Vec<u64>>)],
    told: impl Fn(u64) -> String,
) -> Chart {
    let all = || values.iter().filter_map(|(_, values)| values.as_ref());
    let most = all().flatten().max().copied().unwrap_or_default();
    let top = rounded_up(most);
    let slot = WIDTH / values.len().max(1);
    let line = |which: usize| {
        let mut path = String::new();
        let mut is_drawn = false;
        for (index, (_, values)) in values.iter().enumerate() {
            let Some(value) = values.as_ref().and_then(|values| values.get(which)) else {
                is_drawn = false;
                continue;
            };
            let (x, y) = (index * slot, HEIGHT - scaled(*value, top));
            let pen = if is_drawn { 'L' } else { 'M' };
            let _ = write!(path, "{pen}{x} {y}h{slot}");
            is_drawn = true;
        }
        path
    };
    let paths = names.iter().enumerate().map(|(which, (class, _))| (*class, line(which))).collect();
    let last = all().next_back();
    let description = last.map_or_else(
        || "Nothing in this time.".to_owned(),
        |last| {
            let parts = names.iter().zip(last).map(|((_, name), value)| format!("{name} {}", told(*value)));
            format!("Latest: {}; at most {}.", parts.collect::<Vec<_>>().join(", "), told(most))
        },
    );
    let rows = values.iter().filter_map(|(at, values)| {
        Some(row(grain, *at, values.as_ref()?.iter().map(|value| told(*value)).collect()))
    });
    let rows = rows.collect();
    Chart {
        paths,
        legend: names.to_vec(),
        top: told(top),
        columns: std::iter::once("Time (UTC)").chain(names.iter().map(|(_, name)| *name)).collect(),
        ..chart(head, description, grain, values.iter().map(|(at, _)| *at), rows)
    }
}

fn chart(
    head: &Head,
    description: String,
    grain: Grain,
    mut times: impl DoubleEndedIterator<Item = UnixTime>,
    rows: Vec<Row>,
) -> Chart {
    let Head { id, title, about } = *head;
    let (first, last) = (times.next(), times.next_back());
    let span = (
        first.map_or_else(String::new, |at| grain.told(at)),
        last.map_or_else(String::new, |at| grain.told(at)),
    );
    let (paths, legend, top, columns) = (Vec::new(), Vec::new(), String::new(), Vec::new());
    Chart { id, title, about, description, paths, legend, top, span, columns, rows }
}

fn row(grain: Grain, at: UnixTime, values: Vec<String>) -> Row {
    Row { at: rfc3339(at), when: grain.told(at), values }
}

/// How high a value is where the upper edge is `top`.
fn scaled(value: u64, top: u64) -> u64 {
    let height = u128::from(value) * u128::from(HEIGHT) / u128::from(top.max(1));
    u64::try_from(height).unwrap_or(HEIGHT).min(HEIGHT)
}

/// The next number of 1, 2 or 5 and zeros; at least 4, so that a single event does not fill a chart.
fn rounded_up(most: u64) -> u64 {
    let mut power = 1_u64;
    loop {
        for digit in [1, 2, 5] {
            let edge = power.saturating_mul(digit);
            if edge >= most.max(4) {
                return edge;
            }
        }
        power = power.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Head = Head { id: "a", title: "A", about: "" };

    fn hours(counts: &[u64]) -> Vec<(UnixTime, u64)> {
        (0..)
            .map(|hour| UnixTime::from_secs(1_789_999_200 + hour * 3_600))
            .zip(counts.iter().copied())
            .collect()
    }

    #[test]
    fn the_upper_edge_is_a_round_number() {
        let edges = [0, 1, 4, 5, 6, 11, 21, 99, 100, 101, 500, 501].map(rounded_up);
        assert_eq!(edges, [5, 5, 5, 5, 10, 20, 50, 100, 100, 200, 500, 1_000]);
        assert!(rounded_up(u64::MAX) == u64::MAX);
    }

    #[test]
    fn bars_are_as_high_as_their_counts_and_told_in_a_table() {
        let chart = bars(&HEAD, Grain::Hour, &hours(&[0, 5, 10, 1]));
        assert_eq!(
            chart.paths,
            [("bar", "M281 50v50h188v-50zM531 0v100h188v-100zM781 90v10h188v-10z".to_owned())]
        );
        assert_eq!(
            (chart.top.as_str(), chart.description.as_str()),
            ("10", "16 in all, at most 10 (09-21 16:00 UTC).")
        );
        assert_eq!(chart.span, ("09-21 14:00".to_owned(), "09-21 17:00".to_owned()));
        let table: Vec<_> =
            chart.rows.iter().map(|row| (row.when.as_str(), row.values[0].as_str())).collect();
        assert_eq!(table[1], ("09-21 15:00", "5"));
        let nothing = bars(&HEAD, Grain::Day, &hours(&[0, 0]));
        assert_eq!(
            (nothing.paths[0].1.as_str(), nothing.description.as_str()),
            ("", "Nothing in this time.")
        );
        let little = bars(&HEAD, Grain::Day, &hours(&[1, 1_000]));
        assert!(little.paths[0].1.starts_with("M62 98v2h"), "{}", little.paths[0].1);
    }

    #[test]
    fn a_line_has_a_gap_where_there_is_no_value() {
        let at = |minute: u64| UnixTime::from_secs(1_789_999_200 + minute * 60);
        let values = [(at(0), Some(vec![10])), (at(1), Some(vec![5])), (at(2), None), (at(3), Some(vec![0]))];
        let chart = lines(&HEAD, Grain::Minute, &[("p50", "Median")], &values, |value| format!("{value} ms"));
        assert_eq!(chart.paths, [("p50", "M0 0h250L250 50h250M750 100h250".to_owned())]);
        assert_eq!(chart.description, "Latest: Median 0 ms; at most 10 ms.");
        assert_eq!((chart.rows.len(), chart.top.as_str()), (3, "10 ms"));
        assert_eq!(chart.rows[1].when, "14:01");
    }
}
