//! Log lines as JSON: one object a line, the event's fields at its top level, those of the span around it under `span`.
//!
//! The objects are those of `tracing-subscriber`'s own formatter, which reads the text of the span's fields back into a JSON value for
//! each line and hands everything on in pieces: more instructions than all the rest of a forward-auth decision's HTTP.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber, span};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{Format, FormatFields, Json, Writer};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// The target of what libraries log by the crate `log`: where it was said stands in its fields.
const OF_LOG: &str = "log";

/// An event as a line.
pub(super) struct Line {
    /// For what libraries log by the crate `log`.
    pub(super) library: Format<Json>,
}

/// The fields of a span as an object.
#[derive(Debug)]
pub(super) struct Object;

impl<S> FormatEvent<S, Object> for Line
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, Object>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        if metadata.target() == OF_LOG {
            return self.library.format_event(context, writer, event);
        }
        writer.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut writer)?;
        writer.write_str("\",\"level\":\"")?;
        writer.write_str(metadata.level().as_str())?;
        writer.write_char('"')?;
        let mut members = Members { writer: &mut writer, is_first: false, outcome: Ok(()) };
        event.record(&mut members);
        members.outcome?;
        writer.write_str(",\"target\":")?;
        string(&mut writer, metadata.target())?;
        if let Some(span) = context.parent_span() {
            writer.write_str(",\"span\":{")?;
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<Object>>();
            let fields = fields.map(|fields| inside(&fields.fields)).unwrap_or_default();
            if !fields.is_empty() {
                writer.write_str(fields)?;
                writer.write_char(',')?;
            }
            writer.write_str("\"name\":")?;
            string(&mut writer, span.name())?;
            writer.write_char('}')?;
        }
        writer.write_str("}\n")
    }
}

impl<'writer> FormatFields<'writer> for Object {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        writer.write_char('{')?;
        let mut members = Members { writer: &mut writer, is_first: true, outcome: Ok(()) };
        fields.record(&mut members);
        members.outcome?;
        writer.write_char('}')
    }

    /// Of a field that is recorded twice the last value counts, as JSON's readers have it.
    fn add_fields(
        &self,
        current: &'writer mut FormattedFields<Self>,
        fields: &span::Record<'_>,
    ) -> fmt::Result {
        let before = inside(&current.fields);
        let mut text = format!("{{{before}");
        let is_first = before.is_empty();
        let mut writer = Writer::new(&mut text);
        let mut members = Members { writer: &mut writer, is_first, outcome: Ok(()) };
        fields.record(&mut members);
        members.outcome?;
        text.push('}');
        current.fields = text;
        Ok(())
    }
}

/// What stands between the braces of an object.
fn inside(object: &str) -> &str {
    object.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default()
}

/// Writes fields as members of an object that has begun.
struct Members<'a, 'writer> {
    writer: &'a mut Writer<'writer>,
    is_first: bool,
    outcome: fmt::Result,
}

impl Members<'_, '_> {
    fn note(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        let comma = if std::mem::take(&mut self.is_first) { "" } else { "," };
        self.outcome = self.outcome.and_then(|()| {
            self.writer.write_str(comma)?;
            string(self.writer, field.name())?;
            self.writer.write_char(':')?;
            value(self.writer)
        });
    }
}

impl Visit for Members<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.note(field, |writer| {
            writer.write_char('"')?;
            write!(Escaped(writer), "{value:?}")?;
            writer.write_char('"')
        });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.note(field, |writer| string(writer, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.note(field, |writer| write!(writer, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.note(field, |writer| write!(writer, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.note(field, |writer| write!(writer, "{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON knows neither infinity nor what is no number (RFC 8259 §6).
        self.note(field, |writer| {
            if value.is_finite() { write!(writer, "{value:?}") } else { writer.write_str("null") }
        });
    }
}

fn string(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    writer.write_char('"')?;
    Escaped(writer).write_str(text)?;
    writer.write_char('"')
}

/// The inside of a JSON string (RFC 8259 §7).
struct Escaped<'a, 'writer>(&'a mut Writer<'writer>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
        if text.bytes().all(is_plain) {
            return self.0.write_str(text);
        }
        text.chars().try_for_each(|character| match character {
            '"' => self.0.write_str("\\\""),
            '\\' => self.0.write_str("\\\\"),
            '\n' => self.0.write_str("\\n"),
            '\r' => self.0.write_str("\\r"),
            '\t' => self.0.write_str("\\t"),
            control if control < ' ' => write!(self.0, "\\u{:04x}", u32::from(control)),
            other => self.0.write_char(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tracing_subscriber::fmt;
    use tracing_subscriber::prelude::*;

    use super::super::json_layer;
    use super::super::testing::Lines;

    /// The lines, without their times.
    fn read(lines: &Lines) -> Vec<Value> {
        let line = |line: &str| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
            assert!(time.as_str().is_some_and(|time| time.ends_with('Z')), "{time}");
            line
        };
        lines.text().lines().map(line).collect()
    }

    /// What happens in a server, and what only a test thinks of.
    fn speak() {
        tracing::info!(address = %"127.0.0.1:4711", nothing = None::<&str>, "listening");
        let text = "a \"quoted\" \\ text\nof\r two\tlines, \u{1}\u{1f} and ümläut \u{10ffff}";
        tracing::warn!(text, debugged = ?text, shown = %text, "odd \"text\"");
        tracing::error!(
            small = -7_i64,
            large = u64::MAX,
            wide = u128::MAX,
            yes = true,
            half = 0.5,
            whole = 1e300,
            none = f64::NAN,
            dotted.name = 1,
            "numbers"
        );
        let span = tracing::info_span!("request", request_id = %"ab\"c", later = tracing::field::Empty);
        span.in_scope(|| tracing::info!("within"));
        span.record("later", 7);
        tracing::info!(parent: &span, "of it");
        tracing::info_span!("bare").in_scope(|| {
            span.in_scope(|| tracing::info!("inner"));
            tracing::info!(target: "log", "as if by the crate `log`");
        });
        let empty = tracing::info_span!("filled later", first = tracing::field::Empty);
        empty.record("first", "a");
        tracing::info!(parent: &empty, "filled");
    }

    #[test]
    fn lines_are_those_of_the_librarys_own_formatter() {
        let (ours, theirs) = (Lines::default(), Lines::default());
        let subscriber = tracing_subscriber::registry().with(json_layer(ours.clone()));
        tracing::subscriber::with_default(subscriber, speak);
        let library = fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
        let subscriber = tracing_subscriber::registry().with(library.with_writer(theirs.clone()));
        tracing::subscriber::with_default(subscriber, speak);
        let (ours, theirs) = (read(&ours), read(&theirs));
        assert_eq!((ours.len(), theirs.len()), (8, 8));
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs);
        }
        assert_eq!(ours[4]["span"], json!({ "name": "request", "request_id": "ab\"c", "later": 7 }));
    }
}
