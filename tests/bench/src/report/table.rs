//! The results as Markdown.

use std::fmt::Write as _;

use crate::results::{Kind, Measured, Results, StoreFacts};

/// What people call it.
pub fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Syncs => "disk: 4 KiB appended and synced",
        Kind::Fixed => "warp: fixed JSON",
        Kind::Echo => "warp: JSON echo",
        Kind::Logins => "login (session and verify)",
        Kind::Verifies => "verify",
        Kind::Decisions => "forward-auth decision",
        Kind::Refreshes => "token refresh",
        Kind::Enrolments => "enrolment",
    }
}

/// The tables.
pub fn markdown(results: &Results) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}\n", origin(results));
    text.push_str(
        "| | accounts | connections | a second | of the echo | p50 ms | p99 ms | p999 ms | processor µs |\n",
    );
    text.push_str("|---|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    results.measured.iter().for_each(|measured| row(&mut text, measured));
    text.push_str(
        "\n| store | imported a second | disk for an account | start | memory idle | memory at most |\n",
    );
    text.push_str("|---|---:|---:|---:|---:|---:|\n");
    results.stores.iter().for_each(|store| store_row(&mut text, store));
    text.push_str("\n| target | wanted | measured | |\n|---|---|---:|---|\n");
    for target in &results.targets {
        let verdict = if target.met { "met" } else { "**missed**" };
        let _ = writeln!(text, "| {} | {} | {} | {verdict} |", target.what, target.wanted, target.was);
    }
    text
}

/// On what it was measured, in a sentence or two.
pub fn origin(results: &Results) -> String {
    let machine = &results.machine;
    let gigabytes = machine.memory >> 30;
    let rounds = match results.rounds {
        1 => "one round".to_owned(),
        rounds => format!("medians of {rounds} rounds"),
    };
    let noise = if machine.was_quiet() {
        String::new()
    } else {
        format!(
            " **The machine was not quiet**: {:.1} processors were at work before it began, so only ratios count.",
            machine.busy_before
        )
    };
    format!(
        "Commit {}, {} run, {rounds}: {} × {}, {gigabytes} GiB, {}, Linux {}, load client on the same machine.{noise}",
        results.commit,
        results.plan,
        machine.processors,
        machine.processor,
        machine.file_system,
        machine.kernel
    )
}

fn row(text: &mut String, measured: &Measured) {
    let Measured { stage, load, processor_us, of_echo, of_syncs: _ } = measured;
    let is_the_machine = matches!(stage.kind, Kind::Syncs | Kind::Fixed | Kind::Echo);
    let accounts = if is_the_machine { String::new() } else { grouped(stage.accounts) };
    let ratio =
        of_echo.filter(|_| stage.kind != Kind::Syncs).map_or_else(String::new, |part| format!("{part:.3}"));
    let processor = processor_us.map_or_else(String::new, |us| format!("{us:.1}"));
    let _ = writeln!(
        text,
        "| {} | {accounts} | {} | {} | {ratio} | {:.2} | {:.2} | {:.2} | {processor} |",
        title(stage.kind),
        stage.connections,
        rate(load.per_second),
        load.p50_ms,
        load.p99_ms,
        load.p999_ms,
    );
}

#[expect(clippy::cast_precision_loss, reason = "nobody needs the last byte")]
fn store_row(text: &mut String, store: &StoreFacts) {
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1_000_000.0);
    let each = match store.accounts {
        0 => String::new(),
        accounts => format!("{} B", store.disk / accounts),
    };
    let _ = writeln!(
        text,
        "| {} accounts | {} | {each} | {:.0} ms | {} | {} |",
        grouped(store.accounts),
        store.imported_per_second.map(rate).unwrap_or_default(),
        store.start_ms,
        megabytes(store.memory_idle),
        store.memory_most.map(megabytes).unwrap_or_default(),
    );
}

/// A rate: whole above ten, so that slow things are told too.
pub fn rate(per_second: f64) -> String {
    if per_second < 10.0 {
        return format!("{per_second:.1}");
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is neither negative nor that high"
    )]
    grouped(per_second.round() as u64)
}

/// With a comma after each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_as_people_read_them() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([4.26, 26_543.4].map(rate), ["4.3", "26,543"]);
    }
}
