//! Log lines on standard error. Standard output is for what commands print.

mod farewell;
mod json;

use std::any::Any;
use std::io::{self, IsTerminal};
use std::panic::{self, Location};
use std::str::FromStr as _;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::Filter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use self::farewell::{WhileAlive, Witnessed};
use crate::config::LogFormat;
use crate::telemetry::{SPANS, Telemetry};

/// How much is logged: `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,sidekey_server=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLevel(String);

impl LogLevel {
    /// Reads a level.
    ///
    /// # Errors
    /// A sentence when it cannot be understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refused = || {
            format!(
                "`--log-level` must be a level such as info or debug, or levels by module such as \
                 info,sidekey_server=debug, not `{text}`"
            )
        };
        EnvFilter::try_new(text).map_err(|_| refused())?;
        // The filter takes any other word for the name of a module, of which there is none: nothing would be logged.
        let is_level = |part: &str| !part.trim().is_empty() && LevelFilter::from_str(part.trim()).is_ok();
        if !text.contains('[') && !text.split(',').all(|part| part.contains('=') || is_level(part)) {
            return Err(refused());
        }
        Ok(Self(text.to_owned()))
    }

    /// What is let through. The client of the database is not, below `info`, unless it is named: at `debug` it tells the parameters of each
    /// statement, and those are names, hashes and sealed secrets.
    fn filter(&self) -> Chosen {
        let chosen = EnvFilter::new(&self.0);
        if self.0.contains(DATABASE_CLIENT) {
            return Box::new(chosen);
        }
        let told = |metadata: &Metadata<'_>| {
            *metadata.level() <= Level::INFO || !metadata.target().starts_with(DATABASE_CLIENT)
        };
        // The hint keeps the level's own, as below.
        Box::new(chosen.and(filter_fn(told).with_max_level_hint(LevelFilter::TRACE)))
    }
}

/// The library that speaks with `PostgreSQL`, as it is called in the log.
const DATABASE_CLIENT: &str = "tokio_postgres";

type Chosen = Box<dyn Filter<Registry> + Send + Sync>;

/// Logging that has been started.
pub struct Logging(reload::Handle<Chosen, Registry>);

impl Logging {
    /// Logs this much from now on.
    pub fn set(&self, level: &LogLevel) {
        // It fails only where nothing is logged any more.
        let _ = self.0.reload(level.filter());
        let most = LevelFilter::current().to_string();
        // Of libraries that log by the crate `log`, which was told the level at the start.
        log::set_max_level(most.parse().unwrap_or(log::LevelFilter::Trace));
    }
}

/// What a filter of the log lets through, but for the spans of traces, with which its lines would lose the request that they belong to, and
/// for the last words of a thread.
///
/// The hint is the filter's own. Without one, each line of each library that nobody wants would be handed to the filter, and sled has many
/// in each change: a tenth of the committer's time.
fn lines<S>(filter: impl Filter<S>) -> impl Filter<S> {
    let no_spans = filter_fn(|metadata| metadata.target() != SPANS).with_max_level_hint(LevelFilter::TRACE);
    filter.and(no_spans).and(WhileAlive)
}

/// Starts logging, and what makes traces; no format means text on a terminal and JSON lines elsewhere.
///
/// # Errors
/// A sentence when logging has been started before.
pub fn start(
    level: &LogLevel,
    format: Option<LogFormat>,
    telemetry: Option<&Telemetry>,
) -> Result<Logging, String> {
    let (filter, handle) = reload::Layer::new(level.filter());
    let terminal = io::stderr().is_terminal();
    let stderr = Witnessed(io::stderr);
    let layer = match format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json }) {
        LogFormat::Text => fmt::layer().with_ansi(terminal).with_writer(stderr).boxed(),
        LogFormat::Json => json_layer(stderr).boxed(),
    };
    let mut layers = vec![layer.with_filter(lines(filter)).boxed()];
    layers.extend(telemetry.map(Telemetry::layer));
    let started = tracing_subscriber::registry().with(layers).try_init();
    started.map_err(|error| format!("cannot start logging: {error}"))?;
    panic::set_hook(Box::new(|panic| log_panic(panic.location(), panic.payload())));
    Ok(Logging(handle))
}

