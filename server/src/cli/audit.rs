//! `audit`: the audit trail, read or exported.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::Value;
use sidekey_core::id::{AppId, UserId};
use sidekey_core::time::UnixTime;

use super::given::Common;
use super::operate::carry_out;
use super::output::print;
use super::progress::Progress;
use super::{Failure, block_on, parse_app_id};
use crate::audit::EVENT_NAMES;
use crate::clock::Clock;
use crate::control::{Command, Reply};
use crate::maintenance::Part;
use crate::trail::check::{self, Fault, Whole};
use crate::trail::export::Stretch;
use crate::trail::query::{MAX_LAST, Query};

/// Which entries, and where to.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Only what is about this application or its users
    #[arg(long, value_parser = parse_app_id)]
    app: Option<AppId>,
    /// Only what is about users of this id
    #[arg(long, value_parser = parse_user_id)]
    user: Option<UserId>,
    /// Only events of this type, such as `answer_refused`; may be repeated
    #[arg(long = "event", value_name = "TYPE", value_parser = parse_event)]
    events: Vec<String>,
    /// Only from this time on: RFC 3339 such as 2026-11-22T08:00:00Z, or so long ago such as 90m, 24h or 7d
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<UnixTime>,
    /// Only before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<UnixTime>,
    /// Only the newest so many of them
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=MAX_LAST as u64))]
    last: Option<u64>,
    /// Write JSON lines into a new file that only you can read, instead of lines for people to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write each entry as it is stored besides, with its hash, for `sidekey audit check`; with `--out` or `--json`
    #[arg(long, conflicts_with_all = ["app", "user", "events"])]
    with_hashes: bool,
    #[command(flatten)]
    common: Common,
}

/// What else is done with the trail.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Check exports that were written `--with-hashes`: nothing was changed, left out or moved. Needs no server and no key
    Check {
        /// The exports; of several, each must go on where the one before ended, or overlap with it
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
}

impl AuditArgs {
    /// Runs it.
    ///
    /// # Errors
    /// The file is there already, the trail cannot be read, or nobody takes it.
    pub(super) fn run(self) -> Result<(), Failure> {
        if let Some(Verb::Check { files, json }) = self.verb {
            return check_all(&files, json);
        }
        let Self { app, user, events, since, until, last, out, with_hashes, common, .. } = self;
        let given = common.read()?;
        let json = given.json;
        if with_hashes && out.is_none() && !json {
            return Err(Failure::settings("`--with-hashes` goes with `--out FILE` or `--json`"));
        }
        let command = if with_hashes {
            Command::AuditExport(Stretch { since, until, last })
        } else {
            let last = last.and_then(|last| usize::try_from(last).ok());
            Command::Audit(Query { app, user, events, since, until, last })
        };
        let mut progress = Progress::new("Reading");
        let mut sink = Sink::open(out.as_deref(), json)?;
        let mut take = |part| match part {
            Part::Progress { done, total } => {
                progress.show(done, total);
                Ok(())
            }
            Part::Data(lines) => sink.write(&lines).map_err(|error| error.to_string()),
        };
        let reply = block_on(carry_out(command, &given, &mut take));
        drop(progress);
        if let (Err(_), Some(out)) = (&reply, &out) {
            // Made above, and not the trail that was asked for. Where it stays, the next attempt says so.
            let _ = std::fs::remove_file(out);
        }
        let Reply::AuditTold { entries } = reply? else { return Err(Failure::another_version()) };
        sink.finish().map_err(Failure::runtime)?;
        if let Some(out) = &out {
            print(&format!("Wrote {entries} audit entries to `{}`.", out.display()))?;
        }
        Ok(())
    }
}

/// Checks exports one after another.
fn check_all(files: &[PathBuf], json: bool) -> Result<(), Failure> {
    let mut checked: Vec<Whole> = Vec::new();
    for file in files {
        let fails = |error: Fault| Failure::runtime(format!("`{}`: {error}", file.display()));
        let opened = File::open(file).map_err(|error| fails(error.into()))?;
        let whole = check::check(BufReader::new(opened), checked.last()).map_err(fails)?;
        if !json {
            print(&format!("`{}`: {}", file.display(), for_people_of(&whole)))?;
        }
        checked.push(whole);
    }
    if json {
        let text = serde_json::to_string(&checked).map_err(Failure::runtime)?;
        print(&text)?;
    }
    Ok(())
}

fn for_people_of(whole: &Whole) -> String {
    let Whole { store, entries, after, last, hash } = whole;
    let which = if *entries == 0 { String::new() } else { format!(", {} to {last}", after + 1) };
    format!("{entries} entries{which}, of store {store}: whole and unchanged. Hash of entry {last}: {hash}")
}

/// Where lines go.
enum Sink {
    /// JSON lines, as they come.
    Lines(BufWriter<Box<dyn Write>>, Option<File>),
    /// Lines for people.
    People(BufWriter<io::Stdout>),
}

