//! The rates as bars, in the reader's light or dark colours.

use std::fmt::Write as _;

use super::table::{origin, rate, title};
use crate::results::{Kind, Measured, Results};

const WIDTH: usize = 900;
const LABEL: usize = 300;
const BARS: usize = 310;
const ROW: usize = 24;
const TOP: usize = 52;

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#1f2328}.muted{fill:#59636e}.title{font-weight:600;font-size:15px}\
.machine{fill:#afb8c1}.ours{fill:#1a7f64}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.muted{fill:#9198a1}.machine{fill:#6e7681}.ours{fill:#3fb68b}}";

/// The chart.
pub fn svg(results: &Results) -> String {
    let smallest = results.measured.iter().map(|measured| measured.stage.accounts).min().unwrap_or_default();
    let is_shown = |measured: &&Measured| measured.stage.accounts == smallest || is_of_a_store(measured);
    let shown: Vec<&Measured> = results.measured.iter().filter(is_shown).collect();
    let most = shown.iter().map(|measured| measured.load.per_second).fold(1.0, f64::max);
    let height = TOP + shown.len() * ROW + 46;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <title>Answers a second, every change on disk before its answer</title>\n<style>{STYLE}</style>\n\
         <text class=\"title\" x=\"8\" y=\"24\">Answers a second, every change on disk before its answer</text>\n"
    );
    for (place, measured) in shown.iter().enumerate() {
        bar(&mut text, measured, TOP + place * ROW, most);
    }
    // What is said of noise has a line of its own.
    for (line, note) in origin(results).split(" **").enumerate() {
        let (base, note) = (height - 24 + line * 14, escaped(&note.replace("**", "")));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "<text class=\"muted\" x=\"8\" y=\"{base}\" style=\"font-size:10px\">{note}</text>"
        );
    }
    text + "</svg>\n"
}

fn is_of_a_store(measured: &Measured) -> bool {
    !matches!(measured.stage.kind, Kind::Syncs | Kind::Fixed | Kind::Echo)
}

fn bar(text: &mut String, measured: &Measured, top: usize, most: f64) {
    let Measured { stage, load, .. } = measured;
    let class = if is_of_a_store(measured) { "ours" } else { "machine" };
    #[expect(clippy::cast_precision_loss, reason = "some hundred pixels")]
    let width = (load.per_second / most * BARS as f64).max(1.0);
    let connections = match stage.connections {
        1 => "1 connection".to_owned(),
        many => format!("{many} connections"),
    };
    let label = match stage.kind {
        Kind::Syncs => title(stage.kind).to_owned(),
        kind if is_of_a_store(measured) && stage.accounts >= 1_000_000 => {
            format!("{}, {} M accounts", title(kind), stage.accounts / 1_000_000)
        }
        kind => format!("{}, {connections}", title(kind)),
    };
    let base = top + 15;
    #[expect(clippy::cast_precision_loss, reason = "some hundred pixels")]
    let after = LABEL as f64 + width + 8.0;
    let _ = writeln!(
        text,
        "<text x=\"{}\" y=\"{base}\" text-anchor=\"end\">{}</text><rect class=\"{class}\" x=\"{LABEL}\" y=\"{}\" width=\"{width:.1}\" \
         height=\"14\" rx=\"2\"/><text x=\"{after:.1}\" y=\"{base}\">{} <tspan class=\"muted\">p50 {:.2} ms, p99 {:.2} ms</tspan></text>",
        LABEL - 10,
        escaped(&label),
        top + 4,
        rate(load.per_second),
        load.p50_ms,
        load.p99_ms,
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