/// A panic as one line like every other. Its message is told only if it stands in the source as it is: one that was put
/// together at run time may quote anything, secrets included.
fn log_panic(location: Option<&Location<'_>>, payload: &(dyn Any + Send)) {
    let location = location.map(ToString::to_string);
    let reason = payload.downcast_ref::<&'static str>();
    let thread = std::thread::current();
    tracing::error!(location, reason, thread = thread.name(), "panicked");
}

/// One object a line, see [`json`].
fn json_layer<S, W>(writer: W) -> impl Layer<S>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> fmt::MakeWriter<'writer> + Send + Sync + 'static,
{
    fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .fmt_fields(json::Object)
        .map_event_format(|library| json::Line { library })
        .with_writer(writer)
}

#[cfg(test)]
mod testing {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    /// What a logger has written.
    #[derive(Clone, Default)]
    pub(super) struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        pub(super) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Lines;
    use super::*;

    #[test]
    fn a_json_line_has_the_fields_of_the_event_at_its_top_level() {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::registry().with(json_layer(lines.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(address = %"127.0.0.1:4711", "listening");
        });
        let line: serde_json::Value = serde_json::from_str(&lines.text()).unwrap();
        assert_eq!(line["message"], "listening");
        assert_eq!(line["address"], "127.0.0.1:4711");
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn libraries_need_not_put_together_what_nobody_wants() {
        for (text, most) in [("info", LevelFilter::INFO), ("warn,sled=debug", LevelFilter::DEBUG)] {
            // As `start` puts them together.
            let (filter, _handle) = reload::Layer::new(LogLevel::parse(text).unwrap().filter());
            assert_eq!(lines::<Registry>(filter).max_level_hint(), Some(most), "{text}");
        }
    }

    /// What is logged at this level of two lines of the database's client and one of another library.
    fn logged(level: &str) -> Vec<String> {
        let lines = Lines::default();
        let layer = json_layer(lines.clone()).with_filter(LogLevel::parse(level).unwrap().filter());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::debug!(target: "tokio_postgres::query", "parameters");
            tracing::info!(target: "tokio_postgres::connection", "notice");
            tracing::debug!(target: "hyper", "another");
        });
        let text = lines.text();
        let message =
            |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["message"].to_string();
        text.lines().map(|line| message(line).trim_matches('"').to_owned()).collect()
    }

    #[test]
    fn parameters_of_statements_are_logged_only_where_their_library_is_named() {
        assert_eq!(logged("debug"), ["notice", "another"]);
        assert_eq!(logged("trace,sled=info"), ["notice", "another"]);
        assert_eq!(logged("warn,tokio=debug"), ["notice"]);
        assert_eq!(logged("warn"), [""; 0]);
        assert_eq!(logged("info,tokio_postgres=debug"), ["parameters", "notice"]);
    }

    #[test]
    fn a_panic_is_one_line_that_quotes_nothing_made_at_run_time() {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::registry().with(json_layer(lines.clone()));
        tracing::subscriber::with_default(subscriber, || {
            log_panic(Some(Location::caller()), &"from the source");
            log_panic(None, &format!("no device with the secret {}", "JBSWY3DP"));
        });
        let text = lines.text();
        assert!(!text.contains("JBSWY3DP"), "{text}");
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0]["location"].as_str().unwrap().contains("logging/mod.rs:"), "{text}");
        assert_eq!(lines[0]["reason"], "from the source");
        assert_eq!((&lines[1]["message"], lines[1].get("reason")), (&"panicked".into(), None));
    }

    #[test]
    fn a_level_that_is_none_is_a_mistake() {
        for level in ["info", "WARN", "off", "info,sidekey_server=debug", "sidekey_server=debug,info"] {
            assert!(LogLevel::parse(level).is_ok(), "{level}");
        }
        for none in ["wran", "info,wran", "", "info,"] {
            assert!(LogLevel::parse(none).unwrap_err().contains("info,sidekey_server=debug"), "{none}");
        }
        assert!(LogLevel::parse("sidekey=loud").unwrap_err().contains("--log-level"));
    }
}