impl Sink {
    fn open(out: Option<&Path>, json: bool) -> Result<Self, Failure> {
        match out {
            Some(path) => {
                let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
                let file = file.map_err(|error| {
                    Failure::settings(format!("`{}` cannot be made: {error}", path.display()))
                })?;
                let synced = file.try_clone().map_err(Failure::runtime)?;
                Ok(Self::Lines(BufWriter::new(Box::new(file)), Some(synced)))
            }
            None if json => Ok(Self::Lines(BufWriter::new(Box::new(io::stdout())), None)),
            None => Ok(Self::People(BufWriter::new(io::stdout()))),
        }
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::Lines(out, _) => out.write_all(lines),
            Self::People(out) => {
                for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    let entry: Value = serde_json::from_slice(line)?;
                    writeln!(out, "{}", for_people(&entry))?;
                }
                Ok(())
            }
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Lines(mut out, file) => {
                out.flush()?;
                file.map_or(Ok(()), |file| file.sync_all())
            }
            Self::People(mut out) => out.flush(),
        }
    }
}

/// `2026-11-22T08:00:00Z  answer_refused  shop/42  anonymous  203.0.113.7  request a1b2…`, with what the event tells besides.
fn for_people(entry: &Value) -> String {
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    let event = entry.get("event").and_then(Value::as_object);
    let name = event.and_then(|event| event.get("type")).and_then(Value::as_str).unwrap_or("?");
    let whom = match (text("app"), text("user")) {
        (Some(app), Some(user)) => format!("{app}/{user}"),
        (Some(app), None) => app.to_owned(),
        _ => "server".to_owned(),
    };
    let of_actor = |name: &str| entry.get("actor")?.get(name)?.as_str();
    let operator = of_actor("name").map(|name| format!(" {name}")).unwrap_or_default();
    let actor = format!("{}{operator}", of_actor("kind").unwrap_or("?"));
    let details: Vec<_> = event
        .into_iter()
        .flatten()
        .filter(|(key, value)| *key != "type" && !value.is_null())
        .map(|(key, value)| {
            format!("{key}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        })
        .collect();
    let parts = [
        text("at").unwrap_or("?").to_owned(),
        format!("{name:22}"),
        whom,
        format!("by {actor}"),
        text("ip_address").unwrap_or_default().to_owned(),
        details.join(" "),
        text("reason").map(|reason| format!("because: {reason}")).unwrap_or_default(),
    ];
    let line = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ");
    // User ids hold no control characters; a terminal would obey them.
    line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A type that no event has would read as "nothing happened".
fn parse_event(text: &str) -> Result<String, String> {
    if EVENT_NAMES.contains(&text) {
        return Ok(text.to_owned());
    }
    Err("there is no such event: docs/operations.md lists all, see \"Events\"".to_owned())
}

fn parse_user_id(text: &str) -> Result<UserId, String> {
    UserId::parse(text).map_err(|error| error.to_string())
}

/// A time, or how long ago.
fn parse_time(text: &str) -> Result<UnixTime, String> {
    let now = Clock::system().now();
    parse_time_at(text, now).ok_or_else(|| {
        "must be a time such as 2026-11-22T08:00:00Z, or 90m, 24h or 7d for so long ago".to_owned()
    })
}

fn parse_time_at(text: &str, now: UnixTime) -> Option<UnixTime> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return u64::try_from(time.as_second()).ok().map(UnixTime::from_secs);
    }
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let ago = number.parse::<u64>().ok()?.checked_mul(unit)?;
    Some(UnixTime::from_secs(now.as_secs().saturating_sub(ago)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_time_is_absolute_or_so_long_ago() {
        let now = UnixTime::from_secs(1_790_000_000);
        let read = |text| parse_time_at(text, now).map(UnixTime::as_secs);
        assert_eq!(read("2026-09-21T14:13:20Z"), Some(1_790_000_000));
        assert_eq!(read("2026-09-21T16:13:20+02:00"), Some(1_790_000_000));
        assert_eq!(
            (read("90m"), read("7d"), read("0s")),
            (Some(1_789_994_600), Some(1_789_395_200), Some(1_790_000_000))
        );
        for wrong in ["", "d", "7", "7w", "-1d", "yesterday", "1é", "99999999999999999999d"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_line_for_people_names_who_did_what_to_whom() {
        let entry = json!({
            "sequence": 7, "at": "2026-09-21T14:13:20Z", "app": "shop", "user": "4\u{1b}2", "actor": {"kind": "anonymous"},
            "ip_address": "203.0.113.7", "user_agent": null, "request_id": "r",
            "event": {"type": "answer_refused", "method": "otp", "replayed": false, "device": null},
        });
        assert_eq!(
            for_people(&entry),
            "2026-09-21T14:13:20Z  answer_refused          shop/4\u{fffd}2  by anonymous  203.0.113.7  method=otp replayed=false"
        );
        let entry = json!({
            "sequence": 8, "at": "2026-09-21T14:13:20Z", "app": "shop", "user": "42", "request_id": "r",
            "actor": {"kind": "operator", "name": "ann"}, "ip_address": null, "user_agent": null,
            "reason": "lost phone", "event": {"type": "two_factor_reset"},
        });
        assert_eq!(
            for_people(&entry),
            "2026-09-21T14:13:20Z  two_factor_reset        shop/42  by operator ann  because: lost phone"
        );
    }
}
